"""The parts of `--engine spark` that need no Spark; tests/e2e/test_spark_cluster.py runs it on a real cluster."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from google.protobuf import struct_pb2

from pipelines.choose import ForSpark, absolute, chosen_engine
from pipelines.engine import EngineError, LocalEngine
from pipelines.recipe import load_recipe
from pipelines.spark import boot, versions
from pipelines.spark.engine import ONE_APPLICATION, Spark, SparkEngine, filled_in, jvm_words, own_options, spark_engine
from pipelines.spark.leash import leashed
from pipelines.spark.submit import SubmitRunner
from pipelines.spark.versions import VersionError
from pipelines.spark.words import words_of

NOTHING = ForSpark(master="", job_server="", spark_submit="", spark_conf=(), worker_command="")
BANNER = """Welcome to
   /__ / .__/\\_,_/_/ /_/\\_\\   version {spark}
Using Scala version {scala}, OpenJDK 64-Bit Server VM, 17.0.15
"""


def script(path: Path, text: str) -> str:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def submit_program(folder: Path, spark: str = "3.5.1", scala: str = "2.12.18", then: str = "exit 0") -> str:
    """A spark-submit that says its version and does `then` with a job."""
    banner = folder / "banner"
    banner.write_text(BANNER.format(spark=spark, scala=scala))
    return script(folder / "spark-submit", f'[ "$1" = --version ] && exec cat {banner} >&2\n{then}\n')


def jar(path: Path, beam_version: str = "2.70.0", spark: str = "3.5.0", scala: str = "2.12.18") -> Path:
    """What the versions of a job server are read from."""
    with ZipFile(path, "w") as made:
        made.writestr("org/apache/beam/runners/spark/SparkJobServerDriver.class", b"")
        made.writestr("org/apache/beam/sdk/sdk.properties", f"# a comment\nversion={beam_version}\n")
        made.writestr("spark-version-info.properties", f"version={spark}\nuser=x\n")
        made.writestr("library.properties", f"maven.version.number={scala}\nversion.number={scala}\n")
    return path


def on_yarn(folder: Path, **changes: Any) -> Spark:
    return Spark(
        **{
            "master": "yarn",
            "workers": 2,
            "job_server": str(jar(folder / "server.jar")),
            "submit": submit_program(folder),
            "worker_command": "/opt/m3w-worker",
            **changes,
        }
    )


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "text", "fits"),
    [
        (versions.CLUSTER_SPARK, "3.5.0", True),
        (versions.CLUSTER_SPARK, "3.5.9", True),
        (versions.CLUSTER_SPARK, "3.5.2-amzn-1", True),
        (versions.CLUSTER_SPARK, "3.4.1", False),
        (versions.CLUSTER_SPARK, "4.0.0", False),
        (versions.CLUSTER_SPARK, "", False),
        (versions.CLUSTER_SCALA, "2.13.8", False),
        (versions.JOB_SERVER, "2.69.0", False),
        (versions.JOB_SERVER, "2.77.1", True),
        (versions.JOB_SERVER, "2.78.0", False),
        (versions.JAVA, "1.8.0_392", False),
        (versions.JAVA, "11.0.2", True),
        (versions.JAVA, "17.0.15", True),
        (versions.JAVA, "21.0.1", False),
    ],
)
def test_versions_that_fit(part: str, text: str, fits: bool) -> None:
    if fits:
        versions.check({part: text})
        return
    with pytest.raises(VersionError, match=f"{part} is {text or 'unknown'}") as raised:
        versions.check({part: text})
    for fit in versions.FITS:
        assert fit.part in str(raised.value) and fit.tried in str(raised.value), "the message has the table"


def test_the_beam_that_is_installed_fits() -> None:
    versions.check(versions.of_sdk())


def test_versions_of_a_jar(tmp_path: Path) -> None:
    found = versions.of_jar(jar(tmp_path / "a.jar"))
    assert found == {versions.JOB_SERVER: "2.70.0", versions.JAR_SPARK: "3.5.0", versions.JAR_SCALA: "2.12.18"}


@pytest.mark.parametrize("content", [b"no archive", None])
def test_what_is_no_job_server(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.jar"
    if content is None:
        ZipFile(path, "w").close()
    else:
        path.write_bytes(content)
    with pytest.raises(VersionError, match=r"a\.jar: not a job server"):
        versions.of_jar(path)


def test_versions_of_a_spark_submit(tmp_path: Path) -> None:
    found = versions.of_submit(submit_program(tmp_path, spark="3.5.1-amzn-0"))
    assert found == {
        versions.CLUSTER_SPARK: "3.5.1-amzn-0",
        versions.CLUSTER_SCALA: "2.12.18",
        versions.JAVA: "17.0.15",
    }
    with pytest.raises(VersionError, match="no /nowhere/spark-submit here"):
        versions.of_submit("/nowhere/spark-submit")
    with pytest.raises(VersionError, match="does not say which Spark it is"):
        versions.of_submit(script(tmp_path / "mute", "exit 1"))


def test_the_version_of_java(tmp_path: Path) -> None:
    java = script(tmp_path / "java", "echo 'openjdk version \"11.0.22\" 2024-01-16' >&2")
    assert versions.of_java(java) == {versions.JAVA: "11.0.22"}
    with pytest.raises(VersionError, match="install Java"):
        versions.of_java(str(tmp_path / "none"))


@pytest.fixture
def page() -> Iterator[tuple[str, str]]:
    """(master, port of its page) of a master that is nothing but its page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            text = (
                f'<title>Spark Master at spark://127.0.0.1:{port}</title><span class="version" style="x">3.4.1</span>'
            )
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"spark://127.0.0.1:{port}", str(port)
    server.shutdown()
    server.server_close()


def test_the_version_of_a_master(page: tuple[str, str], tmp_path: Path) -> None:
    master, port = page
    assert versions.of_master(master, port) == {versions.CLUSTER_SPARK: "3.4.1"}
    assert versions.of_master("spark://127.0.0.1:1", port) == {}, "the page of another master"
    assert versions.of_master(master, "1") == {}
    spark = on_yarn(tmp_path, master=master, submit="", conf=(f"spark.master.ui.port={port}",))
    with pytest.raises(VersionError, match=r"Spark of the cluster is 3\.4\.1: that does not go together"):
        spark_engine(spark, [])


# --- options ---------------------------------------------------------------------------------------------------------


def test_what_is_filled_in_for_a_standalone_cluster() -> None:
    assert filled_in(Spark(master="spark://h:7077", workers=10)) == {
        "spark.default.parallelism": "40",
        "spark.executor.cores": "4",
        "spark.executor.memory": "2g",
        "spark.cores.max": "10",
    }


def test_what_is_filled_in_for_a_manager_of_containers() -> None:
    assert filled_in(Spark(master="yarn", workers=10, conf=("spark.executor.cores=5",))) == {
        "spark.default.parallelism": "40",
        "spark.executor.cores": "5",
        "spark.executor.memory": "2g",
        "spark.executor.instances": "2",
        "spark.executor.memoryOverhead": "10g",
    }


def test_options_that_are_given_win(tmp_path: Path) -> None:
    own = own_options(Spark(master="yarn", workers=2, worker_command="w"), {"spark.executor.cores": "2"}, [])
    assert own[:3] == ["--environment_cache_millis=10000", "--sdk_worker_parallelism=2", "--environment_type=PROCESS"]
    config = json.loads(own[3].removeprefix("--environment_config="))
    assert config == {"command": "w", "env": {boot.EXPECTED: boot.as_text(boot.versions())}}
    given = ["--environment_type=DOCKER", "--environment_config=image", "--environment_cache_millis=5"]
    assert own_options(Spark(master="yarn", workers=2), {"spark.executor.cores": "2"}, given) == [
        "--sdk_worker_parallelism=2"
    ]
    conf = ("spark.default.parallelism=7", "spark.x=a=b")
    engine = spark_engine(on_yarn(tmp_path, conf=conf), ["--sdk_worker_parallelism=3"])
    assert engine.conf["spark.default.parallelism"] == "7" and engine.conf["spark.x"] == "a=b"
    assert "--sdk_worker_parallelism=3" in engine.options and "--sdk_worker_parallelism=2" not in engine.options
    engine.close()


def test_settings_for_a_driver_of_our_own() -> None:
    conf = {"spark.driver.memory": "3g", "spark.driver.extraJavaOptions": "-XX:+A -Db=c"}
    assert jvm_words(conf)[:4] == [
        "-Xmx3g",
        ONE_APPLICATION,
        "-XX:+A",
        "-Db=c",
    ] and "-Dspark.driver.memory=3g" in jvm_words(conf)


def test_everything_is_shown(tmp_path: Path) -> None:
    engine = spark_engine(on_yarn(tmp_path), [])
    shown = "\n".join(engine.described())
    engine.close()
    for part in ("Spark of the cluster 3.5.1", "--sdk_worker_parallelism=2", "spark.default.parallelism=8"):
        assert part in shown


@pytest.mark.parametrize(
    "option", ["--experiments=data_buffer_time_limit_ms=1000", "--experiment=x,data_buffer_time_limit_ms=5"]
)
def test_the_experiment_that_loses_elements_is_refused(option: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="lose elements silently"):
        spark_engine(on_yarn(tmp_path), ["--experiments=harmless", option])


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, ["--runner=SparkRunner"], "--runner is what --engine spark gives to Beam; leave it out"),
        ({}, ["--spark_master_url=spark://h:1"], "give --master before `--` instead"),
        ({}, ["--output_executable_path=x.jar"], "give --spark-submit before"),
        ({"master": ""}, [], r"--master \(none\): give spark://HOST:PORT"),
        ({"master": "h:7077"}, [], "--master h:7077: give spark://HOST:PORT"),
        ({"master": "spark://127.0.0.1:1"}, [], "nobody answers there .*is the cluster running"),
        ({"conf": ("spark.x",)}, [], "--spark-conf spark.x: give KEY=VALUE"),
        ({"conf": ("spark.executor.cores=all",)}, [], "spark.executor.cores=all: must be a number"),
        ({"job_server": "/nowhere.jar"}, [], "--job-server /nowhere.jar: no such file; `make spark-jar` makes one"),
        ({}, ["--environment_type=DOCKER"], "--worker-command goes with workers that are processes"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], options: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=message):
        spark_engine(on_yarn(tmp_path, **changes), options)


def test_an_old_cluster_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = submit_program(tmp_path / "old", spark="3.3.2", scala="2.13.8")
    with pytest.raises(VersionError, match=r"cluster is 3\.3\.2; Scala of the cluster is 2\.13\.8: that does not"):
        spark_engine(on_yarn(tmp_path, submit=old), [])


def test_a_master_that_needs_spark_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(EngineError, match="name it with --spark-submit"):
        spark_engine(on_yarn(tmp_path, submit=""), [])
    (tmp_path / "bin").mkdir()
    submit_program(tmp_path / "bin")
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", os.defpath)
    spark_engine(on_yarn(tmp_path, submit=""), []).close()


def choose(name: str, words: ForSpark, workers: str = "auto") -> Any:
    with chosen_engine(name, words, workers, load_recipe("demo"), [], lambda _: None) as chosen:
        return chosen


def test_the_engine_is_chosen(tmp_path: Path) -> None:
    assert isinstance(choose("local", NOTHING), LocalEngine)
    with pytest.raises(EngineError, match="--spark-conf belongs to --engine spark"):
        choose("local", ForSpark(**{**vars(NOTHING), "spark_conf": ("a=b",)}))
    with pytest.raises(EngineError, match="say with --workers how many"):
        choose("spark", NOTHING)
    spark = on_yarn(tmp_path)
    words = ForSpark(
        master="yarn",
        job_server=spark.job_server,
        spark_submit=spark.submit,
        spark_conf=(),
        worker_command="w",
    )
    assert isinstance(choose("spark", words, "2"), SparkEngine)


def test_paths_are_those_of_all_hosts() -> None:
    assert absolute("crawl") == str(Path.cwd() / "crawl")
    assert absolute("s3://bucket/crawl/") == "s3://bucket/crawl" and absolute("") == ""


# --- jobs by spark-submit --------------------------------------------------------------------------------------------


def run_by(program: str, folder: Path) -> None:
    runner = SubmitRunner(jar(folder / "server.jar"), [program, "--master", "yarn"])
    with beam.Pipeline(runner=runner, options=PipelineOptions(["--environment_type=LOOPBACK"])) as pipeline:
        _ = pipeline | beam.Create([1])


def test_a_job_is_a_jar_with_the_pipeline_in_it(tmp_path: Path) -> None:
    run_by(submit_program(tmp_path, then=f'echo "$@" > {tmp_path}/words; cp "$5" {tmp_path}/job.jar'), tmp_path)
    words = (tmp_path / "words").read_text().split()
    assert words[:4] == ["--master", "yarn", "--class", "org.apache.beam.runners.spark.SparkPipelineRunner"]
    held = ZipFile(tmp_path / "job.jar").namelist()
    assert {"BEAM-PIPELINE/pipeline/pipeline.json", "BEAM-PIPELINE/pipeline-manifest.json"} <= set(held)
    assert "org/apache/beam/runners/spark/SparkJobServerDriver.class" in held, "all that it needs"
    assert not Path(words[4]).exists(), "the jar is removed"


def test_a_job_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Caused by: the reason"):
        run_by(submit_program(tmp_path, then="echo noise; echo 'Caused by: the reason' >&2; exit 1"), tmp_path)


PYTHON_ERROR = """Pipeline x failed in state FAILED: java.lang.RuntimeException: Error received from SDK harness:
Traceback (most recent call last):
  File "a.py", line 1, in process
    f()
ValueError: the first one

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 1, in process
    f()
    ^^^
RuntimeError: ValueError: unit 7 is broken [while running 'ForEachUnit/run']

\tat org.apache.beam.runners.Foo.get(Foo.java:57)
Caused by: java.lang.Other: noise
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PYTHON_ERROR, "RuntimeError: ValueError: unit 7 is broken [while running 'ForEachUnit/run']"),
        ("ERROR x: All masters are unresponsive! Giving up.", "the master does not take our job"),
        ("Caused by: a\n\tat b\nCaused by: java.io.IOException: disk\n\tat c", "java.io.IOException: disk"),
        ("IllegalStateException: Process died with exit code 3\n\tat x", "could not start, exit code 3"),
        ("most recent failure: Lost task: io.grpc.StatusRuntimeException: CANCELLED: x\n", "killed, or out of memory?"),
        ("something else", "something else"),
    ],
)
def test_the_words_of_an_error(text: str, words: str) -> None:
    assert words in words_of(text) and "\tat " not in words_of(text)


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_not_what_is_expected_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(boot.EXPECTED, boot.as_text({**boot.versions(), "apache-beam": "2.1.0"}))
    with pytest.raises(SystemExit, match=str(boot.DOES_NOT_FIT)):
        boot.main(["--id=1-1", "--provision_endpoint=localhost:1", "--control_endpoint=localhost:2"])
    assert "here, 2.1.0 where the job was submitted" in capsys.readouterr().err


def test_a_worker_learns_what_its_executor_says() -> None:
    info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["a", "b"])
    info.control_endpoint.url = "localhost:7"
    info.pipeline_options.CopyFrom(struct_pb2.Struct())
    info.pipeline_options["beam:option:x:v1"] = "1"
    found = boot.environment("1-1", info)
    assert found["WORKER_ID"] == "1-1" and found["RUNNER_CAPABILITIES"] == "a b"
    assert found["CONTROL_API_SERVICE_DESCRIPTOR"].strip() == 'url: "localhost:7"'
    assert json.loads(found["PIPELINE_OPTIONS"]) == {"beam:option:x:v1": "1"}
    assert "LOGGING_API_SERVICE_DESCRIPTOR" not in found


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process that is not our child ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_a_leashed_command_ends_with_its_parent() -> None:
    code = (
        "import subprocess, sys; from pipelines.spark.leash import leashed; "
        "child = subprocess.Popen(leashed(['sleep', '60'])); print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid, 0.3)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_a_leash_passes_words_and_exit_codes() -> None:
    done = subprocess.run(leashed(["sh", "-c", "echo $0 $1; exit 5", "a", "b c"]), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (5, "a b c\n")


WATCHED = """
import os, signal, sys, time
from pipelines.spark import boot
if child := os.fork():
    sys.exit(boot.watch(child, os.getppid()))
{work}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(
    ("name", "work", "survives"),
    [
        ("CoarseGrainedExecutorBackend", "os.kill(os.getpid(), signal.SIGKILL)", False),
        ("CoarseGrainedExecutorBackend", "os._exit(1)", True),
        (
            "CoarseGrainedExecutorBackend",
            "time.sleep(0.3); os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)",
            True,
        ),
        ("Driver", "os.kill(os.getpid(), signal.SIGKILL)", True),
    ],
)
def test_an_executor_whose_worker_is_killed_goes_too(name: str, work: str, survives: bool, tmp_path: Path) -> None:
    program = tmp_path / "watched.py"
    program.write_text(WATCHED.format(work=work))
    # the shell stands for the executor, and goes on when its worker has ended
    shell = ["sh", "-c", f"{sys.executable} {program}; sleep 0.3; echo survived", name]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(shell, capture_output=True, text=True, env=environment, timeout=60)
    assert ("survived" in done.stdout) == survives, done.stderr
    assert (done.returncode == -signal.SIGTERM) != survives
