"""A folder of saved HTML with its images, or one HTML file: pages and media under addresses made from their paths."""

import os
import re
import stat
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from pipelines.sources.config import SourceConfig
from pipelines.sources.http_body import is_media, sniff
from pipelines.sources.records import RawMedia, RawPage, SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.store.paths import is_remote, list_files, open_read
from schemas.document import Source
from schemas.rejection import Rejected

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
_VIDEO_SUFFIXES = (".mp4", ".m4v", ".webm", ".mkv", ".ogv", ".avi", ".vtt", ".srt")
"""Of videos and of their subtitles."""
_HEAD_BYTES = 1024
_SAFE_IN_PATH = "/~!$&'()*+,;=:@"  # RFC 3986 section 3.3: what a path may hold unescaped


@dataclass(frozen=True, slots=True, order=True)
class FolderFile:
    """A file below a folder."""

    name: str
    """Path relative to the folder, with slashes."""
    path: str
    outside: bool
    """It is a symbolic link that leads out of the folder: a file, or a folder that is not entered."""
    unreadable: str = ""
    """Why it cannot be read: a folder without permission, a link that leads nowhere, no regular file; else empty."""


def files_in(folder: str) -> list[FolderFile]:
    """All files at any depth, sorted by name. Links inside the folder are followed under their own name, unless they
    lead to a folder they stand in."""
    if is_remote(folder):
        base = folder.rstrip("/") + "/"
        return sorted(FolderFile(path.removeprefix(base), path, False) for path in list_files(folder))
    root = os.path.realpath(folder)
    return sorted(_walk(folder, "", root, (root,)))


def _walk(folder: str, prefix: str, root: str, above: tuple[str, ...]) -> Iterator[FolderFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            try:
                yield from _entry(entry, name, root, above)
            except OSError as error:
                yield FolderFile(name, entry.path, False, error.strerror or repr(error))


def _entry(entry: os.DirEntry[str], name: str, root: str, above: tuple[str, ...]) -> Iterator[FolderFile]:
    link = entry.is_symlink()
    real = os.path.realpath(entry.path) if link or entry.is_dir() else ""
    if link and real != root and not real.startswith(root.rstrip("/") + "/"):
        yield FolderFile(name, entry.path, True)
        return
    kind = entry.stat().st_mode
    if not stat.S_ISDIR(kind):
        # Reading a pipe or a device may never end.
        yield FolderFile(name, entry.path, False, "" if stat.S_ISREG(kind) else "not a regular file")
    elif real not in above:
        yield from _walk(entry.path, name + "/", root, (*above, real))


def listing(files: Sequence[FolderFile]) -> str:
    """Digest of the names of all files of a folder: the parts of the folder hold as long as it stays the same."""
    return sha256(os.fsencode("\0".join(file.name for file in files))).hexdigest()[:16]


def default_base_url(folder_name: str) -> str:
    """An address for a folder that can never be fetched: the domain .invalid is reserved (RFC 2606)."""
    label = re.sub(r"[^a-z0-9]+", "-", folder_name.lower()).strip("-")[:50].strip("-")
    if label != folder_name.lower():
        # Names that differ only in what a host name cannot say must not share their addresses.
        digest = sha256(os.fsencode(folder_name)).hexdigest()[:8]
        label = f"{label}-{digest}" if label else digest
    return f"https://{label}.invalid/"


def address(base_url: str, name: str) -> str:
    """Address of a file from its path relative to the folder, percent-encoded (RFC 3986)."""
    return base_url.rstrip("/") + "/" + quote(os.fsencode(name), safe=_SAFE_IN_PATH)


def read_html(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """HTML files as pages, image files (or videos and subtitles) as media; others are no records. Returns (start, end).

    Raises:
        RuntimeError: files came to the folder or left it after the build was planned.
    """
    if unit.single_file:
        record = _read(FolderFile(Path(unit.path).name, unit.path, False), unit.name, unit.base_url, config)
        if record:
            yield record
        return unit.start, unit.end
    files = files_in(unit.path)
    if listing(files) != unit.listing:
        raise RuntimeError(
            f"{unit.path}: files came or went since the build was planned; put back what was there and give the same "
            "command again, or begin anew with --fresh"
        )
    for file in files[unit.start : unit.end]:
        if record := _read(file, f"{unit.name}/{file.name}", unit.base_url, config):
            yield record
    return unit.start, unit.end


def _read(file: FolderFile, name: str, base_url: str, config: SourceConfig) -> SourceRecord | None:
    # Names that are not UTF-8 would break every JSON file they are written to.
    name = os.fsencode(name).decode("utf-8", "replace")
    url = address(base_url, file.name)

    def refuse(reason: str, detail: str = "", length: int = 0) -> Unreadable:
        return Unreadable(rejected=Rejected(reason, detail), url=url, source=Source(file=name, length=length))

    if file.outside:
        return refuse("outside_folder", "a symbolic link that leads out of the folder")
    if file.unreadable:
        return refuse("unreadable", file.unreadable)
    named_html = file.name.lower().endswith(HTML_SUFFIXES)
    try:
        with open_read(file.path) as stream:
            body = stream.read(_HEAD_BYTES)
            found = sniff(body)
            held = is_media("image" if found.startswith("image/") else "", body, config)
            # What is named a video is looked at when a page wants it: what is wrong with it is said then.
            held = held or (config.pairs_of == "videos" and file.name.lower().endswith(_VIDEO_SUFFIXES))
            if not held and not named_html:
                return None
            if held and not (named_html and found == "image/svg+xml"):
                length = stream.seek(0, os.SEEK_END)
                if length > config.max_body_bytes:
                    return refuse("too_large", f"{length} bytes, at most {config.max_body_bytes}", length)
                return RawMedia(url=url, content_type=found, source=Source(file=name, length=length))
            body += stream.read(config.max_body_bytes + 1 - len(body))
    except OSError as error:
        return refuse("unreadable", error.strerror or repr(error))
    if len(body) > config.max_body_bytes:
        return refuse("too_large", f"more than {config.max_body_bytes} bytes")
    if not body.strip():
        return refuse("empty_body")
    return RawPage(url=url, body=body, source=Source(file=name, length=len(body)))
