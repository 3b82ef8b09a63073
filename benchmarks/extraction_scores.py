"""How well extracted slots agree with annotated pages: words, snippets, pictures and their places.

An annotation has a "track" that says what is compared:

    wcxb         "text", "type": word bags; F1 of each page, averaged, in all and by type (WCXB, arXiv 2605.21097)
    article      "text": 4-grams of words; precision and recall of each page, averaged
    readability  "slots": the same over their texts; and the pictures {"images": [addresses, any of which is right]}
    snippets     "with", "without": strings that must and must not be there, over all pages
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag

Slots = Sequence[Mapping[str, str]]
"""{"text": ...} or {"image": address}, in reading order."""
_WORD = re.compile(r"\w+")
_GRAM = 4


@dataclass(frozen=True)
class Agreement:
    """Shares, 0..1."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, precision: float, recall: float) -> "Agreement":
        return cls(precision, recall, _harmonic(precision, recall))

    @classmethod
    def counted(cls, both: float, found: float, wanted: float) -> "Agreement":
        return cls.of(both / found if found else 0.0, both / wanted if wanted else 1.0)


@dataclass(frozen=True)
class Pictures:
    """Counts over pages; they add up."""

    right: int = 0
    found: int = 0
    wanted: int = 0
    placed: int = 0
    """Of the right ones that can be judged by their neighbours' words: those between them."""
    judged: int = 0

    def __add__(self, other: "Pictures") -> "Pictures":
        return Pictures(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def agreement(self) -> Agreement:
        return Agreement.counted(self.right, self.found, self.wanted)

    def placement(self) -> float:
        return self.placed / self.judged if self.judged else 1.0


def score(annotations: Mapping[str, Mapping[str, Any]], found: Mapping[str, Slots]) -> dict[str, Agreement]:
    """Agreement by track, and for wcxb by "wcxb TYPE"; a page without slots counts as extracted empty."""
    pages: dict[str, list[Agreement]] = defaultdict(list)
    snippets = [0, 0, 0]
    for name, annotation in annotations.items():
        text = text_of(found.get(name, ()))
        track = annotation["track"]
        if track == "snippets":
            flat = " ".join(text.split())
            right, wrong = (sum(" ".join(s.split()) in flat for s in annotation[key]) for key in ("with", "without"))
            snippets = [snippets[0] + right, snippets[1] + right + wrong, snippets[2] + len(annotation["with"])]
        elif track == "wcxb":
            page = same_words(annotation["text"], text)
            pages[track].append(page)
            pages[f"{track} {annotation['type']}"].append(page)
        else:
            pages[track].append(same_grams(annotation.get("text") or text_of(annotation["slots"]), text))
    result = {}
    for track, own in pages.items():
        precision, recall, f1 = (sum(getattr(a, key) for a in own) / len(own) for key in ("precision", "recall", "f1"))
        by_page = track.startswith("wcxb")
        result[track] = Agreement(precision, recall, f1) if by_page else Agreement.of(precision, recall)
    if snippets[2]:
        result["snippets"] = Agreement.counted(*snippets)
    return result


def score_pictures(annotations: Mapping[str, Mapping[str, Any]], found: Mapping[str, Slots]) -> dict[str, Pictures]:
    """Of each page whose pictures are annotated."""
    return {
        name: pictures_of_page(annotation["slots"], found.get(name, ()))
        for name, annotation in annotations.items()
        if "slots" in annotation
    }


def text_of(slots: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(slot["text"] for slot in slots if "text" in slot)


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def same_words(wanted: str, found: str) -> Agreement:
    """Of two texts as bags of words."""
    first, second = Counter(words(wanted)), Counter(words(found))
    if not first or not second:
        return Agreement.of(*(2 * [float(not first and not second)]))
    return Agreement.counted((first & second).total(), second.total(), first.total())


def same_grams(wanted: str, found: str) -> Agreement:
    """Of two texts as bags of 4-grams of words."""
    first, second = _grams(words(wanted)), _grams(words(found))
    if not second:
        return Agreement.of(float(not first), float(not first))
    return Agreement.counted((first & second).total(), second.total(), first.total())


def pictures_of_page(wanted: Sequence[Mapping[str, Any]], found: Slots) -> Pictures:
    """A picture is right if its address is one of the wanted slot's, whatever its scheme and fragment.

    It is at its place if it stands after some occurrence of the four words before the wanted one and before some
    occurrence of the four after it.
    """
    text: list[str] = []
    at: dict[str, int] = {}  # words before each picture's first occurrence
    for slot in found:
        if "image" in slot:
            at.setdefault(_key(slot["image"]), len(text))
        elif "text" in slot:
            text += words(slot["text"])
    starts: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place in range(len(text) - _GRAM + 1):
        starts[tuple(text[place : place + _GRAM])].append(place)
    free, seen, total = dict(at), set[str](), Pictures(found=len(at))
    kinds = {frozenset(map(_key, slot["images"])) for slot in wanted if "images" in slot}
    for number, slot in enumerate(wanted):
        accepted = {_key(address) for address in slot.get("images", ())}
        if not accepted or accepted & seen:
            continue
        seen |= accepted
        right = next((key for key in free if key in accepted), None)
        if right is None:
            continue
        place = free.pop(right)
        before = next((words(s["text"]) for s in reversed(wanted[:number]) if "text" in s), [])
        after = next((words(s["text"]) for s in wanted[number + 1 :] if "text" in s), [])
        behind = starts.get(tuple(before[-_GRAM:]), [])
        ahead = starts.get(tuple(after[:_GRAM]), [])
        fits = (not behind or any(p + _GRAM <= place for p in behind)) and (not ahead or any(p >= place for p in ahead))
        total += Pictures(right=1, placed=int(fits and bool(behind or ahead)), judged=int(bool(behind or ahead)))
    return total + Pictures(wanted=len(kinds))


def _grams(tokens: list[str]) -> Counter[tuple[str, ...]]:
    if len(tokens) < _GRAM:
        return Counter([tuple(tokens)] if tokens else [])
    return Counter(zip(*(tokens[place:] for place in range(_GRAM)), strict=False))


def _key(address: str) -> str:
    return re.sub(r"^https?:", "", unquote(urldefrag(address.strip())[0]))


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0
