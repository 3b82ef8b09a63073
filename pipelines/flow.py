"""What is special to a flow: the stages of its documents, and the steps that decide before and after the fetch.

`pipelines.m3w` (web pages), `pipelines.pairs` (images with a caption) and `pipelines.videos` (clips with a text) each
make one from a recipe; everything else they share.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.stage import Shuffle, Stage
from pipelines.store.media import MediaStore
from pipelines.store.work import Work
from schemas.document import Document


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a build reads and writes."""

    work: Work
    inputs: Mapping[str, str]
    """Where each input is, by its name."""
    shared: MediaStore
    """What HTTP brought: true for all builds."""
    own: MediaStore
    """What the input itself holds, made for this build."""


@dataclass(frozen=True, kw_only=True)
class UnitJob:
    """A step that works on files, unit by unit."""

    name: str
    """Of the job: its done-files and dead letters go by it."""
    units: Callable[[Work], Sequence[str]]
    """Names of the units, known when the steps before it are done."""
    function: Callable[..., None]
    """Called with `unit` and `places`; commits the unit by its done-file, and may run twice."""
    account: Callable[[Any, Work], None] | None = None
    """Adds its rows to the funnel (`pipelines.accounting.Funnel`) and checks them; None: it drops nothing."""


Step = Shuffle | UnitJob


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A recipe's way from records of the input to samples."""

    kind: str
    """What its documents are called in the funnel: "page", "pair" or "video"."""
    stages: Sequence[Stage]
    """What happens to each record of this kind, up to a document."""
    key: Callable[[Document], str]
    """Key of a document, fixed at the source."""
    page_stages: Sequence[Stage] = ()
    """What happens to a web page before it becomes several documents of another kind; empty if it is one itself."""
    parts: Callable[[Any], Iterable[Any]] | None = None
    """The records that a page becomes after `page_stages`."""
    count_words: bool = False
    """Whether the scan leaves the words of all texts for `pipelines.rare_words`."""
    select: Sequence[Step]
    """From documents to image addresses that are wanted."""
    write: Sequence[Step]
    """From fetched images to samples."""
    sample_kind: str = ""
    """What becomes a sample, if it is not the same: "clip"."""
