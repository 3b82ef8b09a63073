"""What is known of a video and of its clips."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.document import EMPTY
from schemas.rejection import Rejected


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle."""

    start: float
    """Seconds from the beginning of the video."""
    end: float
    text: str
    """Plain words: no tags, no names of speakers, no descriptions of sounds."""


@dataclass(frozen=True, slots=True)
class Track:
    """The cues of one subtitle track."""

    language: str
    """As the track names it, in lower case: "en", "eng"; empty if it does not."""
    cues: tuple[Cue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """A video as its container and its packets describe it; its frames have not been looked at."""

    container: str
    """"mp4" (also mov, m4v), "webm", "mkv", "ogv" or "avi"."""
    codec: str
    """FFmpeg's name: "h264", "vp9"."""
    duration: float
    """Seconds; of the packets, where the header gives none."""
    width: int
    """Pixels, upright and with square pixels."""
    height: int
    frame_rate: float
    """Frames for each second on average."""
    frames: int
    """Packets of the video stream: one for each frame, and for a few codecs some more."""
    key_frames: int
    rotation: int
    """Degrees clockwise by which the stored picture is turned to stand upright: 0, 90, 180 or 270."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip that was kept."""

    start: float
    """Seconds from the beginning of the video, to the millisecond."""
    end: float
    times: tuple[float, ...]
    """Of the frames, seconds from the beginning of the video, rising, to the millisecond."""
    frames: tuple[bytes, ...]
    """JPEG files, one for each time."""
    width: int
    """Pixels of the frames."""
    height: int
    measures: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    """"motion", "deviation", "dominant_share" as [clips] judges them; "cuts": how many the clip goes across."""
    text: str = ""
    text_source: str = ""
    """"subtitles", "caption", "description" or "title"; empty without a text."""
    media: bytes = b""
    """The clip's own packets in a file of their own, if [frames] keeps the clip."""
    media_offset: float = 0.0
    """Seconds from the beginning of that file to that of the clip: the file begins with the key frame before."""
    extension: str = ""
    """Of that file: "mp4" or "mkv"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedClip:
    """A clip that was not kept."""

    start: float
    end: float
    rejected: Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class CutVideo:
    """A video that was cut; each second of it is in one clip, kept or dropped."""

    facts: VideoFacts
    clips: tuple[Clip, ...]
    """In order of their times."""
    dropped: tuple[DroppedClip, ...]
    """In order of their times."""
    cuts: tuple[float, ...]
    """Where scenes change, seconds from the beginning of the video."""
    damaged: int
    """Packets and frames that could not be decoded, or not whole."""
    decoded: int
    """Frames that were decoded."""
    tracks: tuple[Track, ...]
    """Subtitle tracks that the container holds."""
