"""The text blocks of a page and what is counted in each: one pass over the bytes of its tree.

A block is the text of one block element up to the next block element in it (or two <br>), with the inline elements
around it. Numbers here are plain sums; what they say about a block is for `features`.
"""

from array import array
from typing import TYPE_CHECKING

import cython

# isort: off
from pipelines.extract.block_measures import (
    BOLD_WORDS, BREAKS, BY_ARIA, BY_ATTRIBUTE, BY_STYLE, CAPITALIZED, CHARS, COMMAS, CURRENCY, DATA_TRIPLES, DIGITS,
    END, FIRST, GROUPS, IN_NOSCRIPT, LINK_CHARS, LINK_WORDS, LINKS, MEASURES, RUNS, SENTENCES, SUMMARY_PAIRS, SYMBOLS,
    TITLE_WORDS, UPPER, WORDS, Blocks,
)  # fmt: skip
from pipelines.extract.kinds import BLOCK, KINDS, SHOWN
from pipelines.extract.tags import (
    ARTICLE, BODY, BR, FORM, H1, HTML, IMG, META, NOSCRIPT, SCRIPT, STRONG, TEXT, TITLE, A, B,
)  # fmt: skip
from pipelines.extract.tree import Shown
# isort: on

if cython.compiled:
    from cython.cimports.pipelines.extract.markup_words import (
        BITS,
        CAPITAL,
        CLASSES,
        DIGIT,
        HIGH,
        LETTER,
        OTHER,
        SPACE,
        WORD_START,
        Reader,
    )  # fmt: skip
else:
    from pipelines.extract.markup_words import (
        BITS,
        CAPITAL,
        CLASSES,
        DIGIT,
        HIGH,
        LETTER,
        OTHER,
        SPACE,
        WORD_START,
        Reader,
    )  # fmt: skip

_LONGEST_NAME = 500  # of a class, bytes
_NOSCRIPT_SHARE = 4  # a <noscript> with less than this part of the page's nodes is no content
_LONGEST_LABEL = 60  # of an id or label; a longer one is a slug or a sentence


def find_blocks(shown: Shown) -> Blocks:
    """shown: from `tree.look`; hidden text is not looked at."""
    finder = _Finder(shown)
    finder.find()
    return finder.blocks


@cython.cclass
class _Finder(Reader):
    """The state of the pass."""

    if TYPE_CHECKING:
        value_start: int
        value_stop: int
        title_words: int

    blocks: Blocks
    tags: cython.short[:]
    parents: cython.int[:]
    ends: cython.int[:]
    starts: cython.int[:]
    stops: cython.int[:]
    states: cython.uchar[:]
    kinds: cython.int[:]
    names: cython.ulonglong[:]
    signatures: cython.ulonglong[:]
    hidden: cython.uchar[:]
    hiders: cython.int[:]
    links: cython.int[:]
    next_blocks: cython.int[:]
    images: cython.int[:]
    containers: cython.int[:]
    firsts: cython.int[:]
    texts: cython.int[:]
    measures: cython.int[:]
    group_counts: cython.ushort[:]
    hashes: cython.ulonglong[:]
    count: cython.int
    text_count: cython.int
    breaks: cython.int
    last_link: cython.int

    def __init__(self, shown: Shown) -> None:
        tree, blocks = shown.tree, Blocks(shown)
        super().__init__(tree.source)
        self.blocks = blocks
        self.tags, self.parents, self.ends = tree.tags, tree.parents, tree.ends
        self.starts, self.stops = tree.starts, tree.stops
        self.states, self.kinds = shown.states, KINDS
        self.names, self.signatures, self.hidden = blocks.names, blocks.signatures, blocks.hidden
        self.hiders = blocks.hiders
        self.links, self.next_blocks, self.images = blocks.links, blocks.next_blocks, blocks.images
        self.containers, self.firsts, self.texts = blocks.containers, blocks.firsts, blocks.texts
        room = shown.tree.tags.count(TEXT) + 1
        blocks.measures = array("i", bytes(4 * MEASURES * room))
        blocks.group_counts = array("H", bytes(2 * GROUPS * room))
        blocks.hashes = array("Q", bytes(8 * room))
        self.measures, self.group_counts, self.hashes = blocks.measures, blocks.group_counts, blocks.hashes
        self.count = self.text_count = self.breaks = 0
        self.last_link = -1

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

    @cython.cfunc
    @cython.exceptval(check=False)
    def read_text(self, node: cython.int, above: cython.int) -> cython.void:
        """Count a run of text into the last block."""
        data: cython.p_const_uchar = self.data
        block: cython.int = self.count - 1
        row: cython.int = block * MEASURES
        sums: cython.int[:] = self.measures
        at: cython.int = self.starts[node]
        stop: cython.int = self.stops[node]
        link: cython.int = self.links[above]
        byte: cython.int
        kind: cython.int
        end: cython.int
        up: cython.int = above
        bold: cython.bint = False
        word: cython.ulonglong = WORD_START
        last: cython.ulonglong = 0  # the words before
        last_but_one: cython.ulonglong = 0
        length: cython.int = 0
        ideographs: cython.int = 0
        final: cython.int = 0
        while up >= 0 and not self.kinds[self.tags[up]] & BLOCK:
            bold = bold or self.tags[up] == B or self.tags[up] == STRONG
            up = self.parents[up]
        if link >= 0 and link != self.last_link:
            sums[row + LINKS] += 1
        self.last_link = link
        sums[row + BREAKS] += self.breaks
        self.breaks = 0
        while CLASSES[data[at]] == SPACE:
            at += 1
        if sums[row + RUNS] == 0:
            sums[row + FIRST] = CLASSES[data[at]]
        sums[row + RUNS] += 1
        while at <= stop:
            kind = byte = 0
            if at < stop:
                byte = data[at]
                kind = CLASSES[byte]
                if kind == OTHER and byte == 38:  # a reference
                    end = at + 1
                    while end < stop and end < at + 10 and (
                        CLASSES[data[end]] == LETTER or CLASSES[data[end]] == CAPITAL or CLASSES[data[end]] == DIGIT
                        or data[end] == 35
                    ):  # fmt: skip
                        end += 1
                    if end < stop and data[end] == 59:
                        if self.same(at + 1, end, b"nbsp", 4) or self.same(at + 1, end, b"#160", 4):
                            kind = SPACE
                        at = end
                    sums[row + CHARS] += kind != SPACE
                elif kind == OTHER:
                    sums[row + CHARS] += 1
                    if byte == 44:
                        sums[row + COMMAS] += 1
                    elif byte == 46 or byte == 33 or byte == 63:
                        sums[row + SENTENCES] += at + 1 >= stop or CLASSES[data[at + 1]] == SPACE or data[at + 1] == 34
                    elif byte == 36:
                        sums[row + CURRENCY] += 1
                    elif byte != 39 and byte != 45:
                        sums[row + SYMBOLS] += 1
                elif kind == HIGH and byte == 0xC2 and at + 1 < stop:  # Latin-1's signs
                    at += 1
                    kind = SPACE if data[at] == 0xA0 else OTHER
                    sums[row + CHARS] += kind != SPACE
                    sums[row + CURRENCY] += data[at] == 0xA3
                elif (
                    kind == HIGH and byte == 0xE2 and at + 2 < stop and data[at + 1] <= 0x83
                ):  # punctuation, currencies
                    sums[row + CURRENCY] += data[at + 1] == 0x82
                    sums[row + CHARS] += 1
                    kind = OTHER
                    at += 2
                elif kind == HIGH and byte == 0xE3 and at + 2 < stop and data[at + 1] == 0x80 and (
                    data[at + 2] == 0x81 or data[at + 2] == 0x82
                ):  # fmt: skip
                    sums[row + SENTENCES] += data[at + 2] == 0x82
                    kind = OTHER
                    at += 2
            if kind >= LETTER:
                if kind == CAPITAL:
                    sums[row + CAPITALIZED] += length == 0
                    sums[row + UPPER] += 1
                    byte += 32
                elif kind == DIGIT:
                    sums[row + DIGITS] += 1
                if kind != HIGH or byte >= 0xC0:
                    sums[row + CHARS] += 1
                    sums[row + LINK_CHARS] += link >= 0
                    ideographs += 0xE3 <= byte <= 0xED
                word = ((word ^ byte) * 16777619) & BITS
                length += 1
            elif length:
                length = 1 + ideographs // 2
                sums[row + WORDS] += length
                sums[row + LINK_WORDS] += length if link >= 0 else 0
                sums[row + BOLD_WORDS] += bold
                self.count_word(block, word, last, last_but_one)
                last_but_one = last
                last = word
                word = WORD_START
                length = ideographs = 0
            if kind != SPACE and at < stop:
                final = byte
            at += 1
        if final == 46 or final == 33 or final == 63 or final == 0xE3:  # . ! ?
            sums[row + END] = 1
        else:
            sums[row + END] = 2 if final == 58 else (3 if final == 0xE2 else 0)  # : and a quotation mark or ellipsis

    @cython.cfunc
    @cython.exceptval(check=False)
    def count_word(
        self, block: cython.int, word: cython.ulonglong, last: cython.ulonglong, last_but_one: cython.ulonglong
    ) -> cython.void:
        """What vocabularies and what the page says of itself know of a word."""
        row: cython.int = block * MEASURES
        self.hashes[block] = (self.hashes[block] * 31 + word) & BITS
        mask: cython.ulonglong = self.text_group(word)
        group: cython.int = block * GROUPS
        while mask:
            if mask & 1 and self.group_counts[group] < 65535:
                self.group_counts[group] += 1
            mask >>= 1
            group += 1
        pair: cython.ulonglong = (word * 31 + last) & BITS
        triple: cython.ulonglong = (pair * 31 + last_but_one) & BITS
        self.measures[row + TITLE_WORDS] += self.holds(self.title_bag, word)
        self.measures[row + SUMMARY_PAIRS] += self.holds(self.summary_bag, pair)
        self.measures[row + DATA_TRIPLES] += self.holds(self.data_bag, triple)
