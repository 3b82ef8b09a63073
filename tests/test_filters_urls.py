"""Rules on the addresses of pages and images."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters.image_url import ImageUrlConfig, check_image_use, file_extension
from pipelines.filters.page_url import PageUrlConfig, check_page_url, url_words
from pipelines.sources.records import RawPage
from schemas.document import Source
from schemas.rejection import Rejected

PAGE = PageUrlConfig(blocked_domains="", host_words=("porn", "sex"), path_words=("porn", "xxx"))
IMAGE = ImageUrlConfig(
    blocked_domains="",
    host_words=("porn",),
    path_words=("logo", "icon", "icons", "pixel", "xxx"),
    refused_extensions=("svg", "ico"),
    min_declared_side=64,
)


def reason(url: str, config: PageUrlConfig = PAGE) -> str:
    page = RawPage(url=url, body=b"", source=Source())
    result = check_page_url(page, config)
    assert isinstance(result, Rejected) or result is page
    return result.reason if isinstance(result, Rejected) else "passed"


def image_reason(url: str, width: int = 0, height: int = 0, config: ImageUrlConfig = IMAGE) -> str:
    result = check_image_use(url, width, height, config)
    return result.reason if result else "passed"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a/b?c=d#e", "passed"),
        ("HTTP://EXAMPLE.COM", "passed"),
        ("http://b\u00fccher.example/\u00e9 a", "passed"),
        ("http://[::1]:8080/", "passed"),
        ("", "bad_url"),
        ("/a/b", "bad_url"),
        ("//example.com/a", "bad_url"),
        ("ftp://example.com/", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("data:text/html,x", "bad_url"),
        ("http://", "bad_url"),
        ("http:///a", "bad_url"),
        ("http://example.com:99999/", "bad_url"),
        ("http://example.com:a/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://exam ple.com/", "bad_url"),
        ("http://<host>/", "bad_url"),
        ("http://porn.example.com/", "url_word"),
        ("http://www.porn-site1.example/", "url_word"),
        ("http://example.com/a/Porn/b", "url_word"),
        ("http://example.com/a_porn.html", "url_word"),
        ("http://example.com/%70orn", "url_word"),
        ("http://example.com/freePornVideos", "url_word"),
        ("http://example.com/?q=porn", "passed"),
        ("http://www.essex.ac.uk/sussex/middlesex", "passed"),
        ("http://example.com/sex-differences", "passed"),
        ("http://pornic.example/pornichet", "passed"),
        ("http://example.com/xxxl-shirts", "passed"),
    ],
)
def test_page_reason(url: str, expected: str) -> None:
    assert reason(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://bad.example/", "blocked_domain"),
        ("http://WWW.Bad.Example./a", "blocked_domain"),
        ("http://notbad.example/", "passed"),
        ("http://bad.example.org/", "passed"),
        ("http://example/", "passed"),
        ("http://b\u00fcse.example/", "blocked_domain"),
        ("http://xn--bse-hoa.example/", "blocked_domain"),
        ("http://a.part.of.example/", "blocked_domain"),
        ("http://of.example/", "passed"),
        ("http://comment.example/", "passed"),
    ],
)
def test_blocked_domains_hold_for_all_below_them(tmp_path: Path, url: str, expected: str) -> None:
    file = tmp_path / "domains.txt"
    file.write_text("# ours\nBAD.example\n\nb\u00fcse.example # why\n.part.of.example\n#comment.example\n")
    assert reason(url, replace(PAGE, blocked_domains=str(file))) == expected
    assert image_reason(url, config=replace(IMAGE, blocked_domains=str(file))) == expected


def test_a_missing_blocklist_is_an_error_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        reason("http://example.com/", replace(PAGE, blocked_domains=str(tmp_path / "none.txt")))


@pytest.mark.parametrize(
    ("url", "width", "height", "expected"),
    [
        ("https://example.com/harbour.jpg", 0, 0, "passed"),
        ("https://example.com/harbour.jpg", 640, 0, "passed"),
        ("https://example.com/harbour.jpg", 64, 64, "passed"),
        ("https://example.com/harbour.jpg", 640, 63, "declared_too_small"),
        ("https://example.com/harbour.jpg", 1, 1, "declared_too_small"),
        ("https://example.com/harbour.jpg", 0, 20, "declared_too_small"),
        ("https://example.com/harbour.jpg", -1, 0, "passed"),
        ("https://example.com/logo.png", 0, 0, "url_word"),
        ("https://example.com/img/siteLogo2x.png", 0, 0, "url_word"),
        ("https://example.com/icons/a.png", 0, 0, "url_word"),
        ("https://logo.example.com/a.png", 0, 0, "passed"),
        ("https://porn.example.com/a.png", 0, 0, "url_word"),
        ("https://example.com/catalogo/iconic-logos/pixels.jpg", 0, 0, "passed"),
        ("https://example.com/a.png?type=logo", 0, 0, "passed"),
        ("https://example.com/a.SVG?v=1", 0, 0, "unsupported_extension"),
        ("https://example.com/favicon.ico", 0, 0, "unsupported_extension"),
        ("https://example.com/svg", 0, 0, "passed"),
        ("data:image/png;base64,AAAA", 0, 0, "bad_url"),
        ("a.jpg", 0, 0, "bad_url"),
    ],
)
def test_image_reason(url: str, width: int, height: int, expected: str) -> None:
    assert image_reason(url, width, height) == expected


def test_details_say_what_was_found() -> None:
    assert check_image_use("https://example.com/logo.png", 0, 0, IMAGE) == Rejected("url_word", "logo")
    small = Rejected("declared_too_small", "20 px, at least 64")
    assert check_image_use("https://example.com/a.png", 100, 20, IMAGE) == small


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("", set()),
        ("/Site-Logo_2/XMLIcon.png", {"site", "logo", "xml", "icon", "png"}),
        ("icon32x32", {"icon", "x"}),
        ("/\u0441\u0435\u043a\u0441/\u00c9t\u00e9", {"\u0441\u0435\u043a\u0441", "\u00e9t\u00e9"}),
    ],
)
def test_words_of_an_address(part: str, expected: set[str]) -> None:
    assert url_words(part) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/a.tar.GZ", "gz"),
        ("http://example.com/a.b/c", ""),
        ("http://example.com", ""),
        ("http://[", ""),
    ],
)
def test_file_extension(url: str, expected: str) -> None:
    assert file_extension(url) == expected


@given(
    st.one_of(st.text(), st.text().map("http://{}".format), st.text("/\\?#:@%[]a.\u2100\ud800").map("http://".__add__))
)
def test_any_address_gets_an_answer(url: str) -> None:
    assert reason(url) in ("passed", "bad_url", "url_word")
    assert image_reason(url) in ("passed", "bad_url", "url_word", "unsupported_extension")
