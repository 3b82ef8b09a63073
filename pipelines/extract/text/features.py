"""What the judge sees of a text block: one row of integers, by the columns FEATURES.

Each section here is a list of columns with what they mean; `feature_rows` has the function that fills each. A share
is in thousandths, and -1 stands for "there is none". To add a feature: a line in a section, a value in its function,
and train again.
"""

from array import array

from pipelines.extract.html.tags import NAMES
from pipelines.extract.text.block_measures import KINSHIPS, Blocks, Surroundings
from pipelines.extract.text.page_features import PAGE
from pipelines.extract.text.vocabulary import NAMES as NAME_GROUPS
from pipelines.extract.text.vocabulary import TEXTS

CERTAIN = 1000
"""Scores are 0..CERTAIN."""
LEAST = 100
"""A row that scored less the first time is not looked at again."""
DEPTH = 4
"""Questions that every tree asks; one that needs fewer repeats itself."""
LEVELS = 6
"""Ancestors of a block that are looked at: those that hold more text than the one before."""

OWN = {
    "words": "words of the block",
    "chars": "characters, white space not counted",
    "link_words": "words in links",
    "link_share": "characters in links, share",
    "digit_share": "digits among the characters",
    "capitalized_share": "words that begin with a capital",
    "sentences": "ends of sentences",
    "commas": "",
    "runs": "runs of text: more than one where inline elements stand",
    "links": "",
    "bold_share": "words in <b> or <strong>",
    "end": "1: ends as a sentence does, 2: with a colon, 3: with a quotation mark or ellipsis",
    "first": "class of its first byte: letter, capital, digit, ...",
    "title_share": "words that are in the page's title too",
    "summary_share": "pairs of words that are in its description too",
    "data_share": "triples of words that are in its JSON-LD too",
    "symbol_share": "signs other than . , ! ? ' - among the characters",
    "upper_share": "capitals among the characters",
    "breaks": "<br> in and before it",
    "word_length": "characters for each word, tenths",
    "kind": "tag of its element: prose first, navigation last",
    "function_share": "articles, prepositions and the like among the words",
    "is_headline": "it is the page's headline",
    "currency": "signs of currencies",
    "depth": "elements around it",
    "in_link": "a link holds the whole block",
    "title_cover": "share of the title's words that it has",
    "hidden": "what hides it: attribute hidden, aria-hidden, style, <noscript>; a mask",
    "hidden_blocks": "blocks in the hidden element around it",
    "hidden_share": "share of the page's words in that",
    "copies_before": "blocks before it with the same text",
    "copies": "blocks with its text",
}
SAYS = {f"says_{group}": f"words of the group {group}" for group in TEXTS}
CALLED = {
    f"called_{group}": "share of the page's words in the nearest element around it with such a name"
    for group in NAME_GROUPS
}
_SEMANTIC = (
    "article", "main", "section", "nav", "header", "footer", "aside", "form", "table", "ul", "ol", "li", "figure",
    "blockquote", "pre", "details", "dialog", "button", "label", "td", "dl", "noscript", "p", "a",
)  # fmt: skip
WITHIN = {f"within_{tag}": "share of the page's words in the nearest such element around it" for tag in _SEMANTIC}
LEVEL = {
    f"level{level}_{name}": meaning
    for level in range(LEVELS)
    for name, meaning in {
        "words": "words in the ancestor",
        "share": "share of the page's words",
        "links": "words in links, share",
        "mean": "words for each block, tenths",
        "prose": "words of prose, share",
        "blocks": "",
        "images": "",
        "up": "elements between it and the block",
        "kind": "its tag, as in `kind`",
    }.items()
}
_NEAR = (-3, -2, -1, 1, 2, 3)
NEAR = {
    f"near{distance:+d}_{name}": meaning
    for distance in _NEAR
    for name, meaning in {
        "words": "words of the block before or after",
        "links": "words in links, share",
        "kind": "",
        "sentences": "",
        "alike": "1: same tag and class here and one above; 2: and one more above",
        "shared": "share of the page's words in the nearest element around both",
    }.items()
}
KIN = {
    f"kin{kinship}_{name}": meaning
    for kinship in range(KINSHIPS)
    for name, meaning in {
        "blocks": "blocks of the page that are alike in tags and classes",
        "words": "words for each of them, tenths",
        "links": "words in links, share",
    }.items()
}
PLACE = {
    "index": "blocks before it",
    "index_share": "",
    "from_end": "blocks from it on",
    "words_before": "share of the page's words",
    "prose_before": "share of the page's prose before it",
    "prose_after": "and after it",
    "since_headline": "blocks since the headline; negative before it",
    "headline_shared": "share of the page's words in the nearest element around it and the headline",
    "headline_up": "levels up to that element",
    "in_top": "it stands in the element with most prose directly in it",
    "top_up": "levels up to an element that holds both",
    "top_shared": "share of the page's words in that",
    "top_side": "-1 before the top element, 0 in it, 1 after it",
    "core_side": "0 before the core, 1 in it, 2 after it",
    "window_prose": "share of prose in the five blocks on either side",
    "window_links": "and of words in links",
    "since_prose": "blocks since the last prose",
    "to_prose": "blocks up to the next",
    "early": "blocks before it, 99 at most",
}
GROUP = {
    "group_count": "siblings alike, in the nearest group around it that is one of items",
    "group_mean": "words for each item, tenths",
    "group_images": "items with an image, percent",
    "group_prices": "with a price",
    "group_links": "words in links, share",
    "group_share": "share of the page's words",
    "group_up": "elements between the block and its item",
    "group_prose": "words of prose, share",
    "group_is_biggest": "it is the page's biggest group",
    "group_dates": "items with a date, percent",
    "groups_up": "groups around it",
    "biggest_shared": "share of the page's words in the nearest element around it and the biggest group",
    "biggest_side": "0 in the parent of the biggest group, 1 before it, 2 after it",
}
HEADING = {
    "heading_rank": "of the last heading before it: 0 for h1",
    "heading_blocks": "blocks since",
    "heading_words": "words since",
    "heading_scope": "2: the heading's parent holds the block, 1: its grandparent does",
    **{f"heading_{group}": "the heading has a word of the group" for group in TEXTS},
}
SECTIONS = (OWN, SAYS, CALLED, WITHIN, LEVEL, NEAR, KIN, PLACE, GROUP, HEADING, PAGE)
FEATURES = tuple(name for section in SECTIONS for name in section)
"""The columns of a row."""

NEAREST = 5
"""Blocks before and after whose first scores are told."""
SECOND = {
    "score": "of the block, the first time",
    **{f"score{distance:+d}": "of the block before or after" for distance in range(-NEAREST, NEAREST + 1) if distance},
    **{
        f"score_level{level}_{name}": meaning
        for level in range(LEVELS)
        for name, meaning in {
            "words": "mean over the words of the ancestor",
            "blocks": "mean over its blocks",
            "kept": "share of what the page seems to hold of content",
            "others": "mean over the ancestor's words outside the block",
        }.items()
    },
    **{f"score_kin{kinship}": "mean over the words of the blocks that are alike" for kinship in range(KINSHIPS)},
    "score_window3": "mean over the words of three blocks on either side",
    "score_window8": "of eight",
    "score_page": "of the page",
    "score_words": "words of content that the page seems to have",
    "score_most": "highest of the page",
    "content_before": "share of the content before the block",
    "content_after": "and after it",
    "since_content": "blocks since one with 500 or more",
    "to_content": "blocks up to the next",
    "score_heading": "of the last heading before it",
    "rank": "share of the page's words with its score or more",
    "gap": "words between the nearest blocks with 500 or more on either side",
    "doubt": "mean distance of the page's scores from 0 or 1000",
    "score_before15": "mean over the words of the 15 blocks before",
    "score_after15": "and after",
    "score_copy": "highest of the other blocks with the same text",
}
"""What the first scores of the blocks around it say of a block: further columns, for the second look."""

COLUMNS = len(FEATURES)
WIDTH = COLUMNS + len(SECOND)
"""Values of a row. Scores are in thousandths."""
(
    AT_OWN,
    AT_SAYS,
    AT_CALLED,
    AT_WITHIN,
    AT_LEVEL,
    AT_NEAR,
    AT_KIN,
    AT_PLACE,
    AT_GROUP,
    AT_HEADING,
    AT_PAGE,
) = (sum(len(section) for section in SECTIONS[:number]) for number in range(len(SECTIONS)))
FUNCTION = list(TEXTS).index("function")
_KINDS = [
    "p",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "dd",
    "dt",
    "td",
    "th",
    "li",
    "figcaption",
    "caption",
    "summary",
    "details",
    "article",
    "main",
    "section",
    "div",
    "body",
    "address",
    "other",
    "label",
    "legend",
    "fieldset",
    "form",
    "button",
    "header",
    "aside",
    "nav",
    "footer",
]  # from prose to what is never content
KIND = array("i", [_KINDS.index(name) if name in _KINDS else len(_KINDS) for name in NAMES])
SEMANTIC = array("i", [_SEMANTIC.index(name) if name in _SEMANTIC else -1 for name in NAMES])


class Rows:
    """The features of a page's blocks, and what the second look needs."""

    __slots__ = ("blocks", "headings", "kin", "levels", "texts", "values")

    def __init__(self, blocks: Blocks, around: Surroundings) -> None:
        count = blocks.count
        self.blocks = blocks
        self.kin, self.texts = around.kin, around.texts
        self.values = array("i", bytes(4 * count * WIDTH + 4))
        """Rows of FEATURES and SECOND, one after the other; `second_look` fills the latter."""
        self.levels = array("i", [-1]) * (2 * LEVELS * count + 1)
        """Of each block and level: first block in the ancestor, and one past the last."""
        self.headings = array("i", bytes(4 * count + 4))
        """Of each block: the last heading before it; -1 if none."""
