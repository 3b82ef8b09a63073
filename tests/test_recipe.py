import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.recipe import (
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
    assert "missing" in message(written(tmp_path, "[split]\ndev_share = 0.1\n"))


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
    ],
)
def test_a_value_that_does_not_fit_names_its_key(tmp_path: Path, table: str, line: str, said: str) -> None:
    text = message(written(tmp_path, f'extends = "m3w"\n[{table}]\n{line}\n'))
    assert said in text and table in text and line.split()[0] in text


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
