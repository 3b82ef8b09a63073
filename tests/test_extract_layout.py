import pytest
from extract_page import EXTRACT, document, marked, text
from hypothesis import given
from hypothesis import strategies as st

from schemas.document import Text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h1>Head</h1><p>One</p><p>Two</p>", "Head\n\nOne\n\nTwo"),
        ("<div>One</div><div>Two</div>", "One\nTwo"),
        (f"<div>{'word ' * 30}</div><div>Two</div>", f"{('word ' * 30).strip()}\n\nTwo"),
        ("a<br>b<br/>c<BR />d</br>e<br clear='all'>f", "a\nb\nc\nd\ne\nf"),
        ("a<br><br>b<br>\n<br>\n<br>c", "a\n\nb\n\nc"),
        ("<p>un<b>believ</b>able <i>in</i> <u>deed</u>.</p>", "unbelievable in deed."),
        ("<p>one<span> two </span>three</p>", "one two three"),
        ("<p>super<wbr>long</p>", "superlong"),
        ("<p>a<!-- c -->b<?php x ?>c</p>", "abc"),
        ("<p>a\n\t  b&nbsp;&nbsp;c\u3000d\u2028e</p>", "a b c d e"),
        ("<p>&lt;b&gt; &amp;amp; &eacute; &#8212; &#x1F600; &bogus;</p>", "<b> &amp; \u00e9 \u2014 \U0001f600 &bogus;"),
        ("<p>&#146;t&#150;s</p>", "\u2019t\u2013s"),
        ("<p>a\x00b\x07c\u00ad\ufeffd</p>", "abcd"),
        ("<p>\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645</p>", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("<ul><li>One<li>Two</ul>after", "- One\n- Two\n\nafter"),
        ("<ul><li><p>One</p><p>more</p></li><li><div>Two</div></li></ul>", "- One\nmore\n- Two"),
        ("<ol><li>One</li><li>Two</li></ol>", "1. One\n2. Two"),
        ("<ol start=3><li>c</li><li value=7>g</li><li>h</li></ol>", "3. c\n7. g\n8. h"),
        ("<ol reversed><li>x</li><li>y</li></ol>", "2. x\n1. y"),
        ("<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>", "- a\n- b\n- c\n- d"),
        ("<ul><li></li><li>a</li></ul><p>b</p>", "- a\n\nb"),
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>after", "A | B\n1 | 2\n\nafter"),
        ("<table><tr><td>a</td><td></td><td>c</td></tr><tr><td></td><td>b</td></tr></table>", "a |  | c\n| b"),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c<br>d</td></tr></table>", "a b | c d"),
        ("<table role=presentation><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("<table><tr><td>a</td><td><table><tr><td>b</td><td>c</td></tr></table></td></tr></table>", "a\n\nb | c"),
        (f"<table><tr><td>menu</td><td>{'word ' * 101}</td></tr></table>", f"menu\n\n{('word ' * 101).strip()}"),
        ("<p>x</p><pre>\n  if a:\n      b\n\n\n  <b>c</b> d\n</pre><p>y</p>", "x\n\n  if a:\n      b\n\n\n  c d\n\ny"),
        ("<pre><code>a\r\n\tb</code></pre>", "a\n\tb"),
        ("<p>run <code>a  b</code> now</p>", "run a b now"),
        ("<dl><dt>T</dt><dd>D</dd></dl>", "T\nD"),
        ("<blockquote><p>q</p></blockquote>r", "q\n\nr"),
        ("a<hr>b", "a\n\nb"),
    ],
)
def test_text_reads_as_the_page(html: str, expected: str) -> None:
    assert text(html) == expected


def test_code_whose_names_link_to_their_documentation_is_kept() -> None:
    code = "".join(f'<a href="api.html#f{n}"><span>module.function{n}</span></a>(x)\n' for n in range(5))
    around = f"<p>{'of words ' * 60}</p>"
    page = f'<main>{around}<div class="highlight"><pre>{code}</pre></div>{around}</main>'
    assert "module.function3(x)" in text(page, EXTRACT)


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>no</p>",
        '<p aria-hidden="true">no</p>',
        '<p style="color:red; DISPLAY : none">no</p>',
        '<p style="visibility:hidden">no</p>',
        '<p class="a sr-only">no</p>',
        "<template><p>no</p></template>",
        "<script>no</script><style>no</style>",
        "<noscript><p>no</p></noscript>",
        "<select><option>no</select><textarea>no</textarea><button>no</button>",
        "<svg><title>no</title><text>no</text></svg>",
        "<iframe>no</iframe><object>no</object><video>no</video>",
    ],
)
def test_hidden_content_is_left_out_and_the_text_after_it_is_not(hidden: str) -> None:
    assert text(f"<div>before {hidden} after</div>").split() == ["before", "after"]


def test_a_page_that_a_script_unveils_is_read() -> None:
    words = "A sentence of the page that is there all the time. " * 40
    assert text(f'<div style="visibility:hidden"><p>{words}</p></div>') == words.strip()
    assert text(f"<p>Please turn on scripts.</p><noscript><p>{words}</p></noscript>").endswith(words.strip())
    assert text(f'<p>start</p><div hidden id="S:1"><p>{words}</p></div>') == f"start\n\n{words.strip()}"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One</p><img src=a.png><p>Two</p>", "One\n\n{a.png}Two"),
        ("<p>One <img src=a.png> two</p><p>Three</p>", "One{a.png} two\n\nThree"),
        ("<p>One<img src=a.png>two</p>", "One{a.png}two"),
        ("<p>One <img src=a.png></p><p>Two</p>", "One{a.png}\n\nTwo"),
        ("<p>One</p><p><img src=a.png></p><p><img src=b.png></p><p>Two</p>", "One\n\n{a.png}{b.png}Two"),
        ("<img src=a.png><p>One</p><img src=b.png>", "{a.png}One\n\n{b.png}"),
        ("<p>x</p><figure><img src=a.png><figcaption>Cap</figcaption></figure><p>y</p>", "x\n\n{a.png}Cap\n\ny"),
        ("<p>x</p><figure><figcaption>Cap</figcaption><div><img src=a.png></div></figure><p>y</p>",
         "x\n\n{a.png}Cap\n\ny"),
        ("<ul><li><img src=a.png> One</li><li>Two <img src=b.png></li></ul>", "{a.png}- One\n- Two{b.png}"),
        ("<table><tr><td><img src=a.png></td><td>Note</td></tr><tr><td>x</td><td>y</td></tr></table>",
         "{a.png}Note\nx | y"),
        ("<p>x</p><img data-src=a.png src=blank.gif><noscript><img src=a.png></noscript><p>y</p>", "x\n\n{a.png}y"),
        ("<p>x</p><img src=small.jpg><noscript><img src=large.jpg></noscript><p>y</p>", "x\n\n{large.jpg}y"),
        ("<p>x</p><noscript><img src=a.png></noscript><img data-src=a.png><p>y</p>", "x\n\n{a.png}y"),
        ("<p>x<img data-src=a.png><noscript><img src=a.png></noscript>"
         "<img data-src=b.png><noscript><img src=b.png></noscript></p>", "x{a.png}{b.png}"),
        ("<p>x<img src=a.png><noscript><img src=count.gif width=1 height=1></noscript></p>", "x{a.png}{count.gif}"),
        ("<p>x</p><noscript><img src=a.png></noscript>", "x\n\n{a.png}"),
        ("<p>x</p><picture><source srcset=b.png><img src=a.png></picture><p>y</p>", "x\n\n{b.png}y"),
        ("<p>x</p><img src=a.png><img src=a.png><p>y</p><img src=a.png>", "x\n\n{a.png}y\n\n{a.png}"),
        ("<p>x <span hidden><img src=a.png></span>y</p>", "x y"),
        ("<p>x <img src=a.png aria-hidden=true> y</p>", "x{a.png} y"),
    ],
)  # fmt: skip
def test_an_image_stands_between_the_words_around_it(html: str, expected: str) -> None:
    assert marked(html) == expected


def test_what_the_page_says_of_a_picture_is_kept() -> None:
    html = (
        """<p>x</p><figure><img src="a.png" alt=" A&nbsp;cat " title="T"><div><figcaption>By <b>me</b>
    </figcaption></div></figure><div class="wp-caption alignleft"><img src="b.png">
    <p class="wp-caption-text">Second</p></div><p class="caption-text">Not one.</p><img src="c.png">"""
        + "<p>long text</p>" * 9
    )
    first, second, third = document(html).images
    assert (first.alt, first.title, first.caption) == ("A cat", "T", "By me")
    assert second.caption == "Second"
    assert third.caption == ""


def test_a_caption_by_its_class() -> None:
    html = "<p>x</p><div class=figure><a href=a.png><img src=a.png></a><p class=caption>Figure 1</p></div><p>y</p>"
    assert [image.caption for image in document(html).images] == ["Figure 1"]


def test_an_inner_figure_has_its_own_caption() -> None:
    html = """<p>x</p><figure><figure><img src=a.png><figcaption>One</figcaption></figure>
    <figure><img src=b.png></figure><figcaption>All</figcaption></figure>"""
    assert [image.caption for image in document(html).images] == ["One", ""]


PIECES = st.lists(
    st.sampled_from(["w ", "x", " y", "<b>z</b>", "<br>", "<p>p</p>", "<img src=i.png>", "<ul><li>l</ul>",
                     "<pre>q\n</pre>",
                     "<table><tr><td>c<td>d</table>", "<div>v</div>", "&nbsp;", "<figure><img src=j.png></figure>"]),
    max_size=30,
)  # fmt: skip


@given(PIECES)
def test_texts_join_to_the_page_without_its_pictures(pieces: list[str]) -> None:
    with_images = document("<p>start</p>" + "".join(pieces))
    assert "\n\n\n" not in with_images.text
    assert with_images.text == with_images.text.lstrip()
    assert all(slot.text for slot in with_images.slots if isinstance(slot, Text))
    without = document("<p>start</p>" + "".join(piece.replace("<img src=i.png>", "<wbr>") for piece in pieces))
    assert with_images.text.split() == without.text.split()
