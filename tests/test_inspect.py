"""Totals, one document as text, and the HTML page."""

import base64
import json
import re
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from PIL import Image as Picture
from rich.console import Console

from pipelines.inspect import Summary, print_summary, show_sample, summarise, summary_json, write_html
from pipelines.page_view import POLICY, STYLE, THUMBNAIL_SIDE, thumbnail
from pipelines.shard_files import DataSetError, all_shards, find_shards
from schemas.document import Document, Text, Video
from schemas.keys import page_key
from schemas.shard import Sample, ShardError
from tests.datasets import build, page, pages, pair, picture, write_shard


def printed(summary: Summary) -> str:
    text = StringIO()
    print_summary(summary, Console(width=100, file=text))
    return text.getvalue()


def test_names_of_shards(tmp_path: Path) -> None:
    build(tmp_path)
    names = ["train-000000.tar", "train-000001.tar", "dev-000000.tar"]
    (tmp_path / "media").mkdir()
    (tmp_path / "media/pack.tar").touch()
    for given in (tmp_path, f"{tmp_path}/", tmp_path / "shards", f"{tmp_path}/shards/*.tar"):
        assert [path.rsplit("/", 1)[1] for path in all_shards([str(given)])] == names
    assert find_shards([str(tmp_path)])[0].folder == str(tmp_path)
    one = str(tmp_path / "shards/dev-000000.tar")
    assert all_shards([one, one]) == [one]
    for nothing in ("nowhere", "nowhere.tar", str(tmp_path / "dead_letters"), "nowhere/*.tar"):
        with pytest.raises(DataSetError, match=f"^{re.escape(nothing)}: no data set"):
            find_shards([nothing])


def test_summary_counts(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    found = summarise([str(tmp_path)])
    documents = [sample.document for sample in pages()]
    images = [image for document in documents for image in document.images]
    assert (found.shards, found.samples, found.images) == (3, 12, len(images))
    assert found.words == sum(shard.words for shard in manifest.shards)
    assert found.bytes == sum(shard.bytes for shard in manifest.shards)
    assert dict(found.splits) == {"train": 9, "dev": 3}
    assert dict(found.languages) == {"en": 12}
    assert dict(found.top_domains) == {"example.com": 12}
    pngs = sum(image.member.endswith("png") for image in images)
    assert dict(found.formats) == {"jpg": len(images) - pngs, "png": pngs}
    each = [len(document.images) for document in documents]
    assert dict(found.histograms["images per document"]) == {str(n): each.count(n) for n in (1, 2, 3)}
    assert dict(found.histograms["image width"]) == {"64-127": len(images)}


def test_histogram_ranges(tmp_path: Path) -> None:
    sizes = [(63, 64), (64, 64), (127, 64), (128, 64), (600, 64)]
    write_shard(tmp_path / "a.tar", [page(n, ["word " * 49, picture(*size, n)]) for n, size in enumerate(sizes)])
    found = summarise([str(tmp_path)])
    wide = {"1-63": 0, "64-127": 2, "128-255": 1, "256-383": 0, "384-511": 0, "512-767": 1}
    assert dict(found.histograms["image width"]) == {"0-63": 1, **{k: v for k, v in wide.items() if k != "1-63"}}
    assert dict(found.histograms["words per document"]) == {"1-49": 5}


def test_summary_json_and_print(tmp_path: Path) -> None:
    build(tmp_path, [*pages(), pair(1, "A caption"), page(99, ["x", picture(9, 9, 1)], "https://a\x1b.example/")])
    found = summarise([str(tmp_path)])
    plain = json.loads(summary_json(found))
    assert plain["kinds"] == {"page": 13, "pair": 1}
    assert plain["histograms"]["image height"]["64-127"] == found.histograms["image height"]["64-127"]
    text = printed(found)
    assert "14  (page 13, pair 1; train 11, dev 3)" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_summary_of_nothing(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [])
    assert " samples   0\n" in printed(summarise([str(tmp_path)]))


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    build(tmp_path)
    shard = tmp_path / "shards/train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(ShardError, match=r"train-000001\.tar: .*m3w verify says more"):
        summarise([str(tmp_path)])


# --- one document ----------------------------------------------------------------------------------------------------


def test_show_sample_by_number_and_key(tmp_path: Path) -> None:
    data = picture(90, 70, 3)
    made = page(5, ["Before.\n\n", data, "After."], title="A title")
    write_shard(tmp_path / "train-000000.tar", [*pages(4), made])
    key = made.document.key
    texts = [show_sample([str(tmp_path)], str(n)) for n in range(5)]
    shown = show_sample([str(tmp_path)], key)
    assert texts.count(shown) == 1
    assert show_sample([str(tmp_path)], key[:12]) == shown
    line = '[image 0: 90x70 jpg "picture 0 of page 5" https://img.example.org/5/0.jpg]'
    assert shown.endswith(f"Before.\n{line}\nAfter.")
    assert "title     A title\n" in shown
    with pytest.raises(DataSetError, match="no sample number 5: there are 5"):
        show_sample([str(tmp_path)], "5")
    with pytest.raises(DataSetError, match="no sample with the key 'ffff'"):
        show_sample([str(tmp_path)], "ffff")


def test_show_sample_saves_images(tmp_path: Path) -> None:
    data, other = picture(90, 70, 3), picture(64, 64, 4, "PNG")
    made = page(5, ["Before.", data, other])
    write_shard(tmp_path / "a.tar", [made])
    folder = tmp_path / "new/images"
    shown = show_sample([str(tmp_path / "a.tar")], "0", str(folder))
    saved = sorted(folder.iterdir())
    assert [path.read_bytes() for path in saved] == [data, other]
    assert [path.name for path in saved] == [f"{made.document.key}.0.jpg", f"{made.document.key}.1.png"]
    assert all(f"saved {path}" in shown for path in saved)


def test_show_sample_writes_nothing_outside_the_folder(tmp_path: Path) -> None:
    made = page(5, ["Before.", picture(90, 70, 3)])
    image = replace(made.document.images[0], member="0./../../evil")
    hostile = replace(made.document, slots=(made.document.slots[0], image))
    write_shard(tmp_path / "a.tar", [Sample(hostile, {"0./../../evil": made.members["0.jpg"]})])
    show_sample([str(tmp_path / "a.tar")], "0", str(tmp_path / "deep/images"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {tmp_path, tmp_path / "deep/images"}
    assert not list(tmp_path.rglob("evil"))


def test_show_sample_sends_no_control_characters_to_the_terminal(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [page(1, ["red \x1b[31m text\x07\u202e", picture(9, 9, 1)], title="\x1b]0;t\x07")])
    shown = show_sample([str(tmp_path / "a.tar")], "0")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "red \ufffd[31m text" in shown


# --- the page --------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def test_html_of_a_data_set(tmp_path: Path) -> None:
    build(tmp_path)
    out = tmp_path / "look/page.html"
    assert write_html([str(tmp_path)], str(out), limit=50) == 12
    parsed = Elements(out.read_text())
    assert len(parsed.named("article")) == 12
    assert len(parsed.named("img")) == 22
    assert {f"#{article['id']}" for article in parsed.named("article")} <= {a["href"] for a in parsed.named("a")}
    assert "6 too_few_words" in parsed.text, "the funnel"
    assert "Between two pictures stands a text." in parsed.text
    assert write_html([str(tmp_path)], str(out), limit=5) == 5


def test_html_loads_nothing(tmp_path: Path) -> None:
    build(tmp_path)
    write_html([str(tmp_path)], str(tmp_path / "page.html"), limit=50)
    parsed = Elements((tmp_path / "page.html").read_text())
    assert {tag for tag, _ in parsed.found}.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base"})
    assert all((img["src"] or "").startswith("data:image/jpeg;base64,") for img in parsed.named("img"))
    policy = [meta for meta in parsed.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert [meta["content"] for meta in policy] == [POLICY]
    style = re.search("<style>(.*)</style>", (tmp_path / "page.html").read_text(), re.DOTALL)
    assert style is not None
    assert f"'sha256-{base64.b64encode(sha256(style[1].encode()).digest()).decode()}'" in POLICY
    assert "default-src 'none'" in POLICY
    assert "url(" not in STYLE


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>&lt;'


def test_html_of_a_hostile_page_is_text(tmp_path: Path) -> None:
    made = page(1, [HOSTILE, picture(64, 64, 1)], url=f"javascript:{HOSTILE}", title=HOSTILE, language=HOSTILE)
    document = made.document
    image = replace(document.images[0], alt=HOSTILE, url=f"https://x/{HOSTILE}")
    document = replace(document, slots=(document.slots[0], image), scores={f"a.{HOSTILE}": 1.0}, split=HOSTILE)
    document = replace(document, source=replace(document.source, file=HOSTILE, date=HOSTILE))
    write_shard(tmp_path / "a.tar", [Sample(document, made.members)])
    write_html([str(tmp_path / "a.tar")], str(tmp_path / "page.html"), limit=1)
    parsed = Elements((tmp_path / "page.html").read_text())
    assert not parsed.named("script")
    assert [img["alt"] for img in parsed.named("img")] == [HOSTILE]
    assert not any(name.startswith("on") for _, attrs in parsed.found for name in attrs)
    assert not any((a["href"] or "").startswith("javascript") for a in parsed.named("a"))
    assert parsed.text.count(HOSTILE) >= 8, "title, text, alt, address, score, split, file and date"


def test_html_shows_pictures_small_and_what_cannot_be_decoded(tmp_path: Path) -> None:
    made = page(1, ["x", picture(1600, 800, 1), picture(64, 64, 2)])
    broken = Sample(made.document, {**made.members, "1.jpg": b"\xff\xd8\xff nothing"})
    write_shard(tmp_path / "a.tar", [broken])
    write_html([str(tmp_path / "a.tar")], str(tmp_path / "page.html"), limit=1)
    text = (tmp_path / "page.html").read_text()
    (img,) = Elements(text).named("img")
    data = base64.b64decode((img["src"] or "").split(",")[1])
    with Picture.open(BytesIO(data)) as small:
        assert (small.format, small.size) == ("JPEG", (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2))
    assert "1600 &times; 800" in text, "the size is that of the member"
    assert "cannot be decoded" in text


def test_thumbnail_of_other_formats_and_modes() -> None:
    stream = BytesIO()
    Picture.new("P", (10, 20)).save(stream, "PNG")
    small = thumbnail(stream.getvalue())
    assert small is not None and (small.width, small.height) == (10, 20)
    stream = BytesIO()
    Picture.new("RGB", (10, 20)).save(stream, "GIF")
    assert thumbnail(stream.getvalue()) is None


def test_html_before_the_build_is_done(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    assert write_html([str(tmp_path)], str(tmp_path / "page.html"), limit=50) == 12
    assert "12 documents from 3 shards" in (tmp_path / "page.html").read_text()


def test_clips_are_shown_by_some_of_their_frames(tmp_path: Path) -> None:
    frames = {f"0.{n:03d}.jpg": picture(64, 48, n) for n in range(9)}
    video = Video(
        url="https://v/1", end=9.0, times=tuple(map(float, range(9))), members=tuple(frames), width=64, height=48
    )
    document = Document(kind="clip", url="https://v/1", slots=(video, Text("A clip")), key=page_key("v", "1"))
    write_shard(tmp_path / "a.tar", [Sample(document, frames)])
    write_html([str(tmp_path)], str(tmp_path / "page.html"), limit=1)
    assert len(Elements((tmp_path / "page.html").read_text()).named("img")) == 3
    assert "[video 0: 64x48 0-9 s, 9 frames https://v/1]" in show_sample([str(tmp_path)], "0")
    assert summarise([str(tmp_path)]).videos == 1
