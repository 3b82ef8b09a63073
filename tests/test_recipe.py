import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.cli import recipe_check
from pipelines.plan import PlanError
from pipelines.recipe import (
    PageRecipe,
    RecipeError,
    differences,
    load_recipe,
    recipe_digest,
    shipped,
    summary,
    to_toml,
    values,
)
from schemas.strict import field_types

PAIRS_ONLY = "".join(
    f"{part.strip()}\n\n"
    for part in to_toml(load_recipe("align")).partition("\n")[2].split("\n\n")
    if part.strip("\n[").partition("]")[0] not in field_types(PageRecipe)
)
"""The tables of a recipe of pairs that one of pages does not have."""


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def message(name: str) -> str:
    with pytest.raises(RecipeError) as raised:
        load_recipe(name)
    return str(raised.value)


def test_m3w_and_demo_are_shipped() -> None:
    assert {"m3w", "demo"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_loads_and_says_what_it_is(name: str) -> None:
    assert load_recipe(name).name == name
    assert len(summary(name)) > 20


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_written_out_is_the_same_recipe(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(name)
    again = load_recipe(written(tmp_path, to_toml(recipe), f"{name}.toml"))
    assert again == recipe
    assert recipe_digest(again) == recipe_digest(recipe)


def test_quotes_and_line_breaks_survive_being_written(tmp_path: Path) -> None:
    recipe = load_recipe("m3w")
    strange = ('"', "\\", "\n\t", "\u2028", "\x1f\x7f", "é漢", "#", "]")
    recipe = replace(recipe, gopher_quality=replace(recipe.gopher_quality, bullets=strange))
    assert load_recipe(written(tmp_path, to_toml(recipe), "m3w.toml")) == recipe


def test_an_unknown_key_names_itself_its_table_and_its_neighbours(tmp_path: Path) -> None:
    text = message(written(tmp_path, 'extends = "m3w"\n[language]\nmin_scor = 0.5\n'))
    assert "mine.toml" in text and "language" in text and "'min_scor'" in text
    assert "Did you mean 'min_score'?" in text and "languages" in text


def test_an_unknown_table_names_its_neighbours(tmp_path: Path) -> None:
    text = message(written(tmp_path, 'extends = "m3w"\n[langage]\nmin_score = 0.5\n'))
    assert "'langage'" in text and "Did you mean 'language'?" in text and "gopher_quality" in text


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    text = "\n".join(line for line in to_toml(load_recipe("m3w")).splitlines() if not line.startswith("min_images"))
    assert "images_left: missing min_images" in message(written(tmp_path, text))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    assert "missing" in message(written(tmp_path, 'flow = "pages"\n[split]\ndev_share = 0.1\n'))


@pytest.mark.parametrize("line", ["", 'flow = "papers"', "flow = 1", 'flow = ["pages"]'])
def test_a_flow_that_is_none_is_told_with_the_known_ones(tmp_path: Path, line: str) -> None:
    said = message(written(tmp_path, f"{line}\n[split]\ndev_share = 0.1\n"))
    assert "mine.toml: flow is" in said and "pages, pairs" in said


def test_of_a_recipe_of_another_flow_the_tables_that_both_have_are_taken(tmp_path: Path) -> None:
    base = load_recipe("m3w")
    pairs = load_recipe(written(tmp_path, 'extends = "m3w"\nflow = "pairs"\n' + PAIRS_ONLY))
    assert pairs.fetch == base.fetch and pairs.media == base.media
    assert not hasattr(pairs, "gopher_quality") and hasattr(base, "gopher_quality")
    assert "unknown key 'gopher_quality'" in message(
        written(tmp_path, f'extends = "m3w"\nflow = "pairs"\n{PAIRS_ONLY}[gopher_quality]\nmin_words = 3\n')
    )


@pytest.mark.parametrize(
    ("table", "line", "said"),
    [
        ("language", 'min_score = "high"', "float is wanted, not 'high'"),
        ("language", 'languages = "en"', "a list is wanted, not 'en'"),
        ("language", "languages = [1]", "str is wanted, not 1"),
        ("images_left", "min_images = 1.5", "int is wanted, not 1.5"),
        ("images_left", "min_images = true", "int is wanted, not True"),
        ("fetch", "respect_robots = 1", "bool is wanted, not 1"),
        ("fetch", "total_seconds = 0", "total_seconds must be above 0"),
        ("media", "jpeg_quality = 0", "jpeg_quality"),
        ("media", 'formats = ["jpeg", "heic"]', "'heic' is not one of jpeg"),
        ("image_filter", 'formats = ["heic"]', "image_filter.formats: 'heic' is not one of jpeg"),
        ("image_filter", "min_deviation = 128", "is not between 0 and 127.5"),
        ("gopher_quality", "min_stop_words = 9", "is not between 0 and the number of stop_words (8)"),
        ("fetch", "connect_seconds = 2.1e6", "must be at most 2000000"),
        ("parse", "max_attributes = 0", "max_attributes must be at least 1"),
        ("language", f"min_score = 1{'0' * 400}", "a finite number is wanted, not 1000"),
    ],
)
def test_a_value_that_does_not_fit_names_its_key(tmp_path: Path, table: str, line: str, said: str) -> None:
    text = message(written(tmp_path, f'extends = "m3w"\n[{table}]\n{line}\n'))
    assert said in text and table in text and line.split()[0] in text


NUMBERS = [
    (table, key)
    for table, config in field_types(PageRecipe).items()
    if table not in ("name", "flow")
    for key, kind in field_types(config).items()
    if kind in (int, float)
]


@pytest.mark.parametrize(("table", "key"), NUMBERS)
def test_no_number_may_be_negative_or_no_number_at_all(tmp_path: Path, table: str, key: str) -> None:
    for value in ("-1", "nan", "inf", "-inf", f"-1{'0' * 400}"):
        text = message(written(tmp_path, f'extends = "m3w"\n[{table}]\n{key} = {value}\n'))
        assert f"mine.toml.{table}" in text and key in text, value


def test_the_numbers_of_all_tables_are_tried() -> None:
    assert len(NUMBERS) > 70
    assert {table for table, _ in NUMBERS} >= {"fetch", "media", "image_filter", "image_url", "gopher_quality"}


def test_a_recipe_is_named_after_its_file_alone(tmp_path: Path) -> None:
    base = written(tmp_path, 'extends = "m3w"\nname = "x"\n', "base.toml")
    assert "base.toml: unknown key 'name'" in message(base)
    assert "base.toml: unknown key 'name'" in message(written(tmp_path, 'extends = "base.toml"\n'))


def test_a_number_of_thousands_of_digits_is_one_line_too(tmp_path: Path) -> None:
    text = message(written(tmp_path, f'extends = "m3w"\n[language]\nmin_score = 1{"0" * 5000}\n'))
    assert "mine.toml: " in text and "\n" not in text


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b'extends = "m3w" # caf\xe9\n')
    assert "mine.toml: not UTF-8" in message(str(tmp_path / "mine.toml"))


def test_a_table_on_top_of_what_is_no_table(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "m3w"\nlanguage = 3\n', "base.toml")
    assert "missing" in message(written(tmp_path, 'extends = "base.toml"\n[language]\nmin_score = 0.1\n'))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[image_safety]\nscorer = "zork"', "recipe mine: scorer 'zork': not one of none, opennsfw"),
        ('[language]\nmodel = "nothere.ftz"', "recipe mine: no language model at nothere.ftz"),
        (
            '[page_url]\nblocked_domains = "nothere.txt"',
            "a list of [page_url], [image_url], [site_list] or [blocklist]",
        ),
        ('[image_url]\nblocked_domains = "nothere.txt"', "No such file or directory: 'nothere.txt'"),
        ('[blocklist]\ndigest_files = ["nothere.txt"]', "No such file or directory: 'nothere.txt'"),
    ],
)
def test_a_recipe_that_names_what_is_not_there_is_not_good(tmp_path: Path, lines: str, said: str) -> None:
    base = 'extends = "m3w"\n' + ("" if "image_safety" in lines else '[image_safety]\nscorer = "none"\n')
    path = written(tmp_path, base + lines + "\n")
    with pytest.raises(PlanError) as raised:
        recipe_check(path)
    assert said in str(raised.value)


def test_a_recipe_that_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, 'extends = "m3w"\n[image_safety]\nscorer = "none"\n')
    recipe_check(path)
    assert capsys.readouterr().out == f"{path}: good, digest {recipe_digest(load_recipe(path))}\n"


def test_a_table_that_is_no_table(tmp_path: Path) -> None:
    assert "language: a table is wanted" in message(written(tmp_path, 'extends = "m3w"\nlanguage = 3\n'))


def test_an_integer_may_stand_for_a_number(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'extends = "m3w"\n[language]\nmin_score = 1\n'))
    assert recipe.language.min_score == 1.0 and isinstance(recipe.language.min_score, float)


def test_not_toml(tmp_path: Path) -> None:
    assert "mine.toml" in message(written(tmp_path, "[language\n"))


def test_no_such_recipe_names_those_there_are() -> None:
    text = message("nothing-here")
    assert "'nothing-here'" in text and "m3w" in text and "demo" in text


def test_extends_changes_only_what_it_says(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'extends = "m3w"\n[language]\nmin_score = 0.1\n'))
    base = load_recipe("m3w")
    assert differences(values(base), values(recipe)) == [
        ("language.min_score", base.language.min_score, 0.1),
        ("name", "m3w", "mine"),
    ]
    assert recipe_digest(recipe) != recipe_digest(base)


def test_extends_a_recipe_that_extends_another(tmp_path: Path) -> None:
    one = written(tmp_path, 'extends = "demo"\n[language]\nmin_score = 0.1\n', "one.toml")
    recipe = load_recipe(written(tmp_path, f'extends = "{one}"\n[images_left]\nmin_images = 2\n'))
    assert recipe.language.min_score == 0.1 and recipe.images_left.min_images == 2
    assert recipe.media.max_side == load_recipe("demo").media.max_side


def test_a_recipe_beside_it_is_found_from_anywhere(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "demo"\n[language]\nmin_score = 0.1\n', "base.toml")
    assert load_recipe(written(tmp_path, 'extends = "base.toml"\n')).language.min_score == 0.1


def test_recipes_that_extend_each_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f'extends = "{two}"\n')
    two.write_text(f'extends = "{one}"\n')
    assert "extends itself" in message(str(one))


@pytest.mark.parametrize("value", ["1", '["m3w"]', "{ a = 1 }"])
def test_extends_that_names_no_recipe(tmp_path: Path, value: str) -> None:
    assert "extends" in message(written(tmp_path, f"extends = {value}\n"))


def test_no_recipe_can_lift_a_check_of_the_fetcher() -> None:
    keys = {key for table in values(load_recipe("m3w")).values() if isinstance(table, dict) for key in table}
    assert "allowed_ports" in keys
    assert not {key for key in keys - {"allowed_ports"} if re.search("allow|loopback|pacing|contact", key)}


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_has_all_tables_and_comments_are_its_only_other_content(name: str) -> None:
    recipe = load_recipe(name)
    assert list(values(recipe)) == list(field_types(type(recipe)))
    assert tomllib.loads(to_toml(recipe)).keys() == set(field_types(type(recipe))) - {"name"}
