"""prepare: which reason each bad input gets, and what becomes of each kind of good one."""

import hashlib
import random
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.media.blocklist import NO_BLOCKLIST, Blocklist
from pipelines.media.prepare import MediaConfig, Prepared, prepare, settings_digest
from pipelines.media.strip import strip
from schemas.rejection import Rejected

CONFIG = MediaConfig(
    formats=("jpeg", "png", "gif", "webp", "avif", "bmp", "tiff"),
    max_pixels=2_000_000,
    max_header_side=20_000,
    max_scans=100,
    max_side=0,
    jpeg_quality=90,
    jpeg_subsampling="4:2:0",
    png_max_bytes_per_pixel=1.5,
    png_compress_level=3,
)


class FixedScorer:
    """A scorer whose answer the test chooses."""

    name = "fixed"

    def __init__(self, answer: float | Exception) -> None:
        self.answer = answer
        self.seen: list[str] = []

    def score(self, image: Image.Image) -> float:
        self.seen.append(image.mode)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def picture(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth picture without symmetry: red grows to the right, green downwards."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    channels = np.stack([x * 255 // size[0], y * 255 // size[1], (x * y) // 16 % 256], axis=-1).astype(np.uint8)
    return Image.fromarray(channels).convert(mode)


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def accepted(data: bytes, config: MediaConfig = CONFIG) -> Prepared:
    result = prepare(data, config, None, NO_BLOCKLIST)
    assert isinstance(result, Prepared), result
    return result


def refused(data: bytes, config: MediaConfig = CONFIG) -> Rejected:
    result = prepare(data, config, None, NO_BLOCKLIST)
    assert isinstance(result, Rejected)
    return result


def largest_difference(data: bytes, expected: Image.Image) -> int:
    one, two = (np.asarray(i.convert("RGB")).astype(int) for i in (opened(data), expected))
    return int(np.abs(one - two).max())


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "CAMERA-MAKER"
    return tags


def wide_gamut_profile() -> bytes:
    """An RGB profile like sRGB but with red and blue exchanged, so that using it cannot be overlooked."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
JPEG = encoded(picture(), "JPEG", quality=85)
PNG = encoded(picture(), "PNG")


# ---- reasons


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "not_an_image", "no bytes"),
        (b"<!DOCTYPE html><html><svg></svg></html>", "not_an_image", "HTML"),
        (b'{"error": 404}', "not_an_image", "JSON"),
        (b"Not found", "not_an_image", "text"),
        (b"%PDF-1.7", "not_an_image", "PDF"),
        (b'<?xml version="1.0"?><!-- by hand --><svg xmlns="http://www.w3.org/2000/svg"/>', "svg", "vector"),
        (b"\x00\x00\x01\x00\x01\x00" + bytes(40), "unsupported_format", "ico"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "unsupported_format", "heic"),
        (b"\xff\x0a" + bytes(40), "unsupported_format", "jxl"),
        (JPEG[: len(JPEG) // 2], "undecodable", "Truncated"),
        (PNG[: len(PNG) // 2], "undecodable", "truncated"),
        (JPEG[:20], "undecodable", ""),
        (b"\x89PNG\r\n\x1a\n", "undecodable", ""),
        (encoded(Image.new("F", (64, 64)), "TIFF"), "unsupported_format", "mode F"),
    ],
)
def test_reasons(data: bytes, reason: str, detail: str) -> None:
    result = refused(data)
    assert (result.reason, detail in result.detail) == (reason, True), result


def test_a_format_that_the_recipe_leaves_out() -> None:
    result = refused(encoded(picture(), "BMP"), replace(CONFIG, formats=("jpeg", "png")))
    assert result == Rejected("unsupported_format", "bmp, accepted are jpeg, png")


def bomb_png() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def bomb_avif() -> bytes:
    data = encoded(picture(), "AVIF", speed=10)
    return patched(data, data.index(b"ispe") + 8, struct.pack(">II", 30_000, 30_000))


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": bomb_png,
    "jpeg": lambda: patched(JPEG, JPEG.index(b"\xff\xc0") + 5, struct.pack(">HH", 60_000, 60_000)),
    "gif": lambda: patched(encoded(picture("P"), "GIF"), 6, struct.pack("<HH", 60_000, 60_000)),
    "webp lossy": lambda: patched(encoded(picture(), "WEBP"), 26, struct.pack("<HH", 16_000, 16_000)),
    "webp extended": lambda: patched(encoded(picture(), "WEBP", exif=exif(1)), 24, b"\x00\x40\x00\x00\x40\x00"),
    "webp lossless": lambda: patched(encoded(picture(), "WEBP", lossless=True), 21, b"\xff\xff\xff\x0f"),
    "avif": bomb_avif,
    "bmp": lambda: patched(encoded(picture(), "BMP"), 18, struct.pack("<ii", 60_000, -60_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_known_by_its_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was opened")

    monkeypatch.setattr("pipelines.media.decode._DECODERS", dict.fromkeys(CONFIG.formats, never))
    assert refused(BOMBS[name]()).reason == "pixel_bomb"


def test_a_tiff_bomb_is_known_before_its_pixels_are_made() -> None:
    data = encoded(Image.new("1", (4_000, 4_000)), "TIFF", compression="group4")
    assert len(data) < 10_000
    assert refused(data).reason == "pixel_bomb"


def test_limits_are_inclusive() -> None:
    assert isinstance(accepted(PNG, replace(CONFIG, max_pixels=64 * 48, max_header_side=64)), Prepared)
    assert refused(PNG, replace(CONFIG, max_pixels=64 * 48 - 1)).detail == "64 x 48 = 3072 pixels, at most 3071"
    assert refused(PNG, replace(CONFIG, max_header_side=63)).detail == "64 x 48, sides at most 63"


def test_too_many_scans() -> None:
    progressive = encoded(picture(), "JPEG", progressive=True)
    scans = progressive.count(b"\xff\xda")
    assert scans > 3
    accepted(progressive, replace(CONFIG, max_scans=scans))
    assert refused(progressive, replace(CONFIG, max_scans=scans - 1)).reason == "pixel_bomb"


def test_the_hash_list_comes_first_whatever_the_bytes_are() -> None:
    for data in (JPEG, b"no image at all"):
        for listed in (
            replace(NO_BLOCKLIST, md5=frozenset({hashlib.md5(data).digest()})),
            replace(NO_BLOCKLIST, sha256=frozenset({hashlib.sha256(data).digest()})),
        ):
            result = prepare(data, CONFIG, None, listed)
            assert isinstance(result, Rejected)
            assert result.reason == "blocked_hash"


def test_perceptual_list() -> None:
    value = int(accepted(JPEG).phash, 16)
    for bits, expected in ((0, True), (0b11, True), (0b111, False)):
        listed = Blocklist(
            md5=frozenset(), sha256=frozenset(), phashes=np.array([value ^ bits], dtype=np.uint64), distance=2
        )
        result = prepare(JPEG, CONFIG, None, listed)
        assert (isinstance(result, Rejected) and result.reason == "blocked_phash") is expected


def test_what_the_scorer_cannot_judge_does_not_pass() -> None:
    for answer in (RuntimeError("no"), float("nan"), 1.5, -0.1):
        result = prepare(JPEG, CONFIG, FixedScorer(answer), NO_BLOCKLIST)
        assert isinstance(result, Rejected)
        assert result.reason == "unscorable"


def test_the_scorer_sees_rgb_and_its_score_is_kept() -> None:
    scorer = FixedScorer(0.123456)
    for image in (picture("L"), picture("RGBA"), picture("P")):
        result = prepare(encoded(image, "PNG"), CONFIG, scorer, NO_BLOCKLIST)
        assert isinstance(result, Prepared)
        assert result.nsfw == 0.1235
    assert scorer.seen == ["RGB"] * 3
    assert accepted(JPEG).nsfw == -1


# ---- members


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (JPEG, "jpeg"),
        (encoded(picture(), "JPEG", progressive=True), "jpeg"),
        (encoded(picture("L"), "JPEG"), "jpeg"),
        (encoded(picture(), "JPEG", icc_profile=SRGB, exif=exif(1), comment=b"hello"), "jpeg"),
        (encoded(picture(), "MPO", save_all=True, append_images=[picture("L").convert("RGB")]), "jpeg"),
        (PNG, "png"),
        (encoded(picture("L"), "PNG"), "png"),
        (encoded(picture("P"), "PNG"), "png"),
        (encoded(picture(), "PNG", icc_profile=SRGB), "png"),
    ],
)
def test_plain_files_keep_their_compressed_data(data: bytes, name: str) -> None:
    result = accepted(data)
    assert (result.stripped, result.format, result.member) == (True, name, strip(data))
    assert largest_difference(result.member, opened(data)) == 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_is_applied(orientation: int) -> None:
    data = encoded(picture(), "PNG", exif=exif(orientation))
    result = accepted(data)
    # The stored picture is what the camera saw; the oracle turns it as the EXIF standard's table of row 0 and column 0.
    pixels = np.asarray(picture())
    expected = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, 1),
    }[orientation]
    assert not result.stripped
    assert np.array_equal(np.asarray(opened(result.member)), expected)
    assert (result.width, result.height) == (result.member_width, result.member_height) == expected.shape[1::-1]


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "AVIF", "TIFF"])
def test_orientation_is_read_in_every_format(name: str) -> None:
    result = accepted(encoded(picture(), name, exif=exif(6)))
    assert (result.width, result.height) == (48, 64)
    assert largest_difference(result.member, picture().transpose(Image.Transpose.ROTATE_270)) < 60


def test_broken_exif_costs_nothing() -> None:
    assert accepted(encoded(picture(), "JPEG", exif=b"Exif\x00\x00garbage")).width == 64


def test_a_profile_becomes_srgb_pixels() -> None:
    red = Image.new("RGB", (64, 64), (250, 10, 10))
    result = accepted(encoded(red, "PNG", icc_profile=wide_gamut_profile()))
    r, _, b = np.asarray(opened(result.member))[5, 5]
    assert not result.stripped
    assert r < 60 and b > 200


def test_a_broken_or_foreign_profile_is_left_aside() -> None:
    for image, profile in ((picture(), b"not a profile" * 20), (picture("L"), wide_gamut_profile())):
        assert accepted(encoded(image, "PNG", icc_profile=profile)).stripped


def test_alpha_is_laid_on_white() -> None:
    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    result = accepted(encoded(image, "PNG"))
    assert opened(result.member).mode == "RGB"
    assert largest_difference(result.member, white) <= 1


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_white(name: str) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(1, (0, 0, 32, 64))
    result = accepted(encoded(image, name, transparency=0))
    member = opened(result.member).convert("RGB")
    assert (member.getpixel((5, 5)), member.getpixel((60, 5))) == ((200, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("name", ["GIF", "WEBP", "AVIF", "PNG"])
def test_only_the_first_frame(name: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
    assert largest_difference(accepted(data).member, frames[0]) <= 12


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    member = opened(accepted(encoded(Image.fromarray(levels), "PNG")).member)
    assert np.array_equal(np.asarray(member), np.round(levels / 257).astype(np.uint8))


def test_cmyk_becomes_rgb() -> None:
    result = accepted(encoded(Image.new("RGB", (64, 64), (200, 40, 40)).convert("CMYK"), "JPEG"))
    assert opened(result.member).mode == "RGB"
    assert largest_difference(result.member, Image.new("RGB", (64, 64), (200, 40, 40))) <= 6


def test_lossless_originals_stay_lossless_up_to_the_limit() -> None:
    lossless = encoded(picture(), "WEBP", lossless=True)
    density = len(lossless) / (64 * 48)
    result = accepted(lossless, replace(CONFIG, png_max_bytes_per_pixel=density))
    assert (result.member_format, largest_difference(result.member, picture())) == ("png", 0)
    assert accepted(lossless, replace(CONFIG, png_max_bytes_per_pixel=density * 0.99)).member_format == "jpg"
    assert accepted(PNG, replace(CONFIG, png_max_bytes_per_pixel=0)).member_format == "jpg"
    assert accepted(encoded(picture("P"), "GIF")).member_format == "png"
    for name in ("WEBP", "AVIF", "BMP", "TIFF"):
        assert accepted(encoded(picture(), name)).member_format == "jpg"


def test_jpeg_settings_are_used() -> None:
    data = encoded(picture(), "BMP")
    low, high = (accepted(data, replace(CONFIG, jpeg_quality=q)).member for q in (10, 95))
    assert len(low) < len(high)
    layers = {s: opened(accepted(data, replace(CONFIG, jpeg_subsampling=s)).member).layer[0][1:3]  # type: ignore[attr-defined]
              for s in ("4:4:4", "4:2:2", "4:2:0")}  # fmt: skip
    assert layers == {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_reduced_to_the_largest_side(name: str) -> None:
    big = picture(size=(700, 400))
    result = accepted(encoded(big, name), replace(CONFIG, max_side=70))
    assert (result.width, result.height) == (700, 400)
    assert (result.member_width, result.member_height) == opened(result.member).size == (70, 40)
    smooth = picture(size=(70, 40)).split()[0]
    difference = np.asarray(opened(result.member).split()[0]).astype(int) - np.asarray(smooth)
    # The encoders blur colours a little; a picture turned, shifted or cut would differ by tens.
    assert np.abs(difference).mean() < 4
    assert not result.stripped
    assert accepted(encoded(big, "JPEG"), replace(CONFIG, max_side=700)).stripped


@pytest.mark.parametrize("side", [1, 3, 63, 125, 126, 251, 502, 1002])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_reduced_sides_are_the_same_however_it_is_decoded(name: str, side: int) -> None:
    """libjpeg halves and rounds up, which must not show."""
    result = accepted(encoded(picture(size=(1003, 701)), name), replace(CONFIG, max_side=side))
    assert opened(result.member).size == (side, max(1, int(701 * side / 1003 + 0.5)))


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_reduced_is_nearer_to_the_ideal_than_averaging_is(name: str) -> None:
    y, x = np.mgrid[0:600, 0:800]
    rings = np.sin((x * x + y * y) / 3000.0) * 100 + 128  # finer and finer, to what 300 pixels cannot show
    data = encoded(Image.fromarray(rings.astype(np.uint8)), name, **({"quality": 95} if name == "JPEG" else {}))
    result = accepted(data, replace(CONFIG, max_side=300, jpeg_quality=95, png_max_bytes_per_pixel=1000.0))
    ideal, averaged = (
        np.asarray(opened(data).resize((300, 225), how)).astype(float)
        for how in (Image.Resampling.LANCZOS, Image.Resampling.BOX)
    )
    ours = np.asarray(opened(result.member)).astype(float)
    assert ((ours - ideal) ** 2).mean() < 0.7 * ((averaged - ideal) ** 2).mean()


def test_no_side_is_reduced_to_nothing() -> None:
    result = accepted(encoded(picture(size=(700, 2)), "PNG"), replace(CONFIG, max_side=70))
    assert (result.member_width, result.member_height) == (70, 1)


@pytest.mark.parametrize("data", [JPEG, PNG, encoded(picture(), "WEBP"), encoded(picture("P"), "GIF")])
def test_facts_agree_with_the_bytes(data: bytes) -> None:
    result = accepted(data)
    member = opened(result.member)
    assert result.original_sha256 == hashlib.sha256(data).hexdigest()
    assert result.original_bytes == len(data)
    assert result.member_sha256 == hashlib.sha256(result.member).hexdigest()
    assert (result.member_width, result.member_height) == member.size
    assert {"jpg": "JPEG", "png": "PNG"}[result.member_format] == member.format
    # The hash is that of the picture before it was encoded, which for lossy WebP is not quite what the member shows.
    assert result.phash == str(imagehash.phash(opened(data).convert("RGB")))


def test_the_hash_is_that_of_the_upright_picture() -> None:
    data = encoded(picture(), "WEBP", exif=exif(3))
    upright = opened(data).convert("RGB").transpose(Image.Transpose.ROTATE_180)
    assert accepted(data).phash == str(imagehash.phash(upright)) != str(imagehash.phash(opened(data).convert("RGB")))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_no_metadata_is_left(name: str, orientation: int) -> None:
    secret = {"exif": exif(orientation), "icc_profile": SRGB, "xmp": b"<x:xmpmeta>CAMERA-MAKER</x:xmpmeta>"}
    data = encoded(picture(), name, **secret)
    assert b"CAMERA-MAKER" in data
    member = accepted(data).member
    assert b"CAMERA-MAKER" not in member
    assert set(opened(member).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


# ---- the same on every run, and for anything at all


def samples() -> list[bytes]:
    images = [JPEG, PNG, encoded(picture(), "JPEG", progressive=True, exif=exif(6), icc_profile=SRGB)]
    images += [encoded(picture(mode), "PNG") for mode in ("RGBA", "P", "LA", "1")]
    images += [encoded(picture("CMYK"), "JPEG"), encoded(picture("P"), "GIF"), encoded(picture(), "BMP")]
    images += [encoded(picture(), "WEBP", exif=exif(6)), encoded(picture("RGBA"), "WEBP", lossless=True)]
    images += [encoded(picture("RGBA"), "AVIF", speed=10), encoded(picture(), "TIFF")]
    return images


def test_the_same_from_threads() -> None:
    images = samples() * 4
    alone = [prepare(data, CONFIG, None, NO_BLOCKLIST) for data in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda data: prepare(data, CONFIG, None, NO_BLOCKLIST), images)) == alone


def mutated(data: bytes, rng: random.Random) -> bytes:
    body = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(min(len(body), rng.choice((64, 400, 100_000))))
        match rng.randrange(5):
            case 0:
                body[at] = rng.randrange(256)
            case 1:
                body[at] ^= 1 << rng.randrange(8)
            case 2:
                body[at:at] = rng.randbytes(rng.randrange(1, 8))
            case 3:
                body[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case 4:
                del body[max(at, 1) :]
    return bytes(body)


@pytest.mark.parametrize("max_side", [0, 20])
def test_any_bytes_give_a_member_that_opens_or_a_reason(max_side: int) -> None:
    config = replace(CONFIG, max_side=max_side, max_pixels=100_000)
    rng = random.Random(max_side)
    seeds = samples()[:-1]  # libtiff writes its complaints to the terminal
    outcomes: dict[str, int] = {}
    for number in range(2_000):
        data = mutated(seeds[number % len(seeds)], rng)
        result = prepare(data, config, None, NO_BLOCKLIST)
        if isinstance(result, Rejected):
            assert " at 0x" not in result.detail
            outcomes[result.reason] = outcomes.get(result.reason, 0) + 1
        else:
            member = opened(result.member)
            assert member.size == (result.member_width, result.member_height)
            assert member.mode in ("RGB", "L", "P")
            outcomes["kept"] = outcomes.get("kept", 0) + 1
        if number % 10 == 0:
            assert prepare(data, config, None, NO_BLOCKLIST) == result
    # The mutations must reach both sides of every gate, or the loop above shows little.
    assert outcomes.keys() >= {"kept", "undecodable", "pixel_bomb", "not_an_image"}
    assert min(outcomes["kept"], outcomes["undecodable"]) > 200


# ---- settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("formats", ("jpeg", "eps")),
        ("formats", ()),
        ("max_pixels", 0),
        ("max_header_side", 70_000),
        ("max_scans", 0),
        ("max_side", -1),
        ("jpeg_quality", 100),
        ("jpeg_subsampling", "4:1:1"),
        ("png_max_bytes_per_pixel", float("nan")),
        ("png_compress_level", 10),
    ],
)
def test_bad_settings_name_their_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        replace(CONFIG, **{field: value})


def test_settings_digest_names_settings_and_scorer() -> None:
    digest = settings_digest(CONFIG, "none")
    assert len(digest) == 12 and int(digest, 16) >= 0
    assert digest == settings_digest(replace(CONFIG), "none")
    assert len({digest, settings_digest(CONFIG, "x"), settings_digest(replace(CONFIG, jpeg_quality=80), "none")}) == 3
