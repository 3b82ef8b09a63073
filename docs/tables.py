"""Parts of the documentation that are made from the code and from the demo: `make docs` writes them anew.

They stand between `<!-- made by docs/tables.py: NAME -->` and `<!-- end -->`. tests/test_readme.py compares them.
"""

import json
import re
import typing
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import estimate
from pipelines.facts import LedgerRow
from pipelines.recipe import FLOWS, load_recipe, values
from pipelines.report import print_report, report_for
from pipelines.spark.versions import FITS
from schemas.document import Document, Image, Source, Subtitles, Video
from schemas.json_schema import field_docs
from schemas.manifest import FunnelRow, Input, Manifest, Shard
from schemas.rejection import DeadLetter
from schemas.shard import read_shard, sample_json
from schemas.strict import field_types

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "build/demo/m3w"
PAGES = ("README.md", "docs/data-format.md", "docs/recipes.md", "docs/engines.md", "docs/scale.md")
EXAMPLE_URL = "https://scikit-image.org/docs/0.19.x/auto_examples/edges/plot_convex_hull.html"
EXAMPLE_SCORES = ("language.score", "gopher_quality.words", "gopher_repetition.top_2_gram", "text_safety.flagged_share")
RECORDS = {
    "document": (Document, ("slots",)),
    "source": (Source, ()),
    "image": (Image, ()),
    "video": (Video, ()),
    "subtitles": (Subtitles, ()),
    "manifest": (Manifest, ()),
    "shard": (Shard, ()),
    "input": (Input, ()),
    "funnel": (FunnelRow, ()),
    "dead_letter": (DeadLetter, ()),
    "ledger": (LedgerRow, ()),
}
EXAMPLES = {"pages": ("m3w",), "pairs": ("align", "ltip"), "clips": ("vtp",)}
"""Recipes whose values are shown, by flow."""
EXTENDED = {"pairs": "m3w", "clips": "ltip"}
"""For each flow but the first, the recipe from which its own differ in the tables that were shown before."""
MAX_SHOWN = 32
"""Characters of a text that is shown whole."""
_MADE = re.compile(r"(<!-- made by docs/tables\.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def filled(text: str, demo: Path | None) -> str:
    """A page with its parts made anew; those of the demo stay as they are where no demo was built."""

    def made(match: re.Match[str]) -> str:
        name = match[2]
        if name.startswith("demo_"):
            return match[0] if demo is None else f"{match[1]}\n{from_demo(name, demo)}\n{match[3]}"
        tables = {"recipe": recipe_tables, "spark_versions": spark_versions, "scale_estimate": scale_estimate}
        return f"{match[1]}\n{tables[name]() if name in tables else record_table(name)}\n{match[3]}"

    return _MADE.sub(made, text)


def from_demo(name: str, demo: Path) -> str:
    """A fenced block with what `make demo` shows."""
    if name == "demo_sample":
        return f"```json\n{example(demo)}\n```\n"
    console = Console(file=StringIO(), width=100)
    print_report(report_for(str(demo)), console)
    lines = [line.rstrip() for line in console.file.getvalue().strip("\n").splitlines()]  # type: ignore[attr-defined]
    if name == "demo_pages":
        head = next(n for n, line in enumerate(lines) if line.startswith(" stage"))
        start = lines.index(" pages")
        lines = [*lines[head : head + 2], *lines[start : lines.index("", start)], "", lines[-1]]
    text = "\n".join(lines).strip("\n")
    return f"```text\n{text}\n```\n"


def example(demo: Path) -> str:
    """The JSON of a sample of the demo, with most of its scores left out."""
    for shard in sorted(demo.glob("shards/*.tar")):
        with shard.open("rb") as stream:
            for sample in read_shard(stream):
                if sample.document.url == EXAMPLE_URL:
                    value = sample_json(sample.document)
                    value["scores"] = {key: value["scores"][key] for key in EXAMPLE_SCORES}
                    return json.dumps(value, indent=1, ensure_ascii=False)
    raise ValueError(f"{EXAMPLE_URL} is not in the demo any more: choose another example")


def record_table(name: str) -> str:
    """The fields of a record."""
    cls, left_out = RECORDS[name]
    kinds = typing.get_type_hints(cls)
    docs = field_docs(cls)
    rows = [(f"`{field}`", type_name(kinds[field]), docs.get(field, "")) for field in kinds if field not in left_out]
    return markdown(("field", "type", "meaning"), rows)


def spark_versions() -> str:
    """Which versions go together on Spark."""
    return markdown(("part", "goes", "tried"), [(fit.part, fit.goes(), fit.tried) for fit in FITS])


def scale_estimate() -> str:
    """What builds of some sizes take, from measured figures."""
    return markdown(
        ("", *(f"{pages:,.0f} pages" for pages in estimate.PAGES)), estimate.table(estimate.Figures(), estimate.PAGES)
    )


def recipe_tables() -> str:
    """A section for each table of a recipe: key, its values in the recipes of the first flow that has it, meaning.

    Of tables that an earlier flow has too, a flow shows only the keys that have other values.
    """
    parts = []
    seen = {"name", "flow"}
    for flow, recipes in EXAMPLES.items():
        given = {recipe: values(load_recipe(recipe)) for recipe in recipes}
        tables = [(name, config) for name, config in field_types(FLOWS[flow]).items() if name not in ("name", "flow")]
        if flow in EXTENDED:
            old = EXTENDED[flow]
            given[old] = values(load_recipe(old))
            shared = [name for name, _ in tables if name in seen and name in given[old]]
            rows = [
                (f"`[{name}]` `{key}`", *(shown(given[recipe][name][key]) for recipe in (old, *recipes)))
                for name in shared
                for key, value in given[old][name].items()
                if any(given[recipe][name][key] != value for recipe in recipes)
            ]
            head = f"### {flow.capitalize()}: what differs from {old}\n\n"
            parts.append(head + markdown(("key", old, *recipes), rows))
        for name, config in tables:
            if name in seen:
                continue
            seen.add(name)
            docs = field_docs(config)
            rows = [
                (f"`{key}`", *(shown(given[recipe][name][key]) for recipe in recipes), docs.get(key, ""))
                for key in field_types(config)
            ]
            parts.append(f"### [{name}]\n\n" + markdown(("key", *recipes, "meaning"), rows))
    return "\n".join(parts)


def shown(value: Any) -> str:
    """A value as it would stand in the recipe, cut if it is long."""
    if isinstance(value, list):
        items = [quoted(item) if isinstance(item, str) else str(item) for item in value]
        text = f"[{', '.join(items[:4])}{', ...' if len(items) > 4 else ''}]"
    elif isinstance(value, str):
        text = quoted(value)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


def quoted(text: str) -> str:
    return f'"{text[:16]}..."' if len(text) > MAX_SHOWN else f'"{text}"'


def type_name(kind: Any) -> str:
    """A type in JSON's words."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin is tuple:
        return f"array of {type_name(inner[0]).removesuffix('s')}s"
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
        path = ROOT / page
        path.write_text(filled(path.read_text(), DEMO if (DEMO / "_SUCCESS").exists() else None))
