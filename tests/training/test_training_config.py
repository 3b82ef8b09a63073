"""Configurations of runs: those that are shipped, --set, and one clear line for each mistake."""

import sys
from pathlib import Path

import pytest
from training_runs import config_of, make_shards, write_config

from flamingo_model.cli import main
from flamingo_model.config import ConfigError, presets
from flamingo_model.training.config import about_shipped, differences, load_train_config, shipped
from flamingo_model.training.setup import model_config
from schemas.strict import to_plain


def test_shipped() -> None:
    assert shipped() == ("demo", "finetune", "paper")
    for name in shipped():
        config = load_train_config(name)
        model_config(config)
        assert about_shipped(name)[0].isupper()


def test_the_papers_numbers() -> None:
    config = load_train_config("paper")
    assert [table.weight for table in config.data] == [1.0, 0.2, 0.2, 0.03]
    assert [table.batch_size for table in config.data] == [256, 512, 512, 64]
    assert [table.sample_config().length for table in config.data] == [256, 32, 64, 32]
    pages = config.data[0].sample_config()
    assert (pages.max_images, pages.p_next) == (5, 0.5)
    optimiser = config.optimiser
    assert (optimiser.lr, optimiser.warmup, optimiser.schedule, optimiser.clip) == (1e-4, 5000, "constant", 1.0)
    assert (optimiser.weight_decay, optimiser.no_decay) == (0.1, ("resampler.",))
    assert (config.mixture.how, config.mixture.reduction) == ("accumulate", "sum_per_example")
    assert config.run.steps == 500_000
    for ranks in (1, 8, 32):
        assert all(table.rows(ranks)[0] * table.rows(ranks)[1] * ranks == table.batch_size for table in config.data)


def test_the_papers_fine_tuning() -> None:
    config = load_train_config("finetune")
    model = model_config(config)
    assert (model.vision.image_size, model.vision.frozen, model.language.frozen) == (480, False, True)
    assert (config.optimiser.schedule, config.optimiser.final, config.data[0].batch_size) == ("exponential", 0.1, 8)


@pytest.mark.parametrize("name", [name for name in presets() if name.startswith("ablation-")])
def test_each_ablation_of_the_model_is_a_change(name: str) -> None:
    config = load_train_config("paper", [f"model.config={name}"])
    assert model_config(config) != model_config(load_train_config("paper"))


@pytest.mark.parametrize(
    "change", ["mixture.how=round_robin", "data.m3w.samples.p_next=0", "data.m3w.samples.p_next=1"]
)
def test_each_ablation_of_the_data_is_a_change(change: str) -> None:
    assert len(differences(to_plain(load_train_config("paper")), load_train_config("paper", [change]))) == 1


def test_set() -> None:
    changes = ["run.steps=7", "data.pages.weight=0.5", "run.parallel=ddp", "model.changes.vision.options.patch_size=16"]
    config = load_train_config("demo", [*changes, 'data.pages.shards=["a", "b"]'])
    assert (config.run.steps, config.data[0].weight, config.run.parallel) == (7, 0.5, "ddp")
    assert config.data[0].shards == ("a", "b")
    assert config.model.changes["vision"]["options"]["patch_size"] == 16
    assert config.model.changes["vision"]["options"]["hidden_size"] == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("run.step=7", r"demo\.run: unknown key 'step'\. Did you mean 'steps'\?"),
        ("run.steps=many", r"demo\.run\.steps: int is wanted, not 'many'"),
        ("run.steps=0", r"demo\.run: steps is 0, must be at least 1"),
        ("run", "--set 'run' must be table.field=value"),
        ("runs=3", "must be table.field=value"),
        ("run.steps.more=3", "'steps' is a value, not a table"),
        ("data.page.weight=1", "there is no data set 'page', only pages, captions, alt-texts, clips"),
        ("data.pages=1", "must name a data set"),
        ("data.pages.weight=0", r"weight is 0, must be above 0"),
        ("data.pages.kind=page", "'page' is none of 'pages', 'pairs', 'clips'"),
        ("data.pages.shards=[]", "shards of 'pages' are none"),
        ("data.pages.samples.lenght=3", "samples of 'pages': unknown key 'lenght'. Did you mean 'length'?"),
        ("data.pages.samples.p_next=2", "p_next is 2.0, must be a probability"),
        ("data.pages.name=clips", r"two \[\[data\]\] tables have the name 'clips'"),
        ("data.pages.name=a/b", "must be a word without dots and slashes"),
        ("loader.workers=3", "workers is 3, must be a divisor of streams"),
        ("optimiser.betas=[0.9]", r"betas are \[0.9\], must be two numbers"),
        ("augment.flip=2", "flip is 2.0, must be 0 to 1"),
        ("mixture.how=both", "'both' is none of 'accumulate', 'round_robin', 'merged'"),
    ],
)
def test_mistakes(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_train_config("demo", [change])
    assert "\n" not in str(error.value)


def test_mistakes_in_the_model() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.changes\.visoin is no table of a model; these are vision, resampler"
    ):
        model_config(load_train_config("demo", ["model.changes.visoin.frozen=true"]))
    with pytest.raises(ConfigError, match="unknown key 'frosen'"):
        model_config(load_train_config("demo", ["model.changes.vision.frosen=true"]))


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no shipped configuration or file 'dmeo'; did you mean 'demo'"):
        load_train_config("dmeo")
    own = tmp_path / "own.toml"
    own.write_text('extends = "own.toml"\n')
    with pytest.raises(ConfigError, match="extends itself"):
        load_train_config(own)
    own.write_text("run = {")
    with pytest.raises(ConfigError, match=r"own\.toml: "):
        load_train_config(own)
    own.write_text("[run]\nsteps = 3\n")
    with pytest.raises(ConfigError, match="missing model, data, loader"):
        load_train_config(own)


def test_batches_are_shared_out_evenly_or_not_at_all(tmp_path: Path) -> None:
    table = config_of(make_shards(tmp_path), "data.short.micro_batch=2", names=["short"]).data[0]
    assert [table.rows(ranks) for ranks in (1, 2, 4)] == [(2, 2), (2, 1), (1, 1)]
    for ranks in (3, 8):
        with pytest.raises(ConfigError, match=f"batch_size 4 cannot be shared out over {ranks} ranks"):
            table.rows(ranks)
    table = config_of(tmp_path, "data.short.micro_batch=3", names=["short"]).data[0]
    with pytest.raises(ConfigError, match=r"over 1 ranks in parts of 3 rows \(micro_batch\)"):
        table.rows(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.short.shards=nowhere"], "a list is wanted"),
        (['data.short.shards=["nowhere-at-all/x*"]'], "flamingo: no shard of split 'train' in 'nowhere-at-all/x*'"),
        (['model.tokenizer=""'], "flamingo: the language model 'llama' has no weights and so no tokenizer of its own"),
        (["model.checkpoint=gone"], "flamingo: gone has no config.json"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    changes: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write_config(make_shards(tmp_path), ["short"])
    sets = [part for change in changes for part in ("--set", change)]
    monkeypatch.setattr(sys, "argv", ["flamingo", "train", str(config), "--output", str(tmp_path / "run"), *sets])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1
