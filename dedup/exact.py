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


def text_digest(text: str) -> str:
    """Key of a text: equal for texts that differ in white space only."""
    return digest("text", " ".join(text.split()))
