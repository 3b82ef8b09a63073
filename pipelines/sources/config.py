"""Settings of all sources: recipe table [source]."""

from dataclasses import dataclass

_LOWER_CASE = ("url_columns", "text_columns", "page_url_columns", "width_columns", "height_columns", "opt_out_tokens")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """How inputs are cut into units, and what a reader refuses to hold in memory: recipe table [source]."""

    range_bytes: int
    """Stored bytes of a unit of a .warc.gz, Parquet file or text table, about; at least 1."""
    html_files_per_unit: int
    """Files of a folder that make one unit; at least 1."""
    max_body_bytes: int
    """Largest record or file, and largest body after its content encoding is undone, bytes; above: too_large."""
    max_skip_bytes: int
    """Most bytes a too large record is inflated to only to find its end; above, the rest of its member is given up."""
    pairs_of: str
    """What archives of pairs, WAT files and tables of pairs are read for: "images" or "videos"; "": they are no inputs
    of this recipe."""
    tables: str
    """What a row of a table is: one of "pages", with HTML, or one of "pairs", an address with a text."""
    url_column: str
    """Column of a table of pages that holds the address of the page."""
    html_column: str
    """Column of a table of pages that holds its HTML, text or bytes."""
    date_columns: tuple[str, ...]
    """Columns of a table of pages that may hold the time of the fetch; the first one there is taken."""
    content_type_column: str
    """Column of a table of pages that may hold the HTTP Content-Type."""
    url_columns: tuple[str, ...]
    """Columns of a table of pairs that may hold the address of the image or video; the first one there is taken. As the
    four below in lower case, compared without regard to case."""
    text_columns: tuple[str, ...]
    """The same for its text."""
    page_url_columns: tuple[str, ...]
    """The same for the address of the page where it stood."""
    width_columns: tuple[str, ...]
    """The same for its width, pixels."""
    height_columns: tuple[str, ...]
    """The same for its height, pixels."""
    tsv_quotes: bool
    """Fields of a TSV in quotes may hold tabs and line ends, as in a CSV; false: a row is a line."""
    max_row_bytes: int
    """Largest row of a table of pairs, and largest text or JSON of a sample of an archive, bytes; above: too_large."""
    opt_out_tokens: tuple[str, ...]
    """Directives of X-Robots-Tag and of meta robots by which a page of a WAT file opts out, in lower case."""
    tdm_reservation: bool
    """Whether a reservation by the W3C's TDM Reservation Protocol means the same there."""

    def __post_init__(self) -> None:
        for name in ("range_bytes", "html_files_per_unit", "max_body_bytes", "max_skip_bytes", "max_row_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: at least 1, not {getattr(self, name)}")
        for name in ("url_column", "html_column", "url_columns", "text_columns"):
            if not getattr(self, name):
                raise ValueError(f"{name}: the name of a column, not {getattr(self, name)!r}")
        for name, known in (("pairs_of", ("", "images", "videos")), ("tables", ("pages", "pairs"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: one of {', '.join(map(repr, known))}, not {getattr(self, name)!r}")
        if self.tables == "pairs" and not self.pairs_of:
            raise ValueError('tables: "pairs" needs pairs_of "images" or "videos"')
        for name in _LOWER_CASE:
            for word in getattr(self, name):
                if not word or word != word.strip().lower():
                    raise ValueError(f"{name}: {word!r} is not a name in lower case")
