"""Images per second of one core of the fetch job that reads them from the crawl, beside bare decoding by Pillow."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image

from benchmarks.build_run import make_corpus
from benchmarks.machine import Result, Table, say
from benchmarks.pages import timed
from dedup.urls import image_url_key
from pipelines.facts import TODO, TodoFact
from pipelines.fetch import Web, fetch_unit
from pipelines.media.safety import load_scorer
from pipelines.recipe import Recipe, load_recipe
from pipelines.sources.inputs import plan_units, read_unit
from pipelines.sources.originals import read_original
from pipelines.sources.records import RawMedia
from pipelines.store.facts import write_rows
from pipelines.store.media import MediaStore
from pipelines.store.work import Work
from pipelines.web.config import NO_ALLOWANCES

OFFLINE = Web(agent=None, allowances=NO_ALLOWANCES, connections=1)


def measure(scratch: Path, quick: bool) -> Result:
    pages, limit, repeats = (40, 60, 1) if quick else (1000, 1500, 3)
    corpus = make_corpus(scratch / "images", pages)
    m3w = load_recipe("m3w")
    plain = replace(m3w, image_safety=replace(m3w.image_safety, scorer="none"))
    reduced = replace(plain, media=replace(plain.media, max_side=512))
    places = {unit.name: unit.path for unit in plan_units([str(corpus.folder)], "", m3w.source)}
    todo = addresses(corpus.folder, m3w)[:limit]
    bodies = [read_original(places, t.origin, t.name, t.offset, t.length, m3w.source) for t in todo]

    runs: dict[str, Callable[[], object]] = {
        "bare Pillow decode": lambda: [Image.open(BytesIO(body)).load() for body in bodies],
        "read the records": lambda: [
            read_original(places, t.origin, t.name, t.offset, t.length, m3w.source) for t in todo
        ],
        "fetch job, no scorer": lambda: fetch(todo, places, plain),
        "fetch job, no scorer, reduced to 512 pixels": lambda: fetch(todo, places, reduced),
    }
    notes = []
    try:
        load_scorer("opennsfw")
        runs["fetch job, opennsfw"] = lambda: fetch(todo, places, m3w)
    except RuntimeError as error:
        notes.append(f"Without the safety scorer: {error}.")
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        say(f"images: round {number + 1} of {repeats}")
        for name, run in runs.items():
            times[name].append(timed(run))
    processor = {name: median(found) for name, found in times.items()}
    bare = processor["bare Pillow decode"]
    pixels = sum(width * height for width, height in (Image.open(BytesIO(body)).size for body in bodies))
    count = len(bodies)
    return Result(
        "images",
        "How many images one core takes through the fetch job when the crawl itself holds them: read the record, hash, "
        "decode, check, measure, make the member, write the ledger. Beside it bare decoding of the same bytes.",
        (
            Table(
                ("one core", "images/s", "ms an image", "times bare decoding"),
                [
                    (name, f"{count / used:.0f}", f"{1e3 * used / count:.2f}", f"{used / bare:.1f}")
                    for name, used in processor.items()
                ],
            ),
        ),
        (
            f"{count} images of the demo crawl's copies, {sum(map(len, bodies)) / count / 1e3:.0f} kB and "
            f"{pixels / count / 1e6:.2f} megapixels on average.",
            f"Processor time of one process, median of {repeats} rounds.",
            *notes,
        ),
    )


def addresses(folder: Path, recipe: Recipe) -> Sequence[TodoFact]:
    """What the fetch job has to do for every image of the crawl."""
    found = []
    for unit in plan_units([str(folder)], "", recipe.source):
        for record in read_unit(unit, recipe.source):
            if isinstance(record, RawMedia):
                key, source = image_url_key(record.url), record.source
                found.append(TodoFact(key, key, record.url, "", "warc", source.file, source.offset, source.length, 0))
    return found


def fetch(todo: Sequence[TodoFact], places: dict[str, str], recipe: Recipe) -> None:
    """One unit of the fetch job."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder, 1)
        write_rows(work.path("facts", TODO.name, "all", "all.parquet"), TodoFact, todo)
        store = MediaStore(work.path("media"))
        fetch_unit("all", work, places, store, store, recipe, OFFLINE, since=0)
