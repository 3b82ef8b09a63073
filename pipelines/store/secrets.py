"""Credentials among the words of a command, which are shown and kept in run.json."""

from collections.abc import Iterable

SECRET = ("--s3_access_key_id", "--s3_secret_access_key", "--s3_session_token")
"""Options of Beam's whose values nobody may read."""


def without_secrets(words: Iterable[str]) -> list[str]:
    """The words of a command with the values of such options left out, whether they follow "=" or as the next word."""
    shown: list[str] = []
    for word in words:
        name, equals, _ = word.partition("=")
        if shown and shown[-1] in SECRET:
            shown.append("***")
        else:
            shown.append(f"{name}=***" if equals and name in SECRET else word)
    return shown
