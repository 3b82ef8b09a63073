"""The committed demo crawl holds what its README, its notices and contents.json say."""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from PIL import Image, ImageOps, UnidentifiedImageError

DEMO = Path(__file__).parent.parent / "demo"
CONTENTS = json.loads((DEMO / "contents.json").read_text())
DEFECTS = {defect["name"]: defect for defect in CONTENTS["defects"]}


@dataclass(frozen=True)
class Answer:
    kind: str
    url: str
    date: str
    warc: dict[str, str]
    status: str
    http: dict[str, str]
    body: bytes
    place: int
    """Number of the gzip member in the file."""


@dataclass(frozen=True)
class Crawl:
    members: list[bytes]
    unreadable: list[int]
    """Numbers of the members that do not decompress."""
    kinds: Counter[str]
    answers: list[Answer]

    def of(self, url: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.url == url]

    def one(self, url: str) -> Answer:
        (answer,) = self.of(url)
        return answer


def members_of(data: bytes) -> list[bytes]:
    """The gzip members; one that does not decompress ends before the next member that does."""
    members, start, position = [], 0, 0
    while position < len(data):
        inflate = zlib.decompressobj(zlib.MAX_WBITS + 16)
        with suppress(zlib.error):
            inflate.decompress(data[position:])
        if inflate.eof:
            if start < position:
                members.append(data[start:position])
            start = len(data) - len(inflate.unused_data)
            members.append(data[position:start])
            position = start
        else:
            position = data.find(b"\x1f\x8b\x08", position + 1) % (len(data) + 1)
    return [*members, data[start:]] if start < len(data) else members


def answer_of(record, place: int) -> Answer:  # type: ignore[no-untyped-def]
    warc = dict(record.headers.items())
    head, _, body = record.reader.read().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    http = dict(line.split(": ", 1) for line in lines)
    kind = warc["WARC-Type"]
    return Answer(kind, warc["WARC-Target-URI"], warc["WARC-Date"], warc, status.split(" ", 1)[1], http, body, place)


@pytest.fixture(scope="module")
def crawl() -> Crawl:
    members = members_of((DEMO / "crawl.warc.gz").read_bytes())
    unreadable, answers, kinds = [], [], Counter[str]()
    for place, member in enumerate(members):
        try:
            gzip.decompress(member)
        except (zlib.error, gzip.BadGzipFile, EOFError):
            unreadable.append(place)
            continue
        (record,) = ArchiveIterator(BytesIO(member), parse_http=False, verify_digests=True)
        kinds[record.headers["WARC-Type"]] += 1
        if record.headers["WARC-Type"] in {"response", "revisit"}:
            answers.append(answer_of(record, place))
    return Crawl(members, unreadable, kinds, answers)


def test_is_at_most_15_mb() -> None:
    assert (DEMO / "crawl.warc.gz").stat().st_size <= 15_000_000


def test_record_counts(crawl: Crawl) -> None:
    assert dict(crawl.kinds) == CONTENTS["records"]
    assert len(crawl.members) == sum(CONTENTS["records"].values()) + 2


def test_content_counts(crawl: Crawl) -> None:
    kinds, pages, images = Counter[str](), Counter[str](), Counter[str]()
    for answer in crawl.answers:
        host = urlsplit(answer.url).netloc
        content_type = answer.http.get("Content-Type", "")
        if answer.kind == "revisit":
            continue
        if answer.status != "200 OK":
            kinds["not_200"] += 1
        elif content_type.startswith("text/html"):
            kinds["html"] += 1
            pages[host] += 1
        elif content_type.startswith("image/"):
            kinds["image"] += 1
            images[host] += 1
        else:
            kinds["other"] += 1
    assert dict(kinds) == CONTENTS["responses"]
    assert dict(pages) == {host: sum(counts.values()) for host, counts in CONTENTS["pages"].items() if counts}
    assert dict(images) == {host: count for host, count in CONTENTS["images"].items() if count}
    assert 150 <= kinds["html"] <= 250 and 300 <= kinds["image"] <= 550


def test_begins_with_warcinfo_and_every_response_follows_its_request(crawl: Crawl) -> None:
    record_type = re.compile(rb"WARC-Type: (\w+)")
    types = []
    for place, member in enumerate(crawl.members):
        found = None if place in crawl.unreadable else record_type.search(gzip.decompress(member))
        types.append(found[1].decode() if found else "unreadable")
    assert types[0] == "warcinfo"
    assert set(types[1::2]) == {"request"}
    assert set(types[2::2]) == {"response", "revisit", "unreadable"}


def test_record_ids_differ(crawl: Crawl) -> None:
    assert len({answer.warc["WARC-Record-ID"] for answer in crawl.answers}) == len(crawl.answers)


def test_pages_show_pictures_of_the_crawl(crawl: Crawl) -> None:
    page = crawl.one(gimp_page(crawl))
    sources = re.findall(rb'<img src="(images/[^"]*)"', page.body)
    assert sources
    for source in sources:
        picture = crawl.one(f"https://docs.gimp.org/2.10/en/{source.decode()}")
        with Image.open(BytesIO(picture.body)) as image:
            image.load()


def gimp_page(crawl: Crawl) -> str:
    plain = [
        answer.url
        for answer in crawl.answers
        if answer.url.startswith("https://docs.gimp.org/2.10/en/gimp-")
        and answer.url.endswith(".html")
        and b'.jpg"' in answer.body
        and not answer.http.keys() & {"Content-Encoding", "Transfer-Encoding"}
    ]
    return plain[0]


def test_every_site_has_robots_txt(crawl: Crawl) -> None:
    for host in ("docs.gimp.org", "debian-handbook.info", "scikit-image.org"):
        assert crawl.one(f"https://{host}/robots.txt").body.startswith(b"User-agent: *")


def test_notices_name_every_host(crawl: Crawl) -> None:
    notices = (DEMO / "NOTICES.md").read_text()
    for host in {urlsplit(answer.url).netloc for answer in crawl.answers}:
        assert host in notices
    for file in re.findall(r"\((licenses/[^)]+)\)", notices):
        assert (DEMO / file).stat().st_size > 500


def test_readme_states_counts_and_defects() -> None:
    readme = (DEMO / "README.md").read_text()
    assert f"| in all | {CONTENTS['responses']['html']} | {CONTENTS['responses']['image']} |" in readme
    for name, defect in DEFECTS.items():
        assert f"| {name} |" in readme
        assert defect["expected"] in readme


def test_nothing_of_the_gfdl_manual_is_altered() -> None:
    for defect in DEFECTS.values():
        assert not (defect["altered"] and any("gimp.org" in url for url in defect["urls"])), defect["name"]


# Every defect of contents.json is there.


def urls_of(name: str) -> list[str]:
    return list(DEFECTS[name]["urls"])


def image_of(crawl: Crawl, name: str) -> Answer:
    url, page = urls_of(name)
    assert url.encode() in crawl.one(page).body
    return crawl.one(url)


def check_undecodable(crawl: Crawl, name: str) -> None:
    answer = image_of(crawl, name)
    assert answer.http["Content-Type"] == "image/jpeg"
    with pytest.raises((OSError, UnidentifiedImageError)), Image.open(BytesIO(answer.body)) as image:
        image.load()


def check_svg(crawl: Crawl, name: str) -> None:
    assert b"<svg" in image_of(crawl, name).body


def check_image_404(crawl: Crawl, name: str) -> None:
    assert image_of(crawl, name).status == "404 Not Found"


def check_not_crawled(crawl: Crawl, name: str) -> None:
    url, page = urls_of(name)
    assert crawl.of(url) == []
    assert url.rsplit("/", 1)[1].encode() in crawl.one(page).body


def check_exif(crawl: Crawl, name: str) -> None:
    with Image.open(BytesIO(image_of(crawl, name).body)) as image:
        assert image.getexif()[0x0112] == 6
        assert ImageOps.exif_transpose(image).size == (image.height, image.width)


def check_bomb(crawl: Crawl, name: str) -> None:
    body = image_of(crawl, name).body
    assert len(body) < 5000
    assert body[16:24] == (60_000).to_bytes(4, "big") * 2


def check_plain(crawl: Crawl, name: str) -> None:
    with Image.open(BytesIO(image_of(crawl, name).body)) as image:
        assert len(image.getcolors() or ()) == 1


def check_animated(crawl: Crawl, name: str) -> None:
    with Image.open(BytesIO(image_of(crawl, name).body)) as image:
        assert (image.format, image.n_frames) == ("GIF", 2)  # type: ignore[attr-defined]


def check_webp(crawl: Crawl, name: str) -> None:
    answer = image_of(crawl, name)
    with Image.open(BytesIO(answer.body)) as image:
        assert (image.format, answer.http["Content-Type"]) == ("WEBP", "image/jpeg")


def check_lazy(crawl: Crawl, name: str) -> None:
    (url,) = urls_of(name)
    (source,) = re.findall(rb'<img src="data:[^"]*" data-src="../../_images/([^"]*)"', crawl.one(url).body)
    assert crawl.one(f"https://scikit-image.org/docs/0.19.x/_images/{source.decode()}").status == "200 OK"


def check_charset_lie(crawl: Crawl, name: str) -> None:
    answer = crawl.one(urls_of(name)[0])
    assert answer.http["Content-Type"] == "text/html; charset=windows-1252"
    assert "“" in answer.body.decode("utf-8")


def check_charset_undeclared(crawl: Crawl, name: str) -> None:
    answer = crawl.one(urls_of(name)[0])
    assert answer.http["Content-Type"] == "text/html" and b"UTF-8" not in answer.body
    assert "“" in answer.body.decode("windows-1252")
    with pytest.raises(UnicodeDecodeError):
        answer.body.decode("utf-8")


def check_charset_asian(crawl: Crawl, name: str) -> None:
    japanese, chinese = (crawl.one(url) for url in urls_of(name))
    assert b"charset=EUC-JP" in japanese.body and "charset" not in japanese.http["Content-Type"]
    assert "の" in japanese.body.decode("euc-jp")
    assert chinese.http["Content-Type"] == "text/html; charset=GB18030" and b"charset=" not in chinese.body
    assert "的" in chinese.body.decode("gb18030")


def check_fetched_twice(crawl: Crawl, name: str) -> None:
    later, earlier = crawl.of(urls_of(name)[0])
    assert earlier.date < later.date and earlier.place > later.place
    assert b"To be written." in earlier.body and b"To be written." not in later.body


def check_same_body(crawl: Crawl, name: str) -> None:
    first, second = urls_of(name)
    body = crawl.one(second).body
    assert [answer.body for answer in crawl.of(first) if answer.kind == "response"] == [body]


def check_same_pictures(crawl: Crawl, name: str) -> None:
    first, second = (crawl.one(url).body for url in urls_of(name))
    assert len(second) < 0.9 * len(first)
    assert re.findall(rb"<img[^>]*>", first) == re.findall(rb"<img[^>]*>", second)


def check_pixel(crawl: Crawl, name: str) -> None:
    pixel, *pages = urls_of(name)
    with Image.open(BytesIO(crawl.one(pixel).body)) as image:
        assert (image.format, image.size) == ("GIF", (1, 1))
        image.load()
    assert len(pages) == 10
    assert all(f'<img src="{pixel}" width="1"'.encode() in crawl.one(page).body for page in pages)


def check_opt_out_meta(crawl: Crawl, name: str) -> None:
    assert b'<meta name="robots" content="noai, noimageai" />' in crawl.one(urls_of(name)[0]).body


def check_opt_out_header(crawl: Crawl, name: str) -> None:
    assert crawl.one(urls_of(name)[0]).http["X-Robots-Tag"] == "noai"


def check_opt_out_robots(crawl: Crawl, name: str) -> None:
    page, robots = (crawl.one(url) for url in urls_of(name))
    assert page.status == "200 OK" and robots.body == b"User-agent: *\nDisallow: /\n"


def check_not_found(crawl: Crawl, name: str) -> None:
    assert [crawl.one(url).status[:3] for url in urls_of(name)] == ["404", "503"]


def check_redirect(crawl: Crawl, name: str) -> None:
    moved, target = urls_of(name)
    assert crawl.one(moved).status.startswith("301") and crawl.one(moved).http["Location"] == target
    assert crawl.one(target).status == "200 OK"


def check_empty(crawl: Crawl, name: str) -> None:
    assert crawl.one(urls_of(name)[0]).body == b""


def check_revisit(crawl: Crawl, name: str) -> None:
    page, revisit = crawl.of(urls_of(name)[0])
    assert (page.kind, revisit.kind, revisit.body) == ("response", "revisit", b"")
    assert revisit.warc["WARC-Payload-Digest"] == page.warc["WARC-Payload-Digest"]
    assert revisit.warc["WARC-Refers-To-Date"] == page.date < revisit.date


def check_warc_truncated(crawl: Crawl, name: str) -> None:
    answer = crawl.one(urls_of(name)[0])
    assert answer.warc["WARC-Truncated"] == "length"
    assert b"</body>" not in answer.body and len(answer.body) < int(answer.http["Content-Length"])


def unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        if size == b"0":
            return b"".join(parts)
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]


def check_transfer(headers: dict[str, str], decode: Callable[[bytes], bytes]) -> Callable[[Crawl, str], None]:
    def check(crawl: Crawl, name: str) -> None:
        for url in urls_of(name):
            answer = crawl.one(url)
            assert answer.http.items() >= headers.items()
            assert decode(answer.body).rstrip().endswith(b"</html>")

    return check


def check_spam(crawl: Crawl, name: str) -> None:
    assert max(Counter(crawl.one(urls_of(name)[0]).body.splitlines()).values()) == 120


def check_adult(crawl: Crawl, name: str) -> None:
    assert len(crawl.one(urls_of(name)[0]).body.split()) > 80


def check_corrupt(crawl: Crawl, name: str) -> None:
    place = crawl.unreadable[0]
    assert urls_of(name)[0].encode() in gzip.decompress(crawl.members[place - 1]) and not crawl.of(urls_of(name)[0])
    assert 100 < place < len(crawl.members) - 100


def check_cut(crawl: Crawl, name: str) -> None:
    assert crawl.unreadable[1:] == [len(crawl.members) - 1] and not crawl.of(urls_of(name)[0])
    inflate = zlib.decompressobj(zlib.MAX_WBITS + 16)
    assert urls_of(name)[0].encode() in inflate.decompress(crawl.members[-1]) and not inflate.eof


GZIP, CHUNKED = {"Content-Encoding": "gzip"}, {"Transfer-Encoding": "chunked"}
CHECKS: dict[str, Callable[[Crawl, str], None]] = {
    "image_truncated": check_undecodable,
    "image_is_html": check_undecodable,
    "image_svg": check_svg,
    "image_404": check_image_404,
    "image_not_crawled": check_not_crawled,
    "image_exif": check_exif,
    "image_bomb": check_bomb,
    "image_plain": check_plain,
    "image_animated": check_animated,
    "image_webp": check_webp,
    "lazy_loading": check_lazy,
    "only_image_not_crawled": check_not_crawled,
    "charset_lie": check_charset_lie,
    "charset_undeclared": check_charset_undeclared,
    "charset_asian": check_charset_asian,
    "fetched_twice": check_fetched_twice,
    "tracking_parameter": check_same_body,
    "second_path": check_same_body,
    "same_pictures": check_same_pictures,
    "tracking_pixel": check_pixel,
    "opt_out_meta": check_opt_out_meta,
    "opt_out_header": check_opt_out_header,
    "opt_out_robots": check_opt_out_robots,
    "not_found": check_not_found,
    "redirect": check_redirect,
    "empty": check_empty,
    "revisit": check_revisit,
    "warc_truncated": check_warc_truncated,
    "gzip": check_transfer(GZIP, gzip.decompress),
    "br": check_transfer({"Content-Encoding": "br"}, brotli.decompress),
    "zstd": check_transfer({"Content-Encoding": "zstd"}, zstandard.decompress),
    "chunked": check_transfer(CHUNKED, unchunked),
    "chunked_gzip": check_transfer(CHUNKED | GZIP, lambda body: gzip.decompress(unchunked(body))),
    "bad_chunking": check_transfer(CHUNKED, bytes),
    "encoding_lie": check_transfer(GZIP, bytes),
    "content_length_short": check_transfer({"Content-Length": "1000"}, bytes),
    "spam": check_spam,
    "adult": check_adult,
    "corrupt_member": check_corrupt,
    "cut_member": check_cut,
}


@pytest.mark.parametrize("name", sorted(DEFECTS.keys() | CHECKS.keys()))
def test_defect(crawl: Crawl, name: str) -> None:
    CHECKS[name](crawl, name)
