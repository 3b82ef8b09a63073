"""From the bytes of a page to Unicode, by what its bytes say rather than by what its headers claim.

Order of claims as in the WHATWG Encoding and HTML standards (byte order mark, HTTP header, <meta>), then the finding of
the crawler. A claim counts only if the bytes bear it out: pages in UTF-8 under a Latin-1 header and pages in
windows-1252 that say UTF-8 are the two common lies. No statistical guessing: a page without any claim that is not UTF-8
is windows-1252, as in a browser.
"""

import codecs
import re
from dataclasses import dataclass

from pipelines.extract.html.controls import count_controls, count_lost, is_utf8
from pipelines.extract.page import HtmlPage
from pipelines.sources.records import RawPage
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class CharsetConfig:
    """How much damage a page may show before it is dropped: recipe table [decode]."""

    max_replacement_share: float
    """Largest share of characters that could not be decoded, of all characters; 0 to 1."""
    max_control_share: float
    """Largest share of control characters (C0 without white space, NUL), of all bytes; 0 to 1. Above, it is no text."""
    min_utf8_share: float
    """A page that is not wholly valid UTF-8 still is UTF-8 with stray bytes if at least this share of its non-ASCII
    characters decode as such; 0 to 1."""
    meta_prescan_bytes: int
    """Bytes at the start in which <meta charset> is looked for; the standard says at least 1024."""
    keep_truncated: bool
    """Keep pages that the crawler or the transfer cut off."""

    def __post_init__(self) -> None:
        for name in ("max_replacement_share", "max_control_share", "min_utf8_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: a share from 0 to 1, not {getattr(self, name)}")
        if self.meta_prescan_bytes < 1:
            raise ValueError(f"meta_prescan_bytes: at least 1, not {self.meta_prescan_bytes}")


_ISO_8859 = (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)
# Encodings of the WHATWG standard by the codec of Python that reads them. Where the standard reads a label as a larger
# encoding than its name says (gb2312 as gbk, latin1 as windows-1252), so does this table.
_BY_CODEC = {
    "utf-8": ("utf-8", "utf-8"),
    "ascii": ("windows-1252", "cp1252"),
    "iso8859-1": ("windows-1252", "cp1252"),
    "cp1252": ("windows-1252", "cp1252"),
    "iso8859-9": ("windows-1254", "cp1254"),
    "cp1254": ("windows-1254", "cp1254"),
    "iso8859-11": ("windows-874", "cp874"),
    "tis-620": ("windows-874", "cp874"),
    "cp874": ("windows-874", "cp874"),
    "gb2312": ("gbk", "gb18030"),
    "gbk": ("gbk", "gb18030"),
    "cp936": ("gbk", "gb18030"),
    "gb18030": ("gb18030", "gb18030"),
    "big5": ("big5", "big5hkscs"),
    "cp950": ("big5", "big5hkscs"),
    "big5hkscs": ("big5", "big5hkscs"),
    "shift_jis": ("shift_jis", "cp932"),
    "cp932": ("shift_jis", "cp932"),
    "euc_jp": ("euc-jp", "euc_jp"),
    "iso2022_jp": ("iso-2022-jp", "iso2022_jp"),
    "euc_kr": ("euc-kr", "cp949"),
    "cp949": ("euc-kr", "cp949"),
    "koi8-r": ("koi8-r", "koi8_r"),
    "koi8-u": ("koi8-u", "koi8_u"),
    "mac-roman": ("macintosh", "mac_roman"),
    "mac-cyrillic": ("x-mac-cyrillic", "mac_cyrillic"),
    "cp866": ("ibm866", "cp866"),
    "utf-16": ("utf-16le", "utf-16-le"),
    "utf-16-le": ("utf-16le", "utf-16-le"),
    "utf-16-be": ("utf-16be", "utf-16-be"),
    **{f"cp{number}": (f"windows-{number}", f"cp{number}") for number in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
    **{
        f"iso8859-{part}": (f"iso-8859-{part}", f"iso8859_{part}") for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)
    },
}
# Labels of the standard that Python does not know.
_LABELS = {
    "chinese": "gbk",
    "csgb2312": "gbk",
    "x-gbk": "gbk",
    "gb_2312-80": "gbk",
    "gb_2312": "gbk",
    "iso-ir-58": "gbk",
    "x-x-big5": "big5",
    "cn-big5": "big5",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "x-euc-jp": "euc_jp",
    "cseucpkdfmtjapanese": "euc_jp",
    "windows-949": "cp949",
    "ks_c_5601-1989": "cp949",
    "ksc_5601": "cp949",
    "csksc56011987": "cp949",
    "cseuckr": "cp949",
    "iso-ir-149": "cp949",
    "dos-874": "cp874",
    "windows-874": "cp874",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-cp1253": "cp1253",
    "x-cp1254": "cp1254",
    "x-cp1255": "cp1255",
    "x-cp1256": "cp1256",
    "x-cp1257": "cp1257",
    "x-cp1258": "cp1258",
    "koi": "koi8-r",
    "koi8": "koi8-r",
    "koi8-ru": "koi8-u",
    "mac": "mac-roman",
    "csmacintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ukrainian": "mac-cyrillic",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "csiso88598e": "iso8859-8",
    "csiso88598i": "iso8859-8",
    "iso-8859-6-e": "iso8859-6",
    "iso-8859-6-i": "iso8859-6",
    "csiso88596e": "iso8859-6",
    "csiso88596i": "iso8859-6",
    "sun_eu_greek": "iso8859-7",
    "csisolatin9": "iso8859-15",
    "logical": "iso8859-8",
    "visual": "iso8859-8",
    "utf-8-sig": "utf-8",
    "x-unicode20utf8": "utf-8",
    "unicode20utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "unicode11utf8": "utf-8",
    "unicode": "utf-16-le",
    "ucs-2": "utf-16-le",
    "csunicode": "utf-16-le",
    "iso-10646-ucs-2": "utf-16-le",
    "unicodefeff": "utf-16-le",
    "unicodefffe": "utf-16-be",
    "utf-16": "utf-16-le",
    **{f"iso8859{part}": f"iso8859-{part}" for part in (1, 9, 11, *_ISO_8859)},
}
_MULTI_BYTE = ("gbk", "gb18030", "big5", "shift_jis", "euc-jp", "iso-2022-jp", "euc-kr")
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32le"),
    (b"\0\0\xfe\xff", "utf-32be"),
    (b"\xff\xfe", "utf-16le"),
    (b"\xfe\xff", "utf-16be"),
)
"""Byte order marks; one that begins like another comes first."""
_XML_ENCODING = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([^"'>]*)["']""", re.IGNORECASE)
_META_CHARSET = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([^\s/;"'>]+)""", re.IGNORECASE)
_HEADER_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]+)", re.IGNORECASE)
_STRAY = "openm3w.stray_windows_1252"  # names an error handler of Python's codecs
_NON_ASCII = re.compile(r"[^\x00-\x7f]")


def _stray_byte(error: UnicodeError) -> tuple[str, int]:
    """Reads bytes that are not UTF-8 as windows-1252: what editors paste into pages."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_STRAY, _stray_byte)


def encoding_of(label: str) -> tuple[str, str] | None:
    """WHATWG name and Python codec for a label out of a header or page ("Latin1", "x-sjis"); None if it names none."""
    label = label.strip(" \t\r\n\f\"'").lower()
    try:
        return _BY_CODEC.get(codecs.lookup(_LABELS.get(label, label)).name)
    except (LookupError, ValueError, UnicodeError):
        return None


def decode_html(page: RawPage, config: CharsetConfig) -> HtmlPage | Rejected:
    """The page in Unicode. Stage "decode"; rejects: truncated_page, binary, undecodable."""
    if page.truncated and not config.keep_truncated:
        return Rejected("truncated_page", page.truncated)
    data, marked = _without_mark(page.body)
    decoded = _decoded_marked(data, marked) if marked else _decoded(data, page, config)
    if isinstance(decoded, Rejected):
        return decoded
    utf8, charset = decoded
    if not charset.startswith(("utf-16", "utf-32")):
        controls = count_controls(data)
        if controls > config.max_control_share * len(data):
            share = controls / len(data)
            return Rejected("binary", f"{share:.3f} control characters, at most {config.max_control_share}")
    lost = count_lost(utf8)
    if lost and lost > config.max_replacement_share * (chars := len(utf8.decode("utf-8", "replace"))):
        share = lost / chars
        return Rejected("undecodable", f"{charset}: {share:.3f} not decoded, at most {config.max_replacement_share}")
    return HtmlPage(
        url=page.url,
        utf8=utf8.replace(b"\0", b""),
        headers=page.headers,
        source=page.source,
        charset=charset,
        truncated=page.truncated,
    )


def _without_mark(data: bytes) -> tuple[bytes, str]:
    """The bytes behind a byte order mark, and the encoding that it tells; "" if there is none."""
    return next(((data[len(mark) :], name) for mark, name in _MARKS if data.startswith(mark)), (data, ""))


def _decoded_marked(data: bytes, marked: str) -> tuple[bytes, str]:
    """After a byte order mark, which wins over all (WHATWG: "BOM sniff")."""
    return data.decode(marked, _STRAY if marked == "utf-8" else "replace").encode(), marked


def _decoded(data: bytes, page: RawPage, config: CharsetConfig) -> tuple[bytes, str] | Rejected:
    """The page in UTF-8, and the encoding it was in."""
    valid = is_utf8(data)
    if valid and data.isascii() and b"\x1b" not in data and b"\0" not in data:
        return data, "utf-8"
    if utf16 := _utf16(data):
        return data.decode(utf16[1], "replace").encode(), utf16[0]
    claims = _claims(data, page, config)
    if valid:
        # Valid by accident is all but impossible, except for a few characters of an East Asian encoding.
        rival = next((claim for claim in claims if claim[0] in _MULTI_BYTE), None)
        if rival and len(_NON_ASCII.findall(data.decode())) < 4 and (other := _strictly(data, rival[1])) is not None:
            return other.encode(), rival[0]
        return data, "utf-8"
    text = data.decode("utf-8", "replace")
    beyond_ascii = len(_NON_ASCII.findall(text))
    if beyond_ascii - text.count("\ufffd") >= config.min_utf8_share * beyond_ascii:
        return data.decode("utf-8", _STRAY).encode(), "utf-8"
    worst = ""
    for name, codec in claims:
        if name.startswith("utf-"):
            continue
        text = data.decode(codec, "replace")
        if text.count("\ufffd") <= config.max_replacement_share * len(text):
            return text.encode(), name
        worst = worst or (name if name in _MULTI_BYTE else "")
    if worst:
        return Rejected("undecodable", f"said to be {worst}, and is neither that nor UTF-8")
    return data.decode("cp1252", "replace").encode(), "windows-1252"


def _claims(data: bytes, page: RawPage, config: CharsetConfig) -> list[tuple[str, str]]:
    """Encodings named by the HTTP header, the page and the crawler, in this order, the unknown left out."""
    header = _HEADER_CHARSET.search(page.content_type)
    start = data[: config.meta_prescan_bytes]
    meta = _XML_ENCODING.match(start) or _META_CHARSET.search(start)
    labels = (header[1] if header else "", meta[1].decode("ascii", "replace") if meta else "", page.identified_charset)
    found = [encoding for label in labels if label and (encoding := encoding_of(label))]
    return list(dict.fromkeys(found))


def _utf16(data: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark, told by the zero byte in each of the first characters, which are markup."""
    zeros = tuple(byte == 0 for byte in data[:4])
    if zeros == (False, True, False, True):
        return "utf-16le", "utf-16-le"
    return ("utf-16be", "utf-16-be") if zeros == (True, False, True, False) else None


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None
