"""open_clip trains on our pairs by its own reader, and scores pairs for us: `make test-open-clip`.

Not a part of `make test`: open_clip and PyTorch are some gigabytes. The model is a small CLIP with random weights.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from builds import build_in, letters, m3w, manifest, samples
from colour_scorer import COLOURS
from PIL import Image

from pipelines.filters.similarity import ScorerError, SimilarityConfig, check_scorer, load_scorer, similarities
from schemas.rejection import Rejected

NEEDED = "needs open_clip with its training code: pip install open_clip_torch pandas"
open_clip = pytest.importorskip("open_clip", reason=NEEDED)
data = pytest.importorskip("open_clip_train.data", reason=NEEDED, exc_type=ImportError)
params = pytest.importorskip("open_clip_train.params", reason=NEEDED, exc_type=ImportError)
torch = pytest.importorskip("torch")
OLD = tuple(map(int, version("webdataset").split(".")[:3])) <= (0, 2, 86)

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
PAIRS = """
extends = "demo-pairs"

[language]
languages = ["en", "de", "fr"]
min_score = 0.0

[caption_length]
min_words = 2
min_chars = 5

[image_safety]
scorer = "none"

[split]
dev_share = 0.0

[shards]
max_samples = 8
"""


@pytest.fixture(scope="module")
def architecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "openm3w-tiny.json"
    path.write_text(json.dumps(MODEL))
    open_clip.add_model_config(path)
    return path


@pytest.fixture(scope="module")
def weights(architecture: Path) -> Path:
    torch.manual_seed(1)
    path = architecture.with_name("tiny.pt")
    torch.save(open_clip.create_model(architecture.stem).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, crawl: Path) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "pairs.toml").write_text(PAIRS)
    return build_in(folder / "out", crawl, folder / "pairs.toml")


# --- open_clip trains on our shards ----------------------------------------------------------------------------------


def shards(output: Path) -> str:
    """As open_clip wants them named: with a range in braces."""
    count = len(list((output / "shards").glob("train-*.tar")))
    assert count > 1
    return f"{output}/shards/train-{{000000..{count - 1:06d}}}.tar"


def batches(output: Path, model: str, preprocess: Any, *arguments: str) -> Iterator[Any]:
    """What open_clip's reader makes of a data set, by open_clip's own options."""
    given = ["--dataset-type", "webdataset", "--batch-size", "4", "--workers", "0", "--model", model, *arguments]
    options = params.parse_args(given)
    options.rank, options.world_size, options.distributed = 0, 1, False
    found = data.get_data(options, (preprocess, preprocess), tokenizer=open_clip.get_tokenizer(model))
    yield from found["train" if "--train-data" in arguments else "val"].dataloader


def test_open_clip_reads_every_pair_as_it_is(pairs: Path, architecture: Path) -> None:
    """As its validation does: each sample once, in order."""
    preprocess = open_clip.create_model_and_transforms(architecture.stem)[2]
    count = manifest(pairs).splits["train"]
    given = ("--val-data", shards(pairs), "--val-num-samples", str(count))
    texts = [row for _, tokens in batches(pairs, architecture.stem, preprocess, *given) for row in tokens]
    tokenize = open_clip.get_tokenizer(architecture.stem)
    wanted = [tokenize([sample.members["txt"].decode()])[0] for sample in samples(pairs).values()]
    assert len(texts) == len(wanted) == count
    assert all(torch.equal(one, other) for one, other in zip(texts, wanted, strict=True))


@pytest.mark.skipif(
    not OLD, reason="open_clip's reader for training needs webdataset<=0.2.86, as open_clip itself says"
)
def test_a_step_of_training(pairs: Path, architecture: Path) -> None:
    torch.manual_seed(0)
    model, preprocess, _ = open_clip.create_model_and_transforms(architecture.stem)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    given = ("--train-data", shards(pairs), "--train-num-samples", str(len(samples(pairs))))
    losses = []
    for images, texts in batches(pairs, architecture.stem, preprocess, *given):
        assert images.shape == (4, 3, 64, 64) and texts.shape == (4, 77)
        optimiser.zero_grad()
        loss = open_clip.ClipLoss()(*model(images, texts))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses and all(0 < loss < 100 for loss in losses)
    changed = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) == len(before)
    assert all(torch.isfinite(value).all() for value in model.parameters())


# --- open_clip scores our pairs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config(architecture: Path, weights: Path) -> SimilarityConfig:
    return SimilarityConfig(
        scorer="pipelines.filters.similarity_open_clip:load",
        model=str(architecture),
        weights=str(weights),
        device="cpu",
        batch_size=4,
        min_score=-1.0,
    )


def coloured() -> list[tuple[Image.Image, str]]:
    return [(Image.new("RGB", (90, 60), colour), f"a {name} wall") for name, colour in COLOURS.items()]


def test_scores_are_cosines_whatever_the_batch(config: SimilarityConfig, weights: Path, architecture: Path) -> None:
    check_scorer(config)
    model, _, preprocess = open_clip.create_model_and_transforms(architecture.stem, pretrained=str(weights))
    tokenize = open_clip.get_tokenizer(architecture.stem)
    wanted = []
    with torch.no_grad():
        for picture, text in coloured():
            image = model.eval().encode_image(preprocess(picture)[None])
            wanted.append(torch.cosine_similarity(image, model.encode_text(tokenize([text]))).item())
    assert len({round(score, 3) for score in wanted}) > 3, "the pairs differ"
    together = similarities(coloured(), config)
    alone = [similarities([pair], config)[0] for pair in coloured()]
    assert together == pytest.approx(wanted, abs=2e-4) and alone == pytest.approx(wanted, abs=2e-4)
    assert similarities(coloured(), config) == together


def test_a_long_text_is_cut_off(config: SimilarityConfig) -> None:
    picture, text = coloured()[0]
    (long,) = similarities([(picture, f"{text} " * 100)], config)
    assert not isinstance(long, Rejected) and -1 <= long <= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": ""}, "'' is no file; a local file is needed, nothing is downloaded"),
        ({"weights": "laion2b_s34b_b79k"}, "is no file; a local file is needed"),
        ({"model": "ViT-B-33"}, "'ViT-B-33' is neither the path of a .json nor known to open_clip"),
        ({"model": "nowhere.json"}, "'nowhere.json' is no file"),
        ({"model": "xlm-roberta-base-ViT-B-32"}, "from the net, which is not done here"),
        ({"model": "ViT-B-32"}, "text pos_embed width changed"),
        ({"device": "nowhere"}, "RuntimeError: "),
    ],
)
def test_a_model_that_cannot_be_had_is_told(config: SimilarityConfig, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScorerError) as raised:
        check_scorer(replace(config, **changes))
    assert said in str(raised.value) and config.scorer in str(raised.value)


def test_a_build_with_scores(config: SimilarityConfig, pairs: Path, crawl: Path, tmp_path: Path) -> None:
    load_scorer.cache_clear()
    recipe = tmp_path / "scored.toml"

    def build(name: str, min_score: float) -> Path:
        table = {"scorer": config.scorer, "model": config.model, "weights": config.weights}
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        recipe.write_text("\n".join([PAIRS, "[similarity]", *lines, f"min_score = {min_score}"]))
        return build_in(tmp_path / name, crawl, recipe)

    every = {key: s.json["scores"]["similarity.score"] for key, s in samples(build("all", -1.0)).items()}
    assert every.keys() == samples(pairs).keys() and len(set(every.values())) > 5
    limit = sorted(every.values())[len(every) // 2]
    half = build("half", limit)
    assert samples(half).keys() == {key for key, score in every.items() if score >= limit}
    low = [letter for letter in letters(half) if letter["reason"] == "low_similarity"]
    assert len(low) == len(every) - len(samples(half)) > 0
    assert [entry.name for entry in manifest(half).lists] == [config.scorer, config.weights, config.model]
    assert m3w("verify", half)[0] == 0
