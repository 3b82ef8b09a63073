"""Strict conversion between plain JSON or TOML values and the frozen dataclasses of the project.

One place decides what a field may hold; recipes, samples and manifests all go through it. An unknown or missing key is
an error that names itself and its known neighbours.
"""

import math
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar

from schemas.document import EMPTY

T = TypeVar("T")
_PLAIN = frozenset({str, int, bool})
"""Most values: a look here spares them all other questions."""


class StrictError(ValueError):
    """A value does not fit its record; the message says where and what would fit."""


@lru_cache
def field_types(cls: type) -> dict[str, Any]:
    """Names and resolved types of a dataclass's fields, in order."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls)}


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as dicts and lists that json and TOML writers take."""
    kind = type(value)
    if kind in _PLAIN or kind is float:
        return value
    if is_dataclass(kind):
        return {name: to_plain(getattr(value, name)) for name in field_types(kind)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def from_plain(cls: type[T], value: Any, where: str) -> T:
    """A `cls` from plain values.

    Args:
        cls: a dataclass.
        value: what json or TOML gave.
        where: how messages call it, e.g. "[language] of recipe.toml".

    Raises:
        StrictError: unknown or missing key, a value of another type, or a number that is not finite.
    """
    result: T = _convert(cls, value, where)
    return result


def _convert(wanted: Any, value: Any, where: str) -> Any:
    if type(value) is wanted and wanted in _PLAIN:
        return value
    origin = typing.get_origin(wanted)
    if is_dataclass(wanted):
        return _record(typing.cast(type, wanted), value, where)
    if wanted is Any:
        return value
    if origin is typing.Literal:
        if value not in typing.get_args(wanted):
            raise StrictError(f"{where}: {value!r} is none of {', '.join(map(repr, typing.get_args(wanted)))}")
        return value
    if origin is tuple:
        item = typing.get_args(wanted)[0]
        if not isinstance(value, list | tuple):
            raise StrictError(f"{where}: a list is wanted, not {value!r}")
        return tuple(_convert(item, entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if origin in (Mapping, dict):
        item = typing.get_args(wanted)[1]
        if not isinstance(value, Mapping):
            raise StrictError(f"{where}: a table is wanted, not {value!r}")
        return {key: _convert(item, entry, f"{where}.{key}") for key, entry in value.items()} or EMPTY
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, where)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise StrictError(f"{where}: {wanted.__name__} is wanted, not {value!r}")
    return value


def _finite(value: float, where: str) -> float:
    """JSON has no sign for NaN and infinity, and no comparison with NaN holds."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise StrictError(f"{where}: a finite number is wanted, not {str(value)[:20]}")
    return number


def _record(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise StrictError(f"{where}: a table is wanted, not {value!r}")
    known = field_types(cls)
    for key in value:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise StrictError(f"{where}: unknown key {key!r}.{hint} Known: {', '.join(known)}")
    if missing := [name for name in known if name not in value]:
        raise StrictError(f"{where}: missing {', '.join(missing)}")
    converted = {name: _convert(kind, value[name], f"{where}.{name}") for name, kind in known.items()}
    try:
        return cls(**converted)
    except ValueError as error:
        raise StrictError(f"{where}: {error}") from error
