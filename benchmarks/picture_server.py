"""A web server of pictures for benchmarks, in a process of its own: python -m benchmarks.picture_server KIND ...

It serves any number of JPEGs and PNGs, made of some dozens of real ones by a comment inside, so that no two have the
same bytes; every twentieth address misbehaves. Connections are kept alive. It prints its port, remembers how often each
address was asked for, and ends when its standard input does.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from urllib.request import urlopen

from PIL import Image

from benchmarks.corpus import DEMO, Picture, commented, read_demo
from benchmarks.machine import ROOT

KINDS = ("jpeg", "large", "png")
"""JPEGs, the same with twice the width and height, PNGs."""
HOSTS = 50
"""Addresses of loopback that the pictures are spread over, as if each was a host of its own."""
BAD_STEP = 20
BAD = ("missing", "no picture", "opted out", "cut")
"""What every 20th address answers instead of a picture, in turn: 404; a web page; a header that forbids the use; half
of the announced bytes."""
MIN_SIDE = 400
"""Pixels; smaller pictures of the crawl are left out: most of the web's pictures are larger."""
JPEG_QUALITY = 85


@dataclass(frozen=True)
class PictureServer:
    """A running server."""

    port: int

    def url(self, kind: str, number: int) -> str:
        """Address of a picture of one of `KINDS`."""
        return f"http://127.0.0.{1 + number % HOSTS}:{self.port}/{kind}/{number}"

    def asked(self) -> Counter[str]:
        """How often each path was asked for since the last call."""
        with urlopen(f"http://127.0.0.1:{self.port}/asked") as answer:
            return Counter(json.load(answer))


@contextmanager
def serving(kinds: Sequence[str]) -> Iterator[PictureServer]:
    """Runs a server of some of `KINDS` as long as the block lasts."""
    command = [sys.executable, "-m", "benchmarks.picture_server", *kinds]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield PictureServer(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait()


def bad(number: int) -> str:
    """How this address misbehaves; empty if it gives a picture."""
    turn, rest = divmod(number, BAD_STEP)
    return BAD[turn % len(BAD)] if rest == BAD_STEP - 1 else ""


def load_pictures(kind: str) -> list[Picture]:
    """The demo crawl's PNGs or JPEGs, without the small ones; its PNGs are as JPEG among the JPEGs too.

    Its works are manuals, which have few JPEGs of a photograph's size.
    """
    _, found = read_demo(DEMO)
    pictures = [found[url] for url in sorted(found) if max(_open(found[url]).size) > MIN_SIDE]
    lossless = [picture for picture in pictures if picture.content_type == "image/png"]
    if kind == "png":
        return lossless
    scale = 2 if kind == "large" else 1
    photographs = [picture for picture in pictures if picture.content_type == "image/jpeg"]
    if scale > 1:
        photographs = [_as_jpeg(picture, scale) for picture in photographs]
    return photographs + [_as_jpeg(picture, scale) for picture in lossless]


def _open(picture: Picture) -> Image.Image:
    return Image.open(BytesIO(picture.data))


def _as_jpeg(picture: Picture, scale: int) -> Picture:
    image = _open(picture).convert("RGBA")
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image)
    if scale > 1:
        opaque = opaque.resize((scale * image.width, scale * image.height), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    opaque.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return Picture(picture.name, buffer.getvalue(), "image/jpeg", picture.icon)


def answer(number: int, pictures: Sequence[Picture]) -> bytes:
    """The response for a picture; one that is cut is shorter than it says, and its connection must be closed."""
    picture = pictures[number % len(pictures)]
    body, status, more = commented(picture.data, f"picture {number}"), HTTPStatus.OK, ""
    fault = bad(number)
    if fault == "missing":
        body, status = b"nothing here", HTTPStatus.NOT_FOUND
    elif fault == "no picture":
        body = b"<!doctype html><title>Picture</title><p>There is a page where the picture was."
    elif fault == "opted out":
        more = "X-Robots-Tag: noai\r\n"
    length = len(body)
    if fault == "cut":
        body = body[: length // 2]
    head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: {picture.content_type}\r\n{more}"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, pictures: Mapping[str, Sequence[Picture]], asked: Counter[str]) -> None:
        self.pictures, self.counts = pictures, asked
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            self.reply(head.lower())

    def reply(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/asked":
            body = json.dumps(self.counts).encode()
            self.counts.clear()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            ends = True
        else:
            _, kind, number = path.split("/")
            self.counts[path] += 1
            self.transport.write(answer(int(number), self.pictures[kind]))
            ends = bad(int(number)) == "cut"
        if ends or b"\r\nconnection: close" in head:
            self.transport.close()


async def serve(kinds: Sequence[str]) -> None:
    pictures, counts = {kind: load_pictures(kind) for kind in kinds}, Counter[str]()
    loop = asyncio.get_running_loop()
    first = await loop.create_server(lambda: _Connection(pictures, counts), "127.0.0.1", 0, backlog=1024)
    port = first.sockets[0].getsockname()[1]
    others = [f"127.0.0.{number}" for number in range(2, HOSTS + 1)]
    await loop.create_server(lambda: _Connection(pictures, counts), others, port, backlog=1024)
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started us closes our input


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
