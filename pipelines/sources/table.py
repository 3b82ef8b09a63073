"""Tables of web pages: Parquet and JSONL files with a column of addresses and one of HTML."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pipelines.sources.config import SourceConfig
from pipelines.sources.http_body import kind_of, media_type
from pipelines.sources.parquet_rows import parquet_columns, parquet_rows
from pipelines.sources.records import RawPage, SourceRecord, Span, Unreadable
from pipelines.sources.text_lines import json_object, lines
from pipelines.sources.units import Unit
from pipelines.store.paths import size
from schemas.document import Source
from schemas.rejection import Rejected

JSONL_SUFFIXES = (".jsonl", ".jsonl.gz")
_BATCH_ROWS = 64
_PROBED_ROWS = 100


def missing_columns(path: str, config: SourceConfig) -> tuple[list[str], list[str]]:
    """Columns that a table must have and has not, and those it has. For JSONL by its first 100 rows; without rows none.

    Raises:
        ValueError: no such table.
    """
    if not size(path):
        return [], []
    if path.lower().endswith(JSONL_SUFFIXES):
        probed = [row for _, row in islice(_json_rows(path, config), _PROBED_ROWS)]
        if not probed:
            return [], []
        columns = json_columns(probed)
    else:
        columns = parquet_columns(path)
    return [name for name in (config.url_column, config.html_column) if name not in columns], columns


def json_columns(probed: Sequence[Mapping[str, Any] | Rejected]) -> list[str]:
    """Names of all keys of the first rows of a JSONL file, of which there are some.

    Raises:
        ValueError: none of them is an object.
    """
    rows = [row for row in probed if not isinstance(row, Rejected)]
    if not rows:
        why = next(row.detail for row in probed if isinstance(row, Rejected))
        raise ValueError(f"none of the first {len(probed)} lines is a JSON object: {why}")
    return list(dict.fromkeys(name for row in rows for name in row))


def read_table(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """A page or a refusal for each row; returns (start, end)."""
    empty = True
    for number, row in _rows(unit, config):
        empty = False
        source = Source(file=unit.name, offset=number)
        yield Unreadable(rejected=row, source=source) if isinstance(row, Rejected) else _page(row, source, config)
    if empty:
        yield Unreadable(rejected=Rejected("empty_file", "no rows"), source=Source(file=unit.name, offset=unit.start))
    return unit.start, unit.end


def _rows(unit: Unit, config: SourceConfig) -> Iterator[tuple[int, Mapping[str, Any] | Rejected]]:
    if unit.path.lower().endswith(JSONL_SUFFIXES):
        return _json_rows(unit.path, config)
    wanted = (config.url_column, config.html_column, *config.date_columns, config.content_type_column)
    return parquet_rows(unit.path, unit.start, unit.end, wanted, _BATCH_ROWS)


def _json_rows(path: str, config: SourceConfig) -> Iterator[tuple[int, Mapping[str, Any] | Rejected]]:
    """(row number, row) for each line that is not blank."""
    # JSON writes a byte of HTML in up to six ("\\u003c"), and has other columns.
    for number, (_, line) in enumerate(lines(path, 0, None, 8 * config.max_body_bytes)):
        if isinstance(line, Rejected):
            yield number, line
        elif line.strip():
            yield number, json_object(line)


def _page(row: Mapping[str, Any], source: Source, config: SourceConfig) -> SourceRecord:
    date = next((row[name] for name in config.date_columns if row.get(name) is not None), "")
    source = Source(file=source.file, offset=source.offset, date=_date(date))
    url, html = row.get(config.url_column), row.get(config.html_column)
    content_type = row.get(config.content_type_column)
    content_type = content_type if isinstance(content_type, str) else ""

    shown = url.encode("utf-8", "backslashreplace").decode() if isinstance(url, str) else ""

    def refuse(reason: str, detail: str = "") -> Unreadable:
        return Unreadable(rejected=Rejected(reason, detail), url=shown, source=source)

    if not isinstance(url, str) or not url.strip():
        return refuse("missing_url", f"column {config.url_column} holds {_named(url)}")
    if shown != url:
        return refuse("bad_url", "it holds half of a surrogate pair, which is no character")
    if not isinstance(html, str | bytes):
        return refuse("missing_html", f"column {config.html_column} holds {_named(html)}")
    if isinstance(html, str):
        # Text is decoded already: whatever its <meta> or Content-Type says of an encoding no longer holds.
        html = html.encode("utf-8", "replace")
        content_type = f"{media_type(content_type) or 'text/html'}; charset=utf-8"
    if not html.strip():
        return refuse("empty_body")
    if len(html) > config.max_body_bytes:
        return refuse("too_large", f"{len(html)} bytes, at most {config.max_body_bytes}")
    if (kind := kind_of("", content_type or "text/html", html)) != "html":
        return refuse("not_html", kind)
    return RawPage(url=url.strip(), body=html, content_type=content_type, source=source)


def _named(value: object) -> str:
    return "nothing" if value is None or value == "" else type(value).__name__


def _date(value: object) -> str:
    """ISO 8601 in UTC; times without a zone are taken for UTC, as tables of crawls have them."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return ""
    if not isinstance(value, datetime):
        return ""
    try:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # the first or last hours that can be told
        return ""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")
