"""WAT files: what Common Crawl (and the Internet Archive's tools) noted of each page, without the page itself.

A WAT is a WARC with one metadata record of JSON for each record of the crawl. That of a page lists its links by the
element and attribute they stood in ("IMG@/src"), an image's with its alt text, and the meta elements of its head. So it
gives pairs, though not what a page says around them, nor the width and height that it declares for an image.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pipelines.extract.html.address import resolve_url
from pipelines.sources.config import SourceConfig
from pipelines.sources.pair_fields import VIDEO_TYPES
from pipelines.sources.records import RawPair, SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.sources.warc import DATE, NAMED_TYPES, header_text, parsed
from pipelines.sources.warc_frames import Frame
from pipelines.sources.warc_records import read_records
from pipelines.web.opt_out import page_opt_out
from schemas.document import Source
from schemas.rejection import Rejected

WAT_SUFFIXES = (".wat", ".wat.gz")
_VIDEO_FILE = re.compile(rf"\.(?:{'|'.join(VIDEO_TYPES)})\Z", re.IGNORECASE)
_VIDEO_PATHS = ("VIDEO@/src", "SOURCE@/src", "A@/href", "EMBED@/src", "OBJECT@/data")
_OF_THE_PAGE = ("VIDEO@/src", "SOURCE@/src")  # a WAT notes no text of their own
_META_NAMES = ("robots", "x-robots-tag", "openm3w")
_TDM = "tdm-reservation"


def read_wat(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """The pairs of each page that a WAT tells of, or one refusal for a record without any; returns the span.

    Pages that opt out by a header or meta element are refused as a whole (`opted_out`).

    Raises:
        OSError: the file itself cannot be read.
    """

    def interpret(frame: Frame, source: Source, addressable: bool) -> Iterator[SourceRecord]:
        return _records(frame, source, config)

    return (yield from read_records(unit, config, interpret))


def _records(frame: Frame, source: Source, config: SourceConfig) -> Iterator[SourceRecord]:
    record = parsed(frame)
    url = header_text(record.headers, b"WARC-Target-URI").strip("<> ")
    kind = header_text(record.headers, b"WARC-Type").lower()
    found: list[RawPair] | Rejected
    if kind != "metadata":
        found = _other(kind)
    elif isinstance(noted := _envelope(record.reader.read()), Rejected):
        found = noted
    else:
        of = _table(noted, "WARC-Header-Metadata")
        url = _line(of, "WARC-Target-URI") or url
        date = _line(of, "WARC-Date") or header_text(record.headers, b"WARC-Date")
        source = replace(source, date=date if DATE.fullmatch(date) else "")
        found = _pairs(noted, _line(of, "WARC-Type").lower(), url, source, config)
    if isinstance(found, Rejected):
        yield Unreadable(rejected=found, url=url, source=source)
    else:
        yield from found


def _other(kind: str) -> Rejected:
    return Rejected(kind) if kind in NAMED_TYPES else Rejected("other_record_type", kind)


def _envelope(body: bytes) -> Mapping[str, Any] | Rejected:
    try:
        noted = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Rejected("bad_json", str(error))
    if not isinstance(noted, dict) or not isinstance(noted.get("Envelope"), dict):
        return Rejected("bad_json", "no Envelope, as a WAT has")
    envelope: dict[str, Any] = noted["Envelope"]
    return envelope


def _pairs(
    noted: Mapping[str, Any], kind: str, page_url: str, source: Source, config: SourceConfig
) -> list[RawPair] | Rejected:
    if kind not in ("response", "resource"):
        return _other(kind)
    response = _table(_table(noted, "Payload-Metadata"), "HTTP-Response-Metadata")
    status = _line(_table(response, "Response-Message"), "Status")
    if status and not status.startswith("2"):
        return Rejected("http_error_status", status)
    if not (page_url := resolve_url("", page_url)):
        return Rejected("missing_url", "no http or https address of the page")
    html = _table(response, "HTML-Metadata")
    if not html:
        return Rejected("not_html", _line(_table(response, "Headers"), "Content-Type"))
    head = _table(html, "Head")
    headers = {name.lower(): _lines(value) for name, value in _table(response, "Headers").items()}
    words = _robots(_entries(head.get("Metas")))
    if found := page_opt_out(headers, words, config.opt_out_tokens, config.tdm_reservation):
        return Rejected("opted_out", found)
    base = resolve_url(page_url, _line(head, "Base")) or page_url
    links = _entries(html.get("Links"))
    pairs: dict[tuple[str, str], RawPair] = {}
    wanted = _videos(links, base, _line(head, "Title")) if config.pairs_of == "videos" else _images(links, base)
    for address, text in wanted:
        if address and text:
            pairs.setdefault((address, text), RawPair(url=address, text=text, page_url=page_url, source=source))
    return list(pairs.values()) or Rejected("no_pairs", f"{len(links)} links, no {config.pairs_of} with a text")


def _images(links: Iterable[Mapping[str, Any]], base: str) -> Iterator[tuple[str, str]]:
    for link in links:
        if link.get("path") == "IMG@/src" and (text := _line(link, "alt")):
            yield resolve_url(base, _line(link, "url")), text


def _videos(links: Iterable[Mapping[str, Any]], base: str, title: str) -> Iterator[tuple[str, str]]:
    """Players and links to files of videos, with the link's text; a player's is the title of the page."""
    for link in links:
        path = link.get("path")
        if path not in _VIDEO_PATHS or not (address := resolve_url(base, _line(link, "url"))):
            continue
        if path == "VIDEO@/src" or _VIDEO_FILE.search(urlsplit(address).path):
            own = _line(link, "text") or _line(link, "title") or _line(link, "alt")
            yield address, own or (title if path in _OF_THE_PAGE else "")


def _robots(metas: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What meta elements for all robots or for us say on the use of the page."""
    for meta in metas:
        name = (_line(meta, "name") or _line(meta, "http-equiv")).lower()
        content = _line(meta, "content").lower()
        if name in _META_NAMES:
            yield from re.split(r"[\s,]+", content)
        elif name == _TDM and content == "1":
            yield _TDM


def _table(noted: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = noted.get(name)
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, dict)]


def _lines(value: object) -> list[str]:
    return [line for line in (value if isinstance(value, list) else [value]) if isinstance(line, str)]


def _line(noted: Mapping[str, Any], name: str) -> str:
    """A text, without spaces around it and half surrogate pairs, which are no characters; empty if there is none."""
    value = noted.get(name)
    value = str(value) if isinstance(value, int) else value
    return value.encode("utf-8", "replace").decode().strip() if isinstance(value, str) else ""
