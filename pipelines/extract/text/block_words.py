"""What is counted in a text block: one pass over the bytes of its text."""

import cython

# isort: off
from pipelines.extract.text.block_measures import (
    BOLD_WORDS, BREAKS, CAPITALIZED, CHARS, COMMAS, CURRENCY, DATA_TRIPLES, DIGITS, END, FIRST, GROUPS, LINK_CHARS,
    LINK_WORDS, LINKS, MEASURES, RUNS, SENTENCES, SUMMARY_PAIRS, SYMBOLS, TITLE_WORDS, UPPER, WORDS, Blocks,
)  # fmt: skip
from pipelines.extract.html.kinds import BLOCK, KINDS
from pipelines.extract.html.tags import STRONG, B

if cython.compiled:
    from cython.cimports.pipelines.extract.text.markup_words import (
        BITS, CAPITAL, CLASSES, DIGIT, HIGH, LETTER, OTHER, SPACE, WORD_START, Reader,
    )  # fmt: skip
else:
    from pipelines.extract.text.markup_words import (
        BITS, CAPITAL, CLASSES, DIGIT, HIGH, LETTER, OTHER, SPACE, WORD_START, Reader,
    )  # fmt: skip
# isort: on


@cython.cclass
class BlockWords(Reader):
    """Counts the words of blocks, one run of text after the other."""

    def __init__(self, blocks: Blocks) -> None:
        tree = blocks.shown.tree
        super().__init__(tree.source)
        self.tags, self.parents = tree.tags, tree.parents
        self.starts, self.stops, self.kinds = tree.starts, tree.stops, KINDS
        self.links, self.measures = blocks.links, blocks.measures
        self.group_counts, self.hashes = blocks.group_counts, blocks.hashes
        self.count = self.breaks = 0
        self.last_link = -1

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
