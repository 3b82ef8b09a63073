"""The shuffles of a build of pages, by the build's own code, on made facts: python -m benchmarks.fact_flow FOLDER.

Prints a line of JSON when it begins and when a shuffle is done: its name, the rows that it read, its wall time, how
many files it wrote, and the rows of the largest.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.fact_crawl import write_ledger, write_pages
from pipelines.build import BuildOptions, Jobs
from pipelines.choose import ForSpark, chosen_engine
from pipelines.engine import Engine
from pipelines.facts import LEDGER
from pipelines.fetch import Buckets, Web, media_settings, plan_shuffle
from pipelines.flows import flow_of
from pipelines.plan import BYTES_PER_PARTITION, MAX_PARTITIONS, Plan
from pipelines.progress import Progress
from pipelines.recipe import load_recipe, values
from pipelines.stage import Shuffle
from pipelines.store.facts import count_rows
from pipelines.store.media import MediaStore
from pipelines.web.config import Agent, TestAllowances

BYTES_PER_PAGE = 58_000
"""Input of a page with its pictures, as in the benchmark `whole_job`: decides the number of partitions."""
Say = Callable[[dict[str, Any]], None]


def run(folder: Path, recipe_file: str, pages: int, images: int, engine: Engine, say: Say) -> None:
    """Every shuffle in turn."""
    recipe = load_recipe(recipe_file)
    flow = flow_of(recipe)
    partitions = min(MAX_PARTITIONS, max(1, -(-pages * BYTES_PER_PAGE // BYTES_PER_PARTITION)))
    plan = Plan(recipe=values(recipe), inputs=(), lists=(), places={}, units=(), partitions=partitions, allowances=())
    media, output = MediaStore(str(folder / "media")), str(folder)
    nobody = TestAllowances(loopback=False, pacing_off=False)
    web = Web(agent=Agent("OpenM3W", "0.1.0", "bench@example.org"), allowances=nobody, connections=1)
    options = BuildOptions(inputs=(), output=output)
    jobs = Jobs(recipe, plan, output, media, options, engine, web, Progress(quiet=True))

    def step(shuffle: Shuffle, work: Callable[[], Any]) -> None:
        before = time.monotonic()
        work()
        seconds = time.monotonic() - before
        rows = sum(count_rows(path) for read in shuffle.reads if read.facts != LEDGER for path in files(read.facts))
        rows += sum(map(count_rows, media.ledger_files())) if LEDGER in {read.facts for read in shuffle.reads} else 0
        written = [count_rows(path) for facts in shuffle.writes for path in files(facts)]
        say(
            {
                "shuffle": shuffle.name,
                "rows": rows,
                "seconds": seconds,
                "files": len(written),
                "largest": max(written),
            }
        )

    def files(facts: Any) -> Iterable[str]:
        return jobs.work.fact_files(facts)

    before = time.monotonic()
    write_pages(jobs.work, pages, images)
    say({"shuffle": "", "rows": pages, "partitions": partitions, "seconds": time.monotonic() - before})
    jobs.funnel.left["page"] = pages
    for shuffle in flow.select:
        step(shuffle, lambda s=shuffle: jobs.shuffle(s))
    fetch = plan_shuffle(recipe, web, Buckets(held=engine.workers * 4, web=engine.workers))
    step(fetch, lambda: jobs.shuffle(fetch, account=False))
    write_ledger(jobs.work, media, media_settings(recipe))
    for shuffle in flow.write:
        step(shuffle, lambda s=shuffle: jobs.shuffle(s))
    before = time.monotonic()
    shards = jobs.deal()
    say(
        {
            "shuffle": "shards",
            "rows": jobs.funnel.left["sample"],
            "seconds": time.monotonic() - before,
            "uneven": 1.0,
            "shards": len(shards),
        }
    )


def tell(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="empty; holds the facts")
    parser.add_argument("--recipe", default="m3w")
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=10, help="of a page")
    options = parser.parse_args()
    words = ForSpark(master="", job_server="", spark_submit="", spark_conf=(), worker_command="")
    with chosen_engine("local", words, 1, (), print) as engine:
        run(
            options.folder,
            options.recipe,
            options.pages,
            options.images,
            engine,
            lambda told: print(json.dumps(told), flush=True),
        )


if __name__ == "__main__":
    main()
