"""Broken pages for the extractor, made from real ones, and what has to hold for each; `make fuzz` runs very many.

    python tests/fuzz_extract.py --inputs 100000 --seed 1        mutations by chance
    python tests/fuzz_extract.py --guided --inputs 100000        guided by coverage; needs atheris (pip install atheris)

An input that breaks something is written to build/fuzz/ and named; with its path as an argument it is tried again.
"""

import argparse
import gzip
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from crawls import records

from pipelines.extract.document import extract
from pipelines.extract.html.charset import decode_html
from pipelines.extract.html.nodes import INVISIBLE
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.parse import parse_html
from pipelines.extract.html.tags import TEXT
from pipelines.extract.saved import slots_json
from pipelines.recipe import load_recipe
from pipelines.sources.records import RawPage
from schemas.document import Document, Image, Source, Text
from schemas.rejection import Rejected

URL = "https://site.example/a/page.html"
FIXTURES = Path(__file__).parent / "fixtures" / "pages"
FOUND = Path("build/fuzz")
_LONGEST_SEED = 60_000
_LONGEST = 100_000
_RECIPE = load_recipe("m3w")
_EVERYTHING = {"images": "optional", "posters": True, "backgrounds": True, "data_images": True, "page_image": True}
CONFIGS = (
    replace(_RECIPE.extract, images="optional"),
    replace(_RECIPE.extract, mode="full", prefer_linked_image=True, **_EVERYTHING),
    replace(_RECIPE.extract, mode="obelics", images="optional"),
)
# What broken pages are made of: markup, references, bytes that are no text.
TOKENS = (
    b"<p>", b"</p>", b"<div hidden>", b"<div style='display:none'>", b"<div class=sr-only>", b"</div>",
    b"<a href=/x>", b"</a>", b"<a href='//h/y?a;b'>", b"<img src=a.png>",
    b"<img srcset='a.png 1x, b,c.png 2x,' width=9>", b"<picture>", b"<source srcset=c.webp media='(min-width: 9em)'>",
    b"</picture>", b"<figure>", b"<figcaption>", b"</figure>", b"<noscript>", b"</noscript>",
    b"<img data-src=/d.jpg src='data:image/gif;base64,AAAA'>", b"<ul><li>", b"<ol start=-3>",
    b"<ol reversed><li value=7>", b"</ul>", b"<table><tr><td>", b"<td>", b"<tr>", b"</table>", b"<pre>\n\n",
    b"</pre>", b"<br>", b"<button>", b"<template>", b"</template>", b"<svg>", b"<math><mi>", b"</svg>",
    b"<select><option>", b"</select>", b"<script>", b"</script>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<style>",
    b"</style>", b"<h2>", b"<title>", b"<base href='http://[b'>", b"<base href=/b/>", b"<meta charset=utf-16>",
    b"<meta charset=big5>", b"<meta charset=iso-2022-jp>", b"<form>", b"</form>", b"<b>", b"</b>", b"<plaintext>",
    b"<frameset>", b"<body class=x>", b"<html lang=y>", b"<video poster=p.jpg>",
    b"<div style='background:url(q.png)'>", b"<amp-img src=r.png>", b"&amp;", b"&nbsp;", b"&#0;", b"&#xD800;",
    b"&#x80;", b"&#9999999999;", b"&NotEqualTilde;", b"&copy", b"&", b"&#x1F600;", b"\0", b"\x0b", b"\r", b"\r\n",
    b"\t", b"\x1b$B", b"\x7f", b"\xff", b"\xc2", b"\xc2\xa0", b"\xc2\xad", b"\xc2\x85", b"\xe3\x80\x80",
    b"\xe2\x80\x83", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xef\xbf\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf5",
    b"\xe1\x9a\x80", b"\xfe\xff", b"<", b">", b"\"", b"'", b"=", b"/", b" ",
    b"a sentence that stands in the page and says next to nothing, but at some length, for it is prose. ",
)  # fmt: skip


def seeds() -> list[bytes]:
    """The pages of the fixtures and of the demo crawl, the longest left out."""
    pages = [path.read_bytes() for path in sorted(FIXTURES.glob("*.html"))]
    for record in records():
        if record.kind == "response":
            body = gzip.decompress(record.stored).split(b"\r\n\r\n", 2)[2]
            if b"<html" in body[:2000].lower() and len(body) < _LONGEST_SEED:
                pages.append(body)
    return pages


def mutations(pages: list[bytes], seed: int) -> Iterator[bytes]:
    """Broken pages without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        page = chance.choice(pages)
        start = chance.randrange(len(page) + 1)
        page = page[start : start + chance.choice((200, 1000, 5000, _LONGEST_SEED))] if chance.random() < 0.7 else page
        for _ in range(chance.randint(1, 12)):
            page = _changed(page, pages, chance)[:_LONGEST]
        yield page


def _changed(page: bytes, pages: list[bytes], chance: random.Random) -> bytes:
    """One change: a piece left out, doubled, moved, or put in from another page; a token, often or once; a byte."""
    a, b = sorted(chance.randrange(len(page) + 1) for _ in range(2))
    at = chance.randrange(len(page) + 1)
    token = chance.choice(TOKENS)
    match chance.randrange(8):
        case 0:
            return page[:a] + page[b:]
        case 1:
            return page[:b] + page[a:b][:2000] + page[b:]
        case 2:
            return page[:at] + page[a:b][:2000] + page[at:]
        case 3:
            other = chance.choice(pages)
            start = chance.randrange(len(other) + 1)
            return page[:at] + other[start : start + chance.randint(1, 3000)] + page[at:]
        case 4:
            return page[:at] + token * chance.choice((2, 5, 30, 300)) + page[at:]
        case 5:
            return page[:at] + bytes([chance.randrange(256)]) + page[at + 1 :]
    return page[:at] + token + page[at:]


def check(data: bytes) -> str:
    """Extract a page; what became of it: a reason of refusal, "images" or "text".

    Raises:
        AssertionError, or whatever the extractor raised: the input breaks it.
    """
    raw = RawPage(url=URL, body=data, content_type="text/html", source=Source())
    page = decode_html(raw, _RECIPE.decode)
    if isinstance(page, Rejected):
        return _refused(page)
    assert b"\0" not in page.utf8
    assert page.html.encode() == page.utf8
    parsed = parse_html(page, _RECIPE.parse)
    if isinstance(parsed, Rejected):
        return _refused(parsed)
    check_tree(parsed.tree)
    answer = ""
    for config in CONFIGS:
        found = extract(parsed, config)
        if isinstance(found, Rejected):
            answer = answer or _refused(found)
        else:
            check_document(found, len(page.utf8))
            assert len(found.images) <= config.max_images
            answer = answer or ("images" if found.images else "text")
    return answer


def _refused(answer: Rejected) -> str:
    assert answer.reason
    return answer.reason


def check_tree(tree: PageTree) -> None:
    """As many nodes at most as the source has bytes, each within the one that it stands in."""
    size = len(tree)
    assert size <= len(tree.source) + 1
    assert tree.ends[0] == size
    for node in range(1, size):
        parent = tree.parents[node]
        assert 0 <= parent < node < tree.ends[node] <= tree.ends[parent]
        assert 0 <= tree.starts[node] <= tree.stops[node] <= len(tree.source)
        assert tree.tags[node] != TEXT or tree.ends[node] == node + 1


def check_document(document: Document, source_bytes: int) -> None:
    """Slots in normal form, of clean text, and not much longer than the page."""
    last: Text | Image | None = None
    for slot in document.slots:
        if isinstance(slot, Text):
            assert slot.text
            assert not isinstance(last, Text)
            assert not INVISIBLE.search(slot.text)
            assert "\r" not in slot.text
            slot.text.encode()
        else:
            assert isinstance(slot, Image)
            assert slot.url.startswith(("http://", "https://", "data:image/")), slot.url
            assert not isinstance(last, Image) or last.url != slot.url
            for words in (slot.url, slot.alt, slot.title, slot.caption):
                assert words == " ".join(words.split()), words
                assert not INVISIBLE.search(words)
            assert slot.declared_width >= 0
            assert slot.declared_height >= 0
        last = slot
    assert not isinstance(last, Text) or last.text == last.text.rstrip()
    assert len(document.text) <= 4 * source_bytes + 100
    assert len(slots_json(document)) == len(document.slots)


def guided(inputs: int) -> None:
    """Let atheris look for inputs that reach new lines; it sees only modules that are not compiled."""
    import atheris

    atheris.instrument_all()
    corpus = FOUND / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(seeds()):
        (corpus / f"{number}.html").write_bytes(page[:20_000])
    dictionary = FOUND / "tokens.txt"
    dictionary.write_text("".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in token)}"\n' for token in TOKENS))
    arguments = [sys.argv[0], f"-dict={dictionary}", f"-artifact_prefix={FOUND}/", f"-runs={inputs}", str(corpus)]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--inputs", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--guided", action="store_true")
    options.add_argument("pages", nargs="*", type=Path, help="inputs to try again")
    given = options.parse_args()
    for path in given.pages:
        print(path, check(path.read_bytes()))
    if given.pages:
        return 0
    if given.guided:
        guided(given.inputs)
    answers: Counter[str] = Counter()
    broken = 0
    made = mutations(seeds(), given.seed)
    began = time.monotonic()
    for number in range(given.inputs):
        data = next(made)
        try:
            answers[check(data)] += 1
        except Exception as error:  # whatever it is, the input is kept
            broken += 1
            FOUND.mkdir(parents=True, exist_ok=True)
            path = FOUND / f"{given.seed}-{number}.html"
            path.write_bytes(data)
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
    said = ", ".join(f"{answer} {count:,}" for answer, count in answers.most_common())
    print(f"{given.inputs:,} inputs in {time.monotonic() - began:.0f} s, {broken} broke something; {said}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
