"""Extractors, each writing a page as a list of slots; run as a program, since each peer lives where it is installed.

    python extraction_tools.py NAME PAGES URLS.json OUT.jsonl

writes a line {"name", "slots"} for each PAGES/*.html named in URLS.json, and prints as JSON the seconds of processor
time that extraction took, from the bytes of a page to its slots, reading and writing files not counted. Only the
standard library and the named extractor are imported.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

Slot = dict[str, str]
Extract = Callable[[bytes, str], list[Slot]]

PEERS = ("rs-trafilatura==0.1.1", "trafilatura==2.3.1", "readability-lxml==0.9", "resiliparse==2.0.1")
"""What an environment for the peers has to have."""
BLOCKS = frozenset(
    {"address", "article", "blockquote", "body", "br", "caption", "dd", "div", "dl", "dt", "figcaption", "figure",
     "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "item", "lb", "li", "list", "main", "ol", "p", "pre",
     "quote", "row", "cell", "section", "table", "td", "th", "tr", "ul"}
)  # fmt: skip


def openm3w(mode: str = "main") -> Extract:
    from dataclasses import replace

    from pipelines.extract.saved import extract_html, slots_json
    from pipelines.recipe import load_recipe
    from schemas.rejection import Rejected

    recipe = load_recipe("m3w")
    extraction = replace(recipe.extract, images="optional", mode=mode)

    def extract(page: bytes, url: str) -> list[Slot]:
        found = extract_html(page, url, decode=recipe.decode, parse=recipe.parse, extraction=extraction)
        return [] if isinstance(found, Rejected) else slots_json(found)

    return extract


def rs_trafilatura() -> Extract:
    extractor = importlib.import_module("rs_trafilatura")

    def extract(page: bytes, url: str) -> list[Slot]:
        found = extractor.extract_bytes(page, url=url, include_images=True)
        pictures = [{"image": urljoin(url, picture.src)} for picture in found.images or () if picture.src]
        return [{"text": found.main_content or ""}, *pictures]  # it does not say where they stand

    return extract


def trafilatura(fast: bool = False) -> Extract:
    extractor, etree = importlib.import_module("trafilatura"), importlib.import_module("lxml.etree")

    def extract(page: bytes, url: str) -> list[Slot]:
        found = extractor.extract(page, url=url, fast=fast, include_images=True, output_format="xml")
        return slots_of(etree.fromstring(found), "graphic", url) if found else []

    return extract


def readability() -> Extract:
    extractor, html = importlib.import_module("readability"), importlib.import_module("lxml.html")

    def extract(page: bytes, url: str) -> list[Slot]:
        return slots_of(html.fromstring(extractor.Document(page).summary()), "img", url)

    return extract


def resiliparse() -> Extract:
    texts = importlib.import_module("resiliparse.extract.html2text")
    encoding = importlib.import_module("resiliparse.parse.encoding")

    def extract(page: bytes, url: str) -> list[Slot]:
        html = encoding.bytes_to_str(page, encoding.detect_encoding(page))
        return [{"text": texts.extract_plain_text(html, main_content=True, alt_texts=False, list_bullets=False)}]

    return extract


TOOLS: dict[str, Callable[[], Extract]] = {
    "OpenM3W": openm3w,
    "rs-trafilatura": rs_trafilatura,
    "trafilatura, fast": lambda: trafilatura(fast=True),
    "trafilatura": trafilatura,
    "readability-lxml": readability,
    "resiliparse": resiliparse,
    "OBELICS' rules": lambda: openm3w("obelics"),
}
OURS = frozenset({"OpenM3W", "OBELICS' rules"})
"""Tools that are in this environment, not in that of the peers."""


def slots_of(root: Any, picture: str, url: str) -> list[Slot]:
    """Texts and pictures of an lxml tree, in order."""
    slots: list[Slot] = []
    text: list[str] = []

    def image(address: str | None) -> None:
        slots.append({"text": "".join(text)})
        text.clear()
        if address:
            slots.append({"image": urljoin(url, address)})

    def walk(element: Any) -> None:
        block = element.tag in BLOCKS
        if element.tag == picture:
            image(element.get("src"))
        if not isinstance(element.tag, str):
            return
        text.append(("\n" if block else "") + (element.text or ""))
        for child in element:
            walk(child)
            text.append(child.tail or "")
        if block:
            text.append("\n")

    walk(root)
    image(None)
    return [slot for slot in slots if slot.get("text") or "image" in slot]


def main(name: str, pages: str, urls: str, out: str) -> None:
    extract = TOOLS[name]()
    addresses = json.loads(Path(urls).read_text(encoding="utf-8"))
    seconds, failed = 0.0, 0
    with Path(out).open("w", encoding="utf-8") as lines:
        for page, url in sorted(addresses.items()):
            data = Path(pages, f"{page}.html").read_bytes()
            began = time.process_time()
            try:
                slots = extract(data, url)
            except Exception:  # a peer's own trouble with a page is an empty page
                slots, failed = [], failed + 1
            seconds += time.process_time() - began
            lines.write(json.dumps({"name": page, "slots": slots}) + "\n")
    print(json.dumps({"seconds": seconds, "pages": len(addresses), "failed": failed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
