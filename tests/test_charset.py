"""What encoding a page is read as, whatever it says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.extract.html.charset import CharsetConfig, decode_html, encoding_of
from pipelines.extract.page import HtmlPage
from pipelines.sources.records import RawPage
from schemas.document import Source
from schemas.rejection import Rejected

CONFIG = CharsetConfig(
    max_replacement_share=0.01,
    max_control_share=0.01,
    min_utf8_share=0.5,
    meta_prescan_bytes=1024,
    keep_truncated=False,
)
FRENCH = "<html><body><p>Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë</p></body></html>"
RUSSIAN = "<html><body><p>Съешь же ещё этих мягких французских булок да выпей чаю</p></body></html>"
JAPANESE = "<html><body><p>いろはにほへと ちりぬるを 我が世誰ぞ常ならむ</p></body></html>"
CHINESE = "<html><body><p>天地玄黄 宇宙洪荒 日月盈昃 辰宿列张</p></body></html>"
KOREAN = "<html><body><p>키스의 고유조건은 입술끼리 만나야 하고</p></body></html>"


def raw(body: bytes, header: str = "", identified: str = "", truncated: str = "") -> RawPage:
    content_type = f"text/html; charset={header}" if header else "text/html"
    return RawPage(
        url="http://example.com/",
        body=body,
        content_type=content_type,
        identified_charset=identified,
        source=Source(),
        truncated=truncated,
    )


def decoded(body: bytes, header: str = "", identified: str = "") -> tuple[str, str]:
    page = decode_html(raw(body, header, identified), CONFIG)
    assert isinstance(page, HtmlPage), page
    return page.html, page.charset


def reason(page: RawPage, config: CharsetConfig = CONFIG) -> str:
    found = decode_html(page, config)
    assert isinstance(found, Rejected), found
    return found.reason


def with_meta(charset: str, text: str) -> str:
    return text.replace("<html>", f'<html><head><meta charset="{charset}"></head>')


@pytest.mark.parametrize(
    ("text", "codec", "label", "charset"),
    [
        (FRENCH, "utf-8", "utf-8", "utf-8"),
        (FRENCH, "cp1252", "latin1", "windows-1252"),
        (FRENCH, "iso8859_15", "ISO-8859-15", "iso-8859-15"),
        (RUSSIAN, "cp1251", "windows-1251", "windows-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R", "koi8-r"),
        (JAPANESE, "cp932", "Shift_JIS", "shift_jis"),
        (JAPANESE, "euc_jp", "x-euc-jp", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", "iso-2022-jp"),
        (CHINESE, "gb2312", "gb2312", "gbk"),
        (CHINESE.replace("张", "張"), "gbk", "gb2312", "gbk"),
        (CHINESE.replace("张", "張").replace("黄", "黃"), "big5", "big5", "big5"),
        (KOREAN, "cp949", "ks_c_5601-1987", "euc-kr"),
    ],
)
def test_header_meta_and_crawler_are_believed(text: str, codec: str, label: str, charset: str) -> None:
    assert decoded(text.encode(codec), header=label) == (text, charset)
    assert decoded(text.encode(codec), identified=label) == (text, charset)
    meta = with_meta(label, text)
    assert decoded(meta.encode(codec)) == (meta, charset)
    legacy = text.replace("<html>", f"<html><meta http-equiv=content-type content='text/html; charset={label}'>")
    assert decoded(legacy.encode(codec)) == (legacy, charset)


def test_order_of_claims() -> None:
    meta = with_meta("koi8-r", RUSSIAN)
    assert decoded(meta.encode("cp1251"), header="windows-1251", identified="koi8-r") == (meta, "windows-1251")
    meta = with_meta("windows-1251", RUSSIAN)
    assert decoded(meta.encode("cp1251"), header="no-such-charset", identified="koi8-r") == (meta, "windows-1251")
    marked = b"\xef\xbb\xbf" + meta.encode()
    assert decoded(marked, header="windows-1251") == (meta, "utf-8")


@pytest.mark.parametrize(("mark", "codec"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_utf16(mark: bytes, codec: str) -> None:
    name = codec.replace("-le", "le").replace("-be", "be")
    assert decoded(mark + RUSSIAN.encode(codec), header="utf-8") == (RUSSIAN, name)
    assert decoded(RUSSIAN.encode(codec), header="utf-16") == (RUSSIAN, name)
    assert decoded(FRENCH.encode(codec)) == (FRENCH, name)


def test_lies_are_found_out() -> None:
    assert decoded(FRENCH.encode("cp1252"), header="utf-8") == (FRENCH, "windows-1252")
    for lie in ("latin1", "windows-1251", "gbk", "shift_jis", "utf-16"):
        assert decoded(RUSSIAN.encode(), header=lie) == (RUSSIAN, "utf-8")
    meta = with_meta("windows-1251", RUSSIAN)
    assert decoded(meta.encode("cp1251"), header="utf-8") == (meta, "windows-1251")
    meta = with_meta("utf-16", FRENCH)
    assert decoded(meta.encode()) == (meta, "utf-8")
    assert decoded(FRENCH.encode("cp1252")) == (FRENCH, "windows-1252")
    # Two Chinese characters in GBK that happen to be valid UTF-8.
    assert decoded("<p>联通".encode("gbk"), header="gbk") == ("<p>联通", "gbk")


def test_stray_windows_1252_in_utf8() -> None:
    body = FRENCH.encode() + "<p>\x93quoted\x94 caf\xe9".encode("latin-1")
    assert decoded(body, header="utf-8") == (FRENCH + "<p>“quoted” café", "utf-8")
    assert decoded(b"\xef\xbb\xbf" + body) == (FRENCH + "<p>“quoted” café", "utf-8")


def test_meta_is_looked_for_only_near_the_start() -> None:
    late = "<html>" + " " * 2000 + with_meta("windows-1251", RUSSIAN)
    assert decoded(late.encode("cp1251"))[1] == "windows-1252"
    wide = replace(CONFIG, meta_prescan_bytes=4096)
    page = decode_html(raw(late.encode("cp1251")), wide)
    assert isinstance(page, HtmlPage)
    assert (page.html, page.charset) == (late, "windows-1251")


def test_plain_ascii_needs_no_claim() -> None:
    assert decoded(b"<p>plain", header="x-unknown") == ("<p>plain", "utf-8")


def test_rejections() -> None:
    noise = bytes((n * n * 7919 + n) % 256 for n in range(5000))
    assert reason(raw(b"\0\1\2\3" * 50 + b"<p>x")) == "binary"
    assert reason(raw(noise, "utf-8")) == "binary"
    assert reason(raw(b"\xff\xfe" + b"\x00\xd8" * 500)) == "undecodable"
    assert reason(raw(b"<p>" + b"\x81 \xff\xff " * 100, "shift_jis")) == "undecodable"
    assert reason(raw("\ufffd some words".encode(), "utf-8")) == "undecodable"
    assert reason(raw(b"<p>", truncated="length")) == "truncated_page"


def test_limits_are_the_recipes() -> None:
    kept = decode_html(raw(b"<p>", truncated="length"), replace(CONFIG, keep_truncated=True))
    assert isinstance(kept, HtmlPage)
    assert kept.truncated == "length"
    found = decode_html(raw("\ufffd some words".encode()), replace(CONFIG, max_replacement_share=0.5))
    assert isinstance(found, HtmlPage)
    found = decode_html(raw(b"\0<p>a few words\0"), replace(CONFIG, max_control_share=0.5))
    assert isinstance(found, HtmlPage)
    assert found.html == "<p>a few words"
    for name in ("max_replacement_share", "max_control_share", "min_utf8_share"):
        with pytest.raises(ValueError, match=name):
            replace(CONFIG, **{name: 1.5})
    with pytest.raises(ValueError, match="meta_prescan_bytes"):
        replace(CONFIG, meta_prescan_bytes=0)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Latin1", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("iso8859-1", "windows-1252"),
        ("iso88591", "windows-1252"),
        ("cp819", "windows-1252"),
        ("l5", "windows-1254"),
        ("iso-8859-11", "windows-874"),
        ("TIS-620", "windows-874"),
        ("gb_2312-80", "gbk"),
        ("x-gbk", "gbk"),
        ("GB18030", "gb18030"),
        ("x-sjis", "shift_jis"),
        ("MS_Kanji", "shift_jis"),
        ("windows-31j", "shift_jis"),
        ("ks_c_5601-1987", "euc-kr"),
        ("windows-949", "euc-kr"),
        ("Big5-HKSCS", "big5"),
        ("visual", "iso-8859-8"),
        ("x-cp1251", "windows-1251"),
        ("unicode-1-1-utf-8", "utf-8"),
        (" 'UTF8' ", "utf-8"),
        ("unicodeFFFE", "utf-16be"),
    ],
)
def test_labels_of_the_standard(label: str, name: str) -> None:
    encoding = encoding_of(label)
    assert encoding is not None
    assert encoding[0] == name


@pytest.mark.parametrize(
    "label", ["", "none", "rot13", "base64", "idna", "utf-7", "unicode_escape", "a\0b", "x" * 999, "é"]
)
def test_labels_that_name_nothing(label: str) -> None:
    assert encoding_of(label) is None


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffd")),
    st.sampled_from(["", "utf-8", "latin1", "koi8-r"]),
)
def test_utf8_is_always_read_as_itself(text: str, header: str) -> None:
    assert decoded(("<p>" + text).encode(), header=header) == ("<p>" + text, "utf-8")


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "utf-8", "latin1", "gbk", "shift_jis", "utf-16", "iso-2022-jp", "big5"]),
)
def test_no_bytes_raise(body: bytes, header: str) -> None:
    assert isinstance(decode_html(raw(body, header), CONFIG), HtmlPage | Rejected)
