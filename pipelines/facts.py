"""Facts: the small rows that are shuffled in place of pages and images, and the sets that the jobs hand to each other.

A row is a NamedTuple of plain values, about 1 kB for a page; what is nested (the images of a page) is one JSON string,
which costs a tenth of nested columns here. Every key is 32 hex digits (`schemas.keys.digest`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

from schemas.keys import digest


class DocumentFact(NamedTuple):
    """A document that passed every filter so far; its text stands in a pack."""

    kind: str
    """ "page", "pair", "video" or "clip"."""
    key: str
    """Of the document, `schemas.keys.page_key`."""
    url: str
    url_key: str
    """Of the normalised address."""
    text_digest: str
    domain: str
    """Registered domain, decides the split."""
    time: int
    """When it was fetched, seconds since 1970; 0 if unknown."""
    name: str
    """`Source.file`."""
    offset: int
    """`Source.offset`."""
    pack: str
    """File with the document as JSON, relative to the work folder."""
    pack_offset: int
    pack_length: int
    words: int
    images: str
    """JSON list of [image number in the document, url, declared width, declared height]; of a video: its own address,
    then those of its subtitles."""
    image_count: int

    def uses(self) -> list[list[Any]]:
        uses: list[list[Any]] = json.loads(self.images)
        return uses

    def with_uses(self, uses: list[list[Any]]) -> "DocumentFact":
        return self._replace(images=to_json(uses), image_count=len(uses))

    def image_set(self) -> str:
        """Key of the set of the addresses of its images; that of no images is equal to no other."""
        if not self.image_count:
            return digest("no images", self.key)
        return digest("images", *sorted({use[1] for use in self.uses()}))


class MediaFact(NamedTuple):
    """An image that the input itself holds."""

    url_key: str
    url: str
    time: int
    origin: str
    """ "warc": a record of a WARC; "file": a file beside saved HTML."""
    name: str
    """`Source.file`."""
    offset: int
    length: int


class UseFact(NamedTuple):
    """An image at its place in a page."""

    url_key: str
    """Of the image's address."""
    url: str
    page: str
    """Key of the document."""
    number: int
    """Number of the image in the document, from 0."""
    declared_width: int
    declared_height: int


class LedgerRow(NamedTuple):
    """What became of an image's address: one row of the media store's ledger."""

    url_key: str
    url: str
    outcome: str
    """ "ok", or why there is no image: a reason of the client or of `media.prepare`."""
    detail: str
    retryable: int
    """1 if a later run may have better luck."""
    tries: int
    http_status: int
    """0 where no HTTP was needed."""
    final_url: str
    """After redirects; empty if the same."""
    opt_out: str
    """Empty, or the opt-out that was found and obeyed."""
    time: int
    """Seconds since 1970."""
    origin: str
    """Where the original is: "warc" or "file" of the input, or "store"."""
    name: str
    """`Source.file` in the input, or the pack in the media store."""
    offset: int
    length: int
    bytes: int
    """Of the original; of one that was `too_large` the limit that it passed."""
    format: str
    """Of the original, by its first bytes: "jpeg", "png", "gif", ..."""
    sha256: str
    """Of the original."""
    settings: str
    """Digest of the encoder's and scorer's settings that the rest was made with."""
    member_format: str
    """ "jpg" or "png"."""
    member_pack: str
    """Pack of the re-encoded image; empty: the member is the original without its metadata, made again when needed."""
    member_offset: int
    member_bytes: int
    member_sha256: str
    member_width: int
    member_height: int
    width: int
    """Of the original, upright, pixels: what the rules on sizes read."""
    height: int
    phash: str
    deviation: float
    """Largest standard deviation of a colour channel, 0..255."""
    dominant_share: float
    """Share of the most frequent colour, 0..1."""
    nsfw: float
    """Score of the safety model, 0..1; -1 if none was asked for."""

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    def digest(self) -> str:
        """Of what the data set depends on: not when, from where or in how many tries the image came."""
        made = (self.sha256, self.settings, self.member_sha256, self.phash, self.width, self.height)
        return digest(self.url, self.outcome, to_json([*made, self.deviation, self.dominant_share, self.nsfw]))


class TodoFact(NamedTuple):
    """An image to read or fetch."""

    lane: str
    """Key of what is worked on one after the other: a slice of a WARC, or one lane of a host."""
    url_key: str
    url: str
    host_lane: str
    """Lane of the host, for HTTP; empty for other origins."""
    origin: str
    """ "http": fetch it; "warc" or "file": the input holds it; "store": the media store holds the original."""
    name: str
    """`Source.file` in the input, or the pack in the media store."""
    offset: int
    length: int
    tries: int
    """How often it was tried before."""


class StoredUse(NamedTuple):
    """An image at its place in a page, with the image that was found there."""

    sha256: str
    """Of the original: the key by which equal images meet."""
    page: str
    number: int
    image: str
    """JSON of its row of the ledger, a list."""


class UrlFact(NamedTuple):
    """What became of an image's address; the manifest's `ledger_digest` is made of these rows."""

    url_key: str
    outcome: str
    digest: str


class ImageFact(NamedTuple):
    """A distinct image and the number of its places."""

    sha256: str
    uses: int


class SampleFact(NamedTuple):
    """A document that will be written, with the images it keeps."""

    key: str
    split: str
    pack: str
    pack_offset: int
    pack_length: int
    bytes: int
    """About what it takes in a shard: text and members."""
    images: str
    """JSON list of [image number in the document, row of the ledger]; of a clip: as in CLIPS."""
    image_count: int


@dataclass(frozen=True)
class FactSet:
    """A named set of facts, in files split by one of its keys."""

    name: str
    row: Any
    """The NamedTuple of its rows."""
    key: Callable[[Any], str]
    """The key of a row by which it is split into partitions, and by which its first reader groups it."""


PAGES = FactSet("pages", DocumentFact, attrgetter("url_key"))
PAIRS = FactSet("pairs", DocumentFact, attrgetter("key"))
PAIRS_COMMON = FactSet("pairs_common", DocumentFact, attrgetter("key"))
VIDEOS = FactSet("videos", DocumentFact, attrgetter("url_key"))
DOCUMENTS: Mapping[str, FactSet] = {"page": PAGES, "pair": PAIRS, "video": VIDEOS}
"""Where the scan puts documents, by their kind."""
PAGES_BY_TEXT = FactSet("pages_by_text", DocumentFact, attrgetter("text_digest"))
PAGES_UNIQUE = FactSet("pages_unique", DocumentFact, attrgetter("key"))
PAGES_BY_IMAGES = FactSet("pages_by_images", DocumentFact, methodcaller("image_set"))
PAGES_SELECTED = FactSet("pages_selected", DocumentFact, attrgetter("key"))
MEDIA = FactSet("media", MediaFact, attrgetter("url_key"))
USES = FactSet("uses", UseFact, attrgetter("url_key"))
USES_KEPT = FactSet("uses_kept", UseFact, attrgetter("page"))
WANTED = FactSet("wanted", UseFact, attrgetter("url_key"))
TODO = FactSet("todo", TodoFact, attrgetter("lane"))
LEDGER = FactSet("ledger", LedgerRow, attrgetter("url_key"))
URLS = FactSet("urls", UrlFact, attrgetter("url_key"))
USES_STORED = FactSet("uses_stored", StoredUse, attrgetter("sha256"))
USES_UNIQUE = FactSet("uses_unique", StoredUse, attrgetter("page"))
IMAGES = FactSet("images", ImageFact, attrgetter("sha256"))
VIDEOS_FOUND = FactSet("videos_found", DocumentFact, attrgetter("key"))
"""With rows of the ledger in `images`: [number, row]."""
CLIPS = FactSet("clips", DocumentFact, attrgetter("url_key"))
"""With places of frames in `images`: [pack, offset, length]; their key is of the frames' bytes."""
PAIRS_FOUND = FactSet("pairs_found", SampleFact, attrgetter("key"))
"""What waits for its score, where pairs are scored: as in SAMPLES."""
SAMPLES = FactSet("samples", SampleFact, attrgetter("key"))
SHARDS = FactSet("shards", SampleFact, attrgetter("key"))


def partition(key: str, count: int) -> int:
    """Which of `count` equal ranges of keys a key belongs to.

    Its first bits decide, those of `bucket` are the last: shards stay even. Partitions one after the other, each in the
    order of its keys, are in the order of all keys, however many there are.
    """
    return int(key[:8], 16) * count >> 32


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
