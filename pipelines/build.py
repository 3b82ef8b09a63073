"""`m3w build`: the four jobs in turn, each going on from what is committed, then the manifest and `_SUCCESS`.

    scan -> select -> fetch -> write     each a Beam pipeline (or several) over the files of the one before

A build that was killed goes on where it stood when it is started again with the same arguments; a finished one is left
alone. Everything in the output but `run.json` is a function of input, recipe, code and ledger.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pipelines.accounting import Funnel, account_scan, account_shards, account_shuffle, rows_of
from pipelines.claims import Death
from pipelines.cut_videos import SCRATCH
from pipelines.digests import digests
from pipelines.engine import Engine, Mend
from pipelines.facts import SAMPLES, SHARDS, TODO, URLS, WANTED, UrlFact
from pipelines.fetch import Buckets, Web, fetch_unit, plan_shuffle, things_fetched
from pipelines.flow import Places, Step, UnitJob
from pipelines.flows import flow_of
from pipelines.given_up import Mending
from pipelines.places import check_base_url, check_bucket, folder_named, locked, refuse_overlap, told_when_full
from pipelines.plan import BYTES_PER_PARTITION, Plan, PlanError, check_same, is_file, load_plan, make_plan, save_plan
from pipelines.progress import Progress
from pipelines.publish import publish
from pipelines.recipe import Recipe
from pipelines.scan import scan_unit
from pipelines.shards import write_shard
from pipelines.shuffles import Shuffles
from pipelines.sources.inputs import plan_units
from pipelines.sources.records import Span
from pipelines.sources.units import Unit
from pipelines.sources.warc import misplaced
from pipelines.stage import Shuffle
from pipelines.store import paths
from pipelines.store.facts import read_rows, sums_by
from pipelines.store.media import MediaStore
from pipelines.store.work import Work
from pipelines.write import shard_name, shard_shuffle
from schemas.manifest import Manifest, Shard, read_manifest
from schemas.strict import from_plain, to_plain

OUTPUTS = (
    *("_SUCCESS", "work", "shards", "dead_letters", "manifest.json", "report.json", "run.json", "README.md"),
    "plan.json",  # last: it says that the folder is ours
)
"""What a build writes, besides the media store: what --fresh removes."""
DIGESTS = ".digests"
"""Folder of the output where workers of a cluster note the digests of files, for a moment."""
ROWS_PER_PASS = 100_000
"""Default of `BuildOptions.rows_per_pass`: some 200 MB."""
MAX_DEATHS = 3
"""Default of `BuildOptions.max_deaths`."""
TODO_PER_BUCKET = 250
"""Images of one unit of the fetch that the input holds; decides how evenly workers are loaded, never the result."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the command line says besides the recipe."""

    inputs: tuple[str, ...]
    output: str
    base_url: str = ""
    """Address that stands for a folder of saved HTML; empty: a reserved name that cannot be fetched."""
    media: str | None = None
    """Folder of the media store; None: `media` in the output."""
    fresh: bool = False
    """Begin anew whatever the output holds."""
    keep_work: bool = False
    """Leave packs and facts in the output when all is done."""
    bytes_per_partition: int = BYTES_PER_PARTITION
    """Input bytes whose facts make a partition, the least that a pass of a local shuffle can take."""
    rows_per_pass: int = ROWS_PER_PASS
    """Rows of facts that a pass takes, if a partition has no more; of a cluster, that go into one file of what a
    shuffle writes. Decides memory, never the result."""
    max_deaths: int = MAX_DEATHS
    """Worker processes that a record or an image may kill before it is given up."""


def build(recipe: Recipe, options: BuildOptions, engine: Engine, web: Web, progress: Progress) -> Manifest:
    """Builds a data set, or goes on with it.

    Raises:
        PlanError: the output belongs to another build, is being written, or HTTP is needed and nobody says who asks.
        AccountingError: things were lost; nothing is published.
    """
    output = folder_named("--output", options.output)
    media = paths.join(output, "media") if options.media is None else folder_named("--media", options.media)
    refuse_overlap(options.inputs, output, media)
    check_base_url(options.base_url)
    for folder in (output, media):
        check_bucket(folder)
    with told_when_full(output, media), locked(output):
        plan = resume_or_plan(recipe, options, output, engine, web)
        if paths.exists(paths.join(output, "_SUCCESS")):
            manifest = finished(output, web)
            progress.say(f"{output} is complete already; nothing to do (--fresh begins anew)")
            return manifest
        paths.delete_unfinished(output, besides="media")  # another build may be writing there: see MediaStore
        paths.delete_tree(paths.join(output, "work", SCRATCH))
        jobs = Jobs(recipe, plan, output, MediaStore(media), options, engine, web, progress)
        return jobs.run()


def resume_or_plan(recipe: Recipe, options: BuildOptions, output: str, engine: Engine, web: Web) -> Plan:
    """The plan that the output was started with, or a new one.

    What --fresh deletes is deleted last: only where a build of ours was started, and only if the new one can be.
    """
    units = plan_units(options.inputs, options.base_url, recipe.source)
    lifted = [name for name, on in to_plain(web.allowances).items() if on]
    files = [unit.path for unit in units if is_file(unit)]
    digest = digests(files, engine, paths.join(output, DIGESTS), "inputs")
    plan = make_plan(recipe, units, lifted, options.bytes_per_partition, digest)
    path = paths.join(output, "plan.json")
    if paths.exists(path):
        old = load_plan(path)
        if not options.fresh:
            check_same(old, plan, output)
            moved = tuple(replace(unit, path=plan.places[unit.name]) for unit in old.units)
            return replace(old, places=plan.places, units=moved)
        for name in OUTPUTS:
            paths.delete_tree(paths.join(output, name))
            paths.delete_file(paths.join(output, name))
    elif not paths.is_remote(output) and (
        found := [p.name for p in Path(output).glob("*") if p.name not in (".lock", "media", DIGESTS)]
    ):
        raise PlanError(
            f"{output} is not empty ({found[0]} is there) and no build was started in it; give another folder"
        )
    save_plan(path, plan)
    return plan


def finished(output: str, web: Web) -> Manifest:
    """The manifest of a finished build, if there is nothing that this one would do besides.

    Raises:
        PlanError: it cannot be read, or images were not asked for because the build was offline and this one is not.
    """
    path = paths.join(output, "manifest.json")
    try:
        manifest = read_manifest(paths.read_bytes(path).decode(), path)
    except (FileNotFoundError, ValueError) as error:
        raise PlanError(
            f"{output} was completed, but its manifest.json is gone or damaged; begin anew with --fresh"
        ) from error
    if web.agent is not None and any("not_in_input" in row.dropped for row in manifest.funnel):
        refuse_online(output)
    return manifest


def refuse_online(output: str) -> NoReturn:
    raise PlanError(
        f"{output} was built with --offline, without the images that the input does not hold; to fetch them give "
        "another output folder, or --fresh, or --offline again to leave it as it is"
    )


class Jobs:
    """The jobs of a build, and what they share."""

    def __init__(
        self,
        recipe: Recipe,
        plan: Plan,
        output: str,
        shared: MediaStore,
        options: BuildOptions,
        engine: Engine,
        web: Web,
        progress: Progress,
    ) -> None:
        self.recipe, self.plan, self.output, self.options = recipe, plan, output, options
        self.flow = flow_of(recipe)
        self.engine, self.web, self.progress = engine, web, progress
        self.work = Work(paths.join(output, "work"), plan.partitions, whole=engine.at_once)
        self.shared = shared
        self.own = MediaStore(paths.join(output, "work", "media"))
        self.shuffles = Shuffles(
            engine=engine, work=self.work, ledgers=(self.shared, self.own), rows_per_pass=options.rows_per_pass
        )
        self.places = Places(work=self.work, inputs=plan.places, shared=self.shared, own=self.own)
        self.funnel = Funnel()

    def run(self) -> Manifest:
        with self.progress.job("scan", f"{self.flow.kind}s"):
            self.scan()
        with self.progress.job("select", ""):
            self.steps(self.flow.select)
        with self.progress.job("fetch", things_fetched(self.recipe)):
            self.fetch()
        with self.progress.job("write", "samples"):
            self.steps(self.flow.write)
            shards = self.write_shards(self.deal())
        with self.progress.job("publish", ""):
            files = [paths.join(self.output, shard.name) for shard in shards]
            digest = digests(files, self.engine, paths.join(self.output, DIGESTS), "verify")
            manifest = publish(
                self.recipe, self.plan, self.work, self.output, self.funnel, shards, self.ledger_digest(), digest
            )
            self.progress.save(paths.join(self.output, "run.json"), self.engine)
            if not self.options.keep_work:
                paths.delete_tree(self.work.folder)
        return manifest

    # --- jobs --------------------------------------------------------------------------------------------------------

    def scan(self) -> None:
        function = partial(scan_unit, work=self.work, recipe=self.recipe, flow=flow_of)
        units, exact = list[Unit](), list(self.plan.units)
        while units != exact:
            units = exact
            ready = self.work.done_parts("scan")
            if left := [unit for unit in units if unit.id not in ready]:
                self.for_each("scan", function, [{"unit": to_plain(unit)} for unit in left], len(units))
            exact = self.mended(units)
        done = self.work.all_done("scan", [unit.id for unit in units])
        account_scan(self.funnel, self.work, done, self.flow)

    def mended(self, units: list[Unit]) -> list[Unit]:
        """The units, those whose range did not begin where the one before it ended replaced by exact ones."""
        by_file: dict[str, list[tuple[Unit, Span | None]]] = {}
        warcs = [unit for unit in units if unit.kind == "warc"]
        for unit, facts in zip(warcs, self.work.all_done("scan", [unit.id for unit in warcs]), strict=True):
            by_file.setdefault(unit.name, []).append((unit, facts["span"] and tuple(facts["span"])))
        for read in by_file.values():
            for old, new in misplaced(read):
                paths.delete_file(self.work.done_path("scan", old.id))  # first: what is half deleted is not done
                for path in paths.list_files(self.work.folder):
                    if f"{old.id}." in path:
                        paths.delete_file(path)
                units = [new if unit == old else unit for unit in units]
        return units

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, UnitJob):
                self.unit_job(step)
            else:
                self.shuffle(step)

    def unit_job(self, job: UnitJob) -> None:
        """Runs the units of a job that are not done yet, then counts."""
        units = job.units(self.work)
        ready = self.work.done_parts(job.name)
        if left := [unit for unit in units if unit not in ready]:
            self.for_each(job.name, partial(job.function, places=self.places), [{"unit": u} for u in left], len(units))
        if job.account:
            job.account(self.funnel, self.work)

    def shuffle(self, shuffle: Shuffle, account: bool = True) -> None:
        """Runs what is not done yet of a shuffle, then counts."""
        self.shuffles.run(shuffle)
        if account:
            account_shuffle(self.funnel, self.work, shuffle)

    def fetch(self) -> None:
        """Plans what is missing from what the ledger says now, and works it off."""
        if self.work.is_done("fetch", "all"):
            if self.web.agent is not None and self.work.done("fetch", "all").get("offline"):
                refuse_online(self.output)
            return
        self.own.remove_garbage()
        self.shared.remove_garbage()
        addresses = rows_of(self.work, WANTED)
        workers = self.engine.workers
        buckets = Buckets(held=max(workers * 4, -(-addresses // TODO_PER_BUCKET)), web=workers)
        paths.delete_tree(self.work.path("facts", TODO.name))
        paths.delete_tree(self.work.path("done", "fetch"))
        paths.delete_tree(self.work.path("begun", "fetch"))
        plan = plan_shuffle(self.recipe, self.web, buckets)
        self.shuffles.forget(plan)
        self.shuffle(plan, account=False)
        function = partial(
            fetch_unit,
            work=self.work,
            inputs=self.plan.places,
            shared=self.shared,
            own=self.own,
            recipe=self.recipe,
            web=self.web,
            since=int(time.time()),
        )
        if units := sorted({path.split("/")[-2] for path in self.work.fact_files(TODO)}):
            self.for_each("fetch", function, [{"unit": unit} for unit in units], len(units))
        self.work.mark_done("fetch", "all", {"offline": self.web.agent is None})

    def deal(self) -> list[str]:
        """Deals the samples to shards; names of these."""
        counts, sizes = {"train": 0, "dev": 0}, {"train": 0, "dev": 0}
        for path in self.work.fact_files(SAMPLES):
            for split, (count, size) in sums_by(path, "split", "bytes").items():
                counts[split] += count
                sizes[split] += size
        numbers = {split: self.recipe.shards.count(counts[split], sizes[split]) for split in counts}
        self.shuffle(shard_shuffle(numbers, self.flow.sample_kind or self.flow.kind))
        planned = [shard_name(split, number) for split, count in numbers.items() for number in range(count)]
        filled = {path.split("/")[-2] for path in self.work.fact_files(SHARDS)}
        return [name for name in planned if name in filled]

    def write_shards(self, names: list[str]) -> list[Shard]:
        function = partial(
            write_shard,
            output=self.output,
            work=self.work,
            inputs=self.plan.places,
            shared=self.shared,
            own=self.own,
            recipe=self.recipe,
        )
        ready = self.work.done_parts("shards")
        if left := [name for name in names if name not in ready]:
            self.for_each("shards", function, [{"name": name} for name in left], len(names))
        shards = [from_plain(Shard, *both) for both in zip(self.work.all_done("shards", names), names, strict=True)]
        account_shards(self.funnel, shards, self.flow.sample_kind)
        return shards

    # --- helpers -----------------------------------------------------------------------------------------------------

    def for_each(self, job: str, function: Callable[..., None], units: Sequence[dict[str, Any]], total: int) -> None:
        paths.delete_tree(self.work.path("progress", job))
        with self.progress.watching(job, self.work, total):
            self.engine.for_each(job, function, units, self.mend(job, total))

    def mend(self, job: str, total: int) -> Mend:
        """What to do when a worker process has ended, as a unit of the job: first, remove what it left unfinished."""
        mending = Mending(job, self.options.max_deaths, self.progress.say, total)

        def mend(unit: Mapping[str, Any], deaths: Sequence[Death]) -> Mapping[str, Any]:
            paths.delete_unfinished(self.output, besides="media")
            paths.delete_tree(self.work.path(SCRATCH))
            self.own.remove_garbage()
            self.shared.remove_garbage()
            return mending(unit, deaths)

        return mend

    def ledger_digest(self) -> str:
        """Of the outcome of every address that was wanted, whatever their order: the sum of the rows' digests."""
        total = 0
        for path in self.work.fact_files(URLS):
            for plain in read_rows(path, UrlFact):
                total += int(UrlFact._make(plain).digest, 16)
        return f"{total % 16**32:032x}"
