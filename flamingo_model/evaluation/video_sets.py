"""Published files of the video benchmarks to examples. Videos are as one downloads them: any container, see `pattern`.

Each function takes the folder of the data set and the table of one split of its task file. `pattern` names a video
without its extension.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from flamingo_model.evaluation.examples import Example, TaskError, Visual, find_file
from flamingo_model.evaluation.picture_sets import read_json
from flamingo_model.evaluation.tables import rows

Split = Mapping[str, str]


def video_qa(root: Path, split: Split) -> Iterator[Example]:
    """MSVD-QA and MSRVTT-QA: a list of questions with "video_id", "question", "answer".

    `mapping` is MSVD's youtube_mapping.txt, lines of "-4wsuPCjDBc_5_15 vid1": the file's name, and what the list calls
    it.
    """
    names: dict[str, str] = {}
    if "mapping" in split:
        for line in (root / split["mapping"]).read_text(encoding="utf-8").splitlines():
            name, _, number = line.strip().rpartition(" ")
            names[number] = name
    for entry in read_json(root / split["annotations"]):
        stem = split["pattern"].format(video_id=entry["video_id"])
        yield Example(
            id=str(entry["id"]),
            visual=Visual(find_file(root / split["videos"], names.get(stem, stem))),
            question=entry["question"],
            answers=(entry["answer"],),
        )


def vatex(root: Path, split: Split) -> Iterator[Example]:
    """VATEX: a list of objects with "videoID" (name_start_end: the file is that part) and ten "enCap"."""
    for entry in read_json(root / split["annotations"]):
        visual = Visual(find_file(root / split["videos"], entry["videoID"]))
        yield Example(id=entry["videoID"], visual=visual, answers=tuple(entry.get("enCap", ())))


def youcook2(root: Path, split: Split) -> Iterator[Example]:
    """YouCook2: "database" of whole videos, each with segments and a sentence for each."""
    for name, video in read_json(root / split["annotations"])["database"].items():
        if video["subset"] != split["split"]:
            continue
        stem = split["pattern"].format(subset=video["subset"], recipe_type=video["recipe_type"], video_id=name)
        path = find_file(root / split["videos"], stem)
        for segment in video["annotations"]:
            start, end = map(float, segment["segment"])
            yield Example(
                id=f"{name}-{segment['id']}", visual=Visual(path, start=start, end=end), answers=(segment["sentence"],)
            )


def ivqa(root: Path, split: Split) -> Iterator[Example]:
    """iVQA: CSV with video_id, start, end, question, answer1 to answer5.

    Videos are whole ones, named by `video_id`; or, with `pattern`, the parts: "{video_id}_{start}_{end}".
    """
    for number, row in enumerate(rows(root / split["annotations"])):
        if "pattern" in split:
            visual = Visual(find_file(root / split["videos"], split["pattern"].format(**row)))
        else:
            path = find_file(root / split["videos"], row["video_id"])
            visual = Visual(path, start=float(row["start"]), end=float(row["end"]))
        yield Example(
            id=str(number),
            visual=visual,
            question=row["question"],
            answers=tuple(row[f"answer{k}"] for k in range(1, 6) if row.get(f"answer{k}")),
        )


def nextqa(root: Path, split: Split) -> Iterator[Example]:
    """NExT-QA, open-ended: CSV with video, question, answer, qid, type; `mapping` is map_vid_vidorID.json; a second
    right answer is in `more` (add_reference_answer_test.json)."""
    names = read_json(root / split["mapping"]) if "mapping" in split else {}
    more = read_json(root / split["more"]) if "more" in split else {}
    for row in rows(root / split["annotations"]):
        video, number = row["video"], row["qid"]
        second = more.get(video, {}).get(number)
        yield Example(
            id=f"{video}-{number}",
            visual=Visual(find_file(root / split["videos"], names.get(video, video))),
            question=row["question"],
            answers=(row["answer"], *([second] if second else [])),
            facts={"type": row.get("type", "")},
        )


def star(root: Path, split: Split) -> Iterator[Example]:
    """STAR: a list of questions about a part of a Charades video, with "choices" of which one is the "answer"."""
    for entry in read_json(root / split["annotations"]):
        path = find_file(root / split["videos"], entry["video_id"])
        answer = entry.get("answer")
        yield Example(
            id=entry["question_id"],
            visual=Visual(path, start=float(entry["start"]), end=float(entry["end"])),
            question=entry["question"],
            answers=(answer,) if answer else (),
            candidates=tuple(choice["choice"] for choice in entry["choices"]),
        )


def kinetics(root: Path, split: Split) -> Iterator[Example]:
    """Kinetics: CSV with label, youtube_id, time_start, time_end; the candidates are all labels of `labels` (another
    such CSV), or else of this one."""
    table = list(rows(root / split["annotations"]))
    of_names = rows(root / split["labels"]) if "labels" in split else table
    candidates = tuple(sorted({row["label"] for row in of_names}))
    for row in table:
        start, end = int(float(row["time_start"])), int(float(row["time_end"]))
        stem = split["pattern"].format(label=row["label"], youtube_id=row["youtube_id"], start=start, end=end)
        if row["label"] not in candidates:
            raise TaskError(f"label {row['label']!r} is not among those of {root / split['labels']}")
        yield Example(
            id=f"{row['youtube_id']}-{start}",
            visual=Visual(find_file(root / split["videos"], stem)),
            answers=(row["label"],),
            candidates=candidates,
            label=row["label"],
        )


def rareact(root: Path, split: Split) -> Iterator[Example]:
    """RareAct: CSV with id, video_id, start, end, class_id, verb, noun, annotation (1: right; 0: wrong; 2 to 4: in part
    right). Every action of the file is a candidate."""
    table = list(rows(root / split["annotations"]))
    actions = {int(row["class_id"]): (row["verb"], row["noun"]) for row in table}
    if sorted(actions) != list(range(len(actions))):
        raise TaskError(f"{root / split['annotations']}: class_id must be 0 to {len(actions) - 1}, each at least once")
    candidates = tuple(third_person(*actions[number]) for number in range(len(actions)))
    for row in table:
        visual = Visual(
            find_file(root / split["videos"], row["video_id"]), start=float(row["start"]), end=float(row["end"])
        )
        own = candidates[int(row["class_id"])]
        yield Example(
            id=row["id"],
            visual=visual,
            answers=(own,) if row["annotation"] == "1" else (),
            candidates=candidates,
            facts={name: row[name] for name in ("video_id", "class_id", "verb", "noun", "annotation")},
        )


def third_person(verb: str, noun: str) -> str:
    """Of "cut" and "onion" the text "cuts an onion": verb in the third person, article before a singular noun."""
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        verb += "es"
    elif verb.endswith("y") and verb[-2:-1] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    if noun.endswith("s") and not noun.endswith("ss"):
        return f"{verb} {noun}"
    article = "" if noun == "hair" else "an " if noun[0] in "aeiou" else "a "
    return f"{verb} {article}{noun}"
