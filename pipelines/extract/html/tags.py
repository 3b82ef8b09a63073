"""Numbers for the names of HTML elements: PageTree holds numbers, rules name them by these constants.

A number is good within one process only; nothing on disk may hold one. New names go anywhere in the list.
"""

# TEXT is a run of text, OTHER any name that is not here. <image> stands in no tree: it is an <img>.
(
    TEXT, OTHER, A, ABBR, ACRONYM, ADDRESS, AMP_ANIM, AMP_IMG, AMP_VIDEO, ANNOTATION, ANNOTATION_XML, APPLET, AREA,
    ARTICLE, ASIDE, AUDIO, B, BASE, BASEFONT, BDI, BDO, BGSOUND, BIG, BLOCKQUOTE, BODY, BR, BUTTON, CANVAS, CAPTION,
    CENTER, CITE, CODE, COL, COLGROUP, DATA, DATALIST, DD, DEL, DESC, DETAILS, DFN, DIALOG, DIR, DIV, DL, DT, EM,
    EMBED, FIELDSET, FIGCAPTION, FIGURE, FONT, FOOTER, FOREIGNOBJECT, FORM, FRAME, FRAMESET, H1, H2, H3, H4, H5, H6,
    HEAD, HEADER, HGROUP, HR, HTML, I, IFRAME, IMAGE, IMG, INPUT, INS, KBD, KEYGEN, LABEL, LEGEND, LI, LINK,  # noqa: E741
    LISTING, MAIN, MAP, MARK, MARQUEE, MATH, MENU, META, METER, MI, MN, MO, MS, MTEXT, NAV, NOBR, NOEMBED, NOFRAMES,
    NOSCRIPT, OBJECT, OL, OPTGROUP, OPTION, OUTPUT, P, PARAM, PICTURE, PLAINTEXT, PRE, PROGRESS, Q, RB, RP, RT, RTC,
    RUBY, S, SAMP, SCRIPT, SEARCH, SECTION, SELECT, SLOT, SMALL, SOURCE, SPAN, STRIKE, STRONG, STYLE, SUB, SUMMARY,
    SUP, SVG, TABLE, TBODY, TD, TEMPLATE, TEXTAREA, TFOOT, TH, THEAD, TIME, TITLE, TR, TRACK, TT, U, UL, VAR, VIDEO,
    WBR, XMP,
) = range(152)  # fmt: skip

_NUMBERS = {name: number for name, number in list(globals().items()) if name.isupper() and isinstance(number, int)}
NAMES = tuple("" if name in ("TEXT", "OTHER") else name.lower().replace("_", "-") for name in _NUMBERS)
"""Names by number; TEXT and OTHER have none."""
NUMBERS = {name.encode(): number for number, name in enumerate(NAMES) if name}
"""Numbers by name, bytes in lower case."""
