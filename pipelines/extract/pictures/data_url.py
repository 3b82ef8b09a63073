"""Pictures that stand in the page itself, as data: addresses."""

import re
from base64 import b64decode
from binascii import Error
from urllib.parse import unquote

from pipelines.media.sniff import header_size, image_format

_HEAD = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE | re.ASCII)
# A header with the size of the picture stands in the first bytes; those of JPEG after their metadata.
_HEAD_CHARS = 88_000
_BLANKS = re.compile(r"\s+")


def embedded_picture(raw: str, min_side: int) -> str:
    """A data: address in normal form if it holds a picture (of pixels) with both sides longer than `min_side`, else "".

    Smaller ones only hold the place of a picture, or are icons.
    """
    raw = raw.strip()
    found = _HEAD.match(raw)
    if not found:
        return ""
    head = _BLANKS.sub("", unquote(raw[found.end() : found.end() + _HEAD_CHARS]))
    try:
        data = b64decode(head[: len(head) // 4 * 4])
    except (Error, ValueError):
        return ""
    size = header_size(data, image_format(data))
    if size is None or min(size) <= min_side:
        return ""
    return found[0].lower() + _BLANKS.sub("", unquote(raw[found.end() :]))
