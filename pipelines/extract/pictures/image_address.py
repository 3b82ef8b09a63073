"""Which address a picture has: what a browser would load for it, at the largest size that is wanted.

The order, in `choose_address`: <picture> sources, then the attributes of lazy loaders, then srcset, then src. An
address that only holds the place (data: URI, blank.gif, spacer) is beaten by any other.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html.address import resolve_url
from pipelines.extract.pictures.data_url import embedded_picture

# Attributes in which scripts keep the real address until the picture comes into view, best first.
LAZY_SRCSET = ("data-srcset", "data-lazy-srcset", "data-original-set", "data-ezsrcset", "data-nitro-lazy-srcset")
LAZY_SRC = (
    "data-src", "data-lazy-src", "data-original", "data-original-src", "data-lazyload", "data-lazy-load",
    "data-lazyload-src", "data-lazy", "data-image-src", "data-img-src", "data-img-url", "data-image", "data-img",
    "data-url", "data-echo", "data-actualsrc", "data-cfsrc", "data-ezsrc",
    "data-nitro-lazy-src", "data-pagespeed-lazy-src", "pagespeed_lazy_src", "data-delayed-url", "data-defer-src",
    "data-ks-lazyload", "data-real-src", "data-true-src", "data-orig-src", "data-path", "lazy-src", "lazysrc",
    "loadsrc",
)  # fmt: skip
_LAZY_SRCSET, _LAZY_SRC = frozenset(LAZY_SRCSET), frozenset(LAZY_SRC)
# Where src holds nothing, any attribute that names an image file is asked, but for those that name another picture.
_OTHER_PICTURES = frozenset({"src", "srcset", "alt", "title", "longdesc", "usemap", "id", "class", "style", "poster"})
# Words of a file's name that say it only holds the place of a picture.
PLACEHOLDER_WORDS = frozenset(
    {"1x1", "blank", "spacer", "placeholder", "transparent", "pixel", "loading", "loader", "lazy", "lazyload", "grey",
     "gray", "empty", "clear", "dummy", "trans", "shim", "pix", "preload", "spinner"}
)  # fmt: skip
_NO_WORD = re.compile(r"[^a-z0-9]+")
IMAGE_FILE = re.compile(r"\.(?:jpe?g|png|webp|gif|avif|bmp|tiff?)\Z", re.IGNORECASE)
# What leads to the page itself, or to what <base> says in its place.
_NOTHING = re.compile(r"[\x00-\x20]*(?:\?[\x00-\x20]*\Z|#|\Z)")
_LONGEST_ADDRESS = 2000
_SRCSET_ADDRESS = re.compile(r"[\s,]*+(\S++)")
_LENGTH = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*\Z")
_STYLE_LENGTH = {
    side: re.compile(rf"(?:^|;)\s*{side}\s*:\s*(\d{{1,5}})(?:\.\d+)?px", re.IGNORECASE) for side in ("width", "height")
}
_MEDIA_WIDTH = re.compile(r"\(\s*(min|max)-width\s*:\s*([\d.]+)\s*(px|r?em)?\s*\)")
_MEDIA_RANGE = re.compile(r"\(\s*width\s*([<>])=?\s*([\d.]+)\s*(px|r?em)?\s*\)")
_MEDIA_TRUE = re.compile(
    r"\(\s*(?:orientation\s*:\s*landscape|prefers-color-scheme\s*:\s*light|hover(?:\s*:\s*hover)?)\s*\)"
)


class Candidate(NamedTuple):
    """One entry of a srcset."""

    address: str
    width: float
    """Of a `w` descriptor, pixels; 0 if none."""
    density: float
    """Of an `x` descriptor; 1 if none."""


def choose_address(
    image: Mapping[str, str],
    sources: list[Mapping[str, str]],
    link: str,
    base_url: str,
    page_url: str,
    config: ExtractConfig,
) -> str:
    """Absolute http(s) address of a picture, its data: address if it stands in the page itself, or "" if it has none.

    image: attributes of the img or amp-img. sources: attributes of the <source> elements before it in its <picture>.
    link: href of the link around it, or "". page_url: address of the page without fragment, which is none of a picture.
    """
    if config.prefer_linked_image and link:
        linked = resolve_url(base_url, link)
        if linked and linked != page_url and IMAGE_FILE.search(urlsplit(linked).path):
            return linked
    placeholder = embedded = ""
    for raw in _by_preference(image, sources, config):
        if _NOTHING.match(raw):
            continue
        if config.data_images and raw[:5].lower() == "data:":
            embedded = embedded or embedded_picture(raw, config.icon_max_side)
            continue
        address = resolve_url(base_url, raw)
        if not address or address == page_url:
            continue
        if not is_placeholder(address):
            return address
        placeholder = placeholder or address
    return embedded or placeholder


def _by_preference(image: Mapping[str, str], sources: list[Mapping[str, str]], config: ExtractConfig) -> Iterator[str]:
    width = declared_size(image)[0]
    for source in sources:
        kind = source.get("type", "").split(";")[0].strip().lower()
        if (kind and kind not in config.image_types) or not media_matches(source.get("media", ""), config):
            continue
        for name in (*LAZY_SRCSET, "srcset"):
            if name in source:
                yield from _largest(parse_srcset(source[name]), width, config)
    if not _LAZY_SRCSET.isdisjoint(image):
        for name in LAZY_SRCSET:
            if name in image:
                yield from _largest(parse_srcset(image[name]), width, config)
    if not _LAZY_SRC.isdisjoint(image):
        for name in LAZY_SRC:
            if name in image and _looks_like_address(image[name]):
                yield image[name]
    src = image.get("src", "")
    if "srcset" in image:
        candidates = parse_srcset(image["srcset"])
        # The standard: src is one more candidate of density 1, unless widths are given.
        if src and not any(c.width for c in candidates) and not any(c.density == 1 for c in candidates):
            candidates.append(Candidate(src, 0, 1))
        yield from _largest(candidates, width, config)
    if src:
        yield src
    yield from image_files_in(image)


def image_files_in(attributes: Mapping[str, str]) -> Iterator[str]:
    """The addresses of image files in an element's attributes that have no known meaning."""
    for name, value in attributes.items():
        if len(value) < _LONGEST_ADDRESS and name not in _OTHER_PICTURES:
            value = value.strip()
            if " " not in value and IMAGE_FILE.search(value.partition("?")[0]) and _looks_like_address(value):
                yield value


def _largest(candidates: list[Candidate], declared_width: int, config: ExtractConfig) -> Iterator[str]:
    """The largest candidate within the limit; all beyond it: the smallest."""
    usable = [c for c in candidates if c.address[:5].lower() != "data:"]
    if not usable:
        return
    sized = [(c.width or c.density * (declared_width or 1), c.address) for c in usable]
    within = [entry for entry in sized if entry[0] <= config.srcset_max_width]
    yield max(within, key=lambda e: e[0])[1] if within else min(sized, key=lambda e: e[0])[1]


def parse_srcset(value: str) -> list[Candidate]:
    """The entries of a srcset attribute (HTML standard 4.8.4.2.2); addresses may hold commas."""
    candidates = []
    position = 0
    while True:
        found = _SRCSET_ADDRESS.match(value, position)
        if not found:
            break
        address, position = found[1], found.end()
        descriptor = ""
        if address.endswith(","):
            address = address.rstrip(",")
        else:
            comma = value.find(",", position)
            stop = comma if comma >= 0 else len(value)
            descriptor = value[position:stop].strip().lower()
            position = stop
        width, density = _descriptor(descriptor)
        if address and density > 0:
            candidates.append(Candidate(address, width, density))
    return candidates


@lru_cache(maxsize=2000)
def _descriptor(text: str) -> tuple[float, float]:
    """(width, density); density 0 if the descriptor is not understood."""
    width, density = 0.0, 1.0
    for part in text.split():
        try:
            number = float(part[:-1])
        except ValueError:
            return 0.0, 0.0
        if part[-1] == "w":
            width = number
        elif part[-1] == "x":
            density = number
        elif part[-1] != "h":
            return 0.0, 0.0
    return width, density


def media_matches(query: str, config: ExtractConfig) -> bool:
    """Whether a media query holds for a landscape screen of the configured width and density 1."""
    query = query.strip().lower()
    return not query or any(_media_holds(part.strip(), config.viewport_width) for part in query.split(","))


def _media_holds(query: str, viewport: int) -> bool:
    for condition in re.split(r"\s+and\s+", query):
        if condition in ("all", "screen", "only screen") or _MEDIA_TRUE.fullmatch(condition):
            continue
        if match := _MEDIA_WIDTH.fullmatch(condition) or _MEDIA_RANGE.fullmatch(condition):
            try:
                limit = float(match[2]) * (1 if match[3] in (None, "px") else 16)
            except ValueError:
                return False
            if viewport >= limit if match[1] in ("min", ">") else viewport <= limit:
                continue
        return False
    return True


def is_placeholder(address: str) -> bool:
    """Whether an address only holds the place of a picture that a script brings later, judged by its file's name."""
    name = address.rsplit("?", 1)[0].rsplit("/", 1)[-1].lower()
    stem, dot, _ = name.rpartition(".")
    words = _NO_WORD.split(stem if dot else name)
    return not PLACEHOLDER_WORDS.isdisjoint(words) and len(words) <= 4


def declared_size(attributes: Mapping[str, str]) -> tuple[int, int]:
    """Width and height that the page declares, pixels; 0 where it does not. Attributes win over style."""
    return _declared(attributes, "width"), _declared(attributes, "height")


def _declared(attributes: Mapping[str, str], side: str) -> int:
    if (value := attributes.get(side)) and (match := _LENGTH.match(value)):
        return int(match[1])
    if (style := attributes.get("style")) and (match := _STYLE_LENGTH[side].search(style)):
        return int(match[1])
    return 0


def _looks_like_address(value: str) -> bool:
    value = value.strip()
    return len(value) > 4 and ("/" in value or "." in value) and value[0] not in "{[<#" and " {" not in value
