"""Defects of pictures: all on pages of scikit-image (BSD licence), and made from its pictures."""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from PIL import Image

from demo.defects import HTML, Crawl, Defect, edit, plot_pages
from demo.exchange import Exchange

SOURCE = "https://scikit-image.org/docs/0.19.x/_static/demo/"
"""Where the crawl pretends that the pictures made here were found."""

HOSTS = ("morphology", "max_tree", "skeleton", "phase_unwrap", "swirl", "gabors_from_astronaut", "ransac", "haar")
HOSTS += ("watershed", "deconvolution", "rag_merge", "extrema")
"""Examples that bear a picture more. Their prose is long enough to pass the rules on text, so that it is looked at."""

_SINGLE = b'class = "sphx-glr-single-img"/>'

SVG = b"""<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240" viewBox="0 0 320 240">
  <rect width="320" height="240" fill="#f4f1e8"/><circle cx="160" cy="120" r="80" fill="#3b6ea5"/>
</svg>
"""


ERROR = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Too many requests</h1></body></html>"


@dataclass(frozen=True)
class Made:
    """A picture, or what stands in its place."""

    file: str
    body: bytes | None = None
    """None: the crawl has no record of it."""
    content_type: str = ""
    status: str = "200 OK"


def add_picture_defects(crawl: Crawl) -> list[Defect]:
    """Puts every defect of this module into the crawl, each on a page of its own, and says what was done."""
    plots = {url.rpartition("plot_")[2].removesuffix(".html"): url for url in plot_pages(crawl)}
    pages = iter([plots[name] for name in HOSTS])
    photograph = _photograph(crawl, plots["log_gamma"])

    def show(name: str, made: Made, what: str, expected: str) -> Defect:
        """A page that shows one picture more."""
        page, url = next(pages), f"{SOURCE}{made.file}"
        edit(crawl, page, _SINGLE, _SINGLE + f'<p><img src="{url}" alt="{made.file}" /></p>'.encode())
        if made.body is not None:
            crawl[url] = Exchange(url=url, body=made.body, content_type=made.content_type, status=made.status)
        return Defect(name=name, urls=(url, page), what=what, expected=expected, altered=True)

    jpeg = _encoded([photograph], "JPEG", quality=85)
    plain = _encoded([Image.new("RGB", (400, 300), "#d0d0d0")], "PNG")
    gif = _encoded([photograph, photograph.rotate(180)], "GIF")
    webp = _encoded([photograph], "WEBP", quality=80)
    return [
        show(
            "image_truncated",
            Made("truncated.jpg", jpeg[: len(jpeg) * 3 // 5], "image/jpeg"),
            "a JPEG that ends early",
            "dropped as undecodable; the page stays",
        ),
        show(
            "image_is_html",
            Made("error.jpg", ERROR, "image/jpeg"),
            "an HTML error page served as image/jpeg",
            "the record is dropped as HTML, the image as missing; the page stays",
        ),
        show(
            "image_svg",
            Made("drawing.svg", SVG, "image/svg+xml"),
            "an SVG drawing",
            "dropped as SVG; the page stays",
        ),
        show(
            "image_404",
            Made("gone.png", ERROR, HTML, "404 Not Found"),
            "a picture answered with 404",
            "dropped as missing",
        ),
        show(
            "image_not_crawled",
            Made("not-crawled.png"),
            "a picture of which there is no record",
            "dropped as missing",
        ),
        show(
            "image_exif",
            Made("sideways.jpg", _sideways(photograph), "image/jpeg"),
            "a JPEG stored on its side, with EXIF orientation 6",
            "kept, upright, without EXIF",
        ),
        show(
            "image_bomb",
            Made("bomb.png", _bomb(), "image/png"),
            "a PNG whose header says 60000 x 60000 pixels",
            "dropped by its header, without decoding",
        ),
        show(
            "image_plain",
            Made("plain.png", plain, "image/png"),
            "400 x 300 pixels of one colour",
            "dropped as of a single colour",
        ),
        show(
            "image_animated",
            Made("animated.gif", gif, "image/gif"),
            "an animated GIF",
            "kept: its first frame",
        ),
        show(
            "image_webp",
            Made("photograph.jpg", webp, "image/jpeg"),
            "a WebP picture named .jpg and served as image/jpeg",
            "kept, by its content",
        ),
        _lazy(crawl, next(pages)),
        _not_stored(crawl, next(pages)),
    ]


def _photograph(crawl: Crawl, page: str) -> Image.Image:
    """The first figure of a page of scikit-image, 320 pixels wide."""
    source = crawl[page].body.split(b'src="../../_images/', 1)[1].split(b'"', 1)[0].decode()
    with Image.open(io.BytesIO(crawl[urljoin(page, f"../../_images/{source}")].body)) as picture:
        return picture.convert("RGB").resize((320, max(1, picture.height * 320 // picture.width)))


def _encoded(frames: list[Image.Image], kind: str, **settings: int) -> bytes:
    out = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    frames[0].save(out, kind, **settings, **more)
    return out.getvalue()


def _sideways(photograph: Image.Image) -> bytes:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # Orientation: the viewer has to turn it by 90 degrees clockwise
    exif[0x010F] = "OpenM3W demo"  # Make: something that must be gone afterwards
    photograph.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def _bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(7501 * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _lazy(crawl: Crawl, page: str) -> Defect:
    placeholder = b"data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    body = crawl[page].body
    start = body.index(b'<img src="../../_images/')
    end = body.index(b"/>", start)
    source = body[start:end].split(b'"')[1]
    lazy = b'<img src="' + placeholder + b'" data-src="' + source + b'" alt="" class="lazy sphx-glr-single-img"'
    crawl[page] = replace(crawl[page], body=body[:start] + lazy + body[end:])
    return Defect(
        name="lazy_loading",
        urls=(page,),
        what="its first figure has a data: placeholder as src and its address in data-src",
        expected="the address in data-src is taken",
        altered=True,
    )


def _not_stored(crawl: Crawl, page: str) -> Defect:
    source = crawl[page].body.split(b'src="../../_images/', 1)[1].split(b'"', 1)[0].decode()
    url = urljoin(page, f"../../_images/{source}")
    del crawl[url]
    return Defect(
        name="only_image_not_crawled",
        urls=(url, page),
        what="the record of the page's own first figure was left out",
        expected="the image is dropped as missing; the page too, if it has no other",
    )
