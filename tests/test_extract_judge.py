"""The judge of text blocks: blocks, features, forests, the cut; and that compiled and plain Python agree."""

import random
from array import array
from pathlib import Path

import pytest
from extract_page import PAGES, URL, parsed
from plain_python import in_plain_python

from learn_extraction.labels import align, labels
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tree import look_at_all
from pipelines.extract.text import feature_rows, judge
from pipelines.extract.text.block_measures import MEASURES, WORDS, Blocks
from pipelines.extract.text.feature_rows import describe
from pipelines.extract.text.features import COLUMNS, DEPTH, FEATURES, LEAST, SECOND, SECTIONS, WIDTH
from pipelines.extract.text.forest import Forest
from pipelines.extract.text.judge import CERTAIN, COPY, KEPT, Judgement, best_cut, decide, forests
from pipelines.extract.text.page_features import PAGE, page_row
from pipelines.extract.text.second_look import look_again
from pipelines.extract.text.surroundings import survey
from pipelines.extract.text.text_blocks import find_blocks
from pipelines.extract.text.vocabulary import KINDS, NAMES, TEXTS, hash_table, word_hash

ROOT = Path(__file__).parents[1]
SENTENCE = "The river rose in the night, and in the morning the old bridge was gone. "


def blocks_of(html: str) -> Blocks:
    page = parsed(html)
    assert isinstance(page, ParsedPage), page
    return find_blocks(look_at_all(page.tree))


def texts(blocks: Blocks) -> list[str]:
    return [blocks.text(block) for block in range(blocks.count)]


def judged(html: str, url: str = URL) -> Judgement:
    page = parsed(html)
    assert isinstance(page, ParsedPage), page
    return judge.judge(look_at_all(page.tree), url)


def kept(html: str, url: str = URL) -> list[str]:
    found = judged(html, url)
    return [text for text, verdict in zip(texts(found.blocks), found.verdicts, strict=True) if verdict == KEPT]


def value(html: str, feature: str, block: int = 0, url: str = URL) -> int:
    return int(describe(blocks_of(html), url).values[block * WIDTH + FEATURES.index(feature)])


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>one <b>two</b> three<p>four", ["one two three", "four"]),
        ("<div>one<p>two</p>three</div>", ["one", "two", "three"]),
        ("<div>one<br>two<br><br>three</div>", ["onetwo", "three"]),
        ("<ul><li>one<li><a href=x>two</a></ul>", ["one", "two"]),
        ("<p>one<script>no()</script><style>no{}</style> two<!-- no -->", ["one two"]),
        ("<p>one<svg><text>no</text></svg><template>no</template> two", ["one two"]),
        ("<p hidden>one<p>two", ["one", "two"]),
        ("<p>a<p>b<p>c<p>d<p>e<noscript>no</noscript>", ["a", "b", "c", "d", "e"]),
        ("<noscript><p>one<p>two</noscript>", ["one", "two"]),
        ("<p> &nbsp; <p>one", ["", "one"]),
        ("<img src=a.png>", []),
    ],
)
def test_blocks(html: str, found: list[str]) -> None:
    assert texts(blocks_of(html)) == found


@pytest.mark.parametrize(
    ("html", "feature", "found"),
    [
        ("<p>One two, three. Four!", "words", 4),
        ("<p>One two, three. Four!", "sentences", 2),
        ("<p>One two, three. Four!", "commas", 1),
        ("<p>One two", "capitalized_share", 500),
        ("<p>caf\u00e9 &amp; th\u00e9", "words", 2),
        ("<p>caf\u00e9&nbsp;noir", "words", 2),
        ("<p>\u4e2d\u6587\u5b57\u3002", "sentences", 1),
        ("<p>one <a href=x>two three</a>", "link_words", 2),
        ("<p>costs &pound;3, \u20ac4 or $5", "currency", 2),
        ("<p>Read our cookie policy", "says_consent", 2),
        ("<div class='siteNav main'><p>one</div>", "called_navigation", 1000),
        ("<div class='site-nav'><p>one</div>", "called_navigation", 1000),
        ("<div id=relatedPosts><p>one</div>", "called_post", 1000),
        ("<div id=related-posts><p>one</div>", "called_related", 1000),
        ("<article><p>one</article><p>two", "within_article", 500),
        ("<div style='display: none'><p>one<p>two</div><p>three", "hidden", 4),
        ("<div style='display: none'><p>one<p>two</div><p>three", "hidden_blocks", 2),
        ("<div aria-hidden=TRUE><p>one</div>", "hidden", 2),
        ("<title>one two</title><p>two one", "title_share", 1000),
        ("<meta name=description content='one two three'><p>one two three", "summary_share", 1000),
        ("<p>one two three<p>one two three", "copies", 2),
        ("<h1>one</h1><p>two", "is_headline", 1),
        ('<script type=\'application/ld+json\'>{"@type":"NewsArticle"}</script><p>one', "data_article", 1),
        ("<meta property=og:type content=product><p>one", "meta_product", 1),
        ("<ul><li>one two<li>three four<li>five six</ul>", "group_count", 3),
        ("<h2>Related</h2><p>one", "within_p", -1),
    ],
)
def test_features(html: str, feature: str, found: int) -> None:
    assert value(html, feature) == found


def test_features_of_the_address() -> None:
    url = "https://shop.example/product/blue-vase-42?id=7#top"
    assert [value("<p>one", f, url=url) for f in ("url_product", "url_depth", "url_last_words", "url_query")] == [
        1,
        2,
        3,
        1,
    ]
    assert value("<p>one", "url_digits", url=url) == 2


def test_features_of_the_neighbours() -> None:
    html = "<h2>Related posts</h2><p>one two<p>three <a href=x>four</a>"
    assert value(html, "heading_related", 1) == 1
    assert value(html, "heading_blocks", 2) == 2
    assert value(html, "near-1_words", 2) == 2
    assert value(html, "near+1_links", 1) == 500


def test_each_feature_has_one_name() -> None:
    assert len(set(FEATURES)) == len(FEATURES) == COLUMNS == sum(map(len, SECTIONS))
    assert not set(SECOND) & set(FEATURES)


def test_a_page_row_has_the_columns_that_it_names() -> None:
    blocks = blocks_of("<p>one")
    assert len(page_row(blocks, survey(blocks), URL)) == len(PAGE)


@pytest.mark.parametrize("vocabulary", [NAMES, TEXTS, KINDS])
def test_vocabularies(vocabulary: dict[str, str]) -> None:
    keys, masks = hash_table(vocabulary)
    words = {word for line in vocabulary.values() for word in line.split()}
    assert len(vocabulary) <= 64
    assert sum(key != 0 for key in keys) == len(words) <= len(keys) // 4
    assert all(word == word.lower() for word in words)
    for group, line in enumerate(vocabulary.values()):
        for word in line.split():
            assert masks[keys.index(word_hash(word.encode()))] >> group & 1


def grown(column: int, threshold: int, low: int, high: int) -> dict[str, object]:
    """The shape of a forest of one tree with one question."""
    inner = 2**DEPTH - 1
    return {
        "features": ["a", "b"],
        "columns": [column] * inner,
        "thresholds": [threshold] * inner,
        "leaves": [low] * 2 ** (DEPTH - 1) + [high] * 2 ** (DEPTH - 1),
        "steps": list(range(-499, 500)),
    }


def test_a_forest_sums_its_leaves() -> None:
    shape = grown(0, 5, -100, 50)
    other = grown(1, -1, 0, 30)
    both = {**shape, **{name: [*shape[name], *other[name]] for name in ("columns", "thresholds", "leaves")}}  # type: ignore[misc]
    forest = Forest(both, ("a", "b"))
    assert list(forest.score(array("i", [5, -1, 6, -1, 6, 0]), 2, 3))[:3] == [400, 550, 580]


def test_what_scored_next_to_nothing_is_not_looked_at_again() -> None:
    forest = Forest(grown(0, 5, -100, 50), ("a", "b"))
    rows, before = array("i", [9, 0, 9, 0]), array("i", [LEAST - 1, LEAST, 0])
    assert list(forest.score(rows, 2, 2, before))[:2] == [LEAST - 1, 550]


def test_a_forest_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="train it again"):
        Forest(grown(0, 5, 0, 0), ("a", "c"))


def test_the_shipped_forests_are_of_these_features() -> None:
    first, second = forests()
    assert max(first.columns) < COLUMNS
    assert COLUMNS <= max(second.columns) < WIDTH
    for forest in (first, second):
        assert len(forest.steps) == 999
        assert list(forest.steps) == sorted(forest.steps)


def words_of(counts: list[int]) -> Blocks:
    return blocks_of(
        "<img src=a.png>"
        + "".join(f"<p>{' '.join(f'w{n}x{i}' for i in range(count))}</p>" for n, count in enumerate(counts))
    )


@pytest.mark.parametrize(
    ("counts", "scores", "cut"),
    [
        ([10, 10, 10], [900, 900, 50], 900),
        ([10, 10, 10], [900, 900, 700], 700),
        ([100, 3], [900, 300], 900),
        ([10, 200], [400, 150], 400),
        ([5], [0], 0),
        ([], [], 0),
    ],
)
def test_the_cut(counts: list[int], scores: list[int], cut: int) -> None:
    assert best_cut(words_of(counts), array("i", [*scores, 0])) == cut


def test_a_text_is_kept_once_but_for_siblings_and_where_it_is_surely_content() -> None:
    twice = f"<div><p>{SENTENCE}</p></div><section><p>{SENTENCE}</p></section>"
    blocks = blocks_of(twice)
    assert list(decide(blocks, array("i", [700, 900, 0])).verdicts) == [COPY, KEPT]
    assert list(decide(blocks, array("i", [800, 900, 0])).verdicts) == [KEPT, KEPT]
    siblings = blocks_of(f"<p>{SENTENCE}</p><p>{SENTENCE}</p>")
    assert list(decide(siblings, array("i", [700, 900, 0])).verdicts) == [KEPT, KEPT]


def test_what_a_page_says_is_no_content_is_not_whatever_its_score() -> None:
    blocks = blocks_of(f"<p>{SENTENCE * 2}</p><nav><p>{SENTENCE} More.</p></nav>")
    found = decide(blocks, array("i", [600, 900, 0]))
    assert list(found.verdicts) == [KEPT, CERTAIN]
    assert found.named == {1: "navigation"}


def test_what_is_more_likely_than_not_is_kept() -> None:
    blocks = blocks_of(f"<p>{SENTENCE * 20}</p><p>two words</p>")
    assert list(decide(blocks, array("i", [999, 501, 0])).verdicts) == [KEPT, KEPT]


@pytest.mark.parametrize(("scores", "kept"), [((900, 10, 20), True), ((20, 10, 900), True)])
def test_code_goes_with_the_text_beside_it(scores: tuple[int, ...], kept: bool) -> None:
    blocks = blocks_of(f"<p>{SENTENCE}</p><div><pre><span>import</span> this</pre></div><p>{SENTENCE} More.</p>")
    assert blocks.count == 3
    assert (decide(blocks, array("i", [*scores, 0])).verdicts[1] == KEPT) is kept


ARTICLE = f"""<html><head><title>The old bridge is gone</title></head><body>
<header><nav><ul><li><a href=/>Home</a><li><a href=/news>News</a><li><a href=/sport>Sport</a></ul></nav></header>
<main><article><h1>The old bridge is gone</h1><p class=byline>By Ann Writer, 3 May 2020</p>
{"".join(f"<p>{SENTENCE * 3}{n}.</p>" for n in range(8))}
<aside class=related-posts><h3>Related</h3><ul><li><a href=/1>Ten bridges</a><li><a href=/2>Nine rivers</a></ul></aside>
</article></main><footer class=site-footer><p>Copyright 2020 The Paper. All rights reserved.</p></footer>"""


def test_an_article() -> None:
    found = kept(ARTICLE)
    assert sum(text.startswith("The river") for text in found) == 8
    assert not {"Home", "News", "Sport", "Ten bridges", "Nine rivers"} & set(found)
    assert not any(text.startswith("Copyright") for text in found)


def test_keep_marks_the_texts_of_kept_blocks() -> None:
    found = judged(ARTICLE)
    keep, tree = found.keep(), found.blocks.shown.tree
    assert len(keep) == len(tree)
    assert [tree.text(node) for node in range(len(tree)) if keep[node]][-1].startswith("The river")


@pytest.mark.parametrize("html", ["<p>", "<p>x", "<br>" * 300, "<div>" * 500 + "x", "<p>" + "x " * 50_000, "\ufffd"])
def test_odd_pages_are_judged(html: str) -> None:
    page = parsed(html)
    if isinstance(page, ParsedPage):
        judge.judge(look_at_all(page.tree), "not an address")


def everything(html: str) -> object:
    """All that is decided of a page on the way, as plain values."""
    page = parsed(html)
    if not isinstance(page, ParsedPage):
        return None
    blocks = find_blocks(look_at_all(page.tree))
    rows = describe(blocks, URL)
    first = forests()[0].score(rows.values, WIDTH, blocks.count)
    look_again(rows, first)
    found = judge.judge(blocks.shown, URL)
    measures = [list(blocks.measures[: blocks.count * MEASURES]), list(blocks.texts), bytes(blocks.hidden)]
    return (
        measures, list(rows.values), list(rows.levels), list(first), list(found.scores),
        found.cut, bytes(found.verdicts),
    )  # fmt: skip


def all_of(htmls: list[str]) -> list[object]:
    return [everything(html) for html in htmls]


@pytest.mark.skipif(feature_rows.__file__.endswith(".py"), reason="not compiled: `python setup.py build_ext --inplace`")
def test_compiled_and_plain_python_judge_alike() -> None:
    chance = random.Random(7)
    whole = [*(path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.html"))), ARTICLE]
    pieces = ["<p>", "</div>", "<div class='related x'>", "<div hidden>", "<br><br>", "<h2>Comments</h2>", "<li>"]
    pieces += ["<a href=x>more</a>", "&nbsp;&amp;", "<noscript>", "\u4e2d\u6587\u3002"]
    pieces += ['<script type=application/ld+json>{"@type"']
    htmls = list(whole)
    for html in whole:
        for _ in range(15):
            a, b = sorted(chance.randrange(len(html) + 1) for _ in range(2))
            htmls.append(html[:a] + chance.choice(pieces) + html[b:])
    htmls += ["".join(chance.choices((*pieces, SENTENCE), k=chance.randint(1, 60))) for _ in range(200)]
    for html, theirs in zip(htmls, in_plain_python(all_of, htmls), strict=True):
        assert everything(html) == theirs, html


def test_words_count_where_they_stand_in_the_content() -> None:
    page = [["news"], ["a", "river", "rose", "in", "may"], ["news"], ["the", "bridge", "is", "gone"], ["news"]]
    content = ["a", "river", "rose", "in", "may", "news", "the", "bridge", "is", "gone"]
    assert align(page, content) == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_part_of_a_block_is_a_share() -> None:
    block = ["by", "ann", "writer", "a", "river", "rose", "in", "may", "and", "fell", "in", "june"]
    assert align([block], block[3:]) == [pytest.approx(1 - 3 / len(block), abs=0.1)]


def test_nothing_is_learnt_where_nothing_is_annotated() -> None:
    assert labels({"track": "wcxb", "text": ""}, ["one", "two"]) == ([0.0, 0.0], [0.0, 0.0])
    wanted, weights = labels(
        {"track": "snippets", "with": ["one  two"], "without": ["four"]}, ["one two", "three", "four"]
    )
    assert (wanted, [weight > 0 for weight in weights]) == ([1.0, 0.0, 0.0], [True, False, True])


def test_measures_add_up() -> None:
    blocks = blocks_of("<p>one two<p>three")
    assert [blocks.measures[block * MEASURES + WORDS] for block in range(2)] == [2, 1]
