"""The media store: packs of images and a ledger with the outcome of every address that was ever asked for.

It outlives a build: a second run, another recipe or a later crawl fetches only what is missing or worth another try. A
ledger part is published after the packs that it names, and commits them; a pack that no part names is garbage, unless
somebody is about to name it: who writes holds a shared lock, and garbage is removed only when nobody does.

    packs/<attempt>-0000.tar      originals as fetched, and re-encoded members under members/
    ledger/<attempt>-0000.parquet one row for each address tried
    .lock                         of local stores; held while one writes
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.facts import LEDGER, LedgerRow
from pipelines.store import paths
from pipelines.store.facts import read_rows, write_rows
from pipelines.store.packs import PackWriter

COMMIT_ROWS = 500
COMMIT_BYTES = 256 << 20
COMMIT_SECONDS = 30.0


@dataclass(frozen=True)
class MediaStore:
    """A folder with packs and a ledger."""

    folder: str

    def ledger_files(self) -> list[str]:
        return paths.list_files(paths.join(self.folder, "ledger"))

    def pack_path(self, pack: str) -> str:
        return paths.join(self.folder, "packs", pack)

    def remove_garbage(self) -> int:
        """Removes what killed attempts left: unfinished files, and packs that no ledger part names; how many of these.

        Nothing is removed while anybody writes to the store (another build may share it), nor from an object store,
        which has no locks.
        """
        if paths.is_remote(self.folder) or not Path(self.folder).is_dir():
            return 0
        with self._lock(shared=False) as held:
            return self._remove_garbage() if held else 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keeps garbage from being removed, by any process: to be held from a pack's first byte until it is named."""
        if paths.is_remote(self.folder):
            yield
            return
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        with self._lock(shared=True):
            yield

    @contextmanager
    def _lock(self, shared: bool) -> Iterator[bool]:
        """Whether the lock was got. A shared one is waited for: removing garbage takes moments."""
        import fcntl

        with (Path(self.folder) / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _remove_garbage(self) -> int:
        paths.delete_unfinished(self.folder)
        named = {name for path in self.ledger_files() for row in read_rows(path, LedgerRow) for name in _packs(row)}
        garbage = [p for p in paths.list_files(paths.join(self.folder, "packs")) if p.rsplit("/", 1)[1] not in named]
        for path in garbage:
            paths.delete_file(path)
        return len(garbage)


def _packs(plain: tuple[object, ...]) -> set[str]:
    row = LedgerRow._make(plain)
    return {row.name, row.member_pack}


class Recorder:
    """Writes what one worker fetched: packs and ledger parts, committed every few hundred addresses."""

    def __init__(self, store: MediaStore) -> None:
        self.store = store
        self.attempt = uuid.uuid4().hex
        self.part = 0
        self._begin()

    def _begin(self) -> None:
        self.rows: list[LedgerRow] = []
        self.pack_name = f"{self.attempt}-{self.part:04d}.tar"
        self.pack: PackWriter | None = None
        self.offsets: dict[str, int] = {}
        self.lock = ExitStack()
        self.since = time.monotonic()

    def _hold(self) -> None:
        """Takes the store's lock if this is the first thing of a part."""
        if self.pack is None and not self.rows:
            self.lock.enter_context(self.store.writing())

    def keep(self, name: str, data: bytes) -> tuple[str, int]:
        """Stores a file once; the pack and the offset at which it stands."""
        self._hold()
        if self.pack is None:
            self.pack = PackWriter(self.store.pack_path(self.pack_name)).__enter__()
        if name not in self.offsets:
            self.offsets[name] = self.pack.add(name, data)
        return self.pack_name, self.offsets[name]

    def record(self, row: LedgerRow) -> None:
        self._hold()
        self.rows.append(row)
        large = self.pack is not None and self.pack.bytes > COMMIT_BYTES
        if large or len(self.rows) >= COMMIT_ROWS or time.monotonic() - self.since > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Publishes the pack, then the ledger part that names it."""
        if self.pack is not None:
            self.pack.__exit__(None, None, None)
        if self.rows:
            write_rows(
                paths.join(self.store.folder, "ledger", f"{self.attempt}-{self.part:04d}.parquet"),
                LEDGER.row,
                self.rows,
            )
        self.lock.close()
        self.part += 1
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.lock:
            if kind is None:
                self.commit()
            elif self.pack is not None:
                self.pack.__exit__(kind, error, trace)
