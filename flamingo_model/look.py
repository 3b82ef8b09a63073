"""`flamingo data`: what the loader makes of shards, for a person to see."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from flamingo_model.batch import Batch
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.formats import read_sample
from flamingo_model.preprocess import MILD
from flamingo_model.render import batch_text
from flamingo_model.render_page import batches_page
from flamingo_model.shards import LoaderError, Raw, find_shards, read_shard
from flamingo_model.training.config import DataTable
from flamingo_model.training.tokenizer import learn_tokenizer, tokenizer_of
from schemas.rejection import Rejected

KINDS: dict[str, Literal["pages", "pairs", "clips"]] = {"page": "pages", "pair": "pairs", "clip": "clips"}
"""Of documents, as a configuration of training names them."""
WORDS = 4096
"""Of the tokenizer that is made if none is named."""


def look(
    places: Sequence[str],
    *,
    split: str,
    rows: int,
    seed: int,
    image_size: int,
    augment: bool,
    tokenizer: str,
    fields: dict[str, Any],
    page: Path | None,
) -> int:
    """Print one batch and write it as a page.

    Args:
        places: of shards of one kind of documents.
        split: of data sets that have a manifest.
        rows: of the batch.
        seed: of the order, the crops and the colours.
        image_size: of the vision encoder, pixels.
        augment: change colours and flip, as in training.
        tokenizer: folder or hub name; "": one is made from the shards' texts.
        fields: of `SampleConfig`, over those of the shards' kind.
        page: HTML file to write; None: none.

    Returns:
        Exit code.

    Raises:
        LoaderError: there is nothing to see. ConfigError: no such tokenizer or field.
    """
    shards = find_shards(places, split)
    table = DataTable(
        name="data",
        kind=_kind(shards),
        shards=tuple(places),
        split=split,
        weight=1.0,
        batch_size=rows,
        micro_batch=0,
        pack=False,
        samples=fields,
    )
    words = tokenizer_of(tokenizer) if tokenizer else learn_tokenizer([table], WORDS)
    config = LoaderConfig(
        batch_size=rows,
        endless=False,
        shuffle=1000,
        seed=seed,
        streams=1,
        workers=0,
        prefetch=1,
        pad="longest",
        pack=False,
    )
    loader = Loader(
        shards,
        config,
        table.sample_config(),
        words,
        len(words),
        image_size=image_size,
        augment=MILD if augment else None,
    )
    batches = list(islice(loader, 1))
    print(batch_text(batches[0], words, len(words), colour=sys.stdout.isatty()))
    print(f"\n{len(shards)} shards of {table.kind}; this batch: {_totals(batches[0])}")
    for reason, count in loader.skipped.items():
        print(f"passed over: {reason} {count}")
    if page:
        title = f"{', '.join(places)}: a batch of {table.kind}"
        page.write_text(batches_page(batches, words, len(words), title), encoding="utf-8")
        print(f"wrote {page}")
    return 0


def _kind(shards: Sequence[str]) -> Literal["pages", "pairs", "clips"]:
    """Of the first sample that can be read."""
    problem: Rejected | None = None
    for shard in shards:
        for raw in read_shard(shard):
            found = read_sample(raw.key, raw.files) if isinstance(raw, Raw) else raw
            if not isinstance(found, Rejected):
                return KINDS[found.sample.document.kind]
            problem = problem or found
    why = f"; the first: {problem.reason}, {problem.detail}" if problem else ""
    raise LoaderError(f"no sample in {', '.join(shards[:3])} can be read{why}")


def _totals(batch: Batch) -> str:
    images = sum(batch.pictures.per_row) if batch.pictures else 0
    pictures = len(batch.pictures.pixels) if batch.pictures else 0
    rows, length = batch.tokens.shape
    shown = f"{images} images" if images == pictures else f"{images} images and videos of {pictures} pictures"
    return f"{rows} rows of {length} tokens, {shown}, {int(batch.attention_mask.sum()):,} tokens"
