"""`make container-check`: carries out the Dockerfile's steps, and tries what came out as the image would be used.

Without a container engine: see `engines.container.rootfs` for what stands for what. Every program runs as the image's
user, with mounts and process numbers of its own, as process 1, by the image's ENTRYPOINT.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from engines.container.dockerfile import DockerfileError
from engines.container.execute import FOLDER, ROOT, execute, size
from engines.container.rootfs import Root, RootError
from engines.spark.demo import differences

CRAWL = ROOT / "demo/crawl.warc.gz"
POOL_PORT = 50000
"""Beam's boot program knows no other."""
BUILD = ("build", "demo", "--input", "/data/crawl.warc.gz", "--offline", "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default="plain", choices=["plain", "aws", "gcp"])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    try:
        root = execute(given.folder, {"PACKAGES": given.packages})
    except (DockerfileError, RootError) as error:
        sys.exit(f"container-check: {error}")
    data = shared(given.folder / "data", root)
    says(root, data)
    on_its_own(root, data)
    stops_when_told(root, data)
    as_workers(root, data)
    whole, ours = size(root.folder) / 1e6, size(root.folder / "opt") / 1e6
    print(f"container-check: all is well; {whole:.0f} MB, of which {ours:.0f} in /opt")


def shared(folder: Path, root: Root) -> Path:
    """A folder that the image's user may write, with the demo's crawl."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(CRAWL, folder)
    os.chown(folder, int(root.user), int(root.user))
    return folder


def ran(root: Root, data: Path, *words: str) -> str:
    """What the image says to `words`; ends the check if it fails."""
    command = root.started([*root.entrypoint, *(words or root.command)], shared=data)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        sys.exit(f"container-check: {' '.join(words)}: exit code {done.returncode}\n{said}")
    return done.stdout


def expect(what: str, holds: bool) -> None:
    print(f"  {'yes' if holds else 'NO '}  {what}", flush=True)
    if not holds:
        sys.exit(f"container-check: {what}: not so")


def says(root: Root, data: Path) -> None:
    expect("without words it shows what it can do", "Usage" in ran(root, data))
    expect("m3w --version", ran(root, data, "--version").startswith("openm3w "))
    health = subprocess.run(root.started(root.health), capture_output=True, text=True, check=False)
    expect("the health command", health.returncode == 0 and "m3w: good" in health.stdout)
    identity = subprocess.run(root.started(["id", "--user"]), capture_output=True, text=True, check=False).stdout
    expect("it is not root", identity.strip() == root.user != "0")
    own = ["find", "/opt", "/usr", "/etc", "-writable", "-not", "-type", "l", "-print", "-quit"]
    found = subprocess.run(root.started(own), capture_output=True, text=True, check=False)
    expect("its user may change nothing of it", not found.stdout.strip())
    compiled = "from pipelines.extract import html_reader; print(html_reader.__file__)"
    where = subprocess.run(root.started(["python", "-c", compiled]), capture_output=True, text=True, check=False)
    expect("extraction is compiled", where.stdout.strip().endswith(".so"))


def on_its_own(root: Root, data: Path) -> None:
    ran(root, data, *BUILD, "--output", "/data/alone", "--workers", "2")
    ran(root, data, "verify", "/data/alone")
    expect("the demo, built and verified", (data / "alone/_SUCCESS").exists())


def stops_when_told(root: Root, data: Path) -> None:
    """SIGINT, the Dockerfile's STOPSIGNAL, to process 1; then the build goes on."""
    begun = [*root.entrypoint, *BUILD, "--output", "/data/stopped"]
    process = subprocess.Popen(root.started(begun, shared=data), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (data / "stopped/plan.json").exists(), "a plan")
    (first,) = psutil.Process(process.pid).children()  # process 1 of the image
    first.send_signal(signal.SIGINT)
    code = process.wait(timeout=60)
    expect(f"a build that is told to stop does, with exit code 130 ({code})", code == 130)
    ran(root, data, *BUILD, "--output", "/data/stopped")
    expect("and goes on to the same bytes", same(data / "alone", data / "stopped"))


def as_workers(root: Root, data: Path) -> None:
    """Beam's boot program starts workers in one container for a job that is submitted from another."""
    with pool(root, data):
        beam = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL"]
        beam += [f"--environment_config=localhost:{POOL_PORT}"]
        ran(root, data, *BUILD, "--output", "/data/by-workers", "--", *beam)
    log = (data.parent / "pool.log").read_text(errors="replace")
    expect("the entry point as a pool of Beam's workers: the same bytes", same(data / "alone", data / "by-workers"))
    expect("whose workers Beam's boot program started", "/opt/apache/beam/boot" in log)


@contextmanager
def pool(root: Root, data: Path) -> Iterator[None]:
    """The entry point with --worker_pool, as an executor's neighbour would be started."""
    words = [*root.entrypoint, "--worker_pool"]
    (data.parent / "pool.log").unlink(missing_ok=True)
    with (data.parent / "pool.log").open("wb") as log:
        started = root.started(words, shared=data)
        process = subprocess.Popen(started, stdout=log, stderr=log)
        try:
            wait_for(lambda: answers(POOL_PORT), "the pool of workers")
            yield
        finally:
            process.kill()  # unshare heeds nothing else, and takes what it started along
            process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


def same(one: Path, other: Path) -> bool:
    return not differences(one, other)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"container-check: waited in vain for {what}")


if __name__ == "__main__":
    main()
