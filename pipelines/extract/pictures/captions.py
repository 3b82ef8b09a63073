"""The captions of pictures, without the credits that stand in them."""

import re
from functools import lru_cache
from itertools import islice

from pipelines.extract.html.attribute_scan import value_of
from pipelines.extract.html.nodes import children, line_of
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import FIGCAPTION, FIGURE, TEXT
from pipelines.extract.html.tree import Shown
from pipelines.extract.text.certain import is_permalink

# Classes that content systems (WordPress, MediaWiki, Sphinx) give to the caption of a picture, without <figcaption>.
_CAPTION_CLASSES = frozenset(
    {"caption", "wp-caption-text", "thumbcaption", "image-caption", "caption-text", "photo-caption"}
)  # fmt: skip
# Words in the class of what names the picture's maker, and the like in schema.org's properties.
_CREDIT_WORDS = frozenset({"credit", "credits", "attribution", "copyright", "photographer", "agency"})
_CREDIT_PROPERTIES = frozenset({"copyrightholder", "copyrightnotice", "credittext", "creator", "author"})
_SPLIT = re.compile(r"[^a-z]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What may stand beside the picture and its caption in the element that holds both, characters.
_BESIDE_CAPTION_CHARS = 40
# How far up from a picture its figure, or the holder of a named caption, may be; levels.
_LEVELS_TO_FIGURE = 8
_LEVELS_TO_CAPTION = 3
# So many children are looked at for a caption beside a picture.
_MAX_BESIDE = 20


class Captions:
    """Of one page; each is read once, however many pictures it has."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._tree = shown.tree
        self._of_figures: dict[int, int] = {}
        self._texts: dict[int, str] = {}

    def of(self, node: int) -> str:
        """The caption of a picture: of the innermost figure around it, or beside it under a caption's name; or ""."""
        tree, chars = self._tree, self._shown.chars
        holder = node
        for level in range(_LEVELS_TO_FIGURE):
            if level or tree.tags[node] != FIGURE:
                holder = tree.parents[holder]
            if holder < 0:
                break
            if tree.tags[holder] == FIGURE:
                return self._text(self._of_figure(holder))
            if level < _LEVELS_TO_CAPTION and chars[holder] > 0:
                for child in islice(children(tree, holder), _MAX_BESIDE):
                    if tree.tags[child] != TEXT and _is_caption(value_of(tree, child, b"class")):
                        return self._text(child) if chars[holder] - chars[child] <= _BESIDE_CAPTION_CHARS else ""
        return ""

    def _of_figure(self, figure: int) -> int:
        """The first caption in a figure and in no figure in it; -1 if there is none."""
        if figure not in self._of_figures:
            tree = self._tree
            node, end = figure + 1, tree.ends[figure]
            while node < end and tree.tags[node] != FIGCAPTION:
                node = tree.ends[node] if tree.tags[node] == FIGURE else node + 1
            self._of_figures[figure] = node if node < end else -1
        return self._of_figures[figure]

    def _text(self, caption: int) -> str:
        if caption >= 0 and caption not in self._texts:
            self._texts[caption] = line_of(self._tree, caption, without=_is_no_part)
        return self._texts.get(caption, "")


def _is_no_part(tree: PageTree, node: int) -> bool:
    """Whether an element in a caption is none of its words: a credit, or a sign that links to the place itself."""
    return is_permalink(tree, node) or _is_credit(tree, node)


def _is_credit(tree: PageTree, node: int) -> bool:
    """Whether an element says who made a picture."""
    if value_of(tree, node, b"itemprop").lower() in _CREDIT_PROPERTIES:
        return True
    return _names_credit(value_of(tree, node, b"class")[:200])


@lru_cache(maxsize=20_000)
def _names_credit(name: str) -> bool:
    return not _CREDIT_WORDS.isdisjoint(_SPLIT.split(_CAMEL.sub("-", name).lower()))


@lru_cache(maxsize=20_000)
def _is_caption(name: str) -> bool:
    return not _CAPTION_CLASSES.isdisjoint(name.lower().split())
