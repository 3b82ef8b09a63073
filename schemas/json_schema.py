"""JSON Schema of KEY.json, made from the records: `python -m schemas.json_schema` writes sample.schema.json."""

import ast
import inspect
import itertools
import json
import textwrap
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from schemas.document import Document, Image, Video
from schemas.shard import FORMAT_VERSION
from schemas.strict import field_types

SCHEMA_FILE = Path(__file__).with_name("sample.schema.json")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def sample_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a sample's JSON."""
    head = _record(Document)
    del head["properties"]["slots"]
    place = {
        "slot": {"type": "integer", "minimum": 0, "description": "Number among all media, in reading order, from 0."},
        "position": {"type": "integer", "minimum": 0, "description": "Characters (code points) of `text` before it."},
    }
    properties = {
        "format": {"const": FORMAT_VERSION},
        **head["properties"],
        "text": {"type": "string", "description": "The text without marks; empty in a pair, whose text is KEY.txt."},
        "images": {"type": "array", "items": _record(Image, place)},
        "videos": {"type": "array", "items": _record(Video, place)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "OpenM3W sample",
        **_object(properties),
    }


def field_docs(cls: type) -> dict[str, str]:
    """The docstrings that stand under a dataclass's fields."""
    body = typing.cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]).body
    docs = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            docs[field.target.id] = inspect.cleandoc(str(below.value.value))
    return docs


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _record(cls: type, first: Mapping[str, Any] | None = None) -> dict[str, Any]:
    docs = field_docs(cls)
    properties = dict(first or {})
    for name, kind in field_types(cls).items():
        properties[name] = _type(kind)
        if name in docs:
            properties[name]["description"] = docs[name]
    return _object(properties)


def _type(kind: Any) -> dict[str, Any]:
    origin = typing.get_origin(kind)
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_dataclass(kind):
        return _record(typing.cast(type, kind))
    if origin is typing.Literal:
        return {"enum": list(typing.get_args(kind))}
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return {"type": "array", "items": _type(item) if item in _PLAIN or is_dataclass(item) else {}}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _type(typing.get_args(kind)[1])}
    raise TypeError(f"no JSON Schema for {kind}")


def schema_text() -> str:
    return json.dumps(sample_schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
