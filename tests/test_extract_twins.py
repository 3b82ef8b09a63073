"""Compiled or as plain Python, extraction makes the same document of a page."""

import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from extract_page import EXTRACT, FULL, PAGES, URL, parsed

from pipelines.extract import layout
from pipelines.extract.document import extract
from pipelines.extract.parse import ParsedPage

ROOT = Path(__file__).parents[1]
AS_SOURCE = """
import pickle, sys
from importlib.machinery import FileFinder, SourceFileLoader

class Sources:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("pipelines.extract."):
            return FileFinder(path[0], (SourceFileLoader, [".py"])).find_spec(name)

sys.meta_path.insert(0, Sources())
sys.path.insert(0, "tests")
import test_extract_twins as twins
assert twins.layout.__file__.endswith(".py")
pickle.dump(twins.answers(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
"""
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
    done = subprocess.run(
        [sys.executable, "-c", AS_SOURCE], input=pickle.dumps(htmls), capture_output=True, cwd=ROOT, timeout=250
    )
    assert done.returncode == 0, done.stderr.decode()
    for index, (ours, theirs) in enumerate(zip(answers(htmls), pickle.loads(done.stdout), strict=True)):
        assert ours == theirs, htmls[index // 2]
