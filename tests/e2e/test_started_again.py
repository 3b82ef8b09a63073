"""What the command does in an output that is there already."""

import json
import shutil
from pathlib import Path

import pytest
from builds import digests, m3w, unfinished, write_recipe
from crawls import cut, small


@pytest.fixture
def output(reference: Path, tmp_path: Path) -> Path:
    """A finished build."""
    return shutil.copytree(reference, tmp_path / "out")


def times(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != ".lock"}


def test_a_finished_build_is_left_alone(output: Path, crawl: Path, recipe: Path) -> None:
    before = times(output)
    code, out, err = m3w("build", recipe, "--input", crawl, "--output", output, "--offline")
    assert code == 0 and "complete already" in err and "--fresh begins anew" in err
    assert "samples" in out, "the report is shown all the same"
    assert times(output) == before


def check_refused(output: Path, says: tuple[str, ...], *arguments: object) -> None:
    before = times(output)
    code, out, err = m3w("build", *arguments, "--output", output, "--offline")
    assert (code, out) == (2, "")
    assert err.startswith("m3w: ") and err.count("\n") == 1
    assert [words for words in says if words not in err] == []
    assert times(output) == before


def test_another_recipe_is_refused(output: Path, crawl: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "test.toml", image_filter={"min_side": 65})
    says = (str(output), "another recipe", "image_filter.min_side: 64 then, 65 now", "another output folder")
    check_refused(output, says, recipe, "--input", crawl)


def test_another_input_is_refused(output: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    says = (str(output), "other input", "crawl.warc.gz", "another output folder")
    changed = cut(tmp_path / "crawl.warc.gz", lambda record: small(record) and record.kind != "revisit")
    check_refused(output, says, recipe, "--input", changed)
    more = cut(tmp_path / "more.warc.gz", lambda record: record.kind == "revisit")
    check_refused(output, (str(output), "other input", "more.warc.gz"), recipe, "--input", crawl, "--input", more)


@pytest.mark.parametrize("flag", ["loopback", "no-pacing"])
def test_other_allowances_are_refused(flag: str, output: Path, crawl: Path, recipe: Path) -> None:
    says = (str(output), "test flags []")
    check_refused(output, says, recipe, "--input", crawl, "--allow-for-test", flag)


@pytest.mark.parametrize("more", [(), ("--fresh",)])
def test_a_folder_that_is_not_ours_is_refused(more: tuple[str, ...], crawl: Path, recipe: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "shards/train-000000.tar", "work/notes.txt"):
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "mine" / name).write_text("mine")
    check_refused(tmp_path / "mine", ("not empty", "another folder"), recipe, "--input", crawl, *more)


def test_fresh_begins_anew(output: Path, reference: Path, crawl: Path, recipe: Path) -> None:
    """Whatever stands there: here a build with another recipe, which left more behind than this one will."""
    plan = json.loads((output / "plan.json").read_text())
    plan["recipe"]["image_filter"]["min_side"] = 65
    (output / "plan.json").write_text(json.dumps(plan))
    for name in ("shards/train-000777.tar", "dead_letters/old.jsonl", "work/done/scan/old.json", "work/.x.tmp"):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("old")
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet")
    assert m3w(*command)[0] == 2
    assert m3w(*command, "--fresh") == (0, "", "")
    assert digests(output) == digests(reference)
    assert unfinished(output) == [] and not (output / "work").exists()
