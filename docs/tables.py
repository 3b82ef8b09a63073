"""Tables of the documentation that are made from the code: `python -m docs.tables` writes them anew.

They stand between `<!-- made by docs/tables.py: NAME -->` and `<!-- end -->`. tests/test_readme.py compares them.
"""

import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.facts import LedgerRow
from pipelines.recipe import Recipe, load_recipe, values
from schemas.document import Document, Image, Source, Video
from schemas.json_schema import field_docs
from schemas.manifest import FunnelRow, Input, Manifest, Shard
from schemas.rejection import DeadLetter
from schemas.strict import field_types

FOLDER = Path(__file__).parent
PAGES = ("data-format.md", "recipes.md")
RECORDS = {
    "document": (Document, ("slots",)),
    "source": (Source, ()),
    "image": (Image, ()),
    "video": (Video, ()),
    "manifest": (Manifest, ()),
    "shard": (Shard, ()),
    "input": (Input, ()),
    "funnel": (FunnelRow, ()),
    "dead_letter": (DeadLetter, ()),
    "ledger": (LedgerRow, ()),
}
_MADE = re.compile(r"(<!-- made by docs/tables\.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def filled(text: str) -> str:
    """A page with its tables made anew."""
    return _MADE.sub(lambda match: match[1] + "\n" + table(match[2]) + "\n" + match[3], text)


def table(name: str) -> str:
    if name == "recipe":
        return recipe_tables()
    cls, left_out = RECORDS[name]
    kinds = typing.get_type_hints(cls)
    docs = field_docs(cls)
    rows = [(f"`{field}`", type_name(kinds[field]), docs.get(field, "")) for field in kinds if field not in left_out]
    return markdown(("field", "type", "meaning"), rows)


def recipe_tables() -> str:
    """A section for each table of a recipe: key, value in m3w, what it means."""
    given = values(load_recipe("m3w"))
    parts = []
    for name, config in field_types(Recipe).items():
        if name == "name":
            continue
        docs = field_docs(config)
        rows = [(f"`{key}`", shown(given[name][key]), docs.get(key, "")) for key in field_types(config)]
        parts.append(f"### [{name}]\n\n" + markdown(("key", "m3w", "meaning"), rows))
    return "\n".join(parts)


def shown(value: Any) -> str:
    """A value as it would stand in the recipe, cut if it is long."""
    if isinstance(value, list):
        items = [f'"{item}"' if isinstance(item, str) else str(item) for item in value]
        text = f"[{', '.join(items[:4])}{', ...' if len(items) > 4 else ''}]"
    elif isinstance(value, str):
        text = f'"{value[:16]}..."' if len(value) > 32 else f'"{value}"'
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


def type_name(kind: Any) -> str:
    """A type in JSON's words."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin is tuple:
        return f"array of {type_name(inner[0])}s"
    if origin is Mapping:
        return "object" if inner[1] is Any else f"object of {type_name(inner[1])}s"
    return str(kind.__name__)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(escaped(cell) for cell in row) + " |\n" for row in lines)


def escaped(cell: str) -> str:
    """A cell in one line; what looks like a tag stays text, but for a cell that is code."""
    line = " ".join(cell.split()).replace("|", "\\|")
    return line if line.startswith("`") else line.replace("<", "&lt;")


if __name__ == "__main__":
    for page in PAGES:
        path = FOLDER / page
        path.write_text(filled(path.read_text()))
