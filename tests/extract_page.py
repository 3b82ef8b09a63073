"""Settings and short cuts for the tests of pipelines.extract."""

from dataclasses import replace
from pathlib import Path

from pipelines.extract.config import ExtractConfig
from pipelines.extract.document import extract
from pipelines.extract.html.parse import ParseConfig, ParsedPage, parse_html
from pipelines.extract.page import HtmlPage
from schemas.document import Document, Image, Source, Text
from schemas.rejection import Rejected

URL = "https://site.example/a/page.html"
PAGES = Path(__file__).parent / "fixtures" / "pages"

PARSE = ParseConfig(
    max_chars=10_000_000,
    max_elements=200_000,
    max_depth=1000,
    max_attributes=256,
)
EXTRACT = ExtractConfig(
    mode="main",
    images="optional",
    max_images=100,
    srcset_max_width=1600,
    viewport_width=1280,
    image_types=("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"),
    prefer_linked_image=False,
    page_image=False,
    posters=False,
    backgrounds=False,
    data_images=False,
    icon_max_side=48,
    caption_max_chars=200,
)
FULL = replace(EXTRACT, mode="full")


def parsed(html: str, config: ParseConfig = PARSE, url: str = URL) -> ParsedPage | Rejected:
    page = HtmlPage(url=url, utf8=html.encode("utf-8", "replace"), source=Source(), charset="utf-8")
    return parse_html(page, config)


def extracted(html: str, config: ExtractConfig = FULL, url: str = URL) -> Document | Rejected:
    page = parsed(html, url=url)
    assert isinstance(page, ParsedPage), page
    return extract(page, config)


def document(html: str, config: ExtractConfig = FULL, url: str = URL) -> Document:
    found = extracted(html, config, url)
    assert isinstance(found, Document), found
    return found


def text(html: str, config: ExtractConfig = FULL) -> str:
    return document(html, config).text


def image(html: str, config: ExtractConfig = FULL, url: str = URL) -> Image:
    """The only picture of a page."""
    (found,) = document(f"<p>words</p>{html}", config, url).images
    return found


def marked(html: str, config: ExtractConfig = FULL) -> str:
    """The document as one string with {name} where a picture stands."""
    return "".join(
        f"{{{slot.url.rsplit('/', 1)[-1]}}}"
        if isinstance(slot, Image)
        else slot.text
        if isinstance(slot, Text)
        else "?"
        for slot in document(html, config).slots
    )
