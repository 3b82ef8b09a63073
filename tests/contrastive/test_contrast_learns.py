"""From pictures and words to retrieval; the encoder that comes out sees for a Flamingo."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from contrast_runs import coloured, config_of, make_shards, metrics, run, tensors
from datasets import page, picture

from flamingo_model.config import config_from_plain, load_config
from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.contrastive.held_out import recall_of
from flamingo_model.contrastive.towers import VISION, caption_sample, load_towers, make_towers
from flamingo_model.model import Flamingo
from flamingo_model.samples import PAIRS, Sample
from flamingo_model.training.tokenizer import tokenizer_of
from flamingo_model.vision import VisionEncoder, make_vision
from schemas.rejection import Rejected
from schemas.strict import to_plain

NFNET = (
    "vision.family=timm",
    "vision.name=test_nfnet",
    "vision.options={}",
    "vision.image_size=48",
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def learnt(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ContrastConfig, Path]:
    """A run on 32 pictures; retrieval among them is measured."""
    folder = tmp_path_factory.mktemp("learnt")
    own = (
        f"held_out.shards=['{shards / 'both'}']",
        "held_out.rows=32",
        "held_out.every=100",
        "text.options.hidden_dropout_prob=0.0",
    )
    config = config_of(shards, *own, "run.steps=120", "run.log_every=20", batch_size=32)
    run(config, folder)
    return config, folder


def test_coloured_pictures_find_their_words(learnt: tuple[ContrastConfig, Path]) -> None:
    lines = metrics(learnt[1])
    assert [line["step"] for line in lines if "recall" in line] == [100, 120]
    recall = lines[-1]["recall"]
    assert recall["image_to_text"]["1"] >= 95
    assert recall["text_to_image"]["1"] >= 95
    assert lines[-1]["objective"] < lines[0]["objective"]
    assert "recall" in (learnt[1] / "latest/README.md").read_text()


def flamingo_of(name: str, family: str, image_size: int) -> Flamingo:
    """A tiny Flamingo with the encoder of a folder, frozen."""
    plain = to_plain(load_config("tiny"))
    plain["vision"] |= {"family": family, "name": name, "pretrained": True, "image_size": image_size, "options": {}}
    return Flamingo(config_from_plain(plain, "test"))


def same_features(ours: VisionEncoder, theirs: VisionEncoder) -> None:
    ours.eval()
    pixels = torch.randn(2, 3, ours.image_size, ours.image_size)
    with torch.no_grad():
        assert torch.equal(ours(pixels), theirs(pixels))
    assert (tuple(ours.mean), tuple(ours.std)) == (tuple(theirs.mean), tuple(theirs.std))


def test_a_flamingo_takes_the_encoder_of_transformers(learnt: tuple[ContrastConfig, Path]) -> None:
    config, folder = learnt
    towers = make_towers(config)
    load_towers(towers, folder / "latest")
    model = flamingo_of(str(folder / "latest" / VISION), "huggingface", 32)
    same_features(towers.vision, model.vision)
    assert model.vision.frozen


def test_a_flamingo_takes_the_encoder_of_timm(shards: Path, tmp_path: Path) -> None:
    own = ("vision.mean=[0.4,0.5,0.6]", "vision.std=[0.2,0.3,0.4]")
    config = config_of(shards, *NFNET, *own, "run.steps=2", "mixture.micro_batch=4")
    outcome, _ = run(config, tmp_path)
    towers = make_towers(config)
    untrained = towers.vision.model.state_dict()["stem.conv1.weight"].clone()
    load_towers(towers, outcome.checkpoint)
    assert not torch.equal(untrained, towers.vision.model.state_dict()["stem.conv1.weight"])
    model = flamingo_of(f"local-dir:{outcome.checkpoint / VISION}", "timm", 48)
    same_features(towers.vision, model.vision)


def test_an_encoder_of_fixed_size_keeps_its_size(shards: Path, tmp_path: Path) -> None:
    config = config_of(shards, *NFNET, "vision.name=test_vit", "run.steps=1")
    outcome, _ = run(config, tmp_path)
    towers = make_towers(config)
    load_towers(towers, outcome.checkpoint)
    table = replace(
        config.vision, name=f"local-dir:{outcome.checkpoint / VISION}", pretrained=True, frozen=True, options={}
    )
    same_features(towers.vision, make_vision(table))


def test_a_checkpoint_is_whole(learnt: tuple[ContrastConfig, Path]) -> None:
    folder = learnt[1] / "latest"
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".json", ".safetensors", ".md"}
    assert json.loads((folder / "vision/preprocessor_config.json").read_text())["image_mean"] == [0.5, 0.5, 0.5]
    assert any(name.endswith(".exp_avg_sq") for name in tensors(folder))


def test_captions_are_only_captions(learnt: tuple[ContrastConfig, Path]) -> None:
    tokenizer, rng = tokenizer_of(learnt[1] / "latest/tokenizer"), Random(0)
    pair = coloured("red", "box").document
    sample = caption_sample(pair, PAIRS, tokenizer, 300, rng)
    assert isinstance(sample, Sample)
    assert tokenizer.decode(sample.tokens) == "a red box on grey"
    assert sample.pictures == (("png",),)
    short = caption_sample(pair, replace(PAIRS, length=4), tokenizer, 300, rng)
    assert isinstance(short, Sample)
    assert short.tokens.tolist() == sample.tokens[:4].tolist()
    special = caption_sample(
        replace(pair, slots=(pair.slots[0], replace(pair.slots[1], text="</s>"))), PAIRS, tokenizer, 300, rng
    )
    assert isinstance(special, Sample)
    assert tokenizer.eos_token_id not in special.tokens  # four characters, not the end
    empty = caption_sample(replace(pair, slots=pair.slots[:1]), PAIRS, tokenizer, 300, rng)
    assert isinstance(empty, Rejected) and empty.reason == "empty_caption"
    two = page(0, [picture(8, 8, 0), "text", picture(8, 8, 1)]).document
    rejected = caption_sample(two, PAIRS, tokenizer, 300, rng)
    assert isinstance(rejected, Rejected) and rejected.reason == "not_one_picture"
    with pytest.raises(ValueError, match="take the tokenizer that belongs to it"):
        caption_sample(pair, PAIRS, tokenizer, 10, rng)


def test_recall_counts_equal_captions_as_right() -> None:
    cosines = torch.tensor([[0.2, 0.9, 0.1], [0.8, 0.1, 0.3], [0.5, 0.6, 0.4]]).double().numpy()
    found = recall_of(cosines, [(1,), (1,), (2,)])
    assert found["image_to_text"]["1"] == pytest.approx(100 * 2 / 3)
    assert recall_of(cosines, [(1,), (2,), (3,)])["image_to_text"]["1"] == 0
    assert found["text_to_image"]["5"] == 100
