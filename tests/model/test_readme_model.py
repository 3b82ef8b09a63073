"""The README's ten lines run, with small models in local folders for the names of the hub."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

README = Path(__file__).parents[2] / "README.md"


def save_language_model(folder: Path) -> None:
    """A llama of two blocks with a tokenizer learnt from the README."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([README.read_text(encoding="utf-8")], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model("llama", vocab_size=400, num_key_value_heads=2, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def save_encoder(folder: Path) -> None:
    """A ViT of two blocks for pictures of 224 pixels."""
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    AutoModel.from_config(AutoConfig.for_model("vit", image_size=224, patch_size=32, **shape)).save_pretrained(folder)


def test_the_ten_lines_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = re.search(
        r"<!-- run by tests/model/test_readme_model.py -->\s*```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL
    )
    assert marked
    code = marked[1]
    for name, save in (
        ("google/vit-base-patch16-224", save_encoder),
        ("HuggingFaceTB/SmolLM2-135M", save_language_model),
    ):
        assert code.count(name) == 1
        save(tmp_path / name)
        code = code.replace(name, str(tmp_path / name))
    for name in ("cat.jpg", "dog.jpg"):
        Image.effect_noise((90, 60), 50).convert("RGB").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), made)
    assert "cross-attention" in capsys.readouterr().out
    assert made["two"].media.per_row == (2,)
    assert 1 <= len(made["ids"][0]) <= 20
    assert {"config.json", "model.safetensors"} <= {path.name for path in Path("my-flamingo").iterdir()}
