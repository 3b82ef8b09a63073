"""cut_video: nothing that a file does to a decoder stops the process that asks."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import CONFIG, encode, pan, pictures, zoom

from pipelines.video import isolated
from pipelines.video.align import VideoTexts
from pipelines.video.config import CutConfig
from pipelines.video.cut import cut_here
from pipelines.video.isolated import cut_isolated, cut_video, end_child
from pipelines.video.messages import decode
from pipelines.video.messages import encode as to_bytes
from pipelines.video.records import Clip, Cue, CutVideo, DroppedClip, Track, VideoFacts
from schemas.rejection import Rejected


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shots = [*pan(pictures()[0], 2.0), *zoom(pictures()[2], 2.0)]
    return encode(tmp_path_factory.mktemp("film") / "film with a space, and \u00fc.mp4", shots)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes some seconds of work at 60 pictures a second."""
    return encode(
        tmp_path_factory.mktemp("film") / "long.mp4", (f for _ in range(10) for f in pan(pictures()[0], 10.0))
    )


BUSY = replace(CONFIG, frames=replace(CONFIG.frames, fps=60.0, max_side=0))


def limited(config: CutConfig = CONFIG, **limits: float) -> CutConfig:
    return replace(config, video=replace(config.video, **limits))  # type: ignore[arg-type]


def test_the_same_as_in_this_process(film: Path) -> None:
    assert cut_isolated(film, CONFIG) == cut_here(film, CONFIG)


def test_the_process_that_asks_needs_no_ffmpeg() -> None:
    code = "import sys, pipelines.video.isolated; print({'av', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout == "set()\n", done.stderr


def test_clips_have_their_texts(film: Path) -> None:
    file = b"WEBVTT\n\n00:00.500 --> 00:01.500\nThe first.\n\n00:02.500 --> 00:03.500\nThe second.\n"
    video = cut_video(film, VideoTexts(title="A film", subtitles=(("en", file),)), CONFIG)
    assert isinstance(video, CutVideo)
    assert [(clip.start, clip.text) for clip in video.clips] == [(0.0, "The first."), (2.0, "The second.")]
    assert all(clip.frames[0].startswith(b"\xff\xd8") for clip in video.clips)


def test_one_process_serves_all_videos(film: Path) -> None:
    cut_isolated(film, CONFIG)
    first = isolated.child_pid()
    cut_isolated(film, CONFIG)
    assert isolated.child_pid() == first


def test_want_of_memory_is_a_reason(film: Path, tmp_path: Path) -> None:
    frames = [frame.resize((1280, 720)) for frame in pan(pictures()[0], 1.0, fps=5)]
    large = encode(tmp_path / "large.mp4", frames, size=(1280, 720), fps=5)
    assert cut_isolated(large, limited(max_memory_bytes=1 << 20)) == Rejected(
        "out_of_memory", "more than 1048576 bytes"
    )
    assert isinstance(cut_isolated(large, CONFIG), CutVideo)


def test_time_is_a_reason(long_film: Path) -> None:
    assert cut_isolated(long_film, limited(BUSY, max_work_seconds=0.2)) == Rejected("timed_out", "more than 0.2 s")


@pytest.fixture
def meddle() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join()


def signal_worker(number: int, threads: list[threading.Thread]) -> None:
    """Sends a signal to the process that works on the next video."""
    process = psutil.Process(isolated.child_pid())

    def run() -> None:
        for _ in range(2000):
            if working := process.children():
                time.sleep(0.05)
                working[0].send_signal(number)
                return
            time.sleep(0.005)

    threads.append(threading.Thread(target=run))
    threads[-1].start()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, "crashed_decoder"),
        (signal.SIGABRT, "crashed_decoder"),
        (signal.SIGKILL, "out_of_memory"),
        (signal.SIGXCPU, "timed_out"),
    ],
)
def test_a_crash_is_a_reason(
    number: int, reason: str, film: Path, long_film: Path, meddle: list[threading.Thread]
) -> None:
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)
    signal_worker(number, meddle)
    rejected = cut_isolated(long_film, BUSY)
    assert isinstance(rejected, Rejected) and rejected.reason == reason
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)


def test_a_hang_is_a_reason(
    film: Path, long_film: Path, meddle: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 0.5)
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)
    stopped = isolated.child_pid()
    signal_worker(signal.SIGSTOP, meddle)
    rejected = cut_isolated(long_film, limited(BUSY, max_work_seconds=1.0))
    assert rejected == Rejected("timed_out", "more than 1.0 s, and did not stop by itself")
    assert not psutil.pid_exists(stopped)
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)


def test_a_child_that_has_ended_is_replaced(film: Path) -> None:
    cut_isolated(film, CONFIG)
    os.kill(isolated.child_pid() or 0, signal.SIGKILL)
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cut_isolated(tmp_path / "missing.mp4", CONFIG)


def test_a_bad_file_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"<html>")
    rejected = cut_video(path, VideoTexts(), CONFIG)
    assert isinstance(rejected, Rejected) and rejected.reason == "not_a_video"


def _in_worker(path: Path, answers: "multiprocessing.Queue[int]") -> None:
    result = cut_isolated(path, CONFIG)
    answers.put(len(result.clips) if isinstance(result, CutVideo) else -1)


def test_a_daemonic_worker_that_was_forked_has_its_own(film: Path) -> None:
    cut_isolated(film, CONFIG)
    mine = isolated.child_pid()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    worker = context.Process(target=_in_worker, args=(film, answers), daemon=True)
    worker.start()
    assert answers.get(timeout=60) == 2
    worker.join()
    assert psutil.pid_exists(mine)
    assert isinstance(cut_isolated(film, CONFIG), CutVideo)


def test_the_child_ends_with_its_parent(film: Path) -> None:
    cut_isolated(film, CONFIG)
    child = isolated._state.child
    assert child and child.process.stdin
    process = child.process
    assert process.stdin
    process.stdin.close()
    assert process.wait(10) == 0
    end_child()


NAMES = st.text(alphabet="abc \u00fc\n", max_size=5)
BLOBS = st.lists(st.binary(max_size=20), max_size=3)


@st.composite
def videos(draw: st.DrawFn) -> CutVideo:
    clips = []
    for number in range(draw(st.integers(0, 3))):
        frames = tuple(draw(BLOBS))
        clips.append(
            Clip(
                start=float(number),
                end=number + 0.5,
                times=tuple(number + 0.1 * place for place in range(len(frames))),
                frames=frames,
                width=3,
                height=4,
                measures={"motion": 1.5},
                text=draw(NAMES),
                media=draw(st.binary(max_size=20)),
            )
        )
    facts = VideoFacts(
        container="mp4",
        codec="h264",
        duration=3.5,
        width=3,
        height=4,
        frame_rate=25.0,
        frames=80,
        key_frames=2,
        rotation=90,
    )
    dropped = (DroppedClip(start=9.0, end=9.5, rejected=Rejected("still", draw(NAMES))),)
    tracks = (Track(draw(NAMES), (Cue(0.0, 1.0, draw(NAMES)),)),)
    return CutVideo(
        facts=facts, clips=tuple(clips), dropped=dropped, cuts=(1.0, 2.5), damaged=3, decoded=80, tracks=tracks
    )


@given(videos())
def test_messages(video: CutVideo) -> None:
    assert decode(to_bytes(video)) == video


def test_a_message_that_was_cut_off_is_an_error(film: Path) -> None:
    message = to_bytes(cut_here(film, CONFIG))
    with pytest.raises(ValueError, match="announced"):
        decode(message[:-1])
