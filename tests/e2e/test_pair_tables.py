"""Pairs of tables, archives and WAT files, fetched from a server that misbehaves: in every format the same samples.

One table is built in turn as CSV, TSV, JSONL and Parquet with one media store, then from the folder that img2dataset
would make of it and from a WAT file that names its pictures. Each build knows what it asked the server for.
"""

import csv
import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import test_sources_wat as wat
from builds import Sample, digests, dropped, letters, m3w, manifest, samples
from crawls import records
from PIL import Image
from test_counts import check_adds_up
from test_fetch import FETCH, HTML, LIFTED, OK, image
from webserver import Route, WebServer, drip, hang_up, in_turn, raw, redirect, reply

THINGS = (
    *("A red apple", "A green pear", "Three ripe plums", "A loaf of bread", "A blue teapot", "An old camera"),
    *(
        "A pair of glasses",
        "A silver spoon",
        "A glass of milk",
        "A yellow candle",
        "A brass bell",
        "A stack of letters",
    ),
    *("A wicker basket", "A pocket watch", "A wooden flute", "A paper boat", "A bunch of keys", "A garden snail"),
)
SHARED = "The same picture of a garden gate is shown here again and again to all visitors"
MANY = tuple(f"A view of the garden gate with {thing} standing on the grass before it" for thing in THINGS[:4])
MAX_BYTES = 100_000
RECIPE = """
extends = "ltip"

[source]
range_bytes = 2_000

[caption_frequency]
max_images = 2

[image_frequency]
max_uses = 3

[image_safety]
scorer = "none"

[split]
dev_share = 0.0

[shards]
max_samples = 8

[fetch]
"""


def caption(number: int) -> str:
    return f"{THINGS[number % len(THINGS)]} lies on a wooden table beside an open window in the morning light"


@lru_cache(maxsize=1)
def pictures() -> list[bytes]:
    """Pictures of the demo crawl that the rules on images let pass, by size."""
    found: set[bytes] = set()
    for record in records():
        if record.kind != "response" or not record.url.startswith("https://docs.gimp.org/2.10/en/images/"):
            continue
        body = gzip.decompress(record.stored).split(b"\r\n\r\n", 2)[2].removesuffix(b"\r\n\r\n")
        try:
            with Image.open(io.BytesIO(body)) as picture:
                short, long = sorted(picture.size)
                fits = picture.mode == "RGB" and short >= 100 and long <= 2.5 * short and len(body) < 50_000
                if fits and len(set(picture.resize((32, 32)).convert("L").tobytes())) > 60:
                    found.add(body)
        except OSError:
            continue
    return sorted(found, key=len)


def same_picture(one: bytes, other: bytes) -> bool:
    with Image.open(io.BytesIO(one)) as first, Image.open(io.BytesIO(other)) as second:
        return first.convert("RGB").tobytes() == second.convert("RGB").tobytes()


def served(number: int, content_type: str = "image/jpeg") -> bytes:
    return reply(pictures()[number], headers={"Content-Type": content_type})


GOOD = len(THINGS)
"""Pictures that are served as they should be, at /NUMBER.jpg."""


def good_routes() -> dict[str, Route]:
    """Also those that only seem to be bad."""
    return {
        **{f"/{number}.jpg": served(number) for number in range(GOOD)},
        "/typed.jpg": served(GOOD, "text/html"),
        "/wait.jpg": in_turn(reply(b"", "429 Too Many Requests", {"Retry-After": "1"}), served(GOOD + 1)),
        "/moved.jpg": redirect("/target.jpg"),
        "/target.jpg": served(GOOD + 2),
        "/tries.jpg": in_turn(raw(OK, b"Content-Length: 90000\r\n\r\n", b"\xff\xd8\xff"), served(GOOD + 3)),
    }


SEEMING = ("/typed.jpg", "/wait.jpg", "/moved.jpg", "/tries.jpg")
BAD: dict[str, tuple[str, Route]] = {
    "/missing.jpg": ("http_status", reply(b"gone", "404 Not Found")),
    "/slow.jpg": ("timeout", drip(OK + b"Content-Length: 90000\r\n\r\n")),
    "/cut.jpg": ("truncated_body", raw(OK, b"Content-Length: 9000\r\n\r\n", b"\xff\xd8\xff" + bytes(800))),
    "/page.jpg": ("not_an_image", image(HTML)),
    "/large.jpg": ("too_large", image(b"\xff\xd8\xff" + bytes(MAX_BYTES))),
    "/round.jpg": ("redirect_loop", redirect("/round.jpg")),
    "/busy.jpg": ("rate_limited", reply(b"", "429 Too Many Requests", {"Retry-After": "3600"})),
    "/lost.jpg": ("connection_lost", hang_up),
}
TRIED_AGAIN = {"/busy.jpg": 1}
"""By the second build: it was told to come back later and so used one try only."""

ROWS: list[tuple[str, str]] = [
    *((f"/{number}.jpg", caption(number)) for number in range(GOOD)),
    *((path, f'{caption(number)}, as "{path[1:-4]}" shows') for number, path in enumerate((*SEEMING, *BAD))),
    ("/3.jpg", caption(3)),
    *((f"/shared-{number}.jpg", SHARED) for number in range(3)),
    *(("/many.jpg", text) for text in MANY),
    ("/10.jpg", "IMG_1234.jpg"),
    ("/11.jpg", "Image may contain: a person who stands beside a tree and looks at the sea"),
    ("/12.jpg", "Too short"),
    ("/13.jpg", "Ein alter Mann sitzt auf einer Bank vor dem Haus und liest in aller Ruhe seine Zeitung"),
    ("/14.svg", caption(14) + " in a drawing"),
]
"""(path, caption)"""
DROPPED = Counter(
    {
        ("pair", "pair_duplicates", "same_pair"): 1,
        ("pair", "caption_frequency", "too_many_images"): 3,
        ("image_use", "image_frequency", "too_many_uses"): 4,
        ("pair", "caption_boilerplate", "file_name"): 1,
        ("pair", "caption_boilerplate", "boilerplate_prefix"): 1,
        ("pair", "caption_length", "too_few_words"): 1,
        ("pair", "language", "language_not_wanted"): 1,
        ("image_use", "image_url", "unsupported_extension"): 1,
        ("pair", "images_left", "too_few_images"): 5,
        ("pair", "images_found", "too_few_images"): len(BAD),
    }
)


# --- the same pairs in every format ----------------------------------------------------------------------------------


def write_csv(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("url", "caption"), *pairs])
    return path


def write_tsv(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """As CC12M is: no header, no quotes."""
    path.write_text("".join(f"{url}\t{text}\n" for url, text in pairs))
    return path


def write_jsonl(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"image_url": url, "text": text}) + "\n" for url, text in pairs))
    return path


def write_parquet(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """As LAION's tables are, which here do not know the sizes."""
    rows = [
        {"SAMPLE_ID": number, "URL": url, "TEXT": text, "HEIGHT": None, "WIDTH": None, "similarity": 0.3}
        for number, (url, text) in enumerate(pairs)
    ]
    sides = [("HEIGHT", pa.int64()), ("WIDTH", pa.int64())]
    schema = pa.schema([("SAMPLE_ID", pa.int64()), ("URL", pa.string()), ("TEXT", pa.string()), *sides])
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=9)
    return path


FORMATS = {
    "laion.csv": write_csv,
    "cc12m.tsv": write_tsv,
    "pairs.jsonl": write_jsonl,
    "laion.parquet": write_parquet,
}


@dataclass
class Built:
    """One build, and what it asked the server for."""

    output: Path
    code: int
    stderr: str
    asked: Counter[str] = field(default_factory=Counter)


@dataclass
class Web:
    """The server, and the builds made from it, one after the other."""

    folder: Path
    server: WebServer
    recipe: Path
    builds: dict[str, Built] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        # A host that says to wait is left alone as a whole, so it has to be another one.
        hosts = {"/busy.jpg": "localhost"}
        return [(self.server.url(path, hosts.get(path, "127.0.0.1")), text) for path, text in ROWS]

    def path(self, url: str) -> str:
        return "/" + url.rpartition("/")[2]

    def build(self, name: str, given: Path, media: str = "media") -> Built:
        output = self.folder / name
        before = len(self.server.requests)
        arguments = ("build", self.recipe, "--input", given, "--output", output, "--media", self.folder / media)
        code, _, stderr = m3w(*arguments, *LIFTED)
        asked = Counter(r.path for r in self.server.requests[before:] if r.path != "/robots.txt")
        self.builds[name] = Built(output, code, stderr, asked)
        return self.builds[name]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("tables")
    routes = {**good_routes(), **{path: route for path, (_, route) in BAD.items()}}
    with WebServer(routes=routes) as server:
        fetch = {**FETCH, "max_bytes": MAX_BYTES, "max_tries": 2}
        recipe = folder / "pairs.toml"
        recipe.write_text(RECIPE + "".join(f"{name} = {value}\n" for name, value in fetch.items()))
        made = Web(folder, server, recipe)
        for name, written in FORMATS.items():
            made.build(name.replace(".", "-"), written(folder / name, made.pairs))
        yield made


def without_source(output: Path) -> dict[str, Any]:
    return {key: sample.without_source() for key, sample in samples(output).items()}


def by_path(web: Web, output: Path) -> dict[str, Sample]:
    found = {web.path(sample.json["url"]): sample for sample in samples(output).values()}
    assert len(found) == len(samples(output))
    return found


def test_good_pairs_are_written(web: Web) -> None:
    built = web.builds["laion-csv"]
    assert (built.code, built.stderr) == (0, "")
    found = by_path(web, built.output)
    assert found.keys() == {*(f"/{number}.jpg" for number in range(GOOD)), *SEEMING}
    texts = dict(reversed(ROWS))  # of two captions of one picture the first
    for path, sample in found.items():
        assert sample.members["txt"].decode() == texts[path]
    for number in range(GOOD):
        sample = found[f"/{number}.jpg"]
        (told,) = sample.json["images"]
        assert told["original_sha256"] == sha256(pictures()[number]).hexdigest()
        assert same_picture(sample.members[told["member"]], pictures()[number])
    assert len(list((built.output / "shards").glob("*.tar"))) >= 3


def test_every_pair_that_is_not_there_has_a_letter(web: Web) -> None:
    output = web.builds["laion-csv"].output
    found = letters(output)
    failed = {web.path(x["url"]): x["reason"] for x in found if (x["kind"], x["stage"]) == ("image_url", "fetch")}
    assert failed == {path: reason for path, (reason, _) in BAD.items()}
    ours = Counter({key: n for key, n in dropped(found).items() if key[1] != "fetch"})
    assert ours == DROPPED
    funnel = manifest(output).funnel
    check_adds_up(funnel, "pair")
    assert dropped(found) == {(r.kind, r.stage, reason): n for r in funnel for reason, n in r.dropped.items()}
    by_reason = {letter["reason"]: letter for letter in found if letter["kind"] == "pair"}
    assert web.path(by_reason["same_pair"]["url"]) == "/3.jpg"
    assert "3 images, at most 2" in by_reason["too_many_images"]["detail"]


@pytest.mark.parametrize("name", ["cc12m-tsv", "pairs-jsonl", "laion-parquet"])
def test_other_formats_give_the_same_samples(web: Web, name: str) -> None:
    one, other = web.builds["laion-csv"], web.builds[name]
    assert (other.code, other.stderr) == (0, "")
    assert without_source(other.output) == without_source(one.output)
    assert {sample.json["source"]["file"] for sample in samples(other.output).values()} == {name.replace("-", ".")}
    assert dropped(letters(other.output)) == dropped(letters(one.output))
    assert manifest(other.output).funnel == manifest(one.output).funnel
    assert m3w("verify", other.output)[0] == 0


def test_nothing_is_asked_for_that_the_store_knows(web: Web) -> None:
    asked = [built.asked for built in web.builds.values()]
    twice = {"/wait.jpg", "/tries.jpg", "/slow.jpg", "/cut.jpg", "/lost.jpg"}
    expected = {path: 1 + (path in twice) for path in (*good_routes(), *BAD)}
    lost = asked[0].pop("/lost.jpg")
    assert 2 <= lost <= 4, "where an idle connection was tried first, that is no try"
    del expected["/lost.jpg"]
    assert asked[0] == expected
    assert asked[1:] == [TRIED_AGAIN, {}, {}]


# --- inputs that hold the pictures, or name them by a page -----------------------------------------------------------


@pytest.fixture(scope="module")
def archive(web: Web) -> Path:
    """What img2dataset makes of the table, without encoding the pictures again."""
    folder = web.folder / "img2dataset"
    folder.mkdir()
    rows, members = [], list[tuple[str, bytes]]()
    for number, (url, text) in enumerate(web.pairs):
        path, key = ROWS[number][0], f"{number:09d}"
        good = path[1:-4].isdigit() and path.endswith(".jpg")
        row = {"url": url, "caption": text, "key": key, "status": "success" if good else "failed_to_download"}
        rows.append({**row, "error_message": None if good else "HTTP Error 404: Not Found", "width": 1, "height": 1})
        if good:
            body = pictures()[int(path[1:-4])]
            members += [(f"{key}.jpg", body), (f"{key}.json", json.dumps(row).encode()), (f"{key}.txt", text.encode())]
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    (folder / "00000_stats.json").write_text("{}")
    return folder


def test_what_img2dataset_fetched_is_not_fetched_again(web: Web, archive: Path) -> None:
    built = web.build("from-archive", archive, media="other-media")
    assert (built.code, built.stderr, built.asked) == (0, "", {})
    theirs = by_path(web, web.builds["laion-csv"].output)
    found = by_path(web, built.output)
    assert found.keys() == {path for path in theirs if path not in SEEMING}
    for path, sample in found.items():
        assert sample.json["key"] == theirs[path].json["key"] and sample.members == theirs[path].members
    gone = dropped(letters(built.output))
    assert gone["record", "read", "failed_to_download"] == sum(not path[1:-4].isdigit() for path, _ in ROWS) + 1
    check_adds_up(manifest(built.output).funnel, "pair")
    assert m3w("verify", built.output)[0] == 0


def test_pairs_that_a_wat_tells_of(web: Web) -> None:
    """Two pages; the table's own store has the pictures."""
    links = [wat.image(f"/{number}.jpg", caption(number)) for number in range(6)]
    links += [{"path": "A@/href", "url": "/elsewhere", "text": "elsewhere"}, wat.image("/missing.jpg", caption(7))]
    pages = [
        wat.note(links, url=web.server.url("/a/index.html")),
        wat.note(links[:2], url=web.server.url("/b/index.html")),
    ]
    closed = wat.note(links, url=web.server.url("/c.html"), headers={"X-Robots-Tag": "noai"})
    given = wat.write(web.folder / "crawl.warc.wat.gz", wat.crawl(*pages, closed))
    built = web.build("from-wat", given)
    assert (built.code, built.stderr, built.asked) == (0, "", {})
    found, theirs = by_path(web, built.output), by_path(web, web.builds["laion-csv"].output)
    assert found.keys() == {f"/{number}.jpg" for number in range(6)}
    for path, sample in found.items():
        assert sample.members == theirs[path].members and sample.json["key"] == theirs[path].json["key"]
        assert sample.json["page_url"].startswith(web.server.url("/"))
    gone = dropped(letters(built.output))
    assert gone["record", "read", "opted_out"] == 1 and gone["pair", "pair_duplicates", "same_pair"] == 2
    assert gone["image_url", "fetch", "http_status"] == 1
    check_adds_up(manifest(built.output).funnel, "pair")
    assert m3w("verify", built.output)[0] == 0


def test_inputs_of_several_kinds_together(web: Web, archive: Path) -> None:
    """The table and the archive of it: each pair once, and the archive's bytes go before the web's."""
    built = Built(web.folder / "both", 0, "")
    code, _, stderr = m3w(
        *("build", web.recipe, "--input", archive, "--input", web.folder / "cc12m.tsv", "--output", built.output),
        *("--offline", "--quiet"),
    )
    assert (code, stderr) == (0, "")
    theirs = by_path(web, web.builds["laion-csv"].output)
    found = by_path(web, built.output)
    assert found.keys() == {path for path in theirs if path not in SEEMING}
    assert all(sample.members == theirs[path].members for path, sample in found.items())
    check_adds_up(manifest(built.output).funnel, "pair")
    assert m3w("verify", built.output)[0] == 0


# --- readers of others -----------------------------------------------------------------------------------------------


def test_webdataset_reads_them(web: Web) -> None:
    import webdataset as wds

    output = web.builds["laion-parquet"].output
    shards = sorted(map(str, (output / "shards").glob("*.tar")))
    data = wds.WebDataset(shards, shardshuffle=False).decode("pilrgb").to_tuple("__key__", "jpg;png", "txt")
    read = {key: (picture.size, text) for key, picture, text in data}
    assert read == {
        key: ((sample.json["images"][0]["width"], sample.json["images"][0]["height"]), sample.members["txt"].decode())
        for key, sample in samples(output).items()
    }


def test_a_training_pipeline_reads_batches(web: Web) -> None:
    """The steps of open_clip's reader: samples of the tars, those with image and text, decoded, renamed, in batches."""
    import numpy as np
    import webdataset as wds

    output = web.builds["laion-csv"].output
    shards = sorted(map(str, (output / "shards").glob("*.tar")))

    def whole(sample: dict[str, Any]) -> bool:
        return "txt" in sample and any(name in sample for name in ("png", "jpg", "jpeg", "webp"))

    pipeline = wds.DataPipeline(
        wds.SimpleShardList(shards),
        wds.tarfile_to_samples(),
        wds.select(whole),
        wds.decode("pilrgb"),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"),
        wds.map_dict(image=lambda picture: np.asarray(picture.resize((32, 32)), dtype=np.float32), text=str.split),
        wds.to_tuple("image", "text"),
        wds.batched(4, partial=True, collation_fn=lambda rows: (np.stack([r[0] for r in rows]), [r[1] for r in rows])),
    )
    batches = list(pipeline)
    assert sum(len(texts) for _, texts in batches) == len(samples(output))
    for images, texts in batches:
        assert images.shape == (len(texts), 32, 32, 3) and np.ptp(images) > 100
        assert all(len(words) >= 8 for words in texts)


def test_a_finished_table_is_left_alone(web: Web) -> None:
    built = web.builds["laion-csv"]
    before = digests(built.output)
    again = m3w(
        "build", web.recipe, "--input", web.folder / "laion.csv", "--output", built.output, *LIFTED,
        "--media", web.folder / "media",
    )  # fmt: skip
    assert again == (0, "", "") and digests(built.output) == before
