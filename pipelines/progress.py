"""What a person sees while a build runs, and the times that go into run.json."""

import json
import os
import platform
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.console import Console

from pipelines.store import paths
from pipelines.store.secrets import without_secrets
from pipelines.store.work import Work


class Progress:
    """Jobs, units and rates, on one live line if the terminal can show it."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.quiet = quiet
        self.started = time.time()
        self.jobs: dict[str, float] = {}
        self.seen: dict[str, dict[str, int]] = {}

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def job(self, name: str, things: str) -> Iterator[None]:
        """Times a job."""
        begin = time.monotonic()
        yield
        took = self.jobs[name] = time.monotonic() - begin
        count = self.seen.get(name, {}).get(things, 0)
        rate = f", {count} {things}, {count / took:.0f} {things}/s" if count else ""
        self.say(f"{name:8s} {took:6.1f} s{rate}")

    @contextmanager
    def watching(self, job: str, work: Work, total: int) -> Iterator[None]:
        """Shows how far the units of a job are while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(job, work, total, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.seen["write" if job == "shards" else job] = dict(self._counts(job, work)[1])

    def _watch(self, job: str, work: Work, total: int, stop: threading.Event) -> None:
        if not self.console.is_terminal or self.quiet:
            return
        begin = time.monotonic()
        with self.console.status(job) as status:
            while not stop.wait(1):
                units, counts = self._counts(job, work)
                took = time.monotonic() - begin
                rates = ", ".join(f"{n} {what} ({n / took:.0f}/s)" for what, n in counts.items())
                status.update(f"{job}: {units} of {total} units, {rates or 'starting workers'}, {took:.0f} s")

    def _counts(self, job: str, work: Work) -> tuple[int, Counter[str]]:
        counts: Counter[str] = Counter()
        if not paths.is_remote(work.folder):
            for path in paths.list_files(work.path("progress", job)):
                counts.update(json.loads(paths.read_bytes(path)))
        return len(paths.list_files(work.path("done", job))), counts

    def save(self, path: str, engine: Any) -> None:
        """Writes run.json: all that differs between equal runs."""
        facts = {
            "started": datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds"),
            "seconds": round(time.time() - self.started, 1),
            "jobs": {name: round(seconds, 1) for name, seconds in self.jobs.items()},
            "counts": self.seen,
            "engine": type(engine).__name__,
            "workers": engine.workers,
            "options": without_secrets(engine.options),
            "command": without_secrets(sys.argv),
            "host": platform.node(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "apache-beam": version("apache-beam"),
        }
        paths.publish(path, (json.dumps(facts, indent=1) + "\n").encode())
