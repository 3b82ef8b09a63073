"""Annotated pages: read, described, and split by domain."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tldextract import TLDExtract

from learn_extraction.labels import labels
from pipelines.extract.block_measures import Blocks
from pipelines.extract.charset import decode_html
from pipelines.extract.feature_rows import describe
from pipelines.extract.features import WIDTH, Rows
from pipelines.extract.html_reader import parse_tree
from pipelines.extract.page_tree import Numbers
from pipelines.extract.text_blocks import find_blocks
from pipelines.extract.tree import look
from pipelines.recipe import load_recipe
from pipelines.sources.records import RawPage
from schemas.document import Source
from schemas.rejection import Rejected

HELD_OUT = 3
"""One domain in so many is kept aside."""
FOLDS = 5
_PLACEHOLDER = "fakehost"
"""Some annotated pages have no address of their own."""
_split_domain = TLDExtract(suffix_list_urls=())


@dataclass
class Page:
    """One annotated page, as the judge sees it."""

    name: str
    url: str
    annotation: dict[str, Any]
    blocks: Blocks
    rows: Rows
    texts: list[str]
    wanted: npt.NDArray[np.float32] = field(init=False)
    """Of each block: the share that is content."""
    weights: npt.NDArray[np.float32] = field(init=False)
    """What an error weighs."""
    first: Numbers = field(init=False)
    """First scores, by a forest that had not seen the page."""
    draw: int = field(init=False)
    """A number drawn for the page's domain."""

    def __post_init__(self) -> None:
        wanted, weights = labels(self.annotation, self.texts)
        self.wanted, self.weights = np.array(wanted, np.float32), np.array(weights, np.float32)
        domain = _split_domain(self.url).top_domain_under_public_suffix or self.url
        self.draw = int(sha256((self.name if _PLACEHOLDER in self.url else domain).encode()).hexdigest()[:8], 16)

    @property
    def held_out(self) -> bool:
        return self.draw % HELD_OUT == 0

    @property
    def fold(self) -> int:
        return self.draw // HELD_OUT % FOLDS

    @property
    def values(self) -> npt.NDArray[np.int32]:
        count = self.blocks.count
        return np.frombuffer(self.rows.values, np.int32)[: count * WIDTH].reshape(count, WIDTH)

    def text(self, keep: npt.NDArray[np.bool_]) -> str:
        return "\n".join(text for text, kept in zip(self.texts, keep, strict=True) if kept)


def read_pages(folder: Path) -> Iterator[Page]:
    """The pages of a folder with gold.json and pages.tar.xz that can be read, in order of names."""
    recipe = load_recipe("m3w")
    annotations = json.loads((folder / "gold.json").read_text("utf-8"))
    with tarfile.open(folder / "pages.tar.xz") as tar:
        members = {Path(member.name).stem: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
    for name, annotation in sorted(annotations.items()):
        url = annotation["url"]
        page = decode_html(
            RawPage(url=url, body=members[name], content_type="", headers={}, source=Source()), recipe.decode
        )
        if isinstance(page, Rejected):
            continue
        tree = parse_tree(page.html.encode("utf-8", "replace"), recipe.parse)
        if isinstance(tree, Rejected):
            continue
        blocks = find_blocks(look(tree))
        yield Page(name, url, annotation, blocks, describe(blocks, url), texts_of(blocks))


def texts_of(blocks: Blocks) -> list[str]:
    tree = blocks.shown.tree
    found = []
    for block in range(blocks.count):
        nodes = blocks.texts[blocks.firsts[block] : blocks.firsts[block + 1]]
        found.append(" ".join("".join(map(tree.text, nodes)).split()))
    return found
