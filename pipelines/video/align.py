"""Which words go with which clip."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.video.config import ClipTextConfig
from pipelines.video.records import Clip, Cue, CutVideo, DroppedClip, Track
from pipelines.video.subtitles import read_subtitles
from schemas.rejection import Rejected

_SENTENCE_END = re.compile(
    r"""[.!?\u2026]+["')\]\u201d\u2019\u00bb]*(?=\s)|[\u3002\uff01\uff1f][\u300d\u300f\u201d]?"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTexts:
    """What the page or the table that named a video says about it."""

    title: str = ""
    description: str = ""
    caption: str = ""
    subtitles: tuple[tuple[str, bytes], ...] = ()
    """(language as the page names it, WebVTT or SubRip file)."""


def with_texts(video: CutVideo, texts: VideoTexts, config: ClipTextConfig) -> CutVideo:
    """The video's clips with their texts; those for which there is none are dropped as `no_text`."""
    tracks = [Track(language.lower(), read_subtitles(data)) for language, data in texts.subtitles]
    cues = best_track([*tracks, *video.tracks], config.languages)
    said = share_out(cues, [(clip.start, clip.end) for clip in video.clips], config)
    general = {"title": texts.title, "description": texts.description, "caption": texts.caption}
    clips, dropped = [], list(video.dropped)
    for clip, words in zip(video.clips, said, strict=True):
        named = _first_text({"subtitles": words, **general}, config.order)
        if named:
            clips.append(replace(clip, text_source=named[0], text=named[1]))
        else:
            why = Rejected("no_text", f"none of {', '.join(config.order)}")
            dropped.append(DroppedClip(start=clip.start, end=clip.end, rejected=why))
    return replace(video, clips=tuple(clips), dropped=tuple(sorted(dropped, key=_start)))


def _start(thing: Clip | DroppedClip) -> float:
    return thing.start


def _first_text(texts: dict[str, str], order: Sequence[str]) -> tuple[str, str] | None:
    return next(((name, text) for name in order if (text := texts[name].strip())), None)


def best_track(tracks: Sequence[Track], languages: Sequence[str]) -> tuple[Cue, ...]:
    """The cues of the track whose language comes first; of several, the first that has any."""
    for language in languages:
        for track in tracks:
            if track.cues and (track.language == language or track.language.partition("-")[0] == language):
                return track.cues
    return ()


def share_out(cues: Sequence[Cue], clips: Sequence[tuple[float, float]], config: ClipTextConfig) -> list[str]:
    """The words of each clip: a sentence goes to the clip that holds most of it, whole.

    A sentence that no clip holds half of is shared out by cues, and a cue that none holds half of is left out: it
    belongs to what was dropped, or to no one.
    """
    words: list[list[str]] = [[] for _ in clips]
    for sentence in sentences(cues, config):
        parts = [_whole(sentence)]
        if _holder(parts[0], clips) is None or parts[0].end - parts[0].start > config.max_sentence_seconds:
            parts = sentence
        for part in parts:
            if (holder := _holder(part, clips)) is not None:
                words[holder].append(part.text)
    return [" ".join(texts) for texts in words]


def sentences(cues: Sequence[Cue], config: ClipTextConfig) -> list[list[Cue]]:
    """The cues, cut after full stops (times in between by the number of characters), in groups that are sentences."""
    groups: list[list[Cue]] = [[]]
    for cue in cues:
        if groups[-1] and cue.start - groups[-1][-1].end > config.max_gap_seconds:
            groups.append([])
        for piece, ends in _pieces(cue):
            groups[-1].append(piece)
            if ends:
                groups.append([])
    return [group for group in groups if group]


def _pieces(cue: Cue) -> list[tuple[Cue, bool]]:
    """(part of a cue up to a full stop, whether a sentence ends there)."""
    text, length = cue.text, max(len(cue.text), 1)
    ends = [match.end() for match in _SENTENCE_END.finditer(text + " ")]
    pieces = []
    begin = 0
    for end in [*ends, *([len(text)] if not ends or text[ends[-1] :].strip() else [])]:
        start, stop = (cue.start + (cue.end - cue.start) * place / length for place in (begin, end))
        pieces.append((Cue(start, stop, text[begin:end].strip()), end in ends))
        begin = end
    return [piece for piece in pieces if piece[0].text]


def _whole(sentence: Sequence[Cue]) -> Cue:
    return Cue(sentence[0].start, max(cue.end for cue in sentence), " ".join(cue.text for cue in sentence))


def _holder(cue: Cue, clips: Sequence[tuple[float, float]]) -> int | None:
    """Number of the clip that holds most of a cue, at least half; the earlier of two halves."""
    shares = [min(cue.end, end) - max(cue.start, start) for start, end in clips]
    best = max(range(len(clips)), key=lambda number: shares[number], default=None)
    return best if best is not None and 2 * shares[best] >= cue.end - cue.start - 1e-6 else None
