"""Videos of pages: which address, which texts, which are one."""

import json
from typing import Any

import pytest
from extract_page import PAGES, URL, parsed
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.videos.videos import find_videos
from schemas.document import Document, Subtitles, Video
from schemas.shard import document_from_json, sample_json

BASE = "https://site.example/a/"
MANY = 20_000


def found(html: str) -> list[Document]:
    page = parsed(html)
    assert isinstance(page, ParsedPage), page
    return find_videos(page)


def videos(html: str) -> list[Video]:
    media = []
    for document in found(html):
        (video,) = document.slots
        assert isinstance(video, Video) and video.url == document.url
        media.append(video)
    return media


def urls(html: str) -> list[str]:
    """Addresses, relative to the page."""
    return [video.url.removeprefix(BASE) for video in videos(html)]


def only(html: str) -> Video:
    (video,) = videos(html)
    return video


def linked_data(value: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def test_a_video_is_a_clip_without_times_that_names_its_page() -> None:
    page = parsed('<video src="a.mp4"></video>')
    assert isinstance(page, ParsedPage)
    url = BASE + "a.mp4"
    assert find_videos(page) == [
        Document(kind="clip", url=url, page_url=URL, slots=(Video(url=url),), source=page.source)
    ]


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<video src="a.mp4"></video>', ["a.mp4"]),
        ('<video src="/watch?id=7"></video>', ["https://site.example/watch?id=7"]),
        ('<video controls><source src="a.webm"><source src="a.mp4"></video>', ["a.webm"]),
        ('<video src="a.mp4"><source src="b.webm" type="video/webm"></video>', ["a.mp4"]),
        ('<video src="/stream/1"><source src="b.webm" type="video/webm"></video>', ["https://site.example/stream/1"]),
        ('<amp-video src="a.mp4" layout="responsive"></amp-video>', ["a.mp4"]),
        ("<video src='a.mp4#t=0.1'></video>", ["a.mp4"]),
        # a type that is none of ours is passed over, whatever the file is called; one of ours may have any name
        ('<video><source src="a.mp4" type="application/x-mpegURL"><source src="b.webm"></video>', ["b.webm"]),
        ('<video><source src="a.flv" type="video/x-flv"></video>', []),
        ("<video><source src='get?1' type='video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"'></video>", ["get?1"]),
        ('<video><source src="a.ogg" type="VIDEO/OGG"></video>', ["a.ogg"]),
        # what browsers play, before other video files, before what says nothing of itself
        ('<video><source src="a.avi"><source src="a.mkv"></video>', ["a.mkv"]),
        ('<video><source src="a.mov" type="video/quicktime"><source src="a.ogv"></video>', ["a.ogv"]),
        ('<video><source src="a.flv"><source src="get?1"><source src="a.mov"></video>', ["a.mov"]),
        ('<video><source src="get?1"><source src="get?2"></video>', ["get?1"]),
        # manifests and what a script makes: another source is taken, or none
        ('<video src="a.m3u8"></video>', []),
        ('<video src="a.mpd?x=b.mp4" type="video/mp4"></video>', []),
        ('<video src="blob:https://site.example/1"><source src="a.mp4"></video>', ["a.mp4"]),
        ('<video src="data:video/mp4;base64,AAAA"></video>', []),
        ('<video src="ftp://site.example/a.mp4"></video>', []),
        ('<video src=""></video><video src="#"></video><video></video>', []),
        # lazy players
        ('<video class="lazy"><source data-src="a.mp4" type="video/mp4"></video>', ["a.mp4"]),
        ('<video data-src="a.mp4#t=1"></video><video data-src="{player}"></video>', ["a.mp4"]),
        # a <source> of something else
        ('<picture><source src="a.mp4"></picture><audio><source src="b.mp4"></audio>', []),
    ],
)
def test_which_source_of_a_video_is_taken(html: str, expected: list[str]) -> None:
    assert urls(html) == expected


@pytest.mark.parametrize("extension", ["mp4", "m4v", "webm", "ogv", "mkv", "mov", "avi", "MP4"])
def test_links_objects_and_embeds_name_files(extension: str) -> None:
    name = f"a.{extension}"
    assert urls(f'<a href="{name}">film</a>') == [name]
    assert urls(f'<object data="{name}?x=1"></object>') == [f"{name}?x=1"]
    assert urls(f'<embed src="{name}" type="application/x-mplayer2">') == [name]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="a.html">film</a>',
        '<a href="player?file=a.mp4">film</a>',
        '<a href="player.html#a.mp4">film</a>',
        '<a href="a.m3u8">film</a>',
        '<a href="a.mp4" type="text/html">film</a>',
        "<a href=\"javascript:play('a.mp4')\">film</a>",
        '<a href="/wiki/File:Eruption.webm">film</a>',
        '<a name="a.mp4">film</a>',
        '<object data="player.swf?file=a.mp4" type="application/x-shockwave-flash"></object>',
        '<iframe src="https://videos.example/embed/1.mp4"></iframe>',
        '<embed src="https://videos.example/v/1" type="application/x-shockwave-flash">',
        '<template><video src="a.mp4"></video><a href="b.mp4">b</a></template>',
    ],
)
def test_what_is_no_video_file(html: str) -> None:
    assert urls(html + '<video src="last.mp4"></video>') == ["last.mp4"]


def test_a_type_says_what_a_mute_name_does_not() -> None:
    assert urls('<a href="get?1" type="video/webm">film</a>') == ["get?1"]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://media.example/v/", "https://media.example/v/a%20b.mp4"),
        ("../other/", "https://site.example/other/a%20b.mp4"),
    ],
)
def test_addresses_are_joined_with_the_base(base: str, expected: str) -> None:
    html = f"""<base href="{base}"><video src="a b.mp4"><track src="a b.mp4"></video>
        {linked_data({"@type": "VideoObject", "contentUrl": "a b.mp4"})}"""
    video = only(html)
    assert video.url == expected
    assert [track.url for track in video.subtitles] == [expected]


def test_fallbacks_are_the_same_video() -> None:
    assert urls("""<video><source src="a.webm" type="video/webm"><source src="a.mp4">
        <object data="player.swf"><embed src="a.mov"><a href="a.avi">Download</a></object></video>
        <a href="a.mp4">as MP4</a><a href="a.avi">as AVI</a><a href="b.mp4">another</a>""") == ["a.webm", "b.mp4"]
    assert urls('<object data="a.mov"><embed src="a.mov"><a href="b.mov">b</a></object>') == ["a.mov"]


def test_a_player_that_names_nothing_leaves_it_to_its_fallback() -> None:
    video = only("""<object data="player.swf"><param name="movie" value="player.swf">
        <video><source src="a.m3u8">Your browser does not play it. <a href="a.mp4">Download</a></video></object>""")
    assert video == Video(url=BASE + "a.mp4")


def test_what_follows_an_embed_is_not_in_it() -> None:
    assert urls('<p><embed src="a.mp4"> and <a href="b.mp4">b</a><video src="c.mp4"></video>') == [
        "a.mp4",
        "b.mp4",
        "c.mp4",
    ]


def test_elements_come_in_reading_order_and_each_address_once() -> None:
    assert urls("""<head><meta property="og:video" content="m.mp4"><meta property="og:video" content="c.mp4">
        <script type="application/ld+json">{"@type": "VideoObject", "contentUrl": "l.mp4"}</script></head>
        <a href="c.mp4">c</a><video src="b.mp4"></video><video src="b.mp4"></video>
        <figure><a href="a.mp4"><video src="preview.mp4"></video></a></figure><a href="#">none</a>
        """) == ["c.mp4", "b.mp4", "a.mp4", "preview.mp4", "l.mp4", "m.mp4"]


# --- texts -----------------------------------------------------------------------------------------------------------


def test_titles_of_elements() -> None:
    assert only('<video src="a.mp4" title=" The\u00a0film " aria-label="Player">').title == "The film"
    assert only('<video src="a.mp4" aria-label="The film">').title == "The film"
    assert only('<a href="a.mp4" title="The film">here</a>').title == "The film"
    assert only("<title>The page</title><video src=a.mp4></video>").title == ""


@pytest.mark.parametrize(
    ("html", "caption"),
    [
        ('<figure><video src="a.mp4"></video><figcaption>A <b>cat</b> runs.</figcaption></figure>', "A cat runs."),
        ('<figure><figcaption>Before</figcaption><div><video src="a.mp4"></video></div></figure>', "Before"),
        ('<figure><video src="a.mp4"></video><div><figcaption><p>One</p><p>Two</p></figcaption></div>', "One Two"),
        ('<figure><video src="a.mp4"></video><figcaption>First</figcaption><figcaption>Second', "First"),
        ('<figure><figure><video src="a.mp4"></video></figure><figcaption>Of both</figcaption></figure>', ""),
        ('<figure><figcaption>Of another</figcaption></figure><video src="a.mp4"></video>', ""),
        ('<figcaption>Of none</figcaption><video src="a.mp4"></video>', ""),
        ('<figure><a href="a.mp4">Link</a><figcaption>Caption</figcaption></figure>', "Caption"),
        ('<figure><embed src="a.mp4"><figcaption>Caption</figcaption></figure>', "Caption"),
        ('See <a href="a.mp4">the <i>eruption</i><script>play()</script> of 1997</a>.', "the eruption of 1997"),
        ('<a href="a.mp4"><img src="a.jpg" alt="words"></a><a href="a.mp4">The eruption</a>', "The eruption"),
        # beside a player a link only says what it does
        ('<video src="a.mp4"></video><a href="a.mp4">Download</a>', ""),
        ('<a href="a.mp4">Download</a><video src="a.mp4"></video>', ""),
        # what only browsers without <video> would show
        ('<video src="a.mp4">Your browser does not support the video tag.</video>', ""),
        ('<figure><video src="a.mp4">Sorry!</video><figcaption><video>Sorry!</video>Cat</figcaption></figure>', "Cat"),
    ],
)
def test_captions(html: str, caption: str) -> None:
    assert only(html).caption == caption


def test_a_figure_captions_all_its_videos() -> None:
    html = "<figure><video src=a.mp4></video><video src=b.mp4></video><figcaption>Before and after</figcaption>"
    assert [video.caption for video in videos(html)] == ["Before and after"] * 2


def test_a_link_ends_where_the_next_begins() -> None:
    html = '<a href="a.mp4">one <div><a href="b.mp4">two</a></div>'
    assert [video.caption for video in videos(html)] == ["one", "two"]


DESCRIBED = '<meta name="description" content="Of &amp; on the page"><meta property="og:description" content="Other">'


def test_the_page_describes_its_only_video() -> None:
    assert only(f"{DESCRIBED}<video src=a.mp4></video>").description == "Of & on the page"
    assert only('<meta property="og:description" content="O"><video src=a.mp4></video>').description == "O"
    both = videos(f"{DESCRIBED}<video src=a.mp4></video><video src=b.mp4></video>")
    assert [video.description for video in both] == ["", ""]
    own = linked_data({"@type": "VideoObject", "contentUrl": "a.mp4", "description": "Its own"})
    assert only(f"{DESCRIBED}<video src=a.mp4></video>{own}").description == "Its own"


# --- subtitles -------------------------------------------------------------------------------------------------------


def test_tracks() -> None:
    video = only("""<video><source src="a.mp4">
        <track kind="captions" src="en.vtt" srclang="en" label="English" default>
        <track src="pt.srt" srclang=" pt-BR ">
        <track kind="DESCRIPTIONS" src="d.vtt">
        <track kind="subtitles" src="en.vtt" srclang="fr">
        <track kind="chapters" src="c.vtt" srclang="en">
        <track kind="metadata" src="m.vtt"><track kind="no such kind" src="n.vtt"><track kind="captions" srclang="en">
        <track src="data:text/vtt,WEBVTT"></video>""")
    assert video.subtitles == (
        Subtitles(url=BASE + "en.vtt", language="en", kind="captions"),
        Subtitles(url=BASE + "pt.srt", language="pt-BR", kind="subtitles"),
        Subtitles(url=BASE + "d.vtt", kind="descriptions"),
    )


def test_tracks_belong_to_their_video() -> None:
    first, second = videos("""<video src="a.mp4"><track src="a.vtt"></video><track src="lost.vtt">
        <video src="b.mp4"><track src="b.vtt"></video>""")
    assert [track.url for track in first.subtitles] == [BASE + "a.vtt"]
    assert [track.url for track in second.subtitles] == [BASE + "b.vtt"]


# --- linked data and metas -------------------------------------------------------------------------------------------

VIDEO_OBJECT = {
    "@context": "https://schema.org",
    "@type": "VideoObject",
    "name": "Kilauea &amp; its lava",
    "description": "Lava\nflows\u00a0into the sea.",
    "caption": "Here we see",
    "contentUrl": "https://media.example/k.mp4",
    "embedUrl": "https://videos.example/embed/1",
}


@pytest.mark.parametrize(
    "value",
    [
        VIDEO_OBJECT,
        [{"@type": "Organization"}, VIDEO_OBJECT],
        {"@graph": [{"@type": "WebPage", "video": {"@id": "#v"}}, {**VIDEO_OBJECT, "@id": "#v"}]},
        {"@type": "Article", "video": [VIDEO_OBJECT]},
        {**VIDEO_OBJECT, "@type": ["Clip", "http://schema.org/VideoObject"], "name": ["Kilauea & its lava", "x"]},
        {**VIDEO_OBJECT, "name": {"@value": "Kilauea & its lava", "@language": "en"}},
    ],
)
def test_linked_data(value: Any) -> None:
    assert only(linked_data(value)) == Video(
        url="https://media.example/k.mp4",
        title="Kilauea & its lava",
        caption="Here we see",
        description="Lava flows into the sea.",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"contentUrl": "https://videos.example/watch?v=1"},
        {"contentUrl": "https://media.example/k.m3u8", "encodingFormat": "video/mp4"},
        {"contentUrl": None},
        {"contentUrl": {"url": "k.mp4"}},
        {"@type": "ImageObject"},
        {"@type": 7},
    ],
)
def test_linked_data_that_names_no_video_file(change: dict[str, Any]) -> None:
    assert videos(linked_data({**VIDEO_OBJECT, **change})) == []


def test_linked_data_says_more_of_a_video_on_the_page() -> None:
    video = only(
        """<figure><video title="The film"><source src="a.webm"><source src="a.mp4"><track src="a.vtt"></video>
        <figcaption>Seen</figcaption></figure>"""
        + linked_data({"@type": "VideoObject", "contentUrl": "a.mp4", "name": "Name", "caption": "Said"})
        + linked_data({"@type": "VideoObject", "contentUrl": "a.mp4", "description": "Told"})
    )
    assert (video.url, video.title, video.caption, video.description) == (BASE + "a.webm", "The film", "Seen", "Told")
    assert len(video.subtitles) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<!-- {"@type": "VideoObject", "contentUrl": "a.mp4"} -->',
        '//<![CDATA[\n[{"@type": "VideoObject",\n"contentUrl": "a.mp4", "name": "a\tb"}];\n//]]>',
        '{"@type": "VideoObject", "contentUrl": "a.mp4", "encodingFormat": "video/mp4", "name": "\\ud83c"}',
    ],
)
def test_linked_data_as_pages_write_it(text: str) -> None:
    assert urls(f'<script type="application/ld+json; charset=utf-8">{text}</script>') == ["a.mp4"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "]", "}{", "nothing", "[" + "1" * 5000 + "]", "[" * MANY, "[" * MANY + "]" * MANY),
        '{"@type": "VideoObject", "contentUrl": "a.mp4",}',
    ],
    ids=lambda text: text[:10],
)
def test_linked_data_that_is_no_json(text: str) -> None:
    assert urls(f'<script type="application/ld+json">{text}</script><video src="b.mp4"></video>') == ["b.mp4"]


@pytest.mark.parametrize(
    ("metas", "expected"),
    [
        ([("og:video", "a.mp4")], ["a.mp4"]),
        ([("og:video", "http://site.example/a.mp4"), ("og:video:secure_url", BASE + "a.mp4")], ["a.mp4"]),
        ([("og:video:type", "video/mp4"), ("og:video:url", "get?1")], ["get?1"]),
        ([("og:video", "a.mp4"), ("og:video:type", "video/mp4"), ("og:video", "b.webm")], ["a.mp4", "b.webm"]),
        ([("og:video", "a.mp4"), ("og:video:url", "a.mp4")], ["a.mp4"]),
        ([("og:video:url", "/embed/1"), ("og:video:type", "text/html")], []),
        ([("og:video", "get?1")], []),
        ([("og:video", "a.m3u8"), ("og:video:type", "video/mp4")], []),
        ([("twitter:player", "/embed/1"), ("twitter:player:stream", "a.mp4")], ["a.mp4"]),
        ([("twitter:player:stream", "get?1"), ("twitter:player:stream:content_type", "video/mp4")], ["get?1"]),
        ([("twitter:player:stream", "get?1"), ("og:video:type", "video/mp4")], []),
        ([("twitter:player:stream", "a.mp4"), ("og:video", "a.mp4")], ["a.mp4"]),
    ],
)
def test_metas(metas: list[tuple[str, str]], expected: list[str]) -> None:
    html = "".join(f'<meta property="{name}" content="{content}">' for name, content in metas)
    assert urls(html) == expected
    assert urls(html.replace("property=", "name=")) == expected


def test_the_video_that_stands_for_the_page_has_its_title() -> None:
    meta = '<meta property="og:video" content="a.mp4">'
    titles = '<meta property="og:title" content="Lava"><title>Lava | Site</title>'
    assert only(meta + titles).title == "Lava"
    assert only(meta + "<title>Lava | Site</title>").title == "Lava | Site"
    assert [video.title for video in videos(meta + titles + "<video src=b.mp4></video>")] == ["", "Lava"]
    assert only(meta + titles + "<video src=a.mp4></video>").title == "Lava"
    assert only(meta + titles + '<video src="a.mp4" title="Own"></video>').title == "Own"


def test_a_page_of_a_wiki() -> None:
    """The markup of MediaWiki with its player for videos."""
    video = only("""<figure typeof="mw:File/Thumb"><span><video poster="//up.example/t.jpg" controls width="220"
        data-mwtitle="Io.webm" resource="/wiki/File:Io.webm">
        <source src="//up.example/t/Io.webm.480p.vp9.webm" type='video/webm; codecs="vp9, opus"' data-height="480">
        <source src="//up.example/Io.webm" type='video/webm; codecs="vp8, vorbis"'>
        <track src="https://c.example/w/api.php?action=timedtext&amp;lang=de&amp;trackformat=vtt" kind="subtitles"
        type="text/vtt" srclang="de" label="Deutsch"></video></span>
        <figcaption><a href="/wiki/Io">Io</a> turns.</figcaption></figure><a href="/wiki/File:Io.webm">File</a>""")
    assert video == Video(
        url="https://up.example/t/Io.webm.480p.vp9.webm",
        caption="Io turns.",
        subtitles=(
            Subtitles(
                url="https://c.example/w/api.php?action=timedtext&lang=de&trackformat=vtt",
                language="de",
                kind="subtitles",
            ),
        ),
    )


# --- any page --------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ['<video src="a.mp4">', "<video src=b.webm title=t>", "<source src=c.mp4 type=video/mp4>",
     "<source data-src=d.mov>", "<track src=e.vtt>", "<track kind=captions srclang=en>", "<a href=f.mkv>",
     "<a href=/x.avi?y>", "<object data=i.mp4>", '<a href="//[::1/g.mp4">', '<a href="http:h.mp4">',
     "<embed src=j.ogv>", "<video>", "</video>", "<source>", "</a>", "</object>", "<figure>", "</figure>",
     "<figcaption>", "</figcaption>", "<template>", "</template>", "<noscript>", "</noscript>", "<p>", "</p>",
     "<table>", "<td>", "</table>", "words", "&lt;", "<svg>", "</svg>", "</body>", "</html>",
     "<base href=//b.example/v/>", '<base href=":">', "<title>", "</title>", "<!--", "-->", "<![CDATA[", "]]>",
     "<meta property=og:video content=k.mp4>", "<meta property=og:video:type content=video/mp4>",
     "<meta property=og:video:url content=l>", "<meta name=description content=z>",
     "<script type=application/ld+json>", '{"@type":"VideoObject","contentUrl":"m.mp4","name":"\\ud800"}', "[", "{",
     "}", "]", "</script>"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["VideoObject", "a.mp4"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(list(VIDEO_OBJECT)), inner, max_size=4)
        | inner.map(lambda value: {**VIDEO_OBJECT, "name": value, "contentUrl": value})
    ),
    max_leaves=8,
)


def check(documents: list[Document]) -> None:
    """Each is written to a shard and read back, each address once, each http(s)."""
    for document in documents:
        assert document.url.startswith(("http://", "https://"))
        assert document_from_json(json.loads(json.dumps(sample_json(document)).encode())) == document
        json.dumps(sample_json(document), ensure_ascii=False).encode()
    assert len({document.url for document in documents}) == len(documents)


@given(st.lists(PIECES | st.text(max_size=10), max_size=30).map("".join))
@settings(deadline=None)
def test_any_markup_has_an_answer(html: str) -> None:
    page = parsed(html)
    if isinstance(page, ParsedPage):
        check(find_videos(page))


@given(VALUES)
@settings(deadline=None)
def test_any_linked_data_has_an_answer(value: Any) -> None:
    check(found(linked_data(value).replace("</scr", "") + "<video src=z.mp4></video>"))


@given(st.text(max_size=40))
def test_any_address_is_http_or_nothing(raw: str) -> None:
    raw = raw.replace('"', "").replace("&", "").replace("\r", "")
    check(found(f'<video src="{raw}"><track src="{raw}"></video><a href="{raw}.mp4">{raw}</a>'))


@pytest.mark.parametrize("name", ["article.html", "divs.html", "forum.html", "listing.html"])
def test_pages_without_videos_have_none(name: str) -> None:
    assert videos((PAGES / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("html", "count"),
    [
        ("<video src=a.mp4>" * 900, 1),
        ("<object data=a.swf>" * 900 + "".join(f"<a href={i}.mp4>w</a>" for i in range(MANY)), MANY),
        ("<video>" * 900 + "<source src=a.flv type=video/x-flv>" * MANY, 0),
        ("<video>" + "".join(f"<source src={i}.mp4>" for i in range(MANY)) + "<track src=a.vtt>" * MANY, 1),
        ("<figure>" * 900 + "<video src=a.mp4></video>" * MANY + "<figcaption>" + "w " * MANY, 1),
        ("<figure>" + "".join(f"<video src={i}.mp4></video>" for i in range(MANY)) + "<figcaption>" + "w" * MANY, MANY),
        ("".join(f"<figure><video src={i}.mp4></video><figcaption>" for i in range(450)) + "w " * 1_000_000, 450),
        ("".join(f"<div><a href={i}.mp4>" for i in range(450)) + "w " * 1_000_000, 450),
        ("<base href=" + "a/" * MANY + ">" + "".join(f"<a href={i}.mp4>w</a>" for i in range(MANY)), 0),
        (linked_data([VIDEO_OBJECT] * MANY), 1),
        ("<meta property=og:video content=a.mp4>" * MANY, 1),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_hostile_pages_get_an_answer(html: str, count: int) -> None:
    """What bounds them is the time limit of the test run."""
    assert len(found(html)) == count
