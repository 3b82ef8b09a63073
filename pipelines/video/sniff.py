"""What kind of file it is, by its first bytes; needs no FFmpeg."""

import re

MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
"""Types of the first box of an MP4 or QuickTime file."""
_SUBRIP = re.compile(rb"\s*\d+\s*\n\s*\d+:\d\d:\d\d[,.]\d+\s*-->")


def sniff_video(head: bytes) -> str:
    """The container of a file by its first bytes (64 do, 4096 for webm); empty if it is none that we know."""
    if head[4:8] in MP4_BOXES:
        return "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:4096] else "mkv"
    if head.startswith(b"OggS"):
        return "ogv"
    return "avi" if head.startswith(b"RIFF") and head[8:12] == b"AVI " else ""


def sniff_subtitles(head: bytes) -> str:
    """ "vtt" (WebVTT), "srt" (SubRip), or empty."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"WEBVTT"):
        return "vtt"
    return "srt" if _SUBRIP.match(text) else ""
