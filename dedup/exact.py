"""Which of several equal things is kept. Pure functions over the bounded groups of `dedup.transforms`."""

from collections.abc import Sequence
from typing import Any

from schemas.keys import digest


def keep_first(count: int, rows: Sequence[Any]) -> tuple[Any, Sequence[Any], int]:
    """Keeps the first row of a group.

    Args:
        count: rows there were in all.
        rows: the first of them in order of preference; at least one.

    Returns:
        The kept row, the others that are listed, and how many more were dropped without being listed.
    """
    return rows[0], rows[1:], count - len(rows)


def within_cap(count: int, cap: int) -> bool:
    """Whether a thing that is used `count` times may be kept; a cap of 0 means no cap.

    What is used more often than the cap is dropped everywhere, as OBELICS (arXiv 2306.16527) does with the addresses of
    images: logos, buttons and tracking pixels go, and nothing depends on which use came first.
    """
    return cap == 0 or count <= cap


def text_digest(text: str) -> str:
    """Key of a text: equal for texts that differ in white space only."""
    return digest("text", " ".join(text.split()))
