"""How extraction is scored: worked by hand, so that a figure in a table means what it says."""

import pytest

from benchmarks.extraction_scores import (
    Agreement,
    Pictures,
    pictures_of_page,
    same_grams,
    same_words,
    score,
    score_pictures,
)
from benchmarks.extraction_tools import slots_of

BEFORE, AFTER = "one two three four", "five six seven eight"
WANTED = [{"text": BEFORE}, {"images": ["https://a.example/1.jpg", "https://a.example/1-large.jpg"]}, {"text": AFTER}]


def test_bags_of_words() -> None:
    assert same_words("a b b c", "B a x") == Agreement.of(2 / 3, 2 / 4)
    assert same_words("", "") == Agreement(1, 1, 1)
    assert same_words("a", "") == same_words("", "a") == Agreement(0, 0, 0)


def test_grams_see_order() -> None:
    assert same_grams("a b c d e", "a b c d e") == Agreement(1, 1, 1)
    assert same_grams("a b c d e", "e d c b a") == Agreement(0, 0, 0)
    assert same_grams("a b c d e", "x a b c d") == Agreement.of(1 / 2, 1 / 2)
    assert same_grams("a b", "a b") == Agreement(1, 1, 1)  # shorter than a gram: as it is


@pytest.mark.parametrize(
    ("slots", "counts"),
    [
        ([{"text": BEFORE}, {"image": "http://a.example/1.jpg#x"}, {"text": AFTER}], (1, 1, 1, 1, 1)),
        ([{"text": BEFORE}, {"image": "https://a.example/1-large.jpg"}, {"text": AFTER}], (1, 1, 1, 1, 1)),
        ([{"image": "https://a.example/1.jpg"}, {"text": f"{BEFORE} {AFTER}"}], (1, 1, 1, 0, 1)),
        ([{"text": f"{BEFORE} {AFTER}"}, {"image": "https://a.example/1.jpg"}], (1, 1, 1, 0, 1)),
        ([{"image": "https://a.example/1.jpg"}], (1, 1, 1, 0, 0)),
        ([{"text": BEFORE}, {"image": "https://a.example/2.jpg"}], (0, 1, 1, 0, 0)),
        ([{"text": BEFORE}], (0, 0, 1, 0, 0)),
    ],
)
def test_pictures_and_their_places(slots: list[dict[str, str]], counts: tuple[int, ...]) -> None:
    assert pictures_of_page(WANTED, slots) == Pictures(*counts)


def test_a_picture_counts_once() -> None:
    twice = [{"text": BEFORE}, *(2 * [{"image": "https://a.example/1.jpg"}]), {"text": AFTER}]
    assert pictures_of_page(WANTED, twice) == Pictures(1, 1, 1, 1, 1)
    both = [{"image": "https://a.example/1.jpg"}, {"image": "https://a.example/1-large.jpg"}]
    assert pictures_of_page(WANTED, both) == Pictures(1, 2, 1, 0, 0)


def test_tracks() -> None:
    annotations = {
        "a": {"track": "wcxb", "type": "forum", "text": "a b"},
        "b": {"track": "wcxb", "type": "article", "text": "a b"},
        "c": {"track": "snippets", "with": ["in  it", "gone"], "without": ["not this"]},
        "d": {"track": "readability", "slots": WANTED},
    }
    found = {
        "a": [{"text": "a"}],
        "c": [{"text": "it is in\nit and not this"}],
        "d": [{"text": f"{BEFORE} {AFTER}"}],
    }
    scores = score(annotations, found)
    assert scores["wcxb forum"] == Agreement(1, 0.5, pytest.approx(2 / 3))
    assert scores["wcxb article"] == Agreement(0, 0, 0)  # no line: extracted empty
    assert scores["wcxb"] == Agreement(0.5, 0.25, pytest.approx(1 / 3))
    assert scores["snippets"] == Agreement.of(1 / 2, 1 / 2)
    assert scores["readability"] == Agreement(1, 1, 1)
    assert score_pictures(annotations, found) == {"d": Pictures(wanted=1)}


def test_a_tree_of_a_peer_as_slots() -> None:
    from lxml import html

    root = html.fromstring("<div><p>One <b>two</b> three<img src='a.png'> four</p><p>Five</p></div>")
    slots = slots_of(root, "img", "https://a.example/b/")
    assert [" ".join(slot["text"].split()) if "text" in slot else slot for slot in slots] == [
        "One two three", {"image": "https://a.example/b/a.png"}, "four Five"
    ]  # fmt: skip
