"""Samples per second of the loader on pages of three pictures, beside plain ways to read the same shards.

Run it alone with `python -m benchmarks.loader [--quick]`, or as `python -m benchmarks.run loader`.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import webdataset
from PIL import Image as Picture
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2
from transformers import PreTrainedTokenizerFast

from benchmarks.machine import ROOT, Result, Table, say
from benchmarks.picture_server import load_pictures
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.formats import Read, read_sample
from flamingo_model.preprocess import MILD, Preprocess
from flamingo_model.samples import PAGES
from flamingo_model.shards import Raw, read_shard
from schemas.document import Document, Image, Slot, Text
from schemas.keys import digest
from schemas.shard import Sample, ShardWriter

SIDE, SIZE, EACH = 320, 224, 3
"""Larger side of the pictures in the shards, and of those that come out, pixels; pictures of a page."""
CHARACTERS = 4400
"""Of a page's text: 182 GB of text on 43.3 million pages (section A.3.1 of the paper)."""
SHORT = 200
"""Of a page's text where pictures are to be compared with pictures: the other ways read no text."""
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
CONFIG = LoaderConfig(
    batch_size=16,
    endless=False,
    shuffle=64,
    seed=0,
    streams=4,
    workers=0,
    prefetch=2,
    pad="length",
    pack=False,
)


def measure(scratch: Path, quick: bool) -> Result:
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as in the loader's workers
    pages, rounds = (64, 1) if quick else (1024, 5)
    texts = "\n\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    pictures = [_reduced(found.data) for found in load_pictures("jpeg")]
    short, long = (
        [_write(scratch / f"{size}-{part}.tar", part, pages // 4, texts, size, pictures) for part in range(4)]
        for size in (SHORT, CHARACTERS)
    )
    tokenizer = _tokenizer(texts)
    ways: dict[str, Callable[[], Iterable[object]]] = {
        "webdataset, bytes": lambda: _samples(short),
        "webdataset, decoded by Pillow": lambda: _pictures(short, _decoded),
        "webdataset, Pillow, torchvision's transforms": lambda: _pictures(short, _transforms()),
        "webdataset, torchvision's decoder and resizing": lambda: _pictures(short, _torchvision),
        "webdataset, our `Preprocess`": lambda: _pictures(short, _preprocess()),
        "this loader, bytes and JSON": lambda: _read(short),
        "this loader, no augmentation": lambda: _rows(_loader(short, tokenizer, augment=None)),
        "this loader": lambda: _rows(_loader(short, tokenizer)),
        f"this loader, {CHARACTERS:,} characters": lambda: _rows(_loader(long, tokenizer)),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    walls: dict[int, list[float]] = {1: [], 2: []}
    for round_number in range(rounds):
        say(f"round {round_number + 1} of {rounds}")
        for name, way in ways.items():
            begun = time.process_time()
            count = sum(1 for _ in way())
            found[name].append(count / (time.process_time() - begun))
        for workers, rates in walls.items():
            rates.append(_wall(long, tokenizer, workers, pages))
    rows = [(name, f"{median(rates):,.0f}", f"{EACH * median(rates):,.0f}") for name, rates in found.items()]
    one, two = median(walls[1]), median(walls[2])
    processes = [("1 worker", f"{one:,.0f}", "1"), ("2 workers", f"{two:,.0f}", f"{two / one:.2f}")]
    return Result(
        "loader",
        f"How many pages a second are read, tokenised, cropped to {PAGES.length} tokens and shown at {SIZE} pixels? "
        f"Pages of {SHORT} characters with {EACH} JPEGs of {SIDE} pixels; processor time of one core, median of "
        f"{rounds}.",
        [
            Table(("one core", "samples/s", "pictures/s"), rows),
            Table(
                ("processes", "samples/s", "times"),
                processes,
                f"By the clock, once they run, {CHARACTERS:,} characters",
            ),
        ],
        [
            f"A page of {CHARACTERS:,} characters is tokenised whole, so that its crop is uniform; pictures out of the "
            "crop are not decoded.",
            "The loader gives bytes: normalisation and colours are for the device. The rows with transforms and with "
            "`Preprocess` give normalised floats.",
        ],
    )


def _reduced(data: bytes) -> bytes:
    image = Picture.open(BytesIO(data)).convert("RGB")
    scale, stream = SIDE / max(image.size), BytesIO()
    size = tuple(max(1, round(length * scale)) for length in image.size)
    image.resize((size[0], size[1]), Picture.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _write(path: Path, shard: int, pages: int, texts: str, size: int, pictures: Sequence[bytes]) -> str:
    rng = Random(shard)
    with path.open("wb") as stream:
        writer = ShardWriter(stream)
        for number in range(pages):
            begin, cut = rng.randrange(len(texts) - size), size // (EACH + 1)
            members = {f"{place}.jpg": rng.choice(pictures) for place in range(EACH)}
            slots: list[Slot] = [Text(texts[begin : begin + cut])]
            for place, member in enumerate(members, 1):
                own = texts[begin + place * cut : begin + (place + 1) * cut]
                slots += [Image(url=f"https://a.example/{member}", member=member), Text(own)]
            document = Document(kind="page", url="", slots=tuple(slots), key=digest(f"{shard}/{number}"))
            writer.write(Sample(document, members))
        writer.close()
    return str(path)


def _tokenizer(texts: str) -> Any:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        [texts], trainers.BpeTrainer(vocab_size=8000, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def _samples(shards: Sequence[str]) -> Iterator[dict[str, Any]]:
    return iter(webdataset.WebDataset(list(shards), shardshuffle=False))


def _pictures(shards: Sequence[str], decode: Callable[[bytes], object]) -> Iterator[object]:
    for sample in _samples(shards):
        yield [decode(sample[f"{place}.jpg"]) for place in range(EACH)]


def _decoded(data: bytes) -> Picture.Image:
    image = Picture.open(BytesIO(data))
    image.load()
    return image


def _transforms() -> Callable[[bytes], torch.Tensor]:
    """As open_flamingo has them: open_clip's for the picture, and a flip."""
    bicubic = transforms.InterpolationMode.BICUBIC
    steps = [
        transforms.Resize(SIZE, interpolation=bicubic),
        transforms.CenterCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    whole = transforms.Compose(steps)
    return lambda data: whole(_decoded(data).convert("RGB"))


def _torchvision(data: bytes) -> torch.Tensor:
    pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    return v2.functional.resize(pixels, [SIZE, SIZE], interpolation=v2.InterpolationMode.BICUBIC, antialias=True)


def _preprocess() -> Callable[[bytes], torch.Tensor]:
    whole = Preprocess(SIZE, MEAN, STD, augment=MILD)
    generator = torch.Generator().manual_seed(0)
    return lambda data: whole(_decoded(data), generator)


def _read(shards: Sequence[str]) -> Iterator[Read]:
    for shard in shards:
        for raw in read_shard(shard):
            assert isinstance(raw, Raw)
            read = read_sample(raw.key, raw.files)
            assert isinstance(read, Read)
            yield read


def _loader(shards: Sequence[str], tokenizer: Any, augment: Any = MILD, **changes: Any) -> Loader:
    config = replace(CONFIG, **changes)
    return Loader(shards, config, PAGES, tokenizer, len(tokenizer), image_size=SIZE, augment=augment)


def _rows(loader: Loader) -> Iterator[str]:
    for batch in loader:
        yield from (key for row in batch.keys for key in row)


def _wall(shards: Sequence[str], tokenizer: Any, workers: int, pages: int) -> float:
    """Samples per second by the clock, the start of the processes left out."""
    batches = iter(_loader(shards, tokenizer, endless=True, workers=workers))
    for _ in range(2 * CONFIG.streams):
        next(batches)
    begun, count = time.perf_counter(), pages // CONFIG.batch_size
    for _ in islice(batches, count):
        pass
    return count * CONFIG.batch_size / (time.perf_counter() - begun)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        made = measure(Path(folder), "--quick" in sys.argv)
        for table in made.tables:
            print(table.markdown())
