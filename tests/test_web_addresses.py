"""Which addresses may be asked: every way to name one's own network is refused, public names are not."""

import ipaddress
import socket
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.web.addresses import Target, parse_target, refused_range, resolve
from pipelines.web.outcome import FetchError

PORTS = ("80", "443", "8080", "8443")


def reason(url: str, *, loopback: bool = False) -> str:
    with pytest.raises(FetchError) as caught:
        parse_target(url, PORTS, loopback=loopback)
    return caught.value.failed.reason


def answering(*addresses: str) -> Any:
    return lambda host, port, type: [(socket.AF_INET, type, 6, "", (address, port)) for address in addresses]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("ftp://example.org/a.jpg", "scheme_not_allowed"),
        ("data:image/png;base64,AAAA", "scheme_not_allowed"),
        ("//example.org/a.jpg", "scheme_not_allowed"),
        ("", "scheme_not_allowed"),
        ("http://", "bad_url"),
        ("http:///a.jpg", "bad_url"),
        ("http://user@example.org/", "bad_url"),
        ("http://user:pass@example.org/", "bad_url"),
        ("http://example.org\\@10.0.0.1/", "bad_url"),
        ("http://example.org\\.evil.org/", "bad_url"),
        ("http://exa mple.org/", "bad_url"),
        ("http://example.org/a\r\nHost: other", "bad_url"),
        ("http://127%2e0%2e0%2e1/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://[fe80::1%25eth0]/", "bad_url"),
        ("http://[v1.x]/", "bad_url"),
        ("http://a..b/", "bad_url"),
        ("http://" + "a" * 64 + ".org/", "bad_url"),
        ("http://example.org/" + "a" * 9000, "bad_url"),
        ("http://example.org:99999/", "bad_url"),
        ("http://example.org:x/", "bad_url"),
        ("http://2130706433/", "bad_url"),
        ("http://0x7f000001/", "bad_url"),
        ("http://0x7f.1/", "bad_url"),
        ("http://127.1/", "bad_url"),
        ("http://0177.0.0.1/", "bad_url"),
        ("http://017700000001/", "bad_url"),
        ("http://1.2.3.4.5/", "bad_url"),
        ("http://300.1.1.1/", "bad_url"),
        ("http://example.org:22/", "port_not_allowed"),
        ("http://example.org:0/", "port_not_allowed"),
        ("http://example.org:6379/", "port_not_allowed"),
        ("http://localhost/", "private_address"),
        ("http://LOCALHOST./", "private_address"),
        ("http://a.localhost/", "private_address"),
        ("http://\u24dbocalhost/", "private_address"),
        ("http://printer/", "private_address"),
        ("http://printer.local/", "private_address"),
        ("http://metadata.google.internal/computeMetadata/v1/", "private_address"),
        ("http://router.home.arpa/", "private_address"),
    ],
)
def test_urls_that_may_not_be_asked(url: str, expected: str) -> None:
    assert reason(url) == expected


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.org", Target("http", "example.org", 80, "/")),
        (" HTTPS://Example.ORG./a.jpg#frag ", Target("https", "example.org", 443, "/a.jpg")),
        ("http://example.org:8080/?a=b c", Target("http", "example.org", 8080, "/?a=b%20c")),
        ("http://example.org/\u00e9%20x.jpg", Target("http", "example.org", 80, "/%C3%A9%20x.jpg")),
        ("http://b\u00fccher.example.org/", Target("http", "xn--bcher-kva.example.org", 80, "/")),
        ("http://my_host.example.org/", Target("http", "my_host.example.org", 80, "/")),
        ("http://93.184.216.34/", Target("http", "93.184.216.34", 80, "/")),
        ("http://\uff19\uff13.184.216.34/", Target("http", "93.184.216.34", 80, "/")),
        ("http://[2606:2800:0220::1]:443/", Target("http", "2606:2800:220::1", 443, "/")),
    ],
)
def test_urls_taken_apart(url: str, target: Target) -> None:
    assert parse_target(url, PORTS, loopback=False) == target


def test_origin_and_host_header() -> None:
    target = parse_target("https://[2606:2800:220::1]:8443/x?y", PORTS, loopback=False)
    assert target.host_header == "[2606:2800:220::1]:8443"
    assert target.origin == "https://[2606:2800:220::1]:8443"
    assert target.url == "https://[2606:2800:220::1]:8443/x?y"


@given(st.text() | st.text(alphabet="htp:/\\@[]%.#?0x17f localhost\u3002\uff0e").map(lambda text: "http://" + text))
def test_no_text_breaks_the_parser(url: str) -> None:
    try:
        target = parse_target(url, PORTS, loopback=False)
    except FetchError:
        return
    assert target.host.isascii()
    assert target.path.isascii()
    assert not set(target.path) & set(" \r\n\t#")
    assert parse_target(target.url, PORTS, loopback=False) == target


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("169.254.0.1", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.2.1", "reserved"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("fd00:ec2::254", "metadata"),
        ("fd12::1", "private"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "scoped"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback, inside IPv6"),
        ("::ffff:169.254.169.254", "metadata, inside IPv6"),
        ("64:ff9b::10.0.0.1", "private, inside IPv6"),
        ("2002:7f00:0001::", "loopback, inside IPv6"),
        ("2606:2800:220:1::5efe:10.0.0.1", "private, inside IPv6"),
        ("::10.0.0.1", "private, inside IPv6"),
        ("1.2.3", "not an address"),
    ],
)
def test_special_addresses(address: str, expected: str) -> None:
    assert refused_range(address) == expected


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_addresses(address: str) -> None:
    assert refused_range(address) is None


def special(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Python's own flags for what is not a public unicast address."""
    flags = ("is_private", "is_loopback", "is_link_local", "is_multicast", "is_reserved", "is_unspecified")
    return any(getattr(address, flag) for flag in flags) or not address.is_global


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("192.0.0.9"))
def test_ipv4_agrees_with_python(address: ipaddress.IPv4Address) -> None:
    assert not special(address) or refused_range(str(address)) is not None
    # what Python calls public and we refuse: protocol assignments (RFC 6890) and the withdrawn 6to4 relays (RFC 7526)
    extra = [ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24")]
    if refused_range(str(address)) is not None:
        assert special(address) or any(address in network for network in extra)


@given(st.ip_addresses(v=6))
def test_ipv6_agrees_with_python(address: ipaddress.IPv6Address) -> None:
    carried = address.ipv4_mapped is not None or address in ipaddress.IPv6Network("64:ff9b::/96")
    if not carried and special(address):
        assert refused_range(str(address)) is not None
    if refused_range(str(address)) is None and not carried:
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_ipv6_is_no_way_around(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = {
        "mapped": (0xFFFF << 32) | number,
        "compatible": number,
        "NAT64": (0x64FF9B << 96) | number,
        "local NAT64": (0x64FF9B0001 << 80) | number,
        "6to4": (0x2002 << 112) | (number << 80) | 1,
        "Teredo": (0x20010000 << 96) | (number << 64) | (number ^ 0xFFFFFFFF),
        "ISATAP": (0x26062800 << 96) | (0x00005EFE << 32) | number,
    }
    if refused_range(str(address)) is None:
        return
    for form in forms.values():
        assert refused_range(str(ipaddress.IPv6Address(form))) is not None


def test_one_private_address_spoils_the_name() -> None:
    target = Target("http", "example.org", 80, "/")
    good = resolve(target, answering("93.184.216.34", "1.1.1.1", "1.1.1.1"), 1, loopback=False)
    assert good == ("93.184.216.34", "1.1.1.1")
    with pytest.raises(FetchError) as caught:
        resolve(target, answering("93.184.216.34", "10.0.0.1"), 1, loopback=False)
    assert caught.value.failed.reason == "private_address"
    assert "10.0.0.1" in caught.value.failed.detail


def test_loopback_is_all_that_a_test_lifts() -> None:
    target = Target("http", "example.org", 80, "/")
    assert resolve(target, answering("127.0.0.1"), 1, loopback=True) == ("127.0.0.1",)
    for address in ("10.0.0.1", "169.254.169.254", "fd00::1", "0.0.0.0"):
        with pytest.raises(FetchError):
            resolve(target, answering(address), 1, loopback=True)
    assert parse_target("http://127.0.0.1:5/", PORTS, loopback=True).port == 5
    assert parse_target("http://localhost:5/", PORTS, loopback=True).port == 5
    assert reason("http://10.0.0.1:5/", loopback=True) == "port_not_allowed"
    assert reason("http://printer/", loopback=True) == "private_address"


def failing(error: BaseException) -> Any:
    def resolver(host: str, port: int, type: int) -> Any:
        raise error

    return resolver


@pytest.mark.parametrize(
    ("resolver", "retryable"),
    [
        (failing(socket.gaierror(socket.EAI_NONAME, "no such name")), False),
        (failing(socket.gaierror(socket.EAI_AGAIN, "try again")), True),
        (failing(UnicodeError("label too long")), False),
        (answering(), False),
        (lambda host, port, type: time.sleep(3), True),
    ],
)
def test_names_that_do_not_resolve(resolver: Any, retryable: bool) -> None:
    with pytest.raises(FetchError) as caught:
        resolve(Target("http", "example.org", 80, "/"), resolver, 0.1, loopback=False)
    assert (caught.value.failed.reason, caught.value.failed.retryable) == ("dns_failure", retryable)
