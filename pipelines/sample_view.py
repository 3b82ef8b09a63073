"""`m3w inspect --sample`: one document as text, and its pictures as files."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.previews import clock, counted, span
from pipelines.report import size
from pipelines.samples import samples_of
from pipelines.shard_files import DataSetError, all_shards, printable
from schemas.document import Document, Image, Text, Video
from schemas.shard import Sample, sample_json


def show_sample(names: Sequence[str], which: str, save_images_to: str | None = None) -> str:
    """One document as text: a page with a line in brackets where each image stands, a pair or clip text first.

    Args:
        names: data sets, folders, tar files or patterns.
        which: a sample's key (32 hex digits, or the first few), or its number from 0.
        save_images_to: folder for its images and frames; None saves none.

    Raises:
        DataSetError: there is no such sample.
    """
    shard, sample = _find(all_shards(names), which)
    lines = [*_head(shard, sample.document), "", *_body(sample)]
    if save_images_to is not None:
        lines += ["", *(f"saved {path}" for path in _save(sample, Path(save_images_to)))]
    return printable("\n".join(lines))


def sample_as_json(names: Sequence[str], which: str, save_images_to: str | None = None) -> str:
    """The same document as the JSON that its shard holds, and its images saved."""
    _, sample = _find(all_shards(names), which)
    if save_images_to is not None:
        list(_save(sample, Path(save_images_to)))
    return json.dumps(sample_json(sample.document), indent=1, ensure_ascii=False)


def _find(shards: Sequence[str], which: str) -> tuple[str, Sample]:
    number = int(which) if which.isdecimal() and len(which) < 9 else -1
    count = 0
    for shard, sample in samples_of(shards):
        if number == count or (number < 0 and sample.document.key.startswith(which)):
            return shard, sample
        count += 1
    what = f"no sample number {number}: there are {count}" if number >= 0 else f"no sample with the key {which!r}"
    raise DataSetError(f"{what}, in {len(shards)} shards")


def _head(shard: str, document: Document) -> Iterator[str]:
    source = document.source
    videos = [media for media in document.media if isinstance(media, Video)]
    frames = sum(len(video.members) for video in videos)
    sizes = [
        counted(len(document.text.split()), "word"),
        *([counted(len(document.images), "image")] if document.images or not videos else []),
        *([f"{counted(len(videos), 'clip')} of {counted(frames, 'frame')}"] if videos else []),
    ]
    yield f"key       {document.key}  in {shard}"
    yield f"url       {document.url}"
    if document.page_url:
        yield f"page      {document.page_url}"
    if document.title:
        yield f"title     {document.title}"
    yield f"kind      {document.kind}, split {document.split or '(none)'}, language {document.language or '(none)'}"
    yield f"source    {source.file} at {source.offset}, {source.length} bytes, {source.date or 'no date'}"
    yield f"scores    {', '.join(f'{name} {value:g}' for name, value in document.scores.items()) or '(none)'}"
    yield f"size      {', '.join(sizes)}"


def _body(sample: Sample) -> Iterator[str]:
    document = sample.document
    if document.kind != "page":
        yield from (document.text.strip("\n"), "")
    number = 0
    for slot in document.slots:
        if isinstance(slot, Text):
            if document.kind == "page":
                yield slot.text.strip("\n")
            continue
        yield from _image(number, slot, sample) if isinstance(slot, Image) else _video(number, slot, sample)
        number += 1


def _image(number: int, image: Image, sample: Sample) -> Iterator[str]:
    """Of a pair without what its head and text say: its address, and an alternative text that is its text."""
    document = sample.document
    alt = "" if document.kind == "pair" and image.alt == document.text else json.dumps(image.alt, ensure_ascii=False)
    url = "" if document.kind == "pair" and image.url == document.url else image.url
    facts = f"{image.width}x{image.height} {image.member.rsplit('.', 1)[-1]}, {size(len(sample.members[image.member]))}"
    yield f"[image {number}: {' '.join(filter(None, (facts, alt, url)))}]"


def _video(number: int, video: Video, sample: Sample) -> Iterator[str]:
    frames = counted(len(video.members), "frame")
    facts = f"{video.width}x{video.height}, {span(video.start, video.end)}, {frames}"
    yield f"[video {number}: {facts}{'' if video.url == sample.document.url else f', {video.url}'}]"
    for time, name in zip(video.times, video.members, strict=False):
        yield f"  {clock(time):<9s} {name}  {size(len(sample.members[name]))}"


def _save(sample: Sample, folder: Path) -> Iterator[Path]:
    """Writes the media as KEY.N.jpg, ...; the names are ours, because those in a foreign shard could be paths."""
    folder.mkdir(parents=True, exist_ok=True)
    key = re.sub(r"\W", "_", sample.document.key)
    for number, (name, data) in enumerate(sorted(sample.members.items())):
        extension = name.rsplit(".", 1)[-1]
        path = folder / f"{key}.{number}.{extension if extension in ('jpg', 'png') else 'bin'}"
        path.write_bytes(data)
        yield path
