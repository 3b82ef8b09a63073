"""Which blocks of a page are not its content, and which block is.

`boilerplate_reason` judges one block; `main_roots` chooses where the content stands. The words that mark a block are
whole words of its class and id ("post-share" has "share", "sussex" is not "sex").
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from pipelines.extract.config import ExtractConfig
from pipelines.extract.tree import BLOCKS, VisibleTree

# Elements and roles that are not content by definition.
_TAGS = {"nav": "navigation", "footer": "footer", "search": "form", "menu": "navigation"}
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
_PAGE = frozenset({"html", "body", "main"})
# The id of a heading is a slug of its words, not a name for what it is.
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# A block with such a name is that only if enough of it is links ("content-nav-section" is a section of content,
# and the "sidebar" of a textbook a box of words).
_MADE_OF_LINKS = frozenset({"navigation", "related", "aside"})
_LINK_LISTS = frozenset({"ul", "ol", "div", "section", "table", "dl", "tbody", "center"})


def content(tree: VisibleTree, config: ExtractConfig) -> tuple[list[int], dict[int, str]]:
    """The blocks in which the content stands, in document order, and the blocks in them that are not content.

    On a forum the comments are the content, on an index the links: what is most of the page is not dropped as such.
    """
    spared: set[str] = set()
    dropped = boilerplate(tree, spared, config)
    comments = sum(tree.chars[number] for number, reason in dropped.items() if reason == "comments")
    kept = tree.chars[0] - sum(tree.chars[number] for number in dropped)
    most = comments > config.comments_share * (kept + comments)
    if most and prose(tree, dropped, config)[0] < config.article_min_chars:
        spared.add("comments")
        dropped = boilerplate(tree, spared, config)
    roots = main_roots(tree, dropped, config)
    kept = sum(tree.chars[root] for root in roots)
    links = 0
    for number, reason in dropped.items():
        at = bisect_right(roots, number) - 1
        if at >= 0 and number < tree.ends[roots[at]]:
            kept -= tree.chars[number]
            links += tree.chars[number] if reason == "links" else 0
    if links > config.links_share * (kept + links):
        spared.add("links")
        dropped = boilerplate(tree, spared, config)
    return roots, dropped


def kept_elements(tree: VisibleTree, roots: list[int], dropped: Collection[int]) -> Iterator[int]:
    """The elements under `roots` that are in no dropped block, in document order."""
    for root in roots:
        number = root
        while number < tree.ends[root]:
            if number in dropped:
                number = tree.ends[number]
            else:
                yield number
                number += 1


def boilerplate(tree: VisibleTree, spared: Collection[str], config: ExtractConfig) -> dict[int, str]:
    """The outermost blocks that are not content, each with its reason; no block for a reason that is spared."""
    dropped: dict[int, str] = {}
    content_end = 0  # of the article or main element that is open
    number = 0
    while number < len(tree):
        if (tag := tree.tags[number]) in ("article", "main"):
            content_end = max(content_end, tree.ends[number])
        reason = boilerplate_reason(tree, number, number < content_end, config) if tag else ""
        if reason and reason not in spared:
            dropped[number] = reason
            number = tree.ends[number]
        else:
            number += 1
    return dropped


def boilerplate_reason(tree: VisibleTree, number: int, in_content: bool, config: ExtractConfig) -> str:
    """Why one block is not content: "navigation", "share", ...; "" if it may be.

    in_content: whether it stands within an article or main element.
    """
    tag, attributes = tree.tags[number], tree.attributes[number]
    if tag in _PAGE or (tag not in BLOCKS and not attributes):
        return ""
    if tag == "a" and _is_permalink(tree, number):
        return "permalink"
    large = tree.chars[number] > config.max_boilerplate_share * tree.chars[0]
    if tag in _TAGS and not (large and tree.link_density(number) <= config.max_link_density):
        return _TAGS[tag]
    if large:
        return ""
    if "role" in attributes and (reason := _ROLES.get(attributes["role"].strip().lower())):
        return reason
    if tag == "header" and not in_content:
        return "header"
    if tag in ("aside", "form"):
        return tag
    if ("class" in attributes or "id" in attributes) and tag not in _HEADINGS:
        reason = _named_reason(attributes)
        if reason and (reason not in _MADE_OF_LINKS or tree.link_density(number) > config.navigation_link_density):
            return reason
    if tag in _LINK_LISTS and tree.link_density(number) > config.max_link_density:
        return "links"
    return ""


def _is_permalink(tree: VisibleTree, number: int) -> bool:
    """A sign such as "¶" that links to the place where it stands."""
    text = tree.texts[number].strip()
    return len(text) == 1 and not text.isalnum() and "#" in tree.attributes[number].get("href", "")


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


def prose(tree: VisibleTree, dropped: Mapping[int, str], config: ExtractConfig) -> list[int]:
    """Characters of prose in each subtree: text of blocks with more than a few words; no links, no dropped blocks."""
    amounts = [0] * len(tree)
    number = 0
    while number < len(tree):
        if number in dropped:
            number = tree.ends[number]
            continue
        own = tree.own_chars[number] - tree.own_link_chars[number]
        if own >= config.prose_min_chars and tree.own_link_chars[number] <= own:
            amounts[number] = own
        number += 1
    for number in range(len(tree) - 1, 0, -1):
        amounts[tree.parents[number]] += amounts[number]
    return amounts


def main_roots(tree: VisibleTree, dropped: Mapping[int, str], config: ExtractConfig) -> list[int]:
    """Where the content stands, in document order: what the page itself calls its main part, or the densest part."""
    amounts = prose(tree, dropped, config)
    if amounts[0] < config.main_min_chars:
        return [0]
    believed = config.main_min_share * amounts[0]
    articles: list[int] = []
    for found in _semantic_blocks(tree, dropped):
        if not found or sum(amounts[number] for number in found) < believed:
            continue
        largest = max(found, key=lambda number: amounts[number])
        if len(found) == 1 or amounts[largest] >= config.main_share * sum(amounts[number] for number in found):
            return [largest]
        articles = articles or found
    if articles:
        return articles
    root = _innermost(tree, amounts, config)
    return [*_headline_before(tree, dropped, root), root]


def _semantic_blocks(tree: VisibleTree, dropped: Mapping[int, str]) -> tuple[list[int], list[int], list[int]]:
    """What the page calls its article's body, its articles, and its main part; the outermost of each kind."""
    bodies: list[int] = []
    articles: list[int] = []
    mains: list[int] = []
    number = 0
    while number < len(tree):
        if number in dropped:
            number = tree.ends[number]
            continue
        tag, attributes = tree.tags[number], tree.attributes[number]
        role = attributes.get("role", "") if attributes else ""
        if attributes and attributes.get("itemprop", "").lower() == "articlebody":
            _add_outermost(tree, bodies, number)
        if tag == "article" or role == "article":
            _add_outermost(tree, articles, number)
        elif tag == "main" or role == "main":
            _add_outermost(tree, mains, number)
        number += 1
    return bodies, articles, mains


def _add_outermost(tree: VisibleTree, found: list[int], number: int) -> None:
    if not found or number >= tree.ends[found[-1]]:
        found.append(number)


def _headline_before(tree: VisibleTree, dropped: Mapping[int, str], root: int) -> list[int]:
    """The last <h1> before a block that has none of its own: its headline."""
    if "h1" in tree.tags[root : tree.ends[root]]:
        return []
    headlines: list[int] = []
    number = 0
    while number < root:
        if number in dropped:
            number = tree.ends[number]
            continue
        if tree.tags[number] == "h1" and tree.ends[number] <= root:
            headlines = [number]
        number += 1
    return headlines


def _innermost(tree: VisibleTree, amounts: list[int], config: ExtractConfig) -> int:
    """Down from the page as long as one child holds nearly all of its prose and is not one of several of its kind."""
    number = 0
    while tree.children[number]:
        largest = max(tree.children[number], key=lambda child: amounts[child])
        if amounts[largest] < config.main_share * amounts[0] or tree.tags[largest] not in BLOCKS:
            break
        kind = tree.tags[largest], tree.attributes[largest].get("class", "")
        if kind[1] and any(
            amounts[child] and child != largest and (tree.tags[child], tree.attributes[child].get("class", "")) == kind
            for child in tree.children[number]
        ):
            break
        number = largest
    return number
