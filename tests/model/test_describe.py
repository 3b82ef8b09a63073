"""`describe` and the `flamingo` command: figures that a real model has, and mistakes told in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import tiny, tiny_config

from flamingo_model.cli import main
from flamingo_model.config import load_config, presets, with_changes
from flamingo_model.describe import Description, as_text, describe


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    monkeypatch.setattr(sys, "argv", ["flamingo", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def about() -> Description:
    return describe(tiny_config())


def test_the_figures_are_those_of_a_real_model(about: Description) -> None:
    model = tiny()
    size = {
        "language model": sum(p.numel() for p in model.language.lm.parameters()),
        "vision": sum(p.numel() for p in model.vision.parameters()),
        "resampler": sum(p.numel() for p in model.resampler.parameters()),
        "cross-attention": sum(p.numel() for p in model.cross_attention.parameters()),
        "<EOC> rows": 2 * 64,
    }
    assert {part.name: part.trained + part.frozen for part in about.parts} == size
    assert about.total.trained == sum(p.numel() for p in model.trained().values())
    assert about.total.trained + about.total.frozen == sum(p.numel() for p in model.parameters())
    assert [part.name for part in about.parts if part.frozen] == ["language model", "vision"]
    assert about.weights_bytes == sum(p.numel() * p.element_size() for p in model.parameters())
    assert about.gradients_bytes == sum(p.numel() * p.element_size() for p in model.trained().values())


def test_memory_is_what_training_takes(about: Description) -> None:
    """Weights, gradients and AdamW's state as PyTorch has them after a step."""
    model = tiny()
    trained = list(model.trained().values())
    optimizer = torch.optim.AdamW(trained)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    assert about.optimizer_bytes == sum(moment.numel() * moment.element_size() for moment in moments)
    assert about.gradients_bytes == sum(p.grad.numel() * p.grad.element_size() for p in trained if p.grad is not None)


def test_shapes(about: Description) -> None:
    assert (about.blocks, about.width, about.vocabulary, about.insertion_points) == (4, 64, 300, (0, 2))
    assert (about.image_size, about.positions, about.features) == (32, 16, 32)
    assert (about.visual_tokens, about.visual_width, about.graft_layers) == (4, 48, 0)


def test_parts_that_only_some_models_have() -> None:
    projected = describe(tiny_config(resampler={"output_dim": 64}))
    assert {part.name: part.trained for part in projected.parts}["projection"] == 48 * 64
    assert projected.visual_width == 64
    none = describe(tiny_config(resampler={"kind": "none", "time_embeddings": 0}))
    assert (none.visual_tokens, none.visual_width) == (16, 32)
    grafted = describe(tiny_config(cross_attention={"placement": "grafting", "graft_layers": 2}))
    assert (grafted.insertion_points, grafted.graft_layers) == ((), 2)
    assert "2 on top of 4 blocks" in as_text("grafted", grafted)
    unfrozen = describe(tiny_config(language={"frozen": False}))
    assert [part.name for part in unfrozen.parts if part.frozen] == ["vision"]


def test_weights_of_a_folder_are_not_loaded(tmp_path: Path) -> None:
    """Only the shapes are read: there are no weights to load here."""
    model = tiny()
    model.language.lm.config.save_pretrained(tmp_path / "lm")
    model.vision.model.config.save_pretrained(tmp_path / "vit")
    config = with_changes(
        load_config("tiny"),
        language={"name": str(tmp_path / "lm"), "pretrained": True, "options": {}},
        vision={"name": str(tmp_path / "vit"), "pretrained": True, "options": {}},
    )
    assert describe(config) == describe(tiny_config())


def test_describe_as_text_and_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text, errors = run(capsys, monkeypatch, "describe", "tiny")
    assert (code, errors) == (0, "")
    for fact in ("tiny: ", "cross-attention", "before blocks 0, 2 of 4", "4 of width 48"):
        assert fact in text
    code, text, errors = run(capsys, monkeypatch, "describe", "tiny", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(text)
    assert found["insertion_points"] == [0, 2]
    assert found["total"]["trained"] == sum(part["trained"] for part in found["parts"])


def test_80b_needs_no_memory(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text, errors = run(capsys, monkeypatch, "describe", "flamingo-80b-counted")
    assert (code, errors) == (0, "")
    assert "80.36B parameters, 9.87B of them trained" in text
    assert "12, before blocks 0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77 of 80" in text


def test_presets_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text, errors = run(capsys, monkeypatch, "presets")
    assert (code, errors) == (0, "")
    assert [line.split()[0] for line in text.splitlines()] == list(presets())
    code, text, _ = run(capsys, monkeypatch, "presets", "--json")
    assert list(json.loads(text)) == list(presets())


def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = {
        "flamingo-3bb": "did you mean 'flamingo-3b'",
        'extends = "tiny"\n[resampler]\nlayres = 2\n': "Did you mean 'layers'?",
        'extends = "tiny"\n[resampler]\ninput_projection = "never"\n': "resampler.dim is 48",
        'extends = "tiny"\n[vision]\nfamily = "timm"\nname = "dm_nfnet_f9"\n': "it has dm_nfnet_f6",
        'extends = "tiny"\n[language]\noptions = { hiden_size = 3 }\n': "did you mean 'hidden_size'?",
        'extends = "tiny"\n[language]\nname = "t5"\noptions = {}\n': "transformers cannot make 't5'",
    }
    for text, message in wrong.items():
        name = text
        if "\n" in text:
            (tmp_path / "mine.toml").write_text(text)
            name = str(tmp_path / "mine.toml")
        code, out, errors = run(capsys, monkeypatch, "describe", name)
        assert (code, out) == (2, ""), errors
        assert errors.startswith("flamingo: ")
        assert errors.count("\n") == 1
        assert message in errors


def test_as_a_program(tmp_path: Path) -> None:
    """A process of its own: nothing but what was asked for is printed, and mistakes cost no import of torch."""
    command = [sys.executable, "-m", "flamingo_model.cli"]
    done = subprocess.run([*command, "describe", "tiny"], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny: ")
    code = "import sys, flamingo_model.cli as c; sys.argv = ['flamingo', 'describe', 'tinny']\ntry: c.main()\n"
    code += "except SystemExit as e: print(e.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "2 False\n"
    assert (
        done.stderr
        == "flamingo: no preset or file 'tinny'; did you mean 'tiny'?; `flamingo presets` lists what is shipped\n"
    )
