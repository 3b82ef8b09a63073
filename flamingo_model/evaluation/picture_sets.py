"""Published files of the picture benchmarks to examples. Paths are of the archives as their authors offer them.

Each function takes the folder of the data set and the table of one split of its task file.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flamingo_model.evaluation.examples import Example, TaskError, Visual, find_file
from flamingo_model.evaluation.tables import rows

Split = Mapping[str, str]


def read_json(path: Path) -> Any:
    """Raises:
    TaskError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(f"{path} is not JSON: {error}") from error


def coco_captions(root: Path, split: Split) -> Iterator[Example]:
    """COCO's own `captions_*.json`: "images" with file names, "annotations" with a caption each."""
    value = read_json(root / split["annotations"])
    captions: dict[int, list[str]] = {}
    for entry in value["annotations"]:
        captions.setdefault(entry["image_id"], []).append(entry["caption"].strip())
    for image in value["images"]:
        visual = Visual(root / split["images"] / image["file_name"])
        yield Example(id=str(image["id"]), visual=visual, answers=tuple(captions.get(image["id"], ())))


def karpathy(root: Path, split: Split) -> Iterator[Example]:
    """Karpathy's `dataset_coco.json` and `dataset_flickr30k.json`; `split` is "test", or several: "train+restval"."""
    wanted = split["split"].split("+")
    for image in read_json(root / split["annotations"])["images"]:
        if image["split"] in wanted:
            visual = Visual(root / split["images"] / image.get("filepath", "") / image["filename"])
            answers = tuple(sentence["raw"].strip() for sentence in image["sentences"])
            yield Example(id=str(image.get("cocoid", image["imgid"])), visual=visual, answers=answers)


def vqa(root: Path, split: Split) -> Iterator[Example]:
    """VQAv2 and OK-VQA: a file of questions, one of annotations (none for the test splits), pictures named by number.

    `pattern` is the name of a picture: "COCO_val2014_{image_id:012d}.jpg".
    """
    answers: dict[int, tuple[str, ...]] = {}
    if "annotations" in split:
        for entry in read_json(root / split["annotations"])["annotations"]:
            answers[entry["question_id"]] = tuple(answer["answer"] for answer in entry["answers"])
    for entry in read_json(root / split["questions"])["questions"]:
        yield Example(
            id=str(entry["question_id"]),
            visual=Visual(root / split["images"] / split["pattern"].format(image_id=entry["image_id"])),
            question=entry["question"],
            answers=answers.get(entry["question_id"], ()),
        )


def vizwiz(root: Path, split: Split) -> Iterator[Example]:
    """VizWiz: a list of objects with "image", "question" and ten "answers" (none in test.json)."""
    for entry in read_json(root / split["annotations"]):
        yield Example(
            id=entry["image"],
            visual=Visual(root / split["images"] / entry["image"]),
            question=entry["question"],
            answers=tuple(answer["answer"] for answer in entry.get("answers", ())),
        )


def textvqa(root: Path, split: Split) -> Iterator[Example]:
    """TextVQA: "data" with questions and ten answers; pictures are `image_id`.jpg."""
    for entry in read_json(root / split["annotations"])["data"]:
        yield Example(
            id=str(entry["question_id"]),
            visual=Visual(root / split["images"] / f"{entry['image_id']}.jpg"),
            question=entry["question"],
            answers=tuple(entry.get("answers", ())),
        )


def hateful_memes(root: Path, split: Split) -> Iterator[Example]:
    """HatefulMemes: JSON lines with "id", "img", "text" and, but for the unlabelled test splits, "label"."""
    for entry in rows(root / split["annotations"]):
        label = entry.get("label")
        answer = "" if label is None else ("no", "yes")[int(label)]
        yield Example(
            id=str(entry["id"]),
            visual=Visual(root / split.get("images", ".") / entry["img"]),
            question=entry["text"],
            answers=(answer,) if answer else (),
            candidates=("yes", "no"),
            label=answer,
        )


def class_folders(root: Path, split: Split) -> Iterator[Example]:
    """ImageNet: a folder for each class, and a file of names.

    The names are ImageNet's own LOC_synset_mapping.txt ("n01440764 tench, Tinca tinca": the first counts), JSON
    {"0": ["n01440764", "tench"], ...} or {"n01440764": "tench", ...}. Names that several classes share stay as they
    are: then both are right. With `labels`, its LOC_val_solution.csv, all pictures are in one folder instead.
    """
    folder = root / split["images"]
    names = _class_names(root / split["names"])
    candidates = tuple(dict.fromkeys(names.values()))
    if "labels" in split:
        table = rows(root / split["labels"])
        found = [(row["PredictionString"].split()[0], find_file(folder, row["ImageId"])) for row in table]
    else:
        folders = sorted(path for path in folder.iterdir() if path.is_dir())
        found = [(own.name, path) for own in folders for path in sorted(own.iterdir()) if path.is_file()]
    for label, path in found:
        if label not in names:
            raise TaskError(f"{path}: its class {label} is not in {root / split['names']}")
        yield Example(
            id=f"{label}/{path.name}",
            visual=Visual(path),
            answers=(names[label],),
            candidates=candidates,
            label=label,
        )


def _class_names(path: Path) -> dict[str, str]:
    if path.suffix == ".json":
        value = read_json(path)
        pairs = [tuple(v) if isinstance(v, list) else (k, v) for k, v in value.items()]
    else:
        pairs = [tuple(line.split(maxsplit=1)) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if wrong := [pair for pair in pairs if len(pair) != 2]:
        raise TaskError(f"{path}: {wrong[0]} is not the folder of a class and its name")
    return {folder: name.split(",")[0].strip().replace("_", " ") for folder, name in pairs}


def visdial(root: Path, split: Split) -> Iterator[Example]:
    """VisDial 1.0: dialogues that name questions and answers by number, and the relevance of 100 candidates for one
    round of each (`dense`). Without `dense`, the last round of each dialogue: these are shots."""
    value = read_json(root / split["dialogues"])["data"]
    questions, answers = value["questions"], value["answers"]
    dense = {}
    if "dense" in split:
        for entry in read_json(root / split["dense"]):
            dense[entry["image_id"]] = entry["round_id"], entry.get("gt_relevance", entry.get("relevance"))
    for dialogue in value["dialogs"]:
        image = dialogue["image_id"]
        if dense and image not in dense:
            continue
        turns = dialogue["dialog"]
        count, relevance = dense.get(image, (len(turns), ()))
        before = [f"{questions[turn['question']]}? Answer: {answers[turn['answer']]}" for turn in turns[: count - 1]]
        history = [dialogue["caption"].strip(), *(f"Question: {text}" for text in before)]
        asked = turns[count - 1]
        found = [find_file(root / split["images"], pattern.format(image_id=image)) for pattern in _patterns(split)]
        yield Example(
            id=f"{image}-{count}",
            visual=Visual(next((path for path in found if path.is_file()), found[0])),
            context=" ".join(history),
            question=questions[asked["question"]] + "?",
            answers=(answers[asked["answer"]],) if "answer" in asked else (),
            candidates=tuple(answers[place] for place in asked.get("answer_options", ())),
            relevance=tuple(map(float, relevance)),
        )


def _patterns(split: Split) -> list[str]:
    """Several names may be possible: VisDial's training pictures are of COCO's two parts."""
    return split["pattern"].split("|")
