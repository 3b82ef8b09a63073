"""The HTML reader: the tree of a page, its bounds, and that it is the same compiled and as plain Python."""

import gzip
import random
import re
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pytest
from bs4 import BeautifulSoup
from crawls import records
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_python import in_plain_python

from pipelines.extract.html import html_reader, tags
from pipelines.extract.html.html_reader import parse_tree
from pipelines.extract.html.page_tree import PageTree
from schemas.rejection import Rejected

ROOT = Path(__file__).parents[1]
MANY = 200_000


@dataclass(frozen=True)
class Limits:
    max_chars: int = 10_000_000
    max_elements: int = 5_000_000
    max_depth: int = 1000
    max_attributes: int = 256


def read(html: str | bytes, **limits: int) -> PageTree:
    tree = parse_tree(html if isinstance(html, bytes) else html.encode(), Limits(**limits))
    assert isinstance(tree, PageTree), tree
    return tree


def shown(html: str | bytes) -> str:
    """What hangs under <html>: elements as name(...), their attributes in brackets, texts as they are."""
    tree = read(html)
    parts = []
    ends: list[int] = []
    for node in range(1, len(tree)):
        while ends and ends[-1] == node:
            parts.append(")")
            ends.pop()
        if tree.tags[node] == tags.TEXT:
            parts.append(tree.text(node))
            continue
        attributes = ",".join(f"{name}={value}" for name, value in tree.attributes(node).items())
        parts.append(tree.name(node) + (f"[{attributes}]" if attributes else "") + "(")
        ends.append(tree.ends[node])
    return "".join(parts) + ")" * len(ends)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("a < b <> </> </ x>c<3", "a < b <> c<3"),
        ("a<!-->b<!--->c<!-- x --!>d<!-- - -- > -->e<!---->f<!-- open", "abcdef"),
        ("a<!x>b<?php y ?>c<![CDATA[d]]>e<!DOCTYPE html>f", "abcef"),
        ("<svg><![CDATA[<b>]]></svg>", "svg(<b>)"),
        ("<b a=1 B='2' c=\"3\"d e=/f/g =h='i' a=9>x</b y='>'>z", "b[a=1,b=2,c=3,d=,e=/f/g,=h=i](x)z"),
        ("<b a = 'x>y' c= d/>z", "b[a=x>y,c=d/](z)"),
        ("<b\na\n=\n1\t/\fc>x", "b[a=1,c=](x)"),
        ("<b a=>x</b>", "b[a=](x)"),
        ("<a\0b c\0=d\0>x\0y", "a\ufffdb[c\ufffd=d\ufffd](xy)"),
        ("x</p title='>'>y", "xp()y"),
        ("x<b a='never closed>y</b>", "x"),
        ("x<b never closed", "x"),
        ("x</", "x</"),
        ("x<", "x<"),
        ("<a<b>x</a<b>y", "a<b(x)y"),
        ("<X-Card>x</x-card>y", "x-card(x)y"),
        ("x\r\ny\rz", "x\ny\nz"),
        ("caf\u00e9 \U0001f600".encode() + b"\xff", "caf\u00e9 \U0001f600\ufffd"),
    ],
)
def test_tags_and_comments(html: str | bytes, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("&lt;b&gt; &amp;amp; &copy &notit; &AMP", "<b> &amp; \u00a9 \u00acit; &"),
        ("&#65;&#x42;&#128; &#xZ; &unknown; &", "AB\u20ac &#xZ; &unknown; &"),
        ("&#" + "9" * 5000 + ";&#x" + "f" * 5000 + ";&#" + "0" * 5000 + "65;", "\ufffd\ufffdA"),
        ("<a b='?x=1&copy=2&lt=3&copyright&lt;&copy&#65'>", "a[b=?x=1&copy=2&lt=3&copyright<\u00a9A]()"),
        ("<title>&lt;b></title><textarea>&lt;b></textarea>", "title(<b>)textarea(<b>)"),
        ("<script>a &lt; b</script><style>&lt;</style><xmp>&lt;</xmp>", "script(a &lt; b)style(&lt;)xmp(&lt;)"),
    ],
)
def test_character_references(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<script>if (a<b) '</div>'</SCRIPT\n>x", "script(if (a<b) '</div>')x"),
        ("<script></scripts></script>x", "script(</scripts>)x"),
        ("<script><!-- <script> </script> --></script>x", "script(<!-- <script> </script> -->)x"),
        ("<script><!-- </script>x", "script(<!-- )x"),
        ("<script><!--><script></script>x", "script(<!--><script>)x"),
        ("<script><!-- <script></script></script>x", "script(<!-- <script></script>)x"),
        ("<script><!-- <scripts></script>x", "script(<!-- <scripts>)x"),
        ("<script>open", "script(open)"),
        ("<style><!-- </style>x", "style(<!-- )x"),
        ("<title>a<b>c</title>x", "title(a<b>c)x"),
        ("<textarea>\n<p></textareas></textarea/>x", "textarea(<p></textareas>)x"),
        ("<iframe><p></iframe><noembed><p></noembed><noframes><p></noframes>", "iframe(<p>)noembed(<p>)noframes(<p>)"),
        ("<noscript><p>x</noscript>", "noscript(p(x))"),
        ("<plaintext><p></plaintext>", "plaintext(<p></plaintext>)"),
        ("<pre>\n\nx</pre><pre><b>\nx</b></pre>", "pre(\nx)pre(b(\nx))"),
    ],
)
def test_raw_text(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<br>a<br/>b</br>c<img>d<wbr>e</img>", "br()abr()bbr()cimg()dwbr()e"),
        ("<image src=a>x<svg><image src=b /></svg>", "img[src=a]()xsvg(image[src=b]())"),
        ("<p>a<p>b<div>c</div></p>d", "p(a)p(b)div(c)p()d"),
        ("<p>a<span>b<ul><li>c</ul>d", "p(aspan(b))ul(li(c))d"),
        ("<p><button><p>a</button>b", "p(button(p(a))b)"),
        ("<ul><li>a<li><b>b<li>c<ul><li>d</ul><li>e</ul>", "ul(li(a)li(b(b))li(cul(li(d)))li(e))"),
        ("<ul><li><div>a<li>b", "ul(li(div(a))li(b))"),
        ("<ul><li><section>a<li>b", "ul(li(section(ali(b))))"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "dl(dt(a)dd(b)dt(c))"),
        ("<h1>a<h2>b</h3>c", "h1(a)h2(b)c"),
        ("<ruby>a<rp>(<rt>b<rp>)</ruby>", "ruby(arp(()rt(b)rp()))"),
        ("a</div></span></x-y>b", "ab"),
        ("<div><span>a</div>b</span>c", "div(span(a))bc"),
        ("<span><div>a</span>b</div>c", "span(div(ab)c)"),
        ("<div><object>a</div>b</object>c</div>d", "div(object(ab)c)d"),
        ("<button>a<button>b", "button(a)button(b)"),
        ("<form>a<form>b</form>c", "form(ab)c"),
        ("<form><div>a</form>b</div>c", "form(div(ab))c"),
        ("<select><option>a<option>b<div>c</div><optgroup><option>d</select>e",
         "select(option(a)option(bc)optgroup(option(d)))e"),
        ("<select><option>a<input>b", "select(option(a))input()b"),
        ("<template><td>a</template>b<template><p>c</div></template>d", "template(td(a))btemplate(p(c))d"),
    ],
)  # fmt: skip
def test_what_closes_what(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<table><tr><td>a<td>b<tr><th>c</table>d", "table(tr(td(a)td(b))tr(th(c)))d"),
        ("<table> <td>a</td> </table>", "table(tr(td(a)))"),
        ("<table><tbody><tr><td>a<tbody><tr><td>b<tfoot><td>c</table>",
         "table(tbody(tr(td(a)))tbody(tr(td(b)))tfoot(tr(td(c))))"),
        ("<table><caption>a<colgroup><col><col><tr><td>b", "table(caption(a)colgroup(col()col())tr(td(b)))"),
        ("<table><tr><td><table><tr><td>a</table>b</table>c", "table(tr(td(table(tr(td(a)))b)))c"),
        ("<table><tr><td><div>a</table>b", "table(tr(td(div(a))))b"),
        ("<div><table><tr><td>a</div>b</table>c", "div(table(tr(td(ab)))c)"),
        ("<table><tr><td>a</td></tr></tr></tbody></table></table>b", "table(tr(td(a)))b"),
        ("<td>a<tr>b</td>c", "abc"),
        ("<table><form><tr><td>a</form><td>b</table>", "table(form()tr(td(a)td(b)))"),
        ("<p>a<table><td>b</table>", "p(atable(tr(td(b))))"),
        ("<!doctype html><p>a<table><td>b</table>", "p(a)table(tr(td(b)))"),
    ],
)  # fmt: skip
def test_tables(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<a href=1>a<a href=2>b</a>c", "a[href=1](a)a[href=2](b)c"),
        ("<a href=1><div>a</div></a>b", "a[href=1](div(a))b"),
        ("<p><a href=1><div>a</div></a>b", "p(a[href=1]())div(a[href=1](a))b"),
        ("<p><a href=1>a<p>b<p><img></a>c", "p(a[href=1](a))p(a[href=1](b))p(a[href=1](img())c)"),
        ("<p><a name=1>a<p>b", "p(a[name=1](a))p(b)"),
        ("<a href=1>a<div id=x>b</a>c</div>d", "a[href=1](adiv[id=x](b))div[id=x](c)d"),
        ("<a href=1><div>b</a></div>d", "a[href=1](div(b))d"),
        ("<a href=1><table><tr><td>a</a>b<a href=2>c</table>d",
         "a[href=1](table(tr(td(aba[href=2](c))))d)"),
        ("<p><a href=1>a</p><object>b</object>c", "p(a[href=1](a))a[href=1](object(b)c)"),
        ("<b><p>a</b>b</p>c", "b(p(ab))c"),
        ("<b><p>a</b>b<b>c</p>d", "b(p(abb(c)))d"),
    ],
)  # fmt: skip
def test_links_and_formatting(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<svg><path d=M0/><g/><a href=x>a</a></svg>b", "svg(path[d=M0/](g()a[href=x](a)))b"),
        ("<svg><title>a<b>c</b></title><style>d<e/></style></svg>", "svg(title(ab(c))style(de()))"),
        ("<svg><foreignObject><p>a</p>b</foreignObject><g>c</svg>d", "svg(foreignobject(p(a)b)g(c))d"),
        ("<svg><g>a<p>b</p>", "svg(g(a))p(b)"),
        ("<div><svg><g>a</div>b", "div(svg(g(a)))b"),
        ("<math><mi>x<b>y</b></mi><mo/></math>z", "math(mi(xb(y))mo())z"),
        ("<svg/>a<div/>b", "svg()adiv(b)"),
    ],
)
def test_drawings_and_formulas(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html><head> <title>a</title> </head> <body> b </body> </html> c", "head(title(a))body( b   c)"),
        ("<head><meta charset=x><p>a", "head(meta[charset=x]())p(a)"),
        ("<head><noscript><img></noscript><meta name=b><body>c", "head(noscript(img())meta[name=b]())body(c)"),
        ("<head><title>a</title>b", "head(title(a))b"),
        ("<body a=1>x<body a=2 b=3>y", "body[a=1,b=3](xy)"),
        ("<div>a<head>b<body c=d>e", "div(abe)"),
        ("<frameset><frame><noframes>a</noframes></frameset>", "frame()noframes(a)"),
    ],
)  # fmt: skip
def test_head_and_body(html: str, expected: str) -> None:
    assert shown(html) == expected


def test_attributes_of_a_second_html() -> None:
    assert read("<p>x<html lang=a><html lang=b dir=rtl>").attributes(0) == {"lang": "a", "dir": "rtl"}
    assert read("x").attributes(0) == {}


def test_names_and_numbers() -> None:
    tree = read("<A><svg><title>x")
    assert [tree.name(node) for node in range(len(tree))] == ["html", "a", "svg", "title", ""]
    assert tree.tags.tolist() == [tags.HTML, tags.A, tags.SVG, tags.OTHER, tags.TEXT]
    assert tags.NAMES[tags.FIGCAPTION] == "figcaption" and tags.NUMBERS[b"h1"] == tags.H1


@pytest.mark.parametrize(
    ("html", "limits", "rejected"),
    [
        ("\u00e9" * 10, {"max_chars": 10}, None),
        ("\u00e9" * 11, {"max_chars": 10}, Rejected("too_large", "11 characters, at most 10")),
        ("<b a b c>", {"max_attributes": 3}, None),
        ("ab<b a b c d>", {"max_attributes": 3},
         Rejected("too_many_attributes", "more than 3 in the element at byte 2")),
        ("<b><b><b>", {"max_depth": 4}, None),
        ("<b><b><b><br>", {"max_depth": 4}, Rejected("too_deep", "more than 4 nested elements")),
        ("<br>x<br>", {"max_elements": 3}, None),
        ("<br>x<br><br>", {"max_elements": 3}, Rejected("too_many_elements", "more than 3 elements")),
    ],
)  # fmt: skip
def test_bounds(html: str, limits: dict[str, int], rejected: Rejected | None) -> None:
    found = parse_tree(html.encode(), Limits(**limits))
    assert found == rejected if rejected else isinstance(found, PageTree)


LONG = {
    "links": "<a href=x>" * MANY,
    "links that go on": "<p><a href=x>" + "<p>t" * MANY,
    "one long link that goes on": f"<p><a href='{'x' * MANY}'>" + "<p>t" * MANY,
    "links in blocks": "<div><a href=x><div>t</a></div></div>" * MANY,
    "bold": "<p><b>x</p>" * MANY,
    "bold left open": ("<b>" * 900 + "</x>" * 900) * 100,
    "an end that is blocked": "<x><div>" + "<b>" * 900 + "</x>" * MANY,
    "items behind bold": "<b>" * 900 + "<li>" * MANY,
    "paragraphs": "</p>" * MANY,
    "attributes": "<x" + " a" * MANY + ">",
    "an open attribute": "<x a='" + "y" * 10 * MANY,
    "open attributes": "<x a='<" * MANY,
    "an open tag": "<x " + "y " * MANY,
    "comments": "<!--" * MANY,
    "ends of no comment": "<!--" + ">" * MANY + "--!" * MANY,
    "less-than": "<" * 10 * MANY,
    "declarations": "<!" * MANY + "</" * MANY,
    "scripts": "<script><!--" + "<script></script>" * MANY,
    "a title": "<title>" * MANY + "</titl>" * MANY,
    "unknown names": "".join(f"<u{i}></u{i}>" for i in range(MANY)),
    "tables": "<table><tr><td>x</table>" * MANY,
    "selects": "<select><option>" * MANY,
    "drawings": "<svg><path/></svg>" * MANY,
    "sections of characters": "<svg>" + "<![CDATA[]]>" * MANY + "<![CDATA[" * MANY,
    "references": "&#x0" * MANY + "&notit" * MANY,
    "bodies": "<body a=b>" * MANY + "<html a=b>" * MANY,
    "lines": "\r\n" * MANY,
    "zeros": "\0" * 10 * MANY,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(LONG))
def test_time_is_linear(name: str) -> None:
    """Quadratic, each of these would take minutes even compiled: 200,000 times some 100,000 steps."""
    tree = parse_tree(LONG[name].encode(), Limits(max_attributes=1_000_000))
    if isinstance(tree, Rejected):
        assert tree.reason == "too_deep"
        return
    for node in range(0, len(tree), max(1, len(tree) // 1000)):
        if tree.tags[node] == tags.TEXT:
            tree.text(node)
        else:
            tree.attributes(node)


def check(html: bytes) -> None:
    """The tree is one, and can be read everywhere."""
    tree = parse_tree(html, Limits(max_depth=40, max_elements=400, max_attributes=20))
    if isinstance(tree, Rejected):
        return
    assert tree.parents[0] == -1
    assert tree.ends[0] == len(tree) == len(tree.parents) == len(tree.ends) == len(tree.starts) == len(tree.stops)
    for node in range(len(tree)):
        parent = tree.parents[node]
        assert parent < node < tree.ends[node] <= tree.ends[max(parent, 0)]
        assert parent < 0 or tree.tags[parent] != tags.TEXT
        assert 0 <= tree.starts[node] <= tree.stops[node] <= len(html)
        if tree.tags[node] == tags.TEXT:
            assert tree.ends[node] == node + 1 and tree.starts[node] < tree.stops[node]
            assert "\0" not in tree.text(node) or "&#0" in html.decode("latin-1")
        else:
            assert tree.name(node)
        tree.attributes(node)


NAMES = [*(name for name in tags.NAMES if name), "image", "x-card", "path"]
PIECES = [
    "text ", " ", "\n", "&amp;", "\0", "\u00e9", "<!--", "-->", "--!>", "<![CDATA[", "]]>", "<!doctype html>", "<?",
    "</", "<", ">", "'", '"', "=", "/", "<script><!--<script>", "</script>", "</title>", "<body a=b>", "<html c=d>",
]  # fmt: skip
ATTRIBUTES = ["", "", " href=x", " class='a b'", "/", " /", " a=b/", ' a="b"c=d', "\n", " color=x", ">"]


def soup(chance: random.Random) -> bytes:
    """Tags and pieces of markup in any order."""
    parts = []
    for _ in range(chance.randrange(1, 80)):
        name = chance.choice(["a", "b", "p", "div", "li", "td", "tr", "table", "svg", "select", "template", *NAMES])
        kind = chance.random()
        if kind < 0.45:
            parts.append(f"<{name}{chance.choice(ATTRIBUTES)}>")
        elif kind < 0.75:
            parts.append(f"</{name}{chance.choice(ATTRIBUTES)}>")
        else:
            parts.append(chance.choice(PIECES))
    return "".join(parts).encode()


def mutated(page: bytes, chance: random.Random) -> bytes:
    """A page with some of its bytes cut, doubled, moved or replaced."""
    for _ in range(chance.randrange(1, 8)):
        at, to = sorted((chance.randrange(len(page) + 1), chance.randrange(len(page) + 1)))
        piece = page[at : min(to, at + 200)]
        page = chance.choice([
            page[:at] + page[at + len(piece) :],
            page[:to] + piece + page[to:],
            page[:at] + bytes([chance.randrange(256)]) + page[at + 1 :],
            page[:at] + chance.choice(PIECES).encode() + page[at:],
            page[:to],
        ])  # fmt: skip
    return page


def pages() -> list[bytes]:
    """Pages of the demo crawl."""
    found = []
    for record in records():
        if record.kind == "response":
            body = gzip.decompress(record.stored).partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[2]
            if re.search(rb"<(?:html|p|div)\b", body[:5000]):
                found.append(body[:300_000])
    assert len(found) > 20
    return found


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="<>/!-='\"a bp&;#x\n\0[]", max_size=200).map(str.encode))
def test_any_bytes(html: bytes) -> None:
    check(html)


@pytest.mark.parametrize(
    "page", sorted((ROOT / "tests" / "fixtures" / "pages").glob("*.html")), ids=lambda page: page.stem
)
def test_the_words_are_those_of_beautiful_soup(page: Path) -> None:
    soup = BeautifulSoup(page.read_bytes(), "lxml")
    for element in soup(["script", "style", "template"]):
        element.decompose()
    tree = read(page.read_bytes())
    unread = {tags.SCRIPT, tags.STYLE}
    texts = [
        tree.text(n)
        for n in range(1, len(tree))
        if tree.tags[n] == tags.TEXT and tree.tags[tree.parents[n]] not in unread
    ]
    assert "".join("".join(texts).split()) == "".join(soup.get_text().split())


def test_any_soup() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        check(soup(chance))


def test_mutated_pages() -> None:
    chance = random.Random(8)
    originals = pages()
    for _ in range(500):
        check(mutated(chance.choice(originals)[:20_000], chance))


def setup_module_of_ours() -> ModuleType:
    """setup.py, up to where it sets up."""
    module = ModuleType("setup_of_ours")
    source = (ROOT / "setup.py").read_text().rpartition("\nsetup(")[0]
    exec(compile(source, "setup.py", "exec"), module.__dict__)
    return module


def extension_of(module: str) -> Path | None:
    return next((path for suffix in EXTENSION_SUFFIXES if (path := ROOT / f"{module}{suffix}").exists()), None)


needs_extensions = pytest.mark.skipif(
    html_reader.__file__.endswith(".py"), reason="not compiled: no C compiler, or `python setup.py build_ext --inplace`"
)


@needs_extensions
def test_extensions_are_of_this_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports an extension rather than the source beside it, also when the source has changed since."""
    monkeypatch.chdir(ROOT)
    setup = setup_module_of_ours()
    for name in setup.COMPILED:
        extension = extension_of(name)
        assert extension, f"{name} is not compiled: python setup.py build_ext --inplace"
        mark = f"openm3w-source:{setup.digest(name)}".encode()
        assert mark in extension.read_bytes(), f"{name} has changed: python setup.py build_ext --inplace"


COLUMNS = ("tags", "parents", "ends", "starts", "stops", "reason", "detail")


def columns_of(htmls: list[bytes]) -> list[list[object]]:
    limits = Limits(max_elements=5000, max_depth=100, max_attributes=20)
    trees = [parse_tree(html, limits) for html in htmls]
    return [[getattr(tree, name, None) for name in COLUMNS] for tree in trees]


@needs_extensions
def test_plain_python_reads_the_same() -> None:
    chance = random.Random(9)
    htmls = pages()
    htmls += [mutated(chance.choice(htmls)[:50_000], chance) for _ in range(100)]
    htmls += [soup(chance) for _ in range(3000)]
    htmls += [text[:20_000].encode() for text in LONG.values()]
    here = columns_of(htmls)
    assert in_plain_python(columns_of, htmls) == here
    refused = sum(columns[0] is None for columns in here)
    assert 0 < refused < len(htmls) // 2
