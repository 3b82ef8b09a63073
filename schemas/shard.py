"""Samples as WebDataset tar members, and shards of samples.

A sample of key KEY is a run of adjacent members: `KEY.json` and its media. Pages hold `KEY.0.jpg`, `KEY.1.png`, ...;
pairs `KEY.jpg` and `KEY.txt`; clips the frames `KEY.0.000.jpg`, `KEY.0.001.jpg`, ... The JSON carries the text without
marks and, for each image and video, the number of its media slot in reading order and its character position in it.

Same samples, same bytes: members sorted, times, owners and modes fixed.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from schemas.document import Document, Image, Media, Slot, Text, Video, normal_form
from schemas.strict import from_plain, to_plain
from schemas.tar import TarWriter

FORMAT_VERSION = "openm3w-1"
TEXT_MEMBER = "txt"
"""Where the text of a pair stands, so that readers of plain image-text shards find it."""


class ShardError(RuntimeError):
    """A shard or sample that is not as this module writes it; the message names the sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A document and the bytes of its media."""

    document: Document
    members: Mapping[str, bytes]
    """Bytes by member name without the key ("0.jpg"), as the document's images and videos name them."""


def image_member(kind: str, slot: int, extension: str) -> str:
    """Name of an image's member: "jpg" in a pair, "3.jpg" for media slot 3 of a page."""
    return extension if kind == "pair" else f"{slot}.{extension}"


def frame_member(slot: int, frame: int) -> str:
    """Name of a video frame's member: "0.007.jpg"."""
    return f"{slot}.{frame:03d}.jpg"


def file_member(slot: int, extension: str) -> str:
    """Name of the member of a clip's own packets: "0.mp4"."""
    return f"{slot}.{extension}"


def member_names(document: Document) -> list[str]:
    """The media members that a document names, in reading order."""
    names: list[str] = []
    for media in document.media:
        if isinstance(media, Video):
            names += [*media.members, *([media.file] if media.file else [])]
        else:
            names.append(media.member)
    return names


def sample_json(document: Document) -> dict[str, Any]:
    """The contents of KEY.json; `schemas.json_schema` describes it."""
    head = {name: value for name, value in to_plain(replace(document, slots=())).items() if name != "slots"}
    body: dict[str, Any] = {"images": [], "videos": []}
    text = ""
    number = 0
    for slot in document.slots:
        if isinstance(slot, Text):
            text += slot.text
            continue
        place = {"slot": number, "position": len(text)}
        body["videos" if isinstance(slot, Video) else "images"].append({**place, **to_plain(slot)})
        number += 1
    return {"format": FORMAT_VERSION, **head, "text": "" if document.kind == "pair" else text, **body}


def document_from_json(value: Mapping[str, Any], text: str | None = None) -> Document:
    """The inverse of `sample_json`; a pair's `text` comes from its own member.

    Raises:
        ShardError: not a sample of this format.
    """
    value = dict(value)
    if (found := value.pop("format", None)) != FORMAT_VERSION:
        raise ShardError(f"format {found!r} is not {FORMAT_VERSION!r}")
    try:
        own_text, images, videos = value.pop("text"), value.pop("images"), value.pop("videos")
        text = own_text if text is None else text
        placed = sorted(
            [_placed(Image, entry) for entry in images] + [_placed(Video, entry) for entry in videos],
            key=lambda entry: entry[0],
        )
        head = from_plain(Document, {**value, "slots": []}, "sample")
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"not a sample: {error}") from error
    if not isinstance(text, str):
        raise ShardError(f"not a sample: its text is {text!r}")
    slots: list[Slot] = []
    end = 0
    for number, (slot, position, media) in enumerate(placed):
        if slot != number or not end <= position <= len(text):
            raise ShardError(f"media slot {slot} at character {position} is out of order or outside the text")
        slots += [Text(text[end:position]), media]
        end = position
    return replace(head, slots=normal_form([*slots, Text(text[end:])]))


def _placed(cls: type[Image] | type[Video], entry: Mapping[str, Any]) -> tuple[int, int, Media]:
    entry = dict(entry)
    slot, position = entry.pop("slot"), entry.pop("position")
    return slot, position, from_plain(cls, entry, "media")


def encode_sample(sample: Sample) -> list[tuple[str, bytes]]:
    """Names and bytes of a sample's tar members, sorted by name.

    Raises:
        ShardError: the members are not those that the document names.
    """
    document = sample.document
    if not document.key or "." in document.key or "/" in document.key:
        raise ShardError(f"{document.key!r} cannot be the key of a sample")
    if sorted(member_names(document)) != sorted(sample.members):
        raise ShardError(f"{document.key}: members {sorted(sample.members)} but the document names others")
    text = json.dumps(sample_json(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    files = {**sample.members, "json": text.encode()}
    if document.kind == "pair":
        files[TEXT_MEMBER] = document.text.encode()
    return sorted((f"{document.key}.{name}", data) for name, data in files.items())


def decode_sample(key: str, files: Mapping[str, bytes]) -> Sample:
    """The inverse of `encode_sample`, from the sample's members by name without the key.

    Raises:
        ShardError: no such sample, or a member is missing or too many.
    """
    media = {name: data for name, data in files.items() if name != "json"}
    try:
        value = json.loads(files["json"])
        text = media.pop(TEXT_MEMBER).decode() if value.get("kind") == "pair" else None
        document = document_from_json(value, text)
    except (KeyError, AttributeError, TypeError, ValueError, RecursionError, ShardError) as error:
        raise ShardError(f"{key}: {error!r}") from error
    if document.key != key:
        raise ShardError(f"{key}: its JSON says key {document.key!r}")
    if sorted(member_names(document)) != sorted(media):
        raise ShardError(f"{key}: members {sorted(media)}, its JSON names {sorted(member_names(document))}")
    return Sample(document, media)


class ShardWriter:
    """Writes samples to a tar stream; the bytes depend on the samples and their order only."""

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = TarWriter(stream)

    def write(self, sample: Sample) -> None:
        for name, data in encode_sample(sample):
            self._tar.add(name, data)

    def close(self) -> None:
        """Ends the archive; the stream stays open."""
        self._tar.close()


def read_shard(stream: BinaryIO) -> Iterator[Sample]:
    """The samples of a shard, in order.

    Raises:
        ShardError: the archive or a sample is damaged.
    """
    key, files = "", dict[str, bytes]()
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                name, _, extension = entry.name.partition(".")
                if name != key and files:
                    yield decode_sample(key, files)
                    files = {}
                key = name
                data = tar.extractfile(entry)
                files[extension] = data.read() if data else b""
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ShardError(f"damaged archive after sample {key or '(none)'}: {error}") from error
    if files:
        yield decode_sample(key, files)
