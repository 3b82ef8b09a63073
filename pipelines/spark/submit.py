"""A job as a jar that holds all it needs, run by `spark-submit`: for YARN, Kubernetes, and clusters reached only so.

Beam itself can make such a jar (its job server with all classes, the pipeline and its options as further files) but
sends it to a REST service of Spark's that is mostly off; here `spark-submit` gets it.
"""

import logging
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.abstract_job_service import AbstractJobServiceServicer, UberJarBeamJob
from apache_beam.runners.portability.portable_runner import PortableRunner

from pipelines.spark.leash import leashed

MAIN = "org.apache.beam.runners.spark.SparkPipelineRunner"
LINES_KEPT = 1000
"""Of what spark-submit prints: enough to hold the error that ended it."""
ARTIFACT_PORT = 0
"""Any: it is only used from this process."""
logger = logging.getLogger(__name__)


class SubmitRunner(PortableRunner):
    """A Beam runner that gives every pipeline to spark-submit.

    Args:
        jar: Beam's job server, of which each job's jar is a copy with the job in it.
        command: spark-submit with its options.
    """

    def __init__(self, jar: Path, command: Sequence[str]) -> None:
        super().__init__()
        self.service = _SubmitService(jar, command)

    def default_job_server(self, options: Any) -> "SubmitRunner":
        return self

    def start(self) -> Any:
        """Where Beam gives its jobs to: a service in this process."""
        return self.service


class _SubmitService(AbstractJobServiceServicer):
    def __init__(self, jar: Path, command: Sequence[str]) -> None:
        super().__init__()
        self.jar, self.command = jar, command

    def create_beam_job(self, job_id: str, job_name: str, pipeline: Any, options: Any) -> "_SubmitJob":
        return _SubmitJob(self.command, str(self.jar), job_id, job_name, pipeline, options)


class _SubmitJob(UberJarBeamJob):
    def __init__(self, command: Sequence[str], *of_beam: Any) -> None:
        super().__init__(*of_beam)
        self.command = command
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)

    def prepare(self) -> None:
        """Copies the jar and takes in the job's files; Beam calls it first."""
        self.folder = tempfile.TemporaryDirectory(
            prefix="m3w-spark-"
        )  # removed with this job, or at the latest at exit
        self._jar = str(Path(self.folder.name) / "job.jar")
        shutil.copyfile(self._executable_jar, self._jar)
        self._start_artifact_service(self._jar, ARTIFACT_PORT)

    def run(self) -> None:
        """Runs the job to its end."""
        self._stop_artifact_service()  # which also writes the pipeline into the jar
        try:
            code = self.submit()
        finally:
            self.folder.cleanup()
        state = beam_job_api_pb2.JobState
        self.set_state(state.FAILED if code else state.DONE)

    def submit(self) -> int:
        """The exit code of spark-submit; what it prints is logged, the end of it kept."""
        command = leashed([*self.command, "--class", MAIN, self._jar])
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                logger.info(line.rstrip())
                self.lines.append(line)
            return process.wait()
        finally:
            process.terminate()  # nothing, if it has ended; the driver in it tells its executors
            process.wait()

    def get_state_stream(self) -> Iterator[Any]:
        """States up to the last; Beam asks for the first before `run`, for the others after it."""
        yield self.get_state()
        yield self.get_state()

    def get_message_stream(self) -> Iterator[Any]:
        state, when = self.get_state()
        if state == beam_job_api_pb2.JobState.FAILED:
            yield beam_job_api_pb2.JobMessage(
                message_id="1",
                time=str(int(when)),
                importance=beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR,
                message_text="".join(self.lines),
            )
        yield state, when
