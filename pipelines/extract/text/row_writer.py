"""What all writers of rows of features stand on: a page's arrays, and questions about its elements."""

import cython

from pipelines.extract.text.block_measures import ALL_WORDS, SUMS, Blocks, Surroundings
from pipelines.extract.text.features import KIND, SEMANTIC, Rows


@cython.cclass
class RowWriter:
    """Holds the arrays of one page."""

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
        self.heading = -1
        self.last_prose = -1

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
        return share(self.sums[node * SUMS + ALL_WORDS], self.words)

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
@cython.exceptval(check=False)
def share(part: cython.longlong, whole: cython.longlong) -> cython.int:
    """In thousandths."""
    return cython.cast(cython.int, part * 1000 // whole)
