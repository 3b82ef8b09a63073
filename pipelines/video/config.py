"""Recipe tables [video], [scenes], [clips], [frames] and [clip_text].

They stand apart from what they configure so that a recipe is read, and a build runs, without FFmpeg.
"""

from dataclasses import dataclass

FORMATS = ("mp4", "webm", "mkv", "ogv", "avi")
TEXT_SOURCES = ("subtitles", "caption", "description", "title")


@dataclass(frozen=True, kw_only=True)
class VideoProbeConfig:
    """Recipe table [video]: which files are taken, and what the work on one may cost."""

    formats: tuple[str, ...]
    """Accepted containers, by content: of mp4 (also mov, m4v), webm, mkv, ogv, avi."""
    codecs: tuple[str, ...]
    """Accepted codecs by FFmpeg's names ("h264", "vp9"): each decoder is a risk that one chooses to take."""
    max_bytes: int
    """Largest file, bytes."""
    min_duration: float
    """Shortest video, seconds."""
    max_duration: float
    """Longest video, seconds."""
    min_side: int
    """Least width and height, pixels, upright and with square pixels."""
    max_pixels: int
    """Most pixels of a stored frame; a decoder holds up to about 20 frames of 1.5 bytes (at 8 bits) for each."""
    max_frames: int
    """Most frames of the whole video."""
    max_damaged_share: float
    """Largest share of packets that cannot be decoded, 0 to 1, beyond which nothing of the video is used."""
    max_work_seconds: float
    """Wall time that the work on one video may take."""
    max_memory_bytes: int
    """Memory that the process which works on one video may take for its data, bytes; about 100 MB are its own."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise ValueError(f"formats: {unknown[0]!r} is not one of {', '.join(FORMATS)}")
        if not self.formats or not self.codecs:
            raise ValueError("formats, codecs: at least one of each must be accepted")
        if not 0 <= self.min_duration <= self.max_duration:
            raise ValueError(f"min_duration: {self.min_duration} is not between 0 and max_duration")
        for name in ("max_bytes", "min_side", "max_pixels", "max_frames", "max_memory_bytes"):
            _between(self, name, 1, 2**50)
        _between(self, "max_damaged_share", 0, 1)
        _between(self, "max_work_seconds", 0.001, 86_400)


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """Recipe table [scenes]: what counts as a cut. Levels are those of 8-bit samples, 0 to 255."""

    fps: float
    """Frames looked at, for each second; others are decoded and not compared. 2 to 60."""
    min_change: float
    """Least mean change from one frame to the next that no small movement explains, levels of luma plus levels of
    chroma."""
    min_ratio: float
    """How many times this change must exceed what is usual around it: motion is usual all along."""
    window_seconds: float
    """What "around it" is, on either side."""
    min_decorrelation: float
    """1 minus the least correlation of two frames that show different scenes, 0 to 2: light that changes and fades
    leave the correlation of luma as it is."""
    settle_seconds: float
    """If the picture is again what it was within this time, it was a flash or a passing object and no cut."""
    min_scene_seconds: float
    """A cut that follows another sooner is not one."""
    flat_deviation: float
    """Standard deviation of luma, levels, below which a frame is flat, as black is: it shows no scene."""
    flat_scene_seconds: float
    """Flat frames that last as long are a scene of their own; shorter ones, as in a fade, belong to what was before."""

    def __post_init__(self) -> None:
        _between(self, "fps", 2, 60)
        _between(self, "min_change", 0, 510)
        _between(self, "min_ratio", 1, 1000)
        _between(self, "min_decorrelation", 0, 2)
        _between(self, "flat_deviation", 0, 128)
        for name in ("window_seconds", "settle_seconds", "min_scene_seconds", "flat_scene_seconds"):
            _between(self, name, 0, 60)


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Recipe table [clips]: what clips a video is cut into, and which are dropped."""

    min_seconds: float
    """Shortest clip."""
    target_seconds: float
    """Length of the equal parts that a longer scene is cut into, about."""
    max_seconds: float
    """Longest clip."""
    join_below_seconds: float
    """A scene shorter than this is joined with what follows until they are this long; 0: no clip goes across a cut."""
    max_clips: int
    """Most clips of one video; if there are more, those kept are spread evenly over it."""
    min_motion: float
    """Change of luma, levels 0 to 255, that a fiftieth of the picture must show between some two sampled frames that
    follow each other; below, the clip is still."""
    min_deviation: float
    """Standard deviation, levels 0 to 127.5, that the largest channel of the median frame must reach; below, the clip
    is a single colour."""
    max_dominant_share: float
    """Largest share of the most frequent colour in the median frame, 0 to 1; above, the clip is a single colour."""

    def __post_init__(self) -> None:
        if not 0 < self.min_seconds <= self.target_seconds <= self.max_seconds:
            raise ValueError(
                f"target_seconds: {self.target_seconds} is not between min_seconds ({self.min_seconds}, above 0) and "
                f"max_seconds ({self.max_seconds})"
            )
        _between(self, "join_below_seconds", 0, self.max_seconds)
        _between(self, "max_clips", 1, 100_000)
        _between(self, "min_motion", 0, 255)
        _between(self, "min_deviation", 0, 127.5)
        _between(self, "max_dominant_share", 0, 1)


@dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """Recipe table [frames]: which frames are stored, and how."""

    keep: str
    """"frames": JPEGs; "clip": beside them the clip's own packets, pictures and sound, not encoded again."""
    fps: float
    """Frames for each second, at whole multiples of 1 / fps on the video's own clock. 0.01 to 60."""
    max_side: int
    """Frames are reduced until their larger side is this, pixels; 0 never reduces."""
    jpeg_quality: int
    """1 to 95."""
    jpeg_subsampling: str
    """Chroma subsampling: "4:4:4", "4:2:2" or "4:2:0"."""
    skip_share: float
    """If decoding from key frames only as far as wanted frames leaves less than this share of all frames to decode, 0
    to 1, the rest is skipped, and decoded only where a cut is suspected. 0 decodes everything."""

    def __post_init__(self) -> None:
        if self.keep not in ("frames", "clip"):
            raise ValueError(f'keep: {self.keep!r} is neither "frames" nor "clip"')
        if self.jpeg_subsampling not in ("4:4:4", "4:2:2", "4:2:0"):
            raise ValueError(f'jpeg_subsampling: {self.jpeg_subsampling!r}, must be "4:4:4", "4:2:2" or "4:2:0"')
        _between(self, "fps", 0.01, 60)
        _between(self, "max_side", 0, 65_500)
        _between(self, "jpeg_quality", 1, 95)
        _between(self, "skip_share", 0, 1)


@dataclass(frozen=True, kw_only=True)
class ClipTextConfig:
    """Recipe table [clip_text]: where a clip's text comes from."""

    order: tuple[str, ...]
    """The first of these that says something gives the text: of subtitles (those of the clip's time), caption,
    description, title."""
    languages: tuple[str, ...]
    """Languages of subtitle tracks in order of preference, as tracks name them ("en", "eng"); "" is a track that names
    none. Other tracks are not read."""
    max_gap_seconds: float
    """A pause between two cues that ends a sentence."""
    max_sentence_seconds: float
    """What lasts longer without a full stop is no sentence: its cues are given to clips one by one."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.order if name not in TEXT_SOURCES]:
            raise ValueError(f"order: {unknown[0]!r} is not one of {', '.join(TEXT_SOURCES)}")
        _between(self, "max_gap_seconds", 0, 3600)
        _between(self, "max_sentence_seconds", 0, 3600)


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """All that `cut_video` depends on."""

    video: VideoProbeConfig
    scenes: SceneConfig
    clips: ClipConfig
    frames: FramesConfig
    clip_text: ClipTextConfig

    def __post_init__(self) -> None:
        if self.clips.min_seconds * self.frames.fps < 1:
            raise ValueError("clips.min_seconds: a clip of this length may hold no frame, at frames.fps")


def _between(config: object, name: str, low: float, high: float) -> None:
    if not low <= (value := getattr(config, name)) <= high:
        raise ValueError(f"{name}: {value}, must be {low} to {high}")
