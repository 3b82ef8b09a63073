"""Which videos a page shows or links to as files, and what it says of each: title, caption, description, subtitles.

Only files are taken: players of video sites, manifests (HLS, DASH) and addresses that a script makes (blob:) are not.
A page names a video in up to four places: an element that plays it, a link, its linked data, its meta elements. All
that name the same address are one video; of each text the first place that gives it is heard.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from lxml import etree

from pipelines.extract.layout import clean, lay_out
from pipelines.extract.parse import ParsedPage
from pipelines.extract.tree import visible_tree
from pipelines.extract.video_address import FILE_NAME, is_file, join, lazy_src, rank_of
from pipelines.extract.video_metadata import Mention, first, of_linked_data, of_metas, page_description, page_title
from schemas.document import Document, Subtitles, Text, Video

Element = etree._Element

_PLAYERS = frozenset({"video", "amp-video"})
_FILE_ATTRIBUTES = {"a": "href", "object": "data", "embed": "src"}
_WALKED = (*_PLAYERS, *_FILE_ATTRIBUTES, "source", "track", "figure", "figcaption", "template")
MAX_SUBTITLES = 99
"""Of one video, the first ones; a bound on the files that belong to it."""
# HTML standard 4.8.11: without the attribute a track is subtitles; chapters and metadata are for scripts and menus.
_SPOKEN = frozenset({"subtitles", "captions", "descriptions"})


@dataclass(slots=True)
class _Figure:
    caption: Element | None = None
    text: str | None = None
    """Of the caption; None until it is asked for."""


@dataclass(slots=True)
class _Place:
    """An element that may name a video, with what stands around and in it."""

    element: Element
    figure: _Figure | None
    around: "_Place | None"
    """The player or object whose fallback the element is; None if of none."""
    sources: list[Element] = field(default_factory=list)
    tracks: list[Element] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    """Of the video that it names, or that it is the fallback of; the best first."""


def find_videos(page: ParsedPage) -> list[Document]:
    """The videos of a page as documents of one slot each: first those of its elements, in reading order, then those
    that only its linked data or its metas name. Each address once.

    Any page has an answer, in time linear in its length. How many videos there are is for the caller to limit: those of
    one figure share its caption, so their texts together may be longer than the page.
    """
    mentions = [*_of_elements(page), *of_linked_data(page), *of_metas(page, page_title(page))]
    videos = [_video(group) for group in _by_video(mentions)]
    if len(videos) == 1 and not videos[0].description:
        videos = [replace(videos[0], description=page_description(page))]
    return [
        Document(kind="clip", url=video.url, page_url=page.url, slots=(video,), source=page.source) for video in videos
    ]


def _by_video(mentions: Iterable[Mention]) -> list[list[Mention]]:
    """The mentions of each video. One belongs to an earlier video if its best address is any of that video's."""
    groups: list[list[Mention]] = []
    known: dict[str, int] = {}
    for mention in mentions:
        number = known.get(mention.addresses[0], len(groups))
        if number == len(groups):
            groups.append([])
        groups[number].append(mention)
        for address in mention.addresses:
            known.setdefault(address, number)
    return groups


def _video(mentions: list[Mention]) -> Video:
    caption = first(mention.caption for mention in mentions)
    if not any(mention.plays for mention in mentions):  # beside a player, a link says "Download"
        caption = caption or first(mention.link_text for mention in mentions)
    return Video(
        url=mentions[0].addresses[0],
        title=first(mention.title for mention in mentions),
        caption=caption,
        description=first(mention.description for mention in mentions),
        subtitles=next((mention.subtitles for mention in mentions if mention.subtitles), ()),
    )


def _of_elements(page: ParsedPage) -> Iterator[Mention]:
    """What <video>, <object>, <embed> and links name. What stands in one of them is the same video for old browsers."""
    naming = []
    for place in _places(page.root):
        place.addresses = _addresses_of(place, page)
        if place.around is not None and place.around.addresses:
            place.around.addresses += place.addresses
            place.addresses = place.around.addresses
        elif place.addresses:
            naming.append(place)
    for place in naming:
        element = place.element
        link = element.tag == "a"
        yield Mention(
            addresses=tuple(place.addresses),
            plays=not link,
            title=clean(element.get("title") or element.get("aria-label") or ""),
            caption=_caption(place.figure),
            link_text=_visible_text(element) if link and place.around is None else "",
            subtitles=_subtitles(place.tracks, page),
        )


def _places(root: Element) -> list[_Place]:
    """In document order, each after those that it stands in; nothing of a <template>, which shows nothing."""
    places: list[_Place] = []
    figures: list[_Figure] = []
    around: list[_Place] = []
    walk = etree.iterwalk(root, events=("start", "end"), tag=_WALKED)
    for event, element in walk:
        tag = element.tag
        if event == "end":
            if tag == "figure":
                figures.pop()
            elif tag in _PLAYERS or tag == "object":
                around.pop()
        elif tag == "template":
            walk.skip_subtree()
        elif tag == "figure":
            figures.append(_Figure())
        elif tag == "figcaption":
            if figures and figures[-1].caption is None:
                figures[-1].caption = element
        elif tag in ("source", "track"):
            if around and (parent := around[-1]).element.tag in _PLAYERS:
                (parent.sources if tag == "source" else parent.tracks).append(element)
        else:
            place = _Place(element, figures[-1] if figures else None, around[-1] if around else None)
            places.append(place)
            if tag in _PLAYERS or tag == "object":
                around.append(place)
    return places


def _addresses_of(place: _Place, page: ParsedPage) -> list[str]:
    """The addresses that an element names, the one to take first.

    A browser takes a <video>'s own src, else the first source that it can play; one that says neither by its type nor
    by its name what it is comes after those that do.
    """
    element = place.element
    if element.tag in _FILE_ATTRIBUTES:
        raw, kind = element.get(_FILE_ATTRIBUTES[element.tag], ""), element.get("type", "")
        if not kind and not FILE_NAME.search(raw):  # most links, of which no address need be made
            return []
        address = join(page, raw)
        if element.tag == "a" and ":" in address.partition("?")[0].rpartition("/")[2]:
            return []  # a wiki's page on the file: /wiki/File:Eruption.webm
        return [address] if is_file(address, kind) else []
    ranked = []
    for number, source in enumerate([element, *place.sources]):
        address = join(page, source.get("src") or lazy_src(source))
        rank = rank_of(address, source.get("type", ""))
        if rank is not None:
            ranked.append((rank if number else 0, number, address))
    return list(dict.fromkeys(address for _, _, address in sorted(ranked)))


def _subtitles(tracks: list[Element], page: ParsedPage) -> tuple[Subtitles, ...]:
    found: dict[str, Subtitles] = {}
    for track in tracks:
        kind = track.get("kind", "subtitles").strip().lower()
        address = join(page, track.get("src", ""))
        if address and kind in _SPOKEN:
            found.setdefault(address, Subtitles(url=address, language=clean(track.get("srclang", "")), kind=kind))
    return tuple(found.values())[:MAX_SUBTITLES]


def _caption(figure: _Figure | None) -> str:
    if figure is None or figure.caption is None:
        return ""
    if figure.text is None:
        figure.text = _visible_text(figure.caption)
    return figure.text


def _visible_text(element: Element) -> str:
    """One line. Of an element within its like (an end tag was forgotten) only the innermost has a text: so each
    character is read once."""
    if next(element.iterdescendants(element.tag), None) is not None:
        return ""
    slots = lay_out(visible_tree(element), [0], (), {})
    return clean("".join(slot.text for slot in slots if isinstance(slot, Text)))
