"""The select job of videos, and what the fetch found of them: facts only, no file is opened.

videos       -> one of each address, the latest page that shows it; its own address and those of its subtitles are uses
uses         -> addresses that stand on too many pages go, then those that their address gives away
pages_unique -> videos that kept their own address; what the fetch job has to find
---
wanted + ledger -> each address has an outcome
pages + uses    -> videos that were found, with their subtitles, in units for the cutting
"""

from functools import partial
from typing import Any

from pipelines.extract.videos.videos import MAX_SUBTITLES
from pipelines.facts import (
    CLIPS,
    LEDGER,
    PAGES_SELECTED,
    PAGES_UNIQUE,
    SAMPLES,
    URLS,
    USES,
    USES_KEPT,
    USES_UNIQUE,
    VIDEOS,
    VIDEOS_FOUND,
    WANTED,
    DocumentFact,
    SampleFact,
    StoredUse,
    to_json,
)
from pipelines.fetch import media_settings
from pipelines.recipe import Recipe, VideoRecipe
from pipelines.select import (
    LISTED,
    Groups,
    Result,
    document_letter,
    image_urls,
    keep_one,
    latest,
    lost_uses,
    uses_of,
    with_images,
)
from pipelines.stage import Fan, Leaves, Out, Read, Shuffle
from pipelines.write import best_row, settled
from schemas.keys import split_of

MAX_FILES = 1 + MAX_SUBTITLES
"""Addresses of one video: its own, and those of its subtitles."""
UNIT_DIGITS = 3
"""Units of the cutting: as many as there are keys that begin alike. A unit is seconds to minutes of work."""


def video_steps(recipe: VideoRecipe) -> list[Shuffle]:
    """The steps of the select job, in order."""
    return [
        Shuffle(
            "video_duplicates",
            reads=(Read(VIDEOS, LISTED, latest),),
            decide=one_of_each,
            writes=(PAGES_UNIQUE, USES),
            drops=(("video", "video_duplicates"),),
            leaves=(Leaves("video", PAGES_UNIQUE),),
        ),
        image_urls(recipe, "video"),
        Shuffle(
            "images_left",
            reads=(Read(PAGES_UNIQUE, 1), Read(USES_KEPT, MAX_FILES)),
            decide=videos_with_address,
            writes=(PAGES_SELECTED, WANTED),
            drops=(("video", "images_left"), ("image_use", "images_left")),
            leaves=(Leaves("video", PAGES_SELECTED), Leaves("image_use", WANTED)),
        ),
    ]


def found_steps(recipe: VideoRecipe) -> list[Shuffle]:
    """The steps after the fetch, before the cutting."""
    per_url = recipe.image_frequency.max_uses
    return [
        Shuffle(
            "outcomes",
            reads=(Read(WANTED, per_url), Read(LEDGER, 1, partial(best_row, media_settings(recipe)))),
            decide=partial(outcome, recipe, media_settings(recipe)),
            writes=(URLS, USES_UNIQUE),
            fans=(Fan("image_use", "image_url", URLS),),
            drops=(("image_url", "fetch"), ("image_use", "fetch")),
            leaves=(Leaves("image_use", USES_UNIQUE),),
        ),
        Shuffle(
            "videos_found",
            reads=(Read(PAGES_SELECTED, 1), Read(USES_UNIQUE, MAX_FILES)),
            decide=with_files,
            writes=(VIDEOS_FOUND,),
            drops=(("video", "images_found"), ("image_use", "images_found")),
            leaves=(Leaves("video", VIDEOS_FOUND), Leaves("image_use", VIDEOS_FOUND, "image_count")),
        ),
    ]


def clip_steps(recipe: VideoRecipe) -> list[Shuffle]:
    """The steps after the cutting: clips become samples."""
    return [
        Shuffle(
            "clip_duplicates",
            reads=(Read(CLIPS, LISTED, latest),),
            decide=partial(one_of_each_clip, recipe.split.dev_share),
            writes=(SAMPLES,),
            drops=(("clip", "clip_duplicates"),),
            leaves=(Leaves("clip", SAMPLES),),
        ),
    ]


def one_of_each(_: str, groups: Groups) -> Result:
    kept = yield from keep_one(groups[VIDEOS.name], "video_duplicates", "same_url")
    yield Out(PAGES_UNIQUE, kept)
    yield from uses_of(kept, USES)


def videos_with_address(_: str, groups: Groups) -> Result:
    video = yield from with_images(groups, 1)
    if video is None:
        return
    if video.uses()[0][0] != 0:
        yield document_letter(video, "images_left", "too_few_images", "the address of the video itself was dropped")
        yield lost_uses("images_left", "page_dropped", video.image_count, video.key)
        return
    yield Out(PAGES_SELECTED, video)
    yield from uses_of(video, WANTED)


def outcome(recipe: Recipe, settings: str, key: str, groups: Groups) -> Result:
    """An address, and what the fetch made of it."""
    row = yield from settled(recipe, settings, key, groups)
    if row is not None:
        for use in groups[WANTED.name].rows:
            yield Out(USES_UNIQUE, StoredUse(row.sha256, use.page, use.number, to_json(list(row))))


def with_files(key: str, groups: Groups) -> Result:
    """A video with the rows of the ledger that say where it and its subtitles are."""
    video: DocumentFact = groups[PAGES_SELECTED.name].rows[0]
    uses: list[StoredUse] = sorted(groups[USES_UNIQUE.name].rows, key=lambda use: use.number)
    if not uses or uses[0].number != 0:
        yield document_letter(video, "images_found", "too_few_images", "its file was not found")
        if uses:
            yield lost_uses("images_found", "page_dropped", len(uses), video.key)
        return
    found: list[list[Any]] = [[use.number, use.image] for use in uses]
    yield Out(VIDEOS_FOUND, video.with_uses(found), key[:UNIT_DIGITS])


def one_of_each_clip(dev_share: float, _: str, groups: Groups) -> Result:
    clip = yield from keep_one(groups[CLIPS.name], "clip_duplicates", "same_frames")
    sample = SampleFact(
        key=clip.key,
        split=split_of(clip.domain, dev_share),
        pack=clip.pack,
        pack_offset=clip.pack_offset,
        pack_length=clip.pack_length,
        bytes=clip.pack_length + sum(length for _, _, length in clip.uses()),
        images=clip.images,
        image_count=0,
    )
    yield Out(SAMPLES, sample)
