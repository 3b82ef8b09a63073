"""Extraction of one saved page, for a person at a terminal and for a script that scores."""

from collections.abc import Mapping

from pipelines.extract.config import ExtractConfig
from pipelines.extract.document import extract
from pipelines.extract.html.charset import CharsetConfig, decode_html
from pipelines.extract.html.parse import ParseConfig, ParsedPage, parse_html
from pipelines.extract.page import HtmlPage
from pipelines.sources.records import RawPage
from schemas.document import Document, Image, Source, Text
from schemas.rejection import Rejected


def extract_html(
    html: bytes | str,
    url: str,
    *,
    decode: CharsetConfig,
    parse: ParseConfig,
    extraction: ExtractConfig,
    headers: Mapping[str, list[str]] | None = None,
) -> Document | Rejected:
    """A page's document: decode (bytes only), parse, extract, as the job does with a page of a crawl.

    headers: HTTP response headers, names in lower case; content-type may name the encoding. The reason of a refusal is
    that of the first stage that refused.
    """
    parsed = parse_saved(html, url, decode, parse, headers)
    return parsed if isinstance(parsed, Rejected) else extract(parsed, extraction)


def parse_saved(
    html: bytes | str,
    url: str,
    decode: CharsetConfig,
    parse: ParseConfig,
    headers: Mapping[str, list[str]] | None = None,
) -> ParsedPage | Rejected:
    """The stages before extraction; arguments as in `extract_html`."""
    headers = dict(headers or {})
    page: HtmlPage | Rejected
    if isinstance(html, str):
        page = HtmlPage(
            url=url, utf8=html.encode("utf-8", "replace"), headers=headers, source=Source(), charset="utf-8"
        )
    else:
        content_type = (headers.get("content-type") or [""])[0]
        page = decode_html(
            RawPage(url=url, body=html, content_type=content_type, headers=headers, source=Source()), decode
        )
    return page if isinstance(page, Rejected) else parse_html(page, parse)


def show(document: Document) -> str:
    """The document for a person: its text with a line `[image: url "alt"]` where each picture stands."""
    lines: list[str] = []
    for slot in document.slots:
        if isinstance(slot, Text):
            lines.append(slot.text.strip("\n"))
        else:
            alt = f' "{slot.alt}"' if isinstance(slot, Image) and slot.alt else ""
            kind = "image" if isinstance(slot, Image) else "video"
            lines.append(f"[{kind}: {slot.url}{alt}]")
    return "\n\n".join(lines) + "\n"


def slots_json(document: Document) -> list[dict[str, str]]:
    """The slots in reading order as {"text": ...}, {"image": url} or {"video": url}."""
    rows = []
    for slot in document.slots:
        if isinstance(slot, Text):
            rows.append({"text": slot.text})
        else:
            rows.append({"image" if isinstance(slot, Image) else "video": slot.url})
    return rows
