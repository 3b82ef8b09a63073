"""What became of each part of a page, for a person: kept, or dropped and why, and where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.extract.config import ExtractConfig
from pipelines.extract.document import Choice, Why, assemble, choose
from pipelines.extract.html.kinds import BLOCK, HIDDEN, IMAGES, KINDS, SHOWN
from pipelines.extract.html.nodes import clean
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tags import TEXT
from pipelines.extract.pictures.images import address_of, pictures
from schemas.document import Document
from schemas.rejection import Rejected

_LEVELS = 6
_NAME_CHARS = 40


@dataclass(frozen=True)
class Part:
    """A block of text or a picture, in reading order."""

    kind: str
    """"text" or "image"."""
    words: str
    """The text in one line, or the picture's address."""
    reason: str
    """Why it is dropped; "" if it is kept."""
    path: str
    """The elements around it, the innermost last: "article > div.share > p"."""


@dataclass(frozen=True)
class Explanation:
    parts: tuple[Part, ...]
    """Of what the page shows; empty if it has too many pictures to be looked at."""
    result: Document | Rejected


def explain(page: ParsedPage, config: ExtractConfig) -> Explanation:
    """Extract a page, with the reasons."""
    why = Why()
    choice = choose(page, config, why)
    if isinstance(choice, Rejected):
        return Explanation((), choice)
    return Explanation(tuple(_parts(page, choice, why, config)), assemble(page, choice, config))


def _parts(page: ParsedPage, choice: Choice, why: Why, config: ExtractConfig) -> Iterator[Part]:
    tree, states = page.tree, choice.shown.states
    found = frozenset(pictures(choice.shown, config))
    texts: list[int] = []
    last = (0, 0)  # block and decision of `texts`
    node = 0
    while node < len(tree):
        tag = tree.tags[node]
        if states[node] == HIDDEN:
            node = tree.ends[node]
            continue
        if tag == TEXT:
            if states[node] == SHOWN and tree.text(node).isspace():
                texts += [node] if texts else []
            elif states[node] == SHOWN:
                place = _block(tree, node), choice.keep[node]
                if texts and place != last:
                    yield from _text(tree, texts, choice, why)
                    texts = []
                texts.append(node)
                last = place
        elif node in found:
            yield from _text(tree, texts, choice, why)
            texts = []
            if tag in IMAGES or node in choice.images or node in why.images:
                address = choice.images[node].url if node in choice.images else address_of(page, node, config)
                reason = "" if node in choice.images else why.images.get(node, "outside")
                yield Part("image", address or tree.attributes(node).get("src", ""), reason, _path(tree, node))
        node += 1
    yield from _text(tree, texts, choice, why)


def _text(tree: PageTree, nodes: list[int], choice: Choice, why: Why) -> Iterator[Part]:
    words = clean("".join(tree.text(node) for node in nodes))
    if words:
        reason = "" if choice.keep[nodes[0]] else why.texts.get(nodes[0], "left out by the rules")
        yield Part("text", words, reason, _path(tree, _block(tree, nodes[0])))


def _block(tree: PageTree, node: int) -> int:
    while node > 0 and not KINDS[tree.tags[node]] & BLOCK:
        node = tree.parents[node]
    return node


def _path(tree: PageTree, node: int) -> str:
    names: list[str] = []
    while node > 0 and len(names) < _LEVELS:
        attributes = tree.attributes(node)
        identity = f"#{attributes['id'].strip()}" if attributes.get("id", "").strip() else ""
        classes = "".join(f".{name}" for name in attributes.get("class", "").split())
        names.append(tree.name(node) + (identity + classes)[:_NAME_CHARS])
        node = tree.parents[node]
    return " > ".join(reversed(names))


def lines(explanation: Explanation) -> Iterator[str]:
    """A line for each part that is dropped: what, why, where."""
    for part in explanation.parts:
        if part.reason:
            words = part.words if len(part.words) <= 60 else f"{part.words[:57]}..."
            yield f"{part.kind}\t{part.reason}\t{words if part.kind == 'image' else repr(words)}\t{part.path}"
