"""The visible elements of a page as parallel lists in document order, with what each holds: one pass, no recursion.

Everything after parsing works on these lists: an element is an index, its subtree is `index .. ends[index]`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

Element = etree._Element

# Never shown as text, whatever they hold. Their tails are.
UNSHOWN = frozenset(
    {"script", "style", "template", "head", "title", "meta", "link", "base", "svg", "object", "embed", "iframe",
     "frame", "noframes", "video", "audio", "track", "canvas", "map", "area", "param", "input", "select", "textarea",
     "datalist", "button", "progress", "meter", "dialog", "annotation", "annotation-xml", "rp", "amp-ad",
     "amp-analytics", "amp-iframe", "amp-video", "amp-sidebar", "applet", "slot"}
)  # fmt: skip
IMAGES = frozenset({"img", "amp-img", "amp-anim"})
BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "col", "colgroup", "dd", "details",
     "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
     "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol", "option", "p", "pre",
     "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "xmp"}
)  # fmt: skip
# Words that style sheets use for "read this aloud, do not show it".
_UNSHOWN_CLASSES = frozenset(
    {"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only", "screenreader-only",
     "element-invisible", "u-hidden", "is-hidden", "a11y-hidden", "noprint-hidden"}
)  # fmt: skip
_HIDING_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary"})
_PICTURES = IMAGES | {"picture", "source"}
# With less visible text than this, and so many times more that is not, the page waits for its script; characters.
_SCRIPTED_CHARS = 1500
_SCRIPTED_RATIO = 3
_NO_ATTRIBUTES: Mapping[str, str] = {}


@dataclass(slots=True)
class VisibleTree:
    """One entry for each visible element; an unshown one keeps an entry with an empty tag, for the text after it."""

    tags: list[str] = field(default_factory=list)
    attributes: list[Mapping[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Text before the first child, as in the source; empty if blank and of no effect."""
    tails: list[str] = field(default_factory=list)
    """Text after the element, before its next sibling."""
    parents: list[int] = field(default_factory=list)
    """-1 for the first."""
    children: list[list[int]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """One past the last element of the subtree."""
    blocks: list[int] = field(default_factory=list)
    """The nearest block around the element, or the element itself if it is one."""
    links: list[int] = field(default_factory=list)
    """The link around the element, or the element itself if it is one; -1 if none."""
    own_chars: list[int] = field(default_factory=list)
    """Of a block: characters of text that stand in it and in no block inside it, white space not counted."""
    own_link_chars: list[int] = field(default_factory=list)
    """Those of `own_chars` that are links; in <pre> none: names in code that link to their documentation are code."""
    chars: list[int] = field(default_factory=list)
    """Characters of text in the subtree of a block, white space not counted."""
    link_chars: list[int] = field(default_factory=list)
    """Those of `chars` that are links."""

    def __len__(self) -> int:
        return len(self.tags)

    def link_density(self, block: int) -> float:
        """Share of a block's text that is links, 0..1; 0 if it has no text."""
        chars = self.chars[block]
        return self.link_chars[block] / chars if chars else 0.0


def visible_tree(root: Element) -> VisibleTree:
    """Lay out the visible elements under `root` as lists, and measure their text.

    Of a <noscript> only the pictures are looked at. But where next to nothing is visible, a script builds the page or
    unveils it: then hidden elements and the text of <noscript> are read as well.
    """
    tree = _flatten(root, read_all=False)
    if tree.chars[0] < _SCRIPTED_CHARS:
        whole = _flatten(root, read_all=True)
        if whole.chars[0] > _SCRIPTED_RATIO * tree.chars[0]:
            return whole
    return tree


def _flatten(root: Element, read_all: bool) -> VisibleTree:
    tree = VisibleTree()
    tags, parents, blocks, links = tree.tags, tree.parents, tree.blocks, tree.links
    all_attributes, all_texts, all_tails, all_children = tree.attributes, tree.texts, tree.tails, tree.children
    own_chars, own_link_chars = tree.own_chars, tree.own_link_chars
    index: dict[Element, int] = {}
    silent: set[int] = set()  # elements within a <noscript> that is not read
    for number_of_all, element in enumerate(root.iter(etree.Element)):
        parent = -1 if (above := element.getparent()) is None else index.get(above, -1)
        if parent < 0 and number_of_all:
            continue  # within something unshown
        number = len(tags)
        tag = element.tag
        items = element.items()
        attributes: Mapping[str, str] = dict(items) if items else _NO_ATTRIBUTES  # type: ignore[arg-type]
        text, tail = element.text or "", element.tail or ""
        if tag in UNSHOWN:
            # A button over a folded section is its heading; one that holds paragraphs was left open by mistake.
            shown = tag == "button" and (tags[parent] in _HEADINGS or element.find(".//p") is not None)
        else:
            shown = read_all or not items or not is_hidden(tag, attributes)
        if parent in silent or (tag == "noscript" and not read_all):
            if parent in silent:
                tail = ""
            if shown:
                silent.add(number)
            text = ""
            if tag not in _PICTURES:
                tag = "noscript" if tag == "noscript" else "span"
        elif tag == "noscript":
            tag = "div"
        if shown:
            index[element] = number
        else:
            tag = text = ""
        if parent >= 0:
            all_children[parent].append(number)
            around, link_around = blocks[parent], links[parent]
        else:
            around, link_around = number, -1
        block = number if tag in BLOCKS else around
        link = number if tag == "a" and "href" in attributes else link_around
        tags.append(tag)
        all_attributes.append(attributes)
        all_texts.append(text)
        all_tails.append(tail)
        parents.append(parent)
        all_children.append([])
        blocks.append(block)
        links.append(link)
        own_chars.append(0)
        own_link_chars.append(0)
        if text and not text.isspace():
            own_chars[block] += (count := _count(text))
            if link >= 0 and tags[block] != "pre":
                own_link_chars[block] += count
        if tail and parent >= 0 and not tail.isspace():
            own_chars[around] += (count := _count(tail))
            if link_around >= 0 and tags[around] != "pre":
                own_link_chars[around] += count
    _sum_up(tree)
    return tree


def is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element's own attributes hide it: hidden, aria-hidden, inline style, or a class for screen readers.

    The page as a whole is never hidden (scripts show it later), and aria-hidden does not hide a picture from the eye.
    """
    if tag in ("html", "body"):
        return False
    if "hidden" in attributes:  # "S:..." is how React sends a part that its script puts in place at once
        return attributes["hidden"].lower() != "until-found" and not attributes.get("id", "").startswith("S:")
    if "aria-hidden" in attributes and attributes["aria-hidden"].strip().lower() == "true" and tag not in IMAGES:
        return True
    if "style" in attributes and _HIDING_STYLE.search(attributes["style"]):
        return True
    return "class" in attributes and _is_hidden_class(attributes["class"][:2000])


@lru_cache(maxsize=20_000)
def _is_hidden_class(value: str) -> bool:
    return not _UNSHOWN_CLASSES.isdisjoint(value.lower().split())


def _count(text: str) -> int:
    """Characters that are not white space."""
    return len("".join(text.split()))


def _sum_up(tree: VisibleTree) -> None:
    tree.ends = list(range(1, len(tree) + 1))
    tree.chars = tree.own_chars.copy()
    tree.link_chars = tree.own_link_chars.copy()
    for number in range(len(tree) - 1, 0, -1):
        parent = tree.parents[number]
        tree.chars[parent] += tree.chars[number]
        tree.link_chars[parent] += tree.link_chars[number]
        if tree.ends[number] > tree.ends[parent]:
            tree.ends[parent] = tree.ends[number]
