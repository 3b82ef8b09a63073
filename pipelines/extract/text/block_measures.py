"""What is known of a page's text blocks before they are judged: arrays, filled by `text_blocks` and `surroundings`."""

from array import array

from pipelines.extract.html.kinds import SHOWN
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tags import TEXT
from pipelines.extract.html.tree import Shown
from pipelines.extract.text.vocabulary import TEXTS

GROUPS = len(TEXTS)
# Columns of Blocks.measures.
(
    WORDS, CHARS, LINK_WORDS, LINK_CHARS, DIGITS, CAPITALIZED, SENTENCES, COMMAS, RUNS, LINKS, BOLD_WORDS, END, FIRST,
    TITLE_WORDS, SUMMARY_PAIRS, DATA_TRIPLES, SYMBOLS, UPPER, BREAKS, CURRENCY, MEASURES,
) = range(21)  # fmt: skip

# Columns of Surroundings.sums.
(
    ALL_WORDS, ALL_LINK_WORDS, ALL_BLOCKS, ALL_PROSE, ALL_IMAGES, ALL_LINKS, ALL_SENTENCES, ALL_PROSE_BLOCKS,
    ALL_PRICES, ALL_DATES, SUMS,
) = range(11)  # fmt: skip
# Columns of Surroundings.siblings, of which some count those that have one.
(
    COUNT, SIBLING_WORDS, WITH_IMAGE, WITH_PRICE, SIBLING_LINK_WORDS, SIBLING_PROSE, WITH_DATE, PARENT, SIBLING_SUMS,
) = range(9)  # fmt: skip
KINSHIPS = 3
"""Blocks are alike in their element and the one above (0), the one above that too (1), or in their tag and four
elements above their parent (2)."""

# Bits of Blocks.hidden.
BY_ATTRIBUTE, BY_ARIA, BY_STYLE, IN_NOSCRIPT = 1, 2, 4, 8


class Blocks:
    """The blocks of a page in document order, and what their features are made from. All arrays, all integers."""

    __slots__ = (
        "articles", "containers", "count", "data_kinds", "firsts", "forms", "group_counts", "h1s", "hashes", "hidden",
        "hiders",
        "images", "links", "measures", "meta_kinds", "names", "next_blocks", "shown", "signatures", "texts",
        "title_words",
    )  # fmt: skip

    def __init__(self, shown: Shown) -> None:
        nodes = len(shown.tree)
        self.shown = shown
        self.count = 0
        self.texts = array("i", bytes(4 * nodes + 4))
        """Text nodes; those of block b are texts[firsts[b]] .. texts[firsts[b + 1] - 1]."""
        self.firsts = array("i", bytes(4 * nodes + 8))
        self.containers = array("i", bytes(4 * nodes + 4))
        """The block element in which each block stands."""
        self.measures: Numbers = array("i")
        """Sums over each block's text, by the columns WORDS, CHARS, ..."""
        self.group_counts: Numbers = array("H")
        """Words of each block by group of `TEXTS`."""
        self.hashes: Numbers = array("Q")
        """Of each block's words: equal texts have equal hashes."""
        self.names: Numbers = array("Q", bytes(8 * nodes))
        """Of each element: mask of the groups of `NAMES` that its names are in."""
        self.signatures: Numbers = array("Q", bytes(8 * nodes))
        """Of each element: hash of its tag and class."""
        self.hidden = bytearray(nodes)
        """Of each element: what hides it or an element around it, if something does."""
        self.hiders = array("i", [-1]) * nodes
        """Of each element: the outermost hidden element around it, or itself; -1 if none."""
        self.links = array("i", bytes(4 * nodes))
        """Of each element: the link around it, or itself if it is one; -1 if none."""
        self.next_blocks = array("i", bytes(4 * nodes))
        """Of each element: number of the first block that begins in it or after it."""
        self.images = array("i", bytes(4 * nodes))
        self.data_kinds = self.meta_kinds = 0
        """Groups of `KINDS` named by JSON-LD types, and by og:type and generator."""
        self.title_words = self.articles = self.forms = self.h1s = 0

    def nodes_of(self, block: int) -> Numbers:
        """The texts that are a block, white space between them left out."""
        return self.texts[self.firsts[block] : self.firsts[block + 1]]

    def text(self, block: int) -> str:
        """The words of a block, in one line."""
        nodes, tree = self.nodes_of(block), self.shown.tree
        shown = (node for node in range(nodes[0], nodes[-1] + 1) if tree.tags[node] == TEXT)
        return " ".join("".join(tree.text(node) for node in shown if self.shown.states[node] == SHOWN).split())


class Surroundings:
    """Arrays for the blocks and elements of a page."""

    __slots__ = (
        "biggest", "biggest_parent", "cell_words", "code_words", "copies", "core", "dates", "h1", "item_words", "kin",
        "kin_sums", "link_words_before", "most_prose", "prices", "prose", "prose_before", "repeated", "sibling_group",
        "siblings", "sums", "texts", "top", "words_before",
    )  # fmt: skip

    def __init__(self, blocks: Blocks) -> None:
        count, nodes = blocks.count, len(blocks.shown.tree)
        self.sums = array("i", bytes(4 * nodes * SUMS))
        """Of each element, with all that is in it: words, words in links, blocks, words of prose, ..."""
        self.prose = array("i", bytes(4 * count + 4))
        """Of each block: words outside links if it is prose, else 0."""
        self.words_before = array("i", bytes(4 * count + 4))
        self.link_words_before = array("i", bytes(4 * count + 4))
        self.prose_before = array("i", bytes(4 * count + 4))
        self.prices = self.dates = self.most_prose = 0
        """Blocks with a price, short blocks with a date, words of the longest prose."""
        self.h1 = -1
        """The block of the page's headline: the first <h1>, or the one most like the title."""
        self.top = 0
        """The element with most prose directly in it."""
        self.core = 0
        """The innermost element with most of the page's prose."""
        self.sibling_group = array("i", [-1]) * nodes
        """Of each element: its group, siblings with the same tag and class."""
        self.siblings: Numbers = array("i")
        """Of each group: COUNT, SIBLING_WORDS, ..."""
        self.biggest = self.biggest_parent = -1
        """The group that looks most like the page's list of items."""
        self.kin = array("i", bytes(4 * count * KINSHIPS + 4))
        """Of each block and kinship: the number of its kind."""
        self.kin_sums: list[Numbers] = []
        """Of each kinship and kind: blocks, words, words in links."""
        self.texts = array("i", bytes(4 * count + 4))
        """Of each block: the number of its text; equal texts have one."""
        self.copies = array("i", bytes(8 * count + 8))
        """Of each block: blocks with the same text before it, and in all."""
        self.item_words = self.cell_words = self.code_words = 0
        """Words of blocks close in a list item, a cell, a <pre>: the nearest of them counts."""
        self.repeated = 0
        """Blocks whose text another block has too."""
