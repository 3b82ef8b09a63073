"""Clips of a real video: pictures of the demo crawl, encoded as a video, decoded, and cut as `m3w` writes clips."""

import gzip
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import av
from crawls import records
from PIL import Image as Picture

from schemas.document import Document, Source, Text, Video
from schemas.keys import clip_key
from schemas.shard import Sample, frame_member

WIDTH, HEIGHT = 320, 240
SCENE_SECONDS = 4
FPS = 5
SCENES = ("taj_orig.jpg", "inst-gdm.png", "plot_convex_hull_001.png", "plot_ransac_001.png")
TEXTS = (
    "A palace of white marble behind a garden with a long pool",
    "Here one gives the name and the password; the desktop comes up after a few seconds.",
    "\u51f8\u5305\u306e\u4f8b: \u99ac\u306e\u5f71\u7d75",
    "\u0645\u062b\u0627\u0644 \u0639\u0644\u0649 RANSAC: the line is found in spite of the outliers.",
)
URL = "https://videos.example.org/tour.mp4"
PAGE_URL = "https://www.example.com/tour.html"


@lru_cache(maxsize=1)
def scene_pictures() -> list[Picture.Image]:
    """The pictures of the demo crawl that `SCENES` names, in this order."""
    found = {}
    for record in records():
        name = next((name for name in SCENES if record.kind == "response" and record.url.endswith(name)), None)
        if name and name not in found:
            _, _, body = gzip.decompress(record.stored).split(b"\r\n\r\n", 2)
            found[name] = Picture.open(BytesIO(body)).convert("RGB")
    return [found[name] for name in SCENES]


def write_video(path: Path) -> Path:
    """A video of a scene for each picture, in which the camera goes over it; MPEG-4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        stream.bit_rate = 2_000_000
        for picture in scene_pictures():
            large = picture.resize((WIDTH * 5 // 4, HEIGHT * 5 // 4))
            for number in range(SCENE_SECONDS * FPS):
                left, top = (WIDTH // 4 * number // (SCENE_SECONDS * FPS), HEIGHT // 8)
                seen = large.crop((left, top, left + WIDTH, top + HEIGHT))
                container.mux(stream.encode(av.VideoFrame.from_image(seen)))
        container.mux(stream.encode())
    return path


def clip(video: Path, number: int, fps: float = 1.0, page_url: str = PAGE_URL, split: str = "train") -> Sample:
    """Clip number `number` of the video: its frames `fps` a second, and its text."""
    start, end = float(number * SCENE_SECONDS), float((number + 1) * SCENE_SECONDS)
    times, frames = list[float](), list[bytes]()
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and start <= frame.time < end and frame.time >= start + len(frames) / fps - 1e-6:
                stream = BytesIO()
                frame.to_image().save(stream, "JPEG", quality=85)
                frames.append(stream.getvalue())
                times.append(round(frame.time, 3))
    return sample(start, end, times, frames, TEXTS[number], page_url, split)


def sample(
    start: float, end: float, times: Sequence[float], frames: Sequence[bytes], text: str, page_url: str, split: str
) -> Sample:
    members = {frame_member(0, number): data for number, data in enumerate(frames)}
    video = Video(
        url=URL,
        start=start,
        end=end,
        times=tuple(times),
        members=tuple(members),
        width=WIDTH,
        height=HEIGHT,
        sha256=sha256(b"".join(frames)).hexdigest(),
    )
    document = Document(
        kind="clip",
        url=URL,
        slots=(video, Text(text)),
        key=clip_key(URL, start, end),
        page_url=page_url,
        language="en",
        scores={"clip.motion": 3.5},
        source=Source(file="videos.jsonl", offset=3, date="2024-05-01T00:00:00Z"),
        split=split,
    )
    return Sample(document, members)


def clips(video: Path, fps: float = 1.0) -> list[Sample]:
    """A clip of each scene; the last belongs to "dev"."""
    last = len(SCENES) - 1
    return [clip(video, number, fps, split="dev" if number == last else "train") for number in range(len(SCENES))]
