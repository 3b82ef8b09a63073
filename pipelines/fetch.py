"""The fetch job: each wanted image address once, from the input itself, the media store or the web, into the ledger.

An address is read where it is nearest: an image record of the crawl or a file beside saved HTML; an original that the
media store holds already, when only the encoder's settings differ; HTTP. Whatever comes of it is a row of the ledger.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any

from dedup.transforms import Group
from pipelines.claims import at
from pipelines.facts import LEDGER, MEDIA, TODO, WANTED, LedgerRow, MediaFact, TodoFact, UseFact
from pipelines.given_up import NOTHING
from pipelines.limits import BlocklistConfig
from pipelines.media.blocklist import Blocklist
from pipelines.media.blocklist import load_blocklist as read_blocklist
from pipelines.media.prepare import Prepared, prepare, settings_digest
from pipelines.media.safety import load_scorer
from pipelines.recipe import Recipe
from pipelines.sources.originals import path_of, read_original
from pipelines.stage import Heartbeat, Out, Read, Shuffle
from pipelines.store import paths
from pipelines.store.facts import read_rows
from pipelines.store.media import MediaStore, Recorder
from pipelines.store.ranges import Range, Ranges
from pipelines.store.work import Work
from pipelines.video.sniff import sniff_subtitles, sniff_video
from pipelines.web.client import Client
from pipelines.web.config import Agent, FetchConfig, TestAllowances
from pipelines.web.lane import fetch_lanes, lane_of
from pipelines.web.outcome import Fetched
from schemas.keys import bucket, digest
from schemas.rejection import DeadLetter, Rejected

BY_SETTINGS = ("unsupported_format", "pixel_bomb", "unscorable")
"""Refusals of `media.prepare` that other settings may lift: they count for these settings only."""
OPT_OUTS = ("opted_out_header", "opted_out_tdm", "robots_disallowed")
SLICE_BYTES = 4 << 20
"""Images of a crawl are read in slices of this size, so that several workers share one WARC."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """What may be asked of the web: given on the command line, never by a recipe."""

    agent: Agent | None
    """Who asks; None: offline, nothing is fetched."""
    allowances: TestAllowances
    connections: int
    """Lanes that one worker works on at once."""


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Into how many units the work is split. Decides how evenly workers are loaded, never the result."""

    held: int
    """Images that the input or the media store holds: many small units."""
    web: int
    """Addresses to fetch: a few units, so that each works on many hosts at once."""

    def name(self, todo: TodoFact) -> str:
        count = self.web if todo.origin == "http" else self.held
        return f"{'web' if todo.origin == 'http' else 'held'}-{bucket(todo.lane, count):06d}"


def plan_shuffle(recipe: Recipe, web: Web, buckets: Buckets) -> Shuffle:
    """What is left to do for each wanted address: rows of TODO, in units."""
    settings = media_settings(recipe)
    return Shuffle(
        "fetch_plan",
        reads=(Read(WANTED, 1), Read(MEDIA, 1, latest_media), Read(LEDGER, 4, partial(most_useful, settings))),
        decide=partial(missing, settings, recipe.fetch, web.agent is not None, buckets),
        writes=(TODO,),
    )


def media_settings(recipe: Recipe) -> str:
    """Digest of all that decides how an image is decoded, encoded and scored; videos are kept as they came."""
    return "as it came" if recipe.flow == "clips" else settings_digest(recipe.media, recipe.image_safety.scorer)


@lru_cache(maxsize=1)
def load_blocklist(config: BlocklistConfig) -> Blocklist:
    """The recipe's blocklist, read once in each process."""
    return read_blocklist(config.digest_files, config.phash_files, config.phash_distance)


def latest_media(media: MediaFact) -> tuple[Any, ...]:
    return (-media.time, media.name, media.offset)


def most_useful(settings: str, row: LedgerRow) -> tuple[Any, ...]:
    """Rank of ledger rows of one address: of these settings, then images of others, then failures; the latest first."""
    return (row.settings != settings, not row.ok, -row.time, row.settings)


def missing(
    settings: str, config: FetchConfig, online: bool, buckets: Buckets, key: str, groups: Mapping[str, Group]
) -> Iterator[Out | DeadLetter]:
    """What has to be done for an address, if anything."""
    if not groups[WANTED.name].total:
        return
    wanted: UseFact = groups[WANTED.name].rows[0]
    rows: list[LedgerRow] = groups[LEDGER.name].rows
    if any(row.settings == settings for row in rows):
        return
    if media := groups[MEDIA.name].rows:
        if any(row.origin == media[0].origin for row in rows):
            return  # tried in this build; the input does not change
        held: MediaFact = media[0]
        lane = digest(held.name, str(held.offset // SLICE_BYTES))
        todo = TodoFact(lane, key, wanted.url, "", held.origin, held.name, held.offset, held.length, 0)
    elif stored := next((row for row in rows if row.ok and row.origin == "store"), None):
        lane = digest(stored.name)
        todo = TodoFact(lane, key, wanted.url, "", "store", stored.name, stored.offset, stored.length, stored.tries)
    else:
        tried = next((row for row in rows if not row.settings), None)
        # A store is shared: another recipe may have had less room.
        more_room = tried is not None and tried.outcome == "too_large" and tried.bytes < config.max_bytes
        if tried and not more_room and (not tried.retryable or tried.tries >= config.max_tries):
            return
        lane_name = lane_of(wanted.url, config.host_connections)
        origin = "http" if online else "none"
        tries = tried.tries if tried else 0
        todo = TodoFact(digest(lane_name), key, wanted.url, lane_name, origin, "", 0, 0, tries)
    yield Out(TODO, todo, buckets.name(todo))


def fetch_unit(
    unit: str,
    work: Work,
    inputs: Mapping[str, str],
    shared: MediaStore,
    own: MediaStore,
    recipe: Recipe,
    web: Web,
    since: int,
    given_up: Mapping[str, str] = NOTHING,
) -> None:
    """Works through one unit of TODO; what it commits before it is killed is in the ledger and not planned again.

    Args:
        since: when TODO was planned, seconds since 1970.
        given_up: keys of addresses whose image killed a worker; see `pipelines.given_up`.
    """
    if work.is_done("fetch", unit):
        return
    todo = [TodoFact._make(row) for path in work.fact_files(TODO, unit) for row in read_rows(path, TodoFact)]
    begun = work.path("begun", "fetch", unit)
    left = todo
    if paths.exists(begun):  # an attempt before this one was killed
        tried = tried_since(since, media_settings(recipe), (shared, own))
        left = [t for t in todo if t.url_key not in tried]
    paths.publish(begun, b"")
    _Fetch(unit, left, work, inputs, shared, own, recipe, web, given_up).run()
    work.mark_done("fetch", unit, {"addresses": len(todo)})


def tried_since(since: int, settings: str, stores: Sequence[MediaStore]) -> set[str]:
    """Keys of the addresses whose outcome was committed after a time: all that a plan of then holds and is done."""
    parts = [path for store in stores for path in store.ledger_files()]
    rows = (LedgerRow._make(plain) for path in parts for plain in read_rows(path, LedgerRow))
    return {row.url_key for row in rows if row.time >= since and row.settings in ("", settings)}


class _Fetch:
    """The state of one attempt at a bucket."""

    def __init__(
        self,
        unit: str,
        todo: list[TodoFact],
        work: Work,
        inputs: Mapping[str, str],
        shared: MediaStore,
        own: MediaStore,
        recipe: Recipe,
        web: Web,
        given_up: Mapping[str, str],
    ) -> None:
        self.todo, self.inputs, self.shared, self.own, self.recipe, self.web = todo, inputs, shared, own, recipe, web
        self.given_up = given_up
        self.settings = media_settings(recipe)
        self.scorer = None if recipe.flow == "clips" else load_scorer(recipe.image_safety.scorer)
        self.blocklist = load_blocklist(recipe.blocklist)
        self.heart = Heartbeat(work.progress("fetch", unit))
        self.ranges = Ranges()
        self.seen = 0

    def run(self) -> None:
        held = [t for t in self.todo if t.origin in ("warc", "file", "none")]
        stored = [t for t in self.todo if t.origin == "store"]
        remote = [t for t in self.todo if t.origin == "http"]
        with Recorder(self.own) as recorder:
            for todo in self.ranges.ahead(sorted(held, key=lambda t: (t.name, t.offset)), self.ranges_of):
                self.record(recorder, self.held_row(todo, recorder))
        with Recorder(self.shared) as recorder:
            for todo in self.ranges.ahead(sorted(stored, key=lambda t: (t.name, t.offset)), self.ranges_of):
                self.record(recorder, self.stored_row(todo, recorder))
            for row in self.fetched(remote, recorder):
                self.record(recorder, row)
        self.heart.beat(lambda: {things_fetched(self.recipe): self.seen}, last=True)

    def record(self, recorder: Recorder, row: LedgerRow) -> None:
        recorder.record(row)
        self.seen += 1
        self.heart.beat(lambda: {things_fetched(self.recipe): self.seen})

    def ranges_of(self, todo: TodoFact) -> list[Range]:
        """What is read for an address, if it is not refused for its size."""
        if todo.origin == "none" or (todo.origin != "store" and todo.length > self.recipe.source.max_body_bytes):
            return []
        path = self.shared.pack_path(todo.name) if todo.origin == "store" else path_of(todo.name, self.inputs)
        return [Range(path, todo.offset, todo.length)]

    def held_row(self, todo: TodoFact, recorder: Recorder) -> LedgerRow:
        """An image that the input holds, or that nobody may fetch in an offline run."""
        if todo.origin == "none":
            return failure(todo, "not_in_input", "offline run", retryable=True)
        if lost := self.begin(todo):
            return lost
        try:
            where = (self.inputs, todo.origin, todo.name, todo.offset, todo.length)
            data = read_original(*where, self.recipe.source, self.ranges.read)
        except (OSError, ValueError) as error:
            return failure(todo, "unreadable", str(error))
        return self.row(todo, data, recorder, keep=False)

    def begin(self, todo: TodoFact) -> LedgerRow | None:
        """Notes that an image is worked on; its row if it was given up, to be tried again by the next build."""
        at(todo.url_key, f"at {todo.url}")
        if detail := self.given_up.get(todo.url_key):
            return failure(todo, "killed_worker", detail, retryable=True)
        return None

    def stored_row(self, todo: TodoFact, recorder: Recorder) -> LedgerRow:
        """An image whose original the media store holds."""
        if lost := self.begin(todo):
            return lost
        data = self.ranges.read(self.shared.pack_path(todo.name), todo.offset, todo.length)
        return self.row(todo, data, recorder, keep=False)

    def fetched(self, todo: list[TodoFact], recorder: Recorder) -> Iterator[LedgerRow]:
        if not todo or self.web.agent is None:
            return
        by_url = {t.url: t for t in todo}
        lanes: dict[str, list[str]] = {}
        for t in todo:
            lanes.setdefault(t.host_lane, []).append(t.url)
        client = Client(self.recipe.fetch, self.web.agent, self.web.allowances)
        connections = self.recipe.fetch.connections(self.web.connections)
        at("", "while it waited for hosts")
        for url, result, tries in fetch_lanes(lanes, client, self.recipe.fetch, connections):
            t = by_url[url]
            t = t._replace(tries=t.tries + tries)
            if isinstance(result, Fetched):
                row = self.begin(t) or self.row(t, result.body, recorder, keep=True)
                yield row._replace(
                    http_status=result.status, final_url=result.final_url if result.final_url != url else ""
                )
            else:
                opt_out = result.detail if result.reason in OPT_OUTS else ""
                row = failure(t, result.reason, result.detail, retryable=result.retryable)
                limit = self.recipe.fetch.max_bytes if result.reason == "too_large" else 0
                yield row._replace(http_status=result.status, opt_out=opt_out, bytes=limit)
            at("", "while it waited for hosts")

    def row(self, todo: TodoFact, data: bytes, recorder: Recorder, keep: bool) -> LedgerRow:
        """Checks, hashes, scores and encodes an image in one decode; stores what cannot be made again."""
        if self.recipe.flow == "clips":
            return self.file_row(todo, data, recorder, keep)
        made = prepare(data, self.recipe.media, self.scorer, self.blocklist)
        if isinstance(made, Rejected):
            row = failure(todo, made.reason, made.detail)
            # What is no image may be a video: a recipe of clips that shares the store has to ask for it.
            ours = made.reason in BY_SETTINGS or file_kind(data)
            return row._replace(settings=self.settings) if ours else row
        name, offset, length = todo.name, todo.offset, todo.length
        if keep:
            name, offset = recorder.keep(f"{made.original_sha256}.{made.format}", data)
            length = len(data)
        member_pack, member_offset = "", 0
        if not made.stripped:
            file = f"members/{made.original_sha256}-{self.settings}.{made.member_format}"
            member_pack, member_offset = recorder.keep(file, made.member)
        return image_row(todo, made, self.settings)._replace(
            name=name, offset=offset, length=length, member_pack=member_pack, member_offset=member_offset
        )

    def file_row(self, todo: TodoFact, data: bytes, recorder: Recorder, keep: bool) -> LedgerRow:
        """A video or a file of subtitles, as it came."""
        state = sha256(data)
        if listed := self.blocklist.listed_digest(data, state.digest()):
            return failure(todo, "blocked_hash", listed)
        if not (kind := file_kind(data)):
            # It may be an image that a recipe of pages or pairs wants.
            row = failure(todo, "not_a_video", f"{len(data)} bytes that begin with {data[:8]!r}")
            return row._replace(settings=self.settings)
        name, offset, length = todo.name, todo.offset, todo.length
        if keep:
            name, offset = recorder.keep(f"{state.hexdigest()}.{kind}", data)
            length = len(data)
        return _empty_row(todo)._replace(
            outcome="ok",
            bytes=len(data),
            format=kind,
            sha256=state.hexdigest(),
            settings=self.settings,
            name=name,
            offset=offset,
            length=length,
        )


def things_fetched(recipe: Recipe) -> str:
    """What the fetch counts, in a word."""
    return "files" if recipe.flow == "clips" else "images"


def file_kind(data: bytes) -> str:
    """The container of a video or the format of subtitles, by content; empty for anything else."""
    return sniff_video(data[:4096]) or sniff_subtitles(data[:4096])


def image_row(todo: TodoFact, made: Prepared, settings: str) -> LedgerRow:
    """The ledger's row of an image that was read."""
    return _empty_row(todo)._replace(
        outcome="ok",
        bytes=made.original_bytes,
        format=made.format,
        sha256=made.original_sha256,
        settings=settings,
        member_format=made.member_format,
        member_bytes=len(made.member),
        member_sha256=made.member_sha256,
        member_width=made.member_width,
        member_height=made.member_height,
        width=made.width,
        height=made.height,
        phash=made.phash,
        deviation=made.deviation,
        dominant_share=made.dominant_share,
        nsfw=made.nsfw,
    )


def failure(todo: TodoFact, reason: str, detail: str, retryable: bool = False) -> LedgerRow:
    """The ledger's row of an address that gave no image."""
    return _empty_row(todo)._replace(outcome=reason, detail=detail[:300], retryable=int(retryable))


def _empty_row(todo: TodoFact) -> LedgerRow:
    origin = todo.origin if todo.origin in ("warc", "file") else "store"
    types = LedgerRow.__annotations__
    blank: dict[str, Any] = {name: types[name]() for name in LedgerRow._fields}
    return LedgerRow(
        **{
            **blank,
            "url_key": todo.url_key,
            "url": todo.url,
            "origin": origin,
            "tries": todo.tries,
            "time": int(time.time()),
        }
    )
