from dataclasses import replace

import pytest
from extract_page import EXTRACT, FULL, document, image
from hypothesis import given
from hypothesis import strategies as st

from pipelines.extract.html.address import resolve_url
from pipelines.extract.pictures.image_address import Candidate, is_placeholder, media_matches, parse_srcset

BASE = "https://h.example/dir/page.html?q=1#top"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a.png", "https://h.example/dir/a.png"),
        ("../a.png", "https://h.example/a.png"),
        ("../../../a.png", "https://h.example/a.png"),
        ("./x/../a.png", "https://h.example/dir/a.png"),
        ("/a.png", "https://h.example/a.png"),
        ("//cdn.example/a.png", "https://cdn.example/a.png"),
        ("///cdn.example/a.png", "https://cdn.example/a.png"),
        ("\\\\cdn.example\\a.png", "https://cdn.example/a.png"),
        ("img\\a.png?b=\\c", "https://h.example/dir/img/a.png?b=\\c"),
        ("?size=2", "https://h.example/dir/page.html?size=2"),
        (" \t\n a.png \r\n", "https://h.example/dir/a.png"),
        ("a\n.p\tng", "https://h.example/dir/a.png"),
        ("HTTP://cdn.example/a.png", "http://cdn.example/a.png"),
        ("https:a.png", "https://h.example/dir/a.png"),
        ("https:/a.png", "https://a.png/"),
        ("http:cdn.example/a.png", "http://cdn.example/a.png"),
        ("a.png#x", "https://h.example/dir/a.png"),
        ("a b.png", "https://h.example/dir/a%20b.png"),
        ("a%20b.png", "https://h.example/dir/a%20b.png"),
        ("caf\u00e9.png", "https://h.example/dir/caf%C3%A9.png"),
        ("//b\u00fccher.example/a.png", "https://xn--bcher-kva.example/a.png"),
        ("a,b;c.png", "https://h.example/dir/a,b;c.png"),
        ("//cdn.example:8080", "https://cdn.example:8080/"),
        ("", ""),
        ("data:image/png;base64,AAAA", ""),
        ("javascript:alert(1)", ""),
        ("ftp://h.example/a.png", ""),
        ("blob:https://h.example/1", ""),
        ("file:///etc/passwd", ""),
        ("http://", ""),
        ("http://[::1/a.png", ""),
        ("http://a b/c.png", ""),
        ("http://a\x05b/c.png", ""),
        ("http://u\x7f@a/c.png", ""),
    ],
)
def test_addresses_are_joined_as_a_browser_does(raw: str, expected: str) -> None:
    assert resolve_url(BASE, raw) == expected


@given(st.text(max_size=60))
def test_an_address_is_http_or_nothing_and_stays_what_it_is(raw: str) -> None:
    address = resolve_url(BASE, raw)
    assert address == "" or address.startswith(("https://", "http://"))
    assert resolve_url(BASE, address) == address
    assert address.isascii()


@given(st.text(alphabet="/ab.?;#%:@ \\-~\u00e9\t'\"[]{}|", max_size=12))
def test_addresses_from_the_root_of_a_site_need_no_joining(raw: str) -> None:
    """They take a shorter way, but not with a host in capitals."""
    joined = resolve_url(BASE.replace("h.example", "H.example"), f"/{raw}")
    assert resolve_url(BASE, f"/{raw}") == joined.replace("H.example", "h.example")


def test_srcset_with_commas_in_addresses() -> None:
    assert parse_srcset("https://h/c_fill,w_320/a.jpg 320w, https://h/c_fill,w_640/a.jpg 640w") == [
        Candidate("https://h/c_fill,w_320/a.jpg", 320, 1),
        Candidate("https://h/c_fill,w_640/a.jpg", 640, 1),
    ]
    assert parse_srcset("a.jpg, b.jpg 2x,,c.jpg 1.5x , d.jpg 9q") == [
        Candidate("a.jpg", 0, 1),
        Candidate("b.jpg", 0, 2),
        Candidate("c.jpg", 0, 1.5),
    ]
    assert parse_srcset("a.jpg 100w 50h") == [Candidate("a.jpg", 100, 1)]
    assert parse_srcset(" , ,") == []


@given(st.lists(st.tuples(st.from_regex(r"[a-z/.][a-z/.,_]{0,20}[a-z]", fullmatch=True), st.integers(1, 9999))))
def test_srcset_is_read_as_written(entries: list[tuple[str, int]]) -> None:
    value = ", ".join(f"{address} {width}w" for address, width in entries)
    assert parse_srcset(value) == [Candidate(address, width, 1) for address, width in entries]


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("", True),
        ("all", True),
        ("screen and (min-width: 800px)", True),
        ("(min-width: 1281px)", False),
        ("(max-width: 1280px)", True),
        ("(max-width: 40em)", False),
        ("(min-width: 40em) and (max-width: 100em)", True),
        ("(max-width: 600px), (min-width: 1000px)", True),
        ("(width >= 900px)", True),
        ("(prefers-color-scheme: dark)", False),
        ("(prefers-color-scheme: light)", True),
        ("(-webkit-min-device-pixel-ratio: 2)", False),
        ("print", False),
        ("(orientation: portrait)", False),
    ],
)
def test_media_queries_for_a_desktop_window(query: str, matches: bool) -> None:
    assert media_matches(query, EXTRACT) is matches


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="a.jpg">', "a.jpg"),
        ('<IMG SRC=a.jpg>', "a.jpg"),
        ('<img src="a.jpg" srcset="b.jpg 800w, c.jpg 1600w, d.jpg 3200w">', "c.jpg"),
        ('<img src="a.jpg" srcset="d.jpg 3200w, e.jpg 2400w">', "e.jpg"),
        ('<img src="a.jpg" srcset="b.jpg 2x">', "b.jpg"),
        ('<img src="a.jpg" srcset="a.jpg 1x, b.jpg 2x, c.jpg 4x" width="500">', "b.jpg"),
        ('<img srcset="data:image/gif;base64,R0lGOD 1x" src="a.jpg">', "a.jpg"),
        ('<img src="data:image/gif;base64,R0lGOD" data-src="a.jpg">', "a.jpg"),
        ('<img src="/img/blank.gif" data-original="a.jpg">', "a.jpg"),
        ('<img src="1x1.png" data-lazy-src="a.jpg">', "a.jpg"),
        ('<img src="spacer.gif" data-lazyload="a.jpg">', "a.jpg"),
        ('<img src="loading-spinner.svg" data-lazy="a.jpg">', "a.jpg"),
        ('<img data-srcset="a.jpg 300w, b.jpg 900w" src="data:,">', "b.jpg"),
        ('<img data-src="{{ template }}" src="a.jpg">', "a.jpg"),
        ('<img data-src="true" src="a.jpg">', "a.jpg"),
        ('<img src="blank.gif" srcset="a.jpg 2x">', "a.jpg"),
        ('<img src="blank-canvas-tents-of-the-north-festival.jpg">', "blank-canvas-tents-of-the-north-festival.jpg"),
        ('<amp-img src="a.jpg" width="10" height="10"></amp-img>', "a.jpg"),
        ('<picture><source type="image/jxl" srcset="x.jxl"><source type="image/webp" srcset="b.webp">'
         '<img src="a.jpg"></picture>', "b.webp"),
        ('<picture><source media="(max-width: 600px)" srcset="small.jpg"><img src="a.jpg"></picture>', "a.jpg"),
        ('<picture><source data-srcset="b.jpg 640w, c.jpg 1280w"><img src="blank.gif"></picture>', "c.jpg"),
        ('<a href="big.jpg"><img src="thumb.jpg"></a>', "thumb.jpg"),
        ('<img data-src="#" src="a.jpg">', "a.jpg"),
        ('<img data-src="page.html#x" src="a.jpg">', "a.jpg"),
        ('<img src="?picture=1">', "page.html?picture=1"),
    ],
)  # fmt: skip
def test_the_address_of_a_picture(html: str, expected: str) -> None:
    assert image(html).url == f"https://site.example/a/{expected}"


def test_base_counts_for_pictures() -> None:
    assert image('<base href="//cdn.example/v1/"><img src="a.jpg">').url == "https://cdn.example/v1/a.jpg"


def test_linked_picture_by_configuration() -> None:
    config = replace(FULL, prefer_linked_image=True)
    assert image('<a href="big.jpg?v=1"><img src="thumb.jpg"></a>', config).url.endswith("/big.jpg?v=1")
    assert image('<a href="page.html"><img src="thumb.jpg"></a>', config).url.endswith("/thumb.jpg")


@pytest.mark.parametrize(
    "src",
    [
        "data:image/png;base64,AAAA", "about:blank", "", " ", "ftp://h.example/a.png", "?", "#", " #top ",
        "page.html", "page.html#top", "/a/page.html", "https://site.example/a/page.html",
    ],
)  # fmt: skip
def test_pictures_without_a_web_address_are_left_out(src: str) -> None:
    assert document(f'<p>words <img src="{src}">').images == ()


def test_the_page_itself_is_no_picture_whatever_its_base() -> None:
    html = '<base href="/b/"><p>words <img src="#"><img src="?"><img src=""><img src="../a/page.html">'
    assert document(html).images == ()
    odd = "https://site.example/a/caf\u00e9?x=1#y"
    assert document('<p>words <img src="?x=1"><img src="caf%C3%A9?x=1">', url=odd).images == ()
    config = replace(FULL, prefer_linked_image=True)
    found = image('<a href="page.png"><img src="a.jpg"></a>', config, "https://site.example/a/page.png")
    assert found.url.endswith("/a.jpg")


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("blank.gif", True),
        ("lazy-placeholder.png", True),
        ("1x1.trans.gif", True),
        ("photo.jpg", False),
        ("greyhound.jpg", False),
        ("blanket-coverage.png", False),
        ("pixel-art-of-the-nineties.png", False),
    ],
)
def test_placeholders_are_known_by_whole_words(name: str, placeholder: bool) -> None:
    assert is_placeholder(f"https://h.example/{name}?v=blank") is placeholder


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="120" height="90"', (120, 90)),
        ('width="120px" height=" 90 "', (120, 90)),
        ('width="100%" height="auto"', (0, 0)),
        ('style="max-width:10px; width: 320px;height:200.5px"', (320, 200)),
        ('width="50" style="width:320px"', (50, 0)),
        ("", (0, 0)),
    ],
)
def test_declared_sizes(attributes: str, size: tuple[int, int]) -> None:
    found = image(f'<img src="a.jpg" {attributes}>')
    assert (found.declared_width, found.declared_height) == size
