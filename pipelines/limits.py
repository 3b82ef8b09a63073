"""Recipe tables of the rules that look at more than one page: caps, splits and sizes of shards."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageFrequencyConfig:
    """Recipe table [image_frequency]."""

    max_uses: int
    """Places of one image address in the whole crawl beyond which the image is dropped everywhere; 0: no limit."""
    max_equal: int
    """The same for places of one image by its bytes, whatever its addresses; 0: no limit."""

    def limit(self, cap: int) -> int:
        """Rows of one key that a shuffle has to keep for this cap."""
        return cap or 1_000_000


@dataclass(frozen=True, kw_only=True)
class ImagesLeftConfig:
    """Recipe table [images_left]."""

    min_images: int
    """Images that a page must keep."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Recipe table [split]."""

    dev_share: float
    """Share of registered domains, 0..1, whose pages are held out as "dev"."""


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """Recipe table [shards]."""

    max_bytes: int
    """About the largest size of a shard."""
    max_samples: int
    """About the largest number of samples of a shard."""

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
