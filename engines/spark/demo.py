"""`make spark-demo`: the demo on a real Spark cluster on this machine, and whether it is the demo of one machine.

Starts a cluster, builds, compares every byte, stops the cluster. Leaves build/demo/m3w and build/demo/m3w-spark.
"""

import filecmp
import subprocess
import sys
import time
from pathlib import Path

from engines.spark.cluster import Cluster, ClusterError, cluster, spark_home

ROOT = Path(__file__).parents[2]
LOCAL, ON_SPARK = ROOT / "build/demo/m3w", ROOT / "build/demo/m3w-spark"
COMPARED = ("_SUCCESS", "manifest.json", "report.json", "README.md", "dead_letters", "shards")


def build(output: Path, *options: str) -> float:
    """Builds the demo by the command; seconds."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "pipelines.cli", "build", "demo", "--input", "demo/crawl.warc.gz"]
    command += ["--output", str(output), "--offline", "--fresh", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
    return time.monotonic() - begin


def options_for(spark: Cluster) -> list[str]:
    """Everything of this machine only."""
    settings = [
        f"spark.master.ui.port={spark.interface.rpartition(':')[2]}",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.executor.memory=1g",
    ]
    options = ["--engine=spark", f"--master={spark.master}", "--workers=2"]
    options += [f"--job-server={ROOT / 'build/spark/job-server.jar'}"]
    return options + [f"--spark-conf={setting}" for setting in settings]


def differences(one: Path, other: Path) -> list[str]:
    """Files of a data set that are not the same in both."""
    names = {
        str(path.relative_to(folder))
        for folder in (one, other)
        for name in COMPARED
        for path in (folder / name, *(folder / name).glob("*"))
        if path.is_file()
    }
    return sorted(filecmp.cmpfiles(one, other, sorted(names), shallow=False)[1]) + sorted(
        filecmp.cmpfiles(one, other, sorted(names), shallow=False)[2]
    )


def main() -> None:
    print("On one machine:", flush=True)
    seconds = build(LOCAL)
    try:
        with cluster(spark_home(ROOT / ".venv-spark"), ROOT / "build/spark/cluster", memory="2g") as spark:
            print(f"\nOn {spark.master}, a cluster of one worker with two cores:", flush=True)
            on_spark = build(ON_SPARK, *options_for(spark))
    except ClusterError as error:
        sys.exit(f"spark-demo: {error}")
    if found := differences(LOCAL, ON_SPARK):
        sys.exit(f"spark-demo: {', '.join(found)} differ")
    print(f"\nThe same bytes, in {seconds:.0f} s on one machine and in {on_spark:.0f} s on Spark.")


if __name__ == "__main__":
    main()
