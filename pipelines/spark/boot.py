"""`m3w-worker`: what an executor of Spark starts, with Beam's arguments, to have Python at its side.

It is to an environment of the type PROCESS what Beam's own boot program is to a container: asks the executor where its
services are, and becomes Beam's worker. Nothing is downloaded or installed: the worker is the installation that this
command belongs to, which must be the submitter's in all that matters; if it is not, the worker does not start.
"""

import argparse
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

EXPECTED = "M3W_EXPECTED_VERSIONS"
"""Environment variable with what `versions` was where the job was submitted: "NAME=VERSION NAME=VERSION"."""
DOES_NOT_FIT = 3
"""Exit code of a worker that is not what the submitter expects."""
LOST = 4
"""Exit code after a worker that was killed."""


def versions() -> dict[str, str]:
    """What must be the same in the command that submits a job and in the workers that run it."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "apache-beam": version("apache-beam"),
        "openm3w": version("openm3w"),
    }


def as_text(found: Mapping[str, str]) -> str:
    """Versions for EXPECTED."""
    return " ".join(f"{name}={text}" for name, text in found.items())


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """A line for each version that differs."""
    return [
        f"{name} {found.get(name, 'missing')} here, {wanted} where the job was submitted"
        for name, wanted in expected.items()
        if found.get(name) != wanted
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Checks what can be checked, then works, watched by a second process that stays small."""
    parser = argparse.ArgumentParser(prog="m3w-worker", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args(arguments)  # addresses of single services, which older Beams pass too
    expected = dict(pair.split("=") for pair in os.environ.get(EXPECTED, "").split())
    if faults := differences(expected, versions()):
        print(f"m3w-worker: on {platform.node()}: {'; '.join(faults)}", file=sys.stderr)
        sys.exit(DOES_NOT_FIT)
    executor = os.getppid()
    if child := os.fork():
        sys.exit(watch(child, executor))
    try:
        end_with(os.getppid())
        work(given.id, given.provision_endpoint)
    except BaseException:
        traceback.print_exc()
        flush()
        os._exit(1)
    flush()
    os._exit(0)  # whatever threads Beam has left


def work(worker: str, endpoint: str) -> None:
    """Beam's worker, until its executor has no more work for it."""
    os.environ.update(environment(worker, provision_info(worker, endpoint)))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def watch(worker: int, executor: int) -> int:
    """Waits for the worker's end; the exit code.

    One that was killed, mostly because memory was short, is lost to its executor: Beam would give it work again until
    the job fails. So the executor is ended too: Spark starts another one, which repeats what this one did. Unless it
    was the executor itself that needs its worker no longer, and said so by SIGTERM.
    """
    dismissed = False

    def dismiss(*_: object) -> None:
        nonlocal dismissed
        dismissed = True
        os.kill(worker, signal.SIGKILL)

    signal.signal(signal.SIGTERM, dismiss)
    end_with(executor, worker)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if code >= 0 or dismissed or os.getppid() != executor:
        return abs(code)
    print(f"m3w-worker: the worker was killed by {signal.Signals(-code).name}; its executor goes too", file=sys.stderr)
    if is_executor(executor):
        os.kill(executor, signal.SIGTERM)
    return LOST


def is_executor(process: int) -> bool:
    """Whether a process is an executor and nothing else: not the driver, which local[N] has for one."""
    try:
        return b"CoarseGrainedExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def provision_info(worker: str, endpoint: str) -> Any:
    """What the executor says about the job and its own services (Beam's ProvisionInfo)."""
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2 as messages
    from apache_beam.portability.api import beam_provision_api_pb2_grpc as service
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor

    with grpc.insecure_channel(endpoint) as channel:
        named = grpc.intercept_channel(channel, WorkerIdInterceptor(worker))
        return service.ProvisionServiceStub(named).GetProvisionInfo(messages.GetProvisionInfoRequest(), timeout=60).info


def environment(worker: str, info: Any) -> dict[str, str]:
    """The environment variables by which Beam's worker learns what it needs."""
    from google.protobuf import json_format, text_format

    found = {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    for name in ("logging", "control", "status"):
        if (endpoint := getattr(info, f"{name}_endpoint")).url:
            found[f"{name.upper()}_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(endpoint)
    return found


def end_with(parent: int, child: int = 0) -> None:
    """Ends this process, and its child, when `parent` has ended, also by SIGKILL.

    Beam's worker would go on to the end of its unit.
    """

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        if child:
            os.kill(child, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, name="watch_parent", daemon=True).start()


def flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


if __name__ == "__main__":
    main()
