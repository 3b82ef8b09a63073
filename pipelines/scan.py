"""The scan job: a unit of the input becomes a pack of documents, facts and dead letters."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from dedup.exact import text_digest
from dedup.urls import image_url_key, registered_domain, url_key
from pipelines.claims import at
from pipelines.facts import DOCUMENTS, MEDIA, DocumentFact, MediaFact, to_json
from pipelines.flow import Flow
from pipelines.given_up import KILLED_WORKER, NOTHING, described
from pipelines.rare_words import ngram_hashes, save_texts
from pipelines.recipe import Recipe
from pipelines.sources.inputs import read_unit
from pipelines.sources.records import RawMedia, RawPage, RawPair, SourceRecord, Unreadable
from pipelines.sources.units import Unit
from pipelines.stage import DEAD_LETTERS, Dropped, Heartbeat, Stage, Tally, dead_letter_line, run_stages
from pipelines.store import paths
from pipelines.store.work import Work
from pipelines.web.opt_out import page_opt_out
from schemas.document import Document, Image, Source
from schemas.rejection import DeadLetter, Rejected
from schemas.shard import sample_json
from schemas.strict import from_plain, to_plain


def scan_unit(
    unit: dict[str, Any],
    work: Work,
    recipe: Recipe,
    flow: Callable[[Recipe], Flow],
    given_up: Mapping[str, str] = NOTHING,
) -> None:
    """Reads a unit once and commits its pack, facts, dead letters and counts; does nothing if that was done before.

    Everything it writes is a function of the unit and the recipe, under names made of the unit: two attempts at once
    write the same bytes, and the done-file comes last. What is `given_up` killed its worker; see `pipelines.given_up`.
    """
    part = from_plain(Unit, unit, "unit")
    if work.is_done("scan", part.id):
        return
    _Scan(part, work, recipe, flow(recipe), given_up).run()


class _Scan:
    """The state of one attempt at a unit."""

    def __init__(self, unit: Unit, work: Work, recipe: Recipe, flow: Flow, given_up: Mapping[str, str]) -> None:
        self.unit, self.work, self.recipe, self.flow, self.given_up = unit, work, recipe, flow, given_up
        self.tally = Tally()
        self.documents: list[DocumentFact] = []
        self.media: list[MediaFact] = []
        self.letters: list[str] = []
        self.ngrams: list[list[int]] = []
        self.pack = paths.join("packs", f"{unit.id}.jsonl")

    def run(self) -> None:
        heart = Heartbeat(self.work.progress("scan", self.unit.id))
        reader = read_unit(self.unit, self.recipe.source)
        with paths.publishing(self.work.path(self.pack)) as pack:
            for record in self.watched(reader):
                self.tally.see("record", "read")
                if isinstance(record, Unreadable):
                    self.drop("record", "read", record.rejected, record.url, record.source)
                elif isinstance(record, RawMedia):
                    self.hold(record)
                else:
                    for document in self.made_of(record):
                        line = pack_line(document)
                        self.documents.append(self.document_fact(document, pack.tell(), len(line)))
                        pack.write(line)
                        if self.flow.count_words:
                            self.ngrams.append(ngram_hashes(document.text))
                heart.beat(self.seen)
        at("", "when all was read")
        heart.beat(self.seen, last=True)
        self.commit(None if any(key.startswith("read") for key in self.given_up) else reader.span)

    def watched(self, records: Iterable[SourceRecord]) -> Iterator[SourceRecord]:
        """The records; what was given up is a refusal."""
        source = Source(file=self.unit.name, offset=self.unit.start)
        reading = iter(records)
        for number in count():
            at(f"read {number}", f"at record {number}, before it was read")
            if detail := self.given_up.get(f"read {number}"):
                rest = f"all from here on in {described(to_plain(self.unit))}: {detail}"
                here = replace(source, offset=source.offset + source.length, length=0)
                yield Unreadable(rejected=Rejected(KILLED_WORKER, rest), source=here)
                return
            if (record := next(reading, None)) is None:
                return
            source = record.source
            at(f"{number}", f"at record {number}, {record.url or 'of ' + source.file}, byte {source.offset}")
            if detail := self.given_up.get(f"{number}"):
                record = Unreadable(rejected=Rejected("killed_worker", detail), url=record.url, source=source)
            yield record

    def seen(self) -> dict[str, int]:
        kind = self.flow.kind
        seen = self.tally.into[kind, self.flow.stages[0].name]
        return {f"{kind}s": seen, "records": self.tally.into["record", "read"]}

    def made_of(self, record: RawPage | RawPair) -> Iterator[Document]:
        """The documents that a record becomes."""
        flow, parts = self.flow, list[Any]([record])
        self.tally.see("record", "pages" if isinstance(record, RawPage) else f"{flow.kind}s")
        if isinstance(record, RawPage) and flow.parts:
            page = self.through(record, flow.page_stages, "page")
            parts = [] if page is None else list(flow.parts(page))
            self.tally.see("page", f"{flow.kind}s", len(parts))
        for part in parts:
            made = self.through(part, flow.stages, flow.kind)
            if made is not None:
                yield replace(made, key=flow.key(made), source=record.source)

    def through(self, record: Any, stages: Sequence[Stage], kind: str) -> Document | None:
        result = run_stages(record, stages, kind, self.tally)
        if isinstance(result, Dropped):
            self.letter(kind, result.stage, result.rejected, record.url, record.source)
            return None
        document: Document = result
        return document

    def document_fact(self, document: Document, offset: int, length: int) -> DocumentFact:
        images = [[number, *use] for number, use in enumerate(uses_in(document))]
        return DocumentFact(
            kind=self.flow.kind,
            key=document.key,
            url=document.url,
            url_key=url_key(document.url),
            text_digest=text_digest(document.text),
            domain=registered_domain(document.page_url or document.url),
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
        self.tally.see("record", "medias")
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

    def commit(self, span: tuple[int, int] | None) -> None:
        """Writes what there is; `span` is where in the input it stood, None if it is not known up to where."""
        work, part = self.work, self.unit.id
        work.save_facts(DOCUMENTS[self.flow.kind], self.documents, part)
        work.save_facts(MEDIA, self.media, part)
        if self.flow.count_words:
            save_texts(work, part, self.ngrams)
        if self.letters:
            paths.publish(
                work.path(DEAD_LETTERS, f"scan.{part}.jsonl"), "".join(f"{x}\n" for x in self.letters).encode()
            )
        work.mark_done(
            "scan",
            part,
            {
                "unit": to_plain(self.unit),
                "span": span and list(span),
                "documents": len(self.documents),
                "media": len(self.media),
                "funnel": to_plain(self.tally.rows()),
            },
        )


def uses_in(document: Document) -> Iterator[tuple[str, int, int]]:
    """(address, declared width, declared height) of all that a document needs besides its text."""
    for media in document.media:
        if isinstance(media, Image):
            yield media.url, media.declared_width, media.declared_height
        else:
            yield media.url, 0, 0
            yield from ((subtitles.url, 0, 0) for subtitles in media.subtitles)


def pack_line(document: Document) -> bytes:
    """A document as it stands in a pack; a pair's text too, which in a shard is a member of its own."""
    value = {**sample_json(document), "text": document.text}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def seconds(date: str) -> int:
    """Seconds since 1970 of an ISO 8601 date, in UTC if it names no zone; 0 if there is none or it cannot be read."""
    try:
        found = datetime.fromisoformat(date)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        return 0
