"""Which addresses are one page, which are one image, and whose they are."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dedup.urls import image_url_key, normalise_image_url, normalise_url, registered_domain, url_key

DROPPED = ("utm_*", "gclid", "fbclid", "jsessionid", "phpsessid")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTP://EXAMPLE.com:80/A", "https://example.com/A"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:0443/", "https://example.com/"),
        ("https://example.com:8080/", "https://example.com:8080/"),
        ("https://example.com:/", "https://example.com/"),
        ("http://example.com./a", "https://example.com/a"),
        ("http://user:pw@example.com/a", "https://example.com/a"),
        ("http://example.com/a#part", "https://example.com/a"),
        ("http://example.com/a/", "https://example.com/a"),
        ("http://example.com/a/./b/../c/.", "https://example.com/a/c"),
        ("http://example.com/../../a", "https://example.com/a"),
        ("http://example.com/%2e%2E/a", "https://example.com/a"),
        ("http://example.com/%7euser/%c3%a9", "https://example.com/~user/%C3%A9"),
        ("http://example.com/caf\u00e9%41 b", "https://example.com/caf%C3%A9A%20b"),
        ("http://example.com/100%", "https://example.com/100%25"),
        ("http://example.com/a%2Fb", "https://example.com/a%2Fb"),
        ("http://example.com/?b=2&a=1", "https://example.com/?a=1&b=2"),
        ("http://example.com/?a=2&b&a=1", "https://example.com/?a=2&a=1&b"),
        ("http://example.com/?utm_source=x&UTM_Medium=y&id=1&gclid=z", "https://example.com/?id=1"),
        ("http://example.com/?utm_source=x", "https://example.com/"),
        ("http://example.com/?gclids=x", "https://example.com/?gclids=x"),
        ("http://example.com/?&", "https://example.com/"),
        ("http://example.com/a;jsessionid=0A?x=1", "https://example.com/a?x=1"),
        ("http://example.com/a;v=1;PHPSESSID=0A/b", "https://example.com/a;v=1/b"),
        ("http://b\u00fccher.example/", "https://xn--bcher-kva.example/"),
        ("http://B\u00dcCHER.example/", "https://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("http://[2001:DB8::1]:80/", "https://[2001:db8::1]/"),
        (" http:\\\\example.com\\a\\b ", "https://example.com/a/b"),
        ("http://exam\nple.com/a\tb", "https://example.com/ab"),
        ("ftp://example.com/A ", "ftp://example.com/A"),
        ("http://", "http://"),
        ("", ""),
    ],
)
def test_normal_form_of_a_page(url: str, expected: str) -> None:
    assert normalise_url(url, DROPPED) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://EXAMPLE.com:80/A/#x", "http://example.com/A/"),
        ("http://example.com:443/a", "http://example.com:443/a"),
        ("https://example.com", "https://example.com/"),
        ("http://example.com/a?utm_source=x&b=2&a=1", "http://example.com/a?utm_source=x&b=2&a=1"),
        ("http://example.com/a/../%7eb.jpg", "http://example.com/~b.jpg"),
        ("http://example.com/w_200,h_100/a.jpg", "http://example.com/w_200,h_100/a.jpg"),
        ("data:image/gif;base64,AAAA", "data:image/gif;base64,AAAA"),
    ],
)
def test_normal_form_of_an_image(url: str, expected: str) -> None:
    assert normalise_image_url(url) == expected


@pytest.mark.parametrize(
    "other",
    [
        "https://www.example.com/a?x=1",  # www is a host of its own
        "https://example.com/A?x=1",
        "https://example.com/a?x=2",
        "https://example.com/a?X=1",
        "https://example.com:81/a?x=1",
    ],
)
def test_different_pages_keep_different_keys(other: str) -> None:
    assert url_key(other, DROPPED) != url_key("https://example.com/a?x=1", DROPPED)


def test_keys_are_32_hex_digits() -> None:
    key = url_key("http://example.com/a/?utm_source=x", DROPPED)
    assert key == url_key("https://example.com/a", DROPPED)
    assert len(key) == 32 and int(key, 16) >= 0
    assert image_url_key("http://example.com/a#x") == image_url_key("http://example.com/a")
    assert image_url_key("http://example.com/a") != image_url_key("https://example.com/a")
    assert len(image_url_key("\ud800")) == 32


PIECES = st.sampled_from(
    [
        *"/\\?#&=;:@%.[] \t\n+~|aA1",
        *("..", "//", "%2e", "%2F", "%41", "%c3%A9", ":80", ":443", ":080", "\u00e9", "\u3002"),
        *(
            "\u2100",
            "\u0130",
            "\ud800",
            "\x00",
            "x.com",
            "utm_a=1",
            ";jsessionid=",
            "http://",
            "xn--a",
            "xn--bcher-kva",
        ),
    ]
)
MADE_UP = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=16).map("".join),
    st.lists(PIECES, max_size=16).map(lambda pieces: "http://" + "".join(pieces)),
)


@given(MADE_UP)
@example("http://u@/p")
@example("http://a:80:80/")
@example("http://[a:80:80/")
@example("http://a/b/..;jsessionid=1/c")
def test_normal_forms_are_their_own_normal_forms(url: str) -> None:
    page = normalise_url(url, DROPPED)
    assert normalise_url(page, DROPPED) == page
    image = normalise_image_url(url)
    assert normalise_image_url(image) == image


@given(MADE_UP)
def test_a_page_is_the_same_by_http_and_https_and_with_a_fragment(rest: str) -> None:
    key = url_key(f"http://example.com/{rest}x", DROPPED)
    assert url_key(f"https://example.com/{rest}x", DROPPED) == key
    assert url_key(f"http://example.com/{rest}x#there", DROPPED) == key


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.example.co.uk/a", "example.co.uk"),
        ("https://A.B.Example.COM:8080", "example.com"),
        ("http://user@news.example.com/", "example.com"),
        ("http://alice.blogspot.com/", "blogspot.com"),
        ("http://www.b\u00fccher.de/", "xn--bcher-kva.de"),
        ("http://192.168.0.1:80/x", "192.168.0.1"),
        ("http://[::1]:80/x", "[::1]"),
        ("http://a.b.manual.invalid/x", "manual.invalid"),
        ("http://localhost/", "localhost"),
        ("http://co.uk/", "co.uk"),
        ("mailto:a@example.com", ""),
        ("http://", ""),
    ],
)
def test_registered_domain(url: str, domain: str) -> None:
    assert registered_domain(url) == domain


@given(MADE_UP)
def test_registered_domain_never_raises_and_is_part_of_the_host(url: str) -> None:
    assert registered_domain(normalise_url(url, DROPPED)) == registered_domain(url)
