"""Rules on an image whose bytes have been read, from facts measured at the decode."""

from dataclasses import dataclass

from schemas.rejection import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the decode measured."""

    width: int
    """Pixels, upright (EXIF orientation applied)."""
    height: int
    """Pixels, upright."""
    format: str
    """By magic bytes, in lower case: "jpeg", "png", "webp", "gif", "avif"."""
    bytes: int
    """Size of the file as it was fetched."""
    deviation: float
    """Largest standard deviation of the three colour channels, 0 to 127.5."""
    dominant_share: float
    """Share of the pixels that have the most frequent colour, of 16 levels in each channel; 0 to 1."""
    nsfw: float
    """Probability that the image is not safe for work, 0 to 1; any other number if it was not scored."""


@dataclass(frozen=True, kw_only=True)
class ImageFilterConfig:
    formats: tuple[str, ...]
    """Formats to keep; empty keeps all that can be decoded."""
    min_bytes: int
    """Least size of the file as it was fetched, bytes, 0 or more."""
    min_side: int
    """Least width and height, pixels."""
    max_side: int
    """Greatest width and height, pixels."""
    max_ratio: float
    """Greatest ratio of the longer side to the shorter, 1 or more."""
    min_deviation: float
    """Largest channel standard deviation (0 to 127.5) below which a picture counts as a single colour."""
    max_dominant_share: float
    """Share of the most frequent colour (0 to 1) above which a picture counts as a single colour."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_side <= self.max_side:
            raise ValueError(f"min_side: {self.min_side} is not between 0 and max_side ({self.max_side})")
        if self.min_bytes < 0:
            raise ValueError(f"min_bytes: {self.min_bytes}, must be 0 or more")
        if not self.max_ratio >= 1:
            raise ValueError(f"max_ratio: {self.max_ratio} is less than 1")
        if not 0 <= self.min_deviation <= 127.5:
            raise ValueError(f"min_deviation: {self.min_deviation} is not between 0 and 127.5")
        if not 0 <= self.max_dominant_share <= 1:
            raise ValueError(f"max_dominant_share: {self.max_dominant_share} is not between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class ImageSafetyConfig:
    scorer: str
    """Name of the scorer that measures `ImageFacts.nsfw`; "none" turns the rule off."""
    max_score: float
    """Greatest probability that the image is not safe for work, 0 to 1."""
    scope: str
    """What an unsafe image costs: "document" drops the page that shows it, "image" the image alone."""

    def __post_init__(self) -> None:
        if self.scope not in ("document", "image"):
            raise ValueError(f'scope: {self.scope!r} is neither "document" nor "image"')
        if not 0 <= self.max_score <= 1:
            raise ValueError(f"max_score: {self.max_score} is not between 0 and 1")


def judge_image(facts: ImageFacts, config: ImageFilterConfig) -> Rejected | None:
    """The first rule broken, if any.

    The reasons are `unwanted_format`, `too_few_bytes`, `image_too_small`, `image_too_large`, `aspect_ratio` and
    `single_colour`.
    """
    if config.formats and facts.format not in config.formats:
        return Rejected("unwanted_format", f"{facts.format}, wanted {', '.join(config.formats)}")
    if facts.bytes < config.min_bytes:
        return Rejected("too_few_bytes", f"{facts.bytes} bytes, at least {config.min_bytes}")
    size = f"{facts.width} x {facts.height} px"
    shorter, longer = sorted((facts.width, facts.height))
    if shorter < max(config.min_side, 1):
        return Rejected("image_too_small", f"{size}, at least {config.min_side}")
    if longer > config.max_side:
        return Rejected("image_too_large", f"{size}, at most {config.max_side}")
    if longer > config.max_ratio * shorter:
        return Rejected("aspect_ratio", f"{size}, ratio at most {config.max_ratio}")
    if not facts.deviation >= config.min_deviation:
        return Rejected("single_colour", f"deviation {facts.deviation:.2f}, at least {config.min_deviation}")
    if not facts.dominant_share <= config.max_dominant_share:
        return Rejected("single_colour", f"one colour {facts.dominant_share:.4f}, at most {config.max_dominant_share}")
    return None


def judge_safety(facts: ImageFacts, config: ImageSafetyConfig) -> Rejected | None:
    """`unscored` or `unsafe`, if any: an image without a score never passes."""
    if config.scorer == "none":
        return None
    if not 0 <= facts.nsfw <= 1:
        return Rejected("unscored", f"score {facts.nsfw} of {config.scorer}")
    if facts.nsfw > config.max_score:
        return Rejected("unsafe", f"{config.scorer} {facts.nsfw:.4f}, at most {config.max_score}")
    return None
