"""Settings of all sources: recipe table [source]."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """How inputs are cut into units, and what a reader refuses to hold in memory: recipe table [source]."""

    range_bytes: int
    """Stored bytes of a unit of a .warc.gz or Parquet file, about; at least 1."""
    html_files_per_unit: int
    """Files of a folder that make one unit; at least 1."""
    max_body_bytes: int
    """Largest record or file, and largest body after its content encoding is undone, bytes; above: too_large."""
    max_skip_bytes: int
    """Most bytes a too large record is inflated to only to find its end; above, the rest of its member is given up."""
    url_column: str
    """Column of a table that holds the address of the page."""
    html_column: str
    """Column of a table that holds its HTML, text or bytes."""
    date_columns: tuple[str, ...]
    """Columns of a table that may hold the time of the fetch; the first one there is taken."""
    content_type_column: str
    """Column of a table that may hold the HTTP Content-Type."""

    def __post_init__(self) -> None:
        for name in ("range_bytes", "html_files_per_unit", "max_body_bytes", "max_skip_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: at least 1, not {getattr(self, name)}")
        for name in ("url_column", "html_column"):
            if not getattr(self, name):
                raise ValueError(f"{name}: the name of a column, not an empty string")
