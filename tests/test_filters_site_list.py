"""Which sites' pairs are kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.filters.site_list import SiteListConfig, site_list
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

CONFIG = SiteListConfig(allowed_domains=("example.org",), allowed_domains_file="")


def pair(url: str) -> Document:
    return Document(kind="pair", url=url, slots=(Image(url=url), Text("A red car")))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a.jpg", "passed"),
        ("https://images.Example.org/a.jpg", "passed"),
        ("https://badexample.org/a.jpg", "site_not_allowed"),
        ("https://example.org.evil.com/a.jpg", "site_not_allowed"),
        ("ftp://example.org/a.jpg", "bad_url"),
    ],
)
def test_reason(url: str, expected: str) -> None:
    result = site_list(pair(url), CONFIG)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_without_a_list_every_site_is_allowed() -> None:
    document = pair("https://example.com/a.jpg")
    assert site_list(document, replace(CONFIG, allowed_domains=())) is document


def test_a_file_adds_to_the_list(tmp_path: Path) -> None:
    listed = tmp_path / "sites.txt"
    listed.write_text("# ours\nm\u00fcnchen.example # city\n", encoding="utf-8")
    config = replace(CONFIG, allowed_domains_file=str(listed))
    assert isinstance(site_list(pair("https://xn--mnchen-3ya.example/a.jpg"), config), Document)
    assert isinstance(site_list(pair("https://www.example.org/a.jpg"), config), Document)
    assert site_list(pair("https://example.com/a.jpg"), config) == Rejected("site_not_allowed", "example.com")


@pytest.mark.parametrize("domain", ["Example.org", "", "https://example.org", ".example.org"])
def test_impossible_settings_are_named(domain: str) -> None:
    with pytest.raises(ValueError, match="allowed_domains"):
        replace(CONFIG, allowed_domains=(domain,))
