"""Where a build may read and write, and what is said of places where it may not."""

import errno
import os
from pathlib import Path

import pytest
from beam_testing import run_units

from pipelines.engine import LocalEngine
from pipelines.places import check_base_url, folder_named, refuse_overlap, told_when_full
from pipelines.plan import PlanError

# --- folders to write to ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--output", "--media"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "an empty path"),
        (" ", "an empty path"),
        ("/", "the root of the file system"),
        ("//", "the root of the file system"),
        ("/usr/..", "the root of the file system"),
        ("gs://", "no address that can be used"),
        ("http://example.org/x", "a web address"),
        ("ftp://example.org/x", "give a local path, or one of gs://"),
        (os.fsdecode(b"caf\xe9/out"), r"caf\\xe9/out: a name that is not UTF-8; rename it"),
        ("file", "file is there and is no folder"),
        ("file/x/y", "file is there and is no folder"),
        ("broken", "broken is there and is no folder"),
    ],
)
def test_places_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, given: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("nothing")
    with pytest.raises(PlanError, match=f"^{option}.*{message}"):
        folder_named(option, given)


def test_a_link_to_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(PlanError, match="the root of the file system"):
        folder_named("--output", str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        *[("out/", "out"), ("./a/b", "./a/b"), (".", "."), ("~/x/", "{home}/x"), ("~nobody-here/x", "~nobody-here/x")],
        *[("gs://bucket/", "gs://bucket"), ("s3://bucket/a", "s3://bucket/a")],
    ],
)
def test_places_that_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, folder: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_named("--output", given) == folder.format(home=tmp_path)


# --- input and output apart ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "output", "media", "told"),
    [
        ("in", "in", "m", "output"),
        ("in", "in/out", "m", "output"),
        ("in/sub", "in", "m", "output"),
        ("in", "link/out", "m", "output"),
        ("link", "in", "m", "output"),
        ("in", "in/../in", "m", "output"),
        ("in/x.warc.gz", "in", "m", "output"),
        ("in", "o", "in", "media store"),
        ("in", "o", "in/media", "media store"),
        ("in/sub", "o", "in", "media store"),
        ("in", "o", "o/work", "media store"),
        ("in", "o/x", "o", "media store"),
        ("gs://b/in", "gs://b/in/out", "m", "output"),
    ],
)
def test_what_lies_one_in_the_other_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, output: str, media: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(PlanError, match=f"the {told} .* lie one in the other; give another folder"):
        refuse_overlap(["elsewhere", given], output, media)


def test_neighbours_are_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_overlap(["in", "in.warc.gz", "gs://b/in", ""], "in-out", "in-out/media")


# --- base URL --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["nonsense", "http://[bad", "ftp://x/", "http://", "https://a b/", "http://x:99999/", "http://x/?a=b", "//x/"],
)
def test_base_urls_that_are_refused(url: str) -> None:
    with pytest.raises(PlanError, match=r"^--base-url .*: give the address of a folder, such as"):
        check_base_url(url)


def test_base_urls_that_can_be_used() -> None:
    for url in ("", "https://example.org/docs/", "http://example.org:8080"):
        check_base_url(url)


# --- a full disk -----------------------------------------------------------------------------------------------------


def fill(path: str) -> None:
    with Path(path).open("wb", buffering=0) as stream:
        stream.write(b"x")


def test_a_full_disk_is_told_with_its_folder_and_the_cure(tmp_path: Path) -> None:
    message = f"no space left on the disk of {tmp_path}; make room there, and the same command goes on"
    with pytest.raises(RuntimeError, match=message), told_when_full(str(tmp_path)):
        fill("/dev/full")
    with pytest.raises(RuntimeError, match=message), told_when_full(str(tmp_path)):
        run_units(fill, [{"path": "/dev/full"}], LocalEngine())
    with pytest.raises(RuntimeError, match=message), told_when_full(str(tmp_path / "not" / "yet"), str(tmp_path)):
        raise OSError(errno.EDQUOT, "words")


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), told_when_full(str(tmp_path)):
        fill(str(tmp_path / "no" / "file"))
