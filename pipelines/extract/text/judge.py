"""Which text of a page is its content: every text block is scored twice, and the best cut through the scores is made.

blocks = find_blocks(look(tree))            text_blocks: what is there
rows = describe(blocks, url)                 feature_rows: what each block looks like
first = forest(rows)                         how much it looks like content, by itself
second = forest(rows + second_rows(first))   and among the others
keep = cut(second)                           how much of the page is taken
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cython

from pipelines.extract.html.kinds import SHOWN
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tags import PRE
from pipelines.extract.html.tree import Shown
from pipelines.extract.text.block_measures import MEASURES, WORDS, Blocks
from pipelines.extract.text.certain import certain, drop_permalinks
from pipelines.extract.text.feature_rows import describe
from pipelines.extract.text.features import FEATURES, SECOND, WIDTH
from pipelines.extract.text.forest import Forest, load
from pipelines.extract.text.second_look import look_again
from pipelines.extract.text.text_blocks import find_blocks

KEPT, UNLIKE, COPY, CERTAIN = range(4)
"""Verdicts. Why a block is dropped: its score is below the page's cut; another block that is kept has the same text;
or `certain` says so."""
_DOUBTFUL = 100  # what scores less is hardly ever kept: `certain` is not asked
_LIKELY = 500  # what scores more always is
_COPY_WORDS = 8  # a shorter text may stand twice
_COPY_SCORE = 800  # and one that scores so much in both places
_LEVELS_TO_CODE = 4  # up from a block to its <pre>
_WORLDS = 32  # see `_cut`


@dataclass(frozen=True)
class Judgement:
    """What was thought of a page's text blocks."""

    blocks: Blocks
    scores: Numbers
    """Of each block, 0..1000."""
    cut: int
    """The lowest score that is kept."""
    verdicts: bytearray
    """Of each block: KEPT, or why it is dropped."""
    named: Mapping[int, str]
    """Why `certain` says so, by the block."""

    def keep(self) -> bytearray:
        """1 for each node of the tree that is a text to keep."""
        keep = bytearray(len(self.blocks.shown.tree))
        _mark(self.blocks, self.verdicts, keep)
        drop_permalinks(self.blocks.shown.tree, keep)
        return keep


@cache
def forests() -> tuple[Forest, Forest]:
    """The shipped forests, for the first look and the second."""
    return load("first_look.json", FEATURES), load("second_look.json", (*FEATURES, *SECOND))


def judge(shown: Shown, url: str) -> Judgement:
    """shown: from `tree.look`."""
    blocks = find_blocks(shown)
    rows = describe(blocks, url)
    first_forest, second_forest = forests()
    first = first_forest.score(rows.values, WIDTH, blocks.count)
    look_again(rows, first)
    return decide(blocks, second_forest.score(rows.values, WIDTH, blocks.count, first))


def decide(blocks: Blocks, scores: Numbers) -> Judgement:
    """Keep the blocks down to the best cut, but no text twice, and the code beside them."""
    scores = scores[:]
    verdicts = bytearray(blocks.count)
    named = certain(blocks, scores, _DOUBTFUL)
    for block in named:
        scores[block], verdicts[block] = 0, CERTAIN
    cut = min(best_cut(blocks, scores), _LIKELY)
    _drop_below(cut, scores, verdicts)
    _drop_copies(blocks, scores, verdicts)
    _keep_code(blocks, verdicts)
    return Judgement(blocks, scores, cut, verdicts, named)


def best_cut(blocks: Blocks, scores: Numbers) -> int:
    """The score down to which the blocks are kept, so that the expected agreement (F1 of words) is largest.

    Two views of what the content may be are averaged: each block is content or not by itself, as likely as it scored;
    or the blocks are content together down to a score that nobody knows, all scores up to the highest alike likely.
    """
    count: cython.int = blocks.count
    if not count:
        return 0
    found: cython.int[:] = scores
    measures: cython.int[:] = blocks.measures
    weights: cython.longlong[:] = array("q", bytes(8 * 1002))
    size: cython.longlong[:] = array("q", bytes(8 * 1002))  # words of blocks with a score or more
    worlds: cython.longlong[:] = array("q", bytes(8 * _WORLDS))
    block: cython.int
    score: cython.int
    world: cython.int
    most: cython.int = 0
    best: cython.int = 0
    value: cython.longlong
    highest: cython.longlong = -1
    expected: cython.longlong = 0  # words of content, thousandfold
    taken: cython.longlong = 0
    for block in range(count):
        score = found[block]
        weights[score] += measures[block * MEASURES + WORDS] * 64 + 1  # a block without words weighs next to nothing
        most = max(most, score)
    for score in range(1000, -1, -1):
        size[score] = size[score + 1] + weights[score]
        expected += weights[score] * score
    for world in range(_WORLDS):
        worlds[world] = size[max(1, (2 * world + 1) * most // (2 * _WORLDS) + 1)]
        if not worlds[world]:
            worlds[world] = size[most]
    for score in range(most, -1, -1):
        if not weights[score]:
            continue
        taken += weights[score] * score
        value = 2 * taken * 1000000 // (size[score] * 1000 + expected)  # in the first view, millionths
        together: cython.longlong = 0
        for world in range(_WORLDS):
            together += 2 * min(size[score], worlds[world]) * 1000000 // (size[score] + worlds[world])
        value += together // _WORLDS
        if value > highest:
            highest = value
            best = score
    return best


def _drop_below(cut: int, scores: Numbers, verdicts: bytearray) -> None:
    found: cython.int[:] = scores
    out: cython.uchar[:] = verdicts
    least: cython.int = cut
    block: cython.int
    for block in range(len(verdicts)):
        if out[block] == KEPT and found[block] < least:
            out[block] = UNLIKE


def _keep_code(blocks: Blocks, verdicts: bytearray) -> None:
    """Preformatted text is content where the text before or behind it is."""
    tags: cython.short[:] = blocks.shown.tree.tags
    parents: cython.int[:] = blocks.shown.tree.parents
    containers: cython.int[:] = blocks.containers
    out: cython.uchar[:] = verdicts
    count: cython.int = len(verdicts)
    code: cython.uchar[:] = bytearray(count + 1)
    step: cython.int
    block: cython.int
    node: cython.int
    _: cython.int
    at: cython.int
    beside: cython.bint
    for block in range(count):
        node = containers[block]
        for _ in range(_LEVELS_TO_CODE):
            if node > 0 and tags[node] != PRE:
                node = parents[node]
        code[block] = node > 0 and tags[node] == PRE
    for step in range(2):
        beside = False
        for at in range(count):
            block = count - 1 - at if step else at
            if code[block] and beside and out[block] == UNLIKE:
                out[block] = KEPT
            beside = out[block] == KEPT


def _mark(blocks: Blocks, verdicts: bytearray, keep: bytearray) -> None:
    """Mark the texts of kept blocks, with the white space between them, which is in no block's list."""
    texts: cython.int[:] = blocks.texts
    firsts: cython.int[:] = blocks.firsts
    states: cython.uchar[:] = blocks.shown.states
    given: cython.uchar[:] = verdicts
    out: cython.uchar[:] = keep
    block: cython.int
    node: cython.int
    for block in range(len(verdicts)):
        if given[block] == KEPT:
            for node in range(texts[firsts[block]], texts[firsts[block + 1] - 1] + 1):
                out[node] = states[node] == SHOWN


def _drop_copies(blocks: Blocks, scores: Numbers, verdicts: bytearray) -> None:
    """Of kept blocks with the same text keep the one that scored highest; those of one parent may repeat themselves."""
    parents: cython.int[:] = blocks.shown.tree.parents
    containers: cython.int[:] = blocks.containers
    measures: cython.int[:] = blocks.measures
    hashes: cython.ulonglong[:] = blocks.hashes
    found: cython.int[:] = scores
    out: cython.uchar[:] = verdicts
    kept: dict[int, int] = {}
    block: cython.int
    other: cython.int
    for block in range(len(verdicts)):
        if out[block] != KEPT or measures[block * MEASURES + WORDS] < _COPY_WORDS:
            continue
        other = kept.setdefault(hashes[block], block)
        if other == block or parents[containers[other]] == parents[containers[block]]:
            continue
        if found[block] >= _COPY_SCORE and found[other] >= _COPY_SCORE:
            continue
        if found[block] > found[other]:
            out[other] = COPY
            kept[hashes[block]] = block
        else:
            out[block] = COPY
