"""The cutting of videos: each becomes clips, a clip gets its frames and its text, and both are judged.

A video is worked on in a process of its own (`video.isolated`): no file stops a run. A unit writes its frames to
a pack and its clips' documents to another, and is committed by its done-file.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from dedup.exact import text_digest
from pipelines.accounting import Funnel, rows_of
from pipelines.claims import at
from pipelines.facts import CLIPS, VIDEOS_FOUND, DocumentFact, LedgerRow, to_json
from pipelines.filters.images import ImageFacts, judge_safety
from pipelines.flow import Places, UnitJob
from pipelines.given_up import NOTHING
from pipelines.media.safety import load_scorer
from pipelines.recipe import VideoRecipe
from pipelines.scan import pack_line
from pipelines.select import document_letter
from pipelines.sources.originals import read_original
from pipelines.stage import DEAD_LETTERS, Dropped, Heartbeat, Stage, Tally, dead_letter_line, run_stages
from pipelines.store import paths
from pipelines.store.facts import read_rows
from pipelines.store.packs import PackWriter
from pipelines.store.work import Work
from pipelines.video.align import VideoTexts
from pipelines.video.config import CutConfig
from pipelines.video.isolated import cut_video
from pipelines.video.records import Clip, CutVideo
from schemas.document import Document, Text, Video
from schemas.keys import clip_key, digest
from schemas.manifest import FunnelRow
from schemas.rejection import DeadLetter, Rejected
from schemas.shard import document_from_json, file_member, frame_member
from schemas.strict import from_plain, to_plain

SCRATCH = "scratch"
"""Folder of the work folder, empty when no video is being cut."""


def cut_job(function: Any, stages: Sequence[str]) -> UnitJob:
    """The step; `function` is `cut_unit` with what it takes besides unit and places."""
    return UnitJob(name="cut", units=units, function=function, account=_Account(stages))


def units(work: Work) -> list[str]:
    return sorted({path.split("/")[-2] for path in work.fact_files(VIDEOS_FOUND)})


class _Account:
    """Adds the rows of the cutting to the funnel, from the done-files of its units."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = stages

    def __call__(self, funnel: Funnel, work: Work) -> None:
        tally = Tally()
        for unit in units(work):
            tally.add(from_plain(FunnelRow, row, "done-file") for row in work.done("cut", unit)["funnel"])
        rows = {(row.kind, row.stage): row for row in tally.rows()}
        funnel.check("video", rows["video", "cut"].into if rows else 0, "cut")
        funnel.drop("video", "cut", rows["video", "cut"].dropped if rows else {})
        clips = rows["clip", "cut"].into if ("clip", "cut") in rows else 0
        funnel.fan("video", "clip", clips)
        for stage in ("cut", *self.stages):
            row = rows.get(("clip", stage))
            funnel.check("clip", row.into if row else 0, f"cut, before {stage}")
            funnel.drop("clip", stage, row.dropped if row else {})
        funnel.check("clip", rows_of(work, CLIPS), "cut")


def cut_unit(
    unit: str, places: Places, recipe: VideoRecipe, stages: Any, given_up: Mapping[str, str] = NOTHING
) -> None:
    """Cuts the videos of one unit; `stages(recipe)` are those of a clip's text.

    What is `given_up` killed its worker; see `pipelines.given_up`.
    """
    if not places.work.is_done("cut", unit):
        _Cut(unit, places, recipe, stages(recipe), given_up).run()


class _Cut:
    """The state of one attempt at a unit."""

    def __init__(
        self, unit: str, places: Places, recipe: VideoRecipe, stages: Sequence[Stage], given_up: Mapping[str, str]
    ) -> None:
        self.unit, self.places, self.recipe, self.stages, self.given_up = unit, places, recipe, stages, given_up
        self.config = CutConfig(
            video=recipe.video,
            scenes=recipe.scenes,
            clips=recipe.clips,
            frames=recipe.frames,
            clip_text=recipe.clip_text,
        )
        self.scorer = load_scorer(recipe.image_safety.scorer)
        self.tally = Tally()
        self.letters: list[str] = []
        self.clips: list[DocumentFact] = []
        self.texts = paths.join("packs", f"cut.{unit}.jsonl")
        self.frames = paths.join("packs", f"cut.{unit}.tar")

    def run(self) -> None:
        work = self.places.work
        heart = Heartbeat(work.progress("cut", self.unit))
        videos = sorted(
            DocumentFact._make(row)
            for path in work.fact_files(VIDEOS_FOUND, self.unit)
            for row in read_rows(path, DocumentFact)
        )
        with paths.publishing(work.path(self.texts)) as texts, PackWriter(work.path(self.frames)) as frames:
            for video in videos:
                at(video.key, f"at {video.url}")
                self.tally.see("video", "cut")
                for clip, document in self.clips_of(video):
                    self.keep(video, clip, document, texts, frames)
                heart.beat(self.seen)
        heart.beat(self.seen, last=True)
        self.commit()

    def seen(self) -> dict[str, int]:
        return {"videos": self.tally.into["video", "cut"], "clips": self.tally.into["clip", "cut"]}

    def clips_of(self, video: DocumentFact) -> Iterator[tuple[Clip, Document]]:
        """The clips that pass all rules, each with its document."""
        line = paths.read_range(self.places.work.path(video.pack), video.pack_offset, video.pack_length)
        document = document_from_json(json.loads(line))
        files = {number: LedgerRow._make(json.loads(row)) for number, row in json.loads(video.images)}
        if detail := self.given_up.get(video.key):
            cut: CutVideo | Rejected = Rejected("killed_worker", detail)
        else:
            cut = self.cut(document, files)
        if isinstance(cut, Rejected):
            self.tally.drop("video", "cut", cut.reason)
            self.letters.append(dead_letter_line(document_letter(video, "cut", cut.reason, cut.detail)))
            return
        for dropped in cut.dropped:
            self.tally.see("clip", "cut")
            self.drop(document, dropped.start, dropped.end, "cut", dropped.rejected)
        for clip in cut.clips:
            self.tally.see("clip", "cut")
            made = run_stages(clip_document(document, clip), self.stages, "clip", self.tally)
            if isinstance(made, Dropped):
                self.drop(document, clip.start, clip.end, made.stage, made.rejected, counted=True)
                continue
            self.tally.see("clip", "image_safety")
            nsfw = self.score(clip)
            if (unsafe := judge_safety(_facts(nsfw), self.recipe.image_safety)) is not None:
                self.drop(document, clip.start, clip.end, "image_safety", unsafe)
                continue
            yield clip, scored(made, nsfw) if self.scorer else made

    def cut(self, document: Document, files: dict[int, LedgerRow]) -> CutVideo | Rejected:
        (video,) = (media for media in document.media if isinstance(media, Video))
        subtitles = [
            (named.language, self.read(files[number]))
            for number, named in enumerate(video.subtitles, 1)
            if number in files and files[number].format in ("vtt", "srt")
        ]
        texts = VideoTexts(
            title=video.title, description=video.description, caption=video.caption, subtitles=tuple(subtitles)
        )
        with scratch_folder(self.places.work) as folder:
            path = Path(folder) / f"video.{files[0].format}"
            path.write_bytes(self.read(files[0]))
            return cut_video(path, texts, self.config)

    def read(self, row: LedgerRow) -> bytes:
        """A file as it came."""
        if row.origin == "store":
            return paths.read_range(self.places.shared.pack_path(row.name), row.offset, row.length)
        return read_original(self.places.inputs, row.origin, row.name, row.offset, row.length, self.recipe.source)

    def score(self, clip: Clip) -> float:
        """The largest score of its frames; -1 without a scorer, or if a frame could not be scored."""
        if self.scorer is None:
            return -1.0
        try:
            found = []
            for frame in clip.frames:
                with Picture.open(BytesIO(frame), formats=("JPEG",)) as picture:
                    found.append(self.scorer.score(picture.convert("RGB")))
            return round(max(found), 4)
        except Exception:  # what cannot be scored does not pass
            return -1.0

    def keep(self, video: DocumentFact, clip: Clip, document: Document, texts: Any, frames: PackWriter) -> None:
        line = pack_line(document)
        held = [
            [self.frames, frames.add(f"{document.key}.{frame_member(0, number)}", frame), len(frame)]
            for number, frame in enumerate(clip.frames)
        ]
        if clip.media:
            name = f"{document.key}.{file_member(0, clip.extension)}"
            held.append([self.frames, frames.add(name, clip.media), len(clip.media)])
        self.clips.append(
            video._replace(
                kind="clip",
                key=document.key,
                url_key=digest("frames", *clip.frames),
                text_digest=text_digest(document.text),
                pack=self.texts,
                pack_offset=texts.tell(),
                pack_length=len(line),
                words=len(document.text.split()),
                images=to_json(held),
                image_count=0,
            )
        )
        texts.write(line)

    def drop(
        self, document: Document, start: float, end: float, stage: str, why: Rejected, counted: bool = False
    ) -> None:
        if not counted:
            self.tally.drop("clip", stage, why.reason)
        letter = DeadLetter(
            kind="clip",
            stage=stage,
            reason=why.reason,
            detail=f"{start:g} to {end:g} s: {why.detail}",
            url=document.url,
            key=clip_key(document.url, start, end),
            source=document.source,
        )
        self.letters.append(dead_letter_line(letter))

    def commit(self) -> None:
        work = self.places.work
        work.save_facts(CLIPS, self.clips, self.unit)
        if self.letters:
            text = "".join(f"{line}\n" for line in self.letters)
            paths.publish(work.path(DEAD_LETTERS, f"cut.{self.unit}.jsonl"), text.encode())
        work.mark_done("cut", self.unit, {"funnel": to_plain(self.tally.rows())})


def scratch_folder(work: Work) -> tempfile.TemporaryDirectory[str]:
    """A folder for the file that is being cut: in the work folder, so that what a killed worker left goes with that.

    An object store has no folders: there it is one of the machine's.
    """
    if paths.is_remote(work.folder):
        return tempfile.TemporaryDirectory(prefix="m3w-")
    place = Path(work.path(SCRATCH))
    place.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=place)


def clip_document(document: Document, clip: Clip) -> Document:
    """The clip's own document: the video with the clip's times and frames, then its text."""
    (video,) = (media for media in document.media if isinstance(media, Video))
    state = sha256()
    for frame in clip.frames:
        state.update(frame)
    shown = replace(
        video,
        start=clip.start,
        end=clip.end,
        times=clip.times,
        members=tuple(frame_member(0, number) for number in range(len(clip.frames))),
        width=clip.width,
        height=clip.height,
        sha256=state.hexdigest(),
        file=file_member(0, clip.extension) if clip.media else "",
        file_start=clip.media_offset if clip.media else 0.0,
        file_sha256=sha256(clip.media).hexdigest() if clip.media else "",
        scores=clip.measures,
    )
    key = clip_key(document.url, clip.start, clip.end)
    return replace(document, key=key, slots=(shown, Text(clip.text)))


def scored(document: Document, nsfw: float) -> Document:
    slots = [
        replace(slot, scores={**slot.scores, "nsfw": nsfw}) if isinstance(slot, Video) else slot
        for slot in document.slots
    ]
    return replace(document, slots=tuple(slots))


def _facts(nsfw: float) -> ImageFacts:
    return ImageFacts(width=0, height=0, format="", bytes=0, deviation=0.0, dominant_share=0.0, nsfw=nsfw)
