import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from beam_testing import apply_shuffle, put
from hypothesis import given
from hypothesis import strategies as st
from test_shuffles import RECIPE, page

from pipelines.accounting import AccountingError, Funnel, account_scan, account_shards, account_shuffle, rows_of
from pipelines.facts import MEDIA, PAGES, FactSet
from pipelines.flow import Flow
from pipelines.select import page_shuffles
from pipelines.stage import DEAD_LETTERS, Shuffle, Stage, Tally, dead_letter_line
from pipelines.store import paths
from pipelines.store.facts import write_rows
from pipelines.store.work import Work
from schemas.manifest import FunnelRow, Shard
from schemas.rejection import DeadLetter
from schemas.strict import to_plain

# --- the funnel ------------------------------------------------------------------------------------------------------


def test_rows_add_up() -> None:
    funnel = Funnel()
    funnel.left["page"] = 10
    funnel.drop("page", "one", {"b": 2, "a": 1})
    funnel.fan("page", "image_use", 30)
    funnel.drop("image_use", "two", {})
    assert funnel.rows == [
        FunnelRow(kind="page", stage="one", into=10, out=7, dropped={"a": 1, "b": 2}),
        FunnelRow(kind="page", stage="image_uses", into=7, out=30, dropped={}, becomes="image_use"),
        FunnelRow(kind="image_use", stage="two", into=30, out=30, dropped={}),
    ]
    assert list(funnel.rows[0].dropped) == ["a", "b"]


@given(st.integers(0, 5), st.integers(0, 5))
def test_what_is_left_must_be_what_is_found(left: int, found: int) -> None:
    funnel = Funnel()
    funnel.left["page"] = left
    if left == found:
        funnel.check("page", found, "scan")
    else:
        with pytest.raises(AccountingError, match=f"scan: {left} things of kind page should be left, {found} are"):
            funnel.check("page", found, "scan")


# --- shuffles: every way to lose or double something -----------------------------------------------------------------

PAGES_IN = [
    page(
        f"https://x.example/{n % 17}",
        f"text {n % 14}",
        [f"https://x.example/{n % 5}{i}.png" for i in range(n % 4)],
        offset=n,
    )
    for n in range(30)
]


def write_results(work: Work, shuffle: Shuffle, rows: dict[str, list[Any]], letters: list[DeadLetter]) -> None:
    for facts in shuffle.writes:
        put(work, facts, rows[facts.name])
    lines = "".join(dead_letter_line(letter) + "\n" for letter in letters)
    paths.publish(work.path(DEAD_LETTERS, f"{shuffle.name}.000000-000000.jsonl"), lines.encode())


Spoil = Callable[[str, FactSet, list[Any]], list[Any]]


def as_it_is(_: str, __: FactSet, rows: list[Any]) -> list[Any]:
    return rows


def selected(folder: Path, spoil: Spoil = as_it_is, funnel: Funnel | None = None) -> tuple[Work, list[Shuffle]]:
    """A work folder as a whole select job leaves it; what `spoil` does to written rows is what later shuffles read.

    With a funnel each shuffle is accounted for before the next one, as in a build.
    """
    work = Work(str(folder), 2)
    rows: dict[str, Any] = {PAGES.name: PAGES_IN}
    put(work, PAGES, PAGES_IN)
    every = page_shuffles(replace(RECIPE, image_frequency=replace(RECIPE.image_frequency, max_uses=4)))
    for shuffle in every:
        result = apply_shuffle(shuffle, rows, random.Random(1))
        made = {facts.name: spoil(shuffle.name, facts, result.rows[facts.name]) for facts in shuffle.writes}
        write_results(work, shuffle, made, result.letters)
        rows |= made
        if funnel:
            account_shuffle(funnel, work, shuffle)
    return work, every


def account(work: Work, every: list[Shuffle]) -> Funnel:
    funnel = Funnel()
    funnel.left["page"] = rows_of(work, PAGES)
    for shuffle in every:
        account_shuffle(funnel, work, shuffle)
    return funnel


def test_a_sound_job_passes(tmp_path: Path) -> None:
    funnel = account(*selected(tmp_path))
    assert funnel.left["page"] > 0 and sum(sum(row.dropped.values()) for row in funnel.rows) > 5
    for row in funnel.rows:
        assert row.becomes or row.into == row.out + sum(row.dropped.values())


CHANGES = {"lost": lambda rows: rows[1:], "doubled": lambda rows: [rows[0], *rows]}
WRITTEN = [(shuffle.name, facts) for shuffle in page_shuffles(RECIPE) for facts in shuffle.writes]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("name", "facts"), WRITTEN, ids=[f"{name}-{facts.name}" for name, facts in WRITTEN])
def test_a_row_lost_or_doubled_by_the_engine_fails(tmp_path: Path, name: str, facts: FactSet, change: str) -> None:
    def spoil(shuffle: str, written: FactSet, rows: list[Any]) -> list[Any]:
        return CHANGES[change](rows) if (shuffle, written) == (name, facts) else rows

    funnel = Funnel()
    funnel.left["page"] = len(PAGES_IN)
    with pytest.raises(AccountingError):
        selected(tmp_path, spoil, funnel)


@pytest.mark.parametrize("change", CHANGES)
def test_a_dead_letter_lost_or_doubled_fails(tmp_path: Path, change: str) -> None:
    work, every = selected(tmp_path)
    path = Path(work.path(DEAD_LETTERS, "page_duplicates.000000-000000.jsonl"))
    path.write_text("".join(CHANGES[change](path.read_text().splitlines(keepends=True))))
    with pytest.raises(AccountingError, match="page_duplicates"):
        account(work, every)


def test_a_dead_letter_that_was_not_declared_fails(tmp_path: Path) -> None:
    work, every = selected(tmp_path)
    letter = DeadLetter(kind="page", stage="surprise", reason="because")
    paths.publish(
        work.path(DEAD_LETTERS, "images_left.000000-000001.jsonl"), (dead_letter_line(letter) + "\n").encode()
    )
    with pytest.raises(AccountingError, match=r"images_left: dead letters of \[\('page', 'surprise'\)\]"):
        account(work, every)


def test_dead_letters_of_a_job_are_told_by_its_whole_name(tmp_path: Path) -> None:
    work = Work(str(tmp_path), 1)
    for name in ("image_urls.000000-000000.jsonl", "image_urls_more.000000-000000.jsonl"):
        letter = DeadLetter(kind="image_use", stage="image_url", reason="url_word")
        paths.publish(work.path(DEAD_LETTERS, name), (dead_letter_line(letter) + "\n").encode())
    funnel = Funnel()
    funnel.left["image_use"] = 1
    account_shuffle(
        funnel, work, Shuffle("image_urls", (), lambda key, groups: (), (), drops=(("image_use", "image_url"),))
    )
    assert funnel.left["image_use"] == 0


# --- scan and shards -------------------------------------------------------------------------------------------------


STAGES = [Stage(name, lambda record, config: record, None) for name in ("page_url", "decode")]
FLOW = Flow(kind="page", stages=STAGES, key=lambda page: page.key, select=(), write=())


def scanned(work: Work) -> list[dict[str, Any]]:
    """Done-files of two units: 3 pages and 1 record read, of which 2 pages are kept."""
    units = []
    for number in range(2):
        tally = Tally()
        tally.see("record", "read", 4)
        tally.see("record", "pages", 2)
        tally.see("record", "medias", 1)
        tally.drop("record", "read", "request")
        tally.see("page", "page_url", 2)
        tally.drop("page", "page_url", "url_word")
        tally.see("page", "decode", 1)
        tally.see("media", "opt_out", 1)
        put_one = [PAGES_IN[number]]
        write_rows(work.path("facts", "pages", "0", f"unit{number}.parquet"), PAGES.row, [tuple(p) for p in put_one])
        media = MEDIA.row("0" * 32, "https://x.example/1.png", 0, "warc", "a", number, 1)
        write_rows(work.path("facts", "media", "0", f"unit{number}.parquet"), MEDIA.row, [tuple(media)])
        units.append(json.loads(json.dumps({"funnel": to_plain(tally.rows())})))
    return units


def test_a_sound_scan_passes(tmp_path: Path) -> None:
    work, funnel = Work(str(tmp_path), 1), Funnel()
    account_scan(funnel, work, scanned(work), FLOW)
    assert funnel.left == {"record": 6, "media": 2, "page": 2}


@pytest.mark.parametrize("facts", ["pages", "media"])
def test_facts_of_a_unit_that_are_gone_fail(tmp_path: Path, facts: str) -> None:
    work = Work(str(tmp_path), 1)
    units = scanned(work)
    paths.delete_file(work.path("facts", facts, "0", "unit1.parquet"))
    with pytest.raises(AccountingError, match="scan"):
        account_scan(Funnel(), work, units, FLOW)


@pytest.mark.parametrize(
    ("kind", "stage", "amount"),
    [
        ("record", "read", 1),
        ("record", "pages", 1),
        ("record", "medias", 1),
        ("page", "page_url", 1),
        ("page", "decode", 1),
        ("media", "opt_out", 1),
    ],
)
def test_counts_of_a_unit_that_do_not_add_up_fail(tmp_path: Path, kind: str, stage: str, amount: int) -> None:
    work = Work(str(tmp_path), 1)
    units = scanned(work)
    for row in units[0]["funnel"]:
        if (row["kind"], row["stage"]) == (kind, stage):
            row["into"] += 1
    with pytest.raises(AccountingError, match="scan"):
        account_scan(Funnel(), work, units, FLOW)


@pytest.mark.parametrize(("samples", "images", "sound"), [(3, 5, True), (2, 5, False), (3, 6, False)])
def test_shards_hold_what_was_to_be_written(samples: int, images: int, sound: bool) -> None:
    funnel = Funnel()
    funnel.left.update(sample=3, image_use=5)
    entry = {"videos": 0, "words": 1, "bytes": 1, "sha256": ""}
    shards = [Shard(name="a", split="train", samples=samples, images=images, **entry)]
    if sound:
        account_shards(funnel, shards)
        assert funnel.rows[-1] == FunnelRow(kind="sample", stage="write", into=3, out=3, dropped={})
    else:
        with pytest.raises(AccountingError, match="shards"):
            account_shards(funnel, shards)
