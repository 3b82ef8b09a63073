import gzip
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from beam_testing import rows_in
from hypothesis import given
from hypothesis import strategies as st

from pipelines.facts import LEDGER, PAGES, LedgerRow
from pipelines.scan import seconds
from pipelines.store import media, paths
from pipelines.store.facts import FactsError, count_rows, digest_of, read_rows, sum_column, write_rows
from pipelines.store.media import MediaStore, Recorder
from pipelines.store.packs import PackWriter
from pipelines.store.work import Work


class Row(NamedTuple):
    text: str
    number: int
    share: float
    flag: bool


ROWS = st.lists(
    st.builds(
        Row,
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
    )
)


@given(ROWS)
def test_facts_come_back_sorted(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = str(tmp_path_factory.mktemp("facts") / "a" / "rows.parquet")
    assert write_rows(path, Row, rows) == len(rows)
    assert [Row._make(row) for row in read_rows(path, Row)] == sorted(rows)
    assert count_rows(path) == len(rows)


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    rows = [Row(str(n % 7), n, n / 3, n % 2 == 0) for n in range(10_000)]
    write_rows(str(tmp_path / "a"), Row, rows)
    write_rows(str(tmp_path / "b"), Row, rows[::-1])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sum_column(str(tmp_path / "a"), "number") == sum(range(10_000))
    assert len(list(read_rows(str(tmp_path / "a"), Row))) == 10_000


def test_facts_are_ordinary_parquet(tmp_path: Path) -> None:
    write_rows(str(tmp_path / "a.parquet"), Row, [Row("x", 1, 0.5, True)])
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"text": "x", "number": 1, "share": 0.5, "flag": True}]


@pytest.mark.parametrize("data", [b"", b"PAR1junk", b"no Parquet " * 99])
def test_a_damaged_fact_file_is_named_with_the_cure(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(data)
    for read in (lambda: list(read_rows(str(path), Row)), lambda: count_rows(str(path)),
                 lambda: sum_column(str(path), "number")):  # fmt: skip
        with pytest.raises(
            FactsError, match=r"rows\.parquet is damaged \(.*\); the same command with --fresh begins anew"
        ):
            read()
    (tmp_path / "ledger").mkdir()
    path.rename(tmp_path / "ledger/rows.parquet")
    with pytest.raises(FactsError, match="; delete it: its images are then fetched again"):
        list(read_rows(str(tmp_path / "ledger/rows.parquet"), Row))


def test_damage_in_the_middle_of_a_fact_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(str(path), Row, [Row(str(n), n, n / 3, True) for n in range(20_000)])
    data = bytearray(path.read_bytes())
    data[1000:9000] = bytes(8000)
    path.write_bytes(data)
    with pytest.raises(FactsError, match=r"rows\.parquet is damaged"):
        list(read_rows(str(path), Row))


def test_a_fact_that_does_not_fit_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="int"):
        write_rows(str(tmp_path / "a"), Row, [Row("x", 2**63, 0.5, True)])
    assert list(tmp_path.iterdir()) == []


# --- paths -----------------------------------------------------------------------------------------------------------


def test_what_raises_is_not_published(tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "file")
    with pytest.raises(KeyError), paths.publishing(path) as stream:
        stream.write(b"half")
        assert not Path(path).exists()
        raise KeyError
    assert paths.list_files(str(tmp_path)) == [] and list((tmp_path / "folder").iterdir()) == []


def test_what_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    paths.publish(path, b"old")
    with pytest.raises(KeyError), paths.publishing(path) as stream:
        stream.write(b"new")
        raise KeyError
    assert paths.read_bytes(path) == b"old"
    paths.publish(path, b"new")
    assert paths.read_bytes(path) == b"new"


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    with paths.publishing(path) as stream:
        stream.write(b"some")
        stream.flush()
        assert paths.list_files(str(tmp_path)) == [] and not paths.exists(path)
        stream.write(b" bytes")
    assert paths.read_bytes(path) == b"some bytes"
    assert digest_of(path) == (10, sha256(b"some bytes").hexdigest())


def test_what_a_killed_attempt_left_is_removed(tmp_path: Path) -> None:
    publishing = paths.publishing(str(tmp_path / "a" / "file"))
    publishing.__enter__().write(b"half")
    paths.publish(str(tmp_path / "a" / "whole"), b"whole")
    assert len(list((tmp_path / "a").iterdir())) == 2
    paths.delete_unfinished(str(tmp_path))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["whole"]


def test_unfinished_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for folder in ("media", "media-2", "work/media"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ".file.1.tmp").touch()
    paths.delete_unfinished(str(tmp_path), besides="media")
    assert [path.parent.name for path in tmp_path.rglob(".*.tmp")] == ["media"]


def test_a_range_is_whole_or_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    paths.publish(path, b"0123456789")
    assert paths.read_range(path, 3, 4) == b"3456"
    assert paths.read_range(path, 10, 0) == b""
    with pytest.raises(EOFError, match="8 bytes wanted at 3, the file ends after 7"):
        paths.read_range(path, 3, 8)


def test_a_compressed_file_is_read_as_it_is_stored(tmp_path: Path) -> None:
    path = str(tmp_path / "file.gz")
    paths.publish(path, gzip.compress(b"text"))
    assert paths.read_bytes(path).startswith(b"\x1f\x8b")


@pytest.mark.parametrize(
    ("base", "names", "joined"), [("a/", ("b",), "a/b"), ("gs://x", ("a", "b"), "gs://x/a/b"), ("/", ("a",), "/a")]
)
def test_join(base: str, names: tuple[str, ...], joined: str) -> None:
    assert paths.join(base, *names) == joined


def test_nothing_is_joined_to_nothing() -> None:
    with pytest.raises(ValueError, match="no folder to look for work in"):
        paths.join("", "work")


@pytest.mark.parametrize("scheme", ["gs://b/f", "s3://b/f", "hdfs://h/f"])
def test_an_address_is_remote_and_a_path_is_not(scheme: str) -> None:
    assert paths.is_remote(scheme) and not paths.is_remote("/a/b:c")


# --- packs -----------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.from_regex(r"[a-z0-9]{1,64}\.[a-z]{3,4}", fullmatch=True), st.binary(max_size=3000), max_size=5)
)
def test_a_pack_is_a_tar_and_offsets_are_those_of_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("packs") / "pack.tar"
    with PackWriter(str(path)) as pack:
        offsets = {name: pack.add(name, data) for name, data in files.items()}
    with tarfile.open(path) as tar:
        assert {entry.name: tar.extractfile(entry).read() for entry in tar} == files  # type: ignore[union-attr]
        assert {entry.name: entry.offset_data for entry in tar} == offsets
    for name, data in files.items():
        assert paths.read_range(str(path), offsets[name], len(data)) == data


def test_a_member_name_as_long_as_they_get_fits(tmp_path: Path) -> None:
    with PackWriter(str(tmp_path / "pack.tar")) as pack:
        pack.add(f"members/{'a' * 64}-{'b' * 12}.jpg", b"x")
    with tarfile.open(tmp_path / "pack.tar") as tar:
        assert tar.getnames() == [f"members/{'a' * 64}-{'b' * 12}.jpg"]


def test_a_pack_that_was_not_closed_well_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(KeyError), PackWriter(str(tmp_path / "pack.tar")) as pack:
        pack.add("a.jpg", b"x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


# --- the media store -------------------------------------------------------------------------------------------------


def row(url: str, **more: object) -> LedgerRow:
    types = LedgerRow.__annotations__
    blank = LedgerRow(**{name: types[name]() for name in LedgerRow._fields})
    return blank._replace(url_key=url, url=url, outcome="ok", origin="store")._replace(**more)


def ledger_of(store: MediaStore) -> list[LedgerRow]:
    return sorted(LedgerRow._make(plain) for path in store.ledger_files() for plain in read_rows(path, LedgerRow))


def test_a_recorder_commits_packs_before_the_rows_that_name_them(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    with Recorder(store) as recorder:
        pack, offset = recorder.keep("a.jpg", b"picture")
        assert recorder.keep("a.jpg", b"picture") == (pack, offset), "the same file is stored once"
        recorder.record(row("u", name=pack, offset=offset, length=7))
        assert store.ledger_files() == [] and not Path(store.pack_path(pack)).exists()
    (found,) = ledger_of(store)
    assert paths.read_range(store.pack_path(found.name), found.offset, found.length) == b"picture"
    with tarfile.open(store.pack_path(pack)) as tar:
        assert tar.getnames() == ["a.jpg"]


def test_a_recorder_commits_every_few_hundred_rows(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    with pytest.raises(KeyError), Recorder(store) as recorder:
        for number in range(media.COMMIT_ROWS + 5):
            pack, offset = recorder.keep(f"{number}.jpg", b"picture")
            recorder.record(row(f"{number:04d}", name=pack, offset=offset, length=7))
        raise KeyError
    found = ledger_of(store)
    assert [r.url for r in found] == [f"{n:04d}" for n in range(media.COMMIT_ROWS)], "what was committed is kept"
    packs = [path.rsplit("/", 1)[1] for path in paths.list_files(f"{tmp_path}/packs")]
    assert packs == [found[0].name], "what was not is gone"


def test_failures_need_no_pack(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    with Recorder(store) as recorder:
        recorder.record(row("u", outcome="http_status"))
    assert [r.outcome for r in ledger_of(store)] == ["http_status"]
    assert paths.list_files(f"{tmp_path}/packs") == []


def test_nothing_recorded_is_nothing_written(tmp_path: Path) -> None:
    with Recorder(MediaStore(str(tmp_path))):
        pass
    assert paths.list_files(str(tmp_path)) == []


def test_packs_that_no_row_names_are_garbage(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    with Recorder(store) as recorder:
        original, offset = recorder.keep("a.gif", b"picture")
        recorder.record(row("u", name=original, offset=offset, length=7))
    with Recorder(store) as recorder:
        member, offset = recorder.keep("members/b.jpg", b"picture")
        recorder.record(row("v", name="crawl.warc.gz", origin="warc", member_pack=member, member_offset=offset))
    with PackWriter(store.pack_path("killed-0000.tar")) as pack:
        pack.add("c.jpg", b"lost")
    assert store.remove_garbage() == 1
    left = {path.rsplit("/", 1)[1] for path in paths.list_files(f"{tmp_path}/packs")}
    assert left == {original, member}
    assert store.remove_garbage() == 0


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_packs_of_another_build_survive_until_a_row_names_them(tmp_path: Path) -> None:
    store, other = MediaStore(str(tmp_path)), MediaStore(str(tmp_path))
    with PackWriter(store.pack_path("killed-0000.tar")) as pack:
        pack.add("c.jpg", b"lost")
    with Recorder(other) as recorder:
        name, offset = recorder.keep("a.jpg", b"picture")
        before = files_below(tmp_path)
        assert len(before) == 2 and before[0].endswith(".tmp"), "a pack of a killed build, and one being written"
        assert store.remove_garbage() == 0 and files_below(tmp_path) == before
        assert recorder.pack is not None
        recorder.pack.__exit__(None, None, None)  # published, and no ledger part names it yet
        assert store.remove_garbage() == 0 and files_below(tmp_path) == [name, "killed-0000.tar"]
        recorder.pack = None
        recorder.record(row("u", name=name, offset=offset, length=7))
    assert store.remove_garbage() == 1, "when nobody writes any more, what was killed goes"
    (found,) = ledger_of(store)
    assert paths.read_range(store.pack_path(found.name), found.offset, found.length) == b"picture"


def test_rows_without_a_pack_are_guarded_too(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    store.remove_garbage()
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / ".x.parquet.1.tmp").touch()
    with Recorder(MediaStore(str(tmp_path))) as recorder:
        recorder.record(row("u", outcome="http_status"))
        store.remove_garbage()
        assert ".x.parquet.1.tmp" in files_below(tmp_path)
        recorder.commit()
        store.remove_garbage()
        assert ".x.parquet.1.tmp" not in files_below(tmp_path), "between two parts nobody is in the way"
        recorder.record(row("v", outcome="http_status"))
    assert [r.url for r in ledger_of(store)] == ["u", "v"]


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    code = """if True:
        import sys
        from pipelines.store.media import MediaStore, Recorder
        recorder = Recorder(MediaStore(sys.argv[1]))
        recorder.keep("a.jpg", b"picture")
        print("kept", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"kept\n"
        store.remove_garbage()
        assert len(files_below(tmp_path)) == 1, "it is being written"
        process.kill()
    store.remove_garbage()
    assert files_below(tmp_path) == []


def test_a_part_that_cannot_be_written_leaves_no_lock(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    with pytest.raises(Exception, match="int"), Recorder(store) as recorder:
        pack, _ = recorder.keep("a.jpg", b"picture")
        recorder.record(row("u", name=pack, offset=2**63))
    assert store.remove_garbage() == 1 and files_below(tmp_path) == []


def test_a_store_that_is_not_there_is_not_made_by_looking_for_garbage(tmp_path: Path) -> None:
    assert MediaStore(str(tmp_path / "media")).remove_garbage() == 0
    assert list(tmp_path.iterdir()) == []


# --- the work folder -------------------------------------------------------------------------------------------------


def test_a_part_is_done_with_what_is_to_be_known_of_it(tmp_path: Path) -> None:
    work = Work(str(tmp_path), 2)
    assert not work.is_done("scan", "unit")
    work.mark_done("scan", "unit", {"span": [0, 9]})
    assert work.is_done("scan", "unit") and work.done("scan", "unit") == {"span": [0, 9]}
    assert not work.is_done("shards", "unit")


def test_fact_files_of_a_partition(tmp_path: Path) -> None:
    work = Work(str(tmp_path), 12)
    for number in (1, 10, 11):
        write_rows(work.path("facts", "pages", str(number), "unit.parquet"), PAGES.row, [])
    assert len(work.fact_files(PAGES)) == 3
    assert len(work.fact_files(PAGES, 1)) == 1
    assert work.fact_files(PAGES, 2) == work.fact_files(LEDGER) == []
    assert rows_in(work, PAGES) == []


@pytest.mark.parametrize(
    ("date", "found"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01T01:00:01+01:00", 1),
        ("1970-01-01T00:00:01.999999999Z", 1),
        ("1970-01-01T00:00:01", 1),
        ("1970-01-02", 86400),
        ("", 0),
        ("yesterday", 0),
    ],
)
def test_a_date_without_a_zone_is_utc_on_every_machine(date: str, found: int) -> None:
    assert seconds(date) == found
