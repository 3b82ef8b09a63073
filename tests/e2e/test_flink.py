"""Beam's job server for Flink, with a whole Flink in it, gives the same bytes (make test-flink)."""

import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import build_in, digests

from engines.spark.cluster import free_ports
from pipelines.engine import Engine, engine
from pipelines.spark.leash import leashed

JAR = Path(__file__).parents[2] / "build/flink/job-server.jar"
SECONDS_TO_START = 90
OPENED = ("java.base/java.lang", "java.base/java.util", "java.base/java.nio", "java.base/java.time")
"""What Flink's serializers look into, which Java 17 keeps closed."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),  # threads of jobs that are done
    pytest.mark.skipif(not JAR.exists(), reason="`make test-flink` builds the job server"),
]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def flink(tmp_path: Path) -> Iterator[Engine]:
    """An engine of a job server that runs each job on a Flink in its own Java; our code runs in this process."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    job, artifact, expansion = free_ports(3)
    command = ["java", "-Xmx1g", *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENED), "-jar", str(JAR)]
    command += ["--flink-master=[local]", "--job-host=localhost", f"--job-port={job}", f"--artifact-port={artifact}"]
    command += [f"--expansion-port={expansion}", f"--artifacts-dir={tmp_path / 'artifacts'}"]
    with (tmp_path / "flink.log").open("wb") as log:
        server = subprocess.Popen(leashed(command), stdout=log, stderr=log)
    try:
        until = time.monotonic() + SECONDS_TO_START
        while not answers(job):
            assert server.poll() is None and time.monotonic() < until, (tmp_path / "flink.log").read_text()[-3000:]
            time.sleep(0.2)
        yield engine(1, ["--runner=PortableRunner", f"--job_endpoint=localhost:{job}", "--environment_type=LOOPBACK"])
    finally:
        server.terminate()
        server.wait()


def test_the_same_bytes(reference: Path, crawl: Path, recipe: Path, flink: Engine, tmp_path: Path) -> None:
    output = build_in(tmp_path / "out", crawl, recipe, flink)
    assert digests(output) == digests(reference)
