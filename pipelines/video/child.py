"""The process that works on videos, one after the other, each in a process of its own that is forked from here.

It imports FFmpeg once; a video that crashes it, hangs it or eats its memory costs a fork. A request is a line of JSON
on standard input, an answer a line of JSON and as many bytes as it says on standard output:

    {"path": ..., "config": {...}}
    {"status": 0, "length": 1234}  and 1234 bytes: what `messages.encode` makes of a result
"""

import gc
import json
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines.video.config import CutConfig
from pipelines.video.cut import cut_here
from pipelines.video.messages import CRASHED, OUT_OF_MEMORY, encode
from schemas.strict import from_plain

LATE = (
    "av.subtitles.codeccontext",
    "av.subtitles.stream",
    "av.subtitles.subtitle",
    "encodings.cp1252",
    "encodings.utf_16",
    "encodings.utf_8_sig",
    "numpy.ma",
)
"""What libraries import when first used: done before a fork, each does not do it anew, in what memory a video has."""


def main() -> None:
    Image.preinit()
    for name in LATE:
        import_module(name)
    gc.freeze()  # a collection in a fork would touch, and so copy, what all of them share
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(BrokenPipeError):  # who asked has gone
        for line in sys.stdin.buffer:
            status, result = run_forked(json.loads(line))
            answers.write(json.dumps({"status": status, "length": len(result)}).encode() + b"\n" + result)
            answers.flush()


def run_forked(request: dict[str, Any]) -> tuple[int, bytes]:
    """(how the process ended, as `subprocess` tells it: 0, or minus the signal, or a code; what it wrote)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        work(request, writer)  # does not return
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), result


def work(request: dict[str, Any], writer: int) -> None:
    """Cuts a video within its limits, writes the result and ends the process, whatever happens."""
    code = CRASHED
    try:
        config = from_plain(CutConfig, request["config"], "config")
        limit(config)
        code, result = 0, encode(cut_here(Path(request["path"]), config))
    except MemoryError:
        code, result = OUT_OF_MEMORY, b""
    except BaseException as error:  # a defect of ours must cost one video, and show where it is
        where = traceback.extract_tb(error.__traceback__)[-1]
        result = f"{error!r} at {where.name}, line {where.lineno}".encode(errors="replace")
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(result)
    finally:
        os._exit(code)


def limit(config: CutConfig) -> None:
    """Ends this process when it takes more than a video may: a hang in a decoder is found by its processor time."""
    seconds = int(config.video.max_work_seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (config.video.max_memory_bytes, config.video.max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


if __name__ == "__main__":
    main()
