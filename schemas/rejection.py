"""Why a record was dropped: the value a stage returns instead of a record."""

from dataclasses import dataclass, field

from schemas.document import Source


@dataclass(frozen=True, slots=True)
class Rejected:
    """A stage's refusal of one record."""

    reason: str
    """Stable snake_case name of the rule that was broken: a counter and a report row bear it."""
    detail: str = ""
    """The value and the limit, for a person: "4 words, at least 50"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dropped thing, as it stands in dead_letters/<stage>.jsonl."""

    kind: str
    """What was dropped: "record", "page", "pair", "video", "clip", "media", "image_use", "image_url" or "image"."""
    stage: str
    """Name of the stage that dropped it."""
    reason: str
    detail: str = ""
    url: str = ""
    key: str = ""
    """Key of the document, where it has one."""
    source: Source = field(default_factory=Source)
    count: int = 1
    """How many things this line stands for: more than 1 where a cap dropped a crowd of equals."""
