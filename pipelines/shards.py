"""Shards of the write job: samples made from packs and ranges, written whole, and described for the manifest."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from pipelines.claims import at
from pipelines.facts import SHARDS, LedgerRow, SampleFact
from pipelines.flow import Places
from pipelines.media.strip import strip
from pipelines.recipe import Recipe
from pipelines.sources.originals import path_of, read_original
from pipelines.stage import Heartbeat
from pipelines.store import paths
from pipelines.store.facts import digest_of, read_rows
from pipelines.store.media import MediaStore
from pipelines.store.ranges import Range, Ranges
from pipelines.store.work import Work
from schemas.document import Document, Image, Text, normal_form
from schemas.manifest import Shard
from schemas.shard import Sample, ShardWriter, document_from_json, image_member, member_names
from schemas.strict import to_plain


def write_shard(
    name: str, output: str, work: Work, inputs: Mapping[str, str], shared: MediaStore, own: MediaStore, recipe: Recipe
) -> None:
    """Writes one shard, whole or not at all, and commits its entry of the manifest."""
    if work.is_done("shards", name):
        return
    rows = sorted(row for path in work.fact_files(SHARDS, name) for row in read_rows(path, SampleFact))
    final = f"shards/{name}.tar"
    heart = Heartbeat(work.progress("shards", name))
    reader = SampleReader(Places(work=work, inputs=inputs, shared=shared, own=own), recipe)
    seen = Counter[str]()
    with paths.publishing(paths.join(output, final)) as stream:
        writer = ShardWriter(stream)
        for fact in reader.ahead(map(SampleFact._make, rows)):
            at("", f"at sample {fact.key}")
            page = reader.document(fact)
            is_clip = page.kind == "clip"
            made = make_clip(fact, page, reader.frames(fact)) if is_clip else make_sample(fact, page, reader.image)
            writer.write(made)
            seen["images"] += len(made.document.images)
            seen["videos"] += len(made.document.media) - len(made.document.images)
            seen["words"] += len(made.document.text.split())
            seen["samples"] += 1
            heart.beat(seen.copy)
        writer.close()
    heart.beat(seen.copy, last=True)
    size, digest = digest_of(paths.join(output, final))
    entry = Shard(
        name=final,
        split=name.split("-")[0],
        samples=seen["samples"],
        images=seen["images"],
        videos=seen["videos"],
        words=seen["words"],
        bytes=size,
        sha256=digest,
    )
    work.mark_done("shards", name, to_plain(entry))


def make_sample(fact: SampleFact, page: Document, read: Callable[[LedgerRow], bytes]) -> Sample:
    """The document with the images it keeps, each with its bytes and what was measured of them."""
    kept: dict[int, LedgerRow] = {number: LedgerRow._make(row) for number, row in json.loads(fact.images)}
    slots: list[Text | Image] = []
    members: dict[str, bytes] = {}
    number = 0
    for slot in page.slots:
        if isinstance(slot, Text):
            slots.append(slot)
        elif isinstance(slot, Image):
            row = kept.get(number)
            number += 1
            if row is None:
                continue
            member = image_member(page.kind, len(members), row.member_format)
            members[member] = read(row)
            slots.append(
                replace(
                    slot,
                    member=member,
                    width=row.member_width,
                    height=row.member_height,
                    sha256=row.member_sha256,
                    original_sha256=row.sha256,
                    phash=row.phash,
                    scores={"nsfw": row.nsfw} if row.nsfw >= 0 else {},
                )
            )
    return Sample(replace(page, key=fact.key, split=fact.split, slots=normal_form(slots)), members)


class SampleReader:
    """Reads what samples are made of: documents and images from packs, from the input and from the media store."""

    def __init__(self, places: Places, recipe: Recipe) -> None:
        self.places, self.recipe = places, recipe
        self.ranges = Ranges()

    def ahead(self, facts: Iterable[SampleFact]) -> Iterator[SampleFact]:
        """The facts, with what they need read ahead, many samples at once."""
        return self.ranges.ahead(facts, self.ranges_of)

    def ranges_of(self, fact: SampleFact) -> Iterator[Range]:
        """All that is read for a sample."""
        yield Range(self.places.work.path(fact.pack), fact.pack_offset, fact.pack_length)
        for first, *more in json.loads(fact.images):
            if isinstance(first, str):  # a frame of a clip
                yield Range(self.places.work.path(first), *more)
            else:
                yield self.range_of(LedgerRow._make(more[0]))

    def range_of(self, row: LedgerRow) -> Range:
        """Where an image stands, or its original if it is made of that."""
        store = self.places.shared if row.origin == "store" else self.places.own
        if row.member_pack:
            return Range(store.pack_path(row.member_pack), row.member_offset, row.member_bytes)
        path = store.pack_path(row.name) if row.origin == "store" else path_of(row.name, self.places.inputs)
        return Range(path, row.offset, row.length)

    def document(self, fact: SampleFact) -> Document:
        line = self.ranges.read(self.places.work.path(fact.pack), fact.pack_offset, fact.pack_length)
        return document_from_json(json.loads(line))

    def frames(self, fact: SampleFact) -> list[bytes]:
        """Of a clip, in order."""
        frames = json.loads(fact.images)
        return [self.ranges.read(self.places.work.path(pack), offset, length) for pack, offset, length in frames]

    def image(self, row: LedgerRow) -> bytes:
        """The bytes of an image as they stand in a shard.

        Raises:
            ValueError: they are not those that the ledger describes.
        """
        if row.member_pack or row.origin == "store":
            data = self.ranges.read(*self.range_of(row))
        else:
            where = (self.places.inputs, row.origin, row.name, row.offset, row.length)
            data = read_original(*where, self.recipe.source, self.ranges.read)
        if not row.member_pack:
            data = strip(data)
        if sha256(data).hexdigest() != row.member_sha256:
            raise ValueError(
                f"{row.url}: {row.name} at {row.offset} no longer holds the image that the ledger describes"
            )
        return data


def make_clip(fact: SampleFact, clip: Document, frames: Sequence[bytes]) -> Sample:
    """The clip with its frames."""
    return Sample(replace(clip, split=fact.split), dict(zip(member_names(clip), frames, strict=True)))
