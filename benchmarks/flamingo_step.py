"""Times or weighs the models of `flamingo_models.py`; prints one line of JSON. Runs in the benchmark's own environment.

python -m benchmarks.flamingo_step times ROUNDS COUNTS    seconds of a training step of each model, in turn
python -m benchmarks.flamingo_step peak MODEL COUNTS      peak memory of a process that does two steps, bytes
python -m benchmarks.flamingo_step decode ROUNDS IMAGES   seconds of a decoded token of each model, in turn
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping

import torch

from benchmarks import flamingo_models as models

EVERY = 3
"""Blocks of the language model for each inserted layer in training: 10 of 30 in all three (IDEFICS cannot do 4)."""
EVERY_DECODING = 4
EVERY_DECODING_IDEFICS = 5
HALF = torch.bfloat16
TRAINED: Mapping[str, Callable[[models.Batch], models.Step]] = {
    "language model": lambda b: models.language_model_step(models.language_model(), b),
    "language model, bfloat16": lambda b: models.language_model_step(models.language_model(HALF), b),
    "open_flamingo": lambda b: models.open_flamingo_step(models.open_flamingo(EVERY), b),
    "open_flamingo, bfloat16": lambda b: models.open_flamingo_step(models.open_flamingo(EVERY, HALF), b),
    "IDEFICS": lambda b: models.idefics_step(models.idefics(EVERY), b),
    "ours, sizes of open_flamingo": lambda b: models.our_step(models.our_model(EVERY), b),
    "ours, sizes of open_flamingo, all images": lambda b: models.our_step(_dense(models.our_model(EVERY)), b),
    "ours, the paper's": lambda b: models.our_step(models.our_model(EVERY, like_open_flamingo=False), b),
    "ours, sizes of open_flamingo, bfloat16": lambda b: models.our_step(models.our_model(EVERY, dtype=HALF), b),
    "ours, the paper's, bfloat16": lambda b: models.our_step(models.our_model(EVERY, False, HALF), b),
}
DECODED: Mapping[str, Callable[[models.Batch], models.Decode]] = {
    "language model": lambda b: models.language_model_decode(models.language_model(), b),
    "open_flamingo": lambda b: models.open_flamingo_decode(models.open_flamingo(EVERY_DECODING), b),
    "IDEFICS": lambda b: models.idefics_decode(models.idefics(EVERY_DECODING_IDEFICS), b),
    "ours, sizes of open_flamingo": lambda b: models.our_decode(models.our_model(EVERY_DECODING), b),
    "ours, the paper's": lambda b: models.our_decode(models.our_model(EVERY_DECODING, like_open_flamingo=False), b),
    "language model, bfloat16": lambda b: models.language_model_decode(models.language_model(HALF), b),
    "ours, the paper's, bfloat16": lambda b: models.our_decode(models.our_model(EVERY_DECODING, False, HALF), b),
}


def main() -> None:
    what, argument, counts = sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3].split(",")]
    if what == "peak":
        step = TRAINED[argument](models.make_batch(counts))
        step(), step()
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
        return
    steps: Mapping[str, Callable[[], object]]
    if what.startswith("times"):
        names = [name for name in TRAINED if what == "times" or "bfloat16" not in name]
        steps = {name: TRAINED[name](models.make_batch(counts)) for name in names}
    else:
        batch = models.make_batch(counts, length=16 * counts[0])
        steps = {name: make(batch) for name, make in DECODED.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for run in steps.values():
        run()
    for _ in range(int(argument)):
        for name, run in steps.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    print(json.dumps(times))


def _dense(model: models.Flamingo) -> models.Flamingo:
    """With attention to all images and a mask, as the others do."""
    for layer in model.cross_attention.values():
        layer.attention.path = "reference"  # type: ignore[union-attr]
    return model


if __name__ == "__main__":
    main()
