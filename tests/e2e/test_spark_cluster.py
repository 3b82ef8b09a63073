"""The demo on a real Spark cluster, by both ways that lead to one, gives the bytes of one machine (make test-spark)."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builds import digests
from crawls import CRAWL
from on_spark import JOB_SERVER, ROOT, WORKER, needs_spark, settings, spark

from engines.spark.cluster import Cluster
from pipelines.spark import boot
from pipelines.spark.engine import Spark, SparkEngine, spark_engine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    needs_spark,
]
__all__ = ["spark"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The demo, built in memory."""
    return digests(built(tmp_path_factory.mktemp("local") / "out"))


def built(output: Path, *options: object) -> Path:
    """The demo, built by the command."""
    ran(output, *options)
    return output


def ran(output: Path, *options: object) -> str:
    """What the command that builds the demo says."""
    command = [ROOT / ".venv/bin/python", "-m", "pipelines.cli", "build", "demo", "--offline"]
    command += ["--input", CRAWL, "--output", output, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr


def on(spark: Cluster) -> list[object]:
    own = ["--engine", "spark", "--master", spark.master, "--workers", 2]
    own += ["--job-server", JOB_SERVER, "--worker-command", WORKER]
    return own + [word for setting in settings(spark) for word in ("--spark-conf", setting)]


def children_of(pid: int) -> list[str]:
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == str(pid)
    ]


def test_two_worker_processes(local: dict[str, str], tmp_path: Path) -> None:
    assert digests(built(tmp_path / "out", "--workers", 2)) == local


def test_a_cluster_through_the_job_server(spark: Cluster, local: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    said = ran(output, *on(spark))
    assert digests(output) == local and len(local) > 10
    assert "spark.default.parallelism=8" in said and "--environment_cache_millis=10000" in said
    assert "Spark of the cluster 3.5.0" in said
    run = json.loads((output / "run.json").read_text())
    assert run["engine"] == "SparkEngine" and run["workers"] == 2


def test_a_cluster_by_spark_submit(spark: Cluster, local: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    said = ran(output, *on(spark), "--spark-submit", spark.submit, "--workers", 1)
    assert digests(output) == local
    assert "Scala of the cluster 2.12" in said


@pytest.fixture
def engine(spark: Cluster) -> Iterator[SparkEngine]:
    made = spark_engine(
        Spark(
            master=spark.master,
            workers=2,
            conf=(*settings(spark), "spark.task.maxFailures=2"),
            job_server=str(JOB_SERVER),
            worker_command=str(WORKER),
        ),
        [],
    )
    yield made
    made.close()
    made.log.path.unlink(missing_ok=True)  # kept after errors


def shell(command: str) -> dict[str, Any]:
    """Arguments of `subprocess.run`, a function that workers have."""
    return {"args": command, "shell": True, "check": True}


def test_a_worker_that_is_killed_is_replaced(engine: SparkEngine, tmp_path: Path) -> None:
    once = f"mkdir {tmp_path}/once 2>/dev/null && kill -9 $PPID; touch {tmp_path}/"
    engine.for_each("units", subprocess.run, [shell(f"{once}{number}") for number in range(6)])
    assert {path.name for path in tmp_path.iterdir()} == {"once", *map(str, range(6))}


def test_a_worker_that_is_killed_again_and_again_ends_the_job(engine: SparkEngine) -> None:
    with pytest.raises(RuntimeError, match=r"^units: a Python worker or its executor ended before its work did"):
        engine.for_each("units", subprocess.run, [shell("kill -9 $PPID")])


def test_a_unit_that_raises_is_told_with_its_words(engine: SparkEngine) -> None:
    with pytest.raises(RuntimeError, match=r"^units: .*Expecting value: line 1 column 1") as raised:
        engine.for_each("units", json.loads, [{"s": "[]"}, {"s": "?"}])
    assert "\tat " not in str(raised.value)
    assert "Traceback" in engine.log.path.read_text(), "and the whole is kept"


def test_a_worker_of_another_version_is_refused(spark: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.spark.engine.of_this_command", lambda: {**boot.versions(), "openm3w": "9.9"})
    words = Spark(
        master=spark.master,
        workers=1,
        conf=settings(spark),
        job_server=str(JOB_SERVER),
        worker_command=str(WORKER),
    )
    other = spark_engine(words, [])
    try:
        with pytest.raises(RuntimeError, match=f"could not start, exit code {boot.DOES_NOT_FIT}"):
            other.for_each("units", json.loads, [{"s": "[]"}])
    finally:
        other.close()
        other.log.path.unlink(missing_ok=True)


def test_a_worker_out_of_an_archive(spark: Cluster, tmp_path: Path) -> None:
    """Unpacked by Spark into the executor's working folder, and started by a path in it."""
    program = tmp_path / "m3w-worker"
    program.write_text(f'#!/bin/sh\nexec {WORKER} "$@"\n')
    program.chmod(0o755)
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(program, "bin/m3w-worker")
    engine = spark_engine(
        Spark(
            master=spark.master,
            workers=2,
            conf=(*settings(spark), f"spark.archives={tmp_path}/packed.tar.gz#openm3w"),
            job_server=str(JOB_SERVER),
            worker_command="openm3w/bin/m3w-worker",
        ),
        [],
    )
    try:
        engine.for_each("units", subprocess.run, [shell(f"touch {tmp_path}/{number}") for number in range(4)])
    finally:
        engine.close()
    assert {str(number) for number in range(4)} <= {path.name for path in tmp_path.iterdir()}


def test_nothing_is_left_running(engine: SparkEngine) -> None:
    engine.for_each("units", json.loads, [{"s": "[]"}])
    before = children_of(os.getpid())
    engine.close()
    assert len(children_of(os.getpid())) < len(before), "the job server has ended"
    assert not engine.log.path.exists()
