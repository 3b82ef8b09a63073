"""What of a caption is a date or a place, and what is left without them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.captions import CONFIG, Marked, marked_captions, score
from pipelines.filters.caption_dates import find_dates
from pipelines.filters.caption_dates_places import strip, strip_dates_places
from pipelines.filters.caption_places import find_places
from pipelines.filters.gazetteer import lines, load_gazetteer
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

GAZETTEER = load_gazetteer(CONFIG.min_population, CONFIG.sure_population)


def pair(text: str, language: str = "en") -> Document:
    url = "https://example.com/a.jpg"
    return Document(kind="pair", url=url, slots=(Image(url=url), Text(text)), language=language)


def dates(text: str) -> list[str]:
    return [text[span.core : span.end].strip() for span in find_dates(text)]


def places(text: str) -> list[str]:
    return [text[span.core : span.end] for span in find_places(text, GAZETTEER)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("taken on 12 March 2019 by me", "12 March 2019"),
        ("March 12th, 2019: a dog", "March 12th, 2019"),
        ("A dog on 12/03/2019", "12/03/2019"),
        ("2019-03-12 a dog", "2019-03-12"),
        ("A dog, 12.03.19", "12.03.19"),
        ("A dog in Mar 2019", "Mar 2019"),
        ("a dog 12 march 2019", "12 march 2019"),
        ("A dog in 1999", "1999"),
        ("A dog (1999)", "1999"),
        ("A dog, 1999", "1999"),
        ("World Cup 1998", "1998"),
        ("The 1936 Olympic Games", "1936"),
        ("a restored 1957 Chevrolet", "1957"),
        ("c. 1890", "c. 1890"),
        ("from a ship of 1914-18", "1914-18"),
        ("in 1964 or 1965", "1964 or 1965"),
        ("Summer 2004 in town", "Summer 2004"),
        ("A 1990s car", "1990s"),
        ("in the early '60s", "early '60s"),
        ("in the sixties", "sixties"),
        ("a late 19th-century church", "late 19th-century"),
        ("a statue from 300 BC", "300 BC"),
        ("Fans on Monday morning", "Monday morning"),
        ("speaks on Thursday, Nov. 5, 2015, at the podium", "Thursday, Nov. 5, 2015"),
        ("Fans arrive at 5 pm at the gate", "5 pm"),
        ("JULY 05: fans at the gate", "JULY 05"),
        ("a girl in May", "May"),
        ("February - March 1952", "February - March 1952"),
        ("on the 4th of July", "4th of July"),
    ],
)
def test_date(text: str, expected: str) -> None:
    assert dates(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "1080 pixels wide",
        "a screen of 1920 x 1080",
        "model 2020",
        "1984 (novel)",
        "a crowd of 2000 people",
        "in 2000 metres of water",
        "1,984 men",
        "the price is $2000",
        "Windows 2000",
        "Sunday Brunch",
        "Palm Sunday",
        "You may march on",
        "may 12 people come",
        "the ratio 16:9",
        "his 2nd birthday",
        "no. 1247 leaves the tunnel",
        "people in their nineties",
        "version 1.12.2019.4",
    ],
)
def test_no_date(text: str) -> None:
    assert dates(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a church in Rome, Italy", "Rome, Italy"),
        ("a street in Austin, Texas, USA", "Austin, Texas, USA"),
        ("Easton, Pa., from the air", "Easton, Pa."),
        ("a train in Reading, England", "Reading, England"),
        ("a beach in Nice", "Nice"),
        ("Winchelsea, Sussex", "Winchelsea, Sussex"),
        ("near Blair Athol, Scotland", "Blair Athol, Scotland"),
        ("East Gate, Winchelsea, Sussex", "Winchelsea, Sussex"),
        ("Houses (Paris, France)", "Paris, France"),
        ("the London skyline", "London"),
        ("Tokyo's neon lights", "Tokyo's"),
        ("Tokyo\u2019s neon lights", "Tokyo\u2019s"),
        ("goods for the USA", "USA"),
        ("a farm in the Netherlands", "Netherlands"),
        ("a fair in Orange County, California", "Orange County, California"),
        ("ROME: a church", "ROME"),
        ("a castle in Graub\u00fcnden, Switzerland", "Graub\u00fcnden, Switzerland"),
        ("a street in Zurich", "Zurich"),
        ("a church in rome", "rome"),
        ("a fort in St. Augustine, Florida", "St. Augustine, Florida"),
        ("a cathedral in Cologne", "Cologne"),
    ],
)
def test_place(text: str, expected: str) -> None:
    assert places(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "Jack London at his desk",
        "Paris Hilton waves",
        "the Boston Celtics",
        "a piece of the Berlin Wall",
        "the Bank of England",
        "students of the University of Oxford",
        "the Duke of Wellington",
        "Washington crossing the Delaware",
        "Dr. Charles F. Baltimore, a dentist",
        "in Jackson home on Main Street",
        "a nice bath with an orange",
        "china plates and a turkey",
        "Brussels sprouts and Parma ham",
        "Madison and Austin play",
        "Florence holds a cake",
        "a cat of hers",
        "KLIPPAN sofa in red",
        "an Italian church",
    ],
)
def test_no_place(text: str) -> None:
    assert places(text) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A church in Rome, Italy", "A church"),
        ("A church in Rome, Italy, 1905.", "A church."),
        ("A church in Rome (1905)", "A church"),
        ("London, England - July 05: A view of the court on July 5, 2015 in London, England.", "A view of the court."),
        ("A dog in Paris and in 1999", "A dog"),
        ("A game between Finland and Sweden", "A game"),
        ("People in downtown Chicago at night", "People at night"),
        ("At the Barcelona laboratory", "At the laboratory"),
        ("The police after Nov. 9 crash", "The police after crash"),
        ("half of late 20th-century warming", "half of warming"),
        ("A dog with a ball...", "A dog with a ball..."),
        ("A dog  with ( ) marks ,", "A dog  with ( ) marks ,"),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert strip(text, CONFIG)[0] == left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A church in Rome", "passed"),
        ("Church, Rome, 1905", "only_dates_places"),
        ("Paris, France", "only_dates_places"),
        ("July 5, 2015", "only_dates_places"),
        ("Church", "passed"),
        ("", "passed"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    result = strip_dates_places(pair(text), CONFIG)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_the_document_has_the_rest_and_the_counts() -> None:
    result = strip_dates_places(pair("A church in Rome, Italy, on May 5, 2015 at 5 pm"), CONFIG)
    assert isinstance(result, Document)
    assert result.text == "A church"
    assert result.scores == {"dates_places.date": 2, "dates_places.place": 1}


def test_each_half_can_be_turned_off_and_other_languages_pass() -> None:
    text = "A church in Rome, 1905"
    assert strip(text, replace(CONFIG, dates=False))[0] == "A church, 1905"
    assert strip(text, replace(CONFIG, places=False))[0] == "A church in Rome"
    german = pair(text, "de")
    assert strip_dates_places(german, replace(CONFIG, languages=("en",))) is german


PIECES = [word for caption in marked_captions() for word in caption.text.split()]
CAPTIONS = st.lists(st.sampled_from([*PIECES, "in", "of", "-", "(", ")", ",", "and", "May", "1990", "Paris", "."])).map(
    " ".join
)


@given(st.one_of(CAPTIONS, st.text()))
def test_stripping_only_takes_away_and_does_so_once(text: str) -> None:
    stripped, found = strip(text, CONFIG)
    rest = iter(text)
    assert all(sign in rest or (sign == " " and any(map(str.isspace, text))) for sign in stripped)
    assert bool(found) == (stripped != text)
    assert strip(stripped, CONFIG) == (stripped, [])


def test_every_list_of_names_is_in_use() -> None:
    names = GAZETTEER.names
    assert len(names) > 60_000
    assert names["england"].region and names["rome"].sure and names["reading"].ordinary and names["NY"].abbreviation
    assert names["brussels sprouts"].phrase and "castle" in GAZETTEER.landmarks
    assert len(lines("ordinary")) > 2000 and len(set(lines("regions"))) > 390


CAPTIONS_MARKED = marked_captions()


@pytest.mark.parametrize(
    ("kind", "split", "precision", "recall"),
    [
        ("date", "dev", 0.97, 0.97),
        ("date", "test", 0.97, 0.97),
        ("place", "dev", 0.96, 0.93),
        ("place", "test", 0.96, 0.93),
    ],
)
def test_found_on_captions_marked_by_hand(kind: str, split: str, precision: float, recall: float) -> None:
    found = score([caption for caption in CAPTIONS_MARKED if caption.split == split], kind)
    print(f"{kind} {split}: precision {found.precision:.3f}, recall {found.recall:.3f}, {found.marked} words marked")
    assert found.precision >= precision and found.recall >= recall


def test_marked_captions_are_many_and_of_several_sources() -> None:
    assert len(CAPTIONS_MARKED) >= 200
    assert len({caption.source for caption in CAPTIONS_MARKED}) == 8
    assert sum(not caption.words for caption in CAPTIONS_MARKED) >= 60


def test_a_missed_or_wrong_word_lowers_the_score() -> None:
    caption = Marked("ours", "dev", "A dog in Rome with Anna", frozenset({("place", 9), ("place", 19)}))
    assert score([caption], "place") == (1, 1, 2)
    assert score([caption._replace(words=frozenset())], "place") == (0, 1, 0)


@pytest.mark.parametrize(
    ("field", "value"), [("min_population", 500), ("sure_population", 4000), ("min_words_left", -1)]
)
def test_impossible_settings_are_named(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
