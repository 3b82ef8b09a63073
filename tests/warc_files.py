"""WARC files for tests: written by warcio, or byte by byte where warcio would not write them."""

import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipelines.sources.config import SourceConfig
from pipelines.sources.inputs import read_unit
from pipelines.sources.records import RawMedia, RawPage, RawPair, SourceRecord, Unreadable
from pipelines.sources.units import Unit

CONFIG = SourceConfig(
    range_bytes=1 << 20,
    html_files_per_unit=3,
    max_body_bytes=1 << 20,
    max_skip_bytes=1 << 26,
    pairs_of="",
    tables="pages",
    url_column="url",
    html_column="html",
    date_columns=("date", "timestamp"),
    content_type_column="content_type",
    url_columns=("image_url", "video_url", "url"),
    text_columns=("caption", "text", "alt", "title"),
    page_url_columns=("page_url",),
    width_columns=("original_width", "width"),
    height_columns=("original_height", "height"),
    tsv_quotes=False,
    max_row_bytes=1 << 16,
    opt_out_tokens=("noai", "noimageai", "noml"),
    tdm_reservation=True,
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def page(text: str) -> bytes:
    return f"<!DOCTYPE html><html><head><title>{text}</title></head><body><p>{text}</p></body></html>".encode()


def record(
    block: bytes,
    url: str = "http://example.com/",
    kind: str = "response",
    content_type: str = "application/http; msgtype=response",
    extra: Sequence[str] = (),
    length: int | None = None,
) -> bytes:
    """One record as bytes, with the Content-Length given, true or not."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2024-05-06T07:08:09Z",
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>",
        f"Content-Type: {content_type}",
        *extra,
        f"Content-Length: {len(block) if length is None else length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def response(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK", **options: object) -> bytes:
    head = "\r\n".join([status, *headers]).encode("latin-1")
    return record(head + b"\r\n\r\n" + body, **options)  # type: ignore[arg-type]


def member(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


def by_warcio(compressed: bool, pages: int = 3) -> bytes:
    """A small crawl with records of every kind."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=compressed)
    writer.write_record(writer.create_warcinfo_record("crawl.warc", {"software": "test"}))
    for number in range(pages):
        url = f"http://example.com/{number}"
        html = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        # Text that does not compress well makes files of several kB from few records.
        noise = zlib.compress(str(number).encode() * 100).hex() + "".join(chr(33 + (i * 7919) % 90) for i in range(300))
        payload = io.BytesIO(page(noise.replace("<", "")))
        written = writer.create_warc_record(url, "response", payload=payload, http_headers=html)
        asked = StatusAndHeaders("GET / HTTP/1.1", [("Host", "example.com")], is_http_request=True)
        writer.write_request_response_pair(writer.create_warc_record(url, "request", http_headers=asked), written)
        picture = StatusAndHeaders("200 OK", [("Content-Type", "image/png")], protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(f"{url}.png", "response", payload=io.BytesIO(PNG), http_headers=picture)
        )
        writer.write_record(writer.create_revisit_record(url, "sha1:" + "A" * 32, url, "2024-01-01T00:00:00Z"))
        metadata = writer.create_warc_record(
            url, "metadata", payload=io.BytesIO(b"fetchTimeMs: 12"), warc_content_type="application/warc-fields"
        )
        writer.write_record(metadata)
    lost = StatusAndHeaders("404 Not Found", [("Content-Type", "text/html")], protocol="HTTP/1.1")
    writer.write_record(
        writer.create_warc_record("http://example.com/lost", "response", payload=io.BytesIO(b"no"), http_headers=lost)
    )
    return out.getvalue()


def read(path: Path, config: SourceConfig = CONFIG) -> list[SourceRecord]:
    """A whole file as one unit."""
    return list(read_unit(Unit(kind="warc", name=path.name, path=str(path), start=0, end=path.stat().st_size), config))


def read_bytes(folder: Path, data: bytes, name: str = "a.warc.gz", config: SourceConfig = CONFIG) -> list[SourceRecord]:
    path = folder / name
    path.write_bytes(data)
    return read(path, config)


def outcome(record: SourceRecord) -> str:
    """ "page URL", "image URL", "pair URL TEXT" or the reason of a refusal."""
    match record:
        case RawPage():
            return f"page {record.url}"
        case RawMedia():
            return f"image {record.url}"
        case RawPair():
            return f"pair {record.url} {record.text}"
        case Unreadable():
            return record.rejected.reason


def outcomes(records: Iterable[SourceRecord]) -> list[str]:
    return [outcome(record) for record in records]


def only(records: Sequence[SourceRecord]) -> SourceRecord:
    assert len(records) == 1, outcomes(records)
    return records[0]
