"""manifest.json: what a data set holds and what it was made from.

It holds nothing that differs between equal runs: times, host, engine and tries stand in run.json.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.strict import from_plain, to_plain


class ManifestError(ValueError):
    """A manifest that cannot be read; the message names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One tar file."""

    name: str
    """Relative to the data set: "shards/train-000000.tar"."""
    split: str
    samples: int
    images: int
    videos: int
    words: int
    """Whitespace-separated words of the texts."""
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input file or folder."""

    name: str
    bytes: int
    sha256: str
    """Of the file's bytes; of a folder: of the sorted list of its files' names and digests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRow:
    """What a stage did to a kind of thing: `into = out + sum(dropped)`; in a fan-out `into` things became `out`."""

    kind: str
    """"record", "page", "image_use", "image_url", "image" or "sample"."""
    stage: str
    into: int
    out: int
    dropped: Mapping[str, int]
    """Number by reason."""
    becomes: str = ""
    """Fan-out only: the kind of the things that came out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole data set."""

    format: str
    """`schemas.shard.FORMAT_VERSION`."""
    version: str
    """Version of OpenM3W that wrote it."""
    name: str
    """The recipe's name."""
    recipe: Mapping[str, Any]
    """Every value in force, by table."""
    recipe_digest: str
    inputs: tuple[Input, ...]
    lists: tuple[Input, ...]
    """The files that the recipe names: lists of blocked domains and images."""
    ledger_digest: str
    """Of the outcome of every image URL that the data set asked for, whatever the order."""
    test_allowances: tuple[str, ...]
    """Safety checks that were lifted by a test flag on the command line; empty for any real data set."""
    splits: Mapping[str, int]
    """Samples by split."""
    shards: tuple[Shard, ...]
    funnel: tuple[FunnelRow, ...]


def manifest_json(manifest: Manifest) -> str:
    return json.dumps(to_plain(manifest), indent=1, ensure_ascii=False) + "\n"


def read_manifest(text: str, name: str) -> Manifest:
    """The manifest in `text`; `name` is what messages call the file.

    Raises:
        ManifestError: not JSON, or not a manifest of this version.
    """
    try:
        return from_plain(Manifest, json.loads(text), name)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{name}: {error}") from error
