"""Fills the columns of `features` for all text blocks of a page."""

import cython

# isort: off
from pipelines.extract.text.block_measures import (
    ALL_BLOCKS, ALL_IMAGES, ALL_LINK_WORDS, ALL_PROSE, ALL_WORDS, BOLD_WORDS, BREAKS, CAPITALIZED, CHARS, COMMAS,
    CURRENCY, DATA_TRIPLES, DIGITS, END, FIRST, GROUPS, KINSHIPS, LINK_CHARS, LINK_WORDS, LINKS, MEASURES, RUNS,
    SENTENCES, SUMMARY_PAIRS, SUMS, SYMBOLS, TITLE_WORDS, UPPER, WORDS, Blocks,
)  # fmt: skip
from pipelines.extract.text.features import (
    AT_CALLED, AT_GROUP, AT_HEADING, AT_KIN, AT_LEVEL, AT_NEAR, AT_OWN, AT_PAGE, AT_PLACE, AT_SAYS, AT_WITHIN,
    WIDTH, FUNCTION, LEVELS, Rows,
)  # fmt: skip
from pipelines.extract.text.page_features import page_row
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.surroundings import survey

if cython.compiled:
    from cython.cimports.pipelines.extract.text.place_rows import PlaceWriter
    from cython.cimports.pipelines.extract.text.row_writer import share
else:
    from pipelines.extract.text.place_rows import PlaceWriter
    from pipelines.extract.text.row_writer import share
# isort: on


def describe(blocks: Blocks, url: str) -> Rows:
    around = survey(blocks)
    rows = Rows(blocks, around)
    if blocks.count:
        writer = _Writer(blocks, around, rows)
        writer.write(page_row(blocks, around, url))
    return rows


@cython.cclass
class _Writer(PlaceWriter):
    """Fills the rows, section by section."""

    def write(self, page: Numbers) -> None:
        shared: cython.int[:] = page
        size: cython.int = len(page)
        block: cython.int
        column: cython.int
        for block in range(self.count):
            row: cython.int = block * WIDTH
            node: cython.int = self.containers[block]
            self.own(block, node, row + AT_OWN)
            self.around(block, node, row)
            self.near(block, node, row + AT_NEAR)
            self.alike(block, row + AT_KIN)
            self.place(block, node, row + AT_PLACE)
            self.group(node, row + AT_GROUP)
            self.after_heading(block, node, row + AT_HEADING)
            for column in range(size):
                self.out[row + AT_PAGE + column] = shared[column]

    @cython.cfunc
    @cython.exceptval(check=False)
    def own(self, block: cython.int, node: cython.int, at: cython.int) -> cython.void:
        out: cython.int[:] = self.out
        sums: cython.int[:] = self.measures
        own: cython.int = block * MEASURES
        words: cython.int = max(1, sums[own + WORDS])
        chars: cython.int = max(1, sums[own + CHARS])
        group: cython.int
        depth: cython.int = 0
        up: cython.int = node
        while up >= 0:
            depth += 1
            up = self.parents[up]
        out[at] = sums[own + WORDS]
        out[at + 1] = sums[own + CHARS]
        out[at + 2] = sums[own + LINK_WORDS]
        out[at + 3] = share(sums[own + LINK_CHARS], chars)
        out[at + 4] = share(sums[own + DIGITS], chars)
        out[at + 5] = share(sums[own + CAPITALIZED], words)
        out[at + 6] = sums[own + SENTENCES]
        out[at + 7] = sums[own + COMMAS]
        out[at + 8] = sums[own + RUNS]
        out[at + 9] = sums[own + LINKS]
        out[at + 10] = share(sums[own + BOLD_WORDS], words)
        out[at + 11] = sums[own + END]
        out[at + 12] = sums[own + FIRST]
        out[at + 13] = share(sums[own + TITLE_WORDS], words)
        out[at + 14] = share(sums[own + SUMMARY_PAIRS], words)
        out[at + 15] = share(sums[own + DATA_TRIPLES], words)
        out[at + 16] = share(sums[own + SYMBOLS], chars)
        out[at + 17] = share(sums[own + UPPER], chars)
        out[at + 18] = sums[own + BREAKS]
        out[at + 19] = sums[own + CHARS] * 10 // words
        out[at + 20] = self.kinds[self.tags[node]]
        out[at + 21] = share(self.group_counts[block * GROUPS + FUNCTION], words)
        out[at + 22] = block == self.h1
        out[at + 23] = sums[own + CURRENCY]
        out[at + 24] = depth
        out[at + 25] = self.links[node] >= 0
        out[at + 26] = share(sums[own + TITLE_WORDS], (self.title_words + 1))
        out[at + 27] = self.hidden[self.parents[self.texts[self.firsts[block]]]]
        up = self.hiders[self.parents[self.texts[self.firsts[block]]]]
        out[at + 28] = self.sums[up * SUMS + ALL_BLOCKS] if up >= 0 else -1
        out[at + 29] = self.share_of(up) if up >= 0 else -1
        out[at + 30] = self.copies[block * 2]
        out[at + 31] = self.copies[block * 2 + 1]
        at += AT_SAYS - AT_OWN
        for group in range(GROUPS):
            out[at + group] = self.group_counts[block * GROUPS + group]

    @cython.cfunc
    @cython.exceptval(check=False)
    def around(self, block: cython.int, node: cython.int, row: cython.int) -> cython.void:
        """CALLED, WITHIN and LEVEL: all elements around the block."""
        out: cython.int[:] = self.out
        sums: cython.int[:] = self.sums
        own: cython.int = self.measures[block * MEASURES + WORDS]
        words: cython.int
        blocks: cython.int
        part: cython.int
        level: cython.int = 0
        up: cython.int = 0
        at: cython.int
        last: cython.int = -1
        seen: cython.ulonglong = 0
        seen_tags: cython.int = 0
        mask: cython.ulonglong
        tag: cython.int
        for at in range(row + AT_CALLED, row + AT_NEAR):
            out[at] = -1
        while node >= 0:
            words = sums[node * SUMS + ALL_WORDS]
            part = share(words, self.words)
            if level < LEVELS and words > last and (last >= 0 or words > own):
                at = row + AT_LEVEL + level * 9
                blocks = sums[node * SUMS + ALL_BLOCKS]
                out[at] = words
                out[at + 1] = part
                out[at + 2] = share(sums[node * SUMS + ALL_LINK_WORDS], max(1, words))
                out[at + 3] = words * 10 // max(1, blocks)
                out[at + 4] = share(sums[node * SUMS + ALL_PROSE], max(1, words))
                out[at + 5] = blocks
                out[at + 6] = sums[node * SUMS + ALL_IMAGES]
                out[at + 7] = up
                out[at + 8] = self.kinds[self.tags[node]]
                self.levels[(block * LEVELS + level) * 2] = self.next_blocks[node]
                self.levels[(block * LEVELS + level) * 2 + 1] = self.next_blocks[node] + blocks
                level += 1
            last = words
            mask = self.names[node] & ~seen
            seen |= mask
            at = row + AT_CALLED
            while mask:
                if mask & 1:
                    out[at] = part
                mask >>= 1
                at += 1
            tag = self.semantic[self.tags[node]]
            if tag >= 0 and not seen_tags >> tag & 1:
                seen_tags |= 1 << tag
                out[row + AT_WITHIN + tag] = part
            up += 1
            node = self.parents[node]

    @cython.cfunc
    @cython.exceptval(check=False)
    def near(self, block: cython.int, node: cython.int, at: cython.int) -> cython.void:
        out: cython.int[:] = self.out
        step: cython.int
        other: cython.int
        words: cython.int
        for step in range(-3, 4):
            if step == 0:
                continue
            other = block + step
            if other < 0 or other >= self.count:
                out[at] = out[at + 1] = out[at + 2] = out[at + 3] = out[at + 4] = out[at + 5] = -1
            else:
                words = self.measures[other * MEASURES + WORDS]
                out[at] = words
                out[at + 1] = share(self.measures[other * MEASURES + LINK_WORDS], max(1, words))
                out[at + 2] = self.kinds[self.tags[self.containers[other]]]
                out[at + 3] = self.measures[other * MEASURES + SENTENCES]
                out[at + 4] = (self.kin[other * KINSHIPS] == self.kin[block * KINSHIPS]) + (
                    self.kin[other * KINSHIPS + 1] == self.kin[block * KINSHIPS + 1]
                )
                out[at + 5] = self.share_of(self.common(node, self.containers[other]))
            at += 6

    @cython.cfunc
    @cython.exceptval(check=False)
    def alike(self, block: cython.int, at: cython.int) -> cython.void:
        self.kind_of(self.kin0, self.kin[block * KINSHIPS], at)
        self.kind_of(self.kin1, self.kin[block * KINSHIPS + 1], at + 3)
        self.kind_of(self.kin2, self.kin[block * KINSHIPS + 2], at + 6)

    @cython.cfunc
    @cython.exceptval(check=False)
    def kind_of(self, table: cython.int[:], number: cython.int, at: cython.int) -> cython.void:
        self.out[at] = table[number * 3]
        self.out[at + 1] = table[number * 3 + 1] * 10 // table[number * 3]
        self.out[at + 2] = share(table[number * 3 + 2], max(1, table[number * 3 + 1]))
