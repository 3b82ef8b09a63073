"""What goes wrong on one machine costs what it must and no more: the same bytes, or the same but for what is named.

Processes that really die; a file system that is really full. Other flows and the web: in their own modules. A whole
command that is killed: test_resume.py.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import (
    build_in,
    check_counts,
    digests,
    letters,
    m3w,
    manifest,
    poisoned,
    sample_of,
    samples,
    unfinished,
    write_recipe,
)
from crawls import records, small
from test_counts import row
from test_resume import done

from pipelines.engine import LocalEngine

SLOW = pytest.mark.slow
PAGE = "browse/stable/sect.how-to-migrate.html"
IMAGE = "browse/stable/images/inst-gdm.png"


def place_of(url: str) -> tuple[int, int]:
    """Offset and length of the only record of the small cut whose address ends so."""
    at, found = 0, []
    for record in filter(small, records()):
        if record.url.endswith(url):
            found.append((at, len(record.stored)))
        at += len(record.stored)
    (place,) = found
    return place


# --- workers that die ------------------------------------------------------------------------------------------------


def test_a_worker_killed_once_in_each_job(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """As the system kills the largest process where memory is short. One command: the unit is done again, alone."""
    output, once = tmp_path / "out", tmp_path / "once"
    once.mkdir()
    sample = sample_of(reference)
    what = f"scan={PAGE};fetch=crawl.warc.gz {place_of(IMAGE)[0]}.;shards={sample}"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--keep-work", "--workers", 2)
    code, _, told = poisoned(what, "SIGKILL", once, *command)
    assert code == 0, told
    assert {path.name for path in once.iterdir()} == {"scan", "fetch", "shards"}
    deaths = [line for line in told.splitlines() if "a worker process ended here (SIGKILL)" in line]
    assert [line.split(",")[0] for line in deaths] == ["scan", "fetch", "shards"] and len(set(deaths)) == 3
    assert "crawl.warc.gz bytes " in deaths[0] and PAGE in deaths[0] and f"byte {place_of(PAGE)[0]}" in deaths[0]
    assert IMAGE in deaths[1] and "at sample " in deaths[2]
    assert digests(output) == digests(reference)
    assert unfinished(output) == [], "nothing of a killed worker stays"
    check_counts(output)


def test_what_kills_its_worker_each_time_is_given_up(
    reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    """A page in the scan and an image in the fetch; all else is done, and done again when the defect is mended."""
    output = tmp_path / "out"
    what = f"scan={PAGE};fetch=crawl.warc.gz {place_of(IMAGE)[0]}."
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--workers", 2)
    code, _, told = poisoned(what, "SIGSEGV", "", *command)
    assert (code, told.count("\n")) == (3, 1), told
    assert told.startswith(f"m3w: {output} is complete but for what killed its worker process each time")
    assert "2 in all" in told and f"`m3w report {output} --rejected fetch`; --fresh tries it again" in told

    check_counts(output)
    lost = [letter for letter in letters(output) if letter["reason"] == "killed_worker"]
    page = next(letter for letter in lost if letter["kind"] == "record")
    assert page["url"].endswith(PAGE) and (page["source"]["offset"], page["source"]["length"]) == place_of(PAGE)
    assert page["detail"] == "3 worker processes ended here: SIGSEGV"
    image = next(letter for letter in lost if letter["kind"] == "image_url")
    assert image["url"].endswith(IMAGE) and image["detail"] == page["detail"]

    theirs, ours = manifest(reference).funnel, manifest(output).funnel
    read, before = row(ours, "record", "read"), row(theirs, "record", "read")
    assert read.into == before.into and read.dropped == {**before.dropped, "killed_worker": 1}
    assert row(ours, "image_url", "fetch").dropped["killed_worker"] == 1
    assert row(ours, "page", "page_url").into == row(theirs, "page", "page_url").into - 1
    whole = samples(reference)
    for key, sample in samples(output).items():
        if not any(image["url"].endswith(IMAGE) for image in whole[key].json["images"]):
            assert sample == whole[key]
    gone = {whole[key].json["url"].partition(".info/")[2] for key in whole.keys() - samples(output).keys()}
    assert PAGE in gone or not any(sample.json["url"].endswith(PAGE) for sample in whole.values())

    code, _, again = m3w(*command)
    assert (code, again) == (3, told), "a complete build says it again"
    assert m3w("report", output, "--rejected", "read")[1].count("killed_worker") == 1
    assert m3w("verify", output)[0] == 0
    assert m3w(*command, "--fresh") == (0, "", "")
    assert digests(output) == digests(reference)


def test_a_shard_that_kills_its_worker_ends_the_build(
    reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    """A shard holds what has passed every rule: nothing of it may be missing. One worker is a process, too."""
    output, sample = tmp_path / "out", sample_of(reference)
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work")
    code, out, told = poisoned(f"shards={sample}", "SIGSEGV", "", *command, "--workers", 1, "--max-deaths", 2)
    assert (code, out, told.count("\n")) == (1, "", 1)
    key = next(key for key, found in samples(reference).items() if found.json["url"] == sample)
    assert told.startswith("m3w: shards, ") and f"at sample {key}: 2 worker processes ended here" in told
    assert "SIGSEGV" in told and "The same command goes on where it stood" in told
    assert not (output / "_SUCCESS").exists() and unfinished(output) == []
    written = done(output, "shards")
    assert len(written) == sum(name.startswith("shards/") for name in digests(reference)) - 1
    assert m3w(*command) == (0, "", "")
    assert digests(output) == digests(reference)
    assert done(output, "shards").items() >= written.items()


@pytest.mark.slow
def test_a_record_that_cannot_even_be_read(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """What comes after it in its unit is lost too, and named; the next unit begins where it would have."""
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work")
    code, _, told = poisoned(
        f"read=Target-URI: https://debian-handbook.info/{PAGE}", "SIGKILL", "", *command, "--workers", 2
    )
    assert code == 3 and "1 in all" in told
    check_counts(output)
    (lost,) = [letter for letter in letters(output) if letter["reason"] == "killed_worker"]
    assert lost["detail"].startswith("all from here on in crawl.warc.gz bytes ")
    scanned = [json.loads(path.read_text()) for path in (output / "work/done/scan").glob("*.json")]
    (unit,) = [told["unit"] for told in scanned if told["span"] is None]
    assert unit["start"] <= lost["source"]["offset"] <= place_of(PAGE)[0] < unit["end"], "it is the first of its unit"
    at = Counter[bool]()
    offset = 0
    for record in filter(small, records()):
        at[place_of(PAGE)[0] <= offset < unit["end"]] += 1
        offset += len(record.stored)
    read = row(manifest(output).funnel, "record", "read")
    assert read.into == at[False] + 1 and at[True] >= 1


@pytest.mark.slow
def test_many_that_kill_end_the_build(crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """It is not the pages then, but the machine or the installation."""
    command = ("build", recipe, "--input", crawl, "--output", tmp_path / "out", "--offline", "--quiet")
    code, _, told = poisoned("scan=http", "SIGSEGV", "", *command, "--workers", 2, "--max-deaths", 1)
    assert code == 1 and told.startswith("m3w: scan, crawl.warc.gz bytes "), told
    assert "too many such places" in told


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--direct_runner_bundle_repeat=2",)])
def test_every_bundle_is_run_twice_by_two_workers(
    options: tuple[str, ...], reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    assert digests(build_in(tmp_path / "out", crawl, recipe, LocalEngine(2, options))) == digests(reference)


# --- the command itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["documents", *(pytest.param(job, marks=SLOW) for job in ("select", "plan", "deal"))])
def test_the_command_is_killed_in_a_shuffle(
    job: str, reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    """Shuffles run in the command's own process. Nothing blocks the next command, which goes on with the same pass."""
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work")
    assert poisoned(f"{job}=rows", "SIGKILL", "", *command, "--workers", 2) == (-9, "", "")
    before = done(output, "scan") | done(output, "shuffles")
    assert not (output / "_SUCCESS").exists()
    assert m3w(*command) == (0, "", "")
    assert digests(output) == digests(reference)
    assert unfinished(output) == []
    kept = {name: at for name, at in before.items() if not name.startswith("fetch_plan.")}
    assert (done(output, "scan") | done(output, "shuffles")).items() >= kept.items()


# --- a unit that raises; another recipe ------------------------------------------------------------------------------


def test_a_unit_that_raises_and_a_recipe_that_is_changed_then(
    reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work", "--workers", 2)
    code, out, told = poisoned(f"shards={sample_of(reference)}", "error", "", "build", recipe, *command)
    assert (code, out, told.count("\n")) == (1, "", 1) and "ArithmeticError: a defect" in told
    assert not (output / "_SUCCESS").exists()
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != ".lock"}

    other = write_recipe(tmp_path / "test.toml", image_filter={"min_side": 65}, language={"min_score": 0.5})
    code, out, told = m3w("build", other, *command)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert "another recipe" in told and "image_filter.min_side: 64 then, 65 now" in told
    assert "language.min_score: " in told and "another output folder" in told
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != ".lock"} == before

    assert m3w("build", recipe, *command) == (0, "", "")
    assert digests(output) == digests(reference)
    assert unfinished(output) == []
    assert done(output, "scan").items() <= {path.name: at for path, at in before.items()}.items()


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full_and_then_is_not(small_disk: Path, reference: Path, crawl: Path, recipe: Path) -> None:
    output = small_disk / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--workers", 2)
    seen = []
    for size in (1, 3, 6, 64):
        subprocess.run(["mount", "-o", f"remount,size={size}m", small_disk], check=True)
        code, out, told = m3w(*command)
        seen.append(code)
        if code:
            assert (code, out) == (1, "")
            assert told == (
                f"m3w: no space left on the disk of {output}; make room there, and the same command goes on where it "
                "stood\n"
            )
            assert not (output / "_SUCCESS").exists()
    assert seen[0] == 1 and seen[-1] == 0
    assert digests(output) == digests(reference)
    assert unfinished(output) == []
