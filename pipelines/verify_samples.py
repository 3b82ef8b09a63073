"""What can be wrong with a shard as an archive, with a sample, and with an image: each check says it in words."""

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from PIL import Image as Picture
from webdataset.tariterators import group_by_keys, tar_file_expander

from schemas.document import Document, Image, Video
from schemas.keys import clip_key, page_key, pair_key

KEY = re.compile(r"[0-9a-f]{32}")
_MEMBER = re.compile(r"[0-9a-f]{32}\.[a-z0-9.]+")
_FORMATS = {"jpg": "JPEG", "png": "PNG"}
_METADATA = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "comment", "photoshop", "icc_profile"})
"""What Pillow calls the parts of a file that are no picture; members hold none of them."""


class DigestingStream:
    """Hands on what is read from a stream, and takes its digest on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._state = stream, sha256()
        self.bytes = 0

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(count)
        self._state.update(data)
        self.bytes += len(data)
        return data

    def finish(self) -> str:
        """The digest of the whole stream, whatever was left unread."""
        while self.read(1 << 20):
            pass
        return self._state.hexdigest()


def read_samples(name: str, stream: DigestingStream) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, bytes by member name) of the samples of a shard, as the webdataset library reads them."""
    for sample in group_by_keys(tar_file_expander([{"url": name, "stream": stream}])):
        yield sample["__key__"], {key: data for key, data in sample.items() if not key.startswith("__")}


def archive_problems(stream: BinaryIO) -> Iterator[str]:
    """Headers and the end of the archive; readers take a damaged header for the end, and lose what follows.

    Raises:
        tarfile.TarError: the archive cannot be read on.
    """
    end = 0
    names: set[str] = set()
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for entry in tar:
            end = entry.offset_data + -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            if not entry.isreg() or not _MEMBER.fullmatch(entry.name):
                yield f"member {entry.name!r} belongs to no sample"
            if entry.name in names:
                yield f"member {entry.name!r} stands there twice"
            names.add(entry.name)
        stream.seek(end)
        rest = 0
        while block := stream.read(1 << 20):
            if block.count(0) != len(block):
                yield f"damaged header at byte {end}: what follows is lost to readers"
                return
            rest += len(block)
    if rest < 2 * tarfile.BLOCKSIZE:
        yield "the end of the archive is missing: it was cut"


def document_problems(document: Document, split: str) -> Iterator[str]:
    """The key, a digest of what the document says, and the split, which the shard's name gives ("": unknown)."""
    if not KEY.fullmatch(document.key):
        yield f"key {document.key!r} is not 32 hex digits"
    elif (key := _expected_key(document)) != document.key:
        yield f"the key is not that of its address and text, {key}: one of these was changed"
    if split and document.split != split:
        yield f"split {document.split!r} in a shard of {split!r}"


def _expected_key(document: Document) -> str:
    if document.kind == "pair":
        return pair_key(document.url, document.text)
    if document.kind == "clip" and document.media and isinstance(video := document.media[0], Video):
        return clip_key(document.url, video.start, video.end)
    return page_key(document.url, document.text)


def media_problems(document: Document, members: Mapping[str, bytes]) -> Iterator[str]:
    """Digests and pictures of a document whose members are those that it names."""
    for media in document.media:
        names: Sequence[str] = media.members if isinstance(media, Video) else (media.member,)
        digest = sha256()
        for name in names:
            digest.update(members[name])
            yield from (f"{name}: {what}" for what in picture_problems(name, members[name], media))
        if digest.hexdigest() != media.sha256:
            yield f"{', '.join(names[:3])}: sha256 is {digest.hexdigest()}, not {media.sha256 or '(none)'}"
        if isinstance(media, Video) and len(media.times) != len(names):
            yield f"{len(names)} frames, but {len(media.times)} times"
        if isinstance(media, Video) and media.file:
            found = sha256(members[media.file]).hexdigest()
            if found != media.file_sha256:
                yield f"{media.file}: sha256 is {found}, not {media.file_sha256 or '(none)'}"


def picture_problems(name: str, data: bytes, media: Image | Video) -> Iterator[str]:
    """Whether the bytes are a whole JPEG or PNG of the size that is said, without metadata."""
    wanted = _FORMATS.get(name.rsplit(".", 1)[-1])
    try:
        with Picture.open(BytesIO(data), formats=("JPEG", "PNG")) as picture:
            if picture.format != wanted:
                yield f"a {picture.format} under this name"
            if picture.size != (media.width, media.height):
                yield f"{picture.width}x{picture.height} pixels, not {media.width}x{media.height}"
                return  # its pixels could be many more than anyone reckoned with
            picture.load()
            found = _METADATA.intersection(picture.info) | set(getattr(picture, "text", {}))
            if found:
                yield f"holds metadata ({', '.join(sorted(map(str, found)))})"
    except Exception as error:  # decoders raise nearly everything on damaged bytes
        yield f"cannot be decoded: {type(error).__name__}: {_without_address(error)}"


def _without_address(error: Exception) -> str:
    return re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "the file", str(error))
