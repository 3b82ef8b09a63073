"""What the judge sees of a text block the second time: what it thought of the blocks around it the first time."""

from array import array

import cython

from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.block_measures import KINSHIPS, MEASURES, WORDS
from pipelines.extract.text.features import COLUMNS, LEAST, LEVELS, NEAREST, WIDTH, Rows


def look_again(rows: Rows, first: Numbers) -> None:
    """Fill the columns of SECOND. first: each block's score, 0..1000."""
    blocks = rows.blocks
    count: cython.int = blocks.count
    scores: cython.int[:] = first
    levels: cython.int[:] = rows.levels
    headings: cython.int[:] = rows.headings
    kin: cython.int[:] = rows.kin
    measures: cython.int[:] = blocks.measures
    texts: cython.int[:] = rows.texts
    out: cython.int[:] = rows.values
    words: cython.longlong[:] = array("q", bytes(8 * count + 8))  # before each block, and one more for each block
    sums: cython.longlong[:] = array("q", bytes(8 * count + 8))
    weighted: cython.longlong[:] = array("q", bytes(8 * count + 8))
    kin_words: cython.longlong[:] = array("q", bytes(8 * KINSHIPS * count + 8))
    kin_weighted: cython.longlong[:] = array("q", bytes(8 * KINSHIPS * count + 8))
    before: cython.int[:] = array("i", bytes(4 * count + 4))
    after: cython.int[:] = array("i", bytes(4 * count + 4))
    at_least: cython.longlong[:] = array("q", bytes(8 * 1002))
    best: cython.int[:] = array("i", [-1]) * (count + 1)  # of each text
    second_best: cython.int[:] = array("i", [-1]) * (count + 1)
    block: cython.int
    other: cython.int
    at: cython.int
    column: cython.int
    score: cython.int
    own: cython.longlong
    total: cython.longlong
    first_block: cython.int
    end: cython.int
    most: cython.int = 0
    last: cython.int = -1
    doubt: cython.longlong = 0
    for block in range(count):
        own = measures[block * MEASURES + WORDS] + 1
        score = scores[block]
        words[block + 1] = words[block] + own
        sums[block + 1] = sums[block] + score
        weighted[block + 1] = weighted[block] + own * score
        most = max(most, score)
        doubt += own * min(score, 1000 - score)
        for column in range(KINSHIPS):
            at = column * count + kin[block * KINSHIPS + column]
            kin_words[at] += own
            kin_weighted[at] += own * score
        if score >= 500:
            last = block
        before[block] = last
        at_least[score] += own
        if score > best[texts[block]]:
            second_best[texts[block]] = best[texts[block]]
            best[texts[block]] = score
        elif score > second_best[texts[block]]:
            second_best[texts[block]] = score
    for score in range(999, -1, -1):
        at_least[score] += at_least[score + 1]
    last = -1
    for block in range(count - 1, -1, -1):
        if scores[block] >= 500:
            last = block
        after[block] = last
    total = words[count]
    for block in range(count):
        own = measures[block * MEASURES + WORDS] + 1
        score = scores[block]
        if score < LEAST:
            continue
        at = block * WIDTH + COLUMNS
        out[at] = score
        at += 1
        for other in range(block - NEAREST, block + NEAREST + 1):
            if other != block:
                out[at] = scores[other] if 0 <= other < count else -1
                at += 1
        for column in range(LEVELS):
            first_block = levels[(block * LEVELS + column) * 2]
            end = levels[(block * LEVELS + column) * 2 + 1]
            if first_block < 0 or end <= first_block:
                out[at] = out[at + 1] = out[at + 2] = out[at + 3] = -1
            else:
                out[at] = (weighted[end] - weighted[first_block]) // (words[end] - words[first_block])
                out[at + 1] = (sums[end] - sums[first_block]) // (end - first_block)
                out[at + 2] = (weighted[end] - weighted[first_block]) * 1000 // (weighted[count] + 1)
                out[at + 3] = -1
                if words[end] - words[first_block] > own:
                    out[at + 3] = (weighted[end] - weighted[first_block] - own * score) // (
                        words[end] - words[first_block] - own
                    )
            at += 4
        for column in range(KINSHIPS):
            other = column * count + kin[block * KINSHIPS + column]
            out[at] = -1
            if kin_words[other] > own:
                out[at] = (kin_weighted[other] - own * score) // (kin_words[other] - own)
            at += 1
        out[at] = _mean(weighted, words, max(0, block - 3), min(count, block + 4))
        out[at + 1] = _mean(weighted, words, max(0, block - 8), min(count, block + 9))
        out[at + 2] = weighted[count] // total
        out[at + 3] = weighted[count] // 1000
        out[at + 4] = most
        out[at + 5] = weighted[block] * 1000 // (weighted[count] + 1)
        out[at + 6] = (weighted[count] - weighted[block + 1]) * 1000 // (weighted[count] + 1)
        out[at + 7] = block - before[block] if before[block] >= 0 else 999
        out[at + 8] = after[block] - block if after[block] >= 0 else 999
        out[at + 9] = scores[headings[block]] if headings[block] >= 0 else -1
        out[at + 10] = at_least[score] * 1000 // total
        out[at + 11] = -1
        if after[block] > before[block] >= 0:
            out[at + 11] = words[after[block]] - words[before[block] + 1]
        out[at + 12] = doubt // total
        out[at + 13] = _mean(weighted, words, max(0, block - 15), block)
        out[at + 14] = _mean(weighted, words, block + 1, min(count, block + 16))
        out[at + 15] = second_best[texts[block]] if score == best[texts[block]] else best[texts[block]]


@cython.cfunc
@cython.exceptval(check=False)
def _mean(
    weighted: cython.longlong[:], words: cython.longlong[:], first: cython.int, end: cython.int
) -> cython.longlong:
    return (weighted[end] - weighted[first]) // (words[end] - words[first]) if end > first else -1
