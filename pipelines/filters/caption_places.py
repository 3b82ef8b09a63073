"""Places in English captions: what must stand around a name of the gazetteer for it to be one.

A name is taken with the preposition before it and what is chained to it ("in Rome, Italy"), also where the town is
unknown ("near Blair Athol, Scotland"). Part of another name it is no place: "Jack London", "Boston Celtics", "Bank of
England"; and one that is also a word or a person's name ("Nice", "Florence") needs more than any other.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.filters.caption_dates import Span
from pipelines.filters.gazetteer import Gazetteer, Name, fold

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_SHORTENED = frozenset(("St", "Ste", "Ft", "Mt"))
_PERSON = re.compile(r"[A-Z]|Dr|Mrs?|Ms|Rev|Prof|Gen|Sen|Gov|Capt|Lt|Col|Sgt|Atty|Jr|Sr")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Before these a name is a place even if it is a word too, ...
_LOCATIVES = _set("in near outside throughout")
# ... before these if it is nothing else. They go with it.
_PREPOSITIONS = _LOCATIVES | _set(
    "at from to of over above across through inside within into off around toward towards between via beyond along for"
)
# Between the preposition and the name; they go with both.
_MODIFIERS = _set(
    "the downtown central north south east west northern southern eastern western northeastern northwestern "
    "southeastern southwestern rural suburban inner upper lower greater old historic "
    "medieval ancient nearby modern-day present-day"
)
_WITH_ARTICLE = _set(
    "netherlands bahamas philippines maldives gambia congo UK US USA USSR UAE americas balkans caribbean"
)
# A small place needs one of these before "of": "a view of Montjovet".
_VIEWS = _set(
    "view views town city village port streets street harbour harbor coast outskirts centre center suburb suburbs map "
    "area district province state region county capital north south east west people skyline panorama walls ruins"
)
# What stands in names with "of", beside landmarks: "Duke of York".
_TITLES = _set(
    "archbishop bishop duchess duke earl emperor king knight knights lady lion lord maid merchant merchants order "
    "president prince princess queen republic saint song treaty battle siege daughters sons game act"
)
# Before a name these make one of a water, a mountain or a building.
_FIRST_OF_NAME = _set("lake mount mt fort cape loch glen castle chateau villa hotel port camp radio air miss")
# A name ends before these, even where a title writes them with capitals.
_FUNCTION = _set(
    "a an the in on at by for from of to with and or but during after before is was are were as near under over into "
    "between against while when where who which that this his her its their"
)
_NO_NAMES = _FUNCTION | _PREPOSITIONS
_JOINS = re.compile(r"\s(?:and|or|&)\s|[-\u2013/]|,\s(?:and\s)?")
_CLOSES = re.compile(r"\s*(?:$|[,;:.|)!?\u2013\u2014]|[-\"\u201d])")
_LAST = re.compile(r"\s*(?:$|[.|)](?:\s|$)|,?\s(?:in\s|c\.\s?)?\d|[-:]\s|,\s[A-Z][a-z]{2,8}\.?,?\s\d)")


class _Caption(NamedTuple):
    text: str
    tokens: list[tuple[str, int, int]]
    """(word, start, end)"""
    gazetteer: Gazetteer
    title: bool
    """Most words begin with a capital, so that capitals say little."""
    caseless: bool
    """No word does."""
    shouts: bool
    """No letter is small."""


def find_places(text: str, gazetteer: Gazetteer) -> Iterator[Span]:
    """The places of `text` from left to right, none within another."""
    tokens = [(match[0], *match.span()) for match in _TOKEN.finditer(text)]
    capitals = sum([word[0].isupper() for word, _, _ in tokens])
    caption = _Caption(text, tokens, gazetteer, capitals > max(3.0, 0.6 * len(tokens)), capitals == 0, text.isupper())
    first = after_place = 0
    while first < len(tokens):
        word = tokens[first][0]
        if (capitals and not word[0].isupper()) or (
            word.casefold().replace("\u2019", "'").removesuffix("'s") not in gazetteer.longest
            and fold(word) not in gazetteer.longest
        ):
            first += 1
            continue
        after, name = _longest_name(caption, first)
        landmark = after == first + 1 and tokens[first][0].lower() in gazetteer.landmarks
        if name is None or name.abbreviation or name.phrase or landmark:
            first = after
            continue
        after, chained = _chain(caption, after)
        town = _town(caption, first, name, chained, after_place)
        span = _span(caption, town, after, name, True, after_place) if town < first else None
        span = span or _span(caption, first, after, name, chained, after_place)
        if span:
            yield span
            after_place = after
        first = after if span or not chained else first + 1


def _longest_name(caption: _Caption, first: int) -> tuple[int, Name | None]:
    """The token after the longest name that begins at a token, and the name."""
    words, names, longest = caption.tokens, caption.gazetteer.names, caption.gazetteer.longest
    found: tuple[int, Name | None] = (first + 1, None)
    spelling = ""
    most = 1
    for number in range(first, len(words)):
        word = words[number][0]
        owner = word[-2:-1] in ("'", "\u2019") and word[-1] in "sS"
        part = fold(word[:-2] if owner else word)
        if number == first:
            if part not in longest:
                part = part.casefold()  # ROME
            spelling, most = part, longest.get(part, 0)
        elif _gap(caption, number) == " " or _after_shortened(caption, number):
            spelling = f"{spelling} {part}"
        else:
            break
        name = names.get(spelling)
        if name and (name.phrase or caption.caseless or any(map(str.isupper, word))):
            found = number + 1, name
        if owner or number - first + 1 >= most:
            break
    return found


def _chain(caption: _Caption, after: int) -> tuple[int, bool]:
    """The token after the regions that follow a name ("Austin, Texas, USA"), and whether there are any."""
    chained = False
    while after < len(caption.tokens) and (gap := _gap(caption, after)) in (", ", ",", " (", " "):
        beyond, name = _longest_name(caption, after)
        if name is None or not name.region:
            break
        if gap == " (" and not _gap(caption, beyond).startswith(")"):
            break
        if name.ordinary and not (gap != " " and _CLOSES.match(_gap(caption, beyond))):
            break
        if gap == " " and name.abbreviation:
            break
        if _gap(caption, beyond) == " " and not caption.title and _continues(caption, beyond):
            break
        after, chained = beyond, True
    return after, chained


def _town(caption: _Caption, first: int, name: Name, chained: bool, after_place: int) -> int:
    """The token at which a town of unknown name begins that a region follows; `first` if there is none.

    "in Winchelsea, Sussex", "near Blair Athol, Scotland" where only Athol is known, "East Gate, Winchelsea, Sussex".
    """
    begin = first
    if name.region and first > after_place and _gap(caption, first) == ", " and _is_name(caption, first - 1):
        begin -= 1
    elif not chained:
        return first
    unchained = begin
    while begin > after_place and first - begin < 3 and _gap(caption, begin) == " " and _is_name(caption, begin - 1):
        begin -= 1
    if any(word.lower() in caption.gazetteer.landmarks for word, _, _ in caption.tokens[begin:first]):
        return first
    before = caption.tokens[begin - 1][0].lower() if begin > after_place and _gap(caption, begin) == " " else ""
    if before in _PREPOSITIONS:
        return begin
    return begin if begin == unchained and not before else first


def _is_name(caption: _Caption, number: int) -> bool:
    word = caption.tokens[number][0]
    return word[0].isupper() and word.lower() not in _NO_NAMES


def _span(caption: _Caption, first: int, after: int, name: Name, chained: bool, after_place: int) -> Span | None:
    """The place with what goes with it, or None if what stands around it says that it is none."""
    start, end = _position(caption, first), caption.tokens[after - 1][2]
    closing = _gap(caption, after)
    if (chained and closing.startswith(")") and " (" in caption.text[start:end]) or (
        closing.startswith(".") and _is_abbreviation(caption, after - 1)
    ):
        end, closing = end + 1, closing[1:]
    begin = first
    while begin > after_place and _gap(caption, begin) == " " and caption.tokens[begin - 1][0].lower() in _MODIFIERS:
        begin -= 1
    modifiers = [word.lower() for word, _, _ in caption.tokens[begin:first]]
    before = caption.tokens[begin - 1][0] if begin > 0 and _gap(caption, begin) == " " else ""
    if begin == first and _gap(caption, first) == ". " and _PERSON.fullmatch(caption.tokens[first - 1][0]):
        return None
    following = caption.tokens[after][0] if after < len(caption.tokens) and closing == " " else ""
    ordinary = name.ordinary and not chained
    # "at the Barcelona laboratory": the preposition belongs to the noun behind.
    adjunct = following.islower() and following not in _FUNCTION and not following.endswith(("ing", "ed", "s"))
    # "crossing the Delaware": no place has an article, but for a few.
    article = modifiers[-1:] == ["the"] and after == first + 1 and fold(caption.tokens[first][0]) not in _WITH_ARTICLE
    if closing == " " and _continues(caption, after) and not chained:
        return None
    if (article or adjunct) and not (name.sure or chained):
        return None
    if article and (not following.islower() or following in _FUNCTION):
        return None
    word = before.lower()
    if word in _FIRST_OF_NAME and before[0].isupper():
        return None
    if first == after_place > 0 and not ordinary and _JOINS.fullmatch(_gap(caption, first)):
        return Span("place", caption.tokens[first - 1][2], start, end)
    if caption.caseless:
        sure = word in _PREPOSITIONS and (chained or name.sure) and not name.ordinary
        return Span("place", _position(caption, begin - 1), start, end) if sure else None
    if word in _PREPOSITIONS and not (ordinary and (word not in _LOCATIVES or caption.title or adjunct)):
        if word == "of" and not _is_place_of(caption, begin - 2, name, chained):
            return None
        return Span("place", start if adjunct or article else _position(caption, begin - 1), start, end)
    if before[:1].isupper() and word not in _FUNCTION and not chained:
        return None
    # "KLIPPAN sofa": names of goods.
    shouted = not chained and caption.shouts is False and caption.tokens[first][0].isupper() and end - start > 3
    if shouted and not (name.sure and _CLOSES.match(closing)):
        return None
    if ordinary:
        sure = name.region and _gap(caption, first) == ", " and _LAST.match(caption.text, end) is not None
    else:
        opens = first == 0 or _gap(caption, first) == ", "
        sure = chained or name.sure or (opens and _LAST.match(caption.text, end) is not None)
    return Span("place", start, start, end) if sure else None


def _is_place_of(caption: _Caption, number: int, name: Name, chained: bool) -> bool:
    """Whether a name after "of" says where something is, by the word before: "a view of Rome", not "Bishop of Rome"."""
    if number < 0:
        return True
    word = caption.tokens[number][0]
    if word.lower() in _VIEWS:
        return True
    if word.lower() in _TITLES or (word[0].isupper() and word.lower() in caption.gazetteer.landmarks):
        return False
    if word[0].isupper() and number > 0 and not caption.title:
        return False
    return chained or name.sure


def _continues(caption: _Caption, number: int) -> bool:
    """Whether a token makes the name before it a part of another: "Berlin Wall"."""
    if number == len(caption.tokens):
        return False
    word = caption.tokens[number][0]
    return word[0].isupper() and word.lower() not in _FUNCTION


def _is_abbreviation(caption: _Caption, number: int) -> bool:
    word = caption.tokens[number][0]
    name = caption.gazetteer.names.get(fold(word))
    return "." in word or (name is not None and name.abbreviation and len(word) > 1)


def _after_shortened(caption: _Caption, number: int) -> bool:
    return _gap(caption, number) == ". " and caption.tokens[number - 1][0] in _SHORTENED


def _position(caption: _Caption, number: int) -> int:
    return caption.tokens[number][1]


def _gap(caption: _Caption, number: int) -> str:
    """What stands between a token and the one before."""
    start = caption.tokens[number - 1][2] if number else 0
    return caption.text[start : caption.tokens[number][1] if number < len(caption.tokens) else len(caption.text)]
