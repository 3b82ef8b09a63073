"""Configurations are read strictly: a mistake is named with its place and what would fit."""

from dataclasses import replace
from pathlib import Path

import pytest

from flamingo_model.config import (
    ConfigError,
    CrossAttentionConfig,
    FlamingoConfig,
    config_from_plain,
    load_config,
    presets,
    with_changes,
)
from schemas.strict import to_plain


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def tiny() -> FlamingoConfig:
    return load_config("tiny")


@pytest.mark.parametrize("name", presets())
def test_a_configuration_survives_writing_and_reading(name: str) -> None:
    config = load_config(name)
    assert config_from_plain(to_plain(config)) == config


def test_a_file_changes_single_fields(tmp_path: Path, tiny: FlamingoConfig) -> None:
    path = written(tmp_path, 'extends = "tiny"\n[resampler]\nlayers = 5\n')
    assert load_config(path) == replace(tiny, resampler=replace(tiny.resampler, layers=5))
    assert load_config(str(path)) == load_config(path)


def test_files_extend_files_beside_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path, 'extends = "tiny"\n[resampler]\nlayers = 5\nheads = 3\n', "base.toml")
    path = written(tmp_path / "sub", 'extends = "../base.toml"\n[resampler]\nheads = 7\n')
    config = load_config(path)
    assert (config.resampler.layers, config.resampler.heads) == (5, 7)


def test_options_are_replaced_as_a_whole(tmp_path: Path) -> None:
    """They belong to the model that `name` names; another model has no use for them."""
    path = written(tmp_path, 'extends = "tiny"\n[language]\nname = "gpt2"\noptions = { n_layer = 3 }\n')
    assert dict(load_config(path).language.options) == {"n_layer": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[resampler]\nlayres = 2", r"unknown key 'layres'. Did you mean 'layers'\?"),
        ("[resamplr]\nlayers = 2", r"unknown key 'resamplr'. Did you mean 'resampler'\?"),
        ("[resampler]\nlayers = 2.5", r"resampler\.layers: int is wanted, not 2\.5"),
        ("[resampler]\nlayers = true", r"resampler\.layers: int is wanted, not True"),
        ("[resampler]\nlayers = 0", "layers is 0, must be at least 1"),
        ("[resampler]\nff_mult = nan", r"resampler\.ff_mult: a finite number is wanted"),
        ("[resampler]\ntime_embeddings = -1", "must not be negative"),
        ('[resampler]\nkind = "perciever"', "'perciever' is none of 'perceiver', 'transformer', 'mlp', 'none'"),
        ("[vision]\nimage_size = 0", "image_size is 0, must be at least 1"),
        ("[vision]\nmean = [0.5]", "mean has 1 values, must have 3, or none"),
        ('[vision]\nfamily = "torchvision"', "'torchvision' is none of 'timm', 'huggingface'"),
        ('[vision]\ndtype = "int8"', "'int8' is none of 'float32', 'bfloat16'"),
        ("[cross_attention]\nevery = 0", "every is 0, must be at least 1"),
        ("[cross_attention]\noffset = -1", "offset is -1, must not be negative"),
        ('[cross_attention]\nplacement = "grafting"', "graft_layers is 0, must be at least 1"),
        ("[cross_attention]\nheads = 0", "heads is 0, must be at least 1"),
        ("resampler = 3", r"resampler: a table is wanted, not 3"),
        ("[language]\noptions = 3", r"language\.options: a table is wanted, not 3"),
        ("[language]\nname = ", "Invalid value"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, f'extends = "tiny"\n{text}\n'))


def test_messages_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_config(written(tmp_path, 'extends = "tiny"\n[resampler]\nlayres = 2\n'))


def test_missing_fields_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing vision, cross_attention, language"):
        load_config(written(tmp_path, "[resampler]\nlayers = 2\n"))


def test_unknown_names_are_told_with_near_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no preset or file 'flamingo-3bb'; did you mean 'flamingo-3b'"):
        load_config("flamingo-3bb")
    with pytest.raises(ConfigError, match=r"did you mean 'tiny'\?"):
        load_config(written(tmp_path, 'extends = "tinny"\n'))
    with pytest.raises(ConfigError, match=r"no preset or file '.*nowhere\.toml'; `flamingo presets` lists"):
        load_config(tmp_path / "nowhere.toml")


def test_extends_of_another_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extends is 3, must be the name of a preset or a file"):
        load_config(written(tmp_path, "extends = 3\n"))


@pytest.mark.parametrize("back", ["a.toml", "./a.toml", "sub/../a.toml"])
def test_circles_are_told(tmp_path: Path, back: str) -> None:
    (tmp_path / "sub").mkdir()
    first = written(tmp_path, 'extends = "b.toml"\n', "a.toml")
    written(tmp_path, f'extends = "{back}"\n', "b.toml")
    with pytest.raises(ConfigError, match=r"a\.toml extends itself: .*a\.toml -> .*b\.toml -> .*a\.toml"):
        load_config(first)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_config(path)


def cross_attention(**fields: object) -> CrossAttentionConfig:
    return with_changes(load_config("tiny"), cross_attention=fields).cross_attention


def test_insertion_points() -> None:
    """Before blocks 0, n, 2n, ...: section B.1.1; IDEFICS fails where n does not divide the number of blocks."""
    assert cross_attention(every=7).insertion_points(80) == (0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77)
    assert cross_attention(every=4).insertion_points(30) == (0, 4, 8, 12, 16, 20, 24, 28)
    assert cross_attention(every=4, offset=3).insertion_points(8) == (3, 7)  # open_flamingo
    assert cross_attention(every=100).insertion_points(8) == (0,)
    assert cross_attention(placement="middle").insertion_points(24) == (12,)
    assert cross_attention(placement="grafting", graft_layers=2).insertion_points(24) == ()
    with pytest.raises(ConfigError, match="offset 9 leaves no place in a language model of 8 blocks"):
        cross_attention(offset=9).insertion_points(8)
