"""What a page's metadata says of videos: JSON-LD of schema.org, Open Graph, Twitter cards; and of the page itself."""

import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.extract.html.nodes import clean, nodes_of
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tags import META, SCRIPT
from pipelines.extract.videos.video_address import is_file, join
from schemas.document import Subtitles

_ADDRESS_METAS = ("og:video:secure_url", "og:video:url", "og:video", "twitter:player:stream")
_TYPE_METAS = ("og:video:type", "twitter:player:stream:content_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One place of a page that names a video."""

    addresses: tuple[str, ...]
    """Of the same video, at least one; the best first."""
    plays: bool = False
    """It is an element that shows the video where it stands."""
    title: str = ""
    caption: str = ""
    link_text: str = ""
    """Of a link to the video."""
    description: str = ""
    subtitles: tuple[Subtitles, ...] = ()


def of_linked_data(page: ParsedPage) -> Iterator[Mention]:
    """The VideoObjects of schema.org in JSON-LD whose contentUrl is a video file."""
    tree = page.tree
    for script in nodes_of(tree, SCRIPT):
        if tree.attributes(script).get("type", "").partition(";")[0].strip().lower() != "application/ld+json":
            continue
        for data in _video_objects(_read_json(tree.text(script + 1) if script + 1 < tree.ends[script] else "")):
            kind = _string(data.get("encodingFormat"))
            address = join(page, _string(data.get("contentUrl")))
            if is_file(address, kind):
                yield Mention(
                    addresses=(address,),
                    title=_words(data.get("name")),
                    caption=_words(data.get("caption")),
                    description=_words(data.get("description")),
                )


def _read_json(text: str) -> Any:
    """The value between the first and the last bracket: around it, pages write comments and CDATA marks."""
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    starts = [at for mark in "{[" if (at := text.find(mark)) >= 0]
    end = max(text.rfind("}"), text.rfind("]")) + 1
    try:
        return json.loads(text[min(starts, default=end) : end], strict=False)
    except (ValueError, RecursionError):
        return None


def _video_objects(value: Any) -> Iterator[dict[str, Any]]:
    """In document order, however deep."""
    work = [value]
    while work:
        value = work.pop()
        if isinstance(value, dict):
            kinds = value.get("@type")
            if any(
                isinstance(kind, str) and kind.rpartition("/")[2] == "VideoObject"
                for kind in (kinds if isinstance(kinds, list) else [kinds])
            ):
                yield value
            work += reversed(value.values())
        elif isinstance(value, list):
            work += reversed(value)


def _string(value: Any) -> str:
    """A string, the first of a list, or the value of a string with its language; without halves of surrogate pairs."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, dict):
        value = value.get("@value")
    return value.encode("utf-8", "ignore").decode() if isinstance(value, str) else ""


def _words(value: Any) -> str:
    """JSON needs no character references, yet many pages write them into it."""
    return clean(html.unescape(_string(value)))


def of_metas(page: ParsedPage, title: str) -> Iterator[Mention]:
    """The videos of Open Graph and Twitter cards; a property that comes again begins the next video."""
    groups: dict[str, list[dict[str, str]]] = {}
    for name, content in _metas(page):
        if name in _ADDRESS_METAS or name in _TYPE_METAS:
            card = groups.setdefault(name.partition(":")[0], [{}])
            if name in card[-1]:
                card.append({})
            card[-1][name] = content
    for group in (group for card in groups.values() for group in card):
        kind = first(group.get(name, "") for name in _TYPE_METAS)
        named = (join(page, group[name]) for name in _ADDRESS_METAS if name in group)
        addresses = tuple(dict.fromkeys(address for address in named if is_file(address, kind)))
        if addresses:
            yield Mention(addresses=addresses, title=title)


def _metas(page: ParsedPage) -> Iterator[tuple[str, str]]:
    for node in nodes_of(page.tree, META):
        about = page.tree.attributes(node)
        name = (about.get("property") or about.get("name") or "").strip().lower()
        content = about.get("content", "").strip()
        if name and content:
            yield name, content


def first(texts: Iterable[str]) -> str:
    """The first that is not empty, if any."""
    return next((text for text in texts if text), "")


def page_title(page: ParsedPage) -> str:
    """The title that the page gives for where it is shared, else its own, which often ends with the site's name."""
    return first(clean(content) for name, content in _metas(page) if name == "og:title") or clean(page.title)


def page_description(page: ParsedPage) -> str:
    """Of its meta elements; empty if none."""
    found: dict[str, str] = {}
    for name, content in _metas(page):
        found.setdefault(name, clean(content))
    return first((found.get("description", ""), found.get("og:description", "")))
