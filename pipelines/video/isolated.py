"""`cut_video`: the clips of a video with their texts, whatever the file does to FFmpeg."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.video.align import VideoTexts, with_texts
from pipelines.video.config import CutConfig
from pipelines.video.messages import OUT_OF_MEMORY, decode
from pipelines.video.records import CutVideo
from schemas.rejection import Rejected
from schemas.strict import to_plain

GRACE_SECONDS = 5.0
"""Beyond its own limit of time, after which a child that does not answer is killed."""
START_SECONDS = 60.0
"""What a child may take to import its libraries on a loaded machine."""


def cut_video(path: Path, texts: VideoTexts, config: CutConfig) -> CutVideo | Rejected:
    """The clips of the video in a file, each with its text, and those that were dropped, each with the reason.

    The work is done in a process of its own, so that nothing a file does to a decoder can stop a run. Reasons, beside
    those of `cut_here`: timed_out, out_of_memory, crashed_decoder, crashed (a defect of ours). Threads wait for each
    other: workers are processes.

    Raises:
        OSError: no process could be started, or the file cannot be read.
    """
    video = cut_isolated(path, config)
    return video if isinstance(video, Rejected) else with_texts(video, texts, config.clip_text)


def cut_isolated(path: Path, config: CutConfig) -> CutVideo | Rejected:
    """The clips without their texts."""
    with path.open("rb"):
        pass  # an error of this machine is none of the video
    answer = _asked({"path": str(path.absolute()), "config": to_plain(config)}, config.video.max_work_seconds)
    if answer is None or answer[0] == -signal.SIGXCPU:
        return Rejected("timed_out", f"more than {config.video.max_work_seconds} s, and did not stop by itself")
    status, data = answer
    if status in (OUT_OF_MEMORY, -signal.SIGKILL):  # the kernel kills too where memory is short
        return Rejected("out_of_memory", f"more than {config.video.max_memory_bytes} bytes")
    if status < 0:
        return Rejected("crashed_decoder", signal.Signals(-status).name)
    return Rejected("crashed", data.decode(errors="replace")[:500]) if status else decode(data)


def _asked(request: object, seconds: float) -> tuple[int, bytes] | None:
    """The child's answer; a child that has ended, which is no video's doing, is replaced once."""
    with _state.lock:
        try:
            return _ask(request, seconds)
        except OSError:
            return _ask(request, seconds)


def _ask(request: object, seconds: float) -> tuple[int, bytes] | None:
    answer = None
    try:
        answer = _child().ask(request, seconds)
    finally:
        if answer is None:
            end_child()  # also so that an answer that comes late is not taken for the next
    return answer


@dataclass
class Child:
    """A process that runs child.py."""

    process: subprocess.Popen[bytes]
    ready: bool = False
    """It has answered before."""

    def ask(self, request: object, seconds: float) -> tuple[int, bytes] | None:
        """(exit status of the work, what it gave), or None if it does not come in time.

        Raises:
            OSError: the process has ended.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        deadline = time.monotonic() + seconds + GRACE_SECONDS + (0 if self.ready else START_SECONDS)
        stdin.write(json.dumps(request).encode() + b"\n")
        data = b""
        while (end := data.find(b"\n")) < 0:
            if not (more := _read(stdout.fileno(), deadline)):
                return None
            data += more
        head = json.loads(data[:end])
        parts, missing = [data[end + 1 :]], head["length"] - (len(data) - end - 1)
        while missing > 0:
            if not (more := _read(stdout.fileno(), deadline)):
                return None
            parts.append(more)
            missing -= len(more)
        self.ready = True
        return head["status"], b"".join(parts)

    def end(self) -> None:
        """Kills the process and what it has forked."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()


def _read(descriptor: int, deadline: float) -> bytes:
    """Some bytes; none if the time is over.

    Raises:
        OSError: the process has ended.
    """
    ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        return b""
    data = os.read(descriptor, 1 << 20)
    if not data:
        raise ChildProcessError("the process that cuts videos has ended; its errors stand above")
    return data


@dataclass
class _State:
    """The child of this process, if it has one."""

    child: Child | None = None
    inherited: list[Child] = field(default_factory=list)
    """Those of the processes that this one was forked from: kept, so that nothing waits for them here."""
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def _child() -> Child:
    if _state.child is not None and _state.child.process.poll() is not None:
        end_child()
    if _state.child is None:
        places = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        # It forks, so no library may start threads in it.
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(places)}
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.video.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )
        _state.child = Child(process)
    return _state.child


def child_pid() -> int | None:
    """The process that works for this one, if it runs: for who measures it."""
    return _state.child.process.pid if _state.child else None


@atexit.register
def end_child() -> None:
    """Ends this process's child; the next video starts another."""
    if _state.child is not None:
        child, _state.child = _state.child, None
        child.end()


def _after_fork() -> None:
    """A process that was forked starts a child of its own."""
    _state.lock = threading.Lock()
    if _state.child is not None:
        _state.child.close()
        _state.inherited.append(_state.child)
        _state.child = None


os.register_at_fork(after_in_child=_after_fork)
