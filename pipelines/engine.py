"""What runs a pipeline: Beam's FnApiRunner on this machine by name, or whatever runner Beam's own options ask for.

Bare `DirectRunner` may switch to another runner (and download it), so the local runner is always named. Work on units
goes to `workers` processes; shuffles of facts stay in this process, where they are small and no data plane can lose
them. Beam's parallel local modes flush their data plane from a timer that races with the writer and loses elements
silently (`docs/architecture.md`, tests/test_engine.py): the timer is switched off here, and a pipeline that asks for it
is refused.
"""

import argparse
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import apache_beam as beam
import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import EmbeddedPythonEnvironment, SubprocessSDKEnvironment

from pipelines import worker
from pipelines.claims import Death, unfinished
from pipelines.stage import ForEachUnit
from pipelines.worker import WORKER_ENDED

Build = Callable[[Any], Any]
"""Adds the transforms of a job to a pipeline."""
Units = Sequence[Mapping[str, Any]]
Mend = Callable[[Mapping[str, Any], Sequence[Death]], Mapping[str, Any]]
"""(unit, what its workers were at when they ended) -> the unit to run next, alone; raises if there is no use."""


_FALLEN_AT_ONCE = 10
"""Units whose workers ended, after which they are looked at before others are begun."""


class EngineError(ValueError):
    """Options that must not or cannot be used; the message says the cure."""


class WorkerEndedError(RuntimeError):
    """A worker process ended before its work did."""


def no_mending(unit: Mapping[str, Any], deaths: Sequence[Death]) -> Mapping[str, Any]:
    """The end of a job whose worker ended."""
    raise WorkerEndedError(f"{WORKER_ENDED}: {deaths[-1].how} {deaths[-1].name}")


class Engine(Protocol):
    """Runs a pipeline to its end, or raises."""

    workers: int
    at_once: bool
    """Whether a shuffle takes all partitions at once (a cluster) or one after the other (one machine)."""

    def run(self, name: str, build: Build) -> None:
        """Runs the pipeline that `build` makes."""

    def for_each(self, name: str, function: Callable[..., None], units: Units, mend: Mend = no_mending) -> None:
        """Runs `function(**unit)` for each unit of work, each at least once; see `ForEachUnit`.

        Args:
            mend: on one machine says what to do with a unit whose worker process ended; a cluster has its own ways.
        """

    def close(self) -> None:
        """Ends what runs for all pipelines."""


@dataclass
class LocalEngine:
    """FnApiRunner: in this process, or for units of work in `workers` processes."""

    workers: int = 1
    options: tuple[str, ...] = ()
    """Further Beam options, as on the command line."""
    at_once: bool = False
    isolated: bool = False
    """Units run in worker processes though there is but one worker: what kills it does not kill this process."""
    announce: Callable[[], None] | None = None
    """Called once, before workers start: a command that is refused says only why."""

    def __post_init__(self) -> None:
        refuse_dangerous(self.options)
        self.isolated = self.isolated or self.workers > 1
        if self.isolated:
            worker.start_server()

    def for_each(self, name: str, function: Callable[..., None], units: Units, mend: Mend = no_mending) -> None:
        if not self.isolated:
            self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))
            return
        if self.announce:
            self.announce()
            self.announce = None
        fallen: list[tuple[Mapping[str, Any], list[Death]]] = []
        while units or fallen:
            if units and len(fallen) < _FALLEN_AT_ONCE:
                units, dead = self._work_off(name, function, units, self.workers)
                fallen += [(mend(unit, [death]), [death]) for unit, death in dead]
                continue
            for unit, deaths in fallen:
                while again := self._work_off(name, function, [unit], 1)[1]:
                    deaths.append(again[0][1])
                    unit = mend(unit, deaths)
            fallen = []

    def _work_off(
        self, name: str, function: Callable[..., None], units: Units, workers: int
    ) -> tuple[Units, list[tuple[Mapping[str, Any], Death]]]:
        """Runs units until all are done, or a worker ends; the units that nobody began, and those that it left."""
        workers = min(workers, len(units))
        with tempfile.TemporaryDirectory(prefix="m3w-") as folder:
            worker.WatchedWorkerHandler.claims = folder
            work = ForEachUnit(function, units, folder, workers)
            try:
                self.run(name, lambda pipeline: pipeline | work, workers)
            except WorkerEndedError:
                left = unfinished(folder, len(units))
                dead = {n: death for n, death in left.items() if death and death.pid in worker.ended}
                if any(worker.how_ended(death.pid) == "SIGINT" for death in dead.values()):
                    raise RuntimeError("KeyboardInterrupt") from None  # it reached the workers first
                if not dead:
                    raise
                told = [(units[n], death._replace(how=worker.how_ended(death.pid))) for n, death in dead.items()]
                return [units[n] for n in left if n not in dead], told
        return [], []

    def run(self, name: str, build: Build, workers: int = 0) -> None:
        """Runs a pipeline in this process, or in worker processes."""
        options = _Options([f"--direct_num_workers={max(1, workers)}", *self.options], runner="FnApiRunner")
        environment = EmbeddedPythonEnvironment.default()
        if workers:
            environment = SubprocessSDKEnvironment.from_command_string("pipelines.worker")  # its handler starts them
        runner = fn_runner.FnApiRunner(environment, provision_info=_provision(options))
        worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0  # size-based flush only: the timed one loses elements
        try:
            with quiet(), beam.Pipeline(runner=runner, options=options) as pipeline:
                build(pipeline)
        except RuntimeError as error:
            words = last_words(str(error))
            raise (WorkerEndedError if WORKER_ENDED in words else RuntimeError)(words) from error

    def close(self) -> None:
        """Nothing: workers end with their job."""


class _Options(PipelineOptions):
    """Options whose views are made once: Beam looks at them 150 times for a pipeline, and each view builds a parser."""

    def view_as(self, cls: type[Any]) -> Any:
        views: dict[type[Any], Any] = self.__dict__.setdefault("_views", {})  # assigned, it would be an option
        if cls not in views:
            views[cls] = super().view_as(cls)  # the values are shared by all views
        return views[cls]


def last_words(error: str) -> str:
    """What a worker's exception says, without the traceback that Beam makes a part of the message."""
    if "Traceback (most recent call last):" not in error:
        return error
    lines = error.rstrip().splitlines()
    framed = max(number for number, line in enumerate(lines) if line.startswith(("  ", "Traceback ")))
    return "\n".join(lines[framed + 1 :]) or error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Beam's tracebacks off the terminal, its threads' and those that it logs: the job raises what matters."""
    usual = threading.excepthook
    threading.excepthook = lambda told: None if issubclass(told.exc_type, grpc.RpcError) else usual(told)
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        threading.excepthook = usual
        logger.setLevel(level)


@dataclass
class BeamEngine:
    """Any other Beam runner, by Beam's own options: Spark, Dataflow, Flink, Prism."""

    options: tuple[str, ...]
    workers: int = 1
    at_once: bool = True

    def __post_init__(self) -> None:
        refuse_dangerous(self.options)

    def for_each(self, name: str, function: Callable[..., None], units: Units, mend: Mend = no_mending) -> None:
        self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))

    def run(self, name: str, build: Build) -> None:
        options = PipelineOptions([*self.options, "--no_save_main_session"])
        try:
            with beam.Pipeline(options=options) as pipeline:
                build(pipeline)
        except RuntimeError as error:
            raise RuntimeError(f"{name}: {last_words(str(error))}") from error

    def close(self) -> None:
        """Nothing that we started."""


def engine(workers: int, options: Sequence[str]) -> Engine:
    """The engine that Beam options (those after `--` on the command line) ask for; local by default.

    Raises:
        EngineError: an option that loses data, or workers asked for in Beam's words.
    """
    if is_local(options):
        return LocalEngine(workers, tuple(options), isolated=True)
    runner = PipelineOptions(list(options)).view_as(StandardOptions).runner
    if runner in ("DirectRunner", "SwitchingDirectRunner"):
        raise EngineError(f"--runner={runner} may switch to another runner; leave it out to run on this machine")
    return BeamEngine(tuple(options), workers)


def is_local(options: Sequence[str]) -> bool:
    """Whether Beam options leave a build on this machine."""
    return PipelineOptions(list(options)).view_as(StandardOptions).runner in (None, "FnApiRunner")


def refuse_dangerous(options: Sequence[str]) -> None:
    """Raises EngineError for options that are known to lose data or to fight with ours."""
    experiments = PipelineOptions(list(options)).view_as(DebugOptions).experiments or []
    if any(experiment.startswith("data_buffer_time_limit_ms") for experiment in experiments):
        raise EngineError(
            "--experiments=data_buffer_time_limit_ms makes Beam's workers lose elements silently; leave it out"
        )
    for option in options:
        if option.startswith(("--direct_num_workers", "--direct_running_mode")):
            raise EngineError(f"{option}: give --workers N instead; it chooses the mode that loses nothing")
    if unknown := unknown_options(options):
        raise EngineError(f"Beam knows no option {', '.join(unknown)}; `m3w build` takes its own options before `--`")
    if stray := stray_words(options):
        raise EngineError(
            f"{' '.join(stray)}: neither an option of Beam's nor the value of one; inputs stand before `--`"
        )


def tell_stores(options: Sequence[str]) -> None:
    """Lets this process use object stores as its workers will: by Beam's options (--s3_endpoint_url and the like)."""
    FileSystems.set_options(PipelineOptions(list(options)))


def where_s3_is(options: Sequence[str]) -> list[str]:
    """Options that say to workers elsewhere where S3 is, as the environment says it here.

    Never the credentials: who sees the job sees its options.
    """
    given = PipelineOptions(list(options)).get_all_options(drop_default=True)
    found = {
        "s3_endpoint_url": os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
        "s3_region_name": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    }
    return [f"--{name}={value}" for name, value in found.items() if value and name not in given]


def unknown_options(options: Sequence[str]) -> list[str]:
    """Names of the options that no part of Beam knows: Beam itself would only log them."""
    parsed = PipelineOptions(list(options))
    known = parsed.get_all_options().keys()
    return sorted(parsed.get_all_options(retain_unknown_options=True).keys() - known)


def stray_words(options: Sequence[str]) -> list[str]:
    """Words that belong to no option: Beam itself would only log them."""
    parsers: list[argparse.ArgumentParser] = []
    PipelineOptions(list(options)).get_all_options(add_extra_args_fn=parsers.append)
    return parsers[0].parse_known_args(list(options))[1]


def _provision(options: PipelineOptions) -> Any:
    """Pipeline options for worker processes: FnApiRunner alone would not send them."""
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    return fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
