"""The job that Dataflow would get, made by its own runner without an account and run here, gives the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
from builds import build_in, digests

from pipelines.stage import ForEachUnit

pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient", reason="needs the extra openm3w[gcp]")


@dataclass
class DryRun:
    """Lets DataflowRunner make each job and stop before it is sent, then runs what would have been sent."""

    workers: int = 1
    at_once: bool = True
    options: tuple[str, ...] = (
        "--runner=DataflowRunner",
        "--project=test-project",
        "--region=us-central1",
        "--temp_location=gs://test-bucket/tmp",
        "--staging_location=gs://test-bucket/staging",
        "--dry_run=True",
        "--sdk_location=container",
        "--sdk_container_image=example.org/openm3w",
        "--no_save_main_session",
    )
    jobs: list[str] = field(default_factory=list)

    def for_each(self, name: str, function: Callable[..., None], units: Sequence[Mapping[str, Any]], _: object) -> None:
        self.run(name, lambda pipeline: pipeline | ForEachUnit(function, units))

    def run(self, name: str, build: Callable[[Any], Any]) -> None:
        options = PipelineOptions(list(self.options))
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        job = pipeline.run().job.proto_pipeline
        for environment in job.components.environments.values():
            environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
        FnApiRunner().run_via_runner_api(job, PipelineOptions())
        self.jobs.append(name)


def test_the_dataflow_job(
    reference: Path, crawl: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.internal.gcp import auth

    monkeypatch.setattr(auth._Credentials, "_credentials_init", True)  # or it looks for some for 25 seconds
    engine = DryRun()
    output = build_in(tmp_path / "out", crawl, recipe, engine)
    assert {name.split(".")[0] for name in engine.jobs} >= {"scan", "fetch_plan", "fetch", "documents", "shards"}
    assert digests(output) == digests(reference)
