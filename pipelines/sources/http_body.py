"""What an HTTP response of a crawl really holds: chunks and content encodings undone, type checked against the bytes.

Crawlers disagree on what they store: some keep the bytes of the wire, some decode them and keep the headers, some
rename the headers (Common Crawl: X-Crawl-Content-Encoding). So every header is only a hint that the bytes confirm.
"""

import re
import zlib
from collections.abc import Mapping

import brotli  # type: ignore[import-untyped]
import zstandard

from pipelines.sources.config import SourceConfig
from pipelines.video.sniff import sniff_subtitles, sniff_video
from schemas.rejection import Rejected

_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,256})?\r?\n")
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?(?:-->\s*|\Z))*"
    rb"<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|iframe|h[1-6]|div|p|a|b|br|font|table|center)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_SVG_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!doctype svg[^>]*>\s*)*<svg[\s>]", re.I | re.S
)
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\1\0", "image/x-icon"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS-", "application/postscript"),
    (b"PK\3\4", "application/zip"),
    (b"Rar!\x1a\7", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x7fELF", "application/x-executable"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
)
_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xhtml", "text/xhtml")
_UNKNOWN_TYPES = (
    "",
    "application/octet-stream",
    "unknown/unknown",
    "application/unknown",
    "*/*",
    "application/x-unknown",
)
_MOST_ENCODINGS = 3
_SNIFF_BYTES = 1024
_NO_CONTROLS = bytes(set(range(256)) - (set(range(32)) - set(b"\t\n\f\r")))


def media_type(content_type: str) -> str:
    """The type of a Content-Type value in lower case; empty if it is none."""
    value = content_type.partition(";")[0].partition(",")[0].strip().lower()
    return value if re.fullmatch(r"[\w.+*-]+/[\w.+*-]+", value) else ""


def sniff(body: bytes) -> str:
    """Type told by the first bytes: "text/html", an image type, another binary type; empty if they tell nothing."""
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return name
    if body[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(body[8:12], "")
    if body[4:8] == b"ftyp":
        return (
            "image/avif"
            if body[8:12] in (b"avif", b"avis")
            else "image/heic"
            if body[8:11] in (b"hei", b"hev")
            else "video/mp4"
        )
    if body[:2] == b"BM" and body[6:10] == b"\0\0\0\0":
        return "image/bmp"
    start = body[:_SNIFF_BYTES]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"<\0" in start[:8] or b"\0<" in start[:8]:
        start = start.replace(b"\0", b"")  # UTF-16
    if _SVG_START.match(start):
        return "image/svg+xml"
    return "text/html" if _HTML_START.match(start) else ""


def kind_of(identified: str, declared: str, body: bytes) -> str:
    """What a body is: "html", "image", or the name of the other type that it is.

    The crawler's own finding (`identified`) comes before the server's word (`declared`). Bytes that plainly are
    something else win over both, and decide alone where neither says anything.
    """
    claimed = next((name for name in (media_type(identified), media_type(declared)) if name not in _UNKNOWN_TYPES), "")
    found = sniff(body)
    if claimed in _HTML_TYPES:
        return "html" if found in ("", "text/html", "image/svg+xml") else _kind(found)
    if claimed.startswith("image/"):
        return "image" if not found or found.startswith("image/") else f"{claimed} that holds {found}"
    return claimed or _kind(found)


def _kind(name: str) -> str:
    if name == "text/html":
        return "html"
    return "image" if name.startswith("image/") else name or "unknown"


def is_media(kind: str, body: bytes, config: SourceConfig) -> bool:
    """Whether a body is what a recipe makes its documents of: pictures, or videos with their subtitles.

    `kind` is what `kind_of` found; `body` may be its beginning.
    """
    if config.pairs_of == "videos":
        return bool(sniff_video(body[:4096]) or sniff_subtitles(body[:4096]))
    return kind == "image"


def decode_body(headers: Mapping[str, list[str]], body: bytes, max_bytes: int) -> tuple[bytes, str] | Rejected:
    """Undoes chunks and content encodings, where the body really has them.

    Args:
        headers: names in lower case.
        max_bytes: limit of the decoded body; no more than that is ever held.

    Returns:
        The body, and why it is not whole ("" if it is): "bad_chunking" or "bad_content_encoding", where the beginning
        could be decoded. `Rejected` if nothing could ("bad_content_encoding") or the limit is passed ("too_large").
    """
    body, trouble = _dechunked(body, any("chunked" in value.lower() for value in headers.get("transfer-encoding", ())))
    names = [name.strip().lower() for value in headers.get("content-encoding", ()) for name in value.split(",")]
    if len(names) > _MOST_ENCODINGS:
        return Rejected("bad_content_encoding", f"{len(names)} encodings, at most {_MOST_ENCODINGS}")
    if body.startswith(b"\x1f\x8b\x08") and not any("gzip" in name for name in names) and _says_html(headers):
        names.append("gzip")  # the crawler took the header away and left the encoding
    for name in reversed(names):
        if name not in _DECODERS or not body or _is_plain(body):
            continue
        try:
            decoded, whole = _DECODERS[name](body, max_bytes + 1)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            return Rejected("bad_content_encoding", f"{name}: {error}")
        if len(decoded) > max_bytes:
            return Rejected("too_large", f"{name} body of {len(body)} bytes inflates to more than {max_bytes}")
        if not decoded and not whole:
            return Rejected("bad_content_encoding", f"{name}: nothing to be had from {len(body)} bytes")
        body, trouble = decoded, trouble if whole else trouble or "bad_content_encoding"
    return body, trouble


def _says_html(headers: Mapping[str, list[str]]) -> bool:
    return any(media_type(value) in _HTML_TYPES for value in headers.get("content-type", ()))


def _is_plain(body: bytes) -> bool:
    """Whether a body that is said to be encoded is readable as it stands."""
    found = sniff(body)
    return found == "text/html" or found.startswith("image/") or _reads_as_markup(body)


def _reads_as_markup(body: bytes) -> bool:
    start = body[:_SNIFF_BYTES]
    return b"<" in start and not start.translate(None, delete=_NO_CONTROLS)


def _dechunked(body: bytes, announced: bool) -> tuple[bytes, str]:
    """The body without chunk framing if it has any. Not announced, it must hold to the last byte to be believed."""
    parts: list[bytes] = []
    at = 0
    while found := _CHUNK.match(body, at):
        size = int(found.group(1), 16)
        at = found.end()
        if not size:
            return b"".join(parts), ""
        part = body[at : at + size]
        parts.append(part)
        at += size
        if len(part) < size:
            # A page that begins with something like a number would be cut to pieces here: only a whole chunk is proof.
            return (b"".join(parts), "bad_chunking") if announced and len(parts) > 1 else (body, "")
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    if announced and parts:
        return b"".join(parts), "bad_chunking"
    return body, ""


def _inflate(body: bytes, limit: int, *wbits: int) -> tuple[bytes, bool]:
    failed = zlib.error("no format to try")
    for bits in wbits:
        engine = zlib.decompressobj(bits)
        try:
            return engine.decompress(body, limit), engine.eof
        except zlib.error as error:
            failed = error
    salvaged = max((_salvaged(body, limit, bits) for bits in wbits), key=len)
    if not _reads_as_markup(salvaged):
        raise failed
    return salvaged, False


def _salvaged(body: bytes, limit: int, bits: int) -> bytes:
    """What comes out before the damage; zlib throws away the output of the call that fails, so calls are small."""
    engine = zlib.decompressobj(bits)
    parts: list[bytes] = []
    for at in range(0, len(body), 64):
        try:
            parts.append(engine.decompress(body[at : at + 64], limit))
        except zlib.error:
            break
        limit -= len(parts[-1])
        if limit <= 0:
            break
    return b"".join(parts)


def _unbrotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    engine = brotli.Decompressor()
    parts: list[bytes] = []
    data = body
    while limit > 0:
        part = engine.process(data, output_buffer_limit=limit)
        data = b""
        if part:
            parts.append(part)
            limit -= len(part)
        if engine.is_finished() or engine.can_accept_more_data() or not part:
            break
    return b"".join(parts), engine.is_finished()


def _unzstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body, read_across_frames=True)
    parts: list[bytes] = []
    while limit > 0 and (part := reader.read(min(limit, 1 << 20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts), True


_DECODERS = {
    "gzip": lambda body, limit: _inflate(body, limit, 31),
    "x-gzip": lambda body, limit: _inflate(body, limit, 31),
    "deflate": lambda body, limit: _inflate(body, limit, 15, -15),
    "br": _unbrotli,
    "zstd": _unzstd,
}
