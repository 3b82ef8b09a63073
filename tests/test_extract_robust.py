"""Pages made to be slow or to break something. What bounds them is the time limit of the test run, and the answer."""

import random

import pytest
from extract_page import EXTRACT, FULL, PAGES, parsed

from pipelines.extract.document import extract
from pipelines.extract.html.parse import ParsedPage
from schemas.document import Document
from schemas.rejection import Rejected

MANY = 100_000


def answer(html: str) -> str:
    """The reason of a refusal, or "" for a document."""
    page = parsed(html)
    if isinstance(page, Rejected):
        return page.reason
    found = extract(page, EXTRACT)
    return found.reason if isinstance(found, Rejected) else ""


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>words</p>" + "<img src='a.png'>" * MANY, "too_many_images"),
        ("<figure>" + "<img src=a.png>t<figcaption>c</figcaption>" * (MANY // 4) + "</figure>", "too_many_images"),
        ("words<picture>" + "<source srcset=a.png>" * MANY + "<img src=b.png></picture>", ""),
        ("<img src=a.png>words<noscript><img src=b.png></noscript>" * (MANY // 4), "too_many_images"),
        ("<p>words <img srcset='" + ", ".join(f"/{i}.png {i}w" for i in range(1, MANY)) + "'>", ""),
        ("<p>words <img srcset='" + "," * 5_000_000 + "'>", ""),
        ("<p>words <img src='data:image/png;base64," + "A" * 8_000_000 + "'>", ""),
        ("<p class='" + "x " * 4_000_000 + "' style='" + ";display :" * 10_000 + "'>words", ""),
        ("<p>words</p><script>" + "if (a<b) {" * 500_000, ""),
        ("<p>words</p>" + "<a b='" * MANY, "too_many_attributes"),
        ("<p>words</p>" + "<" * 5_000_000, ""),
        ("<p>words</p>" + "&" * 5_000_000, ""),
        ("<p>words</p>" + "</p>" * 1_000_000, "too_many_elements"),
        ("<p>wo\x00rds</p>" * 10_000, ""),
        ("<b><i>" * 490 + "words", ""),
        ("<table><tr><td>" * 300 + "words", ""),
        ("<table><tr>" + "<td>w</td>" * MANY + "</table>", ""),
        ("<ul><li>w" * 450, ""),
        ("<figure><img src=a.png>w" * 900 + "<figcaption>c</figcaption>", "too_many_images"),
        ("<button>" * 900 + "<p>words", ""),
        ("<base href='" + "a/" * 4000 + "'><p>words</p>" + "<img src=x>" * 400, ""),
        ("words\ud800 \udfff", ""),
        ("<frameset><frame src=x></frameset>", "no_text"),
        ("<title>" + "words " * 500_000, "no_text"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_hostile_pages_get_an_answer(html: str, expected: str) -> None:
    assert answer(html) == expected


def test_texts_of_all_levels_are_there_in_order() -> None:
    page = parsed("".join(f"<div>w{i} " for i in range(900)))
    assert isinstance(page, ParsedPage)
    found = extract(page, FULL)
    assert isinstance(found, Document)
    assert found.text.split() == [f"w{i}" for i in range(900)]


@pytest.mark.parametrize("name", ["article.html", "divs.html", "forum.html", "listing.html"])
def test_broken_pages_get_an_answer(name: str) -> None:
    """Real markup cut, repeated and shuffled: never an exception, and no picture without an address."""
    whole = (PAGES / name).read_text(encoding="utf-8")
    chance = random.Random(name)
    for _ in range(300):
        html = whole
        for _ in range(chance.randint(1, 8)):
            a, b = sorted(chance.randrange(len(html) + 1) for _ in range(2))
            c = chance.randrange(len(html) + 1)
            html = chance.choice(
                (html[:a] + html[b:], html[:c] + html[a:b][:2000] + html[c:], html[:a] + "\x00<" + html[a:])
            )
        page = parsed(html)
        if isinstance(page, ParsedPage):
            for config in (EXTRACT, FULL):
                found = extract(page, config)
                assert isinstance(found, Rejected) or all(i.url.startswith("http") for i in found.images)
