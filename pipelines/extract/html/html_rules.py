"""What the HTML standard's tree construction (13.2.6) asks of each element, as tables by the element's key.

A key is the element's number in `tags`, or that plus FOREIGN within <svg> and <math>.
"""

from array import array

from pipelines.extract.html import tags
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.html.tags import NAMES, NUMBERS

FOREIGN = len(NAMES)

# Properties: bits of FLAGS[key].
VOID = 1  # has no content and no end tag
SPECIAL = 2  # an end tag of an inline element does not reach past it
SCOPE = 4  # no end tag reaches past it
HARD = 8  # <li>, <dd>, <dt> do not close one that stands outside it
MARKER = 16  # a link left open outside it does not go on inside it
NO_BLANKS = 32  # white space in it is none of the text
IN_HEAD = 64  # may stand in <head>, without an end to it
RAW = 128  # its content is text only
BREAKS_OUT = 256  # ends <svg> and <math>
INTEGRATION = 512  # of <svg> and <math>: holds HTML again
LINKABLE = 1024  # a link left open before it goes on around it
SKIPS_NEWLINE = 2048  # a line break right behind the start tag is none of the text
IMPLIED = 4096  # its end tag may be left out
TABLE_PART = 8192  # holds parts of a table, no content of its own

# What a start tag does: START[number].
(
    START_PLAIN, START_BLOCK, START_HEADING, START_LIST_ITEM, START_TERM, START_ANCHOR, START_NO_BREAK,
    START_BUTTON, START_FORM, START_OPTION, START_RUBY, START_TABLE, START_CAPTION, START_COLUMNS, START_COLUMN,
    START_ROWS, START_ROW, START_CELL, START_SELECT, START_HTML, START_HEAD, START_BODY, START_IMAGE,
    START_FOREIGN_ROOT, START_PLAIN_TEXT, START_IGNORED,
) = range(26)  # fmt: skip
# What an end tag does: END[number].
(
    END_INLINE, END_BLOCK, END_PARAGRAPH, END_LIST_ITEM, END_HEADING, END_FORMATTING, END_FORM, END_TABLE_PART,
    END_TABLE, END_TEMPLATE, END_SELECT, END_BREAK, END_HEAD, END_IGNORED,
) = range(14)  # fmt: skip
# Why reading stopped, as numbers.
TOO_MANY_ATTRIBUTES, TOO_DEEP, TOO_MANY_ELEMENTS = 1, 2, 3


def _of(names: str) -> list[int]:
    return [NUMBERS[name.encode()] for name in names.split()]


_HEADINGS = "h1 h2 h3 h4 h5 h6"
_BLOCKS = """address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header
    hgroup listing main menu nav ol pre search section summary ul"""
_FORMATTING = "b big code em font i nobr s small strike strong tt u"
_HEAD = "base basefont bgsound link meta title noscript noframes style script template head"
_RAW = "script style xmp iframe noembed noframes title textarea"
_MATH_TEXT = "mi mo mn ms mtext"

_PROPERTIES = {
    VOID: """area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr""",
    SPECIAL: f"""{_BLOCKS} {_HEADINGS} {_HEAD} {_RAW} applet area body br button caption col colgroup dd dt embed form
        frame frameset hr html img input keygen li marquee object p param plaintext select source table tbody td tfoot
        th thead tr track wbr""",
    SCOPE: "applet caption html table td th marquee object template",
    MARKER: "applet caption td th marquee object template",
    NO_BLANKS: "html head table tbody thead tfoot tr colgroup frameset select optgroup",
    IN_HEAD: _HEAD,
    RAW: _RAW,
    BREAKS_OUT: f"""{_HEADINGS} b big blockquote body br center code dd div dl dt em embed head hr i img li listing menu
        meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var""",
    LINKABLE: "amp-anim amp-img button canvas embed img input math object picture svg video",
    IMPLIED: "dd dt li optgroup option p rb rp rt rtc",
    TABLE_PART: "table tbody thead tfoot tr",
    SKIPS_NEWLINE: "pre listing textarea",
}
_STARTS = {
    START_BLOCK: f"{_BLOCKS} p hr xmp",
    START_HEADING: _HEADINGS,
    START_LIST_ITEM: "li",
    START_TERM: "dd dt",
    START_ANCHOR: "a",
    START_NO_BREAK: "nobr",
    START_BUTTON: "button",
    START_FORM: "form",
    START_OPTION: "option optgroup",
    START_RUBY: "rb rp rt rtc",
    START_TABLE: "table",
    START_CAPTION: "caption",
    START_COLUMNS: "colgroup",
    START_COLUMN: "col",
    START_ROWS: "tbody thead tfoot",
    START_ROW: "tr",
    START_CELL: "td th",
    START_SELECT: "select",
    START_HTML: "html",
    START_HEAD: "head",
    START_BODY: "body",
    START_FOREIGN_ROOT: "svg math",
    START_PLAIN_TEXT: "plaintext",
    START_IMAGE: "image",
    START_IGNORED: "frameset",
}
_ENDS = {
    END_BLOCK: f"{_BLOCKS} applet button marquee object",
    END_PARAGRAPH: "p",
    END_LIST_ITEM: "li dd dt",
    END_HEADING: _HEADINGS,
    END_FORMATTING: f"a {_FORMATTING}",
    END_FORM: "form",
    END_TABLE_PART: "caption colgroup tbody thead tfoot tr td th",
    END_TABLE: "table",
    END_TEMPLATE: "template",
    END_SELECT: "select",
    END_BREAK: "br",
    END_HEAD: "head",
    END_IGNORED: "html body frameset",
}


def _by_number(groups: dict[int, str]) -> Numbers:
    table = array("i", bytes(4 * len(NAMES)))
    for value, names in groups.items():
        for number in _of(names):
            table[number] = value
    return table


def _flags() -> Numbers:
    table = array("i", bytes(8 * len(NAMES)))
    for flag, names in _PROPERTIES.items():
        for number in _of(names):
            table[number] |= flag
    for number in range(FOREIGN):
        if table[number] & SPECIAL and number not in (tags.ADDRESS, tags.DIV, tags.P):
            table[number] |= HARD
    for number in _of(f"{_MATH_TEXT} annotation-xml foreignobject desc title"):
        table[FOREIGN + number] |= SPECIAL | SCOPE | HARD
    for number in _of(f"{_MATH_TEXT} foreignobject desc title"):
        table[FOREIGN + number] |= INTEGRATION
    return table


START = _by_number(_STARTS)
END = _by_number(_ENDS)
FLAGS = _flags()
KEPT_FOREIGN = frozenset(_of(f"svg math annotation annotation-xml foreignobject desc {_MATH_TEXT}"))
"""Names that keep their number within <svg> and <math>; the others are OTHER there: a link of a drawing is no <a>."""
