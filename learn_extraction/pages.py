"""Annotated pages: read, described, and split by domain."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.annotated_pages import PARTS, is_aside, load, number_of
from learn_extraction.labels import labels
from pipelines.extract.block_measures import Blocks
from pipelines.extract.charset import decode_html
from pipelines.extract.feature_rows import describe
from pipelines.extract.features import WIDTH, Rows
from pipelines.extract.html_reader import parse_tree
from pipelines.extract.page_tree import Numbers
from pipelines.extract.text_blocks import find_blocks
from pipelines.extract.tree import look_at_all
from pipelines.recipe import load_recipe
from pipelines.sources.records import RawPage
from schemas.document import Source
from schemas.rejection import Rejected

FOLDS = 5


@dataclass
class Page:
    """One annotated page, as the judge sees it."""

    name: str
    url: str
    annotation: Mapping[str, Any]
    blocks: Blocks
    rows: Rows
    texts: list[str]
    wanted: npt.NDArray[np.float32] = field(init=False)
    """Of each block: the share that is content."""
    weights: npt.NDArray[np.float32] = field(init=False)
    """What an error weighs."""
    trust: float = 1.0
    """What the whole annotation weighs."""
    first: Numbers = field(init=False)
    """First scores, by a forest that had not seen the page."""

    def __post_init__(self) -> None:
        wanted, weights = labels(self.annotation, self.texts)
        self.wanted, self.weights = np.array(wanted, np.float32), np.array(weights, np.float32)

    @property
    def aside(self) -> bool:
        """Of the third of sites that is kept aside."""
        return is_aside(self.name, self.url)

    @property
    def fold(self) -> int:
        """The same for all pages of a site."""
        return number_of(self.name, self.url) // PARTS % FOLDS

    @property
    def values(self) -> npt.NDArray[np.int32]:
        count = self.blocks.count
        return np.frombuffer(self.rows.values, np.int32)[: count * WIDTH].reshape(count, WIDTH)


def read_pages(folders: Sequence[Path]) -> Iterator[Page]:
    """The pages of folders with gold.json and pages.tar.xz that can be read, in order of names."""
    recipe = load_recipe("m3w")
    with TemporaryDirectory() as scratch:
        pages = load(folders, Path(scratch))
        for name, annotation in sorted(pages.annotations.items()):
            url = annotation["url"]
            body = (pages.folder / f"{name}.html").read_bytes()
            page = decode_html(RawPage(url=url, body=body, content_type="", headers={}, source=Source()), recipe.decode)
            if isinstance(page, Rejected):
                continue
            tree = parse_tree(page.html.encode("utf-8", "replace"), recipe.parse)
            if isinstance(tree, Rejected):
                continue
            blocks = find_blocks(look_at_all(tree))
            yield Page(name, url, annotation, blocks, describe(blocks, url), texts_of(blocks))


def texts_of(blocks: Blocks) -> list[str]:
    tree = blocks.shown.tree
    found = []
    for block in range(blocks.count):
        nodes = blocks.texts[blocks.firsts[block] : blocks.firsts[block + 1]]
        found.append(" ".join("".join(map(tree.text, nodes)).split()))
    return found
