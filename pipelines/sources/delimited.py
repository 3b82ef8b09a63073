"""Rows of CSV and TSV files.

CSV is read by RFC 4180: a field in quotes may hold commas, doubled quotes and line ends. A stray quote must not swallow
the rows after it, so a row of several lines has to fit: its quote is closed within the limit of a row, nothing but a
comma or a line end follows it, and it has as many fields as the header. If not, its first line alone is a bad row.

A row of TSV is a line, and quotes are text (IANA's text/tab-separated-values, and what CC3M and CC12M are); only a
field that a CSV writer put in quotes as a whole loses them. TSV in which fields hold line ends (WIT) has to be named
so, by `tsv_quotes` of the recipe, and is then read as CSV with tabs.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.sources.text_lines import is_gzip, lines
from pipelines.store.paths import open_read, size
from schemas.rejection import Rejected

DELIMITED_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PIECE_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Row = list[str] | Rejected
"""Fields, with bytes that are no UTF-8 as lone surrogates (PEP 383), or why there are none."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the rows of a file are written."""

    delimiter: str
    quotes: bool
    """A field in quotes may hold delimiters and line ends."""


def dialect_of(path: str, tsv_quotes: bool) -> Dialect:
    if path.lower().endswith((".tsv", ".tsv.gz")):
        return Dialect("\t", tsv_quotes)
    return Dialect(",", quotes=True)


def can_be_cut(path: str, dialect: Dialect) -> bool:
    """Whether each line end of the file ends a row: where fields may hold some, only if no quote is in the file."""
    if is_gzip(path):
        return False
    if not dialect.quotes:
        return True
    with open_read(path) as stream:
        while piece := stream.read(_PIECE_BYTES):
            if b'"' in piece:
                return False
    return True


def first_row(path: str, dialect: Dialect, limit: int) -> list[str]:
    """The fields of the first line that is not blank; none if there is no such line.

    Raises:
        ValueError: it is no text in UTF-8, or longer than `limit` bytes.
    """
    if size(path) and not is_gzip(path):
        with open_read(path) as stream:
            if stream.read(2) in _UTF16:
                raise ValueError("UTF-16; save it as UTF-8")
    row = next((row for _, row in read_rows(path, 0, None, dialect, limit, 0)), [])
    if isinstance(row, Rejected):
        raise ValueError(f"its first line: {row.reason}, {row.detail}")
    return row


def read_rows(
    path: str, start: int, end: int | None, dialect: Dialect, limit: int, width: int
) -> Iterator[tuple[int, Row]]:
    """(byte offset, fields) of each row that is not blank and begins in [start, end) of the (inflated) text.

    Args:
        limit: bytes of a row.
        width: fields that a row must have; 0: any number. Others are `bad_row`.
    """
    text = _Text(lines(path, start, end, limit))
    for at, line in text:
        row: Row
        if isinstance(line, Rejected):
            row = line
        elif not line.strip(" \r\n"):
            continue
        elif not dialect.quotes:
            row = _plain_row(line, dialect.delimiter)
        elif '"' not in line:
            row = line.rstrip("\r\n").split(dialect.delimiter)
        else:
            row = _quoted_row(line, text, dialect.delimiter, limit, width)
        if width and not isinstance(row, Rejected) and len(row) != width:
            row = Rejected("bad_row", f"{len(row)} fields, the first row has {width}")
        yield at, row


class _Text:
    """Decoded lines, of which some can be put back."""

    def __init__(self, stored: Iterator[tuple[int, bytes | Rejected]]) -> None:
        self._stored = stored
        self._ahead: deque[tuple[int, str | Rejected]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str | Rejected]]:
        return self

    def __next__(self) -> tuple[int, str | Rejected]:
        if self._ahead:
            return self._ahead.popleft()
        at, line = next(self._stored)
        if isinstance(line, Rejected):
            return at, line
        return at, (line.removeprefix(_BOM) if at == 0 else line).decode("utf-8", "surrogateescape")

    def put_back(self, taken: list[tuple[int, str | Rejected]]) -> None:
        self._ahead.extendleft(reversed(taken))


def _plain_row(line: str, delimiter: str) -> list[str]:
    return [_unquoted(field) for field in line.rstrip("\r\n").split(delimiter)]


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        inner = field[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return field


def _quoted_row(line: str, after: _Text, delimiter: str, limit: int, width: int) -> Row:
    """The row that begins with `line`; lines that it turns out not to hold are put back."""
    taken: list[tuple[int, str | Rejected]] = []
    at_end = False

    def as_many_as_wanted() -> Iterator[str]:
        nonlocal at_end
        held = len(line)
        yield line
        while held < limit and (entry := next(after, None)) is not None:
            taken.append(entry)
            if isinstance(entry[1], Rejected):
                break
            held += len(entry[1])
            yield entry[1]
        at_end = True

    fields: Row
    try:
        fields = next(csv.reader(as_many_as_wanted(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        fields = Rejected("bad_row", str(error))
    if taken and (isinstance(fields, Rejected) or (width and len(fields) != width)):
        after.put_back(taken)
        return Rejected("bad_row", "a quote is opened and never closed in a way that gives a row")
    if isinstance(fields, Rejected) and not at_end:
        try:  # text after the closing quote, '"so" it says': writers that know no quotes leave it so
            return next(csv.reader([line], delimiter=delimiter))
        except csv.Error:
            pass
    return fields
