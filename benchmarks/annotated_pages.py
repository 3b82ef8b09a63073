"""Annotated pages from folders that hold `gold.json` and `pages.tar.xz` (or the pages' folder), and their fixed thirds.

`gold.json` maps a page's name to its annotation: "url", "track" and what `extraction_scores` says of that track;
`pages.tar.xz` has NAME.html for each. None is in this repository: docs/extraction.md says where they are from.
"""

import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tldextract

FOLDERS = "OPENM3W_ANNOTATED"
"""Environment variable: the folders, separated by ":"."""
PARTS = 3
_DOMAINS = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@dataclass(frozen=True)
class AnnotatedPages:
    """Pages by name."""

    annotations: Mapping[str, Mapping[str, Any]]
    folder: Path
    """Holds NAME.html of each."""

    def urls(self) -> dict[str, str]:
        return {name: annotation["url"] for name, annotation in self.annotations.items()}

    def aside(self) -> dict[str, Mapping[str, Any]]:
        """The third that nothing was chosen by."""
        return {name: own for name, own in self.annotations.items() if is_aside(name, own["url"])}


def folders_given() -> list[Path]:
    """What the environment names.

    Raises:
        ValueError: nothing.
    """
    named = [Path(name) for name in os.environ.get(FOLDERS, "").split(":") if name]
    if not named:
        raise ValueError(f"{FOLDERS} is not set: folders with gold.json and pages.tar.xz, separated by ':'")
    return named


def load(folders: Sequence[Path], into: Path) -> AnnotatedPages:
    """Unpack the pages of some folders into one.

    Raises:
        ValueError: a name twice, a page without its file.
    """
    annotations: dict[str, Mapping[str, Any]] = {}
    into.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        own = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
        if both := sorted(own.keys() & annotations.keys()):
            raise ValueError(f"{folder}/gold.json: {both[0]} is in another folder too")
        annotations |= own
        with tarfile.open(folder / "pages.tar.xz") as tar:
            tar.extractall(into, filter="data")
        if missing := [name for name in own if not (into / f"{name}.html").is_file()]:
            raise ValueError(f"{folder}/pages.tar.xz has no {missing[0]}.html")
    return AnnotatedPages(annotations, into)


def domain_of(name: str, url: str) -> str:
    """What pages of one site share; a page whose address is made up stands for itself."""
    host = urlsplit(url).hostname or ""
    return _DOMAINS(host).registered_domain or name


def number_of(name: str, url: str) -> int:
    """The same for all pages of a site."""
    return int.from_bytes(sha256(domain_of(name, url).encode()).digest()[:4], "big")


def is_aside(name: str, url: str) -> bool:
    return number_of(name, url) % PARTS == 0
