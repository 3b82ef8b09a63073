"""What bytes are, told from the bytes themselves, and how large a picture says it is, told before it is decoded."""

import re
import struct
from struct import unpack_from

SVG_HEAD_BYTES = 65_536
"""How far into a document the svg element is looked for: licence comments of drawing programs come first."""

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"8BPS", "psd"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
)
_OTHER = (
    (b"%PDF", "PDF"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"RIFF", "a RIFF file that is not WebP"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3 audio"),
    (b"%!PS", "PostScript"),
)
_HTML_TAGS = ("<!doctype html", "<html", "<head", "<body", "<script", "<title", "<meta", "<div", "<p>", "<h1", "<br")
_SVG_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?svg[\s/>]", re.IGNORECASE)


def image_format(data: bytes) -> str:
    """Name of the image format by magic bytes, "svg" by content, or "" if the bytes are no image known by name.

    A name says nothing yet of whether the format can be decoded here ("ico", "heic", "jxl" ... cannot).
    """
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")):
            return "heic"
    return "svg" if _is_svg(data) else ""


def looks_like(data: bytes) -> str:
    """For a person: what bytes that are no image seem to be ("HTML", "JSON", "text", ...)."""
    if not data:
        return "no bytes"
    for magic, name in _OTHER:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "an MP4 video"
    head = _text_head(data, 1_024)
    if head.lower().startswith(_HTML_TAGS) or "<html" in head.lower():
        return "HTML"
    if head.startswith("<"):
        return "XML"
    if head.startswith(("{", "[")):
        return "JSON"
    if head and all(c.isprintable() or c.isspace() for c in head):
        return "text"
    return f"bytes that begin with {data[:8].hex()}"


def header_size(data: bytes, image_format: str) -> tuple[int, int] | None:
    """Width and height in pixels as the header says, before EXIF orientation; None if it says nothing readable.

    Reads a few bytes and allocates nothing, because some decoders allocate the whole canvas when they open a file.
    TIFF is not read here: its decoder opens without allocating.
    """
    reader = {"jpeg": _jpeg, "png": _png, "gif": _gif, "webp": _webp, "avif": _avif, "bmp": _bmp}.get(image_format)
    try:
        return reader(data) if reader else None
    except (struct.error, IndexError):
        return None


def is_lossless(data: bytes, image_format: str) -> bool:
    """Whether the original keeps pixels exactly and compresses them: PNG, GIF, and WebP with a VP8L stream."""
    return image_format in ("png", "gif") or (image_format == "webp" and _webp_chunk(data, b"VP8L") is not None)


def _text_head(data: bytes, limit: int) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data[:limit].decode(encoding, errors="ignore").lstrip()


def _is_svg(data: bytes) -> bool:
    head = _text_head(data[:SVG_HEAD_BYTES], SVG_HEAD_BYTES)
    while head.startswith(("<?", "<!")):
        if head.startswith("<!--"):
            end = "-->"
        elif head.startswith("<?"):
            end = "?>"
        else:
            # A doctype may hold entity declarations in brackets, each with a ">" of its own.
            bracket = head.find("[")
            end = "]" if 0 <= bracket < head.find(">") else ">"
        _, found, rest = head.partition(end)
        if not found:
            return False
        head = rest.lstrip().removeprefix(">").lstrip() if end == "]" else rest.lstrip()
    return _SVG_ROOT.match(head) is not None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        while data[at] != 0xFF:
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack_from(">HH", data, at + 4)
            return width, height
        if marker in (0xD9, 0xDA):
            return None
        standalone = marker == 0x01 or 0xD0 <= marker <= 0xD8
        at += 1 if standalone else 1 + unpack_from(">H", data, at + 1)[0]


def _png(data: bytes) -> tuple[int, int] | None:
    width, height = unpack_from(">II", data, 16)
    return (width, height) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> tuple[int, int]:
    width, height = unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    if unpack_from("<I", data, 14)[0] == 12:
        width, height = unpack_from("<HH", data, 18)
    else:
        width, height = unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _webp_chunk(data: bytes, name: bytes) -> int | None:
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] == name:
            return at
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        # An animation frame holds its image chunk after 16 bytes of its own.
        at += 24 if data[at : at + 4] == b"ANMF" else 8 + length + length % 2
    return None


def _avif(data: bytes) -> tuple[int, int] | None:
    # Every image item has an "ispe" property; a grid's is the whole picture, so the largest one is what gets allocated.
    sizes = [unpack_from(">II", data, m.end()) for m in re.finditer(rb"\x00\x00\x00\x14ispe\x00{4}", data[:65_536])]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
