"""Which videos a page shows or links to as files, and what it says of each: title, caption, description, subtitles.

Only files are taken: players of video sites, manifests (HLS, DASH) and addresses that a script makes (blob:) are not.
A page names a video in up to four places: an element that plays it, a link, its linked data, its meta elements. All
that name the same address are one video; of each text the first place that gives it is heard.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pipelines.extract.html.nodes import clean, line_of
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tags import (
    AMP_VIDEO,
    EMBED,
    FIGCAPTION,
    FIGURE,
    OBJECT,
    SOURCE,
    TEMPLATE,
    TRACK,
    VIDEO,
    A,
)  # fmt: skip
from pipelines.extract.videos.video_address import FILE_NAME, is_file, join, lazy_src, rank_of
from pipelines.extract.videos.video_metadata import (
    Mention,
    first,
    of_linked_data,
    of_metas,
    page_description,
    page_title,
)
from schemas.document import Document, Subtitles, Video

_PLAYERS = frozenset({VIDEO, AMP_VIDEO})
_FILE_ATTRIBUTES = {A: "href", OBJECT: "data", EMBED: "src"}
_WALKED = frozenset((*_PLAYERS, *_FILE_ATTRIBUTES, SOURCE, TRACK, FIGURE, FIGCAPTION, TEMPLATE))
MAX_SUBTITLES = 99
"""Of one video, the first ones; a bound on the files that belong to it."""
# HTML standard 4.8.11: without the attribute a track is subtitles; chapters and metadata are for scripts and menus.
_SPOKEN = frozenset({"subtitles", "captions", "descriptions"})


@dataclass(slots=True)
class _Figure:
    end: int
    caption: int = -1
    text: str | None = None
    """Of the caption; None until it is asked for."""


@dataclass(slots=True)
class _Place:
    """An element that may name a video, with what stands around and in it."""

    node: int
    end: int
    figure: _Figure | None
    around: "_Place | None"
    """The player or object whose fallback the element is; None if of none."""
    sources: list[int] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)
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
    for place in _places(page.tree):
        place.addresses = _addresses_of(place, page)
        if place.around is not None and place.around.addresses:
            place.around.addresses += place.addresses
            place.addresses = place.around.addresses
        elif place.addresses:
            naming.append(place)
    for place in naming:
        about = page.tree.attributes(place.node)
        link = page.tree.tags[place.node] == A
        yield Mention(
            addresses=tuple(place.addresses),
            plays=not link,
            title=clean(about.get("title") or about.get("aria-label") or ""),
            caption=_caption(page.tree, place.figure),
            link_text=_visible_text(page.tree, place.node) if link and place.around is None else "",
            subtitles=_subtitles(place.tracks, page),
        )


def _places(tree: PageTree) -> list[_Place]:
    """In document order, each after those that it stands in; nothing of a <template>, which shows nothing."""
    places: list[_Place] = []
    figures: list[_Figure] = []
    around: list[_Place] = []
    hidden = 0
    for node in [node for node, tag in enumerate(tree.tags) if tag in _WALKED]:
        if node < hidden:
            continue
        while figures and figures[-1].end <= node:
            figures.pop()
        while around and around[-1].end <= node:
            around.pop()
        tag = tree.tags[node]
        if tag == TEMPLATE:
            hidden = tree.ends[node]
        elif tag == FIGURE:
            figures.append(_Figure(tree.ends[node]))
        elif tag == FIGCAPTION:
            if figures and figures[-1].caption < 0:
                figures[-1].caption = node
        elif tag in (SOURCE, TRACK):
            if around and tree.tags[(parent := around[-1]).node] in _PLAYERS:
                (parent.sources if tag == SOURCE else parent.tracks).append(node)
        else:
            place = _Place(node, tree.ends[node], figures[-1] if figures else None, around[-1] if around else None)
            places.append(place)
            if tag in _PLAYERS or tag == OBJECT:
                around.append(place)
    return places


def _addresses_of(place: _Place, page: ParsedPage) -> list[str]:
    """The addresses that an element names, the one to take first.

    A browser takes a <video>'s own src, else the first source that it can play; one that says neither by its type nor
    by its name what it is comes after those that do.
    """
    tag, attributes = page.tree.tags[place.node], page.tree.attributes(place.node)
    if tag in _FILE_ATTRIBUTES:
        raw, kind = attributes.get(_FILE_ATTRIBUTES[tag], ""), attributes.get("type", "")
        if not kind and not FILE_NAME.search(raw):  # most links, of which no address need be made
            return []
        address = join(page, raw)
        if tag == A and ":" in address.partition("?")[0].rpartition("/")[2]:
            return []  # a wiki's page on the file: /wiki/File:Eruption.webm
        return [address] if is_file(address, kind) else []
    ranked = []
    for number, source in enumerate([place.node, *place.sources]):
        about = page.tree.attributes(source)
        address = join(page, about.get("src") or lazy_src(about))
        rank = rank_of(address, about.get("type", ""))
        if rank is not None:
            ranked.append((rank if number else 0, number, address))
    return list(dict.fromkeys(address for _, _, address in sorted(ranked)))


def _subtitles(tracks: list[int], page: ParsedPage) -> tuple[Subtitles, ...]:
    found: dict[str, Subtitles] = {}
    for track in tracks:
        about = page.tree.attributes(track)
        kind = about.get("kind", "subtitles").strip().lower()
        address = join(page, about.get("src", ""))
        if address and kind in _SPOKEN:
            found.setdefault(address, Subtitles(url=address, language=clean(about.get("srclang", "")), kind=kind))
    return tuple(found.values())[:MAX_SUBTITLES]


def _caption(tree: PageTree, figure: _Figure | None) -> str:
    if figure is None or figure.caption < 0:
        return ""
    if figure.text is None:
        figure.text = _visible_text(tree, figure.caption)
    return figure.text


def _visible_text(tree: PageTree, node: int) -> str:
    """One line. Of an element within its like (an end tag was forgotten) only the innermost has a text: so each
    character is read once."""
    tag = tree.tags[node]
    if any(tree.tags[inner] == tag for inner in range(node + 1, tree.ends[node])):
        return ""
    return line_of(tree, node)
