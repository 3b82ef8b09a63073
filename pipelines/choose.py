"""Which engine the command line asks for, opened for the time of a build."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial

from pipelines.build import BuildOptions
from pipelines.engine import Engine, EngineError, LocalEngine, engine, is_local, tell_stores, where_s3_is
from pipelines.machine import machine, worker_bytes, workers_for
from pipelines.recipe import Recipe
from pipelines.store import paths

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class ForSpark:
    """Options of the command that only `--engine spark` has; see `pipelines.spark.engine.Spark`."""

    master: str
    job_server: str
    spark_submit: str
    spark_conf: tuple[str, ...]
    worker_command: str


@dataclass(frozen=True, kw_only=True)
class ForDataflow:
    """Options of the command that only `--engine dataflow` has; see `pipelines.dataflow.Dataflow`."""

    project: str = ""
    region: str = ""
    temp_location: str = ""
    image: str = ""
    service_account: str = ""
    machine_type: str = ""
    subnetwork: str = ""
    max_workers: int = 0


@contextmanager
def chosen_engine(
    name: str,
    words: ForSpark,
    workers: str,
    recipe: Recipe,
    options: Sequence[str],
    say: Callable[[str], None],
    places: Sequence[str] = (),
    of_dataflow: ForDataflow | None = None,
) -> Iterator[Engine]:
    """The engine `name` with Beam options `options`; says what was filled in.

    Args:
        workers: a number, or "auto".
        places: what the build reads and writes.

    Raises:
        EngineError: options that do not go together.
    """
    number = number_of(workers)
    if (name != "local" or not is_local(options)) and any(place.startswith("s3://") for place in places):
        options = [*options, *where_s3_is(options)]
    tell_stores(options)
    paths.prepare(places)  # before local workers are forked
    of_dataflow = of_dataflow or ForDataflow()
    for engine_name, given in (("spark", words), ("dataflow", of_dataflow)):
        if name != engine_name and (stray := [field.name for field in fields(given) if getattr(given, field.name)]):
            raise EngineError(f"--{stray[0].replace('_', '-')} belongs to --engine {engine_name}")
    if name == "spark":
        from pipelines.spark.engine import Spark, spark_engine  # half a second

        if number is None:
            raise EngineError("--engine spark: say with --workers how many Python workers are to run on the cluster")
        spark = Spark(
            master=words.master,
            workers=number,
            conf=words.spark_conf,
            job_server=words.job_server,
            submit=words.spark_submit,
            worker_command=words.worker_command,
        )
        chosen: Engine = (on_cluster := spark_engine(spark, options))
        for line in on_cluster.described():
            say(line)
    elif name == "dataflow":
        from pipelines.dataflow import Dataflow, dataflow_engine

        if number is not None:
            raise EngineError("--workers: Dataflow counts machines; give --max-workers and --machine-type instead")
        chosen = (on_dataflow := dataflow_engine(Dataflow(**vars(of_dataflow)), options, places))
        for line in on_dataflow.described():
            say(line)
    else:
        chosen = engine(number or 1, options)
        if number is None and isinstance(chosen, LocalEngine):
            chosen.workers, why = workers_for(machine(), worker_bytes(recipe))
            chosen.announce = partial(say, why)
    try:
        yield chosen
    finally:
        chosen.close()


def number_of(workers: str) -> int | None:
    """The number that --workers was given; None for "auto".

    Raises:
        EngineError: it is neither.
    """
    if workers == AUTO:
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise EngineError(f"--workers {workers}: give a number from 1, or {AUTO}")
    return int(workers)


def seen_from_afar(options: BuildOptions) -> BuildOptions:
    """The same options with paths that do not depend on the folder where the command is given."""
    return replace(
        options,
        inputs=tuple(map(absolute, options.inputs)),
        output=absolute(options.output),
        media=None if options.media is None else absolute(options.media),
    )


def absolute(given: str) -> str:
    """A path from the root, or an address as it is; what is no path at all too: others say what is wrong with it."""
    try:
        named = paths.named(given)
    except ValueError:
        return given
    return named if paths.is_remote(named) else os.path.abspath(named)  # noqa: PTH100 - links stay as they are
