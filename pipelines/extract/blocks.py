"""Which blocks of a page are not its content, and which block is.

`boilerplate_reason` judges one block; `main_roots` chooses where the content stands. The words that mark a block are
whole words of its class and id ("post-share" has "share", "sussex" is not "sex").
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from pipelines.extract import tags
from pipelines.extract.config import ExtractConfig
from pipelines.extract.kinds import BLOCK, HIDDEN, KINDS, SHOWN, SILENT
from pipelines.extract.nodes import children
from pipelines.extract.tree import Shown

# Elements and roles that are not content by definition.
_TAGS = {tags.NAV: "navigation", tags.FOOTER: "footer", tags.SEARCH: "form", tags.MENU: "navigation"}
_ROLES = {
    "navigation": "navigation", "banner": "header", "contentinfo": "footer", "search": "form", "dialog": "dialog",
    "alertdialog": "dialog", "menu": "navigation", "menubar": "navigation", "toolbar": "navigation",
    "complementary": "aside", "directory": "navigation", "doc-backlink": "navigation", "doc-toc": "navigation",
}  # fmt: skip
# What a word of a class or id says of a block.
_WORDS = {
    "navigation": "nav navbar navigation subnav topnav breadcrumb breadcrumbs pagination pager menu submenu toc "
    "skiplink sitemap navigator prevnext nextprev",
    "header": "masthead topbar",
    "footer": "footer colophon copyright",
    "aside": "sidebar aside rail",
    "consent": "cookie cookies consent gdpr onetrust cookiebanner",
    "subscription": "newsletter newsletters subscribe subscription signup optin mailchimp paywall regwall",
    "share": "share shares sharing sharebar sharedaddy social socials addthis addtoany sociable socialmedia",
    "related": "related recommended recommendation recommendations outbrain taboola readmore morefrom trending popular "
    "mostread yarpp",
    "comments": "comment comments commentlist disqus respond livefyre",
    "advert": "advert adverts advertisement advertising ad ads adsense adslot sponsored sponsor promo promoted dfp",
    "dialog": "popup modal lightbox offcanvas tooltip",
    "form": "login signin searchform searchbox",
    "meta": "byline dateline postmeta tagcloud taglist metadata printfooter catlinks editsection",
}  # fmt: skip
_REASON_OF = {word: reason for reason, words in _WORDS.items() for word in words.split()}
# A class that begins so tells a state of the page, not what the block is: "has-sidebar", "no-comments".
_STATE = re.compile(r"(?:has|no|with|without|is|js|hide|show|open|enable|disable)[-_]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# Never judged by class and id: they hold the page.
_PAGE = frozenset({tags.HTML, tags.BODY, tags.MAIN})
# The id of a heading is a slug of its words, not a name for what it is.
_HEADINGS = frozenset({tags.H1, tags.H2, tags.H3, tags.H4, tags.H5, tags.H6})
# A block with such a name is that only if enough of it is links ("content-nav-section" is a section of content,
# and the "sidebar" of a textbook a box of words).
_MADE_OF_LINKS = frozenset({"navigation", "related", "aside"})
_LINK_LISTS = frozenset(
    {tags.UL, tags.OL, tags.DIV, tags.SECTION, tags.TABLE, tags.DL, tags.TBODY, tags.CENTER, tags.NOSCRIPT}
)


def content(shown: Shown, config: ExtractConfig) -> tuple[list[int], dict[int, str]]:
    """The blocks in which the content stands, in document order, and the blocks in them that are not content.

    On a forum the comments are the content, on an index the links: what is most of the page is not dropped as such.
    """
    spared: set[str] = set()
    dropped = boilerplate(shown, spared, config)
    comments = sum(shown.chars[node] for node, reason in dropped.items() if reason == "comments")
    kept = shown.chars[0] - sum(shown.chars[node] for node in dropped)
    most = comments > config.comments_share * (kept + comments)
    if most and prose(shown, dropped, config)[0] < config.article_min_chars:
        spared.add("comments")
        dropped = boilerplate(shown, spared, config)
    roots = main_roots(shown, dropped, config)
    kept = sum(shown.chars[root] for root in roots)
    links = 0
    for node, reason in dropped.items():
        at = bisect_right(roots, node) - 1
        if at >= 0 and node < shown.tree.ends[roots[at]]:
            kept -= shown.chars[node]
            links += shown.chars[node] if reason == "links" else 0
    if links > config.links_share * (kept + links):
        spared.add("links")
        dropped = boilerplate(shown, spared, config)
    return roots, dropped


def kept_nodes(shown: Shown, roots: list[int], dropped: Collection[int]) -> bytearray:
    """1 for each node under `roots` that is in no dropped block and not hidden."""
    kept = bytearray(len(shown.tree))
    for root in roots:
        for node in _outside(shown, dropped, root, shown.tree.ends[root]):
            kept[node] = 1
    return kept


def reasons(shown: Shown, roots: list[int], dropped: Mapping[int, str]) -> dict[int, str]:
    """Why each text that is shown and not kept is dropped."""
    why: dict[int, str] = {}
    kept = kept_nodes(shown, roots, dropped)
    tree = shown.tree
    for block, reason in dropped.items():
        for node in range(block, tree.ends[block]):
            if tree.tags[node] == tags.TEXT and shown.states[node] == SHOWN:
                why[node] = reason
    for node, state in enumerate(shown.states):
        if tree.tags[node] == tags.TEXT and state == SHOWN and not kept[node]:
            why.setdefault(node, "outside the main block")
    return why


def _outside(shown: Shown, dropped: Collection[int], node: int, end: int) -> Iterator[int]:
    """The nodes up to `end` that are in no dropped block and not hidden, in document order."""
    ends = shown.tree.ends
    while node < end:
        if node in dropped or shown.states[node] == HIDDEN:
            node = ends[node]
        else:
            yield node
            node += 1


def boilerplate(shown: Shown, spared: Collection[str], config: ExtractConfig) -> dict[int, str]:
    """The outermost blocks that are not content, each with its reason; no block for a reason that is spared."""
    dropped: dict[int, str] = {}
    tree = shown.tree
    content_end = 0  # of the article or main element that is open
    node = 0
    while node < len(tree):
        tag = tree.tags[node]
        if shown.states[node] == HIDDEN:
            node = tree.ends[node]
            continue
        if tag in (tags.ARTICLE, tags.MAIN):
            content_end = max(content_end, tree.ends[node])
        reason = boilerplate_reason(shown, node, node < content_end, config) if tag != tags.TEXT else ""
        if reason and reason not in spared:
            dropped[node] = reason
            node = tree.ends[node]
        else:
            node += 1
    return dropped


def boilerplate_reason(shown: Shown, node: int, in_content: bool, config: ExtractConfig) -> str:
    """Why one block is not content: "navigation", "share", ...; "" if it may be.

    in_content: whether it stands within an article or main element.
    """
    tag, attributes = shown.tree.tags[node], shown.tree.attributes(node)
    if tag in _PAGE or (not KINDS[tag] & BLOCK and not attributes):
        return ""
    if tag == tags.A and _is_permalink(shown, node):
        return "permalink"
    block = KINDS[tag] & BLOCK or tag == tags.NOSCRIPT
    large = bool(block) and shown.chars[node] > config.max_boilerplate_share * shown.chars[0]
    density = shown.link_density(node) if block else 0.0
    dense = density > config.max_link_density
    if shown.states[node] == SHOWN and tag in _TAGS and (dense or not large):
        return _TAGS[tag]
    if large:
        return ""
    if "role" in attributes and (reason := _ROLES.get(attributes["role"].strip().lower())):
        return reason
    if shown.states[node] == SILENT:
        return _named_reason(attributes)
    if tag == tags.HEADER and not in_content:
        return "header"
    if tag in (tags.ASIDE, tags.FORM):
        return tags.NAMES[tag]
    if ("class" in attributes or "id" in attributes) and tag not in _HEADINGS:
        reason = _named_reason(attributes)
        if reason and (reason not in _MADE_OF_LINKS or density > config.navigation_link_density):
            return reason
    return "links" if dense and tag in _LINK_LISTS else ""


def _is_permalink(shown: Shown, node: int) -> bool:
    """A sign such as "¶" that links to the place where it stands."""
    tree = shown.tree
    if node + 1 >= tree.ends[node] or tree.tags[node + 1] != tags.TEXT:
        return False
    text = tree.text(node + 1).strip()
    return len(text) == 1 and not text.isalnum() and "#" in tree.attributes(node).get("href", "")


def _named_reason(attributes: Mapping[str, str]) -> str:
    # A long id is a slug of the words in it.
    identity = attributes.get("id", "")
    name = f"{attributes.get('class', '')[:500]} {identity if len(identity) <= 40 else ''}"
    return _reason_of_name(name)


@lru_cache(maxsize=50_000)
def _reason_of_name(name: str) -> str:
    for token in name.split():
        if _STATE.match(token.lower()):
            continue
        for word in _SEPARATORS.split(_CAMEL.sub("-", token).lower()):
            if reason := _REASON_OF.get(word):
                return reason
    return ""


def prose(shown: Shown, dropped: Mapping[int, str], config: ExtractConfig) -> list[int]:
    """Characters of prose in each subtree: text of blocks with more than a few words; no links, no dropped blocks."""
    amounts = [0] * len(shown.tree)
    for node in _outside(shown, dropped, 0, len(shown.tree)):
        own = shown.own_chars[node] - shown.own_link_chars[node]
        if own >= config.prose_min_chars and shown.own_link_chars[node] <= own:
            amounts[node] = own
    for node in range(len(shown.tree) - 1, 0, -1):
        amounts[shown.tree.parents[node]] += amounts[node]
    return amounts


def main_roots(shown: Shown, dropped: Mapping[int, str], config: ExtractConfig) -> list[int]:
    """Where the content stands, in document order: what the page itself calls its main part, or the densest part."""
    amounts = prose(shown, dropped, config)
    if amounts[0] < config.main_min_chars:
        return [0]
    believed = config.main_min_share * amounts[0]
    articles: list[int] = []
    for found in _semantic_blocks(shown, dropped):
        if not found or sum(amounts[node] for node in found) < believed:
            continue
        largest = max(found, key=lambda node: amounts[node])
        if len(found) == 1 or amounts[largest] >= config.main_share * sum(amounts[node] for node in found):
            return [largest]
        articles = articles or found
    if articles:
        return articles
    root = _innermost(shown, amounts, config)
    return [*_headline_before(shown, dropped, root), root]


def _semantic_blocks(shown: Shown, dropped: Mapping[int, str]) -> tuple[list[int], list[int], list[int]]:
    """What the page calls its article's body, its articles, and its main part; the outermost of each kind."""
    tree = shown.tree
    bodies: list[int] = []
    articles: list[int] = []
    mains: list[int] = []
    for node in _outside(shown, dropped, 0, len(tree)):
        tag = tree.tags[node]
        if tag == tags.TEXT:
            continue
        attributes = tree.attributes(node)
        role = attributes.get("role", "")
        if attributes.get("itemprop", "").lower() == "articlebody":
            _add_outermost(shown, bodies, node)
        if tag == tags.ARTICLE or role == "article":
            _add_outermost(shown, articles, node)
        elif tag == tags.MAIN or role == "main":
            _add_outermost(shown, mains, node)
    return bodies, articles, mains


def _add_outermost(shown: Shown, found: list[int], node: int) -> None:
    if not found or node >= shown.tree.ends[found[-1]]:
        found.append(node)


def _headline_before(shown: Shown, dropped: Mapping[int, str], root: int) -> list[int]:
    """The last <h1> before a block that has none of its own: its headline."""
    tree = shown.tree
    if any(tree.tags[node] == tags.H1 for node in range(root, tree.ends[root])):
        return []
    headlines: list[int] = []
    for node in _outside(shown, dropped, 0, root):
        if tree.tags[node] == tags.H1 and tree.ends[node] <= root:
            headlines = [node]
    return headlines


def _innermost(shown: Shown, amounts: list[int], config: ExtractConfig) -> int:
    """Down from the page as long as one child holds nearly all of its prose and is not one of several of its kind."""
    tree = shown.tree
    node = 0
    while inside := [child for child in children(tree, node) if tree.tags[child] != tags.TEXT]:
        largest = max(inside, key=lambda child: amounts[child])
        if amounts[largest] < config.main_share * amounts[0] or not KINDS[tree.tags[largest]] & BLOCK:
            break
        kind = tree.tags[largest], tree.attributes(largest).get("class", "")
        if kind[1] and any(
            amounts[child] and child != largest and (tree.tags[child], tree.attributes(child).get("class", "")) == kind
            for child in inside
        ):
            break
        node = largest
    return node
