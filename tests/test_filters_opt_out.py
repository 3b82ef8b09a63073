"""Pages that say "not for machine learning"."""

from dataclasses import replace

import pytest
from extract_page import parsed

from pipelines.extract.html.parse import ParsedPage
from pipelines.filters.opt_out import OptOutConfig, respect_opt_out
from schemas.rejection import Rejected

CONFIG = OptOutConfig(tokens=("noai", "noimageai", "noml"), tdm_reservation=True)


def page(head: str, headers: dict[str, list[str]]) -> ParsedPage:
    found = parsed(f"<html><head>{head}</head><body><p>Text</p></body></html>")
    assert isinstance(found, ParsedPage)
    return replace(found, headers=headers)


@pytest.mark.parametrize(
    ("head", "headers", "expected"),
    [
        ("", {}, ""),
        ('<meta name="robots" content="noindex, nofollow">', {}, ""),
        ('<meta name="robots" content="noai">', {}, "noai"),
        ('<META NAME="Robots" CONTENT="index, NoImageAI">', {}, "noimageai"),
        ('<meta name="robots" content="noindex noai">', {}, "noai"),
        ('<meta name="googlebot" content="noai">', {}, ""),
        ('<meta name="OpenM3W" content="noindex, noai">', {}, "noai"),
        ('<meta name="robots" content="max-snippet:5">', {}, ""),
        ('<meta name="description" content="noai">', {}, ""),
        ('<meta name="tdm-reservation" content="1">', {}, "tdm-reservation"),
        ('<meta name="tdm-reservation" content="0">', {}, ""),
        ("", {"x-robots-tag": ["noindex", "noml"]}, "noml"),
        ("", {"x-robots-tag": ["otherbot: noai"]}, ""),
        ("", {"tdm-reservation": ["1"]}, "tdm-reservation"),
        ("", {"tdm-reservation": ["0"]}, ""),
    ],
)
def test_reason(head: str, headers: dict[str, list[str]], expected: str) -> None:
    given = page(head, headers)
    assert respect_opt_out(given, CONFIG) == (Rejected("opted_out", expected) if expected else given)


def test_each_signal_can_be_turned_off() -> None:
    given = page('<meta name="robots" content="noai"><meta name="tdm-reservation" content="1">', {})
    off = OptOutConfig(tokens=(), tdm_reservation=False)
    assert respect_opt_out(given, off) is given
    assert respect_opt_out(given, replace(off, tokens=("noai",))) == Rejected("opted_out", "noai")
    assert respect_opt_out(given, replace(off, tdm_reservation=True)) == Rejected("opted_out", "tdm-reservation")


def test_tokens_are_in_lower_case() -> None:
    with pytest.raises(ValueError, match="tokens"):
        OptOutConfig(tokens=("NoAI",), tdm_reservation=True)
