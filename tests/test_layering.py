"""The rules on what may import what (docs/architecture.md), read from the source; and that they hold when it runs."""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from crawls import cut, small

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "dedup", "pipelines", "flamingo_model")
MAY_IMPORT = {
    "schemas": set(),
    "dedup": {"schemas"},
    "pipelines": {"schemas", "dedup"},
    "flamingo_model": {"schemas"},
}
BEAM_AT_IMPORT = {
    "pipelines.stage",
    "pipelines.engine",
    "pipelines.worker",
    "pipelines.worker_preload",
    "pipelines.dataflow",
    "pipelines.spark.engine",
    "pipelines.spark.submit",
    "dedup.transforms",
}
BEAM_WHEN_CALLED = {"pipelines.store.hdfs", "pipelines.spark.boot"}
TORCH_WHEN_CALLED = {"pipelines.filters.similarity_open_clip"}
EXTRACTION = (
    "pipelines.extract.html.",
    "pipelines.extract.text.",
    "pipelines.extract.pictures.",
    "pipelines.extract.videos.",
)
"""Each of these stands only on those before it."""
NOT_IN_SCHEMAS = {"apache_beam", "torch", "lxml", "bs4", "PIL", "pyarrow", "numpy", "fastwarc"}
MAX_LINES = 400


def modules() -> dict[str, Path]:
    """Files of our packages by module name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_in(tree: ast.AST, module: str) -> Iterator[tuple[str, bool]]:
    """(imported module, whether the import runs only when a function is called); also those for types only."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((name.name, inside) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: imports of ours are absolute"
                assert child.module
                yield child.module, inside
                # `from package import module` imports the module too
                yield from ((f"{child.module}.{name.name}", inside) for name in child.names)
            yield from walk(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    yield from walk(tree, False)


@cache
def all_imports() -> dict[str, list[tuple[str, bool]]]:
    return {name: list(imports_in(ast.parse(path.read_text()), name)) for name, path in modules().items()}


def top(name: str) -> str:
    return name.partition(".")[0]


def layer_faults(module: str, imports: list[tuple[str, bool]]) -> list[str]:
    """What a module imports against the rules."""
    own, faults = top(module), []
    for name, late in imports:
        root = top(name)
        if root in PACKAGES and root != own and root not in MAY_IMPORT[own]:
            faults.append(f"{module} imports {name}: {own} may import {sorted(MAY_IMPORT[own]) or 'none of ours'}")
        if own == "schemas" and root in NOT_IN_SCHEMAS:
            faults.append(f"{module} imports {name}")
        if root == "torch" and own != "flamingo_model" and not (late and module in TORCH_WHEN_CALLED):
            faults.append(f"{module} imports torch")
        if root == "apache_beam" and module not in BEAM_AT_IMPORT and not (late and module in BEAM_WHEN_CALLED):
            faults.append(f"{module} imports Beam")
        place = next((number for number, folder in enumerate(EXTRACTION) if module.startswith(folder)), None)
        if place is not None and name.startswith(EXTRACTION[place + 1 :]):
            faults.append(f"{module} imports {name}, which stands on it")
        if root in ("tests", "benchmarks", "demo"):
            faults.append(f"{module} imports {name}, which is not installed")
    return faults


def test_every_package_is_read() -> None:
    assert {top(name) for name in modules()} == set(PACKAGES)
    assert "pipelines.extract.html.parse" in modules()


@pytest.mark.parametrize("module", sorted(modules()))
def test_layers(module: str) -> None:
    assert layer_faults(module, all_imports()[module]) == []


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [
        ("schemas.document", "import pipelines.m3w", 1),
        ("schemas.document", "from lxml import etree", 2),
        ("dedup.urls", "from pipelines import stage", 2),
        ("dedup.urls", "import apache_beam", 1),
        ("dedup.urls", "from schemas.keys import digest", 0),
        ("pipelines.scan", "def f():\n    import apache_beam.io", 1),
        ("pipelines.store.hdfs", "def f():\n    import apache_beam.io", 0),
        ("pipelines.store.hdfs", "import apache_beam.io", 1),
        ("pipelines.scan", "def f():\n    def g():\n        import torch", 1),
        ("pipelines.filters.similarity_open_clip", "def f():\n    import torch", 0),
        ("pipelines.filters.similarity_open_clip", "import torch", 1),
        ("flamingo_model.train", "import torch\nimport schemas.shard", 0),
        ("flamingo_model.train", "import pipelines.store.paths", 1),
        ("pipelines.scan", "import tests.webserver", 1),
        ("pipelines.extract.html.parse", "import pipelines.extract.text.judge", 1),
        ("pipelines.extract.pictures.captions", "import pipelines.extract.text.certain", 0),
    ],
)
def test_the_rules_find_faults(module: str, source: str, faults: int) -> None:
    assert len(layer_faults(module, list(imports_in(ast.parse(source), module)))) == faults


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """A cycle of imports, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph[node]):
            if found := visit(other, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


def test_no_import_cycles() -> None:
    known = set(modules())
    graph = {
        name: {other for other, _ in imports if other in known and other != name}
        for name, imports in all_imports().items()
    }
    assert cycle_in(graph) == []


def test_a_cycle_is_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("module", sorted(modules()))
def test_modules_are_short(module: str) -> None:
    assert len(modules()[module].read_text().splitlines()) < MAX_LINES


@pytest.mark.parametrize("module", sorted(modules()))
def test_modules_say_what_they_are_for(module: str) -> None:
    source = modules()[module].read_text()
    assert not source.strip() or ast.get_docstring(ast.parse(source)), f"{module} has no docstring"


BLOCKER = textwrap.dedent(
    """
    import sys
    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in BLOCKED:
                raise ModuleNotFoundError(f"{name} is blocked by this test", name=name)
    BLOCKED = set(sys.argv[1].split(","))
    sys.meta_path.insert(0, Blocked())
    """
)


def run_blocked(blocked: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python in which some packages cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + textwrap.dedent(code), blocked, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )


def test_schemas_need_nothing_that_is_installed() -> None:
    done = run_blocked(
        "torch,apache_beam,lxml,bs4,PIL,numpy,pyarrow,fastwarc,webdataset,rich,typer",
        """
        import schemas.document, schemas.markup, schemas.shard, schemas.manifest, schemas.rejection, schemas.keys
        print("imported")
        """,
    )
    assert (done.returncode, done.stdout) == (0, "imported\n"), done.stderr


COMMAND = """
    from pipelines.cli import main
    sys.argv = ["m3w", *sys.argv[2:]]
    main()
"""


def test_the_block_blocks() -> None:
    done = run_blocked("torch,json", "import json")
    assert "json is blocked by this test" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["recipe", "list"], ["recipe", "check", "demo"]])
def test_commands_without_torch(arguments: list[str]) -> None:
    done = run_blocked("torch,transformers,av", COMMAND, *arguments)
    assert done.returncode == 0, done.stderr


def test_data_is_built_read_and_verified_without_torch(tmp_path: Path) -> None:
    recipe, out = tmp_path / "small.toml", tmp_path / "out"
    recipe.write_text('extends = "demo"\n[image_safety]\nscorer = "none"\n')
    crawl = cut(tmp_path / "crawl.warc.gz", small)
    build = ["build", str(recipe), "--input", str(crawl), "--output", str(out), "--offline"]
    for arguments in (build, ["inspect", str(out)], ["verify", str(out)]):
        done = run_blocked("torch,transformers,av", COMMAND, *arguments)
        assert done.returncode == 0, f"m3w {arguments[0]}: {done.stderr}"


def test_help_does_not_wait_for_beam() -> None:
    done = run_blocked("torch,apache_beam,pyarrow,lxml,fasttext,PIL", COMMAND, "build", "--help")
    assert done.returncode == 0, done.stderr
    assert "--input" in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)  # some terminals are promised colours
