"""`--engine dataflow`: Google's Dataflow by Beam's own runner, with the options filled in that decide whether it works.

Each pipeline of a build is a job of Dataflow's; the command waits for one after the other. What cannot work is refused
before anything is sent.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.engine import Build, EngineError, Mend, Units, no_mending, quiet, refuse_dangerous
from pipelines.stage import ForEachUnit
from pipelines.store import paths
from pipelines.store.secrets import without_secrets

MACHINE = "e2-standard-4"
MAX_WORKERS = 10
DISK_GB = 50
WHY = {
    "runner": "",
    "project": "who pays",
    "region": "where the workers run; that of the buckets, or bytes cost money on their way",
    "temp_location": "jobs and what Dataflow keeps between their steps",
    "staging_location": "what each worker loads when it starts",
    "sdk_container_image": "what workers run; OpenM3W and this Beam must be in it",
    "sdk_location": "the image has all that is needed, nothing is installed when a worker starts",
    "worker_machine_type": "a Python worker for each core, 4 GB for each",
    "max_num_workers": "machines at most; Dataflow begins with few and adds as it sees need",
    "number_of_worker_harness_threads": "units at once in each Python; by default 12, with 12 times the memory",
    "disk_size_gb": "for packs and shards that are being written, besides the image",
    "service_account_email": "whose rights the workers have",
    "subnetwork": "the network of the workers",
}
"""Options of Beam's that are filled in, and what they are for."""


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """What the command line says."""

    project: str
    region: str
    temp_location: str
    image: str
    service_account: str = ""
    machine_type: str = ""
    subnetwork: str = ""
    max_workers: int = 0
    """Machines; 0: `MAX_WORKERS`."""


@dataclass
class DataflowEngine:
    """Runs each pipeline as a job; made by `dataflow_engine`."""

    options: tuple[str, ...]
    """Beam's options, all that are in force."""
    filled: Mapping[str, str]
    """Those that were filled in."""
    workers: int
    """Python workers, if there are as many machines as there may be."""
    at_once: bool = True

    def for_each(self, name: str, function: Callable[..., None], units: Units, mend: Mend = no_mending) -> None:
        self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))

    def run(self, name: str, build: Build) -> None:
        words = [*self.options, f"--job_name={job_name(name)}", "--no_save_main_session"]
        pipeline = beam.Pipeline(options=PipelineOptions(words))
        build(pipeline)
        try:
            with quiet():
                self.finish(name, pipeline.run())
        except RuntimeError as error:
            raise RuntimeError(f"{name}: {error}") from error

    def finish(self, name: str, result: Any) -> None:
        """Waits for a job.

        Raises:
            EngineError: it was made, and was not to be sent.
            RuntimeError: it failed.
        """
        if "--dry_run=True" in self.options:
            raise EngineError(f"{name}: the job is made, and not sent: this was a dry run")
        result.wait_until_finish()

    def close(self) -> None:
        """Nothing that we started: a job whose command is stopped goes on."""

    def described(self) -> list[str]:
        """What was filled in and what for, then all that Beam is given."""
        lines = [f"--{name}={value}  ({why})" for name, value in self.filled.items() if (why := WHY[name])]
        return [*lines, f"given to Beam: {' '.join(without_secrets(self.options))}"]


def dataflow_engine(dataflow: Dataflow, options: Sequence[str], places: Sequence[str]) -> DataflowEngine:
    """The engine; `options` are Beam's, and win over those filled in.

    Args:
        places: what the build reads and writes.

    Raises:
        EngineError: something is missing, or cannot be reached by Dataflow's workers.
    """
    refuse_dangerous(options)
    given = PipelineOptions(list(options)).get_all_options(drop_default=True)
    for name in ("runner", "num_workers"):
        if name in given:
            raise EngineError(f"--{name} is what --engine dataflow gives to Beam; leave it out")
    check_words(dataflow)
    for place in places:
        if place and not place.startswith(("gs://", "s3://")):
            raise EngineError(f"{place}: Dataflow's workers do not see this machine; give a gs:// or s3:// address")
    if find_spec("google") is None or find_spec("google.cloud") is None or find_spec("google.cloud.storage") is None:
        raise EngineError('Dataflow needs Google\'s libraries: pip install "openm3w[gcp]"')
    filled = {name: value for name, value in filled_in(dataflow).items() if name not in given}
    machines = int(given.get("max_num_workers") or filled["max_num_workers"])
    cores = cores_of(str(given.get("worker_machine_type") or filled["worker_machine_type"]))
    return DataflowEngine(
        (*(f"--{name}={value}" for name, value in filled.items()), *options), filled, machines * cores
    )


def check_words(dataflow: Dataflow) -> None:
    """Raises EngineError for what is missing or malformed; Google would say so after a minute, or take another one."""
    wanted = {"--project": dataflow.project, "--region": dataflow.region, "--temp-location": dataflow.temp_location}
    if missing := [name for name, value in wanted.items() if not value]:
        raise EngineError(f"--engine dataflow: give {', '.join(missing)} too")
    if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,61}[a-z0-9]", dataflow.project):
        raise EngineError(f"--project {dataflow.project}: no id of a project (6 to 63 small letters, digits, dashes)")
    if not re.fullmatch(r"[a-z]+-[a-z]+\d+", dataflow.region):
        raise EngineError(f"--region {dataflow.region}: no region; give one such as europe-west4")
    if not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?", dataflow.temp_location):
        raise EngineError(f"--temp-location {dataflow.temp_location}: give a folder such as gs://bucket/temp")
    check_image(dataflow.image)


def check_image(image: str) -> None:
    """Raises EngineError for an image that cannot do the work, as far as its name tells."""
    if not image:
        raise EngineError(
            "--engine dataflow: workers run in a container; build one from the Dockerfile (docker build --build-arg "
            "EXTRAS=safety,gcp ...), push it, and name it with --image"
        )
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if re.fullmatch(r"beam_python[\d.]+_sdk", name):
        raise EngineError(f"--image {image}: Beam's own image, which has no OpenM3W; build one from the Dockerfile")
    here = version("apache-beam")
    if found := re.search(r"beam[-_]?(\d+\.\d+(?:\.\d+)?)", tag) or re.fullmatch(r"v?(2\.\d\d(?:\.\d+)?)", tag):
        if f"{here}.".startswith(f"{found[1]}."):
            return
        raise EngineError(
            f"--image {image}: made for Beam {found[1]}, and here is {here}; workers of another Beam refuse the job"
        )


def filled_in(dataflow: Dataflow) -> dict[str, str]:
    """Beam's options, in the order in which they are shown."""
    temp = dataflow.temp_location.rstrip("/")
    options = {
        "runner": "DataflowRunner",
        "project": dataflow.project,
        "region": dataflow.region,
        "temp_location": temp,
        "staging_location": paths.join(temp, "staging"),
        "sdk_container_image": dataflow.image,
        "sdk_location": "container",
        "worker_machine_type": dataflow.machine_type or MACHINE,
        "max_num_workers": str(dataflow.max_workers or MAX_WORKERS),
        "number_of_worker_harness_threads": "1",
        "disk_size_gb": str(DISK_GB),
        "service_account_email": dataflow.service_account,
        "subnetwork": dataflow.subnetwork,
    }
    return {name: value for name, value in options.items() if value}


def cores_of(machine_type: str) -> int:
    """Of a type such as n2-standard-8; 1 where the name does not say."""
    found = re.search(r"-(\d+)(?:-\d+)?$", machine_type)
    return int(found[1]) if found else 1


def job_name(name: str) -> str:
    """A name that no other job has, in the letters that Dataflow takes."""
    return f"m3w-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{uuid.uuid4().hex[:8]}"
