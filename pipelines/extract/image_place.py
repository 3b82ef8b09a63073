"""Which pictures of a page are part of its content, judged by the text around them, their size and their names."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pipelines.extract import tags
from pipelines.extract.config import ExtractConfig
from pipelines.extract.image_address import IMAGE_FILE, declared_size
from pipelines.extract.kinds import BLOCK, KINDS
from pipelines.extract.page_tree import Numbers
from pipelines.extract.tree import Shown, kept_before

# How far up from a picture its figure, or the name of what it stands in, may be; levels.
_LEVELS_TO_FIGURE = 8
_LEVELS_TO_NAME = 3
# A picture with a declared side no longer than this is a counter or a spacer, pixels.
TRACKER_PIXELS = 3
# One with a declared height no larger than this is a rule or a line of text, pixels.
_BAR_PIXELS = 16
_FAR = 1 << 30
# Blocks of running text: a picture in one goes with its words.
_RUNNING = frozenset({tags.P, tags.LI, *range(tags.H1, tags.H6 + 1)})
# What a word of a class, an id or a file's name says of a picture. The words of a file's name count only here:
_OF_FILES = {
    "icon": "icon icons favicon emoji emojis emoticon smiley smilies sprite",
    "avatar": "avatar avatars gravatar userpic headshot mugshot",
    "button": "button btn",
    "tracker": "pixel beacon spacer blank tracker",
    "placeholder": "spinner spinners preloader",
}
_OF_ELEMENTS = {
    **_OF_FILES,
    "avatar": _OF_FILES["avatar"] + " byline author authors bio profilepic userphoto commenter",
    "logo": "logo logos logotype sitelogo branding masthead",
    "button": "button buttons btn",
    "advert": "ad ads advert adverts advertisement adsbygoogle adslot doubleclick dfp sponsor sponsored taboola "
    "outbrain",
    "related": "related recommended recommendations trending newsletter",
}
# The names in the hosts of networks that serve adverts or count readers.
_AD_HOSTS = frozenset(
    {"doubleclick", "googlesyndication", "googleadservices", "google-analytics", "adnxs", "smartadserver", "adform",
     "adsrvr", "amazon-adsystem", "criteo", "taboola", "outbrain", "scorecardresearch", "quantserve", "moatads", "zedo",
     "pubmatic", "rubiconproject", "openx", "2mdn", "imrworldwide", "chartbeat", "adtech", "atdmt", "ads", "adserver"}
)  # fmt: skip
# A file of such a name is a button for sharing.
_NETWORKS = frozenset(
    {"facebook", "twitter", "x", "linkedin", "instagram", "pinterest", "whatsapp", "youtube", "reddit", "telegram",
     "rss", "email", "mail", "print", "tumblr", "weibo", "wechat", "tiktok", "bluesky", "mastodon", "threads"}
)  # fmt: skip
_SPLIT = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _by_word(groups: Mapping[str, str]) -> dict[str, str]:
    return {word: reason for reason, words in groups.items() for word in words.split()}


_FILE_WORDS = _by_word(_OF_FILES)
_ELEMENT_WORDS = _by_word(_OF_ELEMENTS)


class Places:
    """Where the kept and the dropped text of a page stands, as seen from a picture."""

    def __init__(self, shown: Shown, keep: bytearray, config: ExtractConfig) -> None:
        self.shown = shown
        self.tree = shown.tree
        self.config = config
        self.kept, self.all = kept_before(shown, keep)
        self._whole = range(len(keep))

    def reason_against(self, node: int) -> str:
        """Why a picture is not content, judged without its address; "" if it may be."""
        tree = self.tree
        attributes = tree.attributes(node)
        width, height = declared_size(attributes)
        if 0 < width <= TRACKER_PIXELS or 0 < height <= TRACKER_PIXELS:
            return "tracker"
        if 0 < max(width, height) <= self.config.icon_max_side or (width and 0 < height <= _BAR_PIXELS):
            return "icon"
        return self._named(node) or self._outside(node)

    def _named(self, node: int) -> str:
        """What the names of a picture, and of what holds it and next to no text, say against it."""
        tree = self.tree
        for _ in range(_LEVELS_TO_NAME + 1):
            if node <= 0 or self._kept_in(node) > self.config.caption_max_chars:
                break
            attributes = tree.attributes(node)
            if reason := named(attributes.get("class", ""), attributes.get("id", "")):
                return reason
            node = tree.parents[node]
        return ""

    def _kept_in(self, node: int) -> int:
        return self.kept[self.tree.ends[node]] - self.kept[node]

    def _shown_in(self, node: int) -> int:
        return self.all[self.tree.ends[node]] - self.all[node]

    def _outside(self, node: int) -> str:
        """Whether a picture stands apart from the content: judged by the text nearest to it, in the tree and in order.

        In the tree: the first element around it with text beside it must hold as much kept text as dropped; a caption
        or a credit that was dropped does not count. In order: little dropped text may stand between it and the content.
        """
        unit = self._figure(node)
        if 2 * self._kept_in(unit) >= self._shown_in(unit) > 0:
            return ""
        limit = self.config.caption_max_chars
        left, right = self._gaps(unit)
        if min(left, right) > limit:
            return "outside"
        tree = self.tree
        block = tree.parents[unit]
        while block > 0 and not KINDS[tree.tags[block]] & BLOCK:
            block = tree.parents[block]
        if tree.tags[block] in _RUNNING and self._shown_in(block) and not self._kept_in(block):
            return "outside"
        if max(left, right) == _FAR and self._leads_away(node):
            return "link"
        while unit > 0:
            around = tree.parents[unit]
            shown = self._shown_in(around) - self._shown_in(unit)
            kept = self._kept_in(around) - self._kept_in(unit)
            if 2 * kept >= shown > 0:
                return ""
            if kept == 0 and shown > limit:
                return "outside"
            if shown and 2 * (self.shown.link_chars[around] - self.shown.link_chars[unit]) > shown:
                return "outside"
            unit = around
        return ""

    def _figure(self, node: int) -> int:
        """The figure around a picture, or the picture itself."""
        above = node
        for _ in range(_LEVELS_TO_FIGURE):
            above = self.tree.parents[above]
            if above <= 0:
                break
            if self.tree.tags[above] == tags.FIGURE:
                return above
        return node

    def _leads_away(self, node: int) -> bool:
        """Whether a link around a picture leads to another page, not to a larger picture."""
        tree = self.tree
        for _ in range(_LEVELS_TO_NAME):
            node = tree.parents[node]
            if node <= 0:
                break
            if tree.tags[node] == tags.A and (link := tree.attributes(node).get("href", "")):
                return not link.startswith("#") and not IMAGE_FILE.search(link.partition("?")[0])
        return False

    def _gaps(self, unit: int) -> tuple[int, int]:
        """Characters of dropped text between a picture and the kept text before it, and after it."""
        end = self.tree.ends[unit]
        kept, shown = self.kept, self.all
        left = shown[unit] - shown[_start_of(kept, unit)] if kept[unit] else _FAR
        right = shown[_end_of(kept, end)] - shown[end] if kept[end] < kept[len(kept) - 1] else _FAR
        return left, right


def _start_of(kept: Numbers, at: int) -> int:
    """One past the last kept text before a node."""
    low, high = 0, at
    while low < high:
        middle = (low + high) // 2
        if kept[middle] < kept[at]:
            low = middle + 1
        else:
            high = middle
    return low


def _end_of(kept: Numbers, at: int) -> int:
    """The first kept text from a node on."""
    low, high = at, len(kept) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if kept[middle] > kept[at]:
            high = middle - 1
        else:
            low = middle
    return low


def file_reason(address: str) -> str:
    """What the address of a picture says against it."""
    if address.startswith("data:"):
        return ""
    path, _, query = address.partition("?")
    name = path.rpartition("/")[2][:200].lower()
    stem = name.rpartition(".")[0] or name
    if not _AD_HOSTS.isdisjoint(path.split("/", 3)[2].split(".")):
        return "advert"
    if stem in _NETWORKS:
        return "button"
    if "1x1" in query and "1x1" in _SPLIT.split(query):
        return "tracker"
    return next(_reasons(_FILE_WORDS, name), "")


@lru_cache(maxsize=20_000)
def named(classes: str, identity: str) -> str:
    """What the class and the id of an element say against the pictures in it."""
    return next(_reasons(_ELEMENT_WORDS, f"{classes[:300]} {identity[:40]}"), "")


def _reasons(words: Mapping[str, str], name: str) -> Iterator[str]:
    for word in _SPLIT.split(_CAMEL.sub("-", name).lower()):
        if reason := words.get(word):
            yield reason
