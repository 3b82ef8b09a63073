"""What the judge sees of a page as a whole: the same in the rows of all its blocks."""

from array import array

# isort: off
from pipelines.extract.text.block_measures import (
    ALL_IMAGES, ALL_SENTENCES, ALL_WORDS, COUNT, SIBLING_LINK_WORDS, SIBLING_SUMS, SIBLING_WORDS, SUMS,
    WITH_IMAGE, WITH_PRICE, Blocks, Surroundings,
)  # fmt: skip
from pipelines.extract.text.markup_words import kinds_in
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.vocabulary import KINDS
# isort: on

PAGE = {
    "page_words": "",
    "page_links": "words in links, share",
    "page_blocks": "",
    "page_prose": "words of prose, share",
    "page_li": "words in list items, share",
    "page_td": "words in cells of tables, share",
    "page_articles": "<article> elements",
    "page_forms": "",
    "page_h1s": "",
    "page_images": "",
    "page_sentences": "",
    "page_most_prose": "words of the longest block of prose",
    "page_pre": "words in <pre>, share",
    "page_prices": "blocks with a sign of a currency",
    "page_dates": "short blocks with a date",
    "page_core": "share of words in the core",
    "page_top": "share of words in the element with most prose directly in it",
    "page_repeated": "share of blocks that have a copy",
    "biggest_count": "items of the biggest group of siblings alike",
    "biggest_share": "its share of the page's words",
    "biggest_images": "items with an image, percent",
    "biggest_prices": "with a price",
    "biggest_mean": "words for each item, tenths",
    "biggest_links": "words in links, share",
    **{f"data_{kind}": "a JSON-LD type names it" for kind in KINDS},
    **{f"meta_{kind}": "og:type or generator does" for kind in KINDS},
    **{f"url_{kind}": "the address does" for kind in KINDS},
    "url_depth": "parts of the path",
    "url_digits": "",
    "url_last_words": "words of the path's last part",
    "url_query": "",
}


def page_row(blocks: Blocks, around: Surroundings, url: str) -> Numbers:
    """The values of PAGE."""
    sums, words = around.sums, around.sums[ALL_WORDS] or 1
    row = [
        sums[ALL_WORDS],
        around.link_words_before[blocks.count] * 1000 // words,
        blocks.count,
        around.prose_before[blocks.count] * 1000 // words,
        around.item_words * 1000 // words,
        around.cell_words * 1000 // words,
        blocks.articles,
        blocks.forms,
        blocks.h1s,
        sums[ALL_IMAGES],
        sums[ALL_SENTENCES],
        around.most_prose,
        around.code_words * 1000 // words,
        around.prices,
        around.dates,
        sums[around.core * SUMS + ALL_WORDS] * 1000 // words,
        sums[around.top * SUMS + ALL_WORDS] * 1000 // words,
        around.repeated * 1000 // (blocks.count + 1),
    ]
    if around.biggest >= 0:
        group = around.siblings[around.biggest * SIBLING_SUMS : (around.biggest + 1) * SIBLING_SUMS]
        row += [
            group[COUNT],
            group[SIBLING_WORDS] * 1000 // words,
            group[WITH_IMAGE] * 100 // group[COUNT],
            group[WITH_PRICE] * 100 // group[COUNT],
            group[SIBLING_WORDS] * 10 // group[COUNT],
            group[SIBLING_LINK_WORDS] * 1000 // group[SIBLING_WORDS],
        ]
    else:
        row += [0] * 6
    address = url.encode("utf-8", "replace").partition(b"://")[2].partition(b"#")[0]
    place, _, query = address.partition(b"?")
    for mask in (blocks.data_kinds, blocks.meta_kinds, kinds_in(place) | kinds_in(query)):
        row += [mask >> kind & 1 for kind in range(len(KINDS))]
    path = place.rstrip(b"/").split(b"/")[1:]
    last = path.pop() if path else b""
    digits = len(place) - len(place.translate(None, b"0123456789"))
    row += [len(path) + bool(last), digits, len(last.replace(b"_", b"-").split(b"-")) if last else 0, int(query != b"")]
    return array("i", row)
