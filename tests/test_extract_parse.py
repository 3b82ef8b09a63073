from dataclasses import replace

import pytest
from extract_page import PARSE, URL, marked, parsed

from pipelines.extract.html.parse import ParsedPage, opt_out_meta
from pipelines.extract.html.tags import TEXT
from schemas.rejection import Rejected


def page(html: str, url: str = URL) -> ParsedPage:
    found = parsed(html, url=url)
    assert isinstance(found, ParsedPage), found
    return found


def words(found: ParsedPage | Rejected) -> str:
    assert isinstance(found, ParsedPage), found
    tree = found.tree
    return " ".join(" ".join(tree.text(node) for node, tag in enumerate(tree.tags) if tag == TEXT).split())


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>one<image src=a.png> two</p>three", "one{a.png} two\n\nthree"),
        ('<p>one <IMAGE src="a.png"/> two', "one{a.png} two"),
        ("<p>one <image\nsrc=a.png>two</image>three", "one{a.png} twothree"),
        ('<p>one <svg><image href="a.png"></image><text>no</text></svg> two', "one two"),
        ("<p>one <image-box src=a.png>two</image-box>", "one two"),
    ],
)
def test_an_image_element_is_an_img_as_in_a_browser(html: str, found: str) -> None:
    assert marked(html).strip() == found


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("", "unparsable"),
        ("<!doctype html>", "unparsable"),
        ("<p>" + "x" * 10_000_000, "too_large"),
        ("<div>" * 3000 + "deep" + "</div>" * 3000, "too_deep"),
        ("<div>" * 1001 + "deep", "too_deep"),
        ("<br>" * 200_001, "too_many_elements"),
        ("<p " + " ".join(f"a{i}" for i in range(100_000)) + ">words", "too_many_attributes"),
        ("<p " + " ".join(f'a{i}="<x>"' for i in range(100_000)) + ">words", "too_many_attributes"),
        ("<p " + "/".join(f"a{i}='>'" for i in range(100_000)) + ">words", "too_many_attributes"),
    ],
)
def test_each_bound_rejects_by_its_name(html: str, reason: str) -> None:
    found = parsed(html)
    assert isinstance(found, Rejected)
    assert found.reason == reason


def test_attributes_at_the_limit_pass() -> None:
    html = "<p " + " ".join(f"a{i}" for i in range(256)) + ">words"
    assert isinstance(parsed(html), ParsedPage)
    assert isinstance(parsed(html, replace(PARSE, max_attributes=255)), Rejected)


def test_less_than_signs_of_a_script_are_no_tags() -> None:
    html = "<p>words<script>if (a<b " + "c " * 1000 + ") {}</script><style>a<b " + "c " * 1000 + "</style>"
    assert isinstance(parsed(html), ParsedPage)


def test_nesting_just_below_the_limit_is_read_whole() -> None:
    found = page("<div>" * 990 + "deep" + "</div>" * 990 + "<p>end")
    assert words(found) == "deep end"


def test_text_after_the_end_of_html_is_read() -> None:
    assert words(page("<html><body><p>before</p></body></html><p>after</p>")) == "before after"


@pytest.mark.parametrize(
    ("head", "base"),
    [
        ("", URL),
        ('<base href="/b/">', "https://site.example/b/"),
        ('<base href="img/">', "https://site.example/a/img/"),
        ('<base target="_top"><base href="//cdn.example/x/"><base href="/no/">', "https://cdn.example/x/"),
        ('<base href="javascript:void(0)">', URL),
        ('<base href="">', URL),
    ],
)
def test_base_is_joined_to_the_page(head: str, base: str) -> None:
    assert page(f"<head>{head}</head><p>words").base_url == base


def test_title_is_one_line_and_not_that_of_a_drawing() -> None:
    assert page("<title> A\n &amp; B </title><p>words").title == "A & B"
    assert page("<body><svg><title>icon</title></svg><title>page</title><p>words").title == "page"
    assert page("<p>words").title == ""


def test_opt_out_meta_lists_tokens_in_lower_case() -> None:
    html = """<meta name="Robots" content="NoAI, noimageai ,"><meta name="googlebot" content="noindex">
    <meta name="tdm-reservation" content="1"><meta name="TDM-Policy" content="https://Site.example/Policy">
    <meta name="description" content="noai"><p>words"""
    assert opt_out_meta(page(html)) == [
        "noai",
        "noimageai",
        "googlebot:noindex",
        "tdm-reservation:1",
        "tdm-policy:https://Site.example/Policy",
    ]


def test_config_names_the_field_that_is_wrong() -> None:
    with pytest.raises(ValueError, match="max_depth"):
        replace(PARSE, max_depth=0)
    with pytest.raises(ValueError, match="max_chars"):
        replace(PARSE, max_chars=0)
