"""Records of WARC files (ISO 28500), whole files or ranges of a .warc.gz, and what a reader makes of each.

A range [start, end) of a .warc.gz owns the gzip members whose first byte lies in it. Which bytes begin a member cannot
always be told from inside the file (see `gzip_members`); `warc.misplaced` tells afterwards.
"""

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader

from pipelines.sources.config import SourceConfig
from pipelines.sources.gzip_members import MAGIC, Member, StoredBytes, find_member
from pipelines.sources.records import SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.sources.warc_frames import Frame, GivenUp, Lookahead, frames
from pipelines.store.paths import beginning, open_read
from schemas.document import Source
from schemas.rejection import Rejected

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"  # a frame that may stand before all others (IIPC's proposal for .warc.zst)
_PIECE_BYTES = 1 << 20

Interpret = Callable[[Frame, Source, bool], Iterable[SourceRecord]]
"""What a record that is not damaged gives; the flag says whether its place leads back to it alone."""


def compression_of(name: str, first_bytes: bytes) -> str:
    """ "gzip", "zstd" or "" by the first four bytes of a WARC file; damaged ones are what their name says."""
    if first_bytes.startswith(b"WARC"):
        return ""
    if first_bytes in (_ZSTD_FRAME, _ZSTD_DICTIONARY):
        return "zstd"
    if first_bytes.startswith(MAGIC):
        return "gzip"
    return "gzip" if name.lower().endswith(".gz") else ""


def read_records(unit: Unit, config: SourceConfig, interpret: Interpret) -> Generator[SourceRecord, None, Span]:
    """What `interpret` makes of each record of the unit; returns the span.

    Damage costs one `Unreadable`, then reading goes on at the next record that can be found.

    Raises:
        OSError: the file itself cannot be read.
    """
    head, length = beginning(unit.path, 4)
    if not length:
        yield Unreadable(rejected=Rejected("empty_file", "0 bytes"), source=Source(file=unit.name))
        return unit.start, unit.end
    compression = compression_of(unit.name, head)
    with open_read(unit.path) as stream:
        if compression == "gzip":
            return (yield from _read_members(StoredBytes(stream, length), unit, config, interpret))
        if compression == "zstd":
            yield from _read_zstd(stream, unit, config, interpret)
        else:
            yield from _read_plain(stream, length, unit, config, interpret)
    return unit.start, unit.end


def _read_members(
    stored: StoredBytes, unit: Unit, config: SourceConfig, interpret: Interpret
) -> Generator[SourceRecord, None, Span]:
    end = min(unit.end, stored.size)
    if unit.exact or unit.start == 0:
        first = unit.start
    else:
        found = find_member(stored, unit.start, end)
        first = unit.end if found is None else found
    at = first
    while at < end:
        at = yield from _read_member(stored, at, unit.name, config, interpret)
    return first, at


def _read_member(
    stored: StoredBytes, offset: int, name: str, config: SourceConfig, interpret: Interpret
) -> Generator[SourceRecord, None, int]:
    """Returns where the next member begins."""
    member = Member(stored, offset)
    rejected = None
    try:
        for number, frame in enumerate(
            frames(Lookahead(member.pieces()), config.max_body_bytes, config.max_skip_bytes)
        ):
            # Only what has a gzip member to itself can be addressed by it.
            alone = number == 0 and frame.last
            source = Source(file=name, offset=offset, length=member.end - offset if alone else 0)
            yield from _records(frame, source, interpret, addressable=alone)
    except GivenUp:
        pass
    except EOFError as error:
        rejected = Rejected("truncated_member", str(error))
    except zlib.error as error:
        rejected = Rejected("corrupt_member", str(error))
    if member.end:
        return member.end
    # The damage may have hidden where the member ends, so the next one is looked for from its first byte on.
    found = find_member(stored, offset + 1, stored.size)
    end = stored.size if found is None else found
    if rejected:
        # Where others follow, it is chance whether zlib stumbles over them or reads on to the end of the file.
        rejected = rejected if found is None else replace(rejected, reason="corrupt_member")
        yield Unreadable(rejected=rejected, source=Source(file=name, offset=offset, length=end - offset))
    return end


def _read_plain(
    stream: BinaryIO, length: int, unit: Unit, config: SourceConfig, interpret: Interpret
) -> Iterator[SourceRecord]:
    def reopen(position: int) -> Iterator[bytes]:
        stream.seek(position)
        return iter(partial(stream.read, _PIECE_BYTES), b"")

    for frame in frames(Lookahead(reopen(0), reopen, length), config.max_body_bytes, config.max_skip_bytes):
        source = Source(file=unit.name, offset=frame.offset, length=frame.length)
        yield from _records(frame, source, interpret, addressable=True)


def _read_zstd(stream: BinaryIO, unit: Unit, config: SourceConfig, interpret: Interpret) -> Iterator[SourceRecord]:
    """Offsets are those of the inflated file: the frames of a .warc.zst are not told apart here."""
    damage: list[OSError] = []
    at = 0
    counted = False
    try:
        for frame in frames(Lookahead(_inflated_zstd(stream, damage)), config.max_body_bytes, config.max_skip_bytes):
            at = frame.offset + frame.length
            source = Source(file=unit.name, offset=frame.offset, length=frame.length)
            counted = bool(frame.refused) and frame.last
            yield from _records(frame, source, interpret, addressable=False)
    except GivenUp:
        counted = True
    if damage and not counted:
        rejected = Rejected("corrupt_member", f"{damage[0]}; the rest of the file is not read")
        yield Unreadable(rejected=rejected, source=Source(file=unit.name, offset=at))


def _inflated_zstd(stream: BinaryIO, damage: list[OSError]) -> Iterator[bytes]:
    """Inflated pieces up to the damage, if there is any, which is put into `damage`."""
    given = 0
    step = _PIECE_BYTES
    while True:
        stream.seek(0)
        reader = ZstdReader(stream)
        try:
            reader.seek(given)
            while piece := reader.read(step):
                given += len(piece)
                yield piece
            return
        except OSError as error:
            # What the failing call had inflated is lost with it: once more, byte by byte from the last good place.
            if step == 1:
                damage.append(error)
                return
            step = 1


def _records(frame: Frame, source: Source, interpret: Interpret, *, addressable: bool) -> Iterator[SourceRecord]:
    if frame.refused:
        yield Unreadable(rejected=frame.refused, source=source)
        return
    try:
        found = list(interpret(frame, source, addressable))
    except Exception as error:  # whatever a strange record sets off, it must not stop the file
        found = [Unreadable(rejected=Rejected("unreadable", repr(error)), source=source)]
    yield from found
