"""The shuffles of a build of pages, by the build's own code, on made facts: python -m benchmarks.fact_flow FOLDER.

Prints a line of JSON when a shuffle begins, {"begins": NAME}, and when it is done: the rows and bytes that it read, its
wall time, how many files it wrote, and the rows of the largest. --spark starts a cluster of its own on this machine.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.fact_crawl import write_ledger, write_pages
from benchmarks.machine import ROOT
from engines.spark.cluster import cluster, spark_home
from pipelines.build import BuildOptions, Jobs
from pipelines.choose import ForSpark, chosen_engine
from pipelines.engine import Engine
from pipelines.facts import LEDGER, SAMPLES, SHARDS, FactSet, to_json
from pipelines.fetch import Buckets, Web, media_settings, plan_shuffle
from pipelines.flows import flow_of
from pipelines.plan import BYTES_PER_PARTITION, MAX_PARTITIONS, Plan
from pipelines.progress import Progress
from pipelines.recipe import Recipe, load_recipe, values
from pipelines.stage import Shuffle
from pipelines.store.facts import count_rows
from pipelines.store.media import MediaStore
from pipelines.web.config import Agent, TestAllowances
from schemas.keys import digest
from schemas.strict import to_plain

BYTES_PER_PAGE = 58_000
"""Input of a page with its pictures, as in the benchmark `whole_job`: decides the number of partitions."""


def run(folder: Path, recipe: Recipe, pages: int, images: int, engine: Engine) -> None:
    """Every shuffle in turn, on made pages and a made ledger."""
    flow = flow_of(recipe)
    partitions = min(MAX_PARTITIONS, max(1, -(-pages * BYTES_PER_PAGE // BYTES_PER_PARTITION)))
    plan = Plan(recipe=values(recipe), inputs=(), lists=(), places={}, units=(), partitions=partitions, allowances=())
    media, output = MediaStore(str(folder / "media")), str(folder)
    nobody = TestAllowances(loopback=False, pacing_off=False)
    web = Web(agent=Agent("OpenM3W", "0.1.0", "bench@example.org"), allowances=nobody, connections=1)
    options = BuildOptions(inputs=(), output=output)
    jobs = Jobs(recipe, plan, output, media, options, engine, web, Progress(quiet=True))

    def step(name: str, reads: Sequence[FactSet], writes: Sequence[FactSet], work: Callable[[], Any]) -> None:
        tell(begins=name)
        before = time.monotonic()
        work()
        seconds = time.monotonic() - before
        rows = sum(count_rows(path) for facts in reads for path in files(facts))
        written = [count_rows(path) for facts in writes for path in files(facts)]
        size = sum(Path(path).stat().st_size for facts in reads for path in files(facts))
        tell(name=name, rows=rows, bytes=size, seconds=seconds, files=len(written), largest=max(written))

    def files(facts: FactSet) -> list[str]:
        return media.ledger_files() if facts == LEDGER else jobs.work.fact_files(facts)

    def shuffle_step(shuffle: Shuffle, account: bool = True) -> None:
        reads = [read.facts for read in shuffle.reads]
        step(shuffle.name, reads, shuffle.writes, lambda: jobs.shuffle(shuffle, account))

    tell(begins="making")
    write_pages(jobs.work, pages, images)
    jobs.funnel.left["page"] = pages
    for shuffle in flow.select:
        assert isinstance(shuffle, Shuffle)
        shuffle_step(shuffle)
    shuffle_step(plan_shuffle(recipe, web, Buckets(held=engine.workers * 4, web=engine.workers)), account=False)
    tell(begins="making")
    write_ledger(jobs.work, media, media_settings(recipe))
    for shuffle in flow.write:
        assert isinstance(shuffle, Shuffle)
        shuffle_step(shuffle)
    step("shards", [SAMPLES], [SHARDS], jobs.deal)
    funnel = to_json([to_plain(row) for row in jobs.funnel.rows])
    tell(left=dict(jobs.funnel.left), funnel=digest(funnel))


def tell(**told: Any) -> None:
    print(json.dumps(told), flush=True)


@contextmanager
def chosen(spark: bool, folder: Path, recipe: Recipe) -> Iterator[Engine]:
    """This machine, or a cluster on it that ends with the block."""
    words = ForSpark(master="", job_server="", spark_submit="", spark_conf=(), worker_command="")
    if not spark:
        with chosen_engine("local", words, "1", recipe, (), lambda line: None) as engine:
            yield engine
        return
    with cluster(spark_home(ROOT / ".venv-spark"), folder / "cluster", memory="3g") as found:
        conf = [f"spark.master.ui.port={found.interface.rpartition(':')[2]}", "spark.executor.memory=2g"]
        conf += ["spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1"]
        jar = str(ROOT / "build/spark/job-server.jar")
        words = replace(words, master=found.master, job_server=jar, spark_conf=tuple(conf))
        with chosen_engine("spark", words, "2", recipe, (), lambda line: None) as engine:
            yield engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="empty; holds the facts")
    parser.add_argument("--recipe", default="m3w")
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=5, help="of a page")
    parser.add_argument("--spark", action="store_true")
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    with chosen(options.spark, options.folder, recipe) as engine:
        run(options.folder / "build", recipe, options.pages, options.images, engine)


if __name__ == "__main__":
    main()
