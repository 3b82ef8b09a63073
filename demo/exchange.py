"""One request and its answer as the demo crawl records them, and how they become WARC records."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from warcio.recordloader import ArcWarcRecord  # type: ignore[import-untyped]
from warcio.statusandheaders import StatusAndHeaders  # type: ignore[import-untyped]
from warcio.warcwriter import WARCWriter  # type: ignore[import-untyped]

START = datetime(2024, 5, 14, 8, 0, 0, tzinfo=UTC)
"""When the crawl says it began. Fixed, so that the same pages give the same bytes."""

AGENT = "openm3w-demo-crawl/1.0 (made from Debian packages, nothing was fetched)"

Damage = Literal["", "corrupt", "cut"]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What a crawler asked for and what came back."""

    url: str
    body: bytes
    """As it came over the wire: compressed or chunked if `headers` say so."""
    content_type: str
    """Value of the Content-Type header; empty: no such header."""
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = ()
    """Further HTTP headers. A Content-Length here replaces the right one."""
    warc_headers: tuple[tuple[str, str], ...] = ()
    revisit_of: str = ""
    """URL whose answer this one repeats; the record then is a revisit, without the body."""
    hours: float = 0.0
    """Added to the time at which the exchange's place in the file says it was made."""
    damage: Damage = ""
    """corrupt: bytes amid the response's gzip member are overwritten; cut: the file ends amid it."""


def write_crawl(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Writes a WARC 1.0 file, one gzip member a record: warcinfo, then request and response of every exchange.

    The same exchanges give the same bytes (with the same zlib). A cut exchange must be the last.
    """
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=True)
        out.write(_member(_warcinfo(writer, path.name)))
        dates: dict[str, datetime] = {}
        for place, exchange in enumerate(exchanges):
            date = START + timedelta(seconds=2 * place, hours=exchange.hours)
            repeated = dates.get(exchange.revisit_of, START)
            dates.setdefault(exchange.url, date)
            identity = f"{date.isoformat()} {exchange.url} {sha256(exchange.body).hexdigest()}"
            response_id = _record_id(f"response {identity}")
            out.write(_member(_request(writer, exchange, _record_id(f"request {identity}"), response_id, date)))
            out.write(_damaged(_member(_response(writer, exchange, response_id, date, repeated)), exchange.damage))
            if exchange.damage == "cut":
                return


def _record_id(identity: str) -> str:
    return f"<urn:uuid:{uuid5(NAMESPACE_URL, identity)}>"


def _iso(date: datetime) -> str:
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def _member(record: ArcWarcRecord) -> bytes:
    out = io.BytesIO()
    WARCWriter(out, gzip=True).write_record(record)
    return out.getvalue()


def _damaged(member: bytes, damage: Damage) -> bytes:
    middle = len(member) // 2
    if damage == "cut":
        return member[:middle]
    if damage == "corrupt":
        return member[:middle] + b"\xff" * 64 + member[middle + 64 :]
    return member


def _warcinfo(writer: WARCWriter, name: str) -> ArcWarcRecord:
    info = {
        "software": "OpenM3W demo/make_crawl.py",
        "format": "WARC File Format 1.0",
        "description": "Pages of Debian packages in the form of a crawl; see demo/README.md and demo/NOTICES.md",
    }
    record = writer.create_warcinfo_record(name, info)
    record.rec_headers.replace_header("WARC-Date", _iso(START))
    record.rec_headers.replace_header("WARC-Record-ID", _record_id(f"warcinfo {name}"))
    return record


def _request(writer: WARCWriter, exchange: Exchange, record_id: str, response_id: str, date: datetime) -> ArcWarcRecord:
    parts = urlsplit(exchange.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    http = StatusAndHeaders(
        f"GET {target} HTTP/1.1",
        [("Host", parts.netloc), ("User-Agent", AGENT), ("Accept", "*/*")],
        is_http_request=True,
    )
    return writer.create_warc_record(
        exchange.url,
        "request",
        http_headers=http,
        warc_headers_dict={
            "WARC-Record-ID": record_id,
            "WARC-Date": _iso(date),
            "WARC-Concurrent-To": response_id,
        },
    )


def _response(
    writer: WARCWriter, exchange: Exchange, record_id: str, date: datetime, repeated: datetime
) -> ArcWarcRecord:
    headers = [("Date", format_datetime(date, usegmt=True)), ("Server", "Apache")]
    if exchange.content_type:
        headers.append(("Content-Type", exchange.content_type))
    names = {name.lower() for name, _ in exchange.headers}
    if not names & {"content-length", "transfer-encoding"}:
        headers.append(("Content-Length", str(len(exchange.body))))
    http = StatusAndHeaders(exchange.status, [*headers, *exchange.headers], protocol="HTTP/1.1")
    warc_headers = {"WARC-Record-ID": record_id, "WARC-Date": _iso(date), **dict(exchange.warc_headers)}
    if exchange.revisit_of:
        # create_revisit_record takes the digest of the answer that is repeated, as warcio itself computes it.
        whole = writer.create_warc_record(
            exchange.url, "response", payload=io.BytesIO(exchange.body), http_headers=http
        )
        writer.ensure_digest(whole, block=False, payload=True)
        digest = whole.rec_headers.get_header("WARC-Payload-Digest")
        return writer.create_revisit_record(
            exchange.url, digest, exchange.revisit_of, _iso(repeated), http_headers=http, warc_headers_dict=warc_headers
        )
    return writer.create_warc_record(
        exchange.url, "response", payload=io.BytesIO(exchange.body), http_headers=http, warc_headers_dict=warc_headers
    )
