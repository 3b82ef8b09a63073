"""The scan job: a unit of the input becomes a pack of documents, facts and dead letters."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dedup.exact import text_digest
from dedup.urls import image_url_key, registered_domain, url_key
from pipelines.facts import MEDIA, PAGES, MediaFact, PageFact, partition, to_json
from pipelines.recipe import Recipe
from pipelines.sources.inputs import read_unit
from pipelines.sources.records import RawMedia, RawPage, Unreadable
from pipelines.sources.units import Unit
from pipelines.stage import DEAD_LETTERS, Dropped, Heartbeat, Stage, Tally, dead_letter_line, run_stages
from pipelines.store import paths
from pipelines.store.facts import write_rows
from pipelines.store.work import Work
from pipelines.web.opt_out import page_opt_out
from schemas.document import Document, Source
from schemas.keys import page_key
from schemas.rejection import DeadLetter, Rejected
from schemas.shard import sample_json
from schemas.strict import from_plain, to_plain


def scan_unit(unit: dict[str, Any], work: Work, recipe: Recipe, stages: Callable[[Recipe], Sequence[Stage]]) -> None:
    """Reads a unit once and commits its pack, facts, dead letters and counts; does nothing if that was done before.

    Everything it writes is a function of the unit and the recipe, under names made of the unit: two attempts at once
    write the same bytes, and the done-file comes last.
    """
    part = from_plain(Unit, unit, "unit")
    if work.is_done("scan", part.id):
        return
    _Scan(part, work, recipe, stages(recipe)).run()


class _Scan:
    """The state of one attempt at a unit."""

    def __init__(self, unit: Unit, work: Work, recipe: Recipe, stages: Sequence[Stage]) -> None:
        self.unit, self.work, self.recipe, self.stages = unit, work, recipe, stages
        self.tally = Tally()
        self.pages: list[PageFact] = []
        self.media: list[MediaFact] = []
        self.letters: list[str] = []
        self.pack = paths.join("packs", f"{unit.id}.jsonl")

    def run(self) -> None:
        heart = Heartbeat(self.work.progress("scan", self.unit.id))
        reader = read_unit(self.unit, self.recipe.source)
        with paths.publishing(self.work.path(self.pack)) as pack:
            for record in reader:
                self.tally.see("record", "read")
                if isinstance(record, Unreadable):
                    self.drop("record", "read", record.rejected, record.url, record.source)
                elif isinstance(record, RawMedia):
                    self.hold(record)
                elif (document := self.document(record)) is not None:
                    line = json.dumps(sample_json(document), ensure_ascii=False).encode() + b"\n"
                    self.pages.append(self.page_fact(document, pack.tell(), len(line)))
                    pack.write(line)
                heart.beat(self.seen)
        heart.beat(self.seen, last=True)
        self.commit(reader.span)

    def seen(self) -> dict[str, int]:
        return {"pages": self.tally.into["page", self.stages[0].name], "records": self.tally.into["record", "read"]}

    def document(self, page: RawPage) -> Document | None:
        result = run_stages(page, self.stages, "page", self.tally)
        if isinstance(result, Dropped):
            self.letter("page", result.stage, result.rejected, page.url, page.source)
            return None
        document: Document = result
        return replace(document, key=page_key(document.url, document.text), source=page.source)

    def page_fact(self, document: Document, offset: int, length: int) -> PageFact:
        images = [
            [n, image.url, image.declared_width, image.declared_height] for n, image in enumerate(document.images)
        ]
        return PageFact(
            key=document.key,
            url=document.url,
            url_key=url_key(document.url),
            text_digest=text_digest(document.text),
            domain=registered_domain(document.url),
            time=seconds(document.source.date),
            name=document.source.file,
            offset=document.source.offset,
            pack=self.pack,
            pack_offset=offset,
            pack_length=length,
            words=len(document.text.split()),
            images=to_json(images),
            image_count=len(images),
        )

    def hold(self, media: RawMedia) -> None:
        """Notes an image of the input, unless its own headers say that it must not be used."""
        self.tally.see("media", "opt_out")
        config = self.recipe.opt_out
        if found := page_opt_out(media.headers, (), config.tokens, config.tdm_reservation):
            self.drop("media", "opt_out", Rejected("opted_out", found), media.url, media.source)
        else:
            self.media.append(self.media_fact(media))

    def media_fact(self, media: RawMedia) -> MediaFact:
        source = media.source
        origin = "warc" if self.unit.kind == "warc" else "file"
        key = image_url_key(media.url)
        return MediaFact(key, media.url, seconds(source.date), origin, source.file, source.offset, source.length)

    def drop(self, kind: str, stage: str, why: Rejected, url: str, source: Source) -> None:
        self.tally.drop(kind, stage, why.reason)
        self.letter(kind, stage, why, url, source)

    def letter(self, kind: str, stage: str, why: Rejected, url: str, source: Source) -> None:
        dropped = DeadLetter(kind=kind, stage=stage, reason=why.reason, detail=why.detail, url=url, source=source)
        self.letters.append(dead_letter_line(dropped))

    def commit(self, span: tuple[int, int]) -> None:
        count, work, part = self.work.partitions, self.work, self.unit.id
        for facts, rows in ((PAGES, self.pages), (MEDIA, self.media)):
            split: dict[int, list[Any]] = {}
            for row in rows:
                split.setdefault(partition(facts.key(row), count), []).append(tuple(row))
            for number, some in split.items():
                write_rows(work.path("facts", facts.name, str(number), f"{part}.parquet"), facts.row, some)
        if self.letters:
            paths.publish(
                work.path(DEAD_LETTERS, f"scan.{part}.jsonl"), "".join(f"{x}\n" for x in self.letters).encode()
            )
        work.mark_done(
            "scan",
            part,
            {
                "unit": to_plain(self.unit),
                "span": list(span),
                "pages": len(self.pages),
                "media": len(self.media),
                "funnel": to_plain(self.tally.rows()),
            },
        )


def seconds(date: str) -> int:
    """Seconds since 1970 of an ISO 8601 date, in UTC if it names no zone; 0 if there is none or it cannot be read."""
    try:
        found = datetime.fromisoformat(date)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        return 0
