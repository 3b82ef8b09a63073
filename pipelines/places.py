"""The places that a build is given: checked before anything is written or deleted there."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.filters.page_url import host_and_path
from pipelines.plan import PlanError
from pipelines.store import paths

_FULL = (errno.ENOSPC, errno.EDQUOT)


def folder_named(option: str, given: str) -> str:
    """A folder to write to, as the user named it with `option`.

    Raises:
        PlanError: it names none, or the root of the file system, or something there is a file.
    """
    try:
        folder = paths.named(given)
    except ValueError as error:
        raise PlanError(f"{option}: {error}") from error
    if paths.is_remote(folder):
        return folder
    if os.path.realpath(folder) == "/":
        raise PlanError(f"{option} {given}: the root of the file system; give a folder of its own")
    if not (there := _nearest(folder)).is_dir():
        raise PlanError(f"{option} {given}: {there} is there and is no folder; give another one")
    return folder


def check_bucket(folder: str) -> None:
    """Raises PlanError if a folder is to be in a bucket that there is not: before hours of reading, not after."""
    if paths.is_remote(folder):
        try:
            paths.list_files(paths.join(folder, "plan.json"))  # a listing of nothing: one request
        except FileNotFoundError as error:
            raise PlanError(f"{folder}: {error.strerror}; make it first, or check its name") from error


@contextmanager
def locked(output: str) -> Iterator[None]:
    """Refuses a second build on the same local output while one runs."""
    if paths.is_remote(output):
        yield
        return
    import fcntl

    Path(output).mkdir(parents=True, exist_ok=True)
    with (Path(output) / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlanError(f"another build is writing to {output}; wait for it, or give another folder") from None
        yield


def refuse_overlap(inputs: Sequence[str], output: str, media: str) -> None:
    """Raises PlanError if what is written would stand in the input, or the input or media where things are deleted."""
    if _lies_in(_real(output), _real(media)) or (
        _lies_in(_real(media), _real(output)) and _real(media) != _real(paths.join(output, "media"))
    ):
        raise PlanError(f"the media store {media} and the output {output} lie one in the other; give another folder")
    for given in inputs:
        try:
            place = _real(paths.named(given))
        except ValueError:
            continue  # plan_units tells what is wrong with it
        for what, folder in (("output", output), ("media store", media)):
            if _lies_in(place, _real(folder)) or _lies_in(_real(folder), place):
                raise PlanError(f"the {what} {folder} and the input {given} lie one in the other; give another folder")


def check_base_url(base_url: str) -> None:
    """Raises PlanError for an address that no folder of pages can have; empty: none was given."""
    if base_url and (host_and_path(base_url) is None or urlsplit(base_url).query or urlsplit(base_url).fragment):
        raise PlanError(f"--base-url {base_url}: give the address of a folder, such as https://example.org/docs/")


@contextmanager
def told_when_full(*folders: str) -> Iterator[None]:
    """Makes of a full disk's error, also of a worker's, one that says where room is to be made."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = {os.strerror(number) for number in _FULL}
        if getattr(error, "errno", None) not in _FULL and not any(words in str(error) for words in told):
            raise
        # What goes to an object store is gathered in the folder for temporary files.
        local = {tempfile.gettempdir() if paths.is_remote(folder) else folder for folder in folders}
        fullest = min(sorted(local), key=lambda folder: shutil.disk_usage(_nearest(folder)).free)
        raise RuntimeError(
            f"no space left on the disk of {fullest}; make room there, and the same command goes on where it stood"
        ) from error


def _nearest(folder: str) -> Path:
    """The folder, or what is there of the way to it."""
    path = Path(folder)
    return next(part for part in (path, *path.parents) if os.path.lexists(part))


def _real(path: str) -> str:
    return path.rstrip("/") if paths.is_remote(path) else os.path.realpath(path)


def _lies_in(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")
