"""Every record of a .warc.gz belongs to exactly one range, wherever the file is cut."""

import io
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.gzip_members import MAGIC, StoredBytes, find_member
from pipelines.sources.inputs import read_unit
from pipelines.sources.records import SourceRecord
from pipelines.sources.units import Unit
from pipelines.sources.warc import misplaced
from tests.warc_files import CONFIG, OK, by_warcio, member, outcomes, page, read, record, response


def units(path: Path, bounds: Sequence[int]) -> list[Unit]:
    return [Unit(kind="warc", name=path.name, path=str(path), start=start, end=end) for start, end in pairwise(bounds)]


def read_all(parts: list[Unit]) -> tuple[list[SourceRecord], int]:
    """All records as a driver reads them, and how many units had to be read again."""
    again = 0
    results = []
    for part in parts:
        reader = read_unit(part, CONFIG)
        results.append((part, list(reader), reader.span))
    while wrong := misplaced([(unit, span) for unit, _, span in results]):
        again += len(wrong)
        assert again < 100, "the check does not come to an end"
        for old, new in wrong:
            reader = read_unit(new, CONFIG)
            place = next(index for index, (unit, _, _) in enumerate(results) if unit == old)
            results[place] = (new, list(reader), reader.span)
    return [record for _, records, _ in results for record in records], again


def nested(level: int) -> bytes:
    """A crawl that captured a .warc.gz: `level` 0 stores it as it is, so that its members stand in the file's bytes."""
    inner = b"".join(member(response(page(f"inner {number}"), "Content-Type: text/html")) for number in range(4))
    captured = response(inner, "Content-Type: application/gzip", url="http://example.com/in.warc.gz")
    before = member(record(OK + page("before"), url="http://example.com/before"))
    after = member(record(OK + page("after"), url="http://example.com/after"))
    return before + member(captured, level) + after


def test_every_split_point_gives_each_record_once(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(by_warcio(compressed=True))
    size = path.stat().st_size
    whole = read(path)
    assert sorted(set(outcomes(whole))) == [
        "http_error_status",
        *(f"image http://example.com/{n}.png" for n in range(3)),
        "metadata",
        *(f"page http://example.com/{n}" for n in range(3)),
        "request",
        "revisit",
        "warcinfo",
    ]
    for split in range(size + 1):
        records, again = read_all(units(path, [0, split, size]))
        assert (records, again) == (whole, 0), split


def test_one_byte_ranges(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(by_warcio(compressed=True, pages=1))
    size = path.stat().st_size
    assert read_all(units(path, range(size + 1))) == (read(path), 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2000), max_size=8))
def test_any_ranges_of_a_damaged_file(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Garbage, a broken checksum and a cut-off member are counted once too, whichever range they fall into."""
    path = tmp_path_factory.mktemp("cut") / "a.warc.gz"
    members = [member(record(OK + page(f"p{n}"), url=f"http://example.com/{n}")) for n in range(6)]
    members[1] = members[1][:-8] + b"\0" * 4 + members[1][-4:]
    members[2] += b"garbage between members" * 3
    members[4] = members[4][:-60]
    path.write_bytes(b"".join(members))
    size = path.stat().st_size
    whole = read(path)
    assert outcomes(whole) == [
        "page http://example.com/0",
        "corrupt_member",
        "page http://example.com/2",
        "corrupt_member",
        "page http://example.com/3",
        "corrupt_member",
        "page http://example.com/5",
    ]
    assert read_all(units(path, [0, *sorted(min(cut, size) for cut in cuts), size]))[0] == whole


@pytest.mark.parametrize("level", [0, 9])
def test_nested_archive_is_one_record_at_every_split_point(tmp_path: Path, level: int) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(nested(level))
    size = path.stat().st_size
    whole = read(path)
    assert outcomes(whole) == ["page http://example.com/before", "not_html", "page http://example.com/after"]
    rereads = 0
    for split in range(size + 1):
        records, again = read_all(units(path, [0, split, size]))
        assert records == whole, split
        rereads += again
    # Stored members mislead a reader that begins before them: else this test tests nothing.
    assert (rereads > 0) == (level == 0)


def test_nested_archive_over_several_ranges(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(nested(0))
    size = path.stat().st_size
    for parts in (3, 5, 11, 50):
        bounds = [size * part // parts for part in range(parts + 1)]
        assert read_all(units(path, bounds))[0] == read(path), parts


def test_file_of_one_single_member(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(member(b"".join(record(OK + page(f"{n}"), url=f"http://example.com/{n}") for n in range(20))))
    size = path.stat().st_size
    whole = read(path)
    assert outcomes(whole) == [f"page http://example.com/{n}" for n in range(20)]
    for split in range(0, size + 1, 7):
        assert read_all(units(path, [0, split, size])) == (whole, 0), split


def test_ranges_that_own_no_member(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    big = "".join(chr(33 + (n * n * 7919) % 90) for n in range(20_000)).replace("<", "")
    first = member(record(OK + page(big), url="http://example.com/big"), 0)
    path.write_bytes(first + member(record(OK + page("last"), url="http://example.com/last")))
    size = path.stat().st_size
    parts = units(path, [0, 1, 5000, 9000, 12_000, size])
    spans = []
    for part in parts:
        reader = read_unit(part, CONFIG)
        list(reader)
        spans.append(reader.span)
    assert spans == [(0, len(first)), (5000, 5000), (9000, 9000), (12_000, 12_000), (len(first), size)]
    assert misplaced(list(zip(parts, spans, strict=True))) == []
    assert read_all(parts) == (read(path), 0)


def test_misplaced_names_unit_and_offset() -> None:
    parts = [Unit(kind="warc", name="a", path="/a", start=start, end=start + 100) for start in (0, 100, 200)]
    assert misplaced(list(zip(parts, [(0, 130), (130, 210), (210, 300)], strict=True))) == []
    wrong = misplaced(list(zip(parts, [(0, 130), (150, 210), (210, 300)], strict=True)))
    assert [(old.start, new.start, new.end, new.exact) for old, new in wrong] == [(100, 130, 200, True)]
    # The first member covers the second unit: what that one found was inside of it.
    wrong = misplaced(list(zip(parts, [(0, 250), (150, 210), (250, 300)], strict=True)))
    assert [(old.start, new.start, new.end, new.exact) for old, new in wrong] == [(100, 200, 200, True)]
    # A unit that found nothing although bytes were left for it must count what stands there.
    wrong = misplaced(list(zip(parts, [(0, 130), (200, 200), (200, 300)], strict=True)))
    assert [(old.start, new.start, new.end, new.exact) for old, new in wrong] == [(100, 130, 200, True)]


def test_after_a_unit_without_a_span_the_next_one_is_taken_as_it_is() -> None:
    """Its worker was killed, and it is not known where it ended."""
    parts = units(Path("a.warc.gz"), [0, 100, 200, 300, 400])
    assert misplaced(list(zip(parts, [(0, 130), None, (230, 310), (310, 400)], strict=True))) == []
    wrong = misplaced(list(zip(parts, [(0, 130), None, (230, 310), (350, 400)], strict=True)))
    assert [(unit, new.start, new.exact) for unit, new in wrong] == [(parts[3], 310, True)]
    assert misplaced(list(zip(parts, [None, (130, 210), (210, 300), (300, 400)], strict=True))) == []
    assert misplaced(list(zip(parts, [(0, 130), None, (300, 300), (310, 400)], strict=True)))[0][0] == parts[3]


def test_span_is_known_only_after_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(by_warcio(compressed=True, pages=1))
    reader = read_unit(units(path, [0, path.stat().st_size])[0], CONFIG)
    with pytest.raises(RuntimeError, match="known only when"):
        _ = reader.span
    list(reader)
    assert reader.span == (0, path.stat().st_size)


def test_find_member_across_the_read_buffer() -> None:
    wanted = member(record(OK + page("x")))
    for gap in ((1 << 20) - 2, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        data = b"\0" * gap + wanted
        assert find_member(StoredBytes(io.BytesIO(data), len(data)), 0, len(data)) == gap
        assert find_member(StoredBytes(io.BytesIO(data), len(data)), 0, gap) is None


def test_magic_that_is_no_member_is_passed_over() -> None:
    data = MAGIC + b"\0nothing" + zlib.compress(b"WARC/1.0") + member(b"no record") + MAGIC
    assert find_member(StoredBytes(io.BytesIO(data), len(data)), 0, len(data)) is None
