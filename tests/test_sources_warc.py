"""What becomes of each kind of record, and of each kind of damage, in a WARC file."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.records import RawMedia, RawPage, Unreadable
from pipelines.sources.warc import read_record_body
from pipelines.sources.warc_frames import Lookahead, frames
from tests.warc_files import (
    CONFIG,
    OK,
    PNG,
    by_warcio,
    member,
    only,
    outcome,
    outcomes,
    page,
    read_bytes,
    record,
    response,
)

HTML = page("hello")
TYPE = "Content-Type: text/html"


def one(folder: Path, data: bytes) -> RawPage | RawMedia | Unreadable:
    """The same record compressed and not must come out the same."""
    packed = only(read_bytes(folder, member(data)))
    plain = only(read_bytes(folder, data, "a.warc"))
    assert outcome(packed) == outcome(plain)
    return packed


def reason(folder: Path, data: bytes) -> str:
    found = one(folder, data)
    assert isinstance(found, Unreadable), found
    return found.rejected.reason


def body(folder: Path, data: bytes) -> bytes:
    found = one(folder, data)
    assert isinstance(found, RawPage), found
    return found.body


def truncated(folder: Path, data: bytes) -> str:
    found = one(folder, data)
    assert isinstance(found, RawPage), found
    return found.truncated


def good(number: int) -> bytes:
    return record(OK + page(f"good {number}"), url=f"http://example.com/{number}")


# What a page carries


def test_page_fields(tmp_path: Path) -> None:
    data = response(
        HTML,
        "Content-Type: text/html; charset=latin-1",
        "X-Robots-Tag: noai",
        "X-ROBOTS-TAG: noindex",
        url="<http://example.com/a>",
        extra=("WARC-Identified-Content-Charset: ISO-8859-1", "WARC-Truncated: length"),
    )
    found = only(read_bytes(tmp_path, b"".join((member(good(1)), member(data))))[1:])
    assert isinstance(found, RawPage)
    assert (found.url, found.body) == ("http://example.com/a", HTML)
    assert found.content_type == "text/html; charset=latin-1"
    assert found.identified_charset == "ISO-8859-1"
    assert found.headers["x-robots-tag"] == ["noai", "noindex"]
    assert found.truncated == "length"
    assert found.source.file == "a.warc.gz"
    assert (found.source.offset, found.source.length) == (len(member(good(1))), len(member(data)))
    assert found.source.date == "2024-05-06T07:08:09Z"


def test_warcio_files_compressed_and_plain_give_the_same(tmp_path: Path) -> None:
    packed = read_bytes(tmp_path, by_warcio(compressed=True))
    plain = read_bytes(tmp_path, by_warcio(compressed=False), "a.warc")
    assert outcomes(packed) == outcomes(plain)
    assert [r.body for r in packed if isinstance(r, RawPage)] == [r.body for r in plain if isinstance(r, RawPage)]


def test_name_may_lie_about_compression(tmp_path: Path) -> None:
    assert outcomes(read_bytes(tmp_path, good(1) + good(2), "plain.warc.gz")) == [
        "page http://example.com/1",
        "page http://example.com/2",
    ]
    assert outcomes(read_bytes(tmp_path, member(good(1)), "packed.warc")) == ["page http://example.com/1"]


def test_zstd(tmp_path: Path) -> None:
    packed = b"".join(zstandard.compress(good(number)) for number in range(3))
    assert outcomes(read_bytes(tmp_path, packed, "a.warc.zst")) == [f"page http://example.com/{n}" for n in range(3)]
    broken = outcomes(read_bytes(tmp_path, packed[:-20], "a.warc.zst"))
    assert broken == ["page http://example.com/0", "page http://example.com/1", "corrupt_member"]
    broken = outcomes(read_bytes(tmp_path, packed + b"garbage", "a.warc.zst"))
    assert broken == [*(f"page http://example.com/{n}" for n in range(3)), "corrupt_member"]


def test_zstd_with_a_dictionary(tmp_path: Path) -> None:
    trained = zstandard.train_dictionary(2000, [good(number) for number in range(500)])
    packed = b"".join(zstandard.ZstdCompressor(dict_data=trained).compress(good(number)) for number in range(3))
    for stored in (trained.as_bytes(), zstandard.compress(trained.as_bytes())):
        frame = b"\x5d\x2a\x4d\x18" + len(stored).to_bytes(4, "little") + stored
        found = outcomes(read_bytes(tmp_path, frame + packed, "a.warc.zst"))
        assert found == [f"page http://example.com/{n}" for n in range(3)]


# Records that are no page


@pytest.mark.parametrize("kind", ["request", "metadata", "warcinfo", "revisit"])
def test_kinds_of_their_own(tmp_path: Path, kind: str) -> None:
    assert reason(tmp_path, record(b"a: b", kind=kind)) == kind


def test_other_records(tmp_path: Path) -> None:
    assert reason(tmp_path, record(b"text", kind="conversion")) == "other_record_type"
    assert reason(tmp_path, record(b"text", kind="homemade")) == "other_record_type"
    assert reason(tmp_path, record(b"1.2.3.4", url="dns:example.com", content_type="text/dns")) == "other_record_type"
    assert reason(tmp_path, record(HTML, url="urn:x", kind="resource", content_type="text/html")) == "other_record_type"
    assert reason(tmp_path, record(b"{}", kind="resource", content_type="application/json")) == "not_html"


@pytest.mark.parametrize("status", ["301 Moved", "404 Not Found", "500", "304 Not Modified", "999 "])
def test_http_error_status(tmp_path: Path, status: str) -> None:
    found = one(tmp_path, response(HTML, TYPE, status=f"HTTP/1.1 {status}"))
    assert isinstance(found, Unreadable)
    assert (found.rejected.reason, found.rejected.detail) == ("http_error_status", status[:3])


def test_bad_http(tmp_path: Path) -> None:
    assert reason(tmp_path, record(HTML)) == "bad_http"
    assert reason(tmp_path, record(b"")) == "bad_http"
    assert reason(tmp_path, response(HTML, TYPE, status="HTTP/1.1 OK")) == "bad_http"
    assert reason(tmp_path, response(HTML, TYPE, status="ICY 200 OK")) == "bad_http"


def test_empty_body(tmp_path: Path) -> None:
    assert reason(tmp_path, response(b"", TYPE)) == "empty_body"
    assert reason(tmp_path, response(b" \r\n ", TYPE)) == "empty_body"
    assert reason(tmp_path, response(gzip.compress(b""), TYPE, "Content-Encoding: gzip")) == "empty_body"


def test_missing_url(tmp_path: Path) -> None:
    assert reason(tmp_path, good(1).replace(b"WARC-Target-URI: http://example.com/1\r\n", b"")) == "missing_url"


def test_type_by_crawler_then_header_then_bytes(tmp_path: Path) -> None:
    identified = "WARC-Identified-Payload-Type: {}".format
    assert one(tmp_path, response(HTML, "Content-Type: text/plain", extra=[identified("text/html")]))
    assert body(tmp_path, response(HTML, "Content-Type: text/plain", extra=[identified("text/html")])) == HTML
    assert reason(tmp_path, response(HTML, TYPE, extra=[identified("text/plain")])) == "not_html"
    assert body(tmp_path, response(HTML, "Content-Type: application/xhtml+xml; charset=x")) == HTML
    assert reason(tmp_path, response(HTML, "Content-Type: text/plain")) == "not_html"
    assert reason(tmp_path, response(b"{}", "Content-Type: application/json")) == "not_html"
    assert body(tmp_path, response(HTML)) == HTML
    assert body(tmp_path, response(HTML, "Content-Type: nonsense")) == HTML
    assert body(tmp_path, response(b"\n<!-- x --> <html lang=en>", "Content-Type: application/octet-stream"))
    assert reason(tmp_path, response(b"just words")) == "not_html"
    assert reason(tmp_path, response(b"%PDF-1.4 ...", TYPE)) == "not_html"
    assert reason(tmp_path, response(HTML, "Content-Type: image/jpeg")) == "not_html"


def test_images(tmp_path: Path) -> None:
    for data in (
        response(PNG, "Content-Type: image/png"),
        response(PNG, TYPE),
        response(PNG),
        response(b"unknown to us", "Content-Type: image/x-new"),
        record(PNG, kind="resource", content_type="image/png"),
    ):
        assert outcome(one(tmp_path, data)) == "image http://example.com/"


# HTTP trouble


def zlib_raw(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("gzip", gzip.compress(HTML)),
        ("x-gzip", gzip.compress(HTML)),
        ("GZIP", gzip.compress(HTML)),
        ("deflate", zlib.compress(HTML)),
        ("deflate", zlib_raw(HTML)),
        ("br", brotli.compress(HTML)),
        ("zstd", zstandard.compress(HTML)),
        ("gzip, br", brotli.compress(gzip.compress(HTML))),
        ("identity", HTML),
        ("utf-8", HTML),
        ("gzip", HTML),  # already undone, header kept
        ("br", HTML),
        ("deflate", HTML),
        ("zstd", HTML),
        ("gzip", b"some text, then <b>markup</b>"),
    ],
)
def test_content_encodings(tmp_path: Path, name: str, encoded: bytes) -> None:
    found = one(tmp_path, response(encoded, TYPE, f"Content-Encoding: {name}"))
    assert isinstance(found, RawPage)
    assert found.body == (HTML if b"then" not in encoded else encoded)
    assert found.truncated == ""


def test_encoded_body_without_the_header(tmp_path: Path) -> None:
    assert body(tmp_path, response(gzip.compress(HTML), TYPE)) == HTML
    kept = "X-Crawl-Content-Encoding: gzip"
    assert body(tmp_path, response(HTML, TYPE, kept)) == HTML
    assert body(tmp_path, response(gzip.compress(HTML), TYPE, kept)) == HTML


@pytest.mark.parametrize(
    ("name", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress)]
)
def test_cut_off_encodings_give_their_beginning(tmp_path: Path, name: str, encode: object) -> None:
    chance = Random(0)
    text = page("".join(chance.choices("abcdefghij klmnop", k=30_000)))
    cut = encode(text)[:-2000]  # type: ignore[operator]
    data = response(cut, TYPE, f"Content-Encoding: {name}")
    assert text.startswith(body(tmp_path, data))
    assert len(body(tmp_path, data)) > 10_000
    assert truncated(tmp_path, data) == "bad_content_encoding"


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bodies_that_are_not_what_they_say(tmp_path: Path, name: str) -> None:
    noise = bytes((n * n * 7919 + n) % 256 for n in range(1000))
    assert reason(tmp_path, response(b"\x00\x01" + noise, TYPE, f"Content-Encoding: {name}")) == "bad_content_encoding"


def test_http_bombs_are_refused(tmp_path: Path) -> None:
    zeros = b"<html>" + bytes(CONFIG.max_body_bytes)
    for name, encode in (
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
    ):
        assert reason(tmp_path, response(encode(zeros), TYPE, f"Content-Encoding: {name}")) == "too_large"  # type: ignore[operator]
    assert reason(tmp_path, response(b"x", TYPE, "Content-Encoding: " + "gzip, " * 9)) == "bad_content_encoding"


CHUNKED = "Transfer-Encoding: chunked"


def chunks(data: bytes, size: int = 20) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_chunked(tmp_path: Path) -> None:
    assert body(tmp_path, response(chunks(HTML), TYPE, CHUNKED)) == HTML
    assert body(tmp_path, response(chunks(HTML).replace(b"\r\n", b";ext=1\r\n", 1), TYPE, CHUNKED)) == HTML
    assert body(tmp_path, response(chunks(HTML), TYPE)) == HTML  # header lost
    assert body(tmp_path, response(HTML, TYPE, CHUNKED)) == HTML  # chunks undone, header kept
    assert body(tmp_path, response(HTML, TYPE, "X-Crawl-Transfer-Encoding: chunked")) == HTML
    packed = response(chunks(gzip.compress(HTML)), TYPE, CHUNKED, "Content-Encoding: gzip")
    assert body(tmp_path, packed) == HTML
    assert truncated(tmp_path, packed) == ""


def test_a_page_that_begins_with_a_number_is_not_cut_to_pieces(tmp_path: Path) -> None:
    text = b"99999\r\n" + HTML
    assert body(tmp_path, response(text, TYPE, CHUNKED)) == text
    assert body(tmp_path, response(text, TYPE)) == text


def test_bad_chunks_give_their_beginning(tmp_path: Path) -> None:
    data = response(chunks(HTML)[:-30], TYPE, CHUNKED)
    assert HTML.startswith(body(tmp_path, data))
    assert truncated(tmp_path, data) == "bad_chunking"
    broken = chunks(HTML, 40).replace(b"\r\n28\r\n", b"\r\nzz\r\n", 1)
    assert body(tmp_path, response(broken, TYPE, CHUNKED)) == HTML[:40]
    assert truncated(tmp_path, response(broken, TYPE, CHUNKED)) == "bad_chunking"


def test_http_headers_in_the_wild(tmp_path: Path) -> None:
    for length in (0, 5, 10**9):
        assert body(tmp_path, response(HTML, TYPE, f"Content-Length: {length}")) == HTML
    for status in ("HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/2 200", "HTTP/1.0 203 x"):
        assert body(tmp_path, response(HTML, TYPE, status=status)) == HTML
    assert body(tmp_path, record(b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n" + HTML)) == HTML
    assert body(tmp_path, response(HTML, TYPE, "no colon in here", "X: y")) == HTML
    found = one(tmp_path, response(HTML, TYPE, "X-Na\xefve: caf\xe9"))
    assert isinstance(found, RawPage)
    assert found.headers["x-na\xefve"] == ["caf\xe9"]
    assert truncated(tmp_path, response(HTML, TYPE, status="HTTP/1.1 206 Partial Content")) == "partial_content"
    assert truncated(tmp_path, response(HTML, TYPE, extra=["WARC-Segment-Number: 1"])) == "segmented"


def test_long_headers(tmp_path: Path) -> None:
    url = "http://example.com/" + "a" * 50_000
    assert outcome(one(tmp_path, record(OK + HTML, url=url))) == f"page {url}"
    assert body(tmp_path, response(HTML, TYPE, "X: " + "a" * 50_000)) == HTML


# Damage: one refusal each, and nothing behind it is lost


def damaged(folder: Path, broken: bytes, name: str = "a.warc.gz") -> list[str]:
    wrap = member if name.endswith(".gz") else bytes
    return outcomes(read_bytes(folder, wrap(good(1)) + broken + wrap(good(2)), name))


AROUND = ("page http://example.com/1", "page http://example.com/2")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(member(good(9))[:-8] + b"\0\0\0\0" + member(good(9))[-4:], id="checksum"),
        pytest.param(member(good(9))[:-4] + b"\0\0\0\0", id="size"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(bytes(100_000), id="zeros"),
        pytest.param(member(good(9))[:60], id="cut in the header"),
        pytest.param(member(good(9))[:-30], id="cut in the data"),
        pytest.param(member(good(9))[40:], id="without its beginning"),
        pytest.param(member(good(9))[:100] + b"\xff" * 9 + member(good(9))[109:], id="flipped"),
        pytest.param(member(b"no record at all"), id="no record"),
        pytest.param(member(record(OK + HTML, length=9999)), id="length too large"),
        pytest.param(member(record(OK + HTML, length=60)), id="length too small"),
        pytest.param(member(good(9).replace(b"Content-Length", b"Content-Breadth")), id="no length"),
    ],
)
def test_corrupt_members(tmp_path: Path, broken: bytes) -> None:
    found = damaged(tmp_path, broken)
    assert found[:1] + found[2:] == list(AROUND)
    assert found[1] in ("corrupt_member", "truncated_member")


def test_empty_members_are_no_records(tmp_path: Path) -> None:
    assert damaged(tmp_path, member(b"") + member(b"\r\n\r\n")) == list(AROUND)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"garbage\r\n\r\n", id="garbage"),
        pytest.param(good(9)[:100] + b"\r\n\r\n", id="cut in the header"),
        pytest.param(record(OK + HTML, length=60), id="length too small"),
        pytest.param(record(OK + HTML, length=9999), id="length beyond the end"),
        pytest.param(record(OK + HTML, length=len(OK + HTML) + 50), id="length into the next"),
        pytest.param(record(OK + HTML, length=10**12), id="length absurd"),
        pytest.param(record(OK + HTML, length=CONFIG.max_body_bytes + 1), id="length above the cap"),
    ],
)
def test_corrupt_parts_of_a_plain_file(tmp_path: Path, broken: bytes) -> None:
    assert damaged(tmp_path, broken, "a.warc") == [AROUND[0], "corrupt_member", AROUND[1]]


def test_truncated_at_the_end(tmp_path: Path) -> None:
    last = member(good(2))
    for cut in range(11, len(last)):
        assert outcomes(read_bytes(tmp_path, member(good(1)) + last[:cut])) == [AROUND[0], "truncated_member"], cut
    plain = good(2)
    for cut in range(11, len(plain) - 4):
        found = outcomes(read_bytes(tmp_path, good(1) + plain[:cut], "a.warc"))
        assert found == [AROUND[0], "truncated_member"], cut


def test_missing_line_ends_between_records(tmp_path: Path) -> None:
    assert outcomes(read_bytes(tmp_path, good(1)[:-4] + good(2)[:-2], "a.warc")) == list(AROUND)
    assert outcomes(read_bytes(tmp_path, member(good(1)[:-4]) + member(good(2)[:-2]))) == list(AROUND)


def test_too_large_bodies(tmp_path: Path) -> None:
    large = record(OK + HTML + b" " * CONFIG.max_body_bytes)
    assert damaged(tmp_path, member(large)) == [AROUND[0], "too_large", AROUND[1]]
    assert damaged(tmp_path, large, "a.warc") == [AROUND[0], "too_large", AROUND[1]]
    assert damaged(tmp_path, member(good(3) + large + good(4))) == [
        AROUND[0],
        "page http://example.com/3",
        "too_large",
        "page http://example.com/4",
        AROUND[1],
    ]


@pytest.mark.parametrize("declared", [10**12, 100])
def test_gzip_bomb_is_refused_in_bounded_memory(tmp_path: Path, declared: int) -> None:
    engine = zlib.compressobj(1, wbits=31)
    bomb = engine.compress(record(OK, length=declared)[:-4])
    bomb += b"".join(engine.compress(bytes(1 << 20)) for _ in range(1 << 8)) + engine.flush()
    tracemalloc.start()
    try:
        found = damaged(tmp_path, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [AROUND[0], "too_large" if declared > 100 else "corrupt_member", AROUND[1]]
    assert peak < 30_000_000  # of the 256 MiB in the bomb


def test_empty_file(tmp_path: Path) -> None:
    assert outcomes(read_bytes(tmp_path, b"")) == ["empty_file"]
    assert outcomes(read_bytes(tmp_path, b"", "a.warc")) == ["empty_file"]


def test_no_warc_at_all(tmp_path: Path) -> None:
    assert outcomes(read_bytes(tmp_path, HTML * 100)) == ["corrupt_member"]
    assert outcomes(read_bytes(tmp_path, HTML * 100, "a.warc")) == ["corrupt_member"]


def test_any_flipped_byte_costs_one_record(tmp_path: Path) -> None:
    """At whatever place of a member: never a traceback, never the neighbours, never two of it."""
    data = bytearray(member(good(9)))
    for place in range(len(data)):
        broken = bytes(data[:place]) + bytes([data[place] ^ 0x55]) + bytes(data[place + 1 :])
        found = damaged(tmp_path, broken)
        assert found[0] == AROUND[0], place
        assert found[-1] == AROUND[1], place
        assert len(found) == 3, (place, found)


def test_records_before_the_damage_of_a_shared_member_are_kept(tmp_path: Path) -> None:
    chance = Random(0)
    many = [record(OK + page(chance.randbytes(20_000).hex()), url=f"http://example.com/{n}") for n in range(20)]
    found = outcomes(read_bytes(tmp_path, member(b"".join(many))[:-100_000] + member(good(2))))
    kept = len(found) - 2
    assert 10 < kept < 20
    assert found == [*(f"page http://example.com/{n}" for n in range(kept)), "corrupt_member", AROUND[1]]


@given(
    st.lists(
        st.sampled_from(
            [
                good(1),
                record(OK + b"x" * 300),
                record(OK + HTML, length=9999),
                record(OK + HTML, length=400),
                record(OK + HTML, length=10),
                record(OK + HTML + b"\r\n\r\n" + HTML, length=len(OK + HTML)),
                good(9)[:100] + b"\r\n\r\n",
                b"garbage",
                b"\r\n" * 20,
            ]
        ),
        max_size=40,
    ),
    st.sampled_from([1, 2, 3, 7, 50, 1000]),
)
def test_records_are_the_same_however_the_bytes_arrive(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    assert list(frames(Lookahead(pieces), 600, 10**6)) == list(frames(Lookahead(iter([data])), 600, 10**6))


def test_search_for_the_next_record_over_long_damage() -> None:
    for length in range((1 << 17) - 40, (1 << 17) + 4):
        data = b"g" * length + b"\r\n\r\n" + good(2)
        pieces = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]
        found = list(frames(Lookahead(iter(pieces)), 600, 10**7))
        assert [frame.refused.reason if frame.refused else "" for frame in found] == ["corrupt_member", ""], length


def test_record_inside_a_body_of_false_length_is_found_though_the_bytes_were_passed() -> None:
    data = record(OK + b"x" * 5000 + b"\r\n\r\n" + good(1), length=len(OK) + 5100)
    end = data.index(b"\r\n\r\n") + 4 + len(OK) + 5100
    found = list(frames(Lookahead(iter([data[:end], data[end:]])), 10**6, 10**6))
    assert [frame.refused.reason if frame.refused else "" for frame in found] == ["corrupt_member", ""]
    assert found[1].data == good(1)[:-4]


def test_damage_in_the_stream_costs_only_the_record_it_stands_in() -> None:
    def pieces() -> Iterator[bytes]:
        yield good(1) + good(2) + good(3)[:50]
        raise zlib.error("broken")

    found = []
    with pytest.raises(zlib.error):
        for frame in frames(Lookahead(pieces()), 600, 10**6):
            found += [frame.data]
    assert found == [good(1)[:-4], good(2)[:-4]]


# Reading an image back


def test_read_record_body(tmp_path: Path) -> None:
    for name, wrap in (("a.warc.gz", member), ("a.warc", bytes)):
        for data in (
            response(PNG, "Content-Type: image/png"),
            response(chunks(PNG), "Content-Type: image/png", CHUNKED),
            response(gzip.compress(PNG), "Content-Type: image/png", "Content-Encoding: gzip"),
            record(PNG, kind="resource", content_type="image/png"),
        ):
            found = read_bytes(tmp_path, wrap(good(1)) + wrap(data) + wrap(good(2)), name)[1]
            assert isinstance(found, RawMedia)
            place = found.source
            path = str(tmp_path / place.file)
            assert read_record_body(path, place.offset, place.length, 1 << 20) == PNG
            with pytest.raises(ValueError, match=r"allowed|more than|too_large"):
                read_record_body(path, place.offset, place.length, 20)
            with pytest.raises(ValueError, match="the record at"):
                read_record_body(path, place.offset + 1, place.length, 1 << 20)
            with pytest.raises(EOFError):
                read_record_body(path, place.offset, 1 << 17, 1 << 20)


def test_images_that_share_a_member_cannot_be_addressed(tmp_path: Path) -> None:
    data = member(good(1) + response(PNG, "Content-Type: image/png") + good(2))
    assert outcomes(read_bytes(tmp_path, data)) == [AROUND[0], "not_addressable", AROUND[1]]


def test_reader_settings_are_checked() -> None:
    for name in ("range_bytes", "html_files_per_unit", "max_body_bytes", "max_skip_bytes"):
        with pytest.raises(ValueError, match=name):
            replace(CONFIG, **{name: 0})
    with pytest.raises(ValueError, match="url_column"):
        replace(CONFIG, url_column="")
