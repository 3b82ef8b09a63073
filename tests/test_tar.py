"""Tar archives of our own against those of `tarfile`."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tar import TarWriter, header

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)


def tarfile_of(files: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 0
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@given(st.lists(st.tuples(NAMES.filter(lambda name: len(name.encode()) <= 100), st.binary(max_size=3000))))
def test_the_bytes_are_those_of_tarfile(files: list[tuple[str, bytes]]) -> None:
    stream = io.BytesIO()
    writer = TarWriter(stream)
    offsets = [writer.add(name, data) for name, data in files]
    writer.close()
    assert stream.getvalue() == tarfile_of(files)
    assert [stream.getvalue()[at : at + len(data)] for at, (_, data) in zip(offsets, files, strict=True)] == [
        data for _, data in files
    ]


@pytest.mark.parametrize("size", [0, 7, 8, 511, 512, 8**11 - 1])
def test_a_header_of_each_size_is_that_of_tarfile(size: int) -> None:
    entry = tarfile.TarInfo("a.jpg")
    entry.size = size
    assert header("a.jpg", size) == entry.tobuf(tarfile.USTAR_FORMAT)


def test_a_name_that_needs_two_fields_is_written_as_tarfile_does() -> None:
    name = "a" * 90 + "/" + "b" * 60
    assert header(name, 1) == tarfile_of([(name, b"x")])[:512]


@pytest.mark.parametrize(("name", "size"), [("a" * 101, 1), ("a", 8**11)])
def test_what_does_not_fit_is_an_error(name: str, size: int) -> None:
    with pytest.raises(ValueError):
        header(name, size)
