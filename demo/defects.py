"""What a defect of the demo crawl is, and the few edits that defects are made of."""

from dataclasses import dataclass, replace
from typing import Any

from demo.exchange import Exchange

Crawl = dict[str, Exchange]
"""Exchanges in the order of the file. The key is the URL, with a mark behind it where a URL was asked for twice."""

HTML = "text/html; charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class Defect:
    """Something wrong with the crawl, put there on purpose."""

    name: str
    urls: tuple[str, ...]
    what: str
    expected: str
    """What OpenM3W is expected to do with it."""
    altered: bool = False
    """Whether the content of a page or picture is not what its authors published."""


def change(crawl: Crawl, key: str, **changes: Any) -> None:
    """Replaces fields of an exchange, in its place."""
    crawl[key] = replace(crawl[key], **changes)


def edit(crawl: Crawl, key: str, old: bytes, new: bytes) -> None:
    """Replaces the first `old` in a page.

    Raises:
        ValueError: the page does not hold it: the packages are not those this was written for.
    """
    body = crawl[key].body
    if old not in body:
        raise ValueError(f"{key} does not contain {old!r}")
    change(crawl, key, body=body.replace(old, new, 1))


def plot_pages(crawl: Crawl) -> list[str]:
    """URLs of scikit-image's examples: BSD licence, so they may be altered freely. By name."""
    return sorted(key for key, exchange in crawl.items() if b"sphx-glr-single-img" in exchange.body)


def document(title: str, text: str) -> bytes:
    """A small page written for the crawl."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><title>{title}</title></head>
<body>
<h1>{title}</h1>
{text}
</body></html>
""".encode()
