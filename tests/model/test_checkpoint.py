"""Checkpoints: what is written, that it comes back bit for bit, and what is said when something does not fit."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import batch, open_gates, tiny, tiny_config
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from flamingo_model.checkpoint import CheckpointError, load_weights
from flamingo_model.model import Flamingo
from flamingo_model.vision import make_vision
from schemas.strict import to_plain


def logits(model: Flamingo) -> Tensor:
    tokens, media, phi = batch()
    with torch.no_grad():
        out = model.eval()(tokens, media, phi).logits
    assert out is not None
    return out


def llama(seed: int, **changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**(dict(tiny_config().language.options) | changes)))


def with_folder(folder: Path) -> dict[str, Any]:
    """Fields of a configuration whose language model is a pretrained one."""
    llama(7).save_pretrained(folder)
    return {"name": str(folder), "pretrained": True, "options": {}}


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    change(saved)
    path.write_text(json.dumps(saved))


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"cross_attention": {"placement": "grafting", "graft_layers": 1}},
        {"cross_attention": {"gate": "tanh_vector", "feed_forward": False}, "resampler": {"kind": "transformer"}},
        {"resampler": {"kind": "mlp", "output_dim": 40, "final_norm": True}},
        {"vision": {"frozen": False}, "language": {"frozen": False}},
    ],
    ids=["preset", "grafting", "vanilla", "mlp", "all-learn"],
)
def test_there_and_back(tables: dict[str, Mapping[str, Any]], tmp_path: Path) -> None:
    model = tiny(**tables)
    model.language.eoc_output.data.normal_()
    model.save_pretrained(tmp_path)
    again = Flamingo.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(logits(again), logits(model)) and logits(model).std() > 0
    assert again.trained().keys() == model.trained().keys()


def test_only_what_is_trained_is_kept(tmp_path: Path) -> None:
    config = tiny_config(language=with_folder(tmp_path / "lm"))
    model = Flamingo(config, vision=make_vision(tiny_config().vision))
    model.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["config.json", "model.safetensors"]
    kept = load_file(tmp_path / "saved" / "model.safetensors")
    assert kept.keys() == model.trained().keys()
    parts = {name.partition(".")[0] for name in kept}
    assert parts == {"resampler", "cross_attention", "language"}
    assert {name for name in kept if name.startswith("language")} == {"language.eoc_input", "language.eoc_output"}
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["config"] == to_plain(config)


def test_frozen_parts_with_random_weights_are_kept_apart(tmp_path: Path) -> None:
    """Else nobody could make them again."""
    model = tiny()
    model.save_pretrained(tmp_path)
    kept = load_file(tmp_path / "frozen.safetensors")
    assert {name.partition(".")[0] for name in kept} == {"vision", "language"}
    assert not kept.keys() & load_file(tmp_path / "model.safetensors").keys()


def test_tied_embeddings_that_learn_stay_tied(tmp_path: Path) -> None:
    options = dict(tiny_config().language.options) | {"tie_word_embeddings": True}
    model = tiny(language={"frozen": False, "options": options})
    model.save_pretrained(tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    assert "language.lm.model.embed_tokens.weight" in kept and "language.lm.lm_head.weight" not in kept
    lm = Flamingo.from_pretrained(tmp_path).language.lm
    assert lm.lm_head.weight is lm.model.embed_tokens.weight


def test_a_parameter_that_was_set_free_is_kept(tmp_path: Path) -> None:
    model = Flamingo(tiny_config(language=with_folder(tmp_path / "lm")))
    model.language.lm.model.norm.weight.requires_grad_(True).data.fill_(3.0)
    model.save_pretrained(tmp_path / "saved")
    again = Flamingo.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.language.lm.model.norm.weight, model.language.lm.model.norm.weight)


def test_a_later_checkpoint_replaces_an_earlier(tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    open_gates(model, -0.25)
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(Flamingo.from_pretrained(tmp_path)), logits(model))


def test_a_reader_of_an_earlier_checkpoint_is_not_disturbed(tmp_path: Path) -> None:
    """New files take the places of old ones; none is written over, so a crash leaves one of the two whole."""
    model = tiny()
    model.save_pretrained(tmp_path / "saved")
    names = sorted(path.name for path in (tmp_path / "saved").iterdir())
    for name in names:
        (tmp_path / name).hardlink_to(tmp_path / "saved" / name)
    before = {name: (tmp_path / name).read_bytes() for name in names}
    other = tiny(seed=6, cross_attention={"activation": "gelu"})
    other.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == names
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert all((tmp_path / "saved" / name).read_bytes() != before[name] for name in names)


def test_a_checkpoint_that_fails_leaves_the_earlier_whole(tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.device("meta"):
        empty = Flamingo(model.config)
    with pytest.raises((NotImplementedError, RuntimeError)):
        empty.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_weights_into_a_model_that_exists(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    other = tiny(seed=5, gates=None)
    load_weights(other, tmp_path)
    assert torch.equal(logits(other), logits(tiny()))


# --- parts that were given -------------------------------------------------------------------------------------------


def test_own_parts_must_be_given_again(tmp_path: Path) -> None:
    vision = make_vision(tiny_config().vision)
    model = Flamingo(tiny_config(), vision=vision, lm=llama(1))
    open_gates(model, 0.5)
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "frozen.safetensors").exists()
    with pytest.raises(
        CheckpointError, match=r"own vision encoder \(ViTModel\).*from_pretrained\(folder, vision=\.\.\."
    ):
        Flamingo.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"own language model \(LlamaForCausalLM\).*lm=\.\.\."):
        Flamingo.from_pretrained(tmp_path, vision=vision)
    assert torch.equal(logits(Flamingo.from_pretrained(tmp_path, vision=vision, lm=llama(1))), logits(model))
    half = llama(1).to(torch.bfloat16)
    assert Flamingo.from_pretrained(tmp_path, vision=vision, lm=half).compute_dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match=r"language model \(LlamaForCausalLM\) has other weights than the one"):
        Flamingo.from_pretrained(tmp_path, vision=vision, lm=llama(2))
    other = make_vision(tiny_config(vision={"options": tiny_config().vision.options | {"num_hidden_layers": 3}}).vision)
    with pytest.raises(CheckpointError, match=r"vision encoder \(ViTModel\) has \d+ parameters, was ViTModel with \d+"):
        Flamingo.from_pretrained(tmp_path, vision=other, lm=llama(1))


@pytest.mark.parametrize(
    ("changes", "has"), [({"vocab_size": 310}, "310 and 64"), ({"hidden_size": 32, "head_dim": 16}, "300 and 32")]
)
def test_another_language_model_is_refused(changes: dict[str, Any], has: str, tmp_path: Path) -> None:
    fields = with_folder(tmp_path / "lm")
    Flamingo(tiny_config(language=fields)).save_pretrained(tmp_path / "saved")
    with pytest.raises(CheckpointError) as raised:
        Flamingo.from_pretrained(tmp_path / "saved", lm=llama(7, **changes))
    said = str(raised.value)
    assert "for a language model of 300 ids and width 64" in said and f"(LlamaForCausalLM) has {has}" in said
    assert f"trained beside ({fields['name']})" in said


def test_a_pretrained_part_that_has_changed_is_refused(tmp_path: Path) -> None:
    Flamingo(tiny_config(language=with_folder(tmp_path / "lm"))).save_pretrained(tmp_path / "saved")
    llama(8).save_pretrained(tmp_path / "lm")
    with pytest.raises(CheckpointError, match="has other weights than the one beside which the checkpoint was trained"):
        Flamingo.from_pretrained(tmp_path / "saved")


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    metadata = {"flamingo": json.dumps(to_plain(model.config))}

    def refused(tensors: dict[str, Tensor]) -> str:
        save_file(tensors, path, metadata)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(CheckpointError) as raised:
            load_weights(model, tmp_path)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        return str(raised.value)

    lacking = {name: tensor for name, tensor in whole.items() if "attention.0.to_" not in name}
    assert "lacks resampler.body.attention.0.to_k.weight [48, 48] (and 3 more)" in refused(lacking)
    assert "has more.x [2], which the model has not" in refused(whole | {"more.x": torch.zeros(2)})
    wrong = refused(whole | {"resampler.body.latents": torch.zeros(3, 48)})
    assert "has resampler.body.latents of shape [3, 48], must be [4, 48]" in wrong


def test_another_configuration_is_listed_field_by_field(tmp_path: Path) -> None:
    tiny(resampler={"latents": 6}, cross_attention={"activation": "gelu"}).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError) as raised:
        load_weights(tiny(), tmp_path)
    said = str(raised.value)
    assert "resampler.latents is 6 in the checkpoint, 4 in the model" in said
    assert "cross_attention.activation is 'gelu' in the checkpoint, 'squared_relu' in the model" in said


def test_config_json_that_was_changed_is_found(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    edit(tmp_path, lambda saved: saved["config"]["cross_attention"].update(attend="all_previous"))
    with pytest.raises(CheckpointError, match="attend is 'single' in the checkpoint, 'all_previous' in the model"):
        Flamingo.from_pretrained(tmp_path)


def test_a_folder_of_the_language_model_may_move(tmp_path: Path) -> None:
    model = Flamingo(tiny_config(language=with_folder(tmp_path / "lm")))
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "lm").rename(tmp_path / "moved")
    edit(tmp_path / "saved", lambda saved: saved["config"]["language"].update(name=str(tmp_path / "moved")))
    again = Flamingo.from_pretrained(tmp_path / "saved", vision=model.vision)
    assert torch.equal(logits(again), logits(model))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda saved: saved.update(format=2), "has format 2, this version reads 1"),
        (lambda saved: saved.pop("parts"), "is not of a Flamingo of ours"),
        (lambda saved: saved["config"]["resampler"].pop("dim"), "missing dim"),
    ],
)
def test_config_json_that_is_not_ours(change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(ValueError, match=said):
        Flamingo.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["model.bin", "checkpoint.pt", "model.pth", "last.ckpt"])
def test_pickles_are_refused(name: str, tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / name)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(CheckpointError, match=f"{name} is a pickle, which can run any program when it is read"):
            Flamingo.from_pretrained(place)


def test_files_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"has no config\.json: not a folder that Flamingo\.save_pretrained wrote"
    ):
        Flamingo.from_pretrained(tmp_path)
    tiny().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole safetensors file"):
        Flamingo.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        Flamingo.from_pretrained(tmp_path)
    tiny().save_pretrained(tmp_path)
    (tmp_path / "frozen.safetensors").unlink()
    with pytest.raises(CheckpointError, match="the frozen parts have random weights"):
        Flamingo.from_pretrained(tmp_path)


def test_a_bare_safetensors_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    save_file(load_file(tmp_path / "model.safetensors"), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="does not say its configuration"):
        Flamingo.from_pretrained(tmp_path)
