"""Undoing an HTTP content encoding without letting a small body become a huge one."""

import zlib

import brotli  # type: ignore[import-untyped]
import zstandard

from pipelines.web.outcome import FetchError

_ZSTD_WINDOW = 8 << 20  # RFC 9659: a content encoding may not need a window above 8 MB
_MOST_ENCODINGS = 4  # nobody stacks more, and each one could multiply the size


def decode_body(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body with its content encodings undone, the last named first.

    Args:
        encoding: value of Content-Encoding. Unknown names count as no encoding, as browsers have it.
        max_bytes: where decoding stops: at most one byte more is returned, so that the caller sees there was more.

    Raises:
        FetchError: bad_encoding, the body is not what its encoding says.
    """
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    if len(names) > _MOST_ENCODINGS:
        raise FetchError("bad_encoding", f"{len(names)} encodings, at most {_MOST_ENCODINGS}")
    for name in reversed(names):
        try:
            body = _decode(body, name, max_bytes + 1)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
            raise FetchError("bad_encoding", f"{name}: {error}") from None
    return body


def _decode(body: bytes, name: str, most: int) -> bytes:
    if name in ("gzip", "x-gzip"):
        return _inflate(body, most, 16 + zlib.MAX_WBITS)
    if name == "deflate":
        # RFC 9110 section 8.4.1.2: zlib format, but some servers send bare deflate
        try:
            return _inflate(body, most, zlib.MAX_WBITS)
        except zlib.error:
            return _inflate(body, most, -zlib.MAX_WBITS)
    if name == "br":
        return _unbrotli(body, most)
    if name == "zstd":
        return _unzstd(body, most)
    return body


def _inflate(body: bytes, most: int, window: int) -> bytes:
    out = bytearray()
    while body and len(out) < most:
        decoder = zlib.decompressobj(window)
        out += decoder.decompress(body, most - len(out))
        if not decoder.eof:
            if len(out) < most:
                raise EOFError("it ends too early")
            break
        body = decoder.unused_data
        if window <= zlib.MAX_WBITS:  # only gzip may hold several members
            break
        body = body.lstrip(b"\0")  # padding, as gunzip allows
    return bytes(out)


def _unbrotli(body: bytes, most: int) -> bytes:
    if not body:
        return b""
    decoder = brotli.Decompressor()
    out = bytearray(decoder.process(body, output_buffer_limit=most))
    while len(out) < most and not decoder.is_finished():
        more = decoder.process(b"", output_buffer_limit=most - len(out))
        if not more:
            raise EOFError("it ends too early")
        out += more
    return bytes(out[:most])


def _unzstd(body: bytes, most: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    out = decoder.stream_reader(body, read_across_frames=True).read(most)
    while body and len(out) < most:  # the reader holds a cut frame for whole; now that the size is known to be small
        frame = decoder.decompressobj()
        frame.decompress(body)
        if not frame.eof:
            raise EOFError("it ends too early")
        body = frame.unused_data
    return out
