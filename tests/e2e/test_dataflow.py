"""`--engine dataflow`: its jobs, made by Beam's own runner without an account and run here, give the same bytes.

Input and output stand on an emulator of Google Cloud Storage, where Beam would also put the jobs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
from builds import digests, m3w
from object_stores import BUCKET, StoreServer, copied

from pipelines.dataflow import DataflowEngine
from pipelines.store import paths

pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient", reason="needs the extra openm3w[gcp]")
ROOT = Path(__file__).parents[2]
OF_DATAFLOW = (
    *("--engine", "dataflow", "--project", "test-project", "--region", "us-central1"),
    *("--temp-location", f"gs://{BUCKET}/temp", "--image", "example.org/openm3w:1"),
)


@pytest.fixture(scope="module")
def server(crawl: Path) -> Iterator[StoreServer]:
    with StoreServer("gs") as server, server.environment(server.port):
        paths.publish(f"gs://{BUCKET}/crawl.warc.gz", crawl.read_bytes())
        yield server


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.internal.gcp import auth

    monkeypatch.setattr(auth._Credentials, "_credentials_init", True)  # or it looks for some for 25 seconds


def build(output: str, recipe: Path, *more: str) -> tuple[int, str, str]:
    return m3w(
        *("build", recipe, "--input", f"gs://{BUCKET}/crawl.warc.gz", "--output", output, "--offline"),
        *(*OF_DATAFLOW, "--", "--dry_run=True", *more),
    )


def test_the_jobs_of_dataflow(
    server: StoreServer, reference: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: dict[str, Any] = {}

    def run_here(self: DataflowEngine, name: str, result: Any) -> None:
        """What would have been sent, with Python of this process in the place of the image."""
        job = result.job.proto_pipeline
        jobs[name] = result.job
        images = {environment.payload for environment in job.components.environments.values()}
        assert any(b"example.org/openm3w:1" in payload for payload in images)
        for environment in job.components.environments.values():
            environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
        FnApiRunner().run_via_runner_api(job, PipelineOptions())

    monkeypatch.setattr(DataflowEngine, "finish", run_here)
    output = f"gs://{BUCKET}/out"
    code, _, err = build(output, recipe)
    assert code == 0, err
    assert "--number_of_worker_harness_threads=1  (units at once in each Python" in err
    assert {name.split(".")[0] for name in jobs} >= {"scan", "fetch_plan", "fetch", "documents", "shards"}
    assert digests(copied(output, tmp_path / "out")) == digests(reference)


def test_a_dry_run_stops_before_anything_is_sent(server: StoreServer, recipe: Path) -> None:
    code, _, err = build(f"gs://{BUCKET}/dry", recipe)
    assert code == 2 and "inputs: the job is made, and not sent" in err, err


def test_the_launcher_makes_a_template(server: StoreServer, tmp_path: Path) -> None:
    """As far as it goes without Google: what the launcher of a flex template does is done, and its job is staged."""
    template = f"gs://{BUCKET}/templates/build.json"
    command = [sys.executable, "-m", "engines.dataflow.launcher", "--recipe=m3w", f"--input=gs://{BUCKET}/crawl/"]
    command += [f"--output=gs://{BUCKET}/m3w", "--contact=you@example.org", "--image=example.org/openm3w:1"]
    command += ["--runner=DataflowRunner", "--project=test-project", "--region=us-central1", "--job_name=build"]
    command += [f"--temp_location=gs://{BUCKET}/temp", f"--staging_location=gs://{BUCKET}/temp/staging"]
    command += [f"--template_location={template}"]
    code = "from apache_beam.internal.gcp import auth; auth._Credentials._credentials_init = True; import runpy, sys; "
    code += (
        "sys.argv = sys.argv[1:]; runpy.run_module('engines.dataflow.launcher', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command[2:]],
        cwd=ROOT,
        env={**os.environ, "NO_GCE_CHECK": "true", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    job = json.loads(paths.read_bytes(template))
    (pool,) = job["environment"]["workerPools"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 1
    assert any(path.endswith("/pipeline.pb") for path in paths.list_files(f"gs://{BUCKET}/temp/staging"))
