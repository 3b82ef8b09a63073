"""Compiled or as plain Python, extraction makes the same document of a page."""

import random
from pathlib import Path

import pytest
from extract_page import EXTRACT, FULL, PAGES, URL, parsed
from plain_python import in_plain_python

from pipelines.extract import layout
from pipelines.extract.document import extract
from pipelines.extract.html.parse import ParsedPage

ROOT = Path(__file__).parents[1]
PIECES = (
    "<p>",
    "</p>",
    "<div class='a b'>",
    "</div>",
    "<div hidden>",
    "<div style='display: none'>",
    "<p class=sr-only>",
    "<a href=x>",
    "</a>",
    "<img src=a.png>",
    "<img src=/icons/b.gif width=20>",
    "<figure><img src=c.jpg><figcaption>",
    "</figure>",
    "<ul><li>",
    "<ol start=4><li>",
    "</ul>",
    "<table><tr><td>",
    "<td>",
    "<tr>",
    "</table>",
    "<pre>\n",
    "</pre>",
    "<br>",
    "<noscript><img src=d.png></noscript>",
    "<span aria-hidden=true>",
    "</span>",
    "<h2>",
    "</h2>",
    "<button>",
    "words of the page ",
    "caf\u00e9\u00a0 &nbsp;&amp; ",
    "\u3000\u4e2d\u6587\u3002",
    "\x0bx\x85y\u00ad",
    "&shy;&#8203;z ",
    "\r\n\t",
    "a long sentence that stands in the middle of the page and says next to nothing, but at some length. ",
)


def answers(htmls: list[str]) -> list[str]:
    found = []
    for html in htmls:
        page = parsed(html, url=URL)
        found += [repr(extract(page, config) if isinstance(page, ParsedPage) else page) for config in (EXTRACT, FULL)]
    return found


@pytest.mark.skipif(layout.__file__.endswith(".py"), reason="not compiled: `python setup.py build_ext --inplace`")
def test_compiled_and_plain_python_make_the_same_documents() -> None:
    chance = random.Random(5)
    htmls = [path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.html"))]
    for whole in tuple(htmls):
        for _ in range(30):
            a, b = sorted(chance.randrange(len(whole) + 1) for _ in range(2))
            htmls.append(whole[:a] + chance.choice(PIECES) + whole[b:])
    htmls += ["".join(chance.choices(PIECES, k=chance.randint(1, 60))) for _ in range(1500)]
    for index, (ours, theirs) in enumerate(zip(answers(htmls), in_plain_python(answers, htmls), strict=True)):
        assert ours == theirs, htmls[index // 2]
