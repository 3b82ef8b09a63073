"""Parts of a page that are not its content whatever they say: what a page itself calls navigation, adverts, consent.

The judge learns from pages of large sites how such parts look, and mostly knows. These rules are for what a page says
plainly: on annotated pages they cost nothing, and pages unlike those are what they are for. To add a rule, add a word;
words of a class or an id are whole words ("post-share" has "share", "sussex" does not have "sex").
"""

import re
from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate

from pipelines.extract.html import tags
from pipelines.extract.html.attribute_scan import value_of
from pipelines.extract.html.nodes import nodes_of
from pipelines.extract.html.page_tree import Numbers, PageTree
from pipelines.extract.text.block_measures import MEASURES, WORDS, Blocks

_TAGS = {tags.NAV: "navigation", tags.MENU: "navigation", tags.FOOTER: "footer", tags.ASIDE: "aside",
         tags.SEARCH: "form"}  # fmt: skip
_ROLES = {
    "navigation": "navigation", "menu": "navigation", "menubar": "navigation", "toolbar": "navigation",
    "directory": "navigation", "banner": "header", "contentinfo": "footer", "complementary": "aside",
    "search": "form", "dialog": "dialog", "alertdialog": "dialog",
}  # fmt: skip
_WORDS = {
    "navigation": "navbar subnav topnav breadcrumb breadcrumbs pagination pager skiplink sitemap",
    "header": "masthead topbar",
    "consent": "cookie cookies consent gdpr onetrust cookiebanner",
    "subscription": "newsletter newsletters subscribe subscription signup optin mailchimp paywall regwall",
    "comments": "comments commentlist disqus livefyre",
    "share": "share shares sharing sharebar sharedaddy addthis addtoany sociable socialmedia",
    "advert": "advert adverts advertisement advertising ad ads adsense adslot adunit dfp",
}
_REASON_OF = {word: reason for reason, words in _WORDS.items() for word in words.split()}
# A class that begins so tells a state of the page or the subject of a part: "no-ads", "category-cookies".
_STATE = re.compile(
    r"(?:has|no|with|without|is|js|hide|show|open|enable|disable|category|cat|tag|term|topic|product_cat|product_tag)[-_]"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# The id of a heading is a slug of its words, and so is a long one.
_NOT_NAMED = frozenset({tags.HTML, tags.BODY, tags.MAIN, tags.ARTICLE, *range(tags.H1, tags.H6 + 1)})
_LONGEST_CLASS, _LONGEST_ID, _MOST_ID_WORDS = 500, 40, 3
_LIKELY = 500
_SIGN_BYTES = 12


_Sums = tuple[tuple[int, ...], ...]  # words before each block: all of them, and those that look like content


def certain(blocks: Blocks, scores: Numbers, least: int) -> dict[int, str]:
    """Of the blocks that scored at least so much, those that are certainly not content, each with the reason.

    A part with more than half of the page's words, or (if not called comments) of those that look like content, is
    believed to be content, whatever it is called.
    """
    words = blocks.measures[WORDS : blocks.count * MEASURES : MEASURES]
    likely = (count * (score >= _LIKELY) for count, score in zip(words, scores, strict=False))
    before = (0, *accumulate(words)), (0, *accumulate(likely))
    known: dict[int, str] = {-1: "", 0: ""}
    found: dict[int, str] = {}
    for block in range(blocks.count):
        if scores[block] >= least and (reason := _reason(blocks, blocks.containers[block], before, known)):
            found[block] = reason
    return found


def _reason(blocks: Blocks, node: int, before: _Sums, known: dict[int, str]) -> str:
    """The reason against a node or the nearest element around it that has one."""
    tree = blocks.shown.tree
    above: list[int] = []
    while node not in known:
        above.append(node)
        node = tree.parents[node]
    reason = known[node]
    while above:
        node = above.pop()
        reason = reason or _own_reason(blocks, node, before)
        known[node] = reason
    return reason


def _own_reason(blocks: Blocks, node: int, before: _Sums) -> str:
    tree = blocks.shown.tree
    tag = tree.tags[node]
    if tag in _NOT_NAMED:
        return ""
    role = value_of(tree, node, b"role")
    identity = value_of(tree, node, b"id")
    reason = (
        _TAGS.get(tag)
        or (role and _ROLES.get(role.strip().lower()))
        or _reason_of_name(value_of(tree, node, b"class")[:_LONGEST_CLASS])
        or (_reason_of_name(identity) if _is_name(identity) else "")
    )
    if not reason:
        return ""
    first = blocks.next_blocks[node]
    last = bisect_left(
        range(blocks.count), tree.ends[node], lo=first, key=lambda block: blocks.texts[blocks.firsts[block]]
    )
    if reason == "comments":  # may well look like content, and be longer
        before = before[:1]
    return "" if any(2 * (sums[last] - sums[first]) > sums[-1] for sums in before) else reason


def _is_name(identity: str) -> bool:
    """Whether an id names a part; a longer one is the slug of a heading."""
    return len(identity) <= _LONGEST_ID and len(_SEPARATORS.split(identity.lower())) <= _MOST_ID_WORDS


@lru_cache(maxsize=50_000)
def _reason_of_name(name: str) -> str:
    for token in name.split():
        if not _STATE.match(token.lower()):
            for word in _SEPARATORS.split(_CAMEL.sub("-", token).lower()):
                if reason := _REASON_OF.get(word):
                    return reason
    return ""


def drop_permalinks(tree: PageTree, keep: bytearray) -> None:
    """Signs such as "¶" that link to the place where they stand."""
    for node in nodes_of(tree, tags.A):
        if tree.ends[node] == node + 2 and keep[node + 1] and is_permalink(tree, node):
            keep[node + 1] = 0


def is_permalink(tree: PageTree, node: int) -> bool:
    """Whether an element is a link with nothing in it but such a sign."""
    text = node + 1
    if tree.tags[node] != tags.A or tree.ends[node] != text + 1 or tree.tags[text] != tags.TEXT:
        return False
    if tree.stops[text] - tree.starts[text] > _SIGN_BYTES:
        return False
    sign = tree.text(text).strip()
    return len(sign) == 1 and not sign.isalnum() and "#" in value_of(tree, node, b"href")
