"""What stands in a shard to a document and the bytes of its media: our own samples, and those of other data sets.

| layout | known by | becomes |
| --- | --- | --- |
| ours | `format` in KEY.json | what it says |
| img2dataset | KEY.txt (or `caption` in KEY.json) beside KEY.jpg, .jpeg, .png or .webp | a pair |
| OBELICS | lists `texts` and `images` of equal length in KEY.json, in each place one of the two | a page |
| mmc4 | lists `text_list` and `image_info` in KEY.json | a page; an image before the sentence that it was matched to |

The pictures of the last two are members: named as the list names them ("KEY.b9040a.jpg"), or by their number among the
images ("KEY.0.jpg", "KEY.1.png"); mmc4 may also have them as `image_base64` in the JSON. Images without bytes are left
out, as these sets hold addresses and not all could be fetched. Nothing is unpickled: members are JSON, text and
pictures.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.document import Document, Image, Slot, Text
from schemas.rejection import Rejected
from schemas.shard import FORMAT_VERSION, Sample, ShardError, decode_sample

EXTENSIONS = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Read:
    """A sample, and what was left out of it."""

    sample: Sample
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of images by reason."""


def read_sample(key: str, files: Mapping[str, bytes]) -> Read | Rejected:
    """The sample that the members `files`, by name without the key, make up."""
    value: Any = {}
    if "json" in files:
        try:
            value = json.loads(files["json"])
        except (ValueError, RecursionError) as error:
            return Rejected("bad_json", f"{key}: {error}")
        if not isinstance(value, dict):
            return Rejected("bad_json", f"{key}: its JSON is not an object")
    if "format" in value:
        return _ours(key, files, value)
    if isinstance(value.get("texts"), list) and isinstance(value.get("images"), list):
        return _obelics(key, files, value)
    if isinstance(value.get("text_list"), list) and isinstance(value.get("image_info"), list):
        return _mmc4(key, files, value)
    if any(extension in files for extension in EXTENSIONS) and ("txt" in files or "caption" in value):
        return _img2dataset(key, files, value)
    return Rejected("unknown_layout", f"{key}: members {sorted(files)}")


def _ours(key: str, files: Mapping[str, bytes], value: Mapping[str, Any]) -> Read | Rejected:
    if value["format"] != FORMAT_VERSION:
        return Rejected("format_version", f"{key}: {value['format']!r}, this is {FORMAT_VERSION!r}")
    try:
        return Read(decode_sample(key, files))
    except ShardError as error:
        return Rejected("bad_sample", str(error))


def _img2dataset(key: str, files: Mapping[str, bytes], value: Mapping[str, Any]) -> Read | Rejected:
    member = next(extension for extension in EXTENSIONS if extension in files)
    try:
        caption = files["txt"].decode() if "txt" in files else value["caption"]
    except UnicodeDecodeError as error:
        return Rejected("bad_text", f"{key}: {error}")
    if not isinstance(caption, str):
        return Rejected("empty_caption", f"{key}: caption is {caption!r}")
    url = value.get("url") if isinstance(value.get("url"), str) else ""
    document = Document(kind="pair", url=url or "", key=key, slots=(Image(url=url or "", member=member), Text(caption)))
    return Read(Sample(document, {member: files[member]}))


def _obelics(key: str, files: Mapping[str, bytes], value: Mapping[str, Any]) -> Read | Rejected:
    texts, images = value["texts"], value["images"]
    if len(texts) != len(images):
        return Rejected("bad_sample", f"{key}: {len(texts)} texts and {len(images)} images")
    page = _Page(key, files)
    for text, image in zip(texts, images, strict=True):
        if isinstance(image, str) and image:
            page.add_image(image, url=image)
        if isinstance(text, str) and text:
            page.add_text(text)
    return page.read()


def _mmc4(key: str, files: Mapping[str, bytes], value: Mapping[str, Any]) -> Read | Rejected:
    before: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, info in enumerate(value["image_info"]):
        place = info.get("matched_text_index") if isinstance(info, dict) else None
        if not isinstance(place, int) or not 0 <= place < len(value["text_list"]):
            return Rejected("bad_sample", f"{key}: image {number} is matched to text {place!r}")
        before.setdefault(place, []).append((number, info))
    page = _Page(key, files)
    for place, text in enumerate(value["text_list"]):
        for number, info in before.get(place, []):
            name, url = str(info.get("image_name") or ""), str(info.get("raw_url") or "")
            page.add_image(name, url=url, number=number, inline=info.get("image_base64"))
        if isinstance(text, str) and text:
            page.add_text(text if place == 0 else " " + text)
    return page.read()


class _Page:
    """A page in the making."""

    def __init__(self, key: str, files: Mapping[str, bytes]) -> None:
        self.key, self.files = key, files
        self.slots: list[Slot] = []
        self.members: dict[str, bytes] = {}
        self.left_out: Counter[str] = Counter()
        self.images = 0

    def add_text(self, text: str) -> None:
        """Texts that stand next to each other are paragraphs, unless the second begins with a space of its own."""
        neighbours = self.slots and isinstance(self.slots[-1], Text) and not text[:1].isspace()
        self.slots.append(Text("\n\n" + text if neighbours else text))

    def add_image(self, name: str, *, url: str, number: int | None = None, inline: object = None) -> None:
        number = self.images if number is None else number
        self.images += 1
        names = [name.removeprefix(f"{self.key}."), *(f"{number}.{extension}" for extension in EXTENSIONS)]
        data = next((self.files[each] for each in names if each in self.files and each not in ("json", "txt")), None)
        if data is None and isinstance(inline, str):
            try:
                data = base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError):
                self.left_out["picture_undecodable"] += 1
                return
        if not data:
            self.left_out["picture_missing"] += 1
            return
        member = str(number)
        self.members[member] = data
        self.slots.append(Image(url=url, member=member))

    def read(self) -> Read | Rejected:
        if not self.members and self.images:
            return Rejected("no_pictures", f"{self.key}: none of {self.images} images is there")
        document = Document(kind="page", url="", key=self.key, slots=tuple(self.slots))
        return Read(Sample(document, self.members), dict(self.left_out))
