"""Pages per second of one core through the scan job, what each stage takes of it, and what bare reading would."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

import lxml.html
from fastwarc.warc import ArchiveIterator, WarcRecordType

from benchmarks.build_run import make_corpus
from benchmarks.machine import Result, Table, say
from pipelines.flow import Flow
from pipelines.m3w import flow, page_stages
from pipelines.recipe import PageRecipe, Recipe, load_recipe
from pipelines.scan import scan_unit
from pipelines.sources.inputs import plan_units, read_unit
from pipelines.sources.units import Unit
from pipelines.store.work import Work
from schemas.strict import to_plain

READ, REST, WHOLE = "read", "keys, facts and pack", "whole scan"
FASTWARC, LXML = "bare fastwarc", "bare lxml"

Times = dict[str, float]
"""Processor seconds by what they were spent on."""


def measure(scratch: Path, quick: bool) -> Result:
    pages, repeats = (200, 1) if quick else (4000, 5)
    corpus = make_corpus(scratch / "pages", pages, facts_only=True)
    recipe = load_recipe("m3w")
    assert isinstance(recipe, PageRecipe)
    units = plan_units([str(corpus.folder)], "", recipe.source)
    bodies = list(fastwarc_bodies(corpus.folder))
    size = sum(map(len, bodies))

    scan(units, recipe)  # loads the language model and the word lists
    rounds = []
    for number in range(repeats):
        say(f"pages: round {number + 1} of {repeats}")
        times, seen = scan(units, recipe)
        times[READ] = timed(lambda: [sum(1 for _ in read_unit(unit, recipe.source)) for unit in units])
        times[FASTWARC] = timed(lambda: sum(1 for _ in fastwarc_bodies(corpus.folder)))
        times[LXML] = timed(lambda: [lxml.html.document_fromstring(body) for body in bodies])
        rounds.append(times)
    middle = {name: median(times[name] for times in rounds) for name in rounds[0]}
    stages = [stage.name for stage in page_stages(recipe)]
    middle[REST] = middle[WHOLE] - middle[READ] - sum(middle[name] for name in stages)
    rates = sorted(pages / times[WHOLE] for times in rounds)
    return Result(
        "pages",
        "How many pages one core takes through the scan job (read, decode, parse, extract, filter, facts), where its "
        "time goes, and how that compares with the tools it stands on, on the same file in the same run.",
        (
            Table(
                ("one core", "pages/s", "MB of HTML/s"),
                [
                    (name, f"{pages / middle[name]:.0f}", f"{size / middle[name] / 1e6:.1f}")
                    for name in (WHOLE, FASTWARC, LXML)
                ],
            ),
            stage_table(middle, stages, seen, pages),
            Table(
                ("ratio", "times"),
                [
                    ("read / bare fastwarc", f"{middle[READ] / middle[FASTWARC]:.1f}"),
                    ("parse / bare lxml", f"{middle['parse'] / middle[LXML]:.1f}"),
                    ("whole scan / (bare fastwarc + bare lxml)", f"{ratio(middle):.1f}"),
                ],
                "Beside bare tools",
            ),
        ),
        (
            f"{pages} pages of {size / pages / 1e3:.1f} kB of HTML on average (copies of the demo crawl's pages with "
            "words exchanged), with their own image addresses and no image records; recipe m3w.",
            f"Processor time of one process, median of {repeats} rounds ({rates[0]:.0f} to {rates[-1]:.0f} pages/s); "
            "reading is timed in a pass of its own.",
            "Pages dropped by a stage do not reach the next: the last column is what a page costs that does. "
            f"A page that passes all of them costs {full_price(middle, stages, seen, pages):.2f} ms, "
            f"{1e3 / full_price(middle, stages, seen, pages):.0f} pages/s.",
        ),
    )


def stage_table(middle: Times, stages: Sequence[str], seen: dict[str, int], pages: int) -> Table:
    rows = [
        (name, str(count := seen.get(name, pages)), share(middle[name], middle[WHOLE]), per_page(middle[name], count))
        for name in (READ, *stages, REST)
    ]
    total = (WHOLE, str(pages), share(1, 1), per_page(middle[WHOLE], pages))
    return Table(("stage", "pages that reach it", "share of the time", "ms a page"), [*rows, total], "By stage")


def ratio(middle: Times) -> float:
    return middle[WHOLE] / (middle[FASTWARC] + middle[LXML])


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}"


def per_page(seconds: float, pages: int) -> str:
    return f"{1e3 * seconds / max(pages, 1):.2f}"


def full_price(middle: Times, stages: Sequence[str], seen: dict[str, int], pages: int) -> float:
    """Milliseconds of a page that no stage drops."""
    return 1e3 * sum(middle[name] / max(seen.get(name, pages), 1) for name in (READ, *stages, REST))


def scan(units: Sequence[Unit], recipe: Recipe) -> tuple[Times, dict[str, int]]:
    """Runs `scan_unit` on all units; processor time by stage, and the pages that reached each stage."""
    times: Times = {}

    def measured(recipe: Recipe) -> Flow:
        assert isinstance(recipe, PageRecipe)
        stages = [replace(stage, function=noted(stage.function, stage.name, times)) for stage in page_stages(recipe)]
        return replace(flow(recipe), stages=stages)

    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder, 1)
        begin = time.process_time()
        for unit in units:
            scan_unit(to_plain(unit), work, recipe, measured)
        times[WHOLE] = time.process_time() - begin
        funnels = [work.done("scan", unit.id)["funnel"] for unit in units]
    seen: dict[str, int] = {}
    for row in (row for funnel in funnels for row in funnel if row["kind"] == "page"):
        seen[row["stage"]] = seen.get(row["stage"], 0) + row["into"]
    return times, seen


def noted(function: Callable[[Any, Any], Any], name: str, times: Times) -> Callable[[Any, Any], Any]:
    """The same function, its processor time added to `times[name]`."""
    times[name] = 0.0

    @wraps(function)
    def run(record: Any, config: Any) -> Any:
        begin = time.process_time()
        result = function(record, config)
        times[name] += time.process_time() - begin
        return result

    return run


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def fastwarc_bodies(folder: Path) -> Any:
    """The bodies of all responses, by fastwarc and nothing else."""
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                yield record.reader.read()
