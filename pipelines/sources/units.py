"""Units of work: what one worker reads in one go, and what is committed or done again as a whole."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

UnitKind = Literal["warc", "html", "table", "archive", "failures", "files"]
"""warc: a file of WARC records, also a WAT; archive: a tar of pairs; failures, files: the Parquet file that img2dataset
writes beside a tar, or beside a folder of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A part of one input."""

    kind: UnitKind
    name: str
    """Name of the file or folder relative to what the user gave: stands in `Source.file`."""
    path: str
    """Where it is on this machine or object store."""
    start: int
    """warc: byte offset of the range; html: index in the sorted list of files; Parquet: row group; table of pairs that
    is a text: byte offset; else 0."""
    end: int
    """Exclusive end of the same."""
    base_url: str = ""
    """html only: the address that stands for the folder itself."""
    single_file: bool = False
    """html only: `path` is one page and not a folder."""
    listing: str = ""
    """html only: digest of the names of all files of the folder when the build was planned; `start` and `end` count in
    that list."""
    exact: bool = False
    """warc only: `start` is known to be the first byte of a gzip member, no need to look for one."""

    @property
    def id(self) -> str:
        """Stable name of the unit, usable as a file name."""
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.name)[-80:]
        digest = sha256(f"{self.kind}\0{self.name}\0{self.start}\0{self.end}".encode()).hexdigest()[:8]
        return f"{safe}-{self.start:012d}-{digest}"
