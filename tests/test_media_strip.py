"""strip: the same pixels, no metadata, and nothing left to do the second time."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.media.strip import strip


def noise(mode: str, width: int = 70, height: int = 50) -> Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    image = Image.open(BytesIO(data))
    return image.mode, image.size, image.convert("RGB" if image.mode == "CMYK" else "RGBA").tobytes()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rgb_by_marker_only() -> bytes:
    """RGB in a JPEG whose components are named 1, 2, 3 as if they were YCbCr: only the Adobe marker says otherwise."""
    data = encoded(noise("RGB"), "JPEG", keep_rgb=True)
    for place in (data.index(b"\xff\xc0") + 10, data.index(b"\xff\xda") + 5):
        step = 3 if data[place - 1] == 3 and data[place + 3] == ord("G") else 2
        for number in range(3):
            at = place + number * step
            assert data[at] == b"RGB"[number]
            data = data[:at] + bytes((number + 1,)) + data[at + 1 :]
    return data


# Adobe RGB without JFIF, CMYK, restart markers and several scans are where a careless stripper changes colours.
JPEGS = {
    "baseline": encoded(noise("RGB"), "JPEG"),
    "grey": encoded(noise("L"), "JPEG"),
    "cmyk with Adobe marker": encoded(noise("CMYK"), "JPEG"),
    "rgb with Adobe marker": rgb_by_marker_only(),
    "progressive": encoded(noise("RGB"), "JPEG", progressive=True),
    "restart markers": encoded(noise("RGB"), "JPEG", restart_marker_blocks=1),
    "4:4:4 optimised": encoded(noise("RGB"), "JPEG", subsampling="4:4:4", optimize=True),
    "several pictures": encoded(noise("RGB"), "MPO", save_all=True, append_images=[noise("RGB")]),
}
PNGS = {
    mode: encoded(noise("RGB").quantize(16) if mode == "P" else noise(mode), "PNG")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
}
PNGS["transparent palette"] = encoded(noise("RGB").quantize(16), "PNG", transparency=3)


@pytest.mark.parametrize("name", [*JPEGS, *PNGS])
def test_the_pixels_stay_and_a_second_time_changes_nothing(name: str) -> None:
    data = {**JPEGS, **PNGS}[name]
    assert pixels(strip(data)) == pixels(data)
    assert strip(strip(data)) == strip(data)


@given(
    notes=st.lists(st.tuples(st.sampled_from([*range(0xE0, 0xF0), 0xFE]), st.binary(max_size=300)), max_size=6),
    tail=st.binary(max_size=50),
    name=st.sampled_from(sorted(JPEGS)),
)
@settings(max_examples=100, deadline=None)
def test_jpeg_metadata_goes_wherever_it_stands(notes: list[tuple[int, bytes]], tail: bytes, name: str) -> None:
    data = strip(JPEGS[name])
    # Segments that a decoder obeys are not metadata.
    added = b"".join(segment(m, b) for m, b in notes if not b.startswith((b"JFIF", b"Adobe")))
    at = data.index(b"\xff\xdb")
    assert strip(data[:at] + added + data[at:] + tail) == data


@given(
    notes=st.lists(
        st.tuples(st.sampled_from([b"tEXt", b"iTXt", b"eXIf", b"tIME", b"acTL", b"prVt"]), st.binary(max_size=300)),
        max_size=6,
    ),
    tail=st.binary(max_size=50),
    name=st.sampled_from(sorted(PNGS)),
)
@settings(max_examples=100, deadline=None)
def test_png_metadata_goes_wherever_it_stands(notes: list[tuple[bytes, bytes]], tail: bytes, name: str) -> None:
    data = strip(PNGS[name])
    added = b"".join(chunk(n, b) for n, b in notes)
    at = data.index(b"IDAT") - 4
    assert strip(data[:at] + added + data[at:-12] + added + data[-12:] + tail) == data


def test_metadata_between_scans_and_hidden_behind_headers_goes() -> None:
    data = strip(JPEGS["progressive"])
    second = data.index(b"\xff\xc4", data.index(b"\xff\xda"))
    assert strip(data[:second] + segment(0xFE, b"SECRET") + data[second:]) == data
    thumbnail = data[:2] + segment(0xE0, data[6:18] + b"\x01\x01SEC") + data[20:]
    assert strip(thumbnail) == data
    assert strip(data[:20] + data[2:20] + data[20:]) == data, "a second JFIF segment"
    adobe = JPEGS["rgb with Adobe marker"]
    at = adobe.index(b"Adobe")
    longer = adobe[: at - 4] + segment(0xEE, adobe[at : at + 12] + b"SECRET") + adobe[at + 12 :]
    assert strip(longer) == strip(adobe)


def test_fill_bytes_before_a_marker_go() -> None:
    data = strip(JPEGS["baseline"])
    assert strip(data[:-2] + b"\xff\xff" + data[-2:]) == data


def test_text_and_time_of_a_real_png() -> None:
    text = PngInfo()
    text.add_text("Author", "SOMEBODY")
    text.add_itxt("XML:com.adobe.xmp", "<x>SOMEBODY</x>", zip=False)
    data = encoded(noise("RGB"), "PNG", pnginfo=text, dpi=(300, 300))
    assert b"SOMEBODY" in data
    assert strip(data) == strip(encoded(noise("RGB"), "PNG"))
    assert Image.open(BytesIO(strip(data))).info == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GIF89a", "neither JPEG nor PNG"),
        (b"", "neither"),
        (JPEGS["baseline"][:-2], "end marker"),
        (JPEGS["baseline"][:30], "cut in a segment"),
        (b"\xff\xd8\xff\xd9", "without a scan"),
        (JPEGS["baseline"][:2] + b"\xff\xd0" + JPEGS["baseline"][2:], "cut in a segment"),
        (b"\xff\xd8" + segment(0xC9, bytes(15)) + JPEGS["baseline"][2:], "unexpected marker 0xc9"),
        (b"\xff\xd8\xff\xe0\x00\x10" + bytes(14) + b"junk", "without a marker"),
        (PNGS["RGB"][:-12], "end chunk"),
        (PNGS["RGB"][:40], "end chunk"),
        (PNGS["RGB"][:33] + chunk(b"NEWX", b"") + PNGS["RGB"][33:], "unknown critical chunk"),
    ],
)
def test_files_that_are_not_as_the_standard_says(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strip(data)
