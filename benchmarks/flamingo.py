"""A training step and a decoded token of our Flamingo beside open_flamingo's, IDEFICS and the language model alone."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import ROOT, Result, Table, say

PEER = "open_flamingo==2.0.1"
# open_flamingo itself is installed without its own pins (torch 2.0.1), which no current Python has.
PACKAGES = ("torch", "transformers", "timm", "safetensors", "einops", "einops-exts", "open_clip_torch")
RAGGED, EQUAL = (1, 5, 2, 4), (3, 3, 3, 3)
DECODING_IMAGES = 32


def measure(scratch: Path, quick: bool) -> Result:
    """Makes an environment with all of them, and runs each in turn in one process."""
    python = _install(scratch / "peers")
    rounds, tokens = ("1", "3") if quick else ("3", "40")
    say("flamingo: training steps, rows of 1 to 5 images")
    ragged = _run(python, "times", rounds, RAGGED)
    say("flamingo: training steps, rows of 3 images")
    equal = _run(python, "times in float32", rounds, EQUAL)
    say("flamingo: memory")
    peaks = {name: _run(python, "peak", name, RAGGED) for name in ragged if not quick or "," not in name}
    say("flamingo: decoding")
    decoded = _run(python, "decode", tokens, (DECODING_IMAGES,))
    return Result(
        "flamingo",
        "Four rows of 256 tokens through a frozen language model of SmolLM2-135M's shape with a frozen vision encoder "
        "of CLIP ViT-B/32's (224 pixels), random weights, 10 inserted layers and a resampler of 6: forward and "
        f"backward; and one more token of one row after {DECODING_IMAGES} images and 512 tokens. All in one process, "
        "in turn, on the CPU.",
        [
            _steps("Training step, rows of 1, 5, 2 and 4 images", ragged, peaks),
            _steps("Training step, 3 images in each row", equal, {}),
            _tokens(decoded),
        ],
        [
            "`added` is what a model takes more than its language model alone (forward, and the gradient to its input) "
            "in the same type; `of open_flamingo's` compares that in float32, and the whole step.",
            "`sizes of open_flamingo`: heads of 8 x 64, GELU, no norm on keys and values, as its layers have them; "
            "`the paper's`: heads over the full width, squared ReLU, norms and time embeddings. Same number of layers.",
            "`all images`: our masked reference attention instead of the segments. `bfloat16`: frozen parts and "
            "arithmetic; trained weights are float32 (ours), or bfloat16 too (open_flamingo).",
            "open_flamingo pads every row to the most images of any, IDEFICS too; here a row has at most 5. "
            "open_flamingo's vocabulary is frozen, which saves it the gradient of the head; its own factory trains it.",
            "Decoding: a layer every 4 blocks, every 5 in IDEFICS, which fails at 30 blocks and every 4. Neither of "
            "the others keeps the images' keys and values.",
            "Medians of all rounds. Memory is the peak of a process of its own that does two steps.",
            f"Installed beside {PEER} (without its pins): {', '.join(_versions(python))}.",
        ],
    )


def _install(folder: Path) -> Path:
    say(f"flamingo: installing {PEER} and torch, some GB")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True)
    subprocess.run([*pip, "--no-deps", PEER], check=True)
    return python


def _run(python: Path, what: str, argument: str, counts: Sequence[int]) -> Any:
    ran = subprocess.run(
        [python, "-m", "benchmarks.flamingo_step", what, argument, ",".join(map(str, counts))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(f"flamingo_step {what} {argument} failed: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def _steps(title: str, times: Mapping[str, Sequence[float]], peaks: Mapping[str, int]) -> Table:
    whole = {name: median(seconds) for name, seconds in times.items()}
    rows = []
    for name, seconds in whole.items():
        alone = whole["language model, bfloat16" if "bfloat16" in name else "language model"]
        theirs = whole["open_flamingo"] - whole["language model"]
        of_theirs = "" if "bfloat16" in name or seconds == alone else f"{(seconds - alone) / theirs:.2f}"
        row = [name, f"{seconds:.2f}", f"{seconds - alone:.2f}", of_theirs, f"{whole['open_flamingo'] / seconds:.2f}"]
        rows.append([*row, f"{peaks[name] / 1e6:.0f}"] if peaks and name in peaks else [*row, ""] if peaks else row)
    head = ["", "step, s", "added, s", "of open_flamingo's", "open_flamingo's step / this"]
    return Table([*head, "peak memory, MB"] if peaks else head, rows, title)


def _tokens(times: Mapping[str, Sequence[float]]) -> Table:
    whole = {name: median(seconds) for name, seconds in times.items()}
    rows = [[name, f"{seconds * 1000:.1f}", f"{seconds / whole[_alone(name)]:.2f}"] for name, seconds in whole.items()]
    return Table(["", "ms a token", "times the language model alone"], rows, "Decoding after 32 images")


def _alone(name: str) -> str:
    return "language model, bfloat16" if "bfloat16" in name else "language model"


def _versions(python: Path) -> list[str]:
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
    versions = {package["name"]: package["version"] for package in json.loads(listed.stdout)}
    return [f"{name} {versions[name]}" for name in ("torch", "transformers", "timm", "einops") if name in versions]
