"""Content encodings are undone, and bombs stop at the cap."""

import gzip
import tracemalloc
import zlib

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines.web.encodings import decode_body
from pipelines.web.outcome import FetchError


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
    "aws-chunked": bytes,
}


@given(st.binary(max_size=2000), st.sampled_from(sorted(ENCODERS)))
def test_decoding_is_the_inverse(body: bytes, name: str) -> None:
    assert decode_body(ENCODERS[name](body), name, 2000) == body


@given(st.binary(min_size=1, max_size=200))
def test_deflate_without_its_header(body: bytes) -> None:
    assert decode_body(raw_deflate(body), "deflate", 200) == body


def test_several_encodings_and_members() -> None:
    assert decode_body(brotli.compress(gzip.compress(b"abc")), "gzip, br", 100) == b"abc"
    assert decode_body(gzip.compress(b"abc") + gzip.compress(b"def"), "gzip", 100) == b"abcdef"
    with pytest.raises(FetchError, match="bad_encoding"):
        decode_body(b"", "gzip,gzip,gzip,gzip,gzip", 100)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_stops_at_the_cap(name: str) -> None:
    bomb = ENCODERS[name](bytes(20_000_000))
    assert len(bomb) < 100_000
    tracemalloc.start()
    out = decode_body(bomb, name, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(out) == 1001
    assert peak < 10_000_000


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("damage", ["no_such_format", "cut"])
def test_bodies_that_are_not_what_they_say(name: str, damage: str) -> None:
    good = ENCODERS[name](bytes(range(256)) * 40)
    with pytest.raises(FetchError) as caught:
        decode_body(
            b"\xff\xd8\xff\xe0 a picture" if damage == "no_such_format" else good[: len(good) // 2], name, 99999
        )
    assert caught.value.failed.reason == "bad_encoding"
