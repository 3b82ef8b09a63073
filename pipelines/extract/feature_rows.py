"""Fills the columns of `features` for all text blocks of a page."""

import cython

# isort: off
from pipelines.extract.block_measures import (
    ALL_BLOCKS, ALL_IMAGES, ALL_LINK_WORDS, ALL_PROSE, ALL_WORDS, BOLD_WORDS, BREAKS, CAPITALIZED, CHARS, COMMAS,
    COUNT, CURRENCY, DATA_TRIPLES, DIGITS, END, FIRST, GROUPS, KINSHIPS, LINK_CHARS, LINK_WORDS, LINKS, MEASURES,
    RUNS, SENTENCES, SIBLING_LINK_WORDS, SIBLING_PROSE, SIBLING_SUMS, SIBLING_WORDS, SUMMARY_PAIRS, SUMS, SYMBOLS,
    TITLE_WORDS, UPPER, WITH_DATE, WITH_IMAGE, WITH_PRICE, WORDS, Blocks, Surroundings,
)  # fmt: skip
from pipelines.extract.features import (
    AT_CALLED, AT_GROUP, AT_HEADING, AT_KIN, AT_LEVEL, AT_NEAR, AT_OWN, AT_PAGE, AT_PLACE, AT_SAYS, AT_WITHIN,
    WIDTH, FUNCTION, KIND, LEVELS, SEMANTIC, Rows,
)  # fmt: skip
from pipelines.extract.page_features import page_row
from pipelines.extract.page_tree import Numbers
from pipelines.extract.surroundings import survey
from pipelines.extract.tags import H1, H6
# isort: on


def describe(blocks: Blocks, url: str) -> Rows:
    around = survey(blocks)
    rows = Rows(blocks, around)
    if blocks.count:
        writer = _Writer(blocks, around, rows)
        writer.write(page_row(blocks, around, url))
    return rows


@cython.cclass
class _Writer:
    """Fills the rows, section by section."""

    tags: cython.short[:]
    parents: cython.int[:]
    ends: cython.int[:]
    containers: cython.int[:]
    firsts: cython.int[:]
    texts: cython.int[:]
    measures: cython.int[:]
    group_counts: cython.ushort[:]
    names: cython.ulonglong[:]
    hidden: cython.uchar[:]
    hiders: cython.int[:]
    links: cython.int[:]
    next_blocks: cython.int[:]
    sums: cython.int[:]
    prose: cython.int[:]
    words_before: cython.int[:]
    link_words_before: cython.int[:]
    prose_before: cython.int[:]
    siblings: cython.int[:]
    sibling_group: cython.int[:]
    kin: cython.int[:]
    kin0: cython.int[:]
    kin1: cython.int[:]
    kin2: cython.int[:]
    copies: cython.int[:]
    kinds: cython.int[:]
    semantic: cython.int[:]
    out: cython.int[:]
    levels: cython.int[:]
    headings: cython.int[:]
    count: cython.int
    words: cython.int
    title_words: cython.int
    h1: cython.int
    top: cython.int
    core: cython.int
    biggest: cython.int
    biggest_parent: cython.int
    heading: cython.int
    last_prose: cython.int

    def __init__(self, blocks: Blocks, around: Surroundings, rows: Rows) -> None:
        tree = blocks.shown.tree
        self.tags, self.parents, self.ends = tree.tags, tree.parents, tree.ends
        self.containers, self.firsts, self.texts = blocks.containers, blocks.firsts, blocks.texts
        self.measures, self.group_counts, self.names = blocks.measures, blocks.group_counts, blocks.names
        self.hidden, self.hiders = blocks.hidden, blocks.hiders
        self.links, self.next_blocks = blocks.links, blocks.next_blocks
        self.sums, self.prose, self.words_before = around.sums, around.prose, around.words_before
        self.link_words_before, self.prose_before = around.link_words_before, around.prose_before
        self.siblings, self.sibling_group, self.kin = around.siblings, around.sibling_group, around.kin
        self.kin0, self.kin1, self.kin2 = around.kin_sums
        self.copies, self.kinds, self.semantic = around.copies, KIND, SEMANTIC
        self.out, self.levels, self.headings = rows.values, rows.levels, rows.headings
        self.count, self.words, self.title_words = blocks.count, max(1, around.sums[ALL_WORDS]), blocks.title_words
        self.h1, self.top, self.core = around.h1, around.top, around.core
        self.biggest, self.biggest_parent = around.biggest, around.biggest_parent
        self.heading = self.last_prose = -1

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
        out[at + 3] = _share(sums[own + LINK_CHARS], chars)
        out[at + 4] = _share(sums[own + DIGITS], chars)
        out[at + 5] = _share(sums[own + CAPITALIZED], words)
        out[at + 6] = sums[own + SENTENCES]
        out[at + 7] = sums[own + COMMAS]
        out[at + 8] = sums[own + RUNS]
        out[at + 9] = sums[own + LINKS]
        out[at + 10] = _share(sums[own + BOLD_WORDS], words)
        out[at + 11] = sums[own + END]
        out[at + 12] = sums[own + FIRST]
        out[at + 13] = _share(sums[own + TITLE_WORDS], words)
        out[at + 14] = _share(sums[own + SUMMARY_PAIRS], words)
        out[at + 15] = _share(sums[own + DATA_TRIPLES], words)
        out[at + 16] = _share(sums[own + SYMBOLS], chars)
        out[at + 17] = _share(sums[own + UPPER], chars)
        out[at + 18] = sums[own + BREAKS]
        out[at + 19] = sums[own + CHARS] * 10 // words
        out[at + 20] = self.kinds[self.tags[node]]
        out[at + 21] = _share(self.group_counts[block * GROUPS + FUNCTION], words)
        out[at + 22] = block == self.h1
        out[at + 23] = sums[own + CURRENCY]
        out[at + 24] = depth
        out[at + 25] = self.links[node] >= 0
        out[at + 26] = _share(sums[own + TITLE_WORDS], (self.title_words + 1))
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
        share: cython.int
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
            share = _share(words, self.words)
            if level < LEVELS and words > last and (last >= 0 or words > own):
                at = row + AT_LEVEL + level * 9
                blocks = sums[node * SUMS + ALL_BLOCKS]
                out[at] = words
                out[at + 1] = share
                out[at + 2] = _share(sums[node * SUMS + ALL_LINK_WORDS], max(1, words))
                out[at + 3] = words * 10 // max(1, blocks)
                out[at + 4] = _share(sums[node * SUMS + ALL_PROSE], max(1, words))
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
                    out[at] = share
                mask >>= 1
                at += 1
            tag = self.semantic[self.tags[node]]
            if tag >= 0 and not seen_tags >> tag & 1:
                seen_tags |= 1 << tag
                out[row + AT_WITHIN + tag] = share
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
                out[at + 1] = _share(self.measures[other * MEASURES + LINK_WORDS], max(1, words))
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
        self.out[at + 2] = _share(table[number * 3 + 2], max(1, table[number * 3 + 1]))

    @cython.cfunc
    @cython.exceptval(check=False)
    def place(self, block: cython.int, node: cython.int, at: cython.int) -> cython.void:
        out: cython.int[:] = self.out
        count: cython.int = self.count
        prose: cython.int = max(1, self.prose_before[count])
        shared: cython.int
        if self.prose[block]:
            self.last_prose = block
        next_prose: cython.int = block
        while next_prose < count and next_prose < block + 50 and not self.prose[next_prose]:
            next_prose += 1
        first: cython.int = max(0, block - 5)
        last: cython.int = min(count, block + 6)
        words: cython.int = self.words_before[last] - self.words_before[first] + 1
        out[at] = block
        out[at + 1] = _share(block, count)
        out[at + 2] = count - block
        out[at + 3] = _share(self.words_before[block], self.words)
        out[at + 4] = _share(self.prose_before[block], prose)
        out[at + 5] = _share(self.prose_before[count] - self.prose_before[block + 1], prose)
        if self.h1 >= 0:
            shared = self.common(node, self.containers[self.h1])
            out[at + 6] = block - self.h1
            out[at + 7] = self.share_of(shared)
            out[at + 8] = self.levels_to(node, shared)
        else:
            out[at + 6] = -9999
            out[at + 7] = out[at + 8] = -1
        shared = self.common(node, self.top)
        out[at + 9] = shared == self.top
        out[at + 10] = self.levels_to(node, shared)
        out[at + 11] = self.share_of(shared)
        out[at + 12] = 1 if node >= self.ends[self.top] else (-1 if node < self.top else 0)
        out[at + 13] = 2 if node >= self.ends[self.core] else (0 if node < self.core else 1)
        out[at + 14] = _share(self.prose_before[last] - self.prose_before[first], words)
        out[at + 15] = _share(self.link_words_before[last] - self.link_words_before[first], words)
        out[at + 16] = block - self.last_prose if self.last_prose >= 0 else 99
        out[at + 17] = next_prose - block
        out[at + 18] = min(99, block)

    @cython.cfunc
    @cython.exceptval(check=False)
    def group(self, node: cython.int, at: cython.int) -> cython.void:
        """The innermost group of three siblings or more, or a much larger one of items around it."""
        out: cython.int[:] = self.out
        siblings: cython.int[:] = self.siblings
        found: cython.int = -1
        group: cython.int
        groups: cython.int = 0
        up: cython.int = 0
        column: cython.int
        item: cython.int = node
        shared: cython.int
        for column in range(13):
            out[at + column] = -1
        while item > 0:
            group = self.sibling_group[item] * SIBLING_SUMS
            if group >= 0 and siblings[group + COUNT] >= 3:
                groups += 1
                if found < 0 or (
                    groups <= 3
                    and siblings[group + COUNT] >= 4
                    and siblings[group + SIBLING_WORDS] * 2 > siblings[found + SIBLING_WORDS] * 5
                ):
                    found = group
                    out[at + 6] = up
            item = self.parents[item]
            up += 1
        if found >= 0:
            count: cython.int = siblings[found + COUNT]
            words: cython.int = siblings[found + SIBLING_WORDS]
            out[at] = count
            out[at + 1] = words * 10 // count
            out[at + 2] = siblings[found + WITH_IMAGE] * 100 // count
            out[at + 3] = siblings[found + WITH_PRICE] * 100 // count
            out[at + 4] = _share(siblings[found + SIBLING_LINK_WORDS], words)
            out[at + 5] = _share(words, self.words)
            out[at + 7] = _share(siblings[found + SIBLING_PROSE], words)
            out[at + 8] = found == self.biggest * SIBLING_SUMS
            out[at + 9] = siblings[found + WITH_DATE] * 100 // count
        out[at + 10] = groups
        if self.biggest >= 0:
            shared = self.common(node, self.biggest_parent)
            out[at + 11] = self.share_of(shared)
            out[at + 12] = 0 if shared == self.biggest_parent else (1 if node < self.biggest_parent else 2)

    @cython.cfunc
    @cython.exceptval(check=False)
    def after_heading(self, block: cython.int, node: cython.int, at: cython.int) -> cython.void:
        out: cython.int[:] = self.out
        heading: cython.int = self.heading
        column: cython.int
        self.headings[block] = heading
        if heading >= 0:
            over: cython.int = self.parents[self.containers[heading]]
            out[at] = self.tags[self.containers[heading]] - H1
            out[at + 1] = block - heading
            out[at + 2] = self.words_before[block] - self.words_before[heading + 1]
            out[at + 3] = 2 if node < self.ends[over] else (
                1 if self.parents[over] >= 0 and node < self.ends[self.parents[over]] else 0
            )  # fmt: skip
            for column in range(GROUPS):
                out[at + 4 + column] = self.group_counts[heading * GROUPS + column] > 0
        else:
            out[at] = out[at + 1] = out[at + 2] = out[at + 3] = -1
        if H1 <= self.tags[node] <= H6:
            self.heading = block

    @cython.cfunc
    @cython.exceptval(check=False)
    def common(self, node: cython.int, other: cython.int) -> cython.int:
        """The nearest element around both."""
        while node > 0 and not node <= other < self.ends[node]:
            node = self.parents[node]
        return node

    @cython.cfunc
    @cython.exceptval(check=False)
    def share_of(self, node: cython.int) -> cython.int:
        return _share(self.sums[node * SUMS + ALL_WORDS], self.words)

    @cython.cfunc
    @cython.exceptval(check=False)
    def levels_to(self, node: cython.int, above: cython.int) -> cython.int:
        """Ancestors up to `above` that hold more words than the one before."""
        levels: cython.int = 0
        words: cython.int = self.sums[node * SUMS + ALL_WORDS]
        while node != above and node > 0:
            node = self.parents[node]
            if self.sums[node * SUMS + ALL_WORDS] > words:
                words = self.sums[node * SUMS + ALL_WORDS]
                levels += 1
        return levels


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _share(part: cython.longlong, whole: cython.longlong) -> cython.int:
    """In thousandths."""
    return cython.cast(cython.int, part * 1000 // whole)
