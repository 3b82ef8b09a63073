"""Defects of what pages say. Pages of the GIMP manual (GFDL) are never altered."""

import re
from dataclasses import replace

from demo.defects import HTML, Crawl, Defect, change, document, edit, plot_pages
from demo.exchange import Exchange
from demo.pages import BOOK, HANDBOOK

META_CHARSET = b'<meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />'
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of 1 x 1 pixel."""


def add_page_defects(crawl: Crawl) -> list[Defect]:
    """Puts every defect of this module into the crawl and says what was done."""
    return [
        _charset_lie(crawl),
        _charset_undeclared(crawl),
        _charset_asian(crawl),
        _fetched_twice(crawl),
        _tracking_parameter(crawl),
        _second_path(crawl),
        _same_pictures(crawl),
        _tracking_pixel(crawl),
        _opt_out_meta(crawl),
        _opt_out_header(crawl),
        _opt_out_robots(crawl),
        *_written(crawl),
    ]


def _charset_lie(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.how-to-migrate.html"
    change(crawl, url, content_type="text/html; charset=windows-1252")
    return Defect(
        name="charset_lie",
        urls=(url,),
        what="the HTTP header says windows-1252, the bytes are UTF-8 and say so",
        expected="read as UTF-8: curly quotes, no mojibake",
    )


def _charset_undeclared(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.administration-interfaces.html"
    body = crawl[url].body.replace(META_CHARSET, b"").replace(XML_DECLARATION, b"").decode().encode("windows-1252")
    change(crawl, url, body=body, content_type="text/html")
    return Defect(
        name="charset_undeclared",
        urls=(url,),
        what="re-encoded as windows-1252, and nothing says so",
        expected="read as windows-1252: curly quotes, no replacement characters",
        altered=True,
    )


def _charset_asian(crawl: Crawl) -> Defect:
    urls = (f"{HANDBOOK}ja-JP/stable/sect.why-gnu-linux.html", f"{HANDBOOK}zh-CN/stable/sect.why-gnu-linux.html")
    for url, charset, by_header in zip(urls, ("EUC-JP", "GB18030"), (False, True), strict=True):
        declaration = b"" if by_header else META_CHARSET.replace(b"UTF-8", charset.encode())
        text = crawl[url].body.replace(META_CHARSET, declaration).replace(XML_DECLARATION, b"").decode()
        header = f"text/html; charset={charset}" if by_header else "text/html"
        change(crawl, url, body=text.encode(charset, "xmlcharrefreplace"), content_type=header)
    return Defect(
        name="charset_asian",
        urls=urls,
        what="re-encoded: EUC-JP that only the page's meta element names, GB18030 that only the HTTP header names",
        expected="identified as Japanese and Chinese, and dropped by a recipe for English",
        altered=True,
    )


def _fetched_twice(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.release-lifecycle.html"
    whole = crawl[url].body
    start = whole.rindex(b'<div class="para">')
    earlier = whole[:start] + b'<div class="para">To be written.' + whole[whole.index(b"</div>", start) :]
    crawl[f"{url} earlier"] = replace(crawl[url], body=earlier, hours=-30)
    return Defect(
        name="fetched_twice",
        urls=(url,),
        what="fetched 30 hours earlier too, with another last paragraph; that record comes later in the file",
        expected="the later fetch is kept, the other dropped as a duplicate URL",
        altered=True,
    )


def _tracking_parameter(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.selinux.html"
    tracked = f"{url}?utm_source=newsletter&utm_medium=email"
    crawl[tracked] = replace(crawl[url], url=tracked)
    return Defect(
        name="tracking_parameter",
        urls=(url, tracked),
        what="the same page under its address with a tracking parameter",
        expected="one is kept; the other is dropped as a duplicate URL",
    )


def _second_path(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.after-first-boot.html"
    second = url.replace("/browse/", "/browse/en-US/")
    crawl[second] = replace(crawl[url], url=second)
    for picture in (
        "images/inst-gdm.png",
        "Common_Content/images//image_left.png",
        "Common_Content/images//image_right.png",
    ):
        address = f"{HANDBOOK}en-US/stable/{picture}"
        crawl[address] = replace(crawl[f"{BOOK}{picture}"], url=address)
    return Defect(
        name="second_path",
        urls=(url, second),
        what="the same page, with its pictures, under another path",
        expected="one is kept; the other is dropped as an exact duplicate of its text",
    )


def _same_pictures(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.remote-login.html"
    short = f"{BOOK}sect.remote-login-short.html"
    paragraphs = re.compile(rb'<div class="para">(?:(?!</?div).)*</div>', re.DOTALL)
    found = [match.span() for match in paragraphs.finditer(crawl[url].body)]
    body = crawl[url].body
    for start, end in reversed(found[::2]):
        body = body[:start] + body[end:]
    crawl[short] = replace(crawl[url], url=short, body=body)
    return Defect(
        name="same_pictures",
        urls=(url, short),
        what="a second page with the same pictures and half of the paragraphs",
        expected="one is kept; the other is dropped for its identical set of images",
        altered=True,
    )


def _tracking_pixel(crawl: Crawl) -> Defect:
    pixel = "https://stats.example.com/pixel.gif?site=7"
    sections = ("sect.virtualization", "sect.installation-steps")
    names = ("unix-services", "network-services", *sections, "conclusion", "foreword")
    urls = (*(f"{BOOK}{name}.html" for name in names), *plot_pages(crawl)[-4:])
    element = f'<img src="{pixel}" width="1" height="1" alt="" />'.encode()
    for url in urls:
        edit(crawl, url, b"</body>", element + b"</body>")
    crawl[pixel] = Exchange(url=pixel, body=PIXEL, content_type="image/gif")
    return Defect(
        name="tracking_pixel",
        urls=(pixel, *urls),
        what="a GIF of 1 x 1 pixel put before </body> of these pages",
        expected="the image is dropped (too small, or on too many pages), the pages stay",
        altered=True,
    )


def _opt_out_meta(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.regular-upgrades.html"
    edit(crawl, url, b"</head>", b'<meta name="robots" content="noai, noimageai" /></head>')
    return Defect(
        name="opt_out_meta",
        urls=(url,),
        what="a meta robots element with noai and noimageai was added",
        expected="dropped as opted out",
        altered=True,
    )


def _opt_out_header(crawl: Crawl) -> Defect:
    url = f"{BOOK}sect.apt-frontends.html"
    change(crawl, url, headers=(("X-Robots-Tag", "noai"),))
    return Defect(
        name="opt_out_header",
        urls=(url,),
        what="the answer has the header X-Robots-Tag: noai",
        expected="dropped as opted out",
    )


def _opt_out_robots(crawl: Crawl) -> Defect:
    robots, url = (
        "https://private.example.org/robots.txt",
        "https://private.example.org/handbook/sect.how-to-migrate.html",
    )
    rules = b"User-agent: *\nDisallow: /\n"
    crawl[robots] = Exchange(url=robots, body=rules, content_type="text/plain")
    original = crawl[f"{BOOK}sect.how-to-migrate.html"]
    body = original.body.replace(b'src="images/', f'src="{BOOK}images/'.encode())
    body = body.replace(b"</body>", b"<p>A copy at a site that asks robots to stay away.</p></body>")
    crawl[url] = replace(original, url=url, body=body, content_type=HTML)
    return Defect(
        name="opt_out_robots",
        urls=(url, robots),
        what="a copy of a page at a site whose robots.txt, in the crawl too, disallows everything to everyone",
        expected="dropped: by robots.txt where a recipe applies the crawl's own robots records to pages",
        altered=True,
    )


def _written(crawl: Crawl) -> list[Defect]:
    """Pages written for this crawl. They show a picture of the Debian handbook: it is their text that decides."""
    spam, adult = "https://spam.example.net/widgets.html", "https://porn.example.net/videos.html"
    picture = f'<img src="{BOOK}images/existing-setup-2.png" alt="A picture" />\n'
    line = "<p>Buy the best cheap widgets at the best price of the web today with free delivery.</p>\n"
    videos = """<p>Watch free porn videos of naked girls. This xxx site has hardcore porn, sex cams and
nude pictures.</p>
<p>The page stands in this crawl so that the filter for the safety of text has something to find, and it says nothing
else of any worth. It has as many words as a page needs to come as far as that filter, it is written in plain English,
and all of its sentences are different from one another, so that no rule about quality takes it out before.</p>"""
    crawl[spam] = Exchange(url=spam, body=document("Widgets", picture + line * 120), content_type=HTML)
    crawl[adult] = Exchange(url=adult, body=document("Free videos", picture + videos), content_type=HTML)
    return [
        Defect(
            name="spam",
            urls=(spam,),
            what="one sentence, 120 times; written for this crawl",
            expected="dropped by a repetition rule",
        ),
        Defect(
            name="adult",
            urls=(adult,),
            what="a short page with the words of a pornographic one; written for this crawl",
            expected="dropped by the safety rules for text or URLs",
        ),
    ]
