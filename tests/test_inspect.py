"""Totals, one document as text, and the HTML page."""

import base64
import json
import re
import subprocess
import sys
import tarfile
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from clips import PAGE_URL, URL, clip, clips, write_video
from PIL import Image as Picture
from rich.console import Console

from pipelines.inspect import Summary, not_there, print_summary, summarise, summary_json, write_html
from pipelines.page_view import FRAMES_SHOWN, POLICY, STYLE, THUMBNAIL_SIDE, thumbnail
from pipelines.report import size
from pipelines.sample_view import show_sample
from pipelines.shard_files import DamageError, DataSetError, all_shards, find_shards
from schemas.shard import Sample, ShardError, sample_json
from tests.datasets import build, m3w, page, pages, pair, picture, write_shard


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
    assert all_shards([one, one, f"{tmp_path}/shards/../shards/dev-000000.tar"]) == [one]
    for twice in (f"{tmp_path}/", f"{tmp_path}/shards", f"{tmp_path}/shards/*.tar", one):
        (files,) = find_shards([str(tmp_path), twice])
        assert (len(files.shards), files.complete) == (3, True), twice
    (files,) = find_shards([str(tmp_path / "shards"), one])
    assert (len(files.shards), files.complete) == (3, False), "it cannot be known that one is of the folder"
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


def test_charts_fit_the_kind(tmp_path: Path) -> None:
    write_shard(tmp_path / "pairs.tar", [pair(n, "word " * (n + 1)) for n in range(3)])
    found = summarise([str(tmp_path / "pairs.tar")])
    assert {name: dict(bars) for name, bars in found.histograms.items()} == {
        "words per text": {"1": 1, "2": 1, "3-4": 1},
        "image width": {"64-127": 3},
        "image height": {"0-63": 3},
    }
    said = printed(found)
    assert " images    3\n" in said and " words     6, 2 a text\n" in said, "no mean of what is always one"
    assert "clips" not in said and "document" not in said


def test_summary_of_clips(tmp_path: Path) -> None:
    made = clips(write_video(tmp_path / "v.mp4"))
    write_shard(tmp_path / "clips.tar", [*made[1:], clip(tmp_path / "v.mp4", 0, fps=2.5, page_url="")])
    found = summarise([str(tmp_path / "clips.tar")])
    assert (found.samples, found.images, found.videos, found.frames, found.seconds) == (4, 0, 4, 3 * 4 + 10, 16.0)
    assert dict(found.top_domains) == {"example.com": 3, "example.org": 1}, "of the page, else of the video"
    assert dict(found.histograms["frames per clip"]) == {"4-7": 3, "8": 0, "9-15": 1}
    assert dict(found.histograms["seconds per clip"]) == {"3-4": 4}
    assert dict(found.histograms["frame width"]) == {"320-383": 4}
    assert set(found.histograms) == {
        "words per text", "frames per clip", "seconds per clip", "frame width", "frame height"
    }  # fmt: skip
    assert " clips     4, 22 frames, 16.0 s\n" in printed(found) and " images " not in printed(found)


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    build(tmp_path)
    shard = tmp_path / "shards/train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(ShardError, match=r"train-000001\.tar: .*m3w verify says more"):
        summarise([str(tmp_path)])
    assert m3w("inspect", tmp_path)[0] == 1


@pytest.mark.parametrize(
    "change",
    [{"title": 7}, {"images": 5}, {"images": ["ab"]}, {"images": [{"slot": 0, "position": "1"}]}, {"text": ["a"]}],
)
def test_a_sample_of_another_form_is_damage(tmp_path: Path, change: dict[str, object]) -> None:
    write_shard(path := tmp_path / "a.tar", [page(1, ["Some text.", picture(64, 64, 1), "More of it."])])
    with tarfile.open(path) as tar:
        members = [(entry, data.read()) for entry in tar if (data := tar.extractfile(entry))]
    with tarfile.open(path, "w") as tar:
        for entry, data in members:
            new = json.dumps(json.loads(data) | change).encode() if entry.name.endswith("json") else data
            entry.size = len(new)
            tar.addfile(entry, BytesIO(new))
    with pytest.raises(ShardError, match=r"a\.tar: .*m3w verify says more"):
        summarise([str(path)])


def test_a_shard_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "shards/train-000001.tar").unlink()
    (tmp_path / "shards/train-000001.tar").symlink_to("nowhere")
    with pytest.raises(DamageError, match=r"train-000001\.tar: cannot be read: No such file"):
        summarise([str(tmp_path)])


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    build(tmp_path)
    assert summarise([str(tmp_path)]).problems == ()
    assert m3w("inspect", tmp_path)[0] == 0
    shard = tmp_path / "shards/train-000001.tar"
    members = shard.read_bytes()
    with tarfile.open(shard) as tar:
        first, *others = tar.getmembers()
    second = next(entry for entry in others if entry.name[:32] != first.name[:32])
    shard.write_bytes(members[: second.offset] + bytes(1024))  # a whole archive, of less
    (what,) = summarise([str(tmp_path)]).problems
    assert what == f"{shard}: 1 samples can be read, the manifest says 3; m3w verify says more"
    shard.unlink()
    assert summarise([str(tmp_path)]).problems == (f"{shard} is missing, but the manifest names it",)
    for options in (
        (),
        ("--json",),
        ("--sample", "0"),
        ("--html", tmp_path / "p.html"),
        ("--sheet", tmp_path / "p.png"),
    ):
        code, out = m3w("inspect", tmp_path, *options)
        assert (code, out.count("train-000001.tar is missing")) == (1, 2 if "--json" in options else 1), options
    (tmp_path / "manifest.json").write_text("{")
    assert ["manifest.json: Expecting" in what for what in not_there([str(tmp_path)])] == [True]
    (tmp_path / "manifest.json").unlink()
    assert not_there([str(tmp_path)]) == [f"{tmp_path} is no finished data set: it has no manifest.json"]


def test_a_build_that_is_not_done_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    code, out = m3w("inspect", tmp_path)
    assert code == 1
    assert f"m3w: {tmp_path} is not finished: it has no _SUCCESS" in out and out.count("m3w:") == 1


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    build(tmp_path)
    for options, said in (
        (("--images", "x"), "--images saves the images of one document: give --sample too"),
        (("--html", "x", "--sample", "0"), "--html cannot be given together with --sample"),
        (("--html", "x", "--json"), "--html cannot be given together with --json"),
        (("--sheet", "x", "--html", "y"), "--html cannot be given together with --sheet"),
        (("--sheet", "x", "--sample", "0", "--json"), "--sheet cannot be given together with --sample"),
        (("--sheet", "x", "--json"), "--sheet cannot be given together with --json"),
    ):
        assert m3w("inspect", tmp_path, *options) == (2, f"m3w: {said}\n")


def test_nobody_reads_on(tmp_path: Path) -> None:
    build(tmp_path)
    for words in (("inspect", tmp_path), ("inspect", tmp_path, "--json"), ("verify", tmp_path)):
        command = [sys.executable, "-m", "pipelines.cli", *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout and process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 141), words
        process.stderr.close()


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
    line = f'[image 0: 90x70 jpg, {size(len(data))} "picture 0 of page 5" https://img.example.org/5/0.jpg]'
    assert shown.endswith(f"Before.\n{line}\nAfter.")
    assert "title     A title\n" in shown
    with pytest.raises(DataSetError, match="no sample number 5: there are 5"):
        show_sample([str(tmp_path)], "5")
    with pytest.raises(DataSetError, match="no sample with the key 'ffff'"):
        show_sample([str(tmp_path)], "ffff")


def test_show_sample_of_a_pair(tmp_path: Path) -> None:
    made = pair(4, "A caption.")
    document = replace(made.document, page_url="https://www.example.com/")
    write_shard(tmp_path / "a.tar", [Sample(document, made.members)])
    shown = show_sample([str(tmp_path / "a.tar")], "0")
    assert shown.endswith(f'\n\nA caption.\n\n[image 0: 80x60 jpg, {size(len(made.members["jpg"]))} ""]')
    assert "page      https://www.example.com/\n" in shown and "title" not in shown
    assert "size      2 words, 1 image\n" in shown


def test_show_sample_of_a_pair_says_nothing_twice(tmp_path: Path) -> None:
    made = pair(4, "A caption.")
    image = replace(made.document.images[0], alt="A caption.")
    document = replace(made.document, slots=(image, *made.document.slots[1:]))
    write_shard(tmp_path / "a.tar", [Sample(document, made.members)])
    shown = show_sample([str(tmp_path / "a.tar")], "0")
    assert shown.endswith(f"[image 0: 80x60 jpg, {size(len(made.members['jpg']))}]")


def test_show_sample_of_a_clip(tmp_path: Path) -> None:
    made = clip(write_video(tmp_path / "v.mp4"), 1)
    write_shard(tmp_path / "a.tar", [made])
    shown = show_sample([str(tmp_path / "a.tar")], "0", str(tmp_path / "frames"))
    lines = shown[shown.index("[video 0") : shown.index("\n\nsaved")].splitlines()
    assert shown.index(made.document.text) < shown.index("[video 0")
    assert lines[0] == "[video 0: 320x240, 0:04-0:08 (4 s), 4 frames]"
    assert [line.split()[:2] for line in lines[1:]] == [[f"0:0{n + 4}", f"0.{n:03d}.jpg"] for n in range(4)]
    assert lines[1].endswith(size(len(made.members["0.000.jpg"])))
    assert "size      16 words, 1 clip of 4 frames\n" in shown
    saved = sorted((tmp_path / "frames").iterdir())
    assert [path.read_bytes() for path in saved] == [made.members[name] for name in sorted(made.members)]


def test_a_sample_as_json(tmp_path: Path) -> None:
    made = page(5, ["Before.", picture(90, 70, 3)])
    write_shard(tmp_path / "a.tar", [made])
    code, out = m3w("inspect", tmp_path / "a.tar", "--sample", "0", "--json", "--images", tmp_path / "images")
    assert (code, json.loads(out)) == (0, sample_json(made.document))
    assert len(list((tmp_path / "images").iterdir())) == 1


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


def addresses(page: Path) -> list[str]:
    """Of the documents that a page shows, in order."""
    return re.findall(r'<div class="facts small">.*?href="([^"]+)"', page.read_text())


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
    every = addresses(out)
    assert write_html([str(tmp_path)], str(out), limit=5) == 5
    assert "5 of 12 pages, spread evenly over them" in out.read_text()
    assert addresses(out) == [every[number] for number in (1, 3, 6, 8, 10)]


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
    small = thumbnail(stream.getvalue(), THUMBNAIL_SIDE)
    assert small is not None and (small.width, small.height) == (10, 20)
    stream = BytesIO()
    Picture.new("RGB", (10, 20)).save(stream, "GIF")
    assert thumbnail(stream.getvalue(), THUMBNAIL_SIDE) is None


def test_html_before_the_build_is_done(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    assert write_html([str(tmp_path)], str(tmp_path / "page.html"), limit=50) == 12
    assert "12 pages from 3 shards" in (tmp_path / "page.html").read_text()


def test_html_of_pairs_is_a_gallery(tmp_path: Path) -> None:
    made = pair(1, f"A caption {HOSTILE}")
    where = "https://www.example.com/deep/page-1.html"
    image = replace(made.document.images[0], alt="Another text")
    document = replace(made.document, slots=(image, *made.document.slots[1:]), page_url=where, language="en")
    build(tmp_path, [Sample(document, made.members), pair(2, "Second")])
    assert write_html([str(tmp_path)], str(tmp_path / "page.html"), limit=50) == 2
    text = (tmp_path / "page.html").read_text()
    parsed = Elements(text)
    assert [section["class"] for section in parsed.named("section")] == ["gallery"]
    assert len(parsed.named("article")) == len(parsed.named("img")) == 2
    assert not parsed.named("nav"), "a list of captions beside captions"
    assert not parsed.named("script") and f"A caption {HOSTILE}" in parsed.text and "Another text" in parsed.text
    assert "Recipe test; 2 pairs" in parsed.text and "80 \u00d7 60 jpg" in parsed.text
    links = {a["href"]: a["title"] for a in parsed.named("a")}
    assert links == {url: url for url in (where, document.url, "https://img.example.org/pair-2.jpg")}
    assert "www.example.com/\u2026/page-1.html" in parsed.text and "img.example.org/pair-2.jpg" in parsed.text


def test_html_of_a_clip_is_a_row_of_frames_with_times(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4")
    write_shard(tmp_path / "a.tar", [clip(video, 1)])
    write_html([str(tmp_path / "a.tar")], str(tmp_path / "page.html"), limit=1)
    parsed = Elements((tmp_path / "page.html").read_text())
    assert [article["class"] for article in parsed.named("article")] == ["clip"]
    assert len(parsed.named("img")) == 4
    shown_times = re.findall(r"0:\d\d", parsed.text.partition("more")[0])
    assert shown_times == ["0:04", "0:05", "0:06", "0:07", "0:04", "0:08"], "of the frames, then from and to"
    assert f"320 \u00d7 240, 0:04-0:08 (4 s), 4 frames, {URL}, on {PAGE_URL}" in parsed.text
    assert "1 clip from 1 shard" in parsed.text


def test_html_of_a_long_clip_shows_some_of_its_frames(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [clip(write_video(tmp_path / "v.mp4"), 0, fps=5)])
    write_html([str(tmp_path / "a.tar")], str(tmp_path / "page.html"), limit=1)
    parsed = Elements((tmp_path / "page.html").read_text())
    assert len(parsed.named("img")) == FRAMES_SHOWN == 16
    assert "20 frames" in parsed.text and "0:00" in parsed.text and "0:03.8" in parsed.text, "the first and the last"


def test_html_of_several_kinds(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4")
    made = [*clips(video), *pages(3), *[pair(n, f"Caption {n}") for n in range(3)]]
    write_shard(tmp_path / "a.tar", made)
    assert write_html([str(tmp_path / "a.tar")], str(tmp_path / "page.html"), limit=50) == 10
    parsed = Elements((tmp_path / "page.html").read_text())
    assert "10 documents from 1 shard" in parsed.text and "3 documents" in parsed.text
    assert [article["id"] for article in parsed.named("article")] == [f"d{n}" for n in range(10)]
    assert len(parsed.named("nav")) == 1
