import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane
from beam_testing import run_units

from pipelines.claims import Death, at
from pipelines.engine import BeamEngine, EngineError, LocalEngine, engine, refuse_dangerous

# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LocalEngine, BeamEngine])
@pytest.mark.parametrize(
    "option",
    [
        "--experiments=data_buffer_time_limit_ms=1000",
        "--experiments=other,data_buffer_time_limit_ms=5",
        "--experiment=data_buffer_time_limit_ms=5",
    ],
)
def test_the_experiment_that_loses_elements_is_refused(make: type[LocalEngine] | type[BeamEngine], option: str) -> None:
    with pytest.raises(EngineError, match="lose elements silently"):
        make(options=("--experiments=harmless", option))


@pytest.mark.parametrize("runner", ["DirectRunner", "SwitchingDirectRunner"])
def test_a_runner_that_may_switch_is_refused(runner: str) -> None:
    with pytest.raises(EngineError, match=f"{runner} may switch to another runner"):
        engine(1, [f"--runner={runner}"])


@pytest.mark.parametrize(
    "option", ["--direct_num_workers=4", "--direct_running_mode=multi_threading", "--direct_running_mode=in_memory"]
)
def test_workers_in_the_words_of_beam_are_refused(option: str) -> None:
    with pytest.raises(EngineError, match="--workers N"):
        engine(1, [option])


def test_an_option_that_beam_does_not_know_is_refused() -> None:
    with pytest.raises(EngineError, match="no option wrokers"):
        engine(1, ["--wrokers=4"])


@pytest.mark.parametrize(
    "before", [(), ("--streaming",), ("--temp_location=gs://b/t",), ("--temp_location", "gs://b/t")]
)
def test_a_word_that_belongs_to_no_option_is_refused(before: tuple[str, ...]) -> None:
    with pytest.raises(EngineError, match=r"^b\.warc\.gz: neither an option of Beam's nor the value of one"):
        engine(1, [*before, "b.warc.gz"])


def test_harmless_options_pass() -> None:
    refuse_dangerous(["--temp_location", "gs://b/t", "--streaming"])
    refuse_dangerous(["--experiments=use_fastavro", "--direct_runner_bundle_repeat=2", "--temp_location=gs://b/t"])


def test_the_local_engine_is_the_default_and_others_are_by_name() -> None:
    assert isinstance(engine(2, []), LocalEngine)
    assert isinstance(engine(2, ["--runner=FnApiRunner"]), LocalEngine)
    spark = engine(2, ["--runner=SparkRunner", "--spark_master_url=spark://h:7077"])
    assert isinstance(spark, BeamEngine) and spark.at_once


# --- the loss that the local engine must not have --------------------------------------------------------------------
#
# In Beam's local gRPC modes the runner sends data to its workers through a buffer that a timer flushes every second.
# The timer hands the buffer over and then clears it, with no lock against a write in between: what was written there is
# gone, and nobody is told. Seen in 2.72 and 2.77 with 1 GB and more between stages. The first test holds the defect
# itself, so that we notice when Beam mends it; the others that our engine does not use that buffer.

CHUNK = b"x" * 100


def delivered(limit_ms: int) -> tuple[int, int]:
    """Bytes written to and delivered by the stream that Beam makes for a time limit."""
    arrived: list[bytes] = []
    first, enough = threading.Event(), threading.Event()

    def take(data: bytes) -> None:
        arrived.append(data)
        if not first.is_set():
            first.set()
            enough.wait(10)  # as a slow receiver would; meanwhile the writer goes on

    stream = data_plane.ClosableOutputStream.create(arrived.append, take, limit_ms)
    written = 0
    while not first.is_set() and (limit_ms or written < 1_000_000):
        stream.write(CHUNK)
        written += len(CHUNK)
        time.sleep(0)  # lets the timer's thread run
    for _ in range(1000):
        stream.write(CHUNK)
        written += len(CHUNK)
    enough.set()
    if limit_ms:
        stream._periodic_flusher.join(5 * limit_ms / 1000)  # the flush that was under way clears the buffer
    stream.close()
    return written, sum(map(len, arrived))


def test_a_buffer_with_a_timer_loses_what_is_written_while_it_is_flushed() -> None:
    written, arrived = delivered(limit_ms=20)
    assert arrived < written, "Beam has mended its buffer: see whether the guard in pipelines/engine.py is still needed"


def test_a_buffer_without_a_timer_loses_nothing() -> None:
    written, arrived = delivered(limit_ms=0)
    assert arrived == written > 1_000_000


def test_the_engine_makes_beam_choose_the_buffer_without_a_timer() -> None:
    streams: list[data_plane.ClosableOutputStream] = []

    def look(pipeline: beam.Pipeline) -> object:
        # what worker_handlers.GrpcServer does for each worker of a run
        servicer = data_plane.BeamFnDataServicer(worker_handlers.DATA_BUFFER_TIME_LIMIT_MS)
        streams.append(servicer.get_conn_by_worker_id("worker").output_stream("instruction", "transform"))
        return pipeline | beam.Create([1])

    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 1000
    LocalEngine().run("look", look)
    assert type(streams[0]) is data_plane.SizeBasedBufferingClosableOutputStream


# --- worker processes ------------------------------------------------------------------------------------------------


def describe_worker(folder: str, number: int, workers: int) -> None:
    """Leaves a file that says where it ran, with which options and with which buffers towards the runner.

    It goes on only when as many processes as there are workers have begun a unit: one that is slow to start must not
    find all the work done by another.
    """
    (Path(folder) / f"{os.getpid()}.begun").touch()
    until = time.monotonic() + 60
    while len(list(Path(folder).glob("*.begun"))) < workers and time.monotonic() < until:
        time.sleep(0.01)
    buffers = [type(made).__name__ for made in gc.get_objects() if isinstance(made, data_plane.ClosableOutputStream)]
    facts = {"pid": os.getpid(), "options": os.environ.get("PIPELINE_OPTIONS", ""), "buffers": buffers}
    (Path(folder) / f"{number}.json").write_text(json.dumps(facts))


def test_units_run_in_other_processes_without_timers_and_with_our_options(tmp_path: Path) -> None:
    local = LocalEngine(2, ("--temp_location=gs://bucket/temp",))
    run_units(describe_worker, [{"folder": str(tmp_path), "number": n, "workers": 2} for n in range(8)], local)
    found = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert len(found) == 8
    assert os.getpid() not in {facts["pid"] for facts in found} and len({facts["pid"] for facts in found}) == 2
    assert all("gs://bucket/temp" in facts["options"] for facts in found), "workers that write to S3 or GCS need them"
    buffers = {name for facts in found for name in facts["buffers"]}
    assert buffers <= {data_plane.SizeBasedBufferingClosableOutputStream.__name__}


@pytest.mark.parametrize("isolated", [False, True])
def test_one_worker_is_a_process_of_its_own_if_it_is_to_be(isolated: bool, tmp_path: Path) -> None:
    units = [{"folder": str(tmp_path), "number": 1, "workers": 1}]
    run_units(describe_worker, units, LocalEngine(isolated=isolated))
    assert (json.loads((tmp_path / "1.json").read_text())["pid"] != os.getpid()) == isolated
    assert isinstance(one := engine(1, []), LocalEngine) and one.isolated, "as the command's are"


def long_first(folder: str, number: int) -> None:
    """The first unit ends when all others have been done."""
    while number == 0 and len(list(Path(folder).iterdir())) < 9:
        time.sleep(0.01)
    with (Path(folder) / str(number)).open("x") as stream:  # a second time would raise
        stream.write(str(os.getpid()))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("options", [(), ("--direct_runner_bundle_repeat=2",)])
def test_units_wait_for_no_worker_that_is_busy(options: tuple[str, ...], tmp_path: Path) -> None:
    run_units(long_first, [{"folder": str(tmp_path), "number": n} for n in range(10)], LocalEngine(2, options))
    assert {path.name for path in tmp_path.iterdir()} == set(map(str, range(10)))
    assert len({(tmp_path / str(n)).read_text() for n in range(1, 10)}) == 1


def die(number: int) -> None:
    os._exit(3)


@pytest.mark.timeout(60)
def test_a_worker_that_dies_ends_the_job_with_an_error() -> None:
    with pytest.raises(RuntimeError, match="a worker process ended before its work"):
        run_units(die, [{"number": n} for n in range(4)], LocalEngine(2))


def die_until(number: int, folder: str, deaths: int = 0) -> None:
    """Dies at unit 3 until there were three deaths; notes whether another unit runs beside it."""
    path = Path(folder, f"{number}.ended")
    at(str(number), f"at number {number}")
    if number == 3 and deaths < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    with path.open("x"):  # a second time would raise
        pass


@pytest.mark.timeout(60)
def test_a_unit_whose_worker_dies_is_mended_when_all_others_are_done(tmp_path: Path) -> None:
    """It is run alone until it is done; the units of workers that live are not run again."""
    seen: list[tuple[int, str, str, int]] = []

    def mend(unit: Mapping[str, Any], deaths: Sequence[Death]) -> Mapping[str, Any]:
        seen.append((unit["number"], deaths[-1].name, deaths[-1].how, len(list(tmp_path.iterdir()))))
        return {**unit, "deaths": len(deaths)}

    units = [{"number": number, "folder": str(tmp_path)} for number in range(12)]
    LocalEngine(2).for_each("units", die_until, units, mend)
    assert [told[:3] for told in seen] == [(3, "at number 3", "SIGKILL")] * 3
    assert [told[3] for told in seen[1:]] == [11, 11], "by then all others are done"
    assert len(list(tmp_path.iterdir())) == 12


def complain(number: int) -> None:
    raise ValueError(f"unit {number} is broken")


def test_an_error_in_a_worker_is_told_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="unit 1 is broken"):
        run_units(complain, [{"number": 1}] * 2, LocalEngine(2))


def test_workers_print_nothing_of_their_own(tmp_path: Path) -> None:
    program = (
        "from pipelines.engine import LocalEngine\n"
        "from beam_testing import run_units\n"
        "from test_engine import describe_worker\n"
        f"units = [dict(folder={str(tmp_path)!r}, number=n, workers=2) for n in range(2)]\n"
        "if __name__ == '__main__':\n"
        "    run_units(describe_worker, units, LocalEngine(2))\n"
    )
    path = str(Path(__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (tmp_path / "1.json").exists()
    assert "INFO" not in ran.stderr and "Logging handler" not in ran.stderr
