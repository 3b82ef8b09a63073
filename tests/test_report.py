"""The funnel for a terminal, dropped records, and the card of a data set."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from clips import clip, clips, write_video
from rich.console import Console

from pipelines.card import dataset_card
from pipelines.report import (
    print_rejected,
    print_report,
    rejected,
    report_for,
    report_of,
    share_kept,
    share_out,
    size,
)
from pipelines.shard_files import DamageError, DataSetError
from schemas.manifest import FunnelRow, Manifest
from schemas.rejection import DeadLetter
from schemas.strict import from_plain, to_plain
from tests.datasets import build, m3w, pages


def shown(found: Any, printer: Callable[[Any, Console], None] = print_report) -> str:
    text = StringIO()
    printer(found, Console(width=100, file=text))
    return text.getvalue()


def test_report_is_the_same_from_manifest_and_from_either_file(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    assert report_for(str(tmp_path)) == report_of(manifest)
    (tmp_path / "report.json").unlink()
    assert report_for(str(tmp_path)) == report_of(manifest)
    assert shown(manifest) == shown(report_of(manifest))


def test_report_of_no_data_set_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"no finished data set: it has no manifest\.json"):
        report_for(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"), [("{}", "missing name, totals"), ("{", "Expecting"), ("[" * 99999, "recurs")]
)
def test_a_broken_report_is_damage(tmp_path: Path, text: str, said: str) -> None:
    build(tmp_path)
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DamageError, match=f"report.json: .*{said}"):
        report_for(str(tmp_path))
    assert m3w("report", tmp_path)[0] == 1
    (tmp_path / "report.json").unlink()
    (tmp_path / "report.json").mkdir()
    with pytest.raises(DamageError, match=r"report\.json: cannot be read: Is a directory"):
        report_for(str(tmp_path))


def test_print_report_rows(tmp_path: Path) -> None:
    lines = [" ".join(line.split()) for line in shown(build(tmp_path)).splitlines()]
    assert "read 29 5 not_html 24 82.7%" in lines
    assert "-> places of images 13 26" in lines
    at = lines.index("gopher_quality 21 6 too_few_words 13 61.9%")
    assert lines[at + 1] == "2 stop_words", "the largest first"
    assert lines[-1] == "test: 12 samples (train 9, dev 3), 22 images, 168 words, 71.7 kB"
    heads = [line for line in lines if line.startswith(("records of", "images in", "pages", "places of", "samples"))]
    assert heads == ["records of the input", "images in the input", "pages", "places of images",
                     "samples"]  # fmt: skip


def test_rows_of_videos_speak_of_videos(tmp_path: Path) -> None:
    def row(kind: str, stage: str, becomes: str = "", **dropped: int) -> FunnelRow:
        return FunnelRow(
            kind=kind, stage=stage, into=9, out=9 - sum(dropped.values()), dropped=dropped, becomes=becomes
        )

    rows = (
        row("record", "medias", "media"),
        row("media", "opt_out"),
        row("video", "uses", "image_use"),
        row("image_use", "images_left"),
        row("image_use", "urls", "image_url"),
        row("image_url", "fetch", not_a_video=2),
        row("video", "clips", "clip"),
        row("clip", "clip_duplicates"),
    )
    made = clips(write_video(tmp_path / "v.mp4"))
    manifest = build(tmp_path / "set", made)
    manifest = replace(manifest, funnel=rows, recipe={**manifest.recipe, "flow": "clips"})
    for text in (shown(manifest), dataset_card(manifest)):
        for said in ("videos and subtitles in the input", "laces of videos and subtitles", "ddresses of videos and"):
            assert said in text
        assert not re.search(r"\bimages\b", text.partition("## Recipe")[0])
    assert "video-text-to-text" in dataset_card(manifest) and "`videos[].url`" in dataset_card(manifest)
    assert "images in the input" in shown(replace(manifest, funnel=rows[:2]))


def test_clips_are_counted(tmp_path: Path) -> None:
    manifest = build(tmp_path / "set", clips(write_video(tmp_path / "v.mp4")))
    assert report_of(manifest).totals["videos"] == 4
    assert shown(manifest).endswith(f" test: 4 samples (train 3, dev 1), 4 clips, 42 words, {bytes_of(manifest)}\n")
    mixed = build(tmp_path / "mixed", [*pages(4), clip(tmp_path / "v.mp4", 0)])
    assert f"8 images, 1 clips, 68 words, {bytes_of(mixed)}" in shown(mixed)
    assert "videos" not in report_of(build(tmp_path / "pages")).totals
    assert (
        m3w("verify", tmp_path / "set")[1].rstrip().endswith(f"0 images, 4 clips, 42 words, {bytes_of(manifest)} read")
    )


def bytes_of(manifest: Manifest) -> str:
    return size(sum(shard.bytes for shard in manifest.shards))


def test_print_report_fits_100_columns_at_the_size_of_the_paper(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    huge = {f"duplicate_paragraph_char{n:x}": 10**7 + n for n in range(12)}
    row = FunnelRow(kind="image_use", stage="gopher_repetition", into=10**9, out=10**9 - 12 * 10**7 - 66, dropped=huge)
    text = shown(replace(manifest, funnel=(*manifest.funnel, row)))
    assert max(map(len, text.splitlines())) <= 100
    assert "1,000,000,000" in text
    assert all(f"{count:,} {reason}" in text for reason, count in huge.items()), "no number is cut"


def test_share_kept_says_all_only_of_all() -> None:
    row = FunnelRow(kind="page", stage="x", into=100_000, out=99_999, dropped={"y": 1})
    assert share_kept(row) == "99.9%"
    assert share_kept(replace(row, out=100_000, dropped={})) == "100.0%"
    assert share_kept(replace(row, into=0, out=0, dropped={})) == ""


def test_size() -> None:
    assert [size(n) for n in (0, 999, 1000, 71_680, 10**9, 5 * 10**13)] == [
        "0 bytes", "999 bytes", "1.0 kB", "71.7 kB", "1.0 GB", "50.0 TB"]  # fmt: skip


def test_rejected_gives_examples_of_every_reason(tmp_path: Path) -> None:
    build(tmp_path)
    found = rejected(str(tmp_path), "gopher_quality", limit=3)
    assert list(found.counts.items()) == [(("page", "too_few_words"), 6), (("page", "stop_words"), 2)]
    assert [letter.reason for letter in found.examples] == ["too_few_words", "too_few_words", "stop_words"]
    assert rejected(str(tmp_path), "opt_out", limit=3).counts == {}, "a stage that dropped nothing"
    with pytest.raises(
        DataSetError, match=r"no stage 'gopher'.*: gopher_quality, image_url, images_left, page_url, read"
    ):
        rejected(str(tmp_path), "gopher", limit=3)


def test_rejected_as_json_is_an_array_of_dead_letters(tmp_path: Path) -> None:
    build(tmp_path)
    code, out = m3w("report", tmp_path, "--rejected", "gopher_quality", "--limit", "3", "--json")
    found = [from_plain(DeadLetter, entry, "letter") for entry in json.loads(out)]
    assert (code, found) == (0, list(rejected(str(tmp_path), "gopher_quality", 3).examples))
    assert m3w("report", tmp_path, "--rejected", "opt_out", "--json") == (0, "[]\n")


def test_a_damaged_dead_letter_is_named_with_its_line(tmp_path: Path) -> None:
    build(tmp_path)
    path = tmp_path / "dead_letters/gopher_quality.jsonl"
    path.write_text(path.read_text() + '{"kind": "page"}\n')
    with pytest.raises(DamageError, match=r"gopher_quality\.jsonl, line 9: dead letter: missing stage, reason"):
        rejected(str(tmp_path), "gopher_quality", 3)
    path.write_text("{\n")
    with pytest.raises(DamageError, match=r"gopher_quality\.jsonl, line 1: Expecting"):
        rejected(str(tmp_path), "gopher_quality", 3)


def test_share_out() -> None:
    assert share_out(5, [10, 1, 10]) == [2, 1, 2]
    assert share_out(50, [1, 0, 2]) == [1, 0, 2]
    assert share_out(1, [3, 3]) == [1, 0]


def test_print_rejected_shows_what_a_page_says_as_text(tmp_path: Path) -> None:
    build(tmp_path)
    letter = DeadLetter(
        kind="page", stage="read", reason="not_html", url="http://x/\x1b[31m[bold]", detail="d", count=7
    )
    (tmp_path / "dead_letters/read.jsonl").write_text(json.dumps(to_plain(letter)) + "\n")
    text = shown(str(tmp_path), lambda path, console: print_rejected(path, "read", 5, console))
    assert "7 not_html  pages" in text
    assert "http://x/\ufffd[31m[bold] (7 pages)" in text


# --- card ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return build(tmp_path / "set")


def test_card_is_a_function_of_the_manifest(manifest: Manifest) -> None:
    assert dataset_card(manifest) == dataset_card(manifest)
    assert "<br>2 stop_words" in dataset_card(manifest)
    assert "| `crawl.warc.gz` |" in dataset_card(manifest)


def test_card_header_names_splits_and_languages(manifest: Manifest) -> None:
    header = dataset_card(manifest).split("---\n")[1]
    assert '  - split: "train"\n    path: "shards/train-*.tar"\n  - split: "dev"\n' in header
    assert 'language:\n- "en"\n' in header
    assert "size_categories:\n- n<1K\n" in header


def test_card_snippet_runs_and_reads_the_first_document(manifest: Manifest, tmp_path: Path) -> None:
    snippet = dataset_card(manifest).split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path / "set", capture_output=True, text=True, check=True
    )
    first = min(
        (sample.document for sample in pages() if f"[{sample.document.images[0].width} x" in done.stdout),
        key=lambda document: done.stdout.find(document.slots[0].text.strip()) % 10**9,  # type: ignore[union-attr]
    )
    assert done.stdout.startswith(first.slots[0].text)  # type: ignore[union-attr]
    assert f": {first.images[0].alt}]" in done.stdout


def test_card_says_what_was_not_done(manifest: Manifest) -> None:
    assert "not scored for nudity" in dataset_card(manifest)
    scored = replace(manifest, recipe={**manifest.recipe, "image_safety": {"scorer": "opennsfw"}})
    assert "not scored for nudity" not in dataset_card(scored)
    assert "This is a test" not in dataset_card(manifest)
    assert "safety checks were lifted (loopback)" in dataset_card(replace(manifest, test_allowances=("loopback",)))


def test_card_keeps_values_inside_their_cells(manifest: Manifest) -> None:
    strange = {"gopher_quality": {"bullets": ["|", "`", "a"]}}
    card = dataset_card(replace(manifest, recipe=strange))
    assert '| `bullets` | `` ["\\|", "`", "a"] `` |' in card


def test_card_of_an_empty_data_set(manifest: Manifest) -> None:
    card = dataset_card(replace(manifest, shards=(), splits={}))
    assert "configs:" not in card
    assert "| all | 0 | 0 | 0 | 0 | 0 bytes |" in card


def test_card_lists_the_first_of_many_inputs(manifest: Manifest) -> None:
    many = tuple(replace(manifest.inputs[0], name=f"{n:05d}.warc.gz") for n in range(90))
    card = dataset_card(replace(manifest, inputs=many))
    assert "`00049.warc.gz`" in card
    assert "`00050.warc.gz`" not in card
    assert "and 40 more" in card
