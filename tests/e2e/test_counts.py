"""The funnel says what is true: checked against what warcio counts, against the dead letters and against itself."""

import json
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from builds import build_in, dropped, letters, manifest, samples, without_sources
from crawls import records, small
from warcio.archiveiterator import ArchiveIterator

from pipelines import m3w
from pipelines.recipe import PageRecipe
from pipelines.report import report_for, report_of
from pipelines.stage import Stage
from pipelines.verify import verify
from schemas.manifest import FunnelRow
from schemas.rejection import Rejected


def row(funnel: Sequence[FunnelRow], kind: str, stage: str) -> FunnelRow:
    (found,) = (entry for entry in funnel if (entry.kind, entry.stage) == (kind, stage))
    return found


def count_with_warcio() -> Counter[str]:
    """What warcio finds in the small cut, a record at a time."""
    found: Counter[str] = Counter()
    for cut in filter(small, records()):
        found["record"] += 1
        if cut.kind == "unreadable":  # by zlib
            found["unreadable"] += 1
            continue
        record = next(iter(ArchiveIterator(BytesIO(cut.stored))))
        body = record.content_stream().read()
        head = record.http_headers
        if record.rec_type != "response":
            found[record.rec_type] += 1
        elif head.get_statuscode() != "200":
            found["not 200"] += 1
        elif not body:
            found["empty"] += 1
        elif head.get_header("Content-Type").startswith("text/html"):
            found["page"] += 1
        elif head.get_header("Content-Type").startswith("image/") and b"<html" not in body.lower():
            found["image"] += 1
        else:
            found["other"] += 1
    return found


def test_what_came_in(reference: Path) -> None:
    funnel, expected = manifest(reference).funnel, count_with_warcio()
    read = row(funnel, "record", "read")
    assert expected["page"] > 40 and expected["image"] > 60
    assert read.into == expected["record"]
    assert row(funnel, "record", "pages").out == expected["page"]
    assert row(funnel, "record", "medias").out == expected["image"]
    assert read.dropped == {
        "corrupt_member": 1,
        "truncated_member": 1,
        "warcinfo": expected["warcinfo"],
        "revisit": expected["revisit"],
        "http_error_status": expected["not 200"],
        "empty_body": expected["empty"],
        "not_html": expected["other"],
    }
    assert expected["unreadable"] == 2


def check_adds_up(funnel: Sequence[FunnelRow], kind: str = "page") -> None:
    left: dict[str, int] = {}
    for entry in funnel:
        assert entry.into == left.get(entry.kind, entry.into), entry
        if entry.becomes:
            assert not entry.dropped
            left[entry.becomes] = left.get(entry.becomes, 0) + entry.out
        else:
            assert entry.into == entry.out + sum(entry.dropped.values()), entry
            left[entry.kind] = entry.out
    assert left["record"] == sum(entry.out for entry in funnel if entry.kind == "record" and entry.becomes)
    assert left[kind] == left["sample"]


@pytest.mark.parametrize("build", ["reference", "demo"])
def test_the_funnel_adds_up(build: str, request: pytest.FixtureRequest) -> None:
    output = request.getfixturevalue(build)
    funnel = manifest(output).funnel
    check_adds_up(funnel)
    named = {(r.kind, r.stage, reason): count for r in funnel for reason, count in r.dropped.items()}
    assert dropped(letters(output)) == named
    assert {letter["stage"] for letter in letters(output)} == {
        path.stem for path in (output / "dead_letters").iterdir()
    }
    held = samples(output)
    images = sum(len(sample.json["images"]) for sample in held.values())
    assert images == sum(len(sample.members) for sample in held.values())
    assert [entry.out for entry in funnel if entry.kind == "sample"][-1] == len(held)
    assert [entry.out for entry in funnel if entry.kind == "image_use"][-1] == images


@pytest.mark.parametrize("build", ["reference", "demo"])
def test_the_report_is_what_verify_finds(build: str, request: pytest.FixtureRequest) -> None:
    output = request.getfixturevalue(build)
    found, report = verify([str(output)]), json.loads((output / "report.json").read_text())
    assert found.problems == () and found.problem_count == 0 and found.notes == ()
    assert {name: found.checked[name] for name in report["totals"]} == report["totals"]
    assert found.checked["shards"] == len(list((output / "shards").glob("*.tar")))
    assert report_for(str(output)) == report_of(manifest(output))
    held = samples(output).values()
    assert report["splits"] == Counter(sample.json["split"] for sample in held)
    assert report["totals"]["words"] == sum(len(sample.json["text"].split()) for sample in held)


# --- a stage that crashes --------------------------------------------------------------------------------------------

VICTIM = "https://debian-handbook.info/browse/stable/sect.master-plan.html"


def fragile(document: Any, config: None) -> Any:
    """A filter with a defect: it raises for one page, and drops another."""
    if document.url == VICTIM:
        raise ZeroDivisionError("no words")
    return Rejected("said_no") if document.url.endswith("existing-setup.html") else document


def test_a_stage_that_crashes_costs_one_page(
    reference: Path, crawl: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = m3w.page_stages

    def with_fragile(recipe: PageRecipe) -> list[Stage]:
        return [*usual(recipe), Stage("fragile", fragile, None)]

    monkeypatch.setattr(m3w, "page_stages", with_fragile)
    output = build_in(tmp_path / "out", crawl, recipe)
    funnel = manifest(output).funnel
    check_adds_up(funnel)
    assert row(funnel, "page", "fragile").dropped == {"crashed": 1, "said_no": 1}
    (letter,) = (letter for letter in letters(output) if letter["reason"] == "crashed")
    assert (letter["kind"], letter["stage"], letter["url"]) == ("page", "fragile", VICTIM)
    assert "ZeroDivisionError('no words') at fragile, line " in letter["detail"]
    expected = {
        key: value
        for key, value in without_sources(reference).items()
        if not value[0]["url"].endswith(("/sect.master-plan.html", "/existing-setup.html"))
    }
    assert len(expected) == len(samples(reference)) - 2
    assert without_sources(output) == expected
