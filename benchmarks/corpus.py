"""Makes WARC files of any number of pages for benchmarks: python -m benchmarks.corpus OUT --pages N.

Every page is a copy of a real one (of demo/crawl.warc.gz, or of the packages that `demo.make_crawl` takes) with an
address of its own and a fourth of its words replaced by words of the same page: for exact and near-duplicate detection
copies are different texts, for quality and language rules they are as the original. Every 50th page repeats the text of
the one before it. Pictures have addresses of their own too, and records whose bytes differ in a comment only; icons and
a fifth of the other pictures are shared by 5000 pages. The same arguments give the same bytes (with the same zlib).
"""

import argparse
import json
import random
import re
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from fastwarc.warc import ArchiveIterator, WarcRecordType
from PIL import Image

from demo import pages as works

DEMO = Path(__file__).parent.parent / "demo" / "crawl.warc.gz"

FILE_BYTES = 1_000_000_000
"""A file is ended by the page with which it reaches this size, if no number of files is given."""
SITE_PAGES = 50
"""Pages of one site; one in so many repeats the text of another."""
WORD_STEP = 4
"""Every so manyth word of a page is replaced."""
SHARED_STEP = 5
"""Every so manyth picture of a page is shared, as icons are."""
SHARED_PAGES = 5000
"""Pages that have their shared pictures in common."""

_TOKENS = re.compile(
    rb"(?:<(script|style|head|pre)\b.*?</\1>|<!--.*?-->|<[^>]*>|\s)+|[^<\s]+|<", re.DOTALL | re.IGNORECASE
)
_IMG = re.compile(rb"<img\b[^>]*>", re.IGNORECASE)
_SRC = re.compile(rb"""\ssrc\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
_ALT = re.compile(rb"""\salt\s*=\s*"[^"]*\"""", re.IGNORECASE)
_MARK = b"\x00"
"""Stands for a picture while a page is taken to pieces; no page contains it."""


@dataclass(frozen=True)
class Picture:
    name: str
    data: bytes
    content_type: str
    icon: bool
    """A side of less than 64 pixels."""


@dataclass(frozen=True)
class Template:
    """A real page in pieces."""

    name: str
    pieces: Sequence[bytes]
    words: Sequence[bytes]
    """Every word of its text, as often as it occurs."""
    word_places: Sequence[int]
    """Pieces that a copy replaces by another word."""
    pictures: Sequence[tuple[int, Picture]]
    """Piece that holds the address, and the picture."""


@dataclass
class Totals:
    pages: int = 0
    image_uses: int = 0
    image_records: int = 0
    records: int = 0
    files: int = 0
    bytes: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for bench-*.warc.gz and corpus.json")
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--images", type=int, help="images a page [as the real page has; 10 with --facts-only]")
    parser.add_argument("--facts-only", action="store_true", help="no image records, only their addresses")
    parser.add_argument("--source", default="demo", help="folder with the unpacked packages [the demo crawl]")
    parser.add_argument("--files", type=int, default=0, help="number of files [as many as it takes, of at most 1 GB]")
    options = parser.parse_args(arguments)
    if options.pages < 1 or options.files < 0 or (options.images is not None and options.images < 0):
        parser.error("--pages must be at least 1, --files and --images not negative")
    images = 10 if options.images is None and options.facts_only else options.images

    started = time.monotonic()
    templates = load_templates(None if options.source == "demo" else Path(options.source), images)
    read = time.monotonic() - started
    totals = write_corpus(options.out, templates, options.pages, options.files, not options.facts_only)
    written = time.monotonic() - started - read
    (options.out / "corpus.json").write_text(json.dumps(vars(totals), indent=1) + "\n")
    print(
        f"{vars(totals)}\n{len(templates)} real pages read in {read:.1f} s, "
        f"{totals.pages / written:.0f} pages/s written"
    )


def load_templates(source: Path | None, images: int | None) -> list[Template]:
    """The real pages in pieces.

    Args:
        source: folder with the unpacked packages; None: the demo crawl.
        images: pictures that each page is to show; None: its own ones.
    """
    pages, pictures = read_demo(DEMO) if source is None else _from_packages(source)
    pool = [picture for picture in pictures.values() if not picture.icon]
    return [
        _template(url, body, pictures, images, islice(cycle(pool), 7 * place % len(pool), None))
        for place, (url, body) in enumerate(sorted(pages.items()))
    ]


def _from_packages(folder: Path) -> tuple[dict[str, bytes], dict[str, Picture]]:
    found = list(works.all_pages(folder))
    pictures = {}
    for url, file in {url: file for page in found for url, file in page.pictures}.items():
        if picture := _picture(url, file.read_bytes()):
            pictures[url] = picture
    return {page.url: page.body for page in found}, pictures


def read_demo(path: Path) -> tuple[dict[str, bytes], dict[str, Picture]]:
    """Its sound pages and pictures: those that show a defect are passed over."""
    pages, pictures = {}, {}
    for url, content_type, body in _responses(path.read_bytes()):
        if not url.startswith((works.HANDBOOK, works.GIMP, works.SKIMAGE)) or "?" in url or "/_static/demo/" in url:
            continue
        if content_type == "text/html; charset=UTF-8" and b"</body>" in body:
            pages[url] = body
        elif content_type.startswith("image/") and (picture := _picture(url, body)):
            pictures[url] = picture
    return pages, pictures


def _responses(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """URL, content type and body of every readable answer with status 200 that came neither compressed nor chunked.

    Goes on behind a corrupt gzip member.
    """
    start = 0
    while start >= 0:
        position = start
        try:
            for record in ArchiveIterator(BytesIO(data[start:]), record_types=WarcRecordType.response, parse_http=True):
                position = start + record.stream_pos
                body = record.reader.read()
                if record.http_headers is not None and record.http_headers.status_code == 200:
                    headers = record.http_headers.asdict()
                    if "Content-Encoding" in headers or "Transfer-Encoding" in headers:
                        continue
                    yield record.headers["WARC-Target-URI"], headers.get("Content-Type", ""), body
            return
        except OSError:
            start = data.find(b"\x1f\x8b\x08", position + 1)


def _picture(url: str, data: bytes) -> Picture | None:
    try:
        with Image.open(BytesIO(data)) as image:
            small, kind = min(image.size) < 64, Image.MIME[image.format or ""]
    except (OSError, KeyError):
        return None
    return Picture(urlsplit(url).path.rsplit("/", 1)[1], data, kind, small)


def _template(
    url: str, body: bytes, known: Mapping[str, Picture], images: int | None, more: Iterator[Picture]
) -> Template:
    """Takes a page to pieces. Unknown pictures are left out, and icons too if a number of images is asked for."""
    shown: list[Picture] = []

    def mark(element: re.Match[bytes]) -> bytes:
        source = _SRC.search(element[0])
        picture = known.get(urljoin(url, source[1].decode(errors="replace"))) if source else None
        if picture is None or (images is not None and (picture.icon or len(shown) == images)):
            return b""
        shown.append(picture)
        alt = _ALT.search(element[0])
        return b'<img src="' + _MARK + b'"' + (alt[0] if alt else b"") + b" />"

    start = max(body.find(b"<body"), 0)
    text = _IMG.sub(mark, body[start:])
    lacking = 0 if images is None else images - len(shown)
    if lacking:
        # Spread over the page's paragraphs. The order of `shown` is of no matter: every mark takes the next of it.
        breaks = [found.end() for found in re.finditer(rb"</p>|</div>", text)] or [len(text)]
        for place in sorted((breaks[len(breaks) * rank // lacking] for rank in range(lacking)), reverse=True):
            text = text[:place] + b'<p><img src="' + _MARK + b'" alt="" /></p>' + text[place:]
        shown += islice(more, lacking)

    pieces: list[bytes] = [body[:start]]
    words: list[bytes] = []
    word_places: list[int] = []
    picture_places: list[int] = []
    for token in _TOKENS.finditer(text):
        if not (token[0].startswith(b"<") or token[0][:1].isspace()):
            words.append(token[0])
            if len(words) % WORD_STEP == 0:
                word_places.append(len(pieces))
                pieces += [token[0], b""]
                continue
        first, *rest = token[0].split(_MARK)
        pieces[-1] += first
        for part in rest:
            picture_places.append(len(pieces))
            pieces += [b"", part]
    name = re.sub(r"[^\w.-]", "-", urlsplit(url).path.rsplit("/", 1)[1])
    return Template(name, pieces, words, word_places, list(zip(picture_places, shown, strict=True)))


def write_corpus(out: Path, templates: Sequence[Template], pages: int, files: int, image_records: bool) -> Totals:
    """Writes `pages` pages, each behind its pictures' records, into `files` files (0: as many as it takes)."""
    out.mkdir(parents=True, exist_ok=True)
    totals = Totals()
    shared: set[str] = set()
    target: BinaryIO | None = None
    try:
        for number in range(pages):
            full = target is not None and target.tell() >= FILE_BYTES
            if target is None or (number * files // pages == totals.files if files else full):
                if target is not None:
                    target.close()
                target = (out / f"bench-{totals.files:05d}.warc.gz").open("wb")
                totals.files += 1
            if number % SHARED_PAGES == 0:
                shared.clear()
            for url, content_type, body in _copy(templates, number, shared if image_records else None, totals):
                totals.records += 1
                totals.bytes += target.write(_record(totals.records, number, url, content_type, body))
    finally:
        if target is not None:
            target.close()
    return totals


def _copy(
    templates: Sequence[Template], number: int, shared: set[str] | None, totals: Totals
) -> Iterator[tuple[str, str, bytes]]:
    """URL, content type and body of each record of page `number`.

    Args:
        shared: addresses of shared pictures that have a record already; None: no image records.
    """
    repeated = number % SITE_PAGES == SITE_PAGES - 1
    seed = number - 1 if repeated else number
    template = templates[seed * 7919 % len(templates)]
    site = f"https://www.site{number // SITE_PAGES:05d}.example"
    parts = list(template.pieces)
    chosen = random.Random(seed).choices(template.words, k=len(template.word_places)) if template.words else ()
    for place, word in zip(template.word_places, chosen, strict=True):
        parts[place] = word
    for rank, (place, picture) in enumerate(template.pictures):
        if picture.icon or rank % SHARED_STEP == 1:
            url = f"https://static{number // SHARED_PAGES:03d}.example/{picture.name}"
            new = shared is not None and url not in shared
            if shared is not None:
                shared.add(url)
        else:
            url, new = f"{site}/{number:08d}/{rank}-{picture.name}", shared is not None
        parts[place] = url.encode()
        if new:
            totals.image_records += 1
            yield url, picture.content_type, commented(picture.data, url)
    totals.pages += 1
    totals.image_uses += len(template.pictures)
    yield f"{site}/{number:08d}/{template.name}", "text/html; charset=UTF-8", b"".join(parts)


def commented(data: bytes, text: str) -> bytes:
    """The same picture with a comment, so that its bytes are its own; as it is if it is neither JPEG, PNG nor GIF."""
    comment = text.encode()
    if data.startswith(b"\xff\xd8"):
        return data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]
    if data.startswith(b"\x89PNG"):
        chunk = b"tEXtComment\0" + comment
        framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:33] + framed + data[33:]  # behind the IHDR chunk
    if data.startswith(b"GIF8"):
        return data + comment  # behind the trailer, which readers do not pass
    return data


def _record(serial: int, second: int, url: str, content_type: str, body: bytes) -> bytes:
    """A response record as a gzip member. Pictures are stored, not deflated: it would gain nothing."""
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_715_673_600 + second))
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{serial:012x}>\r\n"
        f"WARC-Date: {date}\r\nWARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http) + len(body)}\r\n\r\n"
    ).encode()
    level = 0 if content_type.startswith("image/") else 1
    member = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    return member.compress(b"".join((head, http, body, b"\r\n\r\n"))) + member.flush()


if __name__ == "__main__":
    main()
