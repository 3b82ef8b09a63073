"""The write job: what the fetch found meets the pages again, is filtered, and becomes shards.

wanted + ledger -> each address has an outcome; images that the rules refuse go
uses_stored     -> images that stand in too many places under any address go
pages + uses    -> pages with an unsafe image, or without enough images, go
samples         -> shards: key mod n, n fixed by the bytes of what survived
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any

from dedup.transforms import Group
from pipelines.facts import (
    IMAGES,
    LEDGER,
    PAGES_SELECTED,
    SAMPLES,
    SHARDS,
    URLS,
    USES_STORED,
    USES_UNIQUE,
    WANTED,
    DocumentFact,
    FactSet,
    ImageFact,
    LedgerRow,
    SampleFact,
    StoredUse,
    UrlFact,
    to_json,
)
from pipelines.fetch import load_blocklist, media_settings
from pipelines.filters.images import ImageFacts, judge_image, judge_safety
from pipelines.recipe import Recipe
from pipelines.select import document_letter
from pipelines.stage import Fan, Leaves, Out, Read, Shuffle
from schemas.keys import bucket, split_of
from schemas.rejection import DeadLetter, Rejected

Result = Iterator[Out | DeadLetter]
Groups = Mapping[str, Group]


def image_shuffles(
    recipe: Recipe,
    kind: str,
    min_images: int,
    max_images: int,
    facts: FactSet = SAMPLES,
    unit_of: Callable[[str], str] | None = None,
) -> list[Shuffle]:
    """From fetched images to samples.

    Args:
        kind: what the documents are called in the funnel.
        min_images: images that a document must keep.
        max_images: images that a document can have.
        facts: where the documents go that are left.
        unit_of: if these are for a job on units, the unit of a key.
    """
    per_url, per_image = recipe.image_frequency.max_uses, recipe.image_frequency.max_equal
    return [
        Shuffle(
            "outcomes",
            reads=(Read(WANTED, per_url), Read(LEDGER, 1, partial(best_row, media_settings(recipe)))),
            decide=partial(outcome, recipe, media_settings(recipe)),
            writes=(URLS, USES_STORED),
            fans=(Fan("image_use", "image_url", URLS),),
            drops=tuple((kind, stage) for kind in ("image_url", "image_use") for stage in ("fetch", "image_filter")),
            leaves=(Leaves("image_use", USES_STORED),),
        ),
        Shuffle(
            "image_duplicates",
            reads=(Read(USES_STORED, per_image),),
            decide=partial(frequent, recipe),
            writes=(IMAGES, USES_UNIQUE),
            fans=(Fan("image_url", "image", IMAGES, after=True),),
            drops=(("image", "image_duplicates"), ("image_use", "image_duplicates")),
            leaves=(Leaves("image", IMAGES), Leaves("image_use", USES_UNIQUE), Leaves("image_use", IMAGES, "uses")),
        ),
        Shuffle(
            "documents",
            reads=(Read(PAGES_SELECTED, 1), Read(USES_UNIQUE, max_images)),
            decide=partial(document, recipe, min_images, facts, unit_of),
            writes=(facts,),
            drops=tuple((thing, stage) for thing in (kind, "image_use") for stage in ("image_safety", "images_found")),
            leaves=(Leaves(kind, facts), Leaves("image_use", facts, "image_count")),
        ),
    ]


def shard_shuffle(counts: Mapping[str, int], kind: str) -> Shuffle:
    """Samples to their shards; `counts`: shards of each split, `kind`: what the documents were called."""
    return Shuffle(
        "shards",
        reads=(Read(SAMPLES, 1),),
        decide=partial(to_shard, counts),
        writes=(SHARDS,),
        fans=(Fan(kind, "sample", SHARDS, expected=(SAMPLES, "")),),
        leaves=(Leaves("sample", SHARDS), *([] if kind == "clip" else [Leaves("image_use", SHARDS, "image_count")])),
    )


def best_row(settings: str, row: LedgerRow) -> tuple[Any, ...]:
    """Rank of ledger rows of one address: what holds for these settings, images before failures, the latest first."""
    return (row.settings not in ("", settings), not row.ok, -row.time, row.settings)


def outcome(recipe: Recipe, settings: str, key: str, groups: Groups) -> Result:
    """An address, what the fetch made of it, and whether the image may stay."""
    row = yield from settled(recipe, settings, key, groups)
    if row is None:
        return
    uses = groups[WANTED.name].rows
    if (rejected := judge_image(image_facts(row), recipe.image_filter)) is not None:
        yield from _address_letters("image_filter", rejected, row.url, len(uses))
        return
    for use in uses:
        yield Out(USES_STORED, StoredUse(row.sha256, use.page, use.number, to_json(list(row))))


def settled(
    recipe: Recipe, settings: str, key: str, groups: Groups
) -> Generator[Out | DeadLetter, None, LedgerRow | None]:
    """The ledger's row of an address that is wanted, if there is a file and no blocklist names it."""
    uses = groups[WANTED.name].rows
    if not uses:
        return None
    rows: list[LedgerRow] = [row for row in groups[LEDGER.name].rows if row.settings in ("", settings)]
    if not rows:
        raise ValueError(f"the ledger has no outcome of {uses[0].url}: run the fetch job again")
    row = rows[0]
    yield Out(URLS, UrlFact(key, row.outcome, row.digest()))
    rejected = blocked(row, recipe) if row.ok else Rejected(row.outcome, row.detail)
    if rejected is None:
        return row
    yield from _address_letters("fetch", rejected, row.url, len(uses))
    return None


def _address_letters(stage: str, rejected: Rejected, url: str, uses: int) -> Iterator[DeadLetter]:
    for kind, count in (("image_url", 1), ("image_use", uses)):
        yield DeadLetter(kind=kind, stage=stage, reason=rejected.reason, detail=rejected.detail, url=url, count=count)


def frequent(recipe: Recipe, key: str, groups: Groups) -> Result:
    """All places of one image, unless they are too many."""
    total, uses = groups[USES_STORED.name]
    cap = recipe.image_frequency.max_equal
    if total <= cap:
        yield Out(IMAGES, ImageFact(key, total))
        for use in uses:
            yield Out(USES_UNIQUE, use)
        return
    url = ledger_row(uses[0].image).url
    for kind, count in (("image", 1), ("image_use", total)):
        detail = f"{total} uses, at most {cap}"
        yield DeadLetter(
            kind=kind, stage="image_duplicates", reason="too_many_uses", detail=detail, url=url, count=count
        )


def document(
    recipe: Recipe,
    min_images: int,
    facts: FactSet,
    unit_of: Callable[[str], str] | None,
    key: str,
    groups: Groups,
) -> Result:
    """A page and the images that are left of it, judged as a whole."""
    page: DocumentFact = groups[PAGES_SELECTED.name].rows[0]
    uses = sorted((use.number, ledger_row(use.image)) for use in groups[USES_UNIQUE.name].rows)
    unsafe = {number: why for number, row in uses if (why := judge_safety(image_facts(row), recipe.image_safety))}
    if unsafe and recipe.image_safety.scope == "document":
        number, row = next(entry for entry in uses if entry[0] in unsafe)
        yield document_letter(page, "image_safety", unsafe[number].reason, f"{row.url}: {unsafe[number].detail}")
        yield _use_letter(page, "image_safety", "page_dropped", len(uses))
        return
    images: list[tuple[int, LedgerRow]] = []
    seen: set[str] = set()
    for number, row in uses:
        if why := unsafe.get(number):
            yield _use_letter(page, "image_safety", why.reason, 1, row.url, why.detail)
        elif row.sha256 in seen:
            yield _use_letter(page, "images_found", "repeated_in_page", 1, row.url)
        else:
            seen.add(row.sha256)
            images.append((number, row))
    if len(images) < min_images:
        yield document_letter(page, "images_found", "too_few_images", f"{len(images)}, at least {min_images}")
        if images:
            yield _use_letter(page, "images_found", "page_dropped", len(images))
        return
    yield Out(
        facts,
        SampleFact(
            key=key,
            split=split_of(page.domain, recipe.split.dev_share),
            pack=page.pack,
            pack_offset=page.pack_offset,
            pack_length=page.pack_length,
            bytes=page.pack_length + sum(row.member_bytes for _, row in images),
            images=to_json([[number, list(row)] for number, row in images]),
            image_count=len(images),
        ),
        unit_of(key) if unit_of else "",
    )


def to_shard(counts: Mapping[str, int], key: str, groups: Groups) -> Result:
    sample: SampleFact = groups[SAMPLES.name].rows[0]
    yield Out(SHARDS, sample, shard_name(sample.split, bucket(key, counts[sample.split])))


def shard_name(split: str, number: int) -> str:
    return f"{split}-{number:06d}"


def blocked(row: LedgerRow, recipe: Recipe) -> Rejected | None:
    """Whether today's blocklist names an image that the media store may hold since long ago."""
    blocklist = load_blocklist(recipe.blocklist)
    if bytes.fromhex(row.sha256) in blocklist.sha256:
        return Rejected("blocked_hash", f"sha256 {row.sha256}")
    if row.phash and (bits := blocklist.nearest(row.phash)) is not None:
        return Rejected("blocked_phash", f"{bits} bits from a listed hash")
    return None


def image_facts(row: LedgerRow) -> ImageFacts:
    return ImageFacts(
        width=row.width,
        height=row.height,
        format=row.format,
        bytes=row.bytes,
        deviation=row.deviation,
        dominant_share=row.dominant_share,
        nsfw=row.nsfw,
    )


def ledger_row(text: str) -> LedgerRow:
    return LedgerRow._make(json.loads(text))


def _use_letter(page: DocumentFact, stage: str, reason: str, count: int, url: str = "", detail: str = "") -> DeadLetter:
    return DeadLetter(kind="image_use", stage=stage, reason=reason, detail=detail, url=url, key=page.key, count=count)
