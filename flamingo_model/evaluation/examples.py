"""One example of a task, and its picture or video: where it is, its digest, its frames.

A file that is missing or damaged is a `Rejected` with its reason, which the caller counts; nothing is left out unsaid.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image

from flamingo_model.preprocess import upright_rgb
from schemas.rejection import Rejected

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
VIDEOS = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".ogv", ".flv", ".3gp")


class TaskError(ValueError):
    """A task that cannot be read or run: the message says what would do."""


@dataclass(frozen=True, slots=True)
class Visual:
    """A picture or a video, not read yet."""

    path: Path | None = None
    """Its file; or a folder of frames, in the order of their names."""
    data: tuple[bytes, ...] = ()
    """Instead of a file: the bytes of a picture, or of each frame of a video."""
    start: float = 0.0
    """Of a video: where the part begins, seconds."""
    end: float | None = None
    """Where it ends; None: with the file."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path else f"{len(self.data)} picture(s) in memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is shown and asked, and what may be answered."""

    id: str
    """Of its own within the split."""
    visual: Visual
    answers: tuple[str, ...]
    """All that are right: captions, answers of several people, one name; empty where they are not public."""
    question: str = ""
    """Or what else is written beside the picture (HatefulMemes: the text in it)."""
    context: str = ""
    """What was said before the question, ready for the prompt (VisDial)."""
    candidates: tuple[str, ...] = ()
    """Of a task that ranks: what is compared."""
    relevance: tuple[float, ...] = ()
    """Of each candidate, 0 to 1 (VisDial)."""
    label: str = ""
    """Class, for a support of so many examples of each."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What a metric needs besides."""

    @property
    def shown_answer(self) -> str:
        """The one that stands in a prompt: the most frequent, the first of these."""
        if not self.answers:
            raise TaskError(f"example {self.id} has no answer, so it cannot be a shot; take a split with answers")
        return max(self.answers, key=self.answers.count)


@dataclass(frozen=True, slots=True)
class Frames:
    """What was asked of a video."""

    count: int
    """At most so many frames."""
    fps: float
    """So many a second; of a video that is too long for this, `count` frames evenly over its whole length."""


def digest(visual: Visual) -> str | Rejected:
    """SHA-256 of the file; parts of one video share it, so that none of them is a shot for another."""
    whole = hashlib.sha256()
    try:
        for part in visual.data or _files(visual):
            whole.update(part if isinstance(part, bytes) else part.read_bytes())
    except OSError as error:
        return _missing(visual, error)
    return whole.hexdigest()


def read(visual: Visual, frames: Frames) -> list[Image.Image] | Rejected:
    """Upright RGB pictures: one, or the frames of a video."""
    try:
        if visual.path and visual.path.suffix.lower() in VIDEOS:
            return _video_frames(visual.path, visual.start, visual.end, frames)
        pictures: list[Image.Image] = []
        parts = visual.data or _files(visual)
        for place in spread(len(parts), frames.count):
            source = parts[place]
            with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as picture:
                pictures.append(upright_rgb(picture))
    except FileNotFoundError as error:
        return _missing(visual, error)
    except Exception as error:  # whatever a damaged file does to a decoder
        return Rejected("undecodable", f"{visual.name}: {type(error).__name__}: {error}")
    return pictures or Rejected("undecodable", f"{visual.name}: no picture in it")


def spread(length: int, count: int) -> list[int]:
    """At most `count` of the places of a list, evenly, the first and the last among them (of one: the middle)."""
    if length <= count:
        return list(range(length))
    if count == 1:
        return [length // 2]
    return [round(number * (length - 1) / (count - 1)) for number in range(count)]


def find_file(folder: Path, stem: str) -> Path:
    """`folder/stem` with whatever extension of a picture or video is there; without one if none is."""
    exact = folder / stem
    if exact.suffix.lower() in (*PICTURES, *VIDEOS) or exact.is_dir():
        return exact
    for extension in (*VIDEOS, *PICTURES):
        for own in (extension, extension.upper()):
            if (found := exact.with_name(exact.name + own)).is_file():
                return found
    return exact


def is_video(visual: Visual) -> bool:
    """Whether it has several frames."""
    if visual.path is None:
        return len(visual.data) > 1
    return visual.path.suffix.lower() in VIDEOS or visual.path.is_dir()


def _files(visual: Visual) -> list[Path]:
    assert visual.path is not None
    if visual.path.is_dir():
        return sorted(path for path in visual.path.iterdir() if path.suffix.lower() in PICTURES)
    return [visual.path]


def _missing(visual: Visual, error: OSError) -> Rejected:
    if isinstance(error, FileNotFoundError):
        return Rejected("missing", f"{visual.name} is not there")
    return Rejected("unreadable", f"{visual.name}: {error}")


def _video_frames(path: Path, start: float, end: float | None, wanted: Frames) -> list[Image.Image] | Rejected:
    import av

    if not path.is_file():
        raise FileNotFoundError(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = float(stream.time_base or 0)
        times = sorted(float(packet.pts) * base for packet in container.demux(stream) if packet.pts is not None)
        if not times:
            return Rejected("undecodable", f"{path}: its video has no frames")
        first = times[0]
        last = times[-1] if end is None else min(times[-1], first + end)
        begin = min(first + start, last)
        inside = [time for time in times if begin <= time <= last] or [begin]
        count = min(wanted.count, int((inside[-1] - inside[0]) * wanted.fps + 1e-6) + 1)
        step = 1 / wanted.fps
        if (inside[-1] - inside[0]) >= wanted.count * step:
            step = (inside[-1] - inside[0]) / max(wanted.count - 1, 1)
        targets = [inside[0] + number * step for number in range(count)]
        if stream.time_base:
            container.seek(max(0, int(begin / base)), stream=stream, backward=True)
        chosen: list[Image.Image] = []
        latest = None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time = float(frame.pts) * base
            while len(chosen) < len(targets) and time > targets[len(chosen)] + 1e-6 and latest is not None:
                chosen.append(_upright(latest))
            latest = frame
            if len(chosen) == len(targets):
                break
        if latest is not None:
            chosen += [_upright(latest) for _ in range(len(targets) - len(chosen))]
    return chosen or Rejected("undecodable", f"{path}: no frame of it can be decoded")


def _upright(frame: object) -> Image.Image:
    picture: Image.Image = frame.to_image()  # type: ignore[attr-defined]
    turn = int(getattr(frame, "rotation", 0)) % 360
    return picture.rotate(turn, expand=True) if turn else picture
