"""What Java prints: pages for each job, which nobody wants to see unless it fails. It goes to a file."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("_LeashedServer", "pipelines.spark.submit")
"""The loggers that the job server's and spark-submit's lines go to: Beam calls the first after its class."""


class SparkLog:
    """A file for temporary files that is removed at the end, unless it is to be kept."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="m3w-spark-", suffix=".log")
        os.close(handle)
        self.path, self.keep = Path(name), False
        self.handler = logging.FileHandler(name)
        for name in NAMES:
            logger = logging.getLogger(name)
            logger.setLevel(logging.INFO)
            logger.propagate = False
            logger.addHandler(self.handler)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps off the terminal what Beam itself logs of a job's messages, which is the same once more."""
        root = logging.getLogger()
        root.addFilter(_refuse)  # only what is logged by the root itself
        try:
            yield
        finally:
            root.removeFilter(_refuse)

    def close(self) -> None:
        for name in NAMES:
            logging.getLogger(name).removeHandler(self.handler)
        self.handler.close()
        if not self.keep:
            self.path.unlink(missing_ok=True)


def _refuse(_record: logging.LogRecord) -> bool:
    return False
