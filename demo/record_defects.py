"""Defects of records and of how pages are transferred, which leave the pages themselves as they are."""

import gzip
from dataclasses import replace

import brotli  # type: ignore[import-untyped]
import zstandard

from demo.defects import HTML, Crawl, Defect, change, document
from demo.exchange import Exchange
from demo.pages import BOOK, GIMP, SKIMAGE


def add_record_defects(crawl: Crawl) -> list[Defect]:
    """Puts every defect of this module into the crawl and says what was done. To be called last."""
    return [*_answers(crawl), _warc_truncated(crawl), *_transfer(crawl), _corrupt(crawl), _cut(crawl)]


def _answers(crawl: Crawl) -> list[Defect]:
    missing, moved = f"{BOOK}sect.no-such-section.html", f"{BOOK}sect.ssh.html"
    unavailable, empty = f"{SKIMAGE}auto_examples/plot_busy.html", f"{SKIMAGE}empty.html"
    again = f"{BOOK}sect.selinux.html"
    target = f"{BOOK}sect.remote-login.html"
    for url, status, text, headers in (
        (missing, "404 Not Found", "The requested URL was not found on this server.", ()),
        (moved, "301 Moved Permanently", "The document has moved.", (("Location", target),)),
        (unavailable, "503 Service Unavailable", "Try again later.", (("Retry-After", "120"),)),
    ):
        body = document(status, f"<p>{text}</p>")
        crawl[url] = Exchange(url=url, body=body, content_type=HTML, status=status, headers=headers)
    crawl[empty] = Exchange(url=empty, body=b"", content_type=HTML)
    crawl[f"{again} again"] = replace(crawl[again], revisit_of=again, hours=24)
    return [
        Defect(
            name="not_found",
            urls=(missing, unavailable),
            what="error pages with status 404 and 503",
            expected="dropped for their HTTP status",
        ),
        Defect(name="redirect", urls=(moved, target), what="an answer 301", expected="dropped for its HTTP status"),
        Defect(name="empty", urls=(empty,), what="status 200 and no body", expected="dropped as empty"),
        Defect(
            name="revisit",
            urls=(again,),
            what="a revisit record a day later: same digest, no body",
            expected="counted as a revisit and passed over; the page itself stays",
        ),
    ]


def _warc_truncated(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.package-meta-information.html"
    whole = crawl[url].body
    change(
        crawl,
        url,
        body=whole[: len(whole) * 3 // 5],
        headers=(("Content-Length", str(len(whole))),),
        warc_headers=(("WARC-Truncated", "length"),),
    )
    return Defect(
        name="warc_truncated",
        urls=(url,),
        what="the crawler stored three fifths of the page and says WARC-Truncated: length",
        expected="counted; dropped, or read as far as it goes, as the recipe says",
        altered=True,
    )


def _chunked(body: bytes, size: int = 4000) -> bytes:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def _encoded(name: str, body: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """The body as it goes over the wire, and the headers that say so, rightly or not."""
    chunked = ("Transfer-Encoding", "chunked")
    zipped = ("Content-Encoding", "gzip")
    match name:
        case "gzip":
            return gzip.compress(body, mtime=0), (zipped,)
        case "br":
            return brotli.compress(body), (("Content-Encoding", "br"),)
        case "zstd":
            return zstandard.compress(body), (("Content-Encoding", "zstd"),)
        case "chunked":
            return _chunked(body), (chunked,)
        case "chunked_gzip":
            return _chunked(gzip.compress(body, mtime=0)), (chunked, zipped)
        case "bad_chunking":
            return body, (chunked,)
        case "encoding_lie":
            return body, (zipped,)
        case "content_length_short":
            return body, (("Content-Length", "1000"),)
    raise ValueError(name)


def _transfer(crawl: Crawl) -> list[Defect]:
    pages = iter(
        sorted(
            url for url, exchange in crawl.items() if url.startswith(f"{GIMP}gimp-") and exchange.content_type == HTML
        )
    )

    def encode(name: str, count: int, what: str, expected: str = "read as any other page") -> Defect:
        urls = tuple(next(pages) for _ in range(count))
        for url in urls:
            body, headers = _encoded(name, crawl[url].body)
            change(crawl, url, body=body, headers=headers)
        return Defect(name=name, urls=urls, what=what, expected=expected)

    return [
        encode("gzip", 12, "Content-Encoding: gzip"),
        encode("br", 6, "Content-Encoding: br"),
        encode("zstd", 2, "Content-Encoding: zstd"),
        encode("chunked", 6, "Transfer-Encoding: chunked"),
        encode("chunked_gzip", 3, "chunked and gzip"),
        encode("bad_chunking", 1, "says chunked, and is not", "read as it is"),
        encode("encoding_lie", 1, "says gzip, and is not", "read as it is"),
        encode("content_length_short", 1, "the HTTP Content-Length is 1000", "the whole page is read"),
    ]


def _corrupt(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.quotas.html"
    change(crawl, url, damage="corrupt")
    return Defect(
        name="corrupt_member",
        urls=(url,),
        what="64 bytes amid the record's gzip member are overwritten; good records follow",
        expected="one record is counted as unreadable; every later one is read",
    )


def _cut(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.dhcp.html"
    crawl[url] = replace(crawl.pop(url), damage="cut")
    return Defect(
        name="cut_member",
        urls=(url,),
        what="the file ends amid the gzip member of its last record",
        expected="one record is counted as unreadable",
    )
