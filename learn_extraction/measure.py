"""How well the judge does on pages that it was not trained on."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from learn_extraction.labels import content, words
from learn_extraction.pages import Page
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.judge import KEPT, decide

TYPES = ("article", "documentation", "forum", "service", "product", "collection", "listing")
COLUMNS = ("all", *TYPES, "readability", "snippets", "article 4-grams")


def kept_text(page: Page, scores: Numbers) -> str:
    verdicts = decide(page.blocks, scores).verdicts
    return "\n".join(text for text, verdict in zip(page.texts, verdicts, strict=True) if verdict == KEPT)


def word_f1(page: Page, scores: Numbers) -> float:
    """Of what the scores keep; 1 where no text is annotated that it could be compared with."""
    wanted = Counter(words(content(page.annotation))) if page.annotation["track"] != "snippets" else Counter()
    return _f1(*_agreement(Counter(words(kept_text(page, scores))), wanted)) if wanted else 1.0


def table_row(pages: Iterable[Page], text_of: Callable[[Page], str]) -> list[float]:
    """The values of COLUMNS: F1 of words (the mean over pages), of 4-grams, of snippets."""
    bags: dict[str, list[float]] = defaultdict(list)
    grams: dict[str, list[tuple[float, float]]] = defaultdict(list)
    right = wrong = wanted = 0
    for page in pages:
        text, annotation = text_of(page), page.annotation
        if annotation["track"] == "snippets":
            flat = " ".join(text.split())
            right += sum(" ".join(snippet.split()) in flat for snippet in annotation["with"])
            wrong += sum(" ".join(snippet.split()) in flat for snippet in annotation["without"])
            wanted += len(annotation["with"])
            continue
        mine, gold = words(text), words(content(annotation))
        if annotation["track"] == "wcxb":
            value = _f1(*_agreement(Counter(mine), Counter(gold)))
            bags["all"].append(value)
            bags[annotation["type"]].append(value)
        if annotation["track"] == "readability" or annotation["type"] == "article":
            name = "readability" if annotation["track"] == "readability" else "article 4-grams"
            grams[name].append(_agreement(_grams(mine), _grams(gold)))
    row = {name: _mean(values) for name, values in bags.items()}
    for name, pairs in grams.items():
        row[name] = _f1(_mean([p for p, _ in pairs]), _mean([r for _, r in pairs]))
    row["snippets"] = _f1(right / max(1, right + wrong), right / max(1, wanted))
    return [row.get(column, float("nan")) for column in COLUMNS]


def _grams(text: Sequence[str]) -> Counter[Any]:
    if len(text) < 4:
        return Counter([tuple(text)] if text else [])
    return Counter(zip(text, text[1:], text[2:], text[3:], strict=False))


def _agreement(mine: Counter[Any], gold: Counter[Any]) -> tuple[float, float]:
    both = (mine & gold).total()
    if not mine or not gold:
        return float(not mine and not gold), float(not gold)
    return both / mine.total(), both / gold.total()


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
