"""One image from bytes to facts and a clean shard member, in one decode."""

import hashlib
import json
from dataclasses import asdict, dataclass

from pipelines.media import decode as decoding
from pipelines.media.blocklist import Blocklist
from pipelines.media.decode import Decoded, describe
from pipelines.media.encode import MemberFormat, encode_jpeg, encode_png, keeps_own_bytes, png_worthwhile
from pipelines.media.perceptual import deviation, dominant_share, phash
from pipelines.media.safety import Scorer
from pipelines.media.sniff import image_format, is_lossless, looks_like
from pipelines.media.strip import strip
from schemas.rejection import Rejected

VERSION = 3
"""Raised when the same settings come to give other members or facts: stored ones are then made again."""


@dataclass(frozen=True, kw_only=True)
class MediaConfig:
    """What images are accepted and how their members are written."""

    formats: tuple[str, ...]
    """Accepted formats, by content: of jpeg, png, gif, webp, avif, bmp, tiff."""
    max_pixels: int
    """Width times height that the header may claim, pixels; decoding takes up to about 20 bytes for each."""
    max_header_side: int
    """Side that the header may claim, pixels, 1 to 65500 (the largest a JPEG can have)."""
    max_scans: int
    """Scans that a JPEG may have, 1 or more: each scan of a progressive file costs a pass over the whole picture."""
    max_side: int
    """Members larger than this are reduced until their larger side is this, pixels; 0 never reduces."""
    jpeg_quality: int
    """Quality of members that are encoded as JPEG, 1 to 95."""
    jpeg_subsampling: str
    """Chroma subsampling of those: "4:4:4", "4:2:2" or "4:2:0"."""
    png_max_bytes_per_pixel: float
    """A lossless original (PNG, GIF, lossless WebP) stays lossless, as PNG, up to so many bytes of file for each
    pixel; denser ones are photographs and become JPEG. 0 makes every member JPEG, 1000 (the most) hardly any."""
    png_compress_level: int
    """zlib level of members that are encoded as PNG, 0 to 9."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.formats if name not in decoding.DECODABLE]:
            raise ValueError(f"formats: {unknown[0]!r} is not one of {', '.join(decoding.DECODABLE)}")
        if not self.formats:
            raise ValueError("formats: at least one must be accepted")
        for name, low, high in (
            ("max_pixels", 1, 2**31 - 1),
            ("max_header_side", 1, 65_500),
            ("max_scans", 1, 2**31 - 1),
            ("max_side", 0, 65_500),
            ("jpeg_quality", 1, 95),
            ("png_max_bytes_per_pixel", 0, 1000),
            ("png_compress_level", 0, 9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: {value}, must be {low} to {high}")
        if self.jpeg_subsampling not in ("4:4:4", "4:2:2", "4:2:0"):
            raise ValueError(f'jpeg_subsampling: {self.jpeg_subsampling!r}, must be "4:4:4", "4:2:2" or "4:2:0"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Facts of one image, and its member. The same bytes and settings give an equal value on every run."""

    format: str
    """Format of the original by its magic bytes: "jpeg", "png", "gif", "webp", "avif", "bmp" or "tiff"."""
    original_sha256: str
    """64 hex digits."""
    original_bytes: int
    width: int
    """Pixels of the original, upright: what a filter of sizes and ratios should read. Also the member's, unless
    `max_side` reduced it."""
    height: int
    deviation: float
    """Largest standard deviation of a colour channel, 0 (one colour) to 127.5, over all pixels of the picture."""
    dominant_share: float
    """Share 0..1 of the most frequent colour at 4 bits a channel, on a sample of pixels."""
    phash: str
    """16 hex digits: `imagehash.phash` of the upright, possibly reduced picture, before any JPEG encoding of it."""
    nsfw: float
    """Score of the scorer, 0..1, four decimals; -1 without a scorer."""
    member_format: MemberFormat
    member_width: int
    member_height: int
    member_sha256: str
    """64 hex digits."""
    member: bytes
    stripped: bool
    """The member is `strip(original)` and can be made again from it; otherwise it was encoded and must be stored."""


def settings_digest(config: MediaConfig, scorer_name: str) -> str:
    """12 hex digits that name everything `prepare` depends on besides the bytes and the blocklist.

    `scorer_name` is `Scorer.name`, or "none".
    """
    settings = {"version": VERSION, "scorer": scorer_name, **asdict(config)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def prepare(data: bytes, config: MediaConfig, scorer: Scorer | None, blocklist: Blocklist) -> Prepared | Rejected:
    """The facts and the member of the image in `data`, or why there are none. Never raises for bad bytes.

    Reasons, in the order of the checks: blocked_hash, not_an_image, svg, unsupported_format, pixel_bomb, undecodable,
    blocked_phash, unscorable.
    """
    sha256 = hashlib.sha256(data).digest()
    if listed := blocklist.listed_digest(data, sha256):
        return Rejected("blocked_hash", listed)
    name = image_format(data)
    if refused := _refused_format(data, name, config):
        return refused
    decoded = decoding.decode(
        data,
        name,
        max_pixels=config.max_pixels,
        max_header_side=config.max_header_side,
        max_side=config.max_side,
    )
    if isinstance(decoded, Rejected):
        return decoded
    picture = decoded.picture
    digest = phash(picture)
    if (bits := blocklist.nearest(digest)) is not None:
        return Rejected(
            "blocked_phash", f"{digest}, {bits} bits from a listed one, more than {blocklist.distance} wanted"
        )
    nsfw = _score(decoded, scorer)
    if isinstance(nsfw, Rejected):
        return nsfw
    member, member_format, stripped = _member(data, name, decoded, config)
    return Prepared(
        format=name,
        original_sha256=sha256.hex(),
        original_bytes=len(data),
        width=decoded.width,
        height=decoded.height,
        deviation=deviation(picture),
        dominant_share=dominant_share(picture),
        phash=digest,
        nsfw=nsfw,
        member_format=member_format,
        member_width=picture.width,
        member_height=picture.height,
        member_sha256=hashlib.sha256(member).hexdigest(),
        member=member,
        stripped=stripped,
    )


def _refused_format(data: bytes, name: str, config: MediaConfig) -> Rejected | None:
    if not name:
        return Rejected("not_an_image", looks_like(data))
    if name == "svg":
        return Rejected("svg", "vector graphics have no pixels of their own")
    if name not in config.formats:
        return Rejected("unsupported_format", f"{name}, accepted are {', '.join(config.formats)}")
    # Counts the marker's two bytes anywhere: inside compressed data they cannot stand, thumbnails add one or two.
    if name == "jpeg" and (scans := data.count(b"\xff\xda")) > config.max_scans:
        return Rejected("pixel_bomb", f"JPEG of {scans} scans, at most {config.max_scans}")
    return None


def _score(decoded: Decoded, scorer: Scorer | None) -> float | Rejected:
    if scorer is None:
        return -1.0
    try:
        score = float(scorer.score(decoded.picture.convert("RGB")))
    except Exception as error:  # whatever a scorer does, a picture it could not judge must not pass
        return Rejected("unscorable", describe(error))
    if not 0 <= score <= 1:
        return Rejected("unscorable", f"score {score}, must be 0 to 1")
    return round(score, 4)


def _member(data: bytes, name: str, decoded: Decoded, config: MediaConfig) -> tuple[bytes, MemberFormat, bool]:
    """The member's bytes, its format, and whether it is `strip(data)`."""
    worthwhile = png_worthwhile(len(data), decoded.width * decoded.height, config.png_max_bytes_per_pixel)
    lossless = is_lossless(data, name) and worthwhile
    if decoded.as_stored and keeps_own_bytes(data, name) and (lossless or name == "jpeg"):
        try:
            return strip(data), "jpg" if name == "jpeg" else "png", True
        except ValueError:
            pass  # decodable, but not built as the standard says: give it a clean body
    if lossless:
        return encode_png(decoded.picture, config.png_compress_level), "png", False
    return encode_jpeg(decoded.picture, config.jpeg_quality, config.jpeg_subsampling), "jpg", False
