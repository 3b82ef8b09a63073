"""Parts of text and pictures to tokens, phi and packed pictures, and ids back to text."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_models import tiny
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from flamingo_model.generate import generate
from flamingo_model.model import Flamingo
from flamingo_model.prompt import decode, prompt, prompts


def make_tokenizer(**special: str) -> Any:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, special_tokens=list(special.values()))
    inner.train_from_iterator(["<image> Output: A cat on a mat.", "<image> Output: A dog and a log."] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)


TOKENIZER = make_tokenizer(bos_token="<s>", eos_token="</s>")
BOS = TOKENIZER.bos_token_id
RED, GREEN, BLUE = (Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue"))


@pytest.fixture(scope="module")
def model() -> Flamingo:
    return tiny()


def ids(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_marks_and_phi(model: Flamingo) -> None:
    made = prompt([RED, " Output: A cat.", GREEN, " Output:", " A dog", BLUE], TOKENIZER, model)
    first, second, third = ids("<image> Output: A cat."), ids("<image> Output: A dog"), ids("<image>")
    eoc = [model.eoc_id]
    assert made.tokens.tolist() == [[BOS, *first, *eoc, *second, *eoc, *third]]
    runs = [0] + [1] * (len(first) + 1) + [2] * (len(second) + 1) + [3] * len(third)
    assert made.phi.tolist() == [runs]
    assert made.attention_mask.tolist() == [[1] * len(runs)]
    assert made.media is not None and made.media.frames == (1, 1, 1) and made.media.per_row == (3,)
    mean, std = (torch.tensor(values) for values in (model.vision.mean, model.vision.std))
    for place, colour in enumerate(([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])):
        assert torch.allclose(made.media.pixels[place, :, 16, 16], (torch.tensor(colour) - mean) / std, atol=1e-5)


def test_text_before_the_first_image_is_a_chunk_of_its_own(model: Flamingo) -> None:
    made = prompt(["A mat.", "", RED], TOKENIZER, model)
    before, mark = ids("A mat."), ids("<image>")
    assert made.tokens.tolist() == [[BOS, *before, model.eoc_id, *mark]]
    assert made.phi.tolist() == [[0] * (len(before) + 2) + [1] * len(mark)]
    assert prompt(["", RED], TOKENIZER, model).tokens.tolist() == [[BOS, *mark]]


def test_marks_in_a_text_are_only_text(model: Flamingo) -> None:
    made = prompt(["<image><EOC>"], TOKENIZER, model)
    assert made.tokens.tolist() == [[BOS, *ids("<image><EOC>")]] and model.eoc_id not in made.tokens
    assert made.phi.tolist() == [[0] * made.tokens.shape[1]] and made.media is None


def test_rows_are_padded_on_the_left_and_generate_as_if_alone(model: Flamingo) -> None:
    rows: list[list[Any]] = [[RED, " Output:"], [RED, " Output: A cat.", GREEN, " Output:"], ["A mat"]]
    both = prompts(rows, TOKENIZER, model)
    assert both.media is not None and both.media.per_row == (1, 2, 0)
    together = generate(model, both.tokens, both.media, both.phi, attention_mask=both.attention_mask, max_new_tokens=4)
    for row, parts in enumerate(rows):
        alone = prompt(parts, TOKENIZER, model)
        length = alone.tokens.shape[1]
        for name in ("tokens", "phi", "attention_mask"):
            assert torch.equal(getattr(both, name)[row, -length:], getattr(alone, name)[0])
            assert not getattr(both, name)[row, :-length].any()
        assert generate(model, alone.tokens, alone.media, alone.phi, max_new_tokens=4) == [together[row]]


def test_files_tensors_and_videos(model: Flamingo, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    RED.save(file)
    pixels = torch.randn(3, 32, 32)
    made = prompt([file, pixels, [RED, GREEN, BLUE], torch.stack([pixels, pixels])], TOKENIZER, model).media
    assert made is not None and made.frames == (1, 1, 3, 2) and made.per_row == (4,)
    plain = prompt([RED, GREEN, BLUE], TOKENIZER, model).media
    assert plain is not None
    assert torch.equal(made.pixels[0], plain.pixels[0]) and torch.equal(made.pixels[1], pixels)
    assert torch.equal(made.pixels[2:5], plain.pixels) and torch.equal(made.pixels[6], pixels)


def test_a_tokenizer_without_bos(model: Flamingo) -> None:
    tokenizer = make_tokenizer(eos_token="</s>")
    made = prompt([RED, " Output:"], tokenizer, model)
    assert made.phi.tolist() == [[1] * made.tokens.shape[1]]
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        prompts([["A cat"], [""]], tokenizer, model)


def test_ids_back_to_text(model: Flamingo) -> None:
    eoc = model.eoc_id
    found = [BOS, *ids("<image> A cat."), eoc, *ids("<image> Ein Käse"), TOKENIZER.eos_token_id]
    assert decode(found, TOKENIZER, eoc) == "<image> A cat.<image> Ein Käse"
    assert decode(found, TOKENIZER, eoc, skip_special_tokens=False) == "<s><image> A cat.<EOC><image> Ein Käse</s>"
    assert decode([*ids(" A cat."), eoc], TOKENIZER, eoc) == " A cat."
    assert decode([], TOKENIZER, eoc) == ""


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there is no prompt"),
        ([["A cat", 3]], "a part is int, must be text"),
        ([[torch.zeros(4, 32, 32)]], r"torch.float32 \[4, 32, 32\], must be floats"),
        ([[torch.zeros(3, 32, 32, dtype=torch.uint8)]], "torch.uint8"),
        ([[torch.zeros(3, 32, 32), torch.zeros(3, 16, 16)]], r"sizes \[\(16, 16\), \(32, 32\)\]"),
        ([[[]]], "a part is list"),
    ],
)
def test_prompts_that_cannot_be(model: Flamingo, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prompts(rows, TOKENIZER, model)


def test_a_tokenizer_of_another_model() -> None:
    small = tiny(language={"options": {"vocab_size": 60, "hidden_size": 64, "num_hidden_layers": 2}})
    with pytest.raises(ValueError, match="the language model's are below 60; take the tokenizer that belongs to it"):
        prompt(["Käse"], TOKENIZER, small)
