"""A grammar of dates as English captions write them.

A date is found with what leads to it ("on", "in the", "since"), so that a caption reads well without it. A number alone
is a year only where something says so: a preposition, brackets, commas, the words it stands between. "1080 pixels",
"2000 people" and "model 2020" are none, nor is "1984 (novel)". Lower case is taken where nothing else can be meant: "12
march 2019", but not "may" or "march" by themselves.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple


class Span(NamedTuple):
    """A date or a place in a text, as character positions."""

    kind: Literal["date", "place"]
    start: int
    """Where the words that lead to it begin."""
    core: int
    """Where the date or place itself begins."""
    end: int


def _either(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


def _cased(words: str) -> str:
    """The words, parted by spaces, with a capital first or all in capitals, whatever the flags say."""
    return f"(?-i:{'|'.join(f'{word}|{word.upper()}' for word in words.split())})"


_MONTH_NAMES = "January February March April May June July August September October November December"
_SHORT_MONTHS = "Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec"
_ANY_MONTH = rf"{_either(*_MONTH_NAMES.split(), *(rf'{month}(?![a-z])[.]?' for month in _SHORT_MONTHS.split()))}"
_MONTH = rf"(?:{_cased(_MONTH_NAMES)}|{_cased(_SHORT_MONTHS)}\b\.?)"
_WEEKDAY_NAMES = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_WEEKDAY = rf"(?:{_cased(_WEEKDAY_NAMES)}|{_cased('Mon Tue Wed Thu Fri Sat Sun')}\b\.?)"
_SEASON = _either("spring", "summer", "autumn", "fall", "winter")
_OF_DAY = r"(?:\s(?:morning|afternoon|evening|night))"
_DASH = r"\s?[-\u2013\u2014/]\s?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\b"
_YEAR = r"(?:1\d|20)\d\d"
_SHORT_YEAR = r"['\u2019]\d\d\b"
_RECENT = r"(?:1[5-9]|20)\d\d"
_YEARS = rf"{_YEAR}(?:{_DASH}(?:{_YEAR}|\d\d?)\b)?(?![\w'\u2019])(?![,.]\d)"
_AND_YEAR = rf"(?:,?{_DASH}|,?\s(?:of\s)?){_either(rf'{_YEAR}(?![0-9])', _SHORT_YEAR)}"
_PART = r"(?:(?:early|mid|late|early[- ]to[- ]mid|mid[- ]to[- ]late)[- ])"
_ABOUT = r"(?:(?:circa|ca\.?|c\.?|about|around|probably|possibly)\s?(?=[\d']))"
_ERA = r"(?-i:BCE?|CE|AD|B\.C\.(?:E\.)?|A\.D\.)"
_NTH = (
    r"(?:\d\d?(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth"
    r"|[a-z]+teenth|twentieth|twenty[- ]first)"
)
_TEN = r"(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties|\d0['\u2019]?s)"

# Dates by themselves.
_STRONG = _either(
    # 2019-03-12, 2019/03/12T17:45; 12/03/2019, 12.03.19
    r"\d{4}([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?:T\d\d:\d\d(?::\d\d)?Z?)?(?!\w|[-/.]\d)",
    rf"(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:{_YEAR}|\d\d)(?!\w|[-/.]\d)",
    # 12 March 2019, the 12th of March, 12-14 March
    rf"(?:the\s)?{_DAY}(?:{_DASH}{_DAY})?(?:\sof)?\s?{_either(rf'{_ANY_MONTH}{_AND_YEAR}', rf'{_MONTH}(?![a-z])')}",
    # March 12th, 2019, March 3 to April 12, March 2019, March - April 2019
    rf"{_ANY_MONTH}\s{_DAY}(?:{_DASH}(?:{_ANY_MONTH}\s)?{_DAY})?{_AND_YEAR}",
    rf"{_MONTH}\s{_DAY}(?:{_DASH}(?:{_MONTH}\s)?{_DAY})?(?![:.]\d|\s?(?:people|miles|km|pixels|px))",
    rf"{_PART}?{_ANY_MONTH}(?:(?:{_DASH}|\sand\s|\sto\s){_ANY_MONTH})?{_AND_YEAR}",
    rf"{_SEASON}(?:[/\s]{_SEASON})?(?:,?\s|\sof\s){_YEAR}(?:/\d\d(?:\d\d)?)?(?!\d)",
    # 19th century, late 19th-century, first half of the twentieth century
    rf"(?:{_PART}|turn\sof\sthe\s|(?:first|second)\shalf\sof\sthe\s)?{_NTH}(?:\s?(?:-|\u2013|to|or|and)\s?{_PART}?{_NTH})?"
    rf"[-\s]centur(?:y|ies)(?:\s{_ERA})?",
    # 1990s, '90s, c. 1890s; 300 BC, AD 79
    rf"{_PART}?{_ABOUT}?(?:(?:1\d|20)\d0['\u2019]?s|['\u2019]\d0['\u2019]?s)(?!\w)",
    rf"{_ABOUT}?(?:\d{{1,4}}(?:{_DASH}\d{{1,4}})?\s?{_ERA}(?!\w)|(?-i:AD|A\.D\.)\s?\d{{1,4}}\b)",
    # 5 pm, 5:30 p.m., 17:45 GMT
    r"\d\d?(?:[:.]\d\d){0,2}\s?(?:[ap]\.m\.|[ap]m\b|o['\u2019]clock\b)",
    r"\d\d?:\d\d(?::\d\d)?\s?(?-i:hrs|hours|h|GMT|UTC|CET|EST|PST|EDT|PDT)\b",
)
_WEEKDAY_BEFORE = rf"{_WEEKDAY}{_OF_DAY}?(?:,\s?|\s)(?:the\s)?(?=\d|{_ANY_MONTH})"
_LEAD = (
    r"(?:\b(?:in|on|at|by|since|from|until|till|to|during|before|after|of|for|between|dated|around|through)"
    r"(?:\sthe)?\s)"
)

# Dates that nothing but the words before them make one.
_LED = _either(
    rf"(?:in|since|during|until|by|from|of|last|next)\s{_PART}?{_cased(_MONTH_NAMES)}(?![\w'\u2019])",
    rf"(?:on|last|next|this|every)\s{_WEEKDAY}{_OF_DAY}?(?![\w'\u2019])",
    rf"(?:in|of|from|during)\sthe\s{_PART}?{_TEN}(?!\w)",
)
_YEAR_LEAD = (
    rf"(?:(?:\b(?:in|since|during|by|from|of|to|until|till|before|after|between|dated|anno|for)\s(?:the\syears?\s)?{_PART}?"
    rf"{_ABOUT}?)|{_ABOUT})"
)
# Counted things: "in 2000 metres", "of 1500 guests"; a year stands before words without a plural's s.
_COUNTED = (
    r"(?:pixels?|px|x|\u00d7|metres?|meters?|m|km|cm|mm|mi|miles?|feet|foot|ft|kg|g|lbs?|people|men|women|children|degrees?"
    r"|years?|dollars?|euros?|pounds?|rpm|cc|hp|[kMG]?Hz|watts?|dpi|%|[a-z]{2,}(?<!s)s)(?!\w)"
)
_NO_YEAR_BEHIND = (
    "at|model|type|class|room|page|number|no|nr|version|windows|area|unit|item|art|isbn|lot|flight|route|channel"
)
_PLACED = _either(
    rf"(?<=[(\[]){_ABOUT}?{_YEARS}(?=[)\]])",
    rf"(?<=[,;]\s){_ABOUT}?{_YEARS}(?=\s?(?:[,.;:)\]]|$|[-\u2013\u2014|]\s))",
    rf"(?<=[-\u2013\u2014|]\s){_ABOUT}?{_YEARS}(?=\s?(?:[,.;:)\]|]|$))",
    rf"^{_YEARS}(?=\s?[,:]\s|\s[-\u2013\u2014]\s)",
    rf"(?:(?<=the\s)|^)(?={_RECENT}){_YEARS}(?=\s[a-z])(?!\s(?-i:{_COUNTED}))",
)
# A year behind a word: "a restored 1957 Chevrolet", "World Cup 1998" at the end; but not "model 2020".
_BEHIND = (
    rf"(?!(?:{_NO_YEAR_BEHIND})\s)(?:(?-i:[a-z]+)(?P<before>\s(?={_RECENT}){_YEARS})(?-i:(?=\s[A-Z][a-z]))"
    rf"|[^\W\d]+(?P<last>\s(?={_RECENT}){_YEARS})(?=\s?\.?$))"
)
_FIND = re.compile(
    rf"(?<!\w)(?:(?:{_LEAD}(?:{_WEEKDAY_BEFORE})?|(?<![$#\u20ac\u00a3.,:/-])(?:{_WEEKDAY_BEFORE})?){_ABOUT}?{_STRONG}"
    rf"|{_LED}|(?<![$#]){_YEAR_LEAD}{_YEARS}(?:\s(?:and|or)\s{_YEAR}\b)?(?!\s{_COUNTED})|{_PLACED}|{_BEHIND})",
    re.IGNORECASE,
)
_LEADING = re.compile(
    rf"\s|(?:{_LEAD}|(?:by|in|of|on|since|until|from|during|between|dated|anno|to|till|before|after|for)\s(?:the\syears?\s|the\s)?)",
    re.IGNORECASE,
)
# What leads to the word behind the date stays: "half of late 20th-century warming", "after Nov. 9 crash".
_STAYS = re.compile(r"(?:after|before|for|from|of|to)\s|.*(?:-century|0['\u2019]?s)", re.IGNORECASE)
_NOUN_BEHIND = re.compile(
    r"\s(?!(?:and|as|at|by|during|for|from|he|her|his|in|including|is|it|its|of|on|onwards?|or|she|that|the|they|this|through"
    r"|to|until|was|were|when|where|while|who|with|an?|are)\b)[a-z]"
)
_JOIN = re.compile(r"\s(?:and|or|to|&)\s|\s?[-\u2013,]\s")
# Most captions have no date; none has without a digit or one of these.
_DIGIT = re.compile(r"\d")
_STEMS = (*(name[:3] for name in _MONTH_NAMES.split()), *(name[:3].upper() for name in _MONTH_NAMES.split()))
_STEMS += ("day", "DAY", "entur", "ENTUR", "ties", "TIES", *(name[:3] for name in _WEEKDAY_NAMES.split()))


def find_dates(text: str) -> Iterator[Span]:
    """The dates of `text` from left to right, none within another."""
    if not (_DIGIT.search(text) or any(stem in text for stem in _STEMS)):
        return
    end = -1
    for match in _FIND.finditer(text):
        start = next((match.start(name) for name in ("before", "last") if match[name]), match.start())
        leading = _LEADING.match(text, start, match.end())
        core = leading.end() if leading else start
        if core > start and _NOUN_BEHIND.match(text, match.end()) and _STAYS.match(text, start, match.end()):
            start = start if text[start:core].lower() in ("in the ", "during the ") else core
        if start == core and end >= 0 and _JOIN.fullmatch(text, end, start):
            start = end
        end = match.end()
        yield Span("date", start, core, end)
