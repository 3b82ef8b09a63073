"""Lists of pictures that must not be kept: digests of files, and perceptual hashes with a distance."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.store import paths

_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_PHASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocklist:
    """What to refuse. Digests are kept as bytes: a list may have millions."""

    md5: frozenset[bytes]
    sha256: frozenset[bytes]
    phashes: npt.NDArray[np.uint64]
    """Perceptual hashes of 64 bits."""
    distance: int
    """A picture is refused if its hash differs from a listed one in at most this many bits, 0..64."""

    def listed_digest(self, data: bytes, sha256: bytes) -> str:
        """Name of the digest of `data` that is listed ("sha256 ab12...") or "". `sha256` is that of `data`."""
        if sha256 in self.sha256:
            return f"sha256 {sha256.hex()}"
        if self.md5:
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            if md5 in self.md5:
                return f"md5 {md5.hex()}"
        return ""

    def nearest(self, phash: str) -> int | None:
        """Different bits to the nearest listed perceptual hash, 0..64; None if none is within the distance."""
        if not self.phashes.size:
            return None
        bits = int(np.bitwise_count(self.phashes ^ np.uint64(int(phash, 16))).min())
        return bits if bits <= self.distance else None


NO_BLOCKLIST = Blocklist(md5=frozenset(), sha256=frozenset(), phashes=np.zeros(0, dtype=np.uint64), distance=0)


def load_blocklist(digest_files: Sequence[str], phash_files: Sequence[str], distance: int) -> Blocklist:
    """Reads text files of hex digits, one entry a line; "#" begins a comment, case does not matter.

    `digest_files` hold md5 (32 digits) and sha256 (64 digits) of files, in any mix; `phash_files` hold perceptual
    hashes (16 digits); `distance` is in bits, 0..64. Raises ValueError naming file and line of an entry that is
    neither, and OSError if a file cannot be read.
    """
    if not 0 <= distance <= 64:
        raise ValueError(f"distance: {distance}, must be 0 to 64 bits")
    digests = [entry for path in digest_files for entry in _entries(path, _DIGEST, "an md5 or sha256 in hex")]
    phashes = [entry for path in phash_files for entry in _entries(path, _PHASH, "a perceptual hash of 16 hex digits")]
    return Blocklist(
        md5=frozenset(bytes.fromhex(entry) for entry in digests if len(entry) == 32),
        sha256=frozenset(bytes.fromhex(entry) for entry in digests if len(entry) == 64),
        phashes=np.array([int(entry, 16) for entry in phashes], dtype=np.uint64),
        distance=distance,
    )


def _entries(path: str, pattern: re.Pattern[str], wanted: str) -> Iterator[str]:
    # Undecodable bytes become characters that no pattern takes, so the error still names the line.
    text = paths.read_bytes(path).decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip().lower()
        if not entry:
            continue
        if not pattern.fullmatch(entry):
            raise ValueError(f"{path}, line {number}: {entry[:80]!r} is not {wanted}")
        yield entry
