"""Recipe tables of the rules that look at more than one page: caps, splits and sizes of shards."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageFrequencyConfig:
    """Recipe table [image_frequency]: what stands too often goes everywhere, and nothing depends on which came first.

    As OBELICS (arXiv 2306.16527) does with the addresses of images: logos, buttons and tracking pixels go.
    """

    max_uses: int
    """Places of one image address in the whole crawl beyond which the image is dropped everywhere, 1 or more."""
    max_equal: int
    """The same for places of one image by its bytes, whatever its addresses."""

    def __post_init__(self) -> None:
        _at_least(1, self, ("max_uses", "max_equal"))


@dataclass(frozen=True, kw_only=True)
class RareWordsConfig:
    """Recipe table [rare_words]."""

    max_ngrams: int
    """Words and pairs of words that are not rare: so many, the most frequent; 0: the rule is off."""
    min_count: int
    """Times that one must stand in the input not to be rare however few there are; 1 or more."""

    def __post_init__(self) -> None:
        if self.max_ngrams < 0:
            raise ValueError(f"max_ngrams: {self.max_ngrams}, must be 0 or more")
        if self.min_count < 1:
            raise ValueError(f"min_count: {self.min_count}, must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class CaptionFrequencyConfig:
    """Recipe table [caption_frequency]."""

    max_images: int
    """Images that one text may stand with in the whole input, 1 or more; beyond, all its pairs go."""

    def __post_init__(self) -> None:
        _at_least(1, self, ("max_images",))


@dataclass(frozen=True, kw_only=True)
class ImagesLeftConfig:
    """Recipe table [images_left]."""

    min_images: int
    """Images that a page must keep, 0 or more."""

    def __post_init__(self) -> None:
        _at_least(0, self, ("min_images",))


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Recipe table [split]."""

    dev_share: float
    """Share of registered domains, 0..1, whose pages are held out as "dev"."""

    def __post_init__(self) -> None:
        if not 0 <= self.dev_share <= 1:
            raise ValueError(f"dev_share: {self.dev_share}, must be 0 to 1")


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """Recipe table [shards]."""

    max_bytes: int
    """About the largest size of a shard."""
    max_samples: int
    """About the largest number of samples of a shard."""

    def __post_init__(self) -> None:
        _at_least(1, self, ("max_bytes", "max_samples"))

    def count(self, samples: int, size: int) -> int:
        """Shards for `samples` samples of together `size` bytes."""
        return max(1, -(-samples // self.max_samples), -(-size // self.max_bytes)) if samples else 0


@dataclass(frozen=True, kw_only=True)
class BlocklistConfig:
    """Recipe table [blocklist]: images that must not be stored."""

    digest_files: tuple[str, ...]
    """Files with md5 and sha256 digests, hex, one a line."""
    phash_files: tuple[str, ...]
    """Files with 64-bit perceptual hashes, hex, one a line."""
    phash_distance: int
    """Bits by which a perceptual hash may differ from a listed one, 0..64."""

    def __post_init__(self) -> None:
        if not 0 <= self.phash_distance <= 64:
            raise ValueError(f"phash_distance: {self.phash_distance}, must be 0 to 64 bits")


def _at_least(least: int, config: object, names: Iterable[str]) -> None:
    for name in names:
        if (value := getattr(config, name)) < least:
            raise ValueError(f"{name}: {value}, must be {least} or more")
