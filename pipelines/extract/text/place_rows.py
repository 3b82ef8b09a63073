"""Fills the columns of `features` for where a text block stands: in the page, in a group of items, under a heading."""

from typing import TYPE_CHECKING

import cython

# isort: off
from pipelines.extract.text.block_measures import (
    COUNT, GROUPS, SIBLING_LINK_WORDS, SIBLING_PROSE, SIBLING_SUMS, SIBLING_WORDS, WITH_DATE, WITH_IMAGE, WITH_PRICE,
)  # fmt: skip
from pipelines.extract.html.tags import H1, H6

if cython.compiled:
    from cython.cimports.pipelines.extract.text.row_writer import RowWriter, share
else:
    from pipelines.extract.text.row_writer import RowWriter, share
# isort: on


@cython.cclass
class PlaceWriter(RowWriter):
    """Writes the sections PLACE, GROUP and HEADING."""

    if TYPE_CHECKING:
        heading: int

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
        out[at + 1] = share(block, count)
        out[at + 2] = count - block
        out[at + 3] = share(self.words_before[block], self.words)
        out[at + 4] = share(self.prose_before[block], prose)
        out[at + 5] = share(self.prose_before[count] - self.prose_before[block + 1], prose)
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
        out[at + 14] = share(self.prose_before[last] - self.prose_before[first], words)
        out[at + 15] = share(self.link_words_before[last] - self.link_words_before[first], words)
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
            out[at + 4] = share(siblings[found + SIBLING_LINK_WORDS], words)
            out[at + 5] = share(words, self.words)
            out[at + 7] = share(siblings[found + SIBLING_PROSE], words)
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
