"""Which pictures of a page are part of its content, judged by the text around them, their size and their names."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import cython

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html import tags
from pipelines.extract.html.attribute_scan import value_of
from pipelines.extract.html.kinds import BLOCK, KINDS
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tags import FIGURE, A
from pipelines.extract.html.tree import Shown, kept_before
from pipelines.extract.pictures.image_address import IMAGE_FILE, declared_size

# How far up from a picture its figure, or the name of what it stands in, may be; levels.
_LEVELS_TO_FIGURE = 8
_LEVELS_TO_NAME = 3
# A picture with a declared side no longer than this is a counter or a spacer, pixels.
TRACKER_PIXELS = 3
# One with a declared height no larger than this is a rule or a line of text, pixels.
_BAR_PIXELS = 16
FAR = 1 << 30
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
# A file of such a name is the sign beside an admonition (DocBook).
_ADMONITIONS = frozenset({"note", "tip", "warning", "caution", "important"})
_SPLIT = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _by_word(groups: Mapping[str, str]) -> dict[str, str]:
    return {word: reason for reason, words in groups.items() for word in words.split()}


_FILE_WORDS = _by_word(_OF_FILES)
_ELEMENT_WORDS = _by_word(_OF_ELEMENTS)


@cython.cclass
class Places:
    """Where the kept and the dropped text of a page stands, as seen from a picture."""

    if TYPE_CHECKING:
        tags: Numbers
        ends: Numbers
        parents: Numbers
        link_chars: Numbers
        kept: Numbers
        all: Numbers

    def __init__(self, shown: Shown, keep: bytearray, config: ExtractConfig) -> None:
        self.tree = shown.tree
        self.icon_max_side = config.icon_max_side
        self.limit = config.caption_max_chars
        self.tags, self.ends, self.parents = shown.tree.tags, shown.tree.ends, shown.tree.parents
        self.link_chars = shown.link_chars
        self.kept, self.all = kept_before(shown, keep)
        self.size = len(keep)

    def reason_against(self, node: int) -> str:
        """Why a picture is not content, judged without its address; "" if it may be."""
        if reason := self.outside(node):
            return reason
        width, height = declared_size(self.tree.attributes(node))
        if 0 < width <= TRACKER_PIXELS or 0 < height <= TRACKER_PIXELS:
            return "tracker"
        if 0 < max(width, height) <= self.icon_max_side or (width and 0 < height <= _BAR_PIXELS):
            return "icon"
        return self.named(node)

    def kept_before(self, node: int) -> int:
        """Characters of kept text before a node."""
        return self.kept[node]

    @cython.cfunc
    def named(self, node: cython.int) -> str:
        """What the names of a picture, and of what holds it and next to no text, say against it."""
        for _ in range(_LEVELS_TO_NAME + 1):
            if node <= 0 or self.kept_in(node) > self.limit:
                break
            reason: str = _named(value_of(self.tree, node, b"class"), value_of(self.tree, node, b"id"))
            if reason:
                return reason
            node = self.parents[node]
        return ""

    @cython.cfunc
    def kept_in(self, node: cython.int) -> cython.int:
        return self.kept[self.ends[node]] - self.kept[node]

    @cython.cfunc
    def shown_in(self, node: cython.int) -> cython.int:
        return self.all[self.ends[node]] - self.all[node]

    @cython.cfunc
    def outside(self, node: cython.int) -> str:
        """Whether a picture stands apart from the content: judged by the text nearest to it, in the tree and in order.

        In the tree: the first element around it with text beside it must hold as much kept text as dropped; a caption
        or a credit that was dropped does not count. In order: little dropped text may stand between it and the content.
        Before all the content or behind it, a picture that leads to another page belongs there, or is a logo, if it
        does not stand in one of several parts of the content.
        """
        unit: cython.int = self.figure(node)
        if 2 * self.kept_in(unit) >= self.shown_in(unit) > 0:
            return ""
        left: cython.int = self.gap_before(unit)
        right: cython.int = self.gap_after(self.ends[unit])
        if min(left, right) > self.limit:
            return "outside"
        block: cython.int = self.parents[unit]
        while block > 0 and not KINDS[self.tags[block]] & BLOCK:
            block = self.parents[block]
        if self.tags[block] in _RUNNING and self.shown_in(block) and not self.kept_in(block):
            return "outside"
        at_the_edge: cython.bint = max(left, right) == FAR and self.leads_away(node)
        around: cython.int
        shown: cython.int
        kept: cython.int
        while unit > 0:
            around = self.parents[unit]
            shown = self.shown_in(around) - self.shown_in(unit)
            kept = self.kept_in(around) - self.kept_in(unit)
            if 2 * kept >= shown > 0 and not (at_the_edge and 2 * kept > self.kept[self.size]):
                return ""
            if kept == 0 and shown > self.limit:
                return "outside"
            if shown and 2 * (self.link_chars[around] - self.link_chars[unit]) > shown:
                return "outside"
            unit = around
        return "link" if at_the_edge else ""

    @cython.cfunc
    def figure(self, node: cython.int) -> cython.int:
        """The figure around a picture, or the picture itself."""
        above: cython.int = node
        for _ in range(_LEVELS_TO_FIGURE):
            above = self.parents[above]
            if above <= 0:
                break
            if self.tags[above] == FIGURE:
                return above
        return node

    @cython.cfunc
    def leads_away(self, node: cython.int) -> cython.bint:
        """Whether a link around a picture leads to another page, not to a larger picture."""
        for _ in range(_LEVELS_TO_NAME):
            node = self.parents[node]
            if node <= 0:
                break
            if self.tags[node] == A and (link := value_of(self.tree, node, b"href")):
                return not link.startswith("#") and not IMAGE_FILE.search(link.partition("?")[0])
        return False

    @cython.cfunc
    def gap_before(self, unit: cython.int) -> cython.int:
        """Characters of dropped text between a picture and the kept text before it; FAR if there is none."""
        if not self.kept[unit]:
            return FAR
        low: cython.int = 0  # the first node before which so much is kept
        high: cython.int = unit
        middle: cython.int
        while low < high:
            middle = (low + high) // 2
            if self.kept[middle] < self.kept[unit]:
                low = middle + 1
            else:
                high = middle
        return self.all[unit] - self.all[low]

    @cython.cfunc
    def gap_after(self, end: cython.int) -> cython.int:
        """The like for the kept text from a node on."""
        if self.kept[end] == self.kept[self.size]:
            return FAR
        low: cython.int = end  # the last node before which no more is kept
        high: cython.int = self.size
        middle: cython.int
        while low < high:
            middle = (low + high + 1) // 2
            if self.kept[middle] > self.kept[end]:
                high = middle - 1
            else:
                low = middle
        return self.all[low] - self.all[end]


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
    if stem in _ADMONITIONS:
        return "icon"
    if "1x1" in query and "1x1" in _SPLIT.split(query):
        return "tracker"
    return _reason_in(_FILE_WORDS, name)


@lru_cache(maxsize=20_000)
def _named(classes: str, identity: str) -> str:
    """What the class and the id of an element say against the pictures in it."""
    return _reason_in(_ELEMENT_WORDS, _CAMEL.sub("-", f"{classes[:300]} {identity[:40]}").lower())


def _reason_in(words: Mapping[str, str], name: str) -> str:
    """What the first word of a name, in lower case, that says anything says."""
    return next((words[word] for word in _SPLIT.split(name) if word in words), "")
