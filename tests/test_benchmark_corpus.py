"""benchmarks.corpus makes many different pages with pictures that can be read, and always the same."""

import json
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator
from PIL import Image

ROOT = Path(__file__).parent.parent


def make(out: Path, *arguments: str) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.corpus", str(out), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    totals: dict[str, int] = json.loads((out / "corpus.json").read_text())
    return totals


def bodies(out: Path) -> dict[str, bytes]:
    """Body by address; fails if an address occurs twice."""
    found: dict[str, bytes] = {}
    for path in sorted(out.glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, parse_http=True):
                url = record.headers["WARC-Target-URI"]
                assert url not in found
                found[url] = record.reader.read()
    return found


def words(body: bytes) -> list[bytes]:
    return re.sub(rb"<[^>]*>", b" ", body[body.find(b"<body") :]).split()


def images(body: bytes) -> list[str]:
    return [url.decode() for url in re.findall(rb'<img src="([^"]*)"', body)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int], dict[str, bytes]]:
    out = tmp_path_factory.mktemp("corpus")
    totals = make(out, "--pages", "420", "--images", "2", "--files", "3")
    return out, totals, bodies(out)


def test_totals_are_those_of_the_files(corpus: tuple[Path, dict[str, int], dict[str, bytes]]) -> None:
    out, totals, found = corpus
    pages = [body for url, body in found.items() if url.endswith(".html")]
    assert totals["pages"] == len(pages) == 420
    assert totals["image_uses"] == sum(len(images(body)) for body in pages) == 840
    assert totals["image_records"] == len(found) - 420
    assert totals["files"] == len(list(out.glob("*.warc.gz"))) == 3
    assert totals["bytes"] == sum(path.stat().st_size for path in out.glob("*.warc.gz"))


def test_every_image_has_a_record_that_decodes(corpus: tuple[Path, dict[str, int], dict[str, bytes]]) -> None:
    _, _, found = corpus
    used = {image for url, body in found.items() if url.endswith(".html") for image in images(body)}
    assert used == {url for url in found if not url.endswith(".html")}
    for url in sorted(used)[::20]:
        with Image.open(BytesIO(found[url])) as image:
            image.load()


def test_some_images_are_shared_and_the_bytes_of_the_others_differ(
    corpus: tuple[Path, dict[str, int], dict[str, bytes]],
) -> None:
    _, _, found = corpus
    uses = [image for url, body in found.items() if url.endswith(".html") for image in images(body)]
    assert 0 < len(uses) - len(set(uses)) < len(uses) // 2
    data = [body for url, body in found.items() if not url.endswith(".html")]
    assert len(set(data)) == len(data)


def test_copies_of_a_page_are_different_texts_made_of_its_words(
    corpus: tuple[Path, dict[str, int], dict[str, bytes]],
) -> None:
    _, _, found = corpus
    copies = [words(body) for url, body in found.items() if url.endswith("/sect.selinux.html") and "example" in url]
    assert len(copies) >= 2
    first, second = copies[:2]
    assert len(first) == len(second) and set(first) <= set(words(found_original()))

    def shingles(text: list[bytes]) -> set[tuple[bytes, ...]]:
        return {tuple(text[start : start + 5]) for start in range(len(text) - 4)}

    common, both = shingles(first) & shingles(second), shingles(first) | shingles(second)
    assert 0.02 < len(common) / len(both) < 0.5


def found_original() -> bytes:
    data = (ROOT / "demo" / "crawl.warc.gz").read_bytes()
    start = 0
    while start >= 0:
        try:
            for record in ArchiveIterator(BytesIO(data[start:]), parse_http=True):
                body: bytes = record.reader.read()
                if str(record.headers.get("WARC-Target-URI")).endswith("/stable/sect.selinux.html") and body:
                    return body
        except OSError:
            pass
        start = data.find(b"\x1f\x8b\x08", start + 1)
    raise AssertionError("the demo crawl lacks the page")


def test_every_fiftieth_page_repeats_a_text_under_its_own_address(
    corpus: tuple[Path, dict[str, int], dict[str, bytes]],
) -> None:
    _, _, found = corpus
    texts = [words(body) for url, body in found.items() if url.endswith(".html")]
    repeats = [number for number in range(1, len(texts)) if texts[number] == texts[number - 1]]
    assert repeats == list(range(49, 420, 50))
    assert len({tuple(text) for text in texts}) == 420 - len(repeats)


def test_same_arguments_give_the_same_bytes(
    corpus: tuple[Path, dict[str, int], dict[str, bytes]], tmp_path: Path
) -> None:
    out, totals, _ = corpus
    assert make(tmp_path, "--pages", "420", "--images", "2", "--files", "3") == totals
    for path in sorted(out.glob("*.warc.gz")):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_facts_only_has_ten_image_addresses_a_page_and_no_image_records(tmp_path: Path) -> None:
    totals = make(tmp_path, "--pages", "60", "--facts-only")
    found = bodies(tmp_path)
    assert totals["records"] == len(found) == 60
    assert totals["image_records"] == 0
    assert {len(images(body)) for body in found.values()} == {10}


def test_refuses_no_pages(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make(tmp_path, "--pages", "0")
    assert b"--pages must be at least 1" in refused.value.stderr
