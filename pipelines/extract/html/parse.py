"""HTML text in, a tree of bounded size and depth out, with what the page says of itself in its head."""

from dataclasses import dataclass

from pipelines.extract.html.address import resolve_url
from pipelines.extract.html.html_reader import parse_tree
from pipelines.extract.html.nodes import children, nodes_of
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import BASE, META, TITLE
from pipelines.extract.page import HtmlPage
from schemas.document import Source
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class ParseConfig:
    """Bounds of one page. Past any of them the page is refused, never cut."""

    max_chars: int
    """Longest page, characters of decoded HTML."""
    max_elements: int
    """Most elements in a page, counted."""
    max_depth: int
    """Deepest nesting of elements, levels."""
    max_attributes: int
    """Most attributes of one element."""

    def __post_init__(self) -> None:
        for name in ("max_chars", "max_elements", "max_depth", "max_attributes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ParsedPage:
    """A page as a tree of elements and texts."""

    url: str
    tree: PageTree
    headers: dict[str, list[str]]
    """HTTP response headers, names in lower case."""
    source: Source
    title: str
    """Text of the title element, one line; empty if none."""
    base_url: str
    """What relative addresses are relative to: <base href> joined to the page's address, or that address."""


def parse_html(page: HtmlPage, config: ParseConfig) -> ParsedPage | Rejected:
    """Parse a page. Reasons: too_large, too_many_attributes, too_deep, too_many_elements, unparsable."""
    tree = parse_tree(page.utf8, config)
    if isinstance(tree, Rejected):
        return tree
    if len(tree) == 1:
        return Rejected("unparsable", "no element and no text in it")
    return ParsedPage(
        url=page.url,
        tree=tree,
        headers=page.headers,
        source=page.source,
        title=_title(tree),
        base_url=_base_url(tree, page.url),
    )


def opt_out_meta(page: ParsedPage) -> list[str]:
    """What a page's meta elements say on its use, lower case, in order, as `name:token` or, for robots, `token`.

    <meta name="robots" content="noai, noimageai"> gives "noai", "noimageai"; a meta for one agent such as
    name="googlebot" gives "googlebot:noindex"; name="tdm-reservation" content="1" gives "tdm-reservation:1"
    (W3C TDM Reservation Protocol), name="tdm-policy" its address.
    """
    tokens = []
    for node in nodes_of(page.tree, META):
        about = page.tree.attributes(node)
        name = (about.get("name") or about.get("http-equiv") or "").strip().lower()
        content = about.get("content", "").strip()
        if name == "tdm-policy" and content:
            tokens.append(f"{name}:{content}")
        elif name in ("robots", "x-robots-tag"):
            tokens += [token.strip() for token in content.lower().split(",") if token.strip()]
        elif name == "tdm-reservation" or "bot" in name or name in ("google", "slurp", "bingpreview", "openm3w"):
            tokens += [f"{name}:{token.strip()}" for token in content.lower().split(",") if token.strip()]
    return tokens


def _title(tree: PageTree) -> str:
    for node in nodes_of(tree, TITLE):
        return " ".join("".join(tree.text(child) for child in children(tree, node)).split())
    return ""


def _base_url(tree: PageTree, url: str) -> str:
    for node in nodes_of(tree, BASE):
        if href := tree.attributes(node).get("href"):
            return resolve_url(url, href) or url
    return url
