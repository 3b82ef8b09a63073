"""What surrounds the text blocks of a page: sums over elements, where the prose stands, what repeats.

Made once for a page from its `Blocks`; `features` asks it about each block.
"""

from array import array

import cython

# isort: off
from pipelines.extract.text.block_measures import (
    ALL_BLOCKS, ALL_DATES, ALL_IMAGES, ALL_LINK_WORDS, ALL_LINKS, ALL_PRICES, ALL_PROSE, ALL_PROSE_BLOCKS,
    ALL_SENTENCES, ALL_WORDS, COUNT, CURRENCY, GROUPS, KINSHIPS, LINK_WORDS, LINKS, MEASURES, PARENT, SENTENCES,
    SIBLING_LINK_WORDS, SIBLING_PROSE, SIBLING_SUMS, SIBLING_WORDS, SUMS, TITLE_WORDS, WITH_DATE, WITH_IMAGE,
    WITH_PRICE, WORDS, Blocks, Surroundings,
)  # fmt: skip
from pipelines.extract.html.tags import BODY, H1, LI, PRE, TD, TEXT, P
from pipelines.extract.text.vocabulary import BITS, TEXTS
# isort: on

DATES = list(TEXTS).index("date")

_PROSE_WORDS = 8  # in a block of prose that has a sentence
_LONG_WORDS = 20  # or else this many
_CORE_SHARE = 6  # tenths of the prose: the core is the innermost element with so much
_NEAREST = 4  # elements above a block among which it is looked for a list item, cell or <pre>
_MOST_DATE_WORDS = 12  # a longer block is no date


def survey(blocks: Blocks) -> Surroundings:
    around = Surroundings(blocks)
    _sum_up(blocks, around)
    _find_groups(blocks, around)
    _find_kin(blocks, around)
    return around


def _sum_up(blocks: Blocks, around: Surroundings) -> None:
    tree = blocks.shown.tree
    count: cython.int = blocks.count
    nodes: cython.int = len(tree)
    tags: cython.short[:] = tree.tags
    parents: cython.int[:] = tree.parents
    ends: cython.int[:] = tree.ends
    measures: cython.int[:] = blocks.measures
    group_counts: cython.ushort[:] = blocks.group_counts
    containers: cython.int[:] = blocks.containers
    images: cython.int[:] = blocks.images
    sums: cython.int[:] = around.sums
    prose: cython.int[:] = around.prose
    words_before: cython.int[:] = around.words_before
    link_words_before: cython.int[:] = around.link_words_before
    prose_before: cython.int[:] = around.prose_before
    near: cython.int[:] = array("i", bytes(4 * nodes))  # words of prose directly in an element
    block: cython.int
    row: cython.int
    node: cython.int
    above: cython.int
    words: cython.int
    links: cython.int
    column: cython.int
    likeness: cython.int
    best: cython.int = -1
    h1: cython.int = -1
    prices: cython.int = 0
    dates: cython.int = 0
    items: cython.int = 0
    cells: cython.int = 0
    code: cython.int = 0
    most: cython.int = 0
    for block in range(count):
        row = block * MEASURES
        words = measures[row + WORDS]
        links = measures[row + LINK_WORDS]
        node = containers[block]
        if words >= _PROSE_WORDS and links * 2 <= words and (measures[row + SENTENCES] or words >= _LONG_WORDS):
            prose[block] = words - links
            most = max(most, words - links)
        sums[node * SUMS + ALL_WORDS] += words
        sums[node * SUMS + ALL_LINK_WORDS] += links
        sums[node * SUMS + ALL_BLOCKS] += 1
        sums[node * SUMS + ALL_PROSE] += prose[block]
        sums[node * SUMS + ALL_LINKS] += measures[row + LINKS]
        sums[node * SUMS + ALL_SENTENCES] += measures[row + SENTENCES]
        if prose[block]:
            sums[node * SUMS + ALL_PROSE_BLOCKS] += 1
            if tags[node] != P and tags[node] != BODY:
                near[node] += prose[block]
            above = parents[node]
            if above >= 0:
                near[above] += prose[block]
                if parents[above] >= 0:
                    near[parents[above]] += prose[block] // 2
        if measures[row + CURRENCY]:
            prices += 1
            sums[node * SUMS + ALL_PRICES] += 1
        if group_counts[block * GROUPS + DATES] and words < _MOST_DATE_WORDS:
            dates += 1
            sums[node * SUMS + ALL_DATES] += 1
        if tags[node] == H1:
            likeness = measures[row + TITLE_WORDS] * 4 + (h1 < 0)
            if likeness > best:
                best = likeness
                h1 = block
        words_before[block + 1] = words_before[block] + words
        link_words_before[block + 1] = link_words_before[block] + links
        prose_before[block + 1] = prose_before[block] + prose[block]
        above = node
        column = 0
        while above > 0 and not (tags[above] == LI or tags[above] == TD or tags[above] == PRE):
            column += 1
            above = parents[above] if column < _NEAREST else 0
        if above > 0:
            items += words if tags[above] == LI else 0
            cells += words if tags[above] == TD else 0
            code += words if tags[above] == PRE else 0
    for node in range(nodes):
        sums[node * SUMS + ALL_IMAGES] = images[node]
    for node in range(nodes - 1, 0, -1):
        if tags[node] != TEXT:
            row = parents[node] * SUMS
            for column in range(SUMS):
                sums[row + column] += sums[node * SUMS + column]
    around.item_words, around.cell_words, around.code_words = items, cells, code
    around.prices, around.dates, around.most_prose, around.h1 = prices, dates, most, h1
    top: cython.int = 0
    for node in range(nodes):
        if near[node] > near[top]:
            top = node
    around.top = top
    core: cython.int = 0
    largest: cython.int
    while True:  # down from the page while one child holds most of the prose
        largest = -1
        node = core + 1
        while node < ends[core]:
            if largest < 0 or sums[node * SUMS + ALL_PROSE] > sums[largest * SUMS + ALL_PROSE]:
                largest = node
            node = ends[node]
        if largest < 0 or sums[largest * SUMS + ALL_PROSE] == 0:
            break
        if sums[largest * SUMS + ALL_PROSE] * 10 < sums[ALL_PROSE] * _CORE_SHARE:
            break
        core = largest
    around.core = core


def _find_groups(blocks: Blocks, around: Surroundings) -> None:
    tree = blocks.shown.tree
    nodes: cython.int = len(tree)
    tags: cython.short[:] = tree.tags
    parents: cython.int[:] = tree.parents
    signatures: cython.ulonglong[:] = blocks.signatures
    sums: cython.int[:] = around.sums
    group_of: cython.int[:] = around.sibling_group
    size: cython.int = 64
    while size < 2 * nodes:
        size *= 2
    keys: cython.ulonglong[:] = array("Q", bytes(8 * size))
    numbers: cython.int[:] = array("i", bytes(4 * size))
    around.siblings = array("i", bytes(4 * SIBLING_SUMS * (nodes + 1)))
    siblings: cython.int[:] = around.siblings
    groups: cython.int = 0
    node: cython.int
    row: cython.int
    slot: cython.int
    key: cython.ulonglong
    weight: cython.int
    heaviest: cython.int = 0
    for node in range(1, nodes):
        if tags[node] == TEXT or sums[node * SUMS + ALL_WORDS] == 0:
            continue
        key = ((signatures[node] * 1000003 + parents[node] * 7919) & BITS) + 1
        slot = key & (size - 1)
        while keys[slot] and keys[slot] != key:
            slot = (slot + 1) & (size - 1)
        if not keys[slot]:
            keys[slot] = key
            numbers[slot] = groups
            groups += 1
        group_of[node] = numbers[slot]
        row = numbers[slot] * SIBLING_SUMS
        siblings[row + COUNT] += 1
        siblings[row + SIBLING_WORDS] += sums[node * SUMS + ALL_WORDS]
        siblings[row + WITH_IMAGE] += sums[node * SUMS + ALL_IMAGES] > 0
        siblings[row + WITH_PRICE] += sums[node * SUMS + ALL_PRICES] > 0
        siblings[row + SIBLING_LINK_WORDS] += sums[node * SUMS + ALL_LINK_WORDS]
        siblings[row + SIBLING_PROSE] += sums[node * SUMS + ALL_PROSE]
        siblings[row + WITH_DATE] += sums[node * SUMS + ALL_DATES] > 0
        siblings[row + PARENT] = parents[node]
    for slot in range(groups):
        row = slot * SIBLING_SUMS
        if siblings[row + COUNT] < 3 or tags[siblings[row + PARENT]] == BODY:
            continue
        weight = siblings[row + SIBLING_WORDS]
        if weight < 5 * siblings[row + COUNT]:
            continue
        if siblings[row + WITH_IMAGE] * 2 > siblings[row + COUNT]:
            weight *= 2
        if weight > heaviest:
            heaviest = weight
            around.biggest = slot
            around.biggest_parent = siblings[row + PARENT]


def _find_kin(blocks: Blocks, around: Surroundings) -> None:
    tree = blocks.shown.tree
    count: cython.int = blocks.count
    tags: cython.short[:] = tree.tags
    parents: cython.int[:] = tree.parents
    containers: cython.int[:] = blocks.containers
    signatures: cython.ulonglong[:] = blocks.signatures
    hashes: cython.ulonglong[:] = blocks.hashes
    measures: cython.int[:] = blocks.measures
    kin: cython.int[:] = around.kin
    copies: cython.int[:] = around.copies
    table: cython.int[:]
    kinship: cython.int
    block: cython.int
    node: cython.int
    above: cython.int
    steps: cython.int
    number: cython.int
    repeated: cython.int = 0
    key: cython.ulonglong
    kinds: cython.int
    texts: cython.int[:] = around.texts
    counts: cython.int[:] = array("i", bytes(4 * count + 4))
    size: cython.int = 64
    while size < 2 * count:
        size *= 2
    for kinship in range(KINSHIPS):
        keys: cython.ulonglong[:] = array("Q", bytes(8 * size))
        numbers: cython.int[:] = array("i", bytes(4 * size))
        kinds = 0
        around.kin_sums.append(array("i", bytes(12 * count + 12)))
        table = around.kin_sums[kinship]
        for block in range(count):
            node = containers[block]
            if kinship == 2:
                key = tags[node]
                above = parents[parents[node]] if node > 0 and parents[node] > 0 else 0
                steps = 4
            else:
                key = signatures[node]
                above = parents[node] if node > 0 else 0
                steps = kinship + 1
            while steps and above >= 0:
                key = (key * 131 + signatures[above]) & BITS
                above = parents[above]
                steps -= 1
            number = _number(keys, numbers, size, key + 1, kinds)
            kinds = max(kinds, number + 1)
            kin[block * KINSHIPS + kinship] = number
            table[number * 3] += 1
            table[number * 3 + 1] += measures[block * MEASURES + WORDS]
            table[number * 3 + 2] += measures[block * MEASURES + LINK_WORDS]
    keys = array("Q", bytes(8 * size))
    numbers = array("i", bytes(4 * size))
    kinds = 0
    for block in range(count):
        number = _number(keys, numbers, size, hashes[block] + 1, kinds)
        kinds = max(kinds, number + 1)
        texts[block] = number
        copies[block * 2] = counts[number]
        counts[number] += 1
    for block in range(count):
        number = counts[texts[block]]
        copies[block * 2 + 1] = number
        repeated += number > 1
    around.repeated = repeated


@cython.cfunc
@cython.exceptval(check=False)
def _number(
    keys: cython.ulonglong[:], numbers: cython.int[:], size: cython.int, key: cython.ulonglong, new: cython.int
) -> cython.int:
    """The number of a key above 0 in a table of `size` places; `new` if it has none yet."""
    slot: cython.int = key & (size - 1)
    while keys[slot] and keys[slot] != key:
        slot = (slot + 1) & (size - 1)
    if not keys[slot]:
        keys[slot] = key
        numbers[slot] = new
    return numbers[slot]
