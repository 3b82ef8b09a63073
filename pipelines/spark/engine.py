"""`--engine spark`: Beam's own runner on a Spark cluster, with the options filled in that decide whether it works.

Two ways lead to a cluster. Through Beam's job server, a Java program that is started here and is the driver of every
job: for `spark://...`. Or as a jar for `spark-submit`, which every cluster has: for YARN and Kubernetes, or where
`--spark-submit` asks for it. Through the job server all pipelines of a build are jobs of one application; given to
spark-submit each is an application of its own. An executor starts Python workers (`m3w-worker`, see
`pipelines.spark.boot`) at its side, others for each pipeline.
"""

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.job_server import JavaJarJobServer, StopOnExitJobServer
from apache_beam.runners.portability.spark_runner import SparkJarJobServer, SparkRunner

from pipelines.engine import Build, EngineError, Mend, Units, no_mending, quiet, refuse_dangerous
from pipelines.spark import versions
from pipelines.spark.boot import EXPECTED, as_text
from pipelines.spark.boot import versions as of_this_command
from pipelines.spark.leash import leashed
from pipelines.spark.log import SparkLog
from pipelines.spark.submit import SubmitRunner
from pipelines.spark.words import words_of
from pipelines.stage import ForEachUnit
from pipelines.store.secrets import without_secrets

TASKS_PER_WORKER = 4
"""Parts that a job is cut into for each Python worker: with more than one, a slow part holds up less."""
MOST_CORES = 4
"""Cores of an executor that is left to us: as many Python workers share one Java."""
EXECUTOR_MEMORY = "2g"
"""Heap: what a part of a job gives must fit; only facts pass through Java."""
WORKER_GIB = 2
"""Memory of a Python worker, for the managers that count it and kill what takes more."""
CACHE_MS = 10_000
"""How long an executor keeps a Python worker that has no work: to the next stage, and not through many pipelines."""
ONE_APPLICATION = "-Dbeam.spark.test.reuseSparkContext=true"
"""Makes Beam's job server keep its Spark, and so the executors, from one pipeline to the next."""
OF_THIS_ENGINE = {
    "runner": "",
    "spark_master_url": "--master",
    "spark_job_server_jar": "--job-server",
    "spark_submit_uber_jar": "--spark-submit",
    "spark_rest_url": "--spark-submit",
    "output_executable_path": "--spark-submit",
    "job_endpoint": "--master",
    "job_server_jvm_properties": "--spark-conf",
}
"""Options of Beam's that would fight with ours, and what to give instead."""


@dataclass(frozen=True, kw_only=True)
class Spark:
    """What the command line says of the cluster."""

    master: str
    """spark://HOST:PORT, yarn, k8s://..., or local[N]."""
    workers: int
    """Python workers that are to run at once on the whole cluster."""
    conf: tuple[str, ...] = ()
    """Spark's own settings, KEY=VALUE; they win over those filled in."""
    job_server: str = ""
    """Jar of Beam's job server; empty: Beam fetches its own."""
    submit: str = ""
    """The spark-submit to use; empty: that of SPARK_HOME or PATH where the master needs one, else none."""
    worker_command: str = ""
    """What executors start; empty: the `m3w-worker` beside this Python."""


@dataclass
class SparkEngine:
    """Runs each pipeline as an application on the cluster; made by `spark_engine`."""

    runner: Any
    options: tuple[str, ...]
    """Beam's options, all that are in force."""
    conf: Mapping[str, str]
    """Spark's settings, all that are given."""
    workers: int
    found: Mapping[str, str]
    """Versions, by part."""
    at_once: bool = True
    log: SparkLog = field(default_factory=SparkLog)

    def for_each(self, name: str, function: Callable[..., None], units: Units, mend: Mend = no_mending) -> None:
        self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))

    def run(self, name: str, build: Build) -> None:
        options = PipelineOptions([*self.options, "--no_save_main_session"])
        try:
            with quiet(), self.log.taken(), beam.Pipeline(runner=self.runner, options=options) as pipeline:
                build(pipeline)
        except RuntimeError as error:
            self.log.keep = True
            raise RuntimeError(f"{name}: {words_of(str(error))} (all that Spark said: {self.log.path})") from error

    def close(self) -> None:
        """Ends the job server, if there is one."""
        if isinstance(self.runner, _ServerRunner):
            with quiet():
                self.runner.server.stop()
        self.log.close()

    def described(self) -> list[str]:
        """What was found and filled in, to be shown."""
        here = ", ".join(f"{part} {text}" for part, text in self.found.items())
        spark = " ".join(f"{key}={value}" for key, value in self.conf.items())
        return [
            f"versions: {here}",
            f"given to Beam: {' '.join(without_secrets(self.options))}",
            f"given to Spark: {spark}",
        ]


class _ServerRunner(SparkRunner):
    """Beam's runner with one job server for all pipelines of a build, which ends with us."""

    def __init__(self, options: PipelineOptions) -> None:
        super().__init__()
        self.server = StopOnExitJobServer(_LeashedServer(options))

    def default_job_server(self, options: Any) -> Any:
        return self.server


class _LeashedServer(SparkJarJobServer):
    def subprocess_cmd_and_endpoint(self) -> tuple[list[str], str]:
        command, endpoint = super().subprocess_cmd_and_endpoint()
        return leashed(command), endpoint


def spark_engine(spark: Spark, options: Sequence[str]) -> SparkEngine:
    """The engine for a cluster; `options` are Beam's, and win over those filled in.

    Raises:
        EngineError: something is missing or contradicts itself, or the cluster does not answer.
        VersionError: versions that do not go together.
    """
    refuse_dangerous(options)
    refuse_ours(options)
    check_master(spark.master)
    given = dict(pair.partition("=")[::2] for pair in spark.conf)
    if bad := [pair for pair in spark.conf if "=" not in pair]:
        raise EngineError(f"--spark-conf {bad[0]}: give KEY=VALUE")
    conf = {**filled_in(spark), **given}
    jar = job_server_jar(spark.job_server)
    submit = spark.submit or ("" if spark.master.startswith(("spark://", "local")) else submit_found())
    found = {**versions.of_sdk(), **versions.of_jar(jar)}
    java = str(Path(home) / "bin" / "java") if (home := os.environ.get("JAVA_HOME")) else "java"
    found |= versions.of_submit(submit) if submit else versions.of_java(java)
    if spark.master.startswith("spark://"):
        check_answers(spark.master)
        found |= versions.of_master(spark.master, given.get("spark.master.ui.port", "8080"))
    versions.check(found)
    own = own_options(spark, conf, options)
    if submit:
        settings = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
        runner: Any = SubmitRunner(jar, [submit, "--master", spark.master, *settings])
    else:
        server = [f"--spark_master_url={spark.master}", f"--spark_job_server_jar={jar}"]
        server += [f"--job_server_java_launcher={java}"]
        server += [f"--job_server_jvm_properties={word}" for word in jvm_words(conf)]
        runner = _ServerRunner(PipelineOptions(server))
    return SparkEngine(runner, (*own, *options), conf, spark.workers, found)


def refuse_ours(options: Sequence[str]) -> None:
    """Raises EngineError for options of Beam's that `--engine spark` itself gives."""
    parsed = PipelineOptions(list(options)).get_all_options(drop_default=True)
    for name, instead in OF_THIS_ENGINE.items():
        if parsed.get(name):
            cure = f"give {instead} before `--` instead" if instead else "leave it out"
            raise EngineError(f"--{name} is what --engine spark gives to Beam; {cure}")


def check_master(master: str) -> None:
    if not re.fullmatch(r"spark://[^/]+:\d+|yarn|k8s://.+|local(\[(\d+|\*)\])?", master):
        raise EngineError(f"--master {master or '(none)'}: give spark://HOST:PORT, yarn, k8s://..., or local[N]")


def check_answers(master: str) -> None:
    """Raises EngineError if nobody listens where a standalone master should: Spark would try for a minute."""
    for one in master.removeprefix("spark://").split(","):
        place = urlsplit(f"//{one}")
        try:
            socket.create_connection((place.hostname, place.port), timeout=10).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
    raise EngineError(f"--master {master}: nobody answers there ({reason}); is the cluster running?")


def filled_in(spark: Spark) -> dict[str, str]:
    """Spark's settings that the number of workers decides."""
    given = dict(pair.partition("=")[::2] for pair in spark.conf)
    cores = cores_of(given, spark.workers)
    conf = {
        "spark.default.parallelism": str(spark.workers * TASKS_PER_WORKER),
        "spark.executor.cores": str(cores),
        "spark.executor.memory": EXECUTOR_MEMORY,
    }
    if spark.master.startswith("spark://"):
        conf["spark.cores.max"] = str(spark.workers)
    elif not spark.master.startswith("local"):
        conf["spark.executor.instances"] = str(-(-spark.workers // cores))
        conf["spark.executor.memoryOverhead"] = f"{cores * WORKER_GIB}g"
    return conf


def cores_of(conf: Mapping[str, str], workers: int) -> int:
    """Cores of an executor, each with a Python worker of its own."""
    text = conf.get("spark.executor.cores", str(min(workers, MOST_CORES)))
    if not text.isdecimal() or not int(text):
        raise EngineError(f"--spark-conf spark.executor.cores={text}: must be a number")
    return int(text)


def own_options(spark: Spark, conf: Mapping[str, str], options: Sequence[str]) -> list[str]:
    """Beam's options that are not given already."""
    given = PipelineOptions(list(options)).get_all_options(drop_default=True)
    own = {"environment_cache_millis": str(CACHE_MS if not spark.master.startswith("local") else 1000)}
    if spark.master.startswith("local"):
        own["sdk_worker_parallelism"] = str(spark.workers)
    else:
        own["sdk_worker_parallelism"] = conf["spark.executor.cores"]
    if not given.get("environment_type"):
        command = spark.worker_command or str(Path(sys.executable).with_name("m3w-worker"))
        if not spark.worker_command and not Path(command).exists():
            raise EngineError(f"{command}: not there; install openm3w again, or name it with --worker-command")
        config = {"command": command, "env": {EXPECTED: as_text(of_this_command())}}
        own |= {"environment_type": "PROCESS", "environment_config": json.dumps(config)}
    elif spark.worker_command:
        raise EngineError("--worker-command goes with workers that are processes; leave out --environment_type")
    return [f"--{name}={value}" for name, value in own.items() if name not in given]


def job_server_jar(named: str) -> Path:
    """The job server's jar: the one that is named, or Beam's own, which Beam fetches and keeps.

    Raises:
        EngineError: it is not there, or cannot be fetched.
    """
    if named:
        if not (path := Path(named).expanduser()).is_file():
            raise EngineError(f"--job-server {named}: no such file; `make spark-jar` makes one")
        return path.absolute()
    try:
        with quiet():
            url = JavaJarJobServer.path_to_beam_jar(":runners:spark:3:job-server:shadowJar")
            return Path(JavaJarJobServer.local_jar(url))
    except Exception as error:  # whatever a download may raise
        raise EngineError(
            f"Beam's job server for Spark cannot be fetched ({type(error).__name__}); "
            "`make spark-jar` makes one of what Maven has: name it with --job-server"
        ) from error


def submit_found() -> str:
    """spark-submit of SPARK_HOME, or else of PATH."""
    home = os.environ.get("SPARK_HOME")
    found = str(Path(home) / "bin" / "spark-submit") if home else shutil.which("spark-submit")
    if not found:
        raise EngineError("this master is reached by spark-submit: name it with --spark-submit, or set SPARK_HOME")
    return found


def jvm_words(conf: Mapping[str, str]) -> list[str]:
    """What makes Java give settings to a Spark driver that it starts itself."""
    words = [f"-Xmx{conf.get('spark.driver.memory', '1g')}", ONE_APPLICATION]
    words += conf.get("spark.driver.extraJavaOptions", "").split()
    return [*words, *(f"-D{key}={value}" for key, value in conf.items())]
