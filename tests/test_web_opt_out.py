"""X-Robots-Tag, meta robots and TDM reservation, as sites write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.web.opt_out import opt_out_token, page_opt_out, robots_directives

TOKENS = ("noai", "noimageai", "noindex", "noimageindex")


def token(*values: str) -> str | None:
    return opt_out_token(robots_directives(values, "OpenM3W"), TOKENS)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["noai"], "noai"),
        (["NoAI, NoImageAI"], "noai"),
        (["noimageai"], "noimageai"),
        (["index, follow"], None),
        ([""], None),
        ([":"], None),
        (["none"], "noindex"),
        (["all"], None),
        (["otherbot: noai"], None),
        (["openm3w: noai"], "noai"),
        (["OpenM3W/2.0: noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noindex, nofollow, openm3w: noai"], "noai"),
        (["otherbot: noindex, noai"], None),
        (["otherbot: noindex", "noai"], "noai"),
        (["noai, otherbot: noindex"], "noai"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], "noai"),
        (["unavailable_after: Friday, 25-Jun-30 15:00:00 PST, noai"], "noai"),
        (["unavailable_after: 2030-06-25T15:00:00+01:00, noai"], "noai"),
        (["otherbot: unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], None),
        (["openm3w: unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], "noai"),
        (["max-snippet: 20, max-image-preview: large, noimageindex"], "noimageindex"),
        (["max-image-preview:none"], None),
        (["noindex nofollow"], "noindex"),
        (["noarchive; noai"], "noai"),
        (["nonoai"], None),
    ],
)
def test_x_robots_tag(values: list[str], expected: str | None) -> None:
    assert token(*values) == expected


def test_only_the_recipes_tokens_count() -> None:
    directives = robots_directives(["noindex, noml"], "OpenM3W")
    assert opt_out_token(directives, ("noai",)) is None
    assert opt_out_token(directives, ("noai", "noml")) == "noml"


@given(st.lists(st.text(alphabet="noai,:; *-/openm3w19")))
def test_no_header_breaks_it(values: list[str]) -> None:
    assert "" not in robots_directives(values, "OpenM3W")


@given(st.lists(st.sampled_from(["index", "max-snippet: 5", "unavailable_after: 1 Jan 2030 10:00:00 GMT"])))
def test_noai_is_found_wherever_it_stands(others: list[str]) -> None:
    for place in range(len(others) + 1):
        assert token(", ".join([*others[:place], "noai", *others[place:]])) == "noai"


@pytest.mark.parametrize(
    ("headers", "meta", "tdm", "expected"),
    [
        ({}, [], True, None),
        ({"x-robots-tag": ["noai"]}, [], True, "noai"),
        ({"x-robots-tag": ["otherbot: noai"]}, [], True, None),
        ({}, ["NoImageAI "], True, "noimageai"),
        ({}, ["none"], True, "noindex"),
        ({"tdm-reservation": ["1"]}, [], True, "tdm-reservation"),
        ({"tdm-reservation": ["1"]}, [], False, None),
        ({"tdm-reservation": ["0"]}, [], True, None),
        ({}, ["tdm-reservation"], True, "tdm-reservation"),
        ({}, ["tdm-reservation"], False, None),
    ],
)
def test_pages(headers: dict[str, list[str]], meta: list[str], tdm: bool, expected: str | None) -> None:
    assert page_opt_out(headers, meta, TOKENS, tdm) == expected
