"""Pretrained parts in bfloat16, then fine-tuning with the encoder trained; what is written beside the checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from training_runs import config_of, make_shards, metrics, run, tensors
from transformers import LlamaConfig, LlamaForCausalLM, ViTConfig, ViTModel

from flamingo_model.checkpoint import CheckpointError
from flamingo_model.config import load_config
from flamingo_model.model import Flamingo
from flamingo_model.shards import find_shards
from flamingo_model.training.config import DataTable, load_train_config
from flamingo_model.training.logs import Window, as_line, scalars
from flamingo_model.training.setup import seed_of
from flamingo_model.training.tokenizer import learn_tokenizer


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def parts(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with its tokenizer and an encoder, as folders with weights."""
    folder = tmp_path_factory.mktemp("parts")
    tiny = load_config("tiny")
    torch.manual_seed(1)
    ViTModel(ViTConfig(**tiny.vision.options)).save_pretrained(folder / "vit")
    LlamaForCausalLM(LlamaConfig(**tiny.language.options)).save_pretrained(folder / "llama")
    table = config_of(shards, names=["pages"]).data
    learn_tokenizer(table, 300).save_pretrained(folder / "llama")
    (folder / "llama/README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


def of_parts(parts: Path, *changes: str) -> list[str]:
    vision, language = (
        f'{{ name = "{parts / name}", pretrained = true, options = {{}}, dtype = "bfloat16" }}'
        for name in ("vit", "llama")
    )
    return [f"model.changes.vision={vision}", f"model.changes.language={language}", 'model.tokenizer=""', *changes]


def test_pretrained_parts_then_fine_tuning(shards: Path, parts: Path, tmp_path: Path) -> None:
    first, said = run(config_of(shards, *of_parts(parts), "run.steps=3"), tmp_path / "first")
    assert said[0].startswith("model tiny: 153,028 of 364,420 parameters learn")
    assert {path.name for path in first.checkpoint.glob("*.safetensors")} == {
        "model.safetensors",
        "optimiser.safetensors",
        "random.safetensors",
    }
    card = (first.checkpoint / "README.md").read_text()
    assert f"| language model | `{parts / 'llama'}` | frozen | apache-2.0 |" in card
    assert "not said where its weights are" in card  # of the encoder
    tuning = of_parts(
        parts,
        f"model.checkpoint={first.checkpoint}",
        "model.changes.vision.frozen=false",
        "model.changes.vision.image_size=48",
        "optimiser.schedule=exponential",
        "optimiser.warmup=0",
        "optimiser.lr=1e-5",
        "precision.autocast=bfloat16",
        "run.steps=2",
        "run.save_every=1",
    )
    second, _ = run(config_of(shards, *tuning, names=["short"]), tmp_path / "second")
    before, after = tensors(first.checkpoint), tensors(second.checkpoint)
    trained = [name for name in after if name.startswith("vision.") and name.endswith(".weight")]
    assert trained
    assert after[trained[0]].dtype == torch.float32
    for name in before.keys() & after.keys():
        if not name.endswith(("exp_avg", "exp_avg_sq", "step")):
            assert (before[name] - after[name]).abs().max() < 1e-4, name  # begun from there, and moved a little
    assert Flamingo.from_pretrained(second.checkpoint).vision.image_size == 48


def test_fine_tuning_with_another_encoder_is_refused(shards: Path, parts: Path, tmp_path: Path) -> None:
    first, _ = run(config_of(shards, *of_parts(parts), "run.steps=1", names=["short"]), tmp_path / "first")
    torch.manual_seed(2)
    ViTModel(ViTConfig(**load_config("tiny").vision.options)).save_pretrained(tmp_path / "other")
    tuning = of_parts(parts, f"model.checkpoint={first.checkpoint}")
    tuning += [f"model.changes.vision.name={tmp_path / 'other'}", "model.changes.vision.frozen=false"]
    with pytest.raises(CheckpointError, match=r"vision encoder .* has other weights than the one beside which"):
        run(config_of(shards, *tuning, names=["short"]), tmp_path / "second")


def test_packed_rows_train(shards: Path, tmp_path: Path) -> None:
    run(config_of(shards, "data.short.pack=true", "run.steps=2", names=["short"]), tmp_path)
    assert metrics(tmp_path)[-1]["examples"]["short"] > 8  # more than one to a row


def test_tensorboard(shards: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(config_of(shards, "run.tensorboard=true", "run.steps=2", names=["short"]), tmp_path)
    assert list((tmp_path / "tensorboard").glob("events.*"))
    names = [name for name, _ in scalars(metrics(tmp_path)[-1])]
    assert {"objective", "losses/short", "gates/attention/0", "gates/feed_forward/1", "lr", "norm"} <= set(names)


def test_a_line_for_a_person() -> None:
    window = Window()
    line = as_line(
        {
            "step": 7,
            "objective": None,
            "losses": window.losses(),
            "lr": 1e-4,
            "norm": None,
            "gates": {"attention": [], "feed_forward": []},
            "tokens_per_s": 1234.5,
            "images_per_s": 6.0,
            "waited": 0.25,
            "memory": None,
            "nonfinite": 7,
        },
        100,
        3725.0,
    )
    assert line == (
        "step   7/100   7%  no step was finite  lr 1.00e-04  |g| not finite  1,234 tokens/s  6.0 images/s  "
        "waited 25%  left out 7  left 1:02:05"
    )


def test_a_tokenizer_that_is_learnt(shards: Path) -> None:
    table = load_train_config("demo").data[0]
    own = DataTable(**(vars(table) | {"shards": find_shards(str(shards / "pages"))}))
    tokenizer = learn_tokenizer([own], 300)
    assert 258 < len(tokenizer) <= 300
    text = "Page 3: \u00fcber\n <image>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert learn_tokenizer([own], 300).get_vocab() == tokenizer.get_vocab()


def test_each_data_set_has_an_order_of_its_own() -> None:
    assert len({seed_of(seed, name) for seed in range(10) for name in ("a", "b")}) == 20
    assert seed_of(0, "pages") == seed_of(0, "pages")


def test_lines_of_a_broken_file_are_taken_out(shards: Path, tmp_path: Path) -> None:
    config = config_of(shards, "run.steps=3", "run.save_every=1", names=["short"])
    run(config, tmp_path)
    before = metrics(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + json.dumps({"step": 4}) + "\n" + '{"step": 5, "los')
    run(config_of(shards, "run.steps=4", names=["short"]), tmp_path, resume=True)
    assert metrics(tmp_path)[:3] == before
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3, 4]
