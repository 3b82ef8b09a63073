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
from PIL import Image as Picture
from rich.console import Console

from pipelines.inspect import Summary, not_there, print_summary, show_sample, summarise, summary_json, write_html
from pipelines.page_view import POLICY, STYLE, THUMBNAIL_SIDE, thumbnail
from pipelines.shard_files import DamageError, DataSetError, all_shards, find_shards
from schemas.document import Document, Text, Video
from schemas.keys import page_key
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
    for options in ((), ("--json",), ("--sample", "0"), ("--html", tmp_path / "page.html")):
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
    line = '[image 0: 90x70 jpg "picture 0 of page 5" https://img.example.org/5/0.jpg]'
    assert shown.endswith(f"Before.\n{line}\nAfter.")
    assert "title     A title\n" in shown
    with pytest.raises(DataSetError, match="no sample number 5: there are 5"):
        show_sample([str(tmp_path)], "5")
    with pytest.raises(DataSetError, match="no sample with the key 'ffff'"):
        show_sample([str(tmp_path)], "ffff")


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
