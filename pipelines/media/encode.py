"""What bytes a picture is given in a shard."""

from io import BytesIO
from struct import unpack_from
from typing import Literal

from PIL import Image

MemberFormat = Literal["jpg", "png"]


def keeps_own_bytes(data: bytes, image_format: str) -> bool:
    """Whether a file of this kind may be a member as it is, once stripped of metadata.

    JPEG always; PNG if it has 8 bits a sample in grey or RGB, or a palette: other kinds (16 bits, 1-bit, alpha) come
    out of different decoders as different things. Rotation, profile and transparency are the caller's to check.
    """
    if image_format == "jpeg":
        return True
    if image_format == "png" and len(data) > 25:
        depth, colour_type = unpack_from("BB", data, 24)
        return colour_type == 3 or (colour_type in (0, 2) and depth == 8)
    return False


def png_worthwhile(num_bytes: int, num_pixels: int, max_bytes_per_pixel: float) -> bool:
    """The rule for lossless originals: they stay lossless if they compressed to at most so many bytes a pixel.

    Screenshots and drawings take well under one byte a pixel as PNG and show JPEG's artefacts; photographs take about
    two, and as JPEG a tenth of that.
    """
    return num_bytes <= max_bytes_per_pixel * num_pixels


def encode_jpeg(picture: Image.Image, quality: int, subsampling: str) -> bytes:
    """A baseline JPEG of an "RGB" or "L" picture without metadata."""
    buffer = BytesIO()
    # Without its info the picture cannot hand on a profile, EXIF or a comment to the encoder.
    _bare(picture).save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def encode_png(picture: Image.Image, compress_level: int) -> bytes:
    """A PNG of an "RGB" or "L" picture without metadata."""
    buffer = BytesIO()
    _bare(picture).save(buffer, format="PNG", compress_level=compress_level)
    return buffer.getvalue()


def _bare(picture: Image.Image) -> Image.Image:
    if not picture.info:
        return picture
    bare = picture.copy()
    bare.info = {}
    return bare
