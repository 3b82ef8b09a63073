"""HTML text in, an element tree with bounded size and depth out.

libxml2 (through lxml) reads nearly every page; `html.parser` through BeautifulSoup is the second opinion for a page of
which libxml2 made nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString
from lxml import etree

from pipelines.extract.image_address import resolve_url
from pipelines.extract.page import HtmlPage
from schemas.document import Source
from schemas.rejection import Rejected

Element = etree._Element


@dataclass(frozen=True, kw_only=True)
class ParseConfig:
    """Bounds of one page. Past any of them the page is refused, never cut."""

    max_chars: int
    """Longest page, characters of decoded HTML."""
    max_elements: int
    """Most elements in a page, counted."""
    max_depth: int
    """Deepest nesting of elements, levels; at most 2000 (libxml2 itself stops reading at 2048)."""
    max_attributes: int
    """Most attributes of one element, 1 to 1000000. libxml2 takes quadratic time in them."""
    second_opinion_max_chars: int
    """Longest page that html.parser (some 50 times slower than libxml2) is asked about, characters; 0: never."""

    def __post_init__(self) -> None:
        for name in ("max_chars", "max_elements"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 1 <= self.max_attributes <= 1_000_000:  # a regular expression counts them
            raise ValueError("max_attributes must be in 1..1000000")
        if not 1 <= self.max_depth <= 2000:
            raise ValueError("max_depth must be in 1..2000")
        if self.second_opinion_max_chars < 0:
            raise ValueError("second_opinion_max_chars must be at least 0")


@dataclass(frozen=True, kw_only=True)
class ParsedPage:
    """A page as a tree of elements; comments and processing instructions are gone."""

    url: str
    root: Element
    headers: dict[str, list[str]]
    """HTTP response headers, names in lower case."""
    source: Source
    title: str
    """Text of the title element, one line; empty if none."""
    base_url: str
    """What relative addresses are relative to: <base href> joined to the page's address, or that address."""


# A start tag with its attributes as the HTML tokenizer splits them. All repeats are possessive: one linear scan.
_ATTRIBUTE = r"""[\s/]*+[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+"""
# An end tag </html> makes libxml2 stop reading, though browsers go on; </br> is a line break to a browser.
# <embed>, <source>, <track> and <wbr> have no content, which libxml2 does not know: what follows would be in them.
# <image> is <img> to a browser (HTML standard 13.2.6.4.7); the one of SVG stands where nothing is read.
_REPAIRED = re.compile(
    r"""</(html|br)\b[^>]*+>|<(embed|source|track|wbr)\b(?:[^>"']|"[^"]*+"|'[^']*+'|["'])*+>|<(image)(?=[\s/>])""",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"<image(?=[\s/>])", re.IGNORECASE)
# Names that may stand in the tree as they are; BeautifulSoup yields others, which libxml2 would refuse.
_NAME = re.compile(r"[A-Za-z_][\w.-]*\Z", re.ASCII)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# The second opinion is asked when this much source gave no text at all.
_SUSPICIOUS_CHARS = 500
_UNREAD = frozenset({"script", "style", "title", "template", "head"})


def parse_html(page: HtmlPage, config: ParseConfig) -> ParsedPage | Rejected:
    """Parse a page. Reasons: too_large, too_many_attributes, too_deep, too_many_elements, unparsable."""
    html = page.html
    if len(html) > config.max_chars:
        return Rejected("too_large", f"{len(html)} characters, at most {config.max_chars}")
    if (at := _attribute_flood(html, config.max_attributes)) >= 0:
        return Rejected("too_many_attributes", f"more than {config.max_attributes} in the element at character {at}")
    root = _read_with_libxml2(html)
    if root is None or not _has_body_text(root):
        visible = len(html) >= _SUSPICIOUS_CHARS and len(html) <= config.second_opinion_max_chars
        second = _read_with_html_parser(html, config) if visible else None
        if second is not None and (root is None or _has_body_text(second)):
            root = second
    if root is None:
        return Rejected("unparsable", "neither libxml2 nor html.parser made a tree of it")
    if rejected := _out_of_bounds(root, config):
        return rejected
    return ParsedPage(
        url=page.url,
        root=root,
        headers=page.headers,
        source=page.source,
        title=_title(root),
        base_url=_base_url(root, page.url),
    )


def opt_out_meta(page: ParsedPage) -> list[str]:
    """What a page's meta elements say on its use, lower case, in order, as `name:token` or, for robots, `token`.

    <meta name="robots" content="noai, noimageai"> gives "noai", "noimageai"; a meta for one agent such as
    name="googlebot" gives "googlebot:noindex"; name="tdm-reservation" content="1" gives "tdm-reservation:1"
    (W3C TDM Reservation Protocol), name="tdm-policy" its address.
    """
    tokens = []
    for element in page.root.iter("meta"):
        name = (element.get("name") or element.get("http-equiv") or "").strip().lower()
        content = (element.get("content") or "").strip()
        if name == "tdm-policy" and content:
            tokens.append(f"{name}:{content}")
        elif name in ("robots", "x-robots-tag"):
            tokens += [token.strip() for token in content.lower().split(",") if token.strip()]
        elif name == "tdm-reservation" or "bot" in name or name in ("google", "slurp", "bingpreview", "openm3w"):
            tokens += [f"{name}:{token.strip()}" for token in content.lower().split(",") if token.strip()]
    return tokens


def _attribute_flood(html: str, limit: int) -> int:
    """Where an element with more than `limit` attributes starts; -1 if none does."""
    if len(html) < 2 * limit:
        return -1
    # Consume text, scripts and whole tags; where a tag goes on with one attribute too many, the scan cannot.
    attributes = rf"(?:{_ATTRIBUTE}){{0,{limit}}}+(?!{_ATTRIBUTE})"
    script = rf"<(?i:script|style)\b{attributes}[^>]*+(?:[^<]++|<(?!/(?i:script|style)\b))*+"
    scanned = re.compile(rf"(?:[^<]++|<(?![a-zA-Z])|{script}|<[a-zA-Z][^\s/>]*+{attributes})*+").match(html)
    end = scanned.end() if scanned else 0
    return end if end < len(html) else -1


def _read_with_libxml2(html: str) -> Element | None:
    html = _REPAIRED.sub(_repair, html.replace("\x00", ""))
    # huge_tree: 2048 levels instead of 256. The length of the page was bounded above.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = etree.fromstring(html.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError):
        return None
    return root


def _repair(tag: re.Match[str]) -> str:
    if tag[2]:
        return f"{tag[0]}</{tag[2]}>"
    if tag[3]:
        return "<img"
    return "<br>" if tag[1].lower() == "br" else ""


def _has_body_text(root: Element) -> bool:
    unread = set()
    for element in root.iter(etree.Element):
        if element.tag in _UNREAD:
            unread.add(element)
        elif element.text and not element.text.isspace() and element.getparent() not in unread:
            return True
        if element.tail and not element.tail.isspace() and element.getparent() not in unread:
            return True
    return False


def _read_with_html_parser(html: str, config: ParseConfig) -> Element | None:
    try:
        soup = BeautifulSoup(_IMAGE.sub("<img", html), "html.parser")
    except (AssertionError, ValueError, RecursionError):  # what html.parser raises for markup it cannot tokenize
        return None
    root = etree.Element("html")
    open_: list[tuple[Element, Iterator[object]]] = [(root, iter(soup.contents))]
    elements = 0
    while open_:
        parent, children = open_[-1]
        child = next(children, None)
        if child is None:
            open_.pop()
        elif isinstance(child, Tag):
            elements += 1
            if elements > config.max_elements + 1 or len(open_) > config.max_depth + 1:
                break  # enough for the bounds check to refuse it
            if child.name.lower() == "html":
                open_.append((parent, iter(child.contents)))
                continue
            name = child.name.lower() if _NAME.match(child.name) else "span"
            open_.append((etree.SubElement(parent, name, _xml_attributes(child)), iter(child.contents)))
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
            _append_text(parent, _NOT_XML.sub("", str(child)))
    return root


def _xml_attributes(tag: Tag) -> dict[str, str]:
    """What of a tag's attributes libxml2 can hold; BeautifulSoup gives "class" and its like as lists of words."""
    values = {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in tag.attrs.items()}
    return {name: _NOT_XML.sub("", value) for name, value in values.items() if _NAME.match(name)}


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def _out_of_bounds(root: Element, config: ParseConfig) -> Rejected | None:
    elements = depth = 0
    level: list[Element] = [root]
    while level:  # level by level, so that depth is known without recursion
        elements += len(level)
        depth += 1
        if depth > config.max_depth:
            return Rejected("too_deep", f"more than {config.max_depth} nested elements")
        if elements > config.max_elements:
            return Rejected("too_many_elements", f"more than {config.max_elements} elements")
        level = [child for element in level for child in element]
    return None


def _title(root: Element) -> str:
    for element in root.iter("title"):
        parent = element.getparent()
        if parent is None or parent.tag != "svg":
            return " ".join("".join(map(str, element.itertext())).split())
    return ""


def _base_url(root: Element, url: str) -> str:
    for element in root.iter("base"):
        if href := element.get("href"):
            return resolve_url(url, href) or url
    return url
