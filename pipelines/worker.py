"""Worker processes of the local engine: forked from one server, itself a fork of the driver if it can be, and watched.

Beam's own are started by a shell, import Beam for some seconds in every job, and are waited for for ever when they have
died.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from multiprocessing import forkserver, resource_tracker, util
from typing import Any, ClassVar

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from google.protobuf import json_format

from pipelines.claims import stop

_MALLOC_ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc
SECONDS_TO_END = 5.0
"""What a worker that is no longer needed gets before it is killed; only one in the middle of a unit needs them."""
WORKER_ENDED = (
    "a worker process ended before its work did (killed, or out of memory?); "
    "the same command goes on where it stood, with fewer --workers if memory was short"
)
ended: dict[int, int] = {}
"""Exit codes of the workers that ended before they were told to, by process id."""

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["pipelines.worker_preload"])


def start_server() -> None:
    """Starts the server, if none runs.

    On Linux, as long as the driver has one thread, the server is a fork of it: what it has imported costs neither time
    nor memory again. A fork of several threads may wait for ever for a lock that one of them held; then the server is
    Python's own, a new interpreter that imports while the driver plans.
    """
    linux = sys.platform == "linux"
    if linux and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        # glibc's arenas, up to 8 for each core, each keep what a thread once needed.
        libc.mallopt(_M_ARENA_MAX, _MALLOC_ARENAS)
    resource_tracker.ensure_running()  # first: it is started as the server is, but must be a process of its own
    start = util.spawnv_passfds
    if linux and threading.active_count() == 1:
        gc.freeze()  # the collector marks what it looks at, and a page that one process writes to is shared no longer
        util.spawnv_passfds = _fork  # type: ignore[assignment]
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = start


def _fork(_path: object, arguments: Sequence[str], kept: Iterable[int]) -> int:
    """What `multiprocessing.util.spawnv_passfds` does for `python -c CODE`, in a fork; the process id."""
    sys.stdout.flush()  # or the child would print it again
    sys.stderr.flush()
    if child := os.fork():
        return child
    try:
        begin = 3
        for descriptor in sorted(kept):
            os.closerange(begin, descriptor)
            begin = descriptor + 1
        os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
        exec(arguments[-1], {})
    finally:
        os._exit(0)


def work(environment: dict[str, str]) -> None:
    """What a worker process does: Beam's own main, without the lines that it prints at every start and every error."""
    # First: Ctrl-C, which the terminal sends to all, ends a worker without a traceback. It must end it: the driver,
    # which tells what happened, waits for its workers, and one in the middle of a unit would wait for the driver.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    from apache_beam.runners.worker import sdk_worker, sdk_worker_main  # they warn as they are imported

    sdk_worker.print = lambda *_, **__: None  # it prints the traceback that it also sends to the driver
    try:
        sdk_worker_main.main([])
    except grpc.RpcError:  # the driver has gone
        sys.exit(1)


def how_ended(pid: int) -> str:
    """In a few words, how a worker ended: a signal by its name, or its exit code."""
    code = ended.get(pid, 0)
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(worker_handlers.GrpcWorkerHandler):
    """The driver's side of a worker process: takes the place of Beam's."""

    started: ClassVar[list["WatchedWorkerHandler"]] = []
    """All of this process that were not closed."""
    claims: ClassVar[str] = ""
    """The folder from which workers take units, if they do."""
    closing = False

    def __init__(self, _command: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)

    def start_worker(self) -> None:
        environment = {
            **os.environ,
            "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{self.control_address}"',
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }
        self.process = _server.Process(target=work, args=(environment,), daemon=True)
        self.process.start()
        self.pid = int(self.process.pid or 0)
        ended.pop(self.pid, None)  # of an earlier process with the same number
        self.started.append(self)
        self.watcher = threading.Thread(name="watch_worker", target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        """Answers in the place of a worker that has ended before it was told to, when the others have no work left.

        At the first such answer Beam ends the job, and with it the others in the middle of their units. They take no
        more of these: a new round has all its workers again.
        """
        self.process.join()
        if not self.closing:
            ended[self.pid] = self.process.exitcode or 0
            if self.claims:
                stop(self.claims)
        why = f"{WORKER_ENDED}: {how_ended(self.pid)}"
        while not self.closing:
            if not any(other.busy() for other in list(self.started)):
                for number, future in list(self.control_conn._futures_by_id.items()):
                    future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=number, error=why))
            time.sleep(0.1)

    def busy(self) -> bool:
        """Whether the worker lives and owes an answer."""
        return self.pid not in ended and bool(self.control_conn._futures_by_id)

    def close(self) -> None:
        self.closing = True
        self.started.remove(self)
        super().close()

    def stop_worker(self) -> None:
        self.watcher.join(SECONDS_TO_END)
        if self.watcher.is_alive():
            self.process.kill()
            self.watcher.join()
