"""Rules on an image as the page uses it, its address and the size the page declares: before any byte is fetched."""

from dataclasses import dataclass

from pipelines.filters.page_url import host_and_path, url_rules
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class ImageUrlConfig:
    blocked_domains: str
    """Path or URL of a file with a domain a line ("#" begins a comment), blocked with all below it; empty for none."""
    host_words: tuple[str, ...]
    """Words that the host must not hold, in lower case, each a whole word between signs and digits."""
    path_words: tuple[str, ...]
    """The same for the path, file name included; the query is not looked at."""
    refused_extensions: tuple[str, ...]
    """Extensions of file names that are not fetched, in lower case and without the dot."""
    min_declared_side: int
    """Least width and height that the page may declare, pixels; what is not declared passes. 0 turns the rule off."""

    def __post_init__(self) -> None:
        if self.min_declared_side < 0:
            raise ValueError(f"min_declared_side: {self.min_declared_side}, must be 0 or more")


def check_image_use(url: str, declared_width: int, declared_height: int, config: ImageUrlConfig) -> Rejected | None:
    """The first rule broken, if any.

    The reasons are `bad_url`, `blocked_domain`, `url_word`, `unsupported_extension` and `declared_too_small`.

    Args:
        declared_width: pixels, 0 if the page does not say.
        declared_height: pixels, 0 if the page does not say.
    """
    if rejected := url_rules(url, config.blocked_domains, config.host_words, config.path_words):
        return rejected
    if (extension := file_extension(url)) in config.refused_extensions:
        return Rejected("unsupported_extension", extension)
    declared = [side for side in (declared_width, declared_height) if side > 0]
    if declared and min(declared) < config.min_declared_side:
        return Rejected("declared_too_small", f"{min(declared)} px, at least {config.min_declared_side}")
    return None


def file_extension(url: str) -> str:
    """The extension of the last name in the path, in lower case and without the dot; empty if it has none."""
    parts = host_and_path(url)
    name = parts[1].rpartition("/")[2] if parts else ""
    return name.rpartition(".")[2].lower() if "." in name else ""
