"""`m3w extract`: what extraction makes of one page, or of a folder or tar of pages."""

import json
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.extract.saved import extract_html, show, slots_json
from pipelines.recipe import Recipe
from schemas.document import Document
from schemas.rejection import Rejected
from schemas.shard import sample_json

ADDRESS = "https://page.invalid/"
"""Stands for a page whose address nobody gave: a reserved name."""
SUFFIXES = (".html", ".htm", ".xhtml")


def read_pages(path: str) -> Iterator[tuple[str, bytes]]:
    """(NAME, bytes) of the NAME.html in a file, folder or tar, sorted by name in a folder.

    Raises:
        ValueError: there is no page.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise ValueError(f"{path}: no {', '.join(SUFFIXES)} files in this folder")
        for page in found:
            yield str(page.relative_to(place).with_suffix("")), page.read_bytes()
    elif ".tar" in place.suffixes:
        with tarfile.open(place) as tar:
            for member in tar:
                data = tar.extractfile(member) if member.name.lower().endswith(SUFFIXES) else None
                if data is not None:
                    yield str(Path(member.name).with_suffix("")), data.read()
    else:
        yield place.stem, place.read_bytes()


def document_of(name: str, data: bytes, url: str, urls: Mapping[str, str], recipe: Recipe) -> Document | Rejected:
    address = urls.get(name, url or ADDRESS)
    return extract_html(data, address, decode=recipe.decode, parse=recipe.parse, extraction=recipe.extract)


def load_urls(path: str) -> dict[str, str]:
    """NAME -> address; values may be addresses or objects with a "url"."""
    if not path:
        return {}
    entries: dict[str, str | dict[str, str]] = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: entry if isinstance(entry, str) else entry["url"] for name, entry in entries.items()}


def print_page(path: str, url: str, urls: str, recipe: Recipe, as_json: bool) -> int:
    """Prints each document, or on stderr why there is none; how many documents there were."""
    shown = 0
    known = load_urls(urls)
    several = Path(path).is_dir() or ".tar" in Path(path).suffixes
    for name, data in read_pages(path):
        result = document_of(name, data, url, known, recipe)
        if isinstance(result, Rejected):
            print(f"{name}: {result.reason}: {result.detail}", file=sys.stderr)
            continue
        shown += 1
        if as_json:
            print(json.dumps(sample_json(result), ensure_ascii=False))
        else:
            print(f"=== {name}\n{show(result)}" if several else show(result))
    return shown


def write_slots(path: str, urls: str, out: str, recipe: Recipe) -> tuple[int, int]:
    """Writes a line {"name", "slots"} for each page; how many, and how many of them were refused (no slots)."""
    known = load_urls(urls)
    count = refused = 0
    with Path(out).open("w", encoding="utf-8") as lines:
        for name, data in read_pages(path):
            result = document_of(name, data, "", known, recipe)
            refused += isinstance(result, Rejected)
            slots = [] if isinstance(result, Rejected) else slots_json(result)
            lines.write(json.dumps({"name": name, "slots": slots}, ensure_ascii=False) + "\n")
            count += 1
    return count, refused
