"""The select job of pages: duplicates and image addresses, decided on facts before any image is read.

pages          -> one page for each address, the latest fetch
pages_by_text  -> one page for each text; its images are counted from here on
uses           -> image addresses that stand on too many pages go, then those that their address gives away
pages_unique   -> pages that kept enough images
pages_by_images-> one page for each set of images
wanted         -> what the fetch job has to find
"""

from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Any

from dedup.exact import keep_first
from dedup.transforms import Group
from dedup.urls import image_url_key
from pipelines.facts import (
    PAGES,
    PAGES_BY_IMAGES,
    PAGES_BY_TEXT,
    PAGES_SELECTED,
    PAGES_UNIQUE,
    USES,
    USES_KEPT,
    WANTED,
    DocumentFact,
    FactSet,
    UseFact,
)
from pipelines.filters.image_url import check_image_use
from pipelines.limits import ImagesLeftConfig
from pipelines.recipe import PageRecipe, Recipe
from pipelines.stage import Fan, Leaves, Out, Read, Shuffle
from schemas.document import Source
from schemas.rejection import DeadLetter

LISTED = 1000
"""Dropped equals of one key that get a line of their own; the rest share one line with its count."""

Result = Iterator[Out | DeadLetter]
Groups = Mapping[str, Group]


def page_shuffles(recipe: PageRecipe) -> list[Shuffle]:
    """The shuffles of the job, in order."""
    return [
        Shuffle(
            "page_duplicates",
            reads=(Read(PAGES, LISTED, latest),),
            decide=one_per_url,
            writes=(PAGES_BY_TEXT,),
            drops=(("page", "page_duplicates"),),
            leaves=(Leaves("page", PAGES_BY_TEXT),),
        ),
        Shuffle(
            "text_duplicates",
            reads=(Read(PAGES_BY_TEXT, LISTED, latest),),
            decide=one_per_text,
            writes=(PAGES_UNIQUE, USES),
            drops=(("page", "text_duplicates"),),
            leaves=(Leaves("page", PAGES_UNIQUE),),
        ),
        image_urls(recipe, "page"),
        Shuffle(
            "images_left",
            reads=(Read(PAGES_UNIQUE, 1), Read(USES_KEPT, recipe.extract.max_images)),
            decide=partial(pages_with_images, recipe.images_left),
            writes=(PAGES_BY_IMAGES,),
            drops=(("page", "images_left"), ("image_use", "images_left")),
            leaves=(Leaves("page", PAGES_BY_IMAGES), Leaves("image_use", PAGES_BY_IMAGES, "image_count")),
        ),
        Shuffle(
            "image_set_duplicates",
            reads=(Read(PAGES_BY_IMAGES, LISTED, latest),),
            decide=one_per_image_set,
            writes=(PAGES_SELECTED, WANTED),
            drops=(("page", "image_set_duplicates"), ("image_use", "image_set_duplicates")),
            leaves=(Leaves("page", PAGES_SELECTED), Leaves("image_use", WANTED)),
        ),
    ]


def image_urls(recipe: Recipe, kind: str) -> Shuffle:
    """The caps and rules on image addresses; `kind`: what the documents are called."""
    return Shuffle(
        "image_urls",
        reads=(Read(USES, recipe.image_frequency.max_uses),),
        decide=partial(useful_images, recipe),
        writes=(USES_KEPT,),
        fans=(Fan(kind, "image_use", USES, expected=(PAGES_UNIQUE, "image_count")),),
        drops=(("image_use", "image_frequency"), ("image_use", "image_url")),
        leaves=(Leaves("image_use", USES_KEPT),),
    )


def latest(page: DocumentFact) -> tuple[Any, ...]:
    """Rank of equal pages: the latest fetch first; ties by where it stands, so that the choice is always the same."""
    return (-page.time, page.name, page.offset)


def one_per_url(_: str, groups: Groups) -> Result:
    kept = yield from keep_one(groups[PAGES.name], "page_duplicates", "same_url")
    yield Out(PAGES_BY_TEXT, kept)


def one_per_text(_: str, groups: Groups) -> Result:
    kept = yield from keep_one(groups[PAGES_BY_TEXT.name], "text_duplicates", "same_text")
    yield Out(PAGES_UNIQUE, kept)
    yield from uses_of(kept, USES)


def one_per_image_set(_: str, groups: Groups) -> Result:
    group = groups[PAGES_BY_IMAGES.name]
    kept = yield from keep_one(group, "image_set_duplicates", "same_images")
    yield Out(PAGES_SELECTED, kept)
    yield from uses_of(kept, WANTED)
    if lost := (group.total - 1) * kept.image_count:  # equal sets: equally many
        yield lost_uses("image_set_duplicates", "page_dropped", lost, kept.key)


def useful_images(recipe: Recipe, _: str, groups: Groups) -> Result:
    """The places of one image address, unless they are too many or the address or size tells that it is no content."""
    total, uses = groups[USES.name]
    cap = recipe.image_frequency.max_uses
    if total > cap:
        detail = f"{total} uses, at most {cap}"
        yield DeadLetter(
            kind="image_use",
            stage="image_frequency",
            reason="too_many_uses",
            detail=detail,
            url=uses[0].url,
            count=total,
        )
        return
    for use in uses:
        rejected = check_image_use(use.url, use.declared_width, use.declared_height, recipe.image_url)
        if rejected is None:
            yield Out(USES_KEPT, use)
        else:
            yield DeadLetter(
                kind="image_use",
                stage="image_url",
                reason=rejected.reason,
                detail=rejected.detail,
                url=use.url,
                key=use.page,
            )


def pages_with_images(config: ImagesLeftConfig, _: str, groups: Groups) -> Result:
    """A page with the images it kept, each address once, if they are enough."""
    page = yield from with_images(groups, config.min_images)
    if page is not None:
        yield Out(PAGES_BY_IMAGES, page)


def with_images(groups: Groups, min_images: int) -> Generator[DeadLetter, None, DocumentFact | None]:
    """A document with the images it kept, each address once; None if they are not enough."""
    document: DocumentFact = groups[PAGES_UNIQUE.name].rows[0]
    numbers = {use.number for use in groups[USES_KEPT.name].rows}
    uses, seen = [], set()
    for use in document.uses():
        if use[0] in numbers and (key := image_url_key(use[1])) not in seen:
            seen.add(key)
            uses.append(use)
    if repeats := len(numbers) - len(uses):
        yield lost_uses("images_left", "repeated_in_page", repeats, document.key)
    if len(uses) < min_images:
        detail = f"{len(uses)}, at least {min_images}"
        yield document_letter(document, "images_left", "too_few_images", detail)
        if uses:
            yield lost_uses("images_left", "page_dropped", len(uses), document.key)
        return None
    return document.with_uses(uses)


def uses_of(page: DocumentFact, facts: FactSet) -> Iterator[Out]:
    """A row for each image of a page: the fan-out from pages to image uses."""
    for number, url, width, height in page.uses():
        yield Out(facts, UseFact(image_url_key(url), url, page.key, number, width, height))


def document_letter(document: DocumentFact, stage: str, reason: str, detail: str, count: int = 1) -> DeadLetter:
    return DeadLetter(
        kind=document.kind,
        stage=stage,
        reason=reason,
        detail=detail,
        url=document.url,
        key=document.key,
        source=Source(file=document.name, offset=document.offset),
        count=count,
    )


def keep_one(group: Group, stage: str, reason: str) -> Any:
    kept, others, more = keep_first(group.total, group.rows)
    detail = f"kept {kept.url} of {kept.name} at {kept.offset}"
    for page in others:
        yield document_letter(page, stage, reason, detail)
    if more:
        yield document_letter(kept, stage, reason, f"{detail}, and these are not listed", more)
    return kept


def lost_uses(stage: str, reason: str, count: int, page: str) -> DeadLetter:
    return DeadLetter(kind="image_use", stage=stage, reason=reason, key=page, count=count)
