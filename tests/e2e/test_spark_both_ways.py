"""One build on a real Spark cluster, its first jobs by spark-submit, the others through the job server.

The smallest that has both ways (make test-engines): an application of spark-submit costs ten seconds or more before it
does anything. `make test-spark` builds all of the demo by each way alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builds import build_in, digests
from on_spark import JOB_SERVER, WORKER, needs_spark, settings, spark

from engines.spark.cluster import Cluster
from pipelines.engine import Build
from pipelines.spark.engine import Spark, SparkEngine, spark_engine
from pipelines.stage import ForEachUnit

pytestmark = [pytest.mark.timeout(900), needs_spark]
__all__ = ["spark"]

BY_SUBMIT = ("inputs", "scan", "page_duplicates.000000")
"""Jobs of units and a shuffle. The first: the application of the others then holds the cluster to the end."""


@dataclass
class BothWays:
    """Gives each job to one of two engines."""

    by_server: SparkEngine
    by_submit: SparkEngine
    workers: int = 2
    at_once: bool = True
    options: tuple[str, ...] = ()
    jobs: dict[str, SparkEngine] = field(default_factory=dict)

    def for_each(self, name: str, function: Any, units: Sequence[Mapping[str, Any]], *_: Any) -> None:
        self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))

    def run(self, name: str, build: Build) -> None:
        self.jobs[name] = self.by_submit if name in BY_SUBMIT else self.by_server
        self.jobs[name].run(name, build)

    def close(self) -> None:
        """Both are closed where they were made."""


@pytest.fixture
def both(spark: Cluster) -> Iterator[BothWays]:
    with ExitStack() as stack:
        by_server, by_submit = (
            stack.enter_context(
                closing(
                    spark_engine(
                        Spark(
                            master=spark.master,
                            workers=2,
                            conf=(*settings(spark), "spark.default.parallelism=4"),
                            job_server=str(JOB_SERVER),
                            worker_command=str(WORKER),
                            submit=submit,
                        ),
                        [],
                    )
                )
            )
            for submit in ("", str(spark.submit))
        )
        yield BothWays(by_server, by_submit)


def test_the_same_bytes(reference: Path, crawl: Path, recipe: Path, both: BothWays, tmp_path: Path) -> None:
    output = build_in(tmp_path / "out", crawl, recipe, both)
    assert digests(output) == digests(reference)
    submitted = {name for name, engine in both.jobs.items() if engine is both.by_submit}
    assert submitted == set(BY_SUBMIT) and len(both.jobs) > 10
