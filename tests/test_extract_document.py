from dataclasses import replace

import pytest
from extract_page import EXTRACT, FULL, PAGES, document, extracted, marked, text

from schemas.document import Image, Source, Text
from schemas.rejection import Rejected

SENTENCE = "The harbour office prints a table of the tides for every day of the year. "


def saved(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def test_an_article_is_its_text_and_pictures_and_nothing_else() -> None:
    assert marked(saved("article.html"), EXTRACT) == (
        "How tides work\n\n"
        "Tides rise and fall because the Moon pulls harder on the near side of the Earth than on the far side, and the "
        "water follows.\n\n"
        "{moon.jpg}The Moon over the bay. Photo: A. Sailor\n\n"
        "Spring tides\n\n"
        "Twice a month the Sun and the Moon stand in one line with us; then the tides are at their highest and are "
        "called spring tides. See the tables of Sussex.\n\n"
        "Fishermen in the bay still plan their week by a table that was printed in the harbour office more than eighty "
        "years ago.\n\n"
        "{bay.jpg}"
    )


def test_the_document_carries_what_the_page_says_of_itself() -> None:
    found = document(saved("article.html"), EXTRACT, "https://mirror.example/1")
    assert (found.kind, found.url, found.title) == (
        "page",
        "https://mirror.example/1",
        "How tides work - The Bay Gazette",
    )
    assert found.source == Source()
    assert found.images[0] == Image(
        url="https://gazette.example/news/img/moon.jpg",
        alt="The Moon",
        caption="The Moon over the bay. Photo: A. Sailor",
    )


def test_full_mode_takes_all_that_is_visible() -> None:
    found = document(saved("article.html"), FULL)
    for words in ("Sport", "We use cookies", "Buy our boats", "I never knew", "All rights reserved"):
        assert words in found.text
    names = [image.url.rsplit("/", 1)[-1] for image in found.images]
    assert names == ["logo.png", "moon.jpg", "boat.gif", "bay.jpg", "pixel.gif"]


def test_a_page_of_tables_without_semantic_tags() -> None:
    found = marked(saved("divs.html"), EXTRACT)
    assert found.startswith("Tides of the bay\n\nTides rise")
    assert "the water follows.\n\n{moon.gif}Twice a month" in found
    assert found.endswith("eighty years ago.")


def test_on_a_forum_the_posts_are_the_content() -> None:
    found = text(saved("forum.html"), EXTRACT)
    for words in ("the water follows.", "spring tides.", "eighty years ago."):
        assert words in found
    assert "Log in" not in found
    assert "Powered" not in found


def test_on_an_index_the_links_are_the_content() -> None:
    found = document(saved("listing.html"), EXTRACT)
    assert found.text.count("Sailing boat number") == 8
    assert len(found.images) == 8
    assert "Cart" not in found.text
    assert "Terms" not in found.text


def test_comments_under_an_article_are_not_content() -> None:
    comments = "".join(f'<div class="comment"><p>{SENTENCE}Comment {i}.</p></div>' for i in range(200))
    found = text(f'<main><p>{SENTENCE * 250}</p><div class="comments">{comments}</div></main>', EXTRACT)
    assert "Comment" not in found


@pytest.mark.parametrize(
    "block",
    [
        "<nav>gone</nav>",
        "<footer>gone</footer>",
        "<aside>gone</aside>",
        "<form>gone</form>",
        '<div role="navigation">gone</div>',
        '<div role="complementary">gone</div>',
        '<div class="cookie-notice">gone</div>',
        '<div class="post_share">gone</div>',
        '<div class="postShare">gone</div>',
        '<div id="onetrust">gone</div>',
        '<div class="advert">gone</div>',
        '<div class="breadcrumbs"><a href="/">gone</a></div>',
        '<ul><li><a href="/1">gone</a></li><li><a href="/2">gone</a></li></ul>',
        '<div class="sidebar"><img src="gone.png"><a href="/x">gone</a></div>',
    ],
)
def test_boilerplate_goes_with_its_pictures(block: str) -> None:
    assert marked(f"<body><article><p>{SENTENCE * 5}</p>{block}<p>end</p></article>", EXTRACT).endswith("year.\n\nend")


@pytest.mark.parametrize(
    "block",
    [
        '<div class="update-box">stays</div>',
        '<div class="sussex">stays</div>',
        '<div class="sidebar">stays, for a box of words beside the text is content</div>',
        '<div class="shareholder">stays</div>',
        '<div class="no-comments has-sidebar">stays</div>',
        '<section class="content-nav-section">stays</section>',
        '<h2 id="cookies-and-comments">stays</h2>',
        '<section id="a-long-name-that-speaks-of-cookies-and-comments">stays</section>',
        '<p>stays <a href="/x">a</a></p>',
        "<header><h2>stays</h2></header>",
    ],
)
def test_names_are_read_as_whole_words_and_by_what_the_block_holds(block: str) -> None:
    assert "stays" in text(f"<body><article><p>{SENTENCE * 5}</p>{block}<p>end</p></article>", EXTRACT)


def test_a_block_with_most_of_the_text_is_never_dropped_for_its_name() -> None:
    assert "harbour" in text(f'<body><div class="modal sidebar"><p>{SENTENCE * 5}</p></div><p>end</p>', EXTRACT)
    assert "harbour" in text(f"<body><form><p>{SENTENCE * 5}</p></form><p>end</p>", EXTRACT)


def test_a_small_main_element_is_not_believed() -> None:
    page = f"<body><main><p>{SENTENCE}</p></main><div><p>{SENTENCE * 20}</p></div>"
    assert text(page, EXTRACT).count("harbour") >= 20


def test_several_articles_of_a_page_are_all_taken() -> None:
    page = "".join(f"<article><h2>Part {i}</h2><p>{SENTENCE * 4}</p></article>" for i in range(3))
    assert [f"Part {i}" in text(f"<body><div>{page}</div>", EXTRACT) for i in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("html", "changes", "reason"),
    [
        ("<body><script>x</script><div></div>", {}, "no_text"),
        ("<body><img src=a.png>", {}, "no_text"),
        ("<p>words", {"images": "required"}, "no_images"),
        ("<p>words<img src=a.png>", {"images": "none"}, "has_images"),
        ("<p>words<img src=a.png><img src=b.png>", {"max_images": 1}, "too_many_images"),
        ("<p>words" + "<img src=a.png>" * 5, {"max_images": 1}, "too_many_images"),
    ],
)
def test_each_rule_rejects_by_its_name(html: str, changes: dict[str, object], reason: str) -> None:
    found = extracted(html, replace(FULL, **changes))  # type: ignore[arg-type]
    assert isinstance(found, Rejected)
    assert found.reason == reason


def test_copies_do_not_count_as_pictures() -> None:
    found = document("<p>words" + "<img src=a.png>" * 4, replace(FULL, max_images=1))
    assert found.slots == (Text("words"), Image(url="https://site.example/a/a.png"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mode": "most"}, "mode"),
        ({"max_images": 0}, "max_images"),
        ({"image_types": ()}, "image_types"),
        ({"icon_max_side": -1}, "icon_max_side"),
    ],
)
def test_config_names_the_field_that_is_wrong(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(EXTRACT, **changes)  # type: ignore[arg-type]


def test_a_headline_that_is_never_closed_does_not_double_the_text() -> None:
    paragraphs = f"<p>{SENTENCE}</p>" * 9
    assert text(f"<body><h1>Head <div>{paragraphs}</div>", EXTRACT).count("harbour") == 9


def test_the_largest_of_several_sections_is_not_the_whole() -> None:
    sections = f'<div class="sect"><p>First. {SENTENCE}</p></div><div class="sect"><p>{SENTENCE * 30}</p></div>'
    assert "First." in text(f"<body><div>{sections}</div>", EXTRACT)
