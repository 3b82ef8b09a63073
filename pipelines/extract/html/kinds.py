"""What each element is to a reader of the page: shown or not, a block or part of a line, what stands around it."""

from array import array
from collections.abc import Mapping

from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tags import AMP_ANIM, AMP_IMG, IMG, NAMES

HIDDEN, SHOWN, SILENT = 0, 1, 2
"""States of a node. SILENT: in a <noscript> that is not read, where only pictures count."""
IMAGES = frozenset({IMG, AMP_IMG, AMP_ANIM})

# Bits of KINDS[number of a tag].
BLOCK = 1
UNSHOWN = 2
"""Never read as text, whatever it holds."""
PARAGRAPH = 4
"""Set off by a blank line; every other block begins and ends a line."""
PREFORMATTED = 8
CELL = 16
BOX = 32
"""With enough characters of its own it is a paragraph in all but name."""

_NAMES = {
    BLOCK: """address article aside blockquote body caption center col colgroup dd details dir div dl dt fieldset
        figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol option
        p pre search section summary table tbody td tfoot th thead tr ul xmp""",
    UNSHOWN: """script style template head title meta link base svg object embed iframe frame noframes noembed video
        audio track canvas map area param input select textarea datalist button progress meter dialog annotation
        annotation-xml rp applet slot amp-video""",
    PARAGRAPH: """p h1 h2 h3 h4 h5 h6 ul ol dl dir menu table figure figcaption blockquote pre listing xmp hr article
        section main header footer details fieldset caption""",
    PREFORMATTED: "pre listing xmp",
    CELL: "td th",
    BOX: "div td center",
}
UNSHOWN_OTHERS = (b"<amp-ad", b"<amp-analytics", b"<amp-iframe", b"<amp-sidebar")


def _by_tag(groups: Mapping[int, str]) -> Numbers:
    table = array("i", bytes(4 * len(NAMES)))
    for bit, names in groups.items():
        for name in names.split():
            table[NAMES.index(name)] |= bit
    return table


KINDS = _by_tag(_NAMES)
