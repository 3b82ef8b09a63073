"""Cuts of the demo crawl: real records, copied byte for byte."""

import gzip
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from test_demo_crawl import DEFECTS, DEMO, members_of

CRAWL = DEMO / "crawl.warc.gz"
_HEADERS = re.compile(rb"WARC-Type: (\w+).*?\r\n\r\n", re.DOTALL)
_URL = re.compile(rb"WARC-Target-URI: (\S+)")


class Record(NamedTuple):
    """A gzip member of the demo crawl."""

    kind: str
    """WARC-Type; "unreadable" if it does not inflate."""
    url: str
    stored: bytes
    """As it stands in the file."""


@lru_cache(maxsize=1)
def records() -> list[Record]:
    """All members of the demo crawl, in order."""
    found = []
    for stored in members_of(CRAWL.read_bytes()):
        try:
            plain = gzip.decompress(stored)
        except (zlib.error, gzip.BadGzipFile, EOFError):
            found.append(Record("unreadable", "", stored))
            continue
        match = _HEADERS.search(plain)
        url = _URL.search(match[0]) if match else None
        found.append(Record(match[1].decode() if match else "", url[1].decode() if url else "", stored))
    return found


def cut(path: Path, wanted: Callable[[Record], bool]) -> Path:
    """Writes the records that are wanted."""
    path.write_bytes(b"".join(record.stored for record in records() if wanted(record)))
    return path


def small(record: Record) -> bool:
    """A cut that shows most rules and builds in seconds: one site in English, some pages of another, all oddities."""
    odd = {url for defect in DEFECTS.values() for url in defect["urls"]}
    if record.kind == "request":
        return False
    if record.url.startswith("https://debian-handbook.info/"):
        return "/browse/stable/" in record.url or "/de-DE/" in record.url or "Common_Content" in record.url
    if record.url.startswith("https://scikit-image.org/"):
        return record.url in odd or "plot_holes" in record.url or "_images/sphx_glr_plot_l" in record.url
    return not record.url.startswith("https://docs.gimp.org/")
