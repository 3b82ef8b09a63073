"""The text blocks of a page and what is counted in each: one pass over the bytes of its tree.

A block is the text of one block element up to the next block element in it (or two <br>), with the inline elements
around it. Numbers here are plain sums; what they say about a block is for `features`.
"""

from array import array
from typing import TYPE_CHECKING

import cython

# isort: off
from pipelines.extract.text.block_measures import (
    BY_ARIA, BY_ATTRIBUTE, BY_STYLE, GROUPS, IN_NOSCRIPT, MEASURES, Blocks,
)  # fmt: skip
from pipelines.extract.html.kinds import BLOCK, SHOWN
from pipelines.extract.html.tags import (
    ARTICLE, BODY, BR, FORM, H1, HTML, IMG, META, NOSCRIPT, SCRIPT, TEXT, TITLE, A,
)  # fmt: skip
from pipelines.extract.html.tree import Shown
from pipelines.extract.text.vocabulary import BITS
# isort: on

if cython.compiled:
    from cython.cimports.pipelines.extract.text.block_words import BlockWords
else:
    from pipelines.extract.text.block_words import BlockWords

_LONGEST_NAME = 500  # of a class, bytes
_NOSCRIPT_SHARE = 4  # a <noscript> with less than this part of the page's nodes is no content
_LONGEST_LABEL = 60  # of an id or label; a longer one is a slug or a sentence


def find_blocks(shown: Shown) -> Blocks:
    """shown: from `tree.look`; hidden text is not looked at."""
    finder = _Finder(shown)
    finder.find()
    return finder.blocks


@cython.cclass
class _Finder(BlockWords):
    """The state of the pass."""

    if TYPE_CHECKING:
        value_start: int
        value_stop: int
        title_words: int

    blocks: Blocks
    ends: cython.int[:]
    states: cython.uchar[:]
    names: cython.ulonglong[:]
    signatures: cython.ulonglong[:]
    hidden: cython.uchar[:]
    hiders: cython.int[:]
    next_blocks: cython.int[:]
    images: cython.int[:]
    containers: cython.int[:]
    firsts: cython.int[:]
    texts: cython.int[:]
    text_count: cython.int

    def __init__(self, shown: Shown) -> None:
        tree, blocks = shown.tree, Blocks(shown)
        room = tree.tags.count(TEXT) + 1
        blocks.measures = array("i", bytes(4 * MEASURES * room))
        blocks.group_counts = array("H", bytes(2 * GROUPS * room))
        blocks.hashes = array("Q", bytes(8 * room))
        super().__init__(blocks)
        self.blocks = blocks
        self.ends, self.states = tree.ends, shown.states
        self.names, self.signatures, self.hidden = blocks.names, blocks.signatures, blocks.hidden
        self.hiders, self.next_blocks, self.images = blocks.hiders, blocks.next_blocks, blocks.images
        self.containers, self.firsts, self.texts = blocks.containers, blocks.firsts, blocks.texts
        self.text_count = 0

    def find(self) -> None:
        blocks = self.blocks
        size: cython.int = len(self.tags)
        block_of: cython.int[:] = array("i", bytes(4 * size))
        node: cython.int = 0
        tag: cython.int
        above: cython.int
        boundary: cython.int = 0  # the last element that began a new block
        last_text: cython.int = -1
        articles: cython.int = 0
        forms: cython.int = 0
        h1s: cython.int = 0
        while node < size:
            tag = self.tags[node]
            above = self.parents[node]
            if tag == TEXT:
                if self.states[node] == SHOWN and not self.is_blank(self.starts[node], self.stops[node]):
                    if self.count == 0 or last_text < boundary or self.containers[self.count - 1] != block_of[above]:
                        self.begin(block_of[above])
                    last_text = node
                    self.texts[self.text_count] = node
                    self.text_count += 1
                    self.read_text(node, above)
                node += 1
                continue
            if self.states[node] != SHOWN:
                if self.kinds[tag] & BLOCK:
                    boundary = node
                if tag == SCRIPT and node + 1 < self.ends[node]:
                    self.read_script(self.starts[node], self.stops[node], self.starts[node + 1], self.stops[node + 1])
                elif tag == META:
                    self.read_meta(self.starts[node], self.stops[node])
                elif tag == TITLE and not self.title_words and node + 1 < size and self.tags[node + 1] == TEXT:
                    self.title_words = self.fill(self.starts[node + 1], self.stops[node + 1], self.title_bag, 1)
                # The head is not shown, and what is in it is read; nothing else that is not shown is.
                node += 1
                continue
            if tag == NOSCRIPT and (self.ends[node] - node) * _NOSCRIPT_SHARE < size:
                boundary = node
                node = self.ends[node]
                continue
            self.read_element(node, tag, above)
            articles += tag == ARTICLE
            forms += tag == FORM
            h1s += tag == H1
            if node == 0 or self.kinds[tag] & BLOCK or tag == NOSCRIPT:
                block_of[node] = boundary = node
            else:
                block_of[node] = block_of[above]
                if tag == BR:
                    self.breaks += 1
                    if self.breaks >= 2:
                        boundary = node
            node += 1
        self.firsts[self.count] = self.text_count
        blocks.count, blocks.title_words = self.count, self.title_words
        blocks.data_kinds, blocks.meta_kinds = self.data_kinds, self.meta_kinds
        blocks.articles, blocks.forms, blocks.h1s = articles, forms, h1s

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(self, container: cython.int) -> cython.void:
        self.containers[self.count] = container
        self.firsts[self.count] = self.text_count
        self.last_link = -1
        self.count += 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def read_element(self, node: cython.int, tag: cython.int, above: cython.int) -> cython.void:
        """What an element is called, whether it hides itself, and the link it is in."""
        self.next_blocks[node] = self.count
        self.links[node] = self.links[above] if above >= 0 else -1
        if tag == A:
            self.links[node] = node
        hidden: cython.int = self.hidden[above] if above >= 0 else 0
        if tag == NOSCRIPT:
            hidden |= IN_NOSCRIPT
        names: cython.ulonglong = 0
        signature: cython.ulonglong = tag * 40503
        at: cython.int = self.starts[node]
        stop: cython.int = self.stops[node]
        letter: cython.int
        size: cython.int
        while True:
            at = self.next_attribute(at, stop)
            if at < 0:
                break
            letter = self.data[self.name_start] | 32
            size = self.name_stop - self.name_start
            if letter == 99 and size == 5 and self.named(b"class", 5):
                self.value_stop = min(self.value_stop, self.value_start + _LONGEST_NAME)
                names |= self.name_groups(self.value_start, self.value_stop)
                signature ^= self.hash(self.value_start, self.value_stop)
            elif (
                (letter == 105 and (self.named(b"id", 2) or self.named(b"itemprop", 8) or self.named(b"itemtype", 8)))
                or (letter == 114 and self.named(b"role", 4))
                or (letter == 97 and self.named(b"aria-label", 10))
                or (letter == 100 and size > 10 and (
                    self.named(b"data-testid", 11)
                    or self.named(b"data-component", 14)
                    or self.named(b"data-module", 11)
                ))
            ):  # fmt: skip
                if self.value_stop - self.value_start <= _LONGEST_LABEL:
                    names |= self.name_groups(self.value_start, self.value_stop)
            elif letter == 104 and self.named(b"hidden", 6):
                hidden |= BY_ATTRIBUTE
            elif letter == 97 and size == 11 and self.named(b"aria-hidden", 11) and self.valued(b"true", 4):
                hidden |= BY_ARIA
            elif letter == 115 and size == 5 and self.named(b"style", 5) and self.hides():
                hidden |= BY_STYLE
        if tag in (BODY, HTML):
            hidden = 0
        self.hidden[node] = hidden
        if hidden:
            self.hiders[node] = self.hiders[above] if self.hiders[above] >= 0 else node
        self.names[node] = names
        self.signatures[node] = signature & BITS
        self.images[node] = tag == IMG
