"""The DOM rules of OBELICS (arXiv 2306.16527), for comparison: which elements stay, by their names alone.

As the rules are written: the published code also loses what stands in <figure> and <picture>.
"""

from pipelines.extract.html import tags
from pipelines.extract.html.page_tree import PageTree

# Their text stays, as part of what is around them.
_UNWRAPPED = """a abbr acronym b bdi bdo big cite code data dfn em font i ins kbd mark q s samp small span strike strong
    sub sup time tt u var wbr"""
_STRUCTURE = """html body address article aside blockquote br caption center dd dl dt div figcaption h1 h2 h3 h4 h5 h6
    hgroup legend main ol p section summary ul"""
_MEDIA = "figure img picture source amp-img"
_STAYS = frozenset(tags.NAMES.index(name) for name in f"{_UNWRAPPED} {_STRUCTURE} {_MEDIA}".split())
_PAGE_PARTS = frozenset({"footer", "header", "navigation", "nav", "navbar", "menu"})
_PAGE_CLASSES = frozenset({"footer", "site-info"})


def kept_by_obelics(tree: PageTree) -> bytearray:
    """1 for each node that the rules leave."""
    kept = bytearray(len(tree))
    node = 0
    while node < len(tree):
        tag = tree.tags[node]
        if tag == tags.TEXT:
            kept[node] = not _is_date(tree, tree.parents[node])
        elif tag in _STAYS and not (tag == tags.DIV and _is_page_part(tree, node)):
            kept[node] = 1
        else:
            node = tree.ends[node]
            continue
        node += 1
    return kept


def _is_page_part(tree: PageTree, node: int) -> bool:
    about = tree.attributes(node)
    if any(about.get(name, "") in _PAGE_PARTS for name in ("id", "class", "title")):
        return True
    return not _PAGE_CLASSES.isdisjoint(about.get("class", "").split())


def _is_date(tree: PageTree, node: int) -> bool:
    return tree.tags[node] == tags.DIV and "date" in tree.attributes(node).get("class", "")
