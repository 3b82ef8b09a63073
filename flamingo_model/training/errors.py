"""The one error of this package that is not a mistake in a configuration."""

import re


class TrainingError(ValueError):
    """A run that cannot begin or go on; the message says why and what is still whole."""


def last_line(error: Exception) -> str:
    """Of an error that came out of a worker: there the whole traceback stands before it."""
    last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return re.sub(r"^(\w+\.)*\w*Error: ", "", last)
