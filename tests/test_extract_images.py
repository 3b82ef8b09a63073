"""Which pictures are content, which elements are one picture, and what is said of each."""

from base64 import b64encode
from dataclasses import replace
from io import BytesIO

import pytest
from extract_page import EXTRACT, FULL, document, image, marked
from PIL import Image as Picture

from pipelines.extract.pictures.image_place import file_reason
from schemas.document import Image

WORDS = "<p>The harbour office prints a table of the tides for every day of the year, and sells it. </p>"
NEAR = "<p>In the year 1913 the table had eighty pages, and it cost two pence at the office door.</p>"


def names(html: str, **changes: object) -> list[str]:
    config = replace(EXTRACT, **changes)  # type: ignore[arg-type]
    return [found.url.rsplit("/", 1)[-1] for found in document(f"<main>{WORDS}{html}{NEAR}</main>", config).images]


@pytest.mark.parametrize(
    "html",
    [
        "<img src=a.jpg>",
        "<p><img src=a.jpg></p>",
        "<div><a href=/large><img src=a.jpg></a></div>",
        "<figure><img src=a.jpg><figcaption>The office in winter</figcaption></figure>",
        "<img src=a.jpg width=300 height=200>",
        "<div class=gallery><div><img src=a.jpg></div></div>",
        "<div class=iconic-buttonhole><p>Words around it that stay, about the office. <img src=a.jpg></p></div>",
        "<div class=photo><img src=a.jpg><aside>Photo: the office</aside></div>",
    ],
)
def test_pictures_of_the_content(html: str) -> None:
    assert names(html) == ["a.jpg"]


@pytest.mark.parametrize(
    "html",
    [
        "<img src=a.jpg width=1 height=1>",
        "<img src=a.jpg width=300 height=2>",
        "<img src=a.jpg width=32 height=32>",
        "<img src=a.jpg style='width: 20px; height: 20px'>",
        "<img src=a.jpg class=wp-smiley-icon>",
        "<span class=author-avatar><img src=a.jpg></span>",
        "<div class=siteLogo><img src=a.jpg></div>",
        "<div class=ad-slot><img src=a.jpg></div>",
        "<img src=/static/icon-mail.png>",
        "<img src=/share/facebook.svg>",
        "<img src=https://ad.doubleclick.net/x/a.jpg>",
        "<img src='/count?type=1x1'>",
        "<nav><img src=a.jpg><a href=/>Home</a></nav>",
        "<aside><a href=/1><img src=a.jpg> Another story</a> <a href=/2>And one more</a></aside>",
    ],
)
def test_pictures_that_are_not_content(html: str) -> None:
    assert names(html) == []


def test_a_picture_far_from_the_content_is_none_of_it() -> None:
    far = "<footer><p>" + "Imprint and terms. " * 30 + "</p></footer><img src=far.jpg>"
    page = f"<body><img src=logo.jpg><nav>{'<a href=/x>Menu point</a> ' * 30}</nav><main>{WORDS * 5}</main>{far}"
    assert document(page, EXTRACT).images == ()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://h.example/img/photo-of-an-iconic-house.jpg", ""),
        ("https://h.example/img/avatar_small.jpg", "avatar"),
        ("https://pixel.example/photo.jpg", ""),
        ("https://x.adnxs.com/photo.jpg", "advert"),
        ("data:image/png;base64,AAAA", ""),
    ],
)
def test_addresses_are_judged_by_whole_words(address: str, reason: str) -> None:
    assert file_reason(address) == reason


def test_an_empty_figure_names_the_picture_that_a_script_puts_there() -> None:
    item = (
        '<figure itemscope itemtype="http://schema.org/ImageObject" itemid="/p/a.jpg?w=9"><figcaption>Cap</figcaption>'
    )
    (found,) = document(f"<main>{WORDS}{item}</figure>{NEAR}</main>").images
    assert (found.url, found.caption) == ("https://site.example/p/a.jpg?w=9", "Cap")
    assert names("<figure data-picture=/p/b.webp></figure>") == ["b.webp"]
    assert names("<figure data-picture=/p/b.webp><img src=a.jpg></figure>") == ["a.jpg"]
    assert names("<figure></figure>") == []


def test_of_copies_in_several_sizes_the_first_is_kept() -> None:
    html = "<img src=/w800/DSC00889.jpg><p>Words between them, some.</p><img src=/w1600/DSC00889.jpg><img src=/b/1.jpg>"
    assert names(html + "<img src=/c/1.jpg>") == ["DSC00889.jpg", "1.jpg", "1.jpg"]


def test_of_one_picture_in_several_places_the_first_in_the_text_is_kept() -> None:
    html = "<img src=a.jpg><img src=b.jpg><p>One two three.</p><img src=b.jpg><p>Four.</p><img src=b.jpg>"
    assert marked(html, EXTRACT).split() == ["{a.jpg}One", "two", "three.", "{b.jpg}Four."]


def test_a_preview_and_its_twin_deeper_in_the_figure() -> None:
    html = """<figure><div><div><img src=tiny.jpg?q=20></div><img><noscript><img src=full.jpg></noscript></div>
        <figcaption>Cap</figcaption></figure>"""
    assert names(html) == ["full.jpg"]


def test_a_credit_is_no_part_of_a_caption() -> None:
    found = image("""<figure><img src=a.jpg><figcaption>The bay at dawn. <span class=photo-credit>Ann Sailor</span>
        <span itemprop=copyrightHolder>The Gazette</span></figcaption></figure>""")
    assert found.caption == "The bay at dawn."


def png(side: int) -> str:
    data = BytesIO()
    Picture.new("RGB", (side, side)).save(data, "png")
    return "data:image/png;base64," + b64encode(data.getvalue()).decode()


def test_pictures_in_the_page_itself_by_configuration() -> None:
    large, small = png(60), png(10)
    html = f"<p>words</p><img src='{large}'><img src='{small}'><img src='{large}' data-src=a.jpg>"
    assert [found.url for found in document(html, replace(FULL, data_images=True)).images] == [
        large,
        "https://site.example/a/a.jpg",
    ]
    assert [found.url for found in document(html).images] == ["https://site.example/a/a.jpg"]


def test_other_pictures_by_configuration() -> None:
    head = '<meta property="og:image" content="/og.jpg"><meta property="og:image:alt" content="The bay">'
    html = f"""{head}<p>words</p><video poster=film.jpg src=film.mp4></video>
        <div style="color: red; background: #fff url('back.jpg') no-repeat">more words</div>"""
    assert document(html).images == ()
    both = document(html, replace(FULL, posters=True, backgrounds=True, page_image=True)).images
    assert [found.url.rsplit("/", 1)[-1] for found in both] == ["film.jpg", "back.jpg"]
    only = document(html, replace(FULL, page_image=True))
    assert only.slots[0] == Image(url="https://site.example/og.jpg", alt="The bay")
