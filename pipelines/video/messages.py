"""What the child process says of a video, as bytes: JSON, and the frames after it. Nothing in it is ever executed."""

import json
from dataclasses import replace
from typing import Any

from pipelines.video.records import Clip, CutVideo
from schemas.rejection import Rejected
from schemas.strict import from_plain, to_plain

CRASHED = 1
"""Exit code of the child when a defect of ours showed; it gives a description instead of a result."""
OUT_OF_MEMORY = 12
"""Exit code of the child when its limit of memory is met."""


def encode(result: CutVideo | Rejected) -> bytes:
    """A line of JSON, and the bytes that it counts."""
    if isinstance(result, Rejected):
        return json.dumps({"rejected": to_plain(result)}).encode() + b"\n"
    blobs: list[bytes] = []
    clips = []
    for clip in result.clips:
        blobs += [*clip.frames, clip.media]
        clips.append({**to_plain(replace(clip, frames=(), media=b"")), "media": ""})
    video = to_plain(replace(result, clips=()))
    head = {"video": video, "clips": clips, "lengths": [len(blob) for blob in blobs]}
    return b"".join([json.dumps(head).encode(), b"\n", *blobs])


def decode(data: bytes) -> CutVideo | Rejected:
    """The inverse of `encode`.

    Raises:
        ValueError: it is not what `encode` makes.
    """
    line, _, body = data.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    if "rejected" in head:
        return from_plain(Rejected, head["rejected"], "answer")
    blobs = []
    place = 0
    for length in head["lengths"]:
        blobs.append(body[place : place + length])
        place += length
    if place != len(body):
        raise ValueError(f"{len(body)} bytes, {place} were announced")
    video = from_plain(CutVideo, {**head["video"], "clips": []}, "answer")
    return replace(video, clips=tuple(_clips(head["clips"], blobs)))


def _clips(heads: list[dict[str, Any]], blobs: list[bytes]) -> list[Clip]:
    clips = []
    left = iter(blobs)
    for head in heads:
        frames = tuple(next(left) for _ in head["times"])
        plain = {**head, "times": tuple(head["times"]), "frames": frames, "media": next(left)}
        clips.append(Clip(**plain))
    return clips
