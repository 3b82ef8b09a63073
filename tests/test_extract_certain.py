"""What is never content, by what the page calls it."""

from array import array

import pytest
from extract_page import parsed

from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tree import look
from pipelines.extract.text.certain import certain, drop_permalinks
from pipelines.extract.text.text_blocks import find_blocks

LONG = "The harbour office prints a table of the tides for every day of the year. " * 5


def reason(block: str) -> str:
    """What is said against the word "here" in a block of an article."""
    page = parsed(f"<body><article><p>{LONG}</p>{block}<p>end</p></article>")
    assert isinstance(page, ParsedPage)
    blocks = find_blocks(look(page.tree))
    found = certain(blocks, array("i", [1000]) * blocks.count, 100)
    texts = [blocks.text(block) for block in range(blocks.count)]
    assert set(found) <= {texts.index("here")}
    return found.get(texts.index("here"), "")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("<nav>here</nav>", "navigation"),
        ("<nav><ul><li><a href=/>here</a></ul></nav>", "navigation"),
        ("<footer><p>here</footer>", "footer"),
        ("<aside>here</aside>", "aside"),
        ('<div role="navigation">here</div>', "navigation"),
        ('<div role=" Complementary ">here</div>', "aside"),
        ('<div role="dialog"><p>here</div>', "dialog"),
        ('<div class="cookie-notice">here</div>', "consent"),
        ('<div id="onetrust"><div><p>here</div></div>', "consent"),
        ('<div class="post_share">here</div>', "share"),
        ('<div class="postShare">here</div>', "share"),
        ('<div class="advert">here</div>', "advert"),
        ('<div class="has-icon ad-slot">here</div>', "advert"),
        ('<ol class="breadcrumbs"><li><a href="/">here</a></ol>', "navigation"),
        ('<section id="comments"><p>here</section>', "comments"),
    ],
)
def test_parts_that_say_what_they_are(block: str, expected: str) -> None:
    assert reason(block) == expected


@pytest.mark.parametrize(
    "block",
    [
        "<p>here",
        '<div class="update-box">here</div>',
        '<div class="shareholder">here</div>',
        '<div class="no-comments has-breadcrumbs">here</div>',
        '<div class="category-cookies">here</div>',
        '<h2 id="cookies-and-comments">here</h2>',
        '<div id="the-ads-of-1950">here</div>',
        '<section id="a-long-name-that-speaks-of-cookies-and-comments">here</section>',
        "<header><h2>here</h2></header>",
        f'<aside class="advert">here<p>{LONG * 3}</aside>',
    ],
)
def test_names_are_whole_words_and_most_of_a_page_is_believed(block: str) -> None:
    assert reason(block) == ""


def test_what_scored_low_is_not_asked_about() -> None:
    page = parsed("<nav>a</nav><p>b</p>")
    assert isinstance(page, ParsedPage)
    blocks = find_blocks(look(page.tree))
    assert certain(blocks, array("i", [99, 1000]), 100) == {}


def test_signs_that_link_to_their_own_place_go() -> None:
    page = parsed('<h2>one<a href="#one">¶</a></h2><p><a href="#a">a</a> <a href="/x">¶</a> <a href="#b">&#182; </a>')
    assert isinstance(page, ParsedPage)
    keep = bytearray(b"\1" * len(page.tree))
    drop_permalinks(page.tree, keep)
    assert [page.tree.text(node) for node in range(len(keep)) if not keep[node]] == ["¶", "¶ "]


def test_many_parts_in_each_other_cost_little() -> None:
    """Each holds all the page and is believed, so each is asked about."""
    page = parsed("<nav>" * 900 + "<p>one two three</p>" * 20_000)
    assert isinstance(page, ParsedPage)
    blocks = find_blocks(look(page.tree))
    blocks.texts, blocks.containers = texts, containers = Counted(blocks.texts), Counted(blocks.containers)
    assert certain(blocks, array("i", [1000]) * blocks.count, 100) == {}
    assert texts.asked + containers.asked < 900 * 40 + 20_000


class Counted(array):  # type: ignore[type-arg]
    """Counts how often it is asked for one of its values."""

    asked = 0

    def __new__(cls, values: "array[int]") -> "Counted":
        return super().__new__(cls, "i", values)

    def __getitem__(self, at: object) -> object:  # type: ignore[override]
        self.asked += 1
        return super().__getitem__(at)  # type: ignore[call-overload]
