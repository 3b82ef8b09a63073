"""A standalone Spark cluster on this machine, for tests: the real master and workers, from PyPI's pyspark.

    python engines/spark/cluster.py start --spark .venv-spark --folder build/spark/cluster
    python engines/spark/cluster.py stop --folder build/spark/cluster

`start` prints the master's address. Logs and the workers' scratch files stand in the folder; `stop` removes the
scratch files. All listen on 127.0.0.1 only.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SECONDS_TO_START = 90.0
SECONDS_TO_END = 20.0
DAEMON_MEMORY = "256m"
"""Heap of the master and of each worker, which only keep count; executors are processes of their own."""
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ClusterError(RuntimeError):
    """A cluster that does not start."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs."""

    home: Path
    """Spark's own folder, with `bin` and `jars`."""
    master: str
    """spark://..."""
    interface: str
    """Address of the master's web page."""
    pids: tuple[int, ...]
    """The master's, then the workers'."""

    @property
    def submit(self) -> Path:
        return self.home / "bin" / "spark-submit"


def spark_home(environment: Path) -> Path:
    """Spark in a virtual environment that has pyspark, or the folder itself if it is a Spark.

    Raises:
        ClusterError: there is none.
    """
    for place in (environment, *sorted(environment.glob("lib/python3*/site-packages/pyspark"))):
        if (place / "jars").is_dir():
            return place.resolve()
    raise ClusterError(f"{environment}: no Spark here; pip install pyspark==3.5.0 into a virtual environment")


def start(home: Path, folder: Path, workers: int = 1, cores: int = 2, memory: str = "3g") -> Cluster:
    """Starts a master and `workers` workers of `cores` cores and `memory` each, and waits until they know each other.

    Raises:
        ClusterError: one runs in the folder already, or they did not start in time.
    """
    if running(folder):
        raise ClusterError(f"{folder}: a cluster of this folder runs; stop it first")
    folder.mkdir(parents=True, exist_ok=True)
    port, page = free_ports(2)
    master, interface = f"spark://{HOST}:{port}", f"http://{HOST}:{page}"
    pids: list[int] = []
    try:
        own = ["--host", HOST, "--port", str(port), "--webui-port", str(page)]
        pids.append(daemon(home, folder, "master", "org.apache.spark.deploy.master.Master", *own))
        save(folder, pids)
        for number in range(workers):
            name = f"worker-{number}"
            own = ["--host", HOST, "--webui-port", "0", "--cores", str(cores), "--memory", memory]
            own += ["--work-dir", str((folder / name).resolve()), master]
            pids.append(daemon(home, folder, name, "org.apache.spark.deploy.worker.Worker", *own))
            save(folder, pids)
        wait_for(interface, workers, folder)
    except BaseException:
        stop(folder)
        raise
    return Cluster(home, master, interface, tuple(pids))


def stop(folder: Path) -> None:
    """Ends the processes of a cluster, workers first, and removes their scratch files; nothing if none runs."""
    pids = running(folder)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + SECONDS_TO_END
    while running(folder) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in running(folder):
        os.kill(pid, signal.SIGKILL)
    (folder / "pids.json").unlink(missing_ok=True)
    for scratch in folder.glob("worker-*/"):
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def cluster(home: Path, folder: Path, workers: int = 1, cores: int = 2, memory: str = "3g") -> Iterator[Cluster]:
    """A cluster for the time of a block."""
    found = start(home, folder, workers, cores, memory)
    try:
        yield found
    finally:
        stop(folder)


def daemon(home: Path, folder: Path, name: str, program: str, *arguments: str) -> int:
    """Starts one of Spark's daemons; its process id."""
    with (folder / f"{name}.log").open("wb") as log:
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_CONF_DIR": str(
                folder.resolve()
            ),  # none: what this machine has set for a Spark of its own is not read
            "SPARK_DAEMON_MEMORY": DAEMON_MEMORY,
            "SPARK_LOCAL_IP": HOST,
        }
        command = [str(home / "bin" / "spark-class"), program, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    return process.pid  # spark-class becomes Java


def wait_for(interface: str, workers: int, folder: Path) -> None:
    """Waits until the master's page counts `workers` workers."""
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        try:
            with _HTTP.open(f"{interface}/json/", timeout=5) as answer:
                if json.load(answer)["aliveworkers"] >= workers:
                    return
        except (OSError, ValueError):
            if not running(folder):
                break
        time.sleep(0.2)
    tail = "\n".join((folder / "master.log").read_text(errors="replace").splitlines()[-5:])
    raise ClusterError(f"the cluster did not start; {folder}/*.log say why. The master's last words:\n{tail}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [made.getsockname()[1] for made in sockets]
    finally:
        for made in sockets:
            made.close()


def save(folder: Path, pids: list[int]) -> None:
    """Notes process ids with what tells a process from a later one of the same number."""
    (folder / "pids.json").write_text(json.dumps({pid: began(pid) for pid in pids}))


def running(folder: Path) -> list[int]:
    """Process ids of the folder's cluster that are still running."""
    path = folder / "pids.json"
    noted = json.loads(path.read_text()) if path.exists() else {}
    return [int(pid) for pid, when in noted.items() if when is not None and began(int(pid)) == when]


def began(pid: int) -> str | None:
    """When a process began, or None if it is none or has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state[0] == "Z" else state[19]  # field 22 of proc(5): starttime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("--spark", type=Path, default=Path(".venv-spark"), help="virtual environment with pyspark")
    parser.add_argument("--folder", type=Path, default=Path("build/spark/cluster"), help="for logs and scratch files")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2, help="of each worker")
    parser.add_argument("--memory", default="3g", help="of each worker, for its executors")
    given = parser.parse_args()
    if given.what == "stop":
        stop(given.folder)
        return
    try:
        found = start(spark_home(given.spark), given.folder, given.workers, given.cores, given.memory)
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
    print(found.master)


if __name__ == "__main__":
    main()
