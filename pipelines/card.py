"""README.md of a data set: what it is, how it is read, what was dropped and by which thresholds, what was not done."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.report import by_kind, kinds_of, largest_first, share_kept, size
from schemas.manifest import Manifest

INPUTS_LISTED = 50
"""A crawl has tens of thousands of input files: the card names the first, the manifest all."""

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
          (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip

_ABSENT = (
    (
        "near_duplicates",
        "Near duplicates of pages stay: only equal addresses, equal texts and equal sets of images go.",
    ),
    ("perceptual_duplicates", "Near duplicates of images stay: only images with equal bytes are counted together."),
    ("contamination", "Evaluation sets were not searched for: what stands in a benchmark may stand here too."),
)
"""Recipe tables, and what is to be said of a data set whose recipe lacks them."""
_ABSENT_CLIPS = (
    ("near_duplicates", "Near duplicates of clips stay: only clips of equal frames go."),
    ("contamination", "Evaluation sets were not searched for: what stands in a benchmark may stand here too."),
)
"""The same of clips."""

_READ_PAIRS = """\
import io
from glob import glob

import webdataset as wds
from PIL import Image

shards = sorted(glob("{pattern}"))
for sample in wds.WebDataset(shards, shardshuffle=False):
    picture = Image.open(io.BytesIO(sample.get("jpg") or sample["png"]))
    print(f"[{{picture.width}} x {{picture.height}}]", sample["txt"].decode())
    break
"""

_READ_CLIPS = """\
import io
import json
from glob import glob

import webdataset as wds
from PIL import Image

shards = sorted(glob("{pattern}"))
for sample in wds.WebDataset(shards, shardshuffle=False):
    clip = json.loads(sample["json"])
    for video in clip["videos"]:
        for time, member in zip(video["times"], video["members"]):
            frame = Image.open(io.BytesIO(sample[member]))
            print(f"{{time:.1f}} s: {{frame.width}} x {{frame.height}}")
    print(clip["text"])
    break
"""

_READ = """\
import io
import json
from glob import glob

import webdataset as wds
from PIL import Image

shards = sorted(glob("{pattern}"))
for sample in wds.WebDataset(shards, shardshuffle=False):
    page = json.loads(sample["json"])
    end = 0
    for place in page["images"]:
        print(page["text"][end : place["position"]])
        picture = Image.open(io.BytesIO(sample[place["member"]]))
        print(f"[{{picture.width}} x {{picture.height}}: {{place['alt']}}]")
        end = place["position"]
    print(page["text"][end:])
    break
"""


_IS = {
    "pages": "Web documents with their images at their places in the text, in WebDataset tar shards. Built by OpenM3W "
    "{version} with the recipe `{name}` (digest `{digest}`), after the M3W data set of the Flamingo paper "
    "(arXiv 2204.14198).",
    "pairs": "Images with a text each, in WebDataset tar shards. Built by OpenM3W {version} with the recipe `{name}` "
    "(digest `{digest}`), after the image-text pairs (LTIP, ALIGN) of the Flamingo paper (arXiv 2204.14198).",
    "clips": "Clips of videos, as frames with their times, and a text each, in WebDataset tar shards. Built by OpenM3W "
    "{version} with the recipe `{name}` (digest `{digest}`), after the video-text pairs (VTP) of the Flamingo paper "
    "(arXiv 2204.14198).",
}
"""What a data set is, by the flow of its recipe."""
_HOW = {
    "pages": "Any WebDataset reader will do. A sample of key `KEY` is `KEY.json` and its images `KEY.0.jpg`, "
    "`KEY.1.png` and so on (JPEG or PNG, upright, without metadata). The JSON holds the `text` and, for each of the "
    "`images`, its `position` (characters of the text before it), `member`, `width`, `height`, `url`, `alt` and "
    "`sha256`; and of the page its `url`, `title`, `language`, `source` and the `scores` of all filters, so that one "
    "can be stricter without building again.\n",
    "pairs": "Any reader of image-text shards will do, such as open_clip's. A sample of key `KEY` is the "
    "image `KEY.jpg` or `KEY.png` (upright, without metadata), its text `KEY.txt`, and `KEY.json` with the image's "
    "`url`, `width`, `height` and `sha256`, the address of the page it stood on (`page_url`), the `language`, `source` "
    "and the `scores` of all filters.\n",
    "clips": "Any WebDataset reader will do. A sample of key `KEY` is `KEY.json` and its frames `KEY.0.000.jpg`, "
    "`KEY.0.001.jpg` and so on (upright, without metadata). The JSON holds the `text` and, of the video in `videos`, "
    "its `url`, the `start` and `end` of the clip and the `times` of its frames in seconds from the beginning of the "
    "video, their `members`, `width` and `height`; and the address of the page it stood on (`page_url`), the "
    "`language`, `source` and the `scores` of all filters.\n",
}


def dataset_card(manifest: Manifest) -> str:
    """The card, with the header that the Hugging Face Hub reads; depends on the manifest alone."""
    return "\n".join(
        [
            *_header(manifest),
            *_introduction(manifest),
            *_reading(manifest),
            *_funnel(manifest),
            *_not_done(manifest),
            *_rights("videos" if _flow(manifest) == "clips" else "images"),
            *_inputs(manifest),
            *_recipe(manifest.recipe),
        ]
    )


def _header(manifest: Manifest) -> Iterator[str]:
    samples = sum(manifest.splits.values())
    yield from ("---", f"pretty_name: {_quoted(manifest.name)}", "license: other", "task_categories:")
    interleaved = ("- interleaved",) if _flow(manifest) == "pages" else ()
    media = "video" if _flow(manifest) == "clips" else "image"
    yield from (f"- {media}-text-to-text", "tags:", "- webdataset", *interleaved, f"- {media}", "- text", "- openm3w")
    if languages := manifest.recipe.get("language", {}).get("languages"):
        yield from ("language:", *(f"- {_quoted(language)}" for language in languages))
    yield from ("size_categories:", f"- {next((name for top, name in _SIZES if samples < top), 'n>1B')}")
    if manifest.shards:
        yield from ("configs:", "- config_name: default", "  data_files:")
        for split in _splits(manifest):
            yield from (f"  - split: {_quoted(split)}", f"    path: {_quoted(f'shards/{split}-*.tar')}")
    yield from ("---", "")


def _introduction(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.name}"
    yield ""
    said = _IS[_flow(manifest)].format(version=manifest.version, name=manifest.name, digest=manifest.recipe_digest)
    media = "videos" if _flow(manifest) == "clips" else "images"
    yield f"{said} The same inputs, recipe and fetched {media} give the same bytes."
    yield ""
    if manifest.test_allowances:
        lifted = ", ".join(manifest.test_allowances)
        yield f"**This is a test: safety checks were lifted ({lifted}). Do not publish it or train on it.**\n"
    rows = []
    for split in [*_splits(manifest), ""]:
        shards = [shard for shard in manifest.shards if split in ("", shard.split)]
        totals = [f"{sum(getattr(shard, name) for shard in shards):,}" for name in ("samples", media, "words")]
        rows.append([split or "all", *totals, f"{len(shards):,}", size(sum(shard.bytes for shard in shards))])
    head = ("split", "samples", "clips" if media == "videos" else media, "words", "shards", "size")
    yield from _table(head, rows, numbers=5)
    yield "A registered domain stands in one split only.\n"


def _reading(manifest: Manifest) -> Iterator[str]:
    pattern = f"shards/{next(iter(_splits(manifest)), 'train')}-*.tar"
    yield "## How to read it\n"
    yield _HOW[_flow(manifest)]
    read = {"pages": _READ, "pairs": _READ_PAIRS, "clips": _READ_CLIPS}[_flow(manifest)]
    yield f"```python\n{read.format(pattern=pattern)}```\n"
    yield "`m3w inspect`, `m3w verify` and `m3w report` show it, check every byte, and say what was dropped.\n"


def _funnel(manifest: Manifest) -> Iterator[str]:
    yield "## What was dropped\n"
    yield (
        "Each row: what came in, what each rule dropped, what went on. An arrow is where things of one kind become "
        "things of another. `dead_letters/` names every thing that was dropped.\n"
    )
    kinds = kinds_of(manifest.funnel)
    for kind, rows in by_kind(manifest.funnel).items():
        cells = []
        for row in rows:
            stage = f"&rarr; {kinds.get(row.becomes, row.becomes)}" if row.becomes else f"`{row.stage}`"
            dropped = "<br>".join(f"{count:,} {reason}" for reason, count in largest_first(row.dropped).items())
            cells.append([stage, dropped, f"{row.into:,}", f"{row.out:,}", share_kept(row)])
        yield f"**{kinds.get(kind, kind).capitalize()}**\n"
        yield from _table(("stage", "dropped", "in", "out", "kept"), cells, numbers=3)


def _not_done(manifest: Manifest) -> Iterator[str]:
    recipe = manifest.recipe
    yield "## What was not done\n"
    yield "- Nobody has read it through. Filters let unpleasant and wrong things pass, and drop good ones."
    yield "- Personal data that stood on the pages still stands here, and faces are not blurred."
    of_clips = _flow(manifest) == "clips"
    absent = _ABSENT_CLIPS if of_clips else _ABSENT
    scored, media = ("Frames", "videos") if of_clips else ("Images", "images")
    yield from (f"- {said}" for table, said in absent if table not in recipe)
    if recipe.get("image_safety", {}).get("scorer") == "none":
        yield f"- {scored} were not scored for nudity (`image_safety.scorer` is `none`)."
    blocklist = recipe.get("blocklist", {})
    if not blocklist.get("digest_files") and not blocklist.get("phash_files"):
        yield f"- {media.capitalize()} were not compared with a list of known illegal {media}: the recipe names none."
    if recipe.get("fetch", {}).get("respect_robots") is False:
        yield f"- robots.txt was not asked before {media} were fetched."
    yield ""


def _rights(media: str) -> Iterator[str]:
    one = media.removesuffix("s")
    yield "## Rights and takedown\n"
    yield (
        f"Texts and {media} belong to their authors; no licence to them is given here. Each sample names the page and "
        f"the {media} it comes from (`url`, `{media}[].url`): ask there before you use them beyond what the law "
        "allows. Before you publish this data set, put the licence that you can stand for into the header of this "
        "file.\n"
    )
    yield (
        "To have something removed, write to whoever gave you this data set (on the Hugging Face Hub: the Community "
        f"tab of its page) and name the address of the page or {one}, a domain, a sample's key or the sha256 of "
        f"{'an image' if media == 'images' else 'a clip'}. "
        "Each of these finds the samples concerned.\n"
    )


def _inputs(manifest: Manifest) -> Iterator[str]:
    yield "## Inputs\n"
    listed = manifest.inputs[:INPUTS_LISTED]
    yield from _table(
        ("name", "sha256", "bytes"), [[_code(i.name), _code(i.sha256), f"{i.bytes:,}"] for i in listed], numbers=1
    )
    if more := len(manifest.inputs) - len(listed):
        yield f"and {more:,} more, which `manifest.json` names.\n"
    asked = kinds_of(manifest.funnel)["image_url"]
    yield f"Outcome of all {asked} that were asked for: ledger digest `{manifest.ledger_digest}`.\n"


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    yield "## Recipe\n"
    yield "Every value in force. `m3w recipe diff` compares it with others.\n"
    for table, values in recipe.items():
        if isinstance(values, Mapping):
            yield f"### {table}\n"
            yield from _table(("key", "value"), [[_code(key), _code(_quoted(value))] for key, value in values.items()])


def _flow(manifest: Manifest) -> str:
    flow: str = manifest.recipe.get("flow", "pages")
    return flow


def _splits(manifest: Manifest) -> list[str]:
    """Train first."""
    return sorted(manifest.splits, reverse=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> Iterator[str]:
    """A Markdown table whose last `numbers` columns are aligned right."""
    rules = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    for row in (head, rules, *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def _code(text: str) -> str:
    """Text that a Markdown table shows as it is, whatever it holds."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|").replace("\n", " ")


def _quoted(value: Any) -> str:
    """JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False)
