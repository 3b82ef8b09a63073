"""What the tests on a real Spark cluster share; `make test-spark` and `make test-engines` set up what they need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.spark.cluster import Cluster, ClusterError, cluster, spark_home

ROOT = Path(__file__).parents[2]
JOB_SERVER = ROOT / "build/spark/job-server.jar"
WORKER = ROOT / "engines/spark/worker.sh"
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For programs that run for seconds."""


def home() -> Path | None:
    try:
        return spark_home(ROOT / ".venv-spark")
    except ClusterError:
        return None


needs_spark = pytest.mark.skipif(
    not JOB_SERVER.exists() or home() is None, reason="`make test-spark` sets up what it needs"
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one host with two cores."""
    place = home()
    assert place is not None
    with cluster(place, tmp_path_factory.mktemp("cluster"), workers=1, cores=2, memory="2g") as found:
        yield found


def settings(spark: Cluster) -> tuple[str, ...]:
    """Spark's, for a cluster on this machine alone."""
    return (
        f"spark.master.ui.port={spark.interface.rpartition(':')[2]}",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.ui.enabled=false",
        "spark.executor.memory=1g",
        f"spark.driver.extraJavaOptions={QUICK_JAVA}",
        f"spark.executor.extraJavaOptions={QUICK_JAVA}",
    )
