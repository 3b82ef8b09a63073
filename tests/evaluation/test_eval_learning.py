"""A small model learns, and evaluation sees it: with its own picture it says the word, with another's it does not."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from eval_files import make_tokenizer, save_picture, write_lines
from PIL import Image
from torch import Tensor

from flamingo_model.config import load_config, with_changes
from flamingo_model.cross_attention import Gate
from flamingo_model.evaluation.opened import open_model
from flamingo_model.evaluation.records import Options
from flamingo_model.evaluation.run import evaluate
from flamingo_model.evaluation.task import load_task
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.preprocess import Preprocess
from flamingo_model.prompt import prompts

WORDS = 8
TOKEN, MARK, EOC = 5, 6, 300


def new_model() -> Flamingo:
    torch.manual_seed(0)
    model = Flamingo(with_changes(load_config("tiny"), cross_attention={"every": 1}))
    model.language.lm.get_output_embeddings().weight.data.mul_(8)  # random ones hardly tell words apart
    return model


def steps(model: Flamingo, count: int, lr: float) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(model.trained().values(), lr=lr, weight_decay=0.0)
    return optimiser, torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, count)


def learn(model: Flamingo, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.trained().values(), 1.0)
    optimiser.step()


def documents(rng: Random, count: int, mode: str) -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
    """Rows of three pictures, and a word for each that only the picture tells: after it, or ("next") before it."""
    tokens, phi, labels, shown = [], [], [], []
    for _ in range(count):
        own = [rng.randrange(WORDS) for _ in range(3)]
        words = [100 + 7 * number for number in own]
        if mode == "previous":
            chunks = [(MARK, word, EOC) for word in words]
        else:
            chunks = [(TOKEN, word, MARK) for word in words]
        tokens.append([token for chunk in chunks for token in chunk])
        phi.append([place for place in (1, 2, 3) for _ in range(3)])
        labels.append([token if place % 3 == 1 else -100 for place, token in enumerate(tokens[-1])])
        shown.append(own)
    return torch.tensor(tokens), torch.tensor(phi), torch.tensor(labels), shown


def media(pictures: Tensor, shown: list[list[int]]) -> Media:
    return Media.images(pictures[[number for own in shown for number in own]], tuple(map(len, shown)))


@torch.no_grad()
def judged(model: Flamingo, pictures: Tensor, mode: str, shuffled: bool = False) -> tuple[float, float]:
    """Share of words that are the likeliest of all words, and the mean loss, on documents of another draw."""
    tokens, phi, labels, shown = documents(Random(f"test {mode}"), 64, mode)
    if shuffled:
        flat = [number for own in shown for number in own]
        Random(1).shuffle(flat)
        shown = [flat[start : start + 3] for start in range(0, len(flat), 3)]
    out = model(tokens, media(pictures, shown), phi)
    assert out.logits is not None
    asked = labels[:, 1:] != -100
    logits = out.logits[:, :-1][asked]
    right = labels[:, 1:][asked]
    return float((logits.argmax(-1) == right).float().mean()), float(torch.nn.functional.cross_entropy(logits, right))


def test_only_the_attended_picture_tells_the_word() -> None:
    model = new_model().train()
    pictures = torch.randn(WORDS, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    rng = Random(0)
    optimiser, schedule = steps(model, 110, 3e-3)
    for step in range(110):
        tokens, phi, labels, shown = documents(rng, 16, ("previous", "next")[step % 2])
        loss = model(tokens, media(pictures, shown), phi, labels=labels).loss
        assert loss is not None
        learn(model, optimiser, loss)
        schedule.step()
    model.eval()
    for mode in ("previous", "next"):
        right, loss_right = judged(model, pictures, mode)
        chance, loss_shuffled = judged(model, pictures, mode, shuffled=True)
        assert right > 0.97, (mode, right)
        assert chance < 0.3, (mode, chance)  # 1 / 8, of 192 words
        assert loss_right < 0.5 < loss_shuffled - 1
    gates = [float(module.alpha.detach().tanh().abs()) for module in model.modules() if isinstance(module, Gate)]
    assert len(gates) == 8 and max(gates) > 0.02 and sum(gates) / 8 > 0.01


NAMES = ("dog", "cat", "mat", "log")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that learnt the names of four real pictures from documents of one to three of them; and the pictures."""
    folder = tmp_path_factory.mktemp("learnt")
    paths = [save_picture(folder / f"{number}.png", number) for number in range(4)]
    model, tokenizer, rng = new_model(), make_tokenizer(), Random(0)
    vision = model.vision
    ready = Preprocess(vision.image_size, vision.mean, vision.std, augment=None)
    pixels = [ready(Image.open(path)) for path in paths]
    optimiser, schedule = steps(model, 70, 3e-3)
    model.train()
    for _ in range(70):
        rows = []
        for _ in range(8):
            own = [rng.randrange(4) for _ in range(rng.randint(1, 3))]
            rows.append([part for number in own for part in (pixels[number], f" Output: {NAMES[number]}")])
        made = prompts(rows, tokenizer, model)
        end = torch.full((len(rows), 1), model.eoc_id)
        tokens = torch.cat([made.tokens, end], 1)
        phi = torch.cat([made.phi, made.phi[:, -1:]], 1)
        mask = torch.cat([made.attention_mask, torch.ones_like(end)], 1)
        loss = model(tokens, made.media, phi, attention_mask=mask, labels=tokens.masked_fill(phi == 0, -100)).loss
        assert loss is not None
        learn(model, optimiser, loss)
        schedule.step()
    model.eval().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model" / "tokenizer")
    return folder


@pytest.mark.parametrize("mode", ["generate", "rank"])
def test_evaluation_sees_what_was_learnt(learnt: Path, mode: str, tmp_path: Path) -> None:
    opened = open_model(learnt / "model", device="cpu")
    rows = [{"image": f"{n}.png", "answer": NAMES[n], "candidates": list(NAMES)} for n in range(4)]
    write_lines(learnt / "right.jsonl", rows)
    write_lines(learnt / "wrong.jsonl", [{**row, "image": f"{(n + 1) % 4}.png"} for n, row in enumerate(rows)])
    metric = {"generate": "accuracy", "rank": "top1"}[mode]
    (learnt / f"{mode}.toml").write_text(
        f'name = "names"\nlayout = "table"\nprompt = "caption"\nmode = "{mode}"\nmetric = "{metric}"\n'
        'text_shots = 0\nmax_new_tokens = 5\n[query]\ntable = "right.jsonl"\n[support]\ntable = "right.jsonl"\n'
    )
    task, root = load_task(learnt / f"{mode}.toml")
    for shots in (0, 2):
        result = evaluate(opened, task, root, shots, Options(), tmp_path)
        assert (result.value, result.n) == (100.0, 4), (tmp_path / result.answers).read_text()
    wrong = evaluate(opened, replace(task, query={"table": "wrong.jsonl"}), root, 0, Options(), tmp_path)
    assert wrong.value == 0.0
    if mode == "generate":
        lines = [json.loads(line) for line in (tmp_path / wrong.answers).read_text().splitlines()[1:]]
        assert [line["answer"] for line in lines] == [NAMES[(n + 1) % 4] for n in range(4)]
