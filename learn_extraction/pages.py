"""Annotated pages: read, described, and split by domain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.annotated_pages import PARTS, is_aside, load, number_of
from learn_extraction.labels import block_weights, labels, words
from learn_extraction.smaller import smaller
from pipelines.extract.html.charset import decode_html
from pipelines.extract.html.html_reader import parse_tree
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tree import look
from pipelines.extract.text.block_measures import Blocks
from pipelines.extract.text.feature_rows import describe
from pipelines.extract.text.features import WIDTH, Rows
from pipelines.extract.text.text_blocks import find_blocks
from pipelines.recipe import load_recipe
from pipelines.sources.records import RawPage
from schemas.document import Source
from schemas.rejection import Rejected

FOLDS = 5
COPIES, SMALL_WEIGHT = 2, 0.5
"""Small pages that are made of a page, and what an error in them all weighs against one in the page."""


@dataclass
class Page:
    """One annotated page, as the judge sees it."""

    name: str
    url: str
    annotation: Mapping[str, Any]
    blocks: Blocks
    rows: Rows
    texts: list[str]
    wanted: npt.NDArray[np.float32]
    """Of each block: the share that is content."""
    weights: npt.NDArray[np.float32]
    """What an error weighs."""
    trust: float = 1.0
    """What the whole annotation weighs."""
    first: Numbers = field(init=False)
    """First scores, by a forest that had not seen the page."""

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
            tree = parse_tree(page.utf8, recipe.parse)
            if isinstance(tree, Rejected):
                continue
            blocks = find_blocks(look(tree))
            texts = [blocks.text(block) for block in range(blocks.count)]
            wanted, weights = (np.array(values, np.float32) for values in labels(annotation, texts))
            yield Page(name, url, annotation, blocks, describe(blocks, url), texts, wanted, weights)


def small_pages(pages: Iterable[Page]) -> Iterator[Page]:
    """Of each page COPIES small ones, with the labels that their blocks had."""
    for page in pages:
        block_of = {node: block for block in range(page.blocks.count) for node in page.blocks.nodes_of(block)}
        for number in range(COPIES if page.weights.all() else 0):
            found = smaller(page.blocks, [share >= 0.5 for share in page.wanted], f"{page.name} {number}")
            if found is None:
                continue
            tree, old = found
            blocks = find_blocks(look(tree))
            if not blocks.count:
                continue
            texts = [blocks.text(block) for block in range(blocks.count)]
            wanted = page.wanted[[block_of[old[blocks.nodes_of(block)[0]]] for block in range(blocks.count)]]
            sizes = [len(words(text)) for text in texts]
            weights = np.array(block_weights(sizes, float(np.dot(wanted, sizes)), page.annotation), np.float32)
            rest = "\n".join(text for text, share in zip(texts, wanted, strict=True) if share >= 0.5)
            annotation = {**page.annotation, "text": rest}
            rows = describe(blocks, page.url)
            yield Page(page.name, page.url, annotation, blocks, rows, texts, wanted, weights * (SMALL_WEIGHT / COPIES))
