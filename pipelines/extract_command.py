"""`m3w extract`: what extraction makes of one page, or of a folder or tar of pages."""

import gzip
import json
import lzma
import multiprocessing
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.extract.config import ExtractConfig
from pipelines.extract.explain import Explanation, explain, lines
from pipelines.extract.saved import extract_html, parse_saved, show, slots_json
from pipelines.extract.side_by_side import side_by_side
from pipelines.filters.page_url import host_and_path
from pipelines.recipe import Recipe
from pipelines.shard_files import DamageError
from schemas.document import Document
from schemas.rejection import Rejected
from schemas.shard import sample_json

ADDRESS = "https://page.invalid/"
"""Stands for a page whose address nobody gave: a reserved name."""
SUFFIXES = (".html", ".htm", ".xhtml")


def read_pages(path: str) -> Iterator[tuple[str, bytes]]:
    """(NAME, bytes) of the NAME.html in a file, folder or tar, sorted by name in a folder.

    What has such a name but is no file (a FIFO, a link that leads nowhere) is told on stderr and left out.

    Raises:
        ValueError: there is no page.
        DamageError: the tar is none, or damaged.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and not p.is_dir())
        if not found:
            raise ValueError(f"{path}: no {', '.join(SUFFIXES)} files in this folder")
        for page in found:
            if page.is_file():
                yield str(page.relative_to(place).with_suffix("")), page.read_bytes()
            else:
                print(f"{page}: no file, or a link that leads nowhere: left out", file=sys.stderr)
    elif ".tar" in place.suffixes:
        try:
            empty = True
            with tarfile.open(place) as tar:
                for name, data in _pages_in(tar):
                    empty = False
                    yield name, data
            if empty:
                raise ValueError(f"{path}: no {', '.join(SUFFIXES)} files in this archive")
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            said = str(error).partition("\n")[0].rstrip(":")
            raise DamageError(f"{path}: no tar archive, or a damaged one: {said}") from error
    else:
        yield place.stem, place.read_bytes()


def _pages_in(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        if not member.name.lower().endswith(SUFFIXES):
            continue
        try:
            data = tar.extractfile(member)
        except (KeyError, RecursionError):  # links to each other
            print(f"{member.name}: a link that leads nowhere in the archive: left out", file=sys.stderr)
            continue
        if data is not None:
            yield str(Path(member.name).with_suffix("")), data.read()


def document_of(name: str, data: bytes, url: str, urls: Mapping[str, str], recipe: Recipe) -> Document | Rejected:
    """A page's document."""
    address = urls.get(name, url or ADDRESS)
    return extract_html(data, address, decode=recipe.decode, parse=recipe.parse, extraction=_extraction(recipe))


def explain_page(path: str, url: str, urls: str, recipe: Recipe, html: str) -> Iterator[str]:
    """The lines of `m3w extract --why`; with `html`, the path of a file, that file is written too.

    Raises:
        ValueError, DamageError: as `read_pages` and `load_urls` do; or `html` is wanted of several pages.
    """
    if html and (Path(path).is_dir() or ".tar" in Path(path).suffixes):
        raise ValueError("--html shows one page, not a folder or archive of them")
    known = load_urls(urls)
    for name, data in read_pages(path):
        address = known.get(name, checked_url(url, "--url ") if url else ADDRESS)
        page = parse_saved(data, address, recipe.decode, recipe.parse)
        found = Explanation((), page) if isinstance(page, Rejected) else explain(page, _extraction(recipe))
        yield f"=== {name}"
        yield from lines(found)
        if isinstance(found.result, Rejected):
            yield f"refused\t{found.result.reason}\t{found.result.detail}"
        if html:
            Path(html).write_text(side_by_side(name, address, found), encoding="utf-8")


def _extraction(recipe: Recipe) -> ExtractConfig:
    """How many pictures the recipe wants, and that they can be fetched, is a matter of the job."""
    return replace(recipe.extract, images="optional", data_images=True)


def load_urls(path: str) -> dict[str, str]:
    """NAME -> address; values may be addresses or objects with a "url".

    A value that is no absolute address is told on stderr, and its page has none.

    Raises:
        ValueError: the file is not such an object in JSON; the message names it.
    """
    if not path:
        return {}
    try:
        entries = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{path}: a JSON object that maps names of pages to addresses is wanted")
    urls: dict[str, str] = {}
    for name, entry in entries.items():
        url = entry.get("url") if isinstance(entry, dict) else entry
        try:
            urls[name] = checked_url(url, f"{path}: {name}: ")
        except ValueError as error:
            if not isinstance(url, str):
                raise
            print(f"{error}: the page is read as one without an address", file=sys.stderr)
    return urls


def checked_url(url: object, where: str) -> str:
    """The address of a page, if it can be one.

    Raises:
        ValueError: it cannot.
    """
    if not isinstance(url, str) or host_and_path(url) is None:
        raise ValueError(f"{where}{url!r} is no absolute http or https address")
    return url


def print_page(path: str, url: str, urls: str, recipe: Recipe, as_json: bool) -> int:
    """Prints each document, or why there is none (on stderr, but as JSON on stdout); how many documents there were.

    Raises:
        ValueError: there is no page, or an address of a page is none.
        DamageError: the tar is none, or damaged.
    """
    shown = 0
    if url:
        checked_url(url, "--url ")
    known = load_urls(urls)
    several = Path(path).is_dir() or ".tar" in Path(path).suffixes
    for name, data in read_pages(path):
        result = document_of(name, data, url, known, recipe)
        if isinstance(result, Rejected):
            if as_json:
                said = {"name": name, "rejected": {"reason": result.reason, "detail": result.detail}}
                print(json.dumps(said, ensure_ascii=False))
            else:
                print(f"{name}: {result.reason}: {result.detail}", file=sys.stderr)
            continue
        shown += 1
        if as_json:
            print(json.dumps(sample_json(result), ensure_ascii=False))
        else:
            print(f"=== {name}\n{show(result)}" if several else show(result))
    return shown


def write_slots(path: str, urls: str, out: str, recipe: Recipe, workers: int = 1) -> tuple[int, dict[str, int]]:
    """Writes a line {"name", "slots"} for each page, in their order.

    Args:
        workers: processes that extract.

    Returns:
        How many pages, and how many of them were refused (no slots) by reason.

    Raises:
        ValueError, DamageError: as `read_pages` and `load_urls` do.
    """
    line = partial(_slots_line, urls=load_urls(urls), recipe=recipe)
    refused: Counter[str] = Counter()
    count = 0
    with Path(out).open("w", encoding="utf-8") as lines:
        for written, reason in _in_processes(line, read_pages(path), workers):
            lines.write(written)
            count += 1
            if reason:
                refused[reason] += 1
    return count, dict(sorted(refused.items()))


def _slots_line(page: tuple[str, bytes], urls: Mapping[str, str], recipe: Recipe) -> tuple[str, str]:
    """A page's line, and why it was refused."""
    name, data = page
    result = document_of(name, data, "", urls, recipe)
    slots = [] if isinstance(result, Rejected) else slots_json(result)
    written = json.dumps({"name": name, "slots": slots}, ensure_ascii=False) + "\n"
    return written, result.reason if isinstance(result, Rejected) else ""


def _in_processes(
    line: partial[tuple[str, str]], pages: Iterable[tuple[str, bytes]], workers: int
) -> Iterator[tuple[str, str]]:
    if workers == 1:
        yield from map(line, pages)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(line, pages, chunksize=4)
