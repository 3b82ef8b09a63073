"""JPEG and PNG without their metadata, byte for byte: the compressed picture itself is not touched.

`strip` is deterministic and idempotent, and what it returns decodes to the same pixels (before EXIF orientation and
colour profile, which are metadata: `media.prepare` uses it only where neither changes anything). A stripped image
need not be stored, because it can be made again from the original.
"""

import re
from collections.abc import Iterator
from struct import unpack_from

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
"""All that decides the pixels. Text, time, EXIF, profiles, gamma and animation chunks go; IEND is written anew."""

# What may follow 0xFF inside a scan without ending it: a stuffed zero, a restart marker, a fill byte.
_SCAN_END = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")

_SOF = frozenset({0xC0, 0xC1, 0xC2})
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xDC})  # DHT, DQT, DRI, DNL
_APP0, _APP14, _SOS, _EOI = 0xE0, 0xEE, 0xDA, 0xD9


def strip(original: bytes) -> bytes:
    """The JPEG or PNG without metadata, trailing bytes and further pictures.

    Raises ValueError for other formats and for files whose structure is not that of the standard; whether the
    compressed data itself can be decoded is not looked at.
    """
    if original.startswith(PNG_SIGNATURE):
        return _strip_png(original)
    if original.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd8" + b"".join(_jpeg_parts(original)) + b"\xff\xd9"
    raise ValueError("neither JPEG nor PNG")


def _strip_png(data: bytes) -> bytes:
    kept = [PNG_SIGNATURE]
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if end > len(data):
            break
        if name == b"IEND":
            return b"".join([*kept, b"\x00\x00\x00\x00IEND\xaeB`\x82"])
        if name in PNG_PIXEL_CHUNKS:
            kept.append(data[at:end])
        elif name[:1].isupper():
            raise ValueError(f"PNG with an unknown critical chunk {name!r}")
        at = end
    raise ValueError("PNG without its end chunk")


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    """Everything between the start and the end marker that decides the pixels, in order."""
    at, seen_jfif, seen_scan = 2, False, False
    while True:
        marker_at = at
        while data[at : at + 1] == b"\xff":
            at += 1
        if at == marker_at or at >= len(data):
            raise ValueError(f"JPEG without a marker at byte {marker_at}")
        marker = data[at]
        if marker == _EOI:
            if not seen_scan:
                raise ValueError("JPEG without a scan")
            return
        if at + 3 > len(data):
            raise ValueError("JPEG cut in a marker")
        length = unpack_from(">H", data, at + 1)[0]
        end = at + 1 + length
        if length < 2 or end > len(data):
            raise ValueError("JPEG cut in a segment")
        segment = b"\xff" + data[at:end]
        if marker == _SOS:
            seen_scan = True
            stop = _SCAN_END.search(data, end)
            if stop is None:
                raise ValueError("JPEG without its end marker")
            yield segment + data[end : stop.start()]
            end = stop.start()
        elif marker in _SOF or marker in _TABLES:
            yield segment
        elif marker == _APP0 and segment[4:9] == b"JFIF\x00" and len(segment) >= 16:
            # Decoders take "JFIF present" to mean YCbCr, so the segment stays, without its thumbnail.
            if not seen_jfif and not seen_scan:
                yield b"\xff\xe0\x00\x10" + segment[4:16] + b"\x00\x00"
            seen_jfif = True
        elif marker == _APP14 and segment[4:9] == b"Adobe" and len(segment) >= 16:
            # Names the colour transform (RGB, YCbCr, YCCK); without it the same data gives other colours.
            if not seen_scan:
                yield b"\xff\xee\x00\x0e" + segment[4:16]
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise ValueError(f"JPEG with an unexpected marker {marker:#04x}")
        at = end
