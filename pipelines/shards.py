"""Shards of the write job: samples made from packs and ranges, written whole, and described for the manifest."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256

from pipelines.claims import at
from pipelines.facts import SHARDS, LedgerRow, SampleFact
from pipelines.media.strip import strip
from pipelines.recipe import Recipe
from pipelines.sources.originals import read_original
from pipelines.stage import Heartbeat
from pipelines.store import paths
from pipelines.store.facts import digest_of, read_rows
from pipelines.store.media import MediaStore
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
    read = partial(read_member, inputs, shared, own, recipe)
    seen = Counter[str]()
    with paths.publishing(paths.join(output, final)) as stream:
        writer = ShardWriter(stream)
        for plain in rows:
            fact = SampleFact._make(plain)
            at("", f"at sample {fact.key}")
            page = document_of(fact, work)
            made = make_clip(fact, page, work) if page.kind == "clip" else make_sample(fact, page, read)
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


def document_of(fact: SampleFact, work: Work) -> Document:
    line = paths.read_range(work.path(fact.pack), fact.pack_offset, fact.pack_length)
    return document_from_json(json.loads(line))


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


def make_clip(fact: SampleFact, clip: Document, work: Work) -> Sample:
    """The clip with its frames."""
    held = [paths.read_range(work.path(pack), offset, length) for pack, offset, length in json.loads(fact.images)]
    names = member_names(clip)
    return Sample(replace(clip, split=fact.split), dict(zip(names, held, strict=True)))


def read_member(
    inputs: Mapping[str, str], shared: MediaStore, own: MediaStore, recipe: Recipe, row: LedgerRow
) -> bytes:
    """The bytes of an image as they stand in a shard.

    Raises:
        ValueError: they are not those that the ledger describes.
    """
    store = shared if row.origin == "store" else own
    if row.member_pack:
        data = paths.read_range(store.pack_path(row.member_pack), row.member_offset, row.member_bytes)
    elif row.origin == "store":
        data = strip(paths.read_range(store.pack_path(row.name), row.offset, row.length))
    else:
        data = strip(read_original(inputs, row.origin, row.name, row.offset, row.length, recipe.source))
    if sha256(data).hexdigest() != row.member_sha256:
        raise ValueError(f"{row.url}: {row.name} at {row.offset} no longer holds the image that the ledger describes")
    return data
