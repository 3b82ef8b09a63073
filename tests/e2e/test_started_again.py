"""What the command does in an output that is there already."""

import json
import shutil
from collections.abc import Callable
from itertools import chain
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


@pytest.mark.parametrize("plan", ['{"weeks": ["rest", "work"]}', "not even JSON"])
def test_a_stranger_with_a_plan_keeps_his_files(plan: str, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    for name, text in {"plan.json": plan, "README.md": "mine", "work/notes.txt": "mine", "report.json": "1"}.items():
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "mine" / name).write_text(text)
    says = (f"{tmp_path}/mine/plan.json is not the plan of a build", "another output folder")
    for more in ((), ("--fresh",)):
        check_refused(tmp_path / "mine", says, recipe, "--input", crawl, *more)


def test_fresh_deletes_nothing_for_a_build_that_cannot_be(output: Path, recipe: Path, tmp_path: Path) -> None:
    check_refused(output, ("no such file or folder",), recipe, "--input", tmp_path / "none.warc.gz", "--fresh")
    assert (output / "_SUCCESS").exists()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")])
def test_a_finished_build_without_its_manifest_is_told_of(
    damage: Callable[[Path], None], output: Path, crawl: Path, recipe: Path
) -> None:
    damage(output / "manifest.json")
    check_refused(output, (str(output), "manifest.json is gone or damaged", "--fresh"), recipe, "--input", crawl)


CONTACT = ("--contact", "me@example.org")


def test_an_offline_build_that_is_finished_fetches_nothing_and_says_so(
    output: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    before = times(output)
    code, out, err = m3w("build", recipe, "--input", crawl, "--output", output, *CONTACT)
    assert (code, out) == (2, "")
    assert "was built with --offline" in err and "another output folder, or --fresh" in err
    assert times(output) == before


def test_an_offline_build_goes_on_online_only_before_its_fetch_was_done(
    crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    command = ("build", recipe, "--input", crawl, "--output", tmp_path / "out", "--quiet", "--keep-work")
    assert m3w(*command, "--offline")[0] == 0
    for name in ("_SUCCESS", "manifest.json"):
        (tmp_path / "out" / name).unlink()
    code, _, err = m3w(*command, *CONTACT)
    assert code == 2 and "was built with --offline" in err
    assert m3w(*command, "--offline")[0] == 0


@pytest.mark.parametrize("place", ["before", "after"])
def test_words_that_belong_to_no_option_are_refused(place: str, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """A shell makes several words of `--input *.warc.gz`."""
    command = ["build", recipe, "--input", crawl, "b.warc.gz", "--output", tmp_path / "out", "--offline"]
    if place == "after":
        command = [*command[:4], *command[5:], "--", "--temp_location=x", "b.warc.gz"]
    code, _, err = m3w(*command)
    assert code == 2 and err.startswith("m3w: b.warc.gz: ")
    assert ("repeat --input for each file" in err) == (place == "before")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--output", "--media"])
@pytest.mark.parametrize("given", ["", "/", "occupied", "occupied/x", "saved/out"])
def test_places_are_refused_before_anything_is_written(
    option: str, given: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "occupied").touch()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "a.html").write_text("<p>x")
    places = {"--output": "out", "--media": "media", option: given}
    code, _, err = m3w("build", recipe, "--input", "saved", *chain(*places.items()), "--offline")
    assert code == 2 and err.startswith("m3w: ") and err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.html", "occupied", "saved"]


def test_fresh_begins_anew(output: Path, reference: Path, crawl: Path, recipe: Path) -> None:
    """Whatever stands there: here a build with another recipe, which left more behind than this one will."""
    plan = json.loads((output / "plan.json").read_text())
    plan["recipe"]["image_filter"]["min_side"] = 65
    (output / "plan.json").write_text(json.dumps(plan))
    for name in (
        "shards/train-000777.tar",
        "dead_letters/old.jsonl",
        "work/done/scan/old.json",
        "work/.x.tmp",
        "notes.txt",
    ):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("old")
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet")
    assert m3w(*command)[0] == 2
    assert m3w(*command, "--fresh") == (0, "", "")
    (output / "notes.txt").unlink()  # not ours, and still there
    assert digests(output) == digests(reference)
    assert unfinished(output) == [] and not (output / "work").exists()
