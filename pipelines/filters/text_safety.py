"""Share of a document's words that stand on a list of obscene words.

Flamingo names no method for its text safety filter (arXiv 2204.14198v2, appendix A.3.1); share and value are those of
OBELICS (arXiv 2306.16527). The lists are LDNOOBW's, under CC BY 4.0: see data/ldnoobw/NOTICE.txt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pipelines.filters.words import is_unspaced, tokens
from schemas.document import Document
from schemas.rejection import Rejected

# For each first token of an entry, the entries that begin with it, longest first.
Entries = Mapping[str, Sequence[tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class TextSafetyConfig:
    max_flagged_share: float
    """Largest share of a document's words that belong to entries of a list, 0 to 1."""
    min_flagged: int
    """Fewest entries found for a document to be dropped: one word of a short text proves nothing."""
    lists: tuple[str, ...]
    """Languages whose lists are used on every document; the list of the document's own language is used anyway."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_flagged_share <= 1:
            raise ValueError(f"max_flagged_share: {self.max_flagged_share} is not between 0 and 1")
        if self.min_flagged < 1:
            raise ValueError(f"min_flagged: {self.min_flagged} is less than 1")
        if unknown := set(self.lists) - set(languages()):
            raise ValueError(f"lists: no list for {', '.join(sorted(unknown))}; there are {', '.join(languages())}")


def text_safety(document: Document, config: TextSafetyConfig) -> Document | Rejected:
    """The document with its flagged share, or `flagged_words`.

    A document in a language without a list, where `lists` is empty too, passes and bears no score.
    """
    chosen = sorted({document.language, *config.lists}.intersection(languages()))
    if not chosen:
        return document
    found = tokens(document.text)
    entries = _entries(tuple(chosen))
    flagged, flagged_words = count_flagged(found, entries)
    share = round(flagged_words / max(sum(map(_is_word, found)), 1), 4)
    if flagged >= config.min_flagged and share > config.max_flagged_share:
        return Rejected("flagged_words", f"{flagged} found, share {share}, at most {config.max_flagged_share}")
    return document.with_scores("text_safety", {"flagged": flagged, "flagged_share": share})


def count_flagged(found: Sequence[str], entries: Entries) -> tuple[int, int]:
    """How many entries the tokens hold, the longest at each place and none in another, and how many words these are."""
    if entries.keys().isdisjoint(found):
        return 0, 0
    flagged = flagged_words = position = 0
    while position < len(found):
        for entry in entries.get(found[position], ()):
            if tuple(found[position : position + len(entry)]) == entry:
                flagged += 1
                flagged_words += sum(map(_is_word, entry)) or 1  # an emoji
                position += len(entry)
                break
        else:
            position += 1
    return flagged, flagged_words


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Codes of the languages that there is a list for, sorted."""
    names = (item.name for item in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt") and name.islower()))


@lru_cache(maxsize=64)
def _entries(chosen: tuple[str, ...]) -> Entries:
    texts = [(_folder() / f"{language}.txt").read_text(encoding="utf-8") for language in chosen]
    return by_first_token(line for text in texts for line in text.split("\n"))


def by_first_token(lines: Iterable[str]) -> Entries:
    """A list's entries as tokens, without those that cannot be told from innocent text.

    These are numbers with punctuation ("13.") and single characters of scripts without spaces: in such a script an
    entry is found wherever its characters stand, so that one character would be found inside other words.
    """
    grouped: dict[str, set[tuple[str, ...]]] = {}
    for line in lines:
        entry = tuple(tokens(line))
        if not entry or (line.isascii() and not any(map(str.isalpha, line))):
            continue
        if len(entry) == 1 and len(entry[0]) == 1 and is_unspaced(entry[0]):
            continue
        grouped.setdefault(entry[0], set()).add(entry)
    return {first: sorted(entries, key=lambda entry: (-len(entry), entry)) for first, entries in grouped.items()}


def _is_word(token: str) -> bool:
    return token[0].isalnum() or len(token) > 1


def _folder() -> Traversable:
    return files("pipelines.filters") / "data" / "ldnoobw"
