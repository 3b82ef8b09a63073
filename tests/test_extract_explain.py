"""Why a part of a page is left out, for a person; and the rules that other data sets go by."""

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import m3w
from extract_page import EXTRACT, PAGES, document, marked, parsed

from pipelines.extract.explain import explain, lines
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.side_by_side import side_by_side
from schemas.document import Document

OBELICS = replace(EXTRACT, mode="obelics")


def test_each_part_is_kept_or_has_a_reason() -> None:
    page = parsed((PAGES / "article.html").read_text(encoding="utf-8"))
    assert isinstance(page, ParsedPage)
    found = explain(page, EXTRACT)
    assert isinstance(found.result, Document)
    kept = [part for part in found.parts if not part.reason]
    assert "How tides work" in [part.words for part in kept]
    assert sum(part.kind == "image" for part in kept) == len(found.result.images)
    reasons = {part.words: part.reason for part in found.parts if part.reason}
    assert reasons["Buy our boats now"] == "advert"
    assert reasons["https://gazette.example/pixel.gif"] == "tracker"
    assert all(part.path for part in found.parts)
    assert len(list(lines(found))) == len(found.parts) - len(kept)


def test_the_command_explains(tmp_path: Path) -> None:
    out = tmp_path / "view.html"
    code, said = m3w("extract", PAGES / "article.html", "--why", "--html", out)
    assert code == 0
    assert "text\tadvert\t'Buy our boats now'\t" in said
    view = out.read_text(encoding="utf-8")
    assert "How tides work" in view and ">advert</span>" in view
    code, said = m3w("extract", PAGES, "--html", out)
    assert (code, said) == (2, "m3w: --html shows one page, not a folder or archive of them\n")


def test_a_refused_page_is_explained_too(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text("<script>words</script><img src=a.png>")
    assert m3w("extract", page, "--why")[1].endswith("refused\tno_text\tno visible text\n")


def test_nothing_of_a_page_becomes_markup_of_the_view() -> None:
    page = parsed("<p id='\"><script>'>&lt;script>1&lt;/script> words <img src='a.png' alt='<b>'><title><i>")
    assert isinstance(page, ParsedPage)
    view = side_by_side("<u>", "https://site.example/?a=<s>", explain(page, replace(EXTRACT, mode="full")))
    assert not any(tag in view for tag in ("<script", "<b>", "<i>", "<u>", "<s>"))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>one <b>two</b></p><table><tr><td>gone</table><pre>gone</pre><ul><li>gone</ul>", "one two"),
        ("<div class=menu>gone</div><div class='x site-info'>gone</div><div id=content>stays</div>", "stays"),
        ("<div class=update-box>gone</div><p hidden>stays", "stays"),
        ("<nav>gone</nav><p>one</p><img src=a.png><p>two", "one\n\n{a.png}two"),
    ],
)
def test_the_dom_rules_of_obelics(html: str, expected: str) -> None:
    assert marked(html, OBELICS) == expected


def test_obelics_keeps_no_picture_of_an_element_that_goes() -> None:
    assert document("<p>words</p><form><img src=a.png></form>", OBELICS).images == ()
