"""Small files in exactly the layout in which each benchmark is published, with real pictures and videos, read by the
shipped tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_files import save_picture, save_video, write_json, write_lines

from flamingo_model.evaluation.examples import Example, Frames, TaskError, digest, read
from flamingo_model.evaluation.task import LAYOUTS, load_task, read_split, shipped_tasks
from schemas.rejection import Rejected


def coco(root: Path) -> None:
    images = [
        {
            "filepath": "val2014" if split == "test" else "train2014",
            "filename": f"COCO_{number}.jpg",
            "imgid": number,
            "cocoid": 100 + number,
            "split": split,
            "sentids": [1, 2],
            "sentences": [{"raw": f"A picture {number}.", "tokens": ["a"]}, {"raw": "Another caption. ", "tokens": []}],
        }
        for number, split in enumerate(["test", "train", "restval", "val"])
    ]
    write_json(root / "dataset_coco.json", {"images": images, "dataset": "coco"})
    for image in images:
        save_picture(root / str(image["filepath"]) / str(image["filename"]), int(str(image["imgid"])))


def flickr30k(root: Path) -> None:
    images = [
        {"filename": f"{n}.jpg", "imgid": n, "split": s, "sentences": [{"raw": f"A dog {n} runs ."}], "sentids": [n]}
        for n, s in ((7, "test"), (8, "train"))
    ]
    write_json(root / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    for n in (7, 8):
        save_picture(root / "flickr30k-images" / f"{n}.jpg", n)


def vqa(root: Path, prefix: str, short: str) -> None:
    for part, image in (("val", 42), ("train", 9)):
        question = {"image_id": image, "question": "What is it?", "question_id": image * 1000}
        answers = [
            {"answer": "dog" if n < 9 else "cat", "answer_id": n + 1, "answer_confidence": "yes"} for n in range(10)
        ]
        annotation = {"image_id": image, "question_id": image * 1000, "answers": answers, "question_type": "what"}
        write_json(root / f"{prefix}OpenEnded_mscoco_{part}2014_questions.json", {"info": {}, "questions": [question]})
        write_json(root / f"{short}mscoco_{part}2014_annotations.json", {"annotations": [annotation]})
        save_picture(root / f"{part}2014" / f"COCO_{part}2014_{image:012d}.jpg", image)


def vizwiz(root: Path) -> None:
    for part, name in (("val", "VizWiz_val_00000000.jpg"), ("train", "VizWiz_train_00000000.jpg")):
        answers = [{"answer_confidence": "yes", "answer": "dog"}] * 9 + [{"answer_confidence": "no", "answer": "cat"}]
        entry = {
            "image": name,
            "question": "What is this?",
            "answers": answers,
            "answer_type": "other",
            "answerable": 1,
        }
        write_json(root / "Annotations" / f"{part}.json", [entry])
        save_picture(root / part / name, len(part))


def textvqa(root: Path) -> None:
    for part, image in (("val", "0054c91397f2fe05"), ("train", "0000599864fd15b3")):
        entry = {
            "question": "what is it?",
            "image_id": image,
            "question_id": len(part),
            "answers": ["dog"] * 9 + ["cat"],
        }
        write_json(
            root / f"TextVQA_0.5.1_{part}.json", {"dataset_type": part, "data": [entry], "dataset_name": "textvqa"}
        )
        save_picture(root / "train_images" / f"{image}.jpg", len(part))


def hatefulmemes(root: Path) -> None:
    for part, number in (("test_seen", 16395), ("train", 42953)):
        line = {"id": number, "img": f"img/{number}.png", "label": 1, "text": "look at this"}
        write_lines(root / f"{part}.jsonl", [line])
        save_picture(root / "img" / f"{number}.png", number)


def imagenet(root: Path) -> None:
    write_lines(root / "LOC_synset_mapping.txt", ["n01440764 tench, Tinca tinca", "n02084071 dog, domestic dog"])
    write_lines(
        root / "LOC_val_solution.csv", ["ImageId,PredictionString", "ILSVRC2012_val_293,n02084071 85 1 499 272 "]
    )
    save_picture(root / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_293.JPEG", 1)
    save_picture(root / "ILSVRC/Data/CLS-LOC/train/n02084071/n02084071_1.JPEG", 2)


def visdial(root: Path) -> None:
    for part, image in (("val", 185565), ("train", 378466)):
        turn = {"question": 0, "answer": 1, "answer_options": [0, 1, 2], "gt_index": 1}
        dialogue = {
            "image_id": image,
            "caption": "a dog on a mat",
            "dialog": [turn, {**turn, "question": 1, "answer": 0}],
        }
        data = {"questions": ["is it big", "what is it"], "answers": ["dog", "yes", "no"], "dialogs": [dialogue]}
        write_json(root / f"visdial_1.0_{part}.json", {"version": "1.0", "split": f"{part}2018", "data": data})
    dense = [{"image_id": 185565, "round_id": 2, "gt_relevance": [1.0, 0.2, 0.0]}]
    write_json(root / "visdial_1.0_val_dense_annotations.json", dense)
    save_picture(root / "VisualDialog_val2018" / "VisualDialog_val2018_000000185565.jpg", 1)
    save_picture(root / "val2014" / "COCO_val2014_000000378466.jpg", 2)


def msvdqa(root: Path) -> None:
    write_lines(root / "youtube_mapping.txt", ["-4wsuPCjDBc_5_15 vid1", "-7KMZQEsJW4_205_208 vid2"])
    for part, video in (("test", 1), ("train", 2)):
        entry = {"answer": "dog", "id": 30933 + video, "question": "what is it?", "video_id": video}
        write_json(root / f"{part}_qa.json", [entry])
    save_video(root / "YouTubeClips" / "-4wsuPCjDBc_5_15.avi", 1)
    save_video(root / "YouTubeClips" / "-7KMZQEsJW4_205_208.avi", 2)


def msrvttqa(root: Path) -> None:
    for part, video in (("test", 7010), ("train", 0)):
        entry = {"category_id": 14, "question": "what is it?", "video_id": video, "answer": "dog", "id": video}
        write_json(root / f"{part}_qa.json", [entry])
        save_video(root / "videos" / f"video{video}.mp4", video)


def vatex(root: Path) -> None:
    for name, video in (
        ("public_test_english_v1.1", "G9zN5TTuGO4_000179_000189"),
        ("training_v1.0", "Ptf_000122_000132"),
    ):
        write_json(root / f"vatex_{name}.json", [{"videoID": video, "enCap": [f"A dog runs {n}." for n in range(10)]}])
        save_video(root / "videos" / f"{video}.mp4", len(video))


def youcook2(root: Path) -> None:
    database = {}
    for subset, video in (("validation", "GLd3aX16zBg"), ("training", "xHr8X2Wpmno")):
        segments = [
            {"segment": [0, 1], "id": 0, "sentence": "cut a dog"},
            {"segment": [1, 2], "id": 1, "sentence": "mix"},
        ]
        database[video] = {
            "duration": 2.0,
            "subset": subset,
            "recipe_type": "113",
            "annotations": segments,
            "video_url": f"https://www.youtube.com/watch?v={video}",
        }
        save_video(root / "raw_videos" / subset / "113" / f"{video}.mkv", len(subset))
    write_json(root / "youcookii_annotations_trainval.json", {"database": database})


def ivqa(root: Path) -> None:
    head = "video_id,start,end,question,answer1,answer2,answer3,answer4,answer5"
    for part, video in (("test", "6Y8HdVfWqw0"), ("train", "NxT8ZdVfWqw")):
        write_lines(root / f"{part}.csv", [head, f"{video},0,1,what is it?,dog,dog,dog,cat,"])
        save_video(root / "videos" / f"{video}.webm", len(part))


def nextqa(root: Path) -> None:
    head = "video,frame_count,width,height,question,answer,qid,type"
    for part, video in (("test", "4882821564"), ("train", "4010069381")):
        write_lines(root / "dataset/nextqa" / f"{part}.csv", [head, f"{video},697,640,480,what is it?,dog,1,DO"])
        save_video(root / "videos" / "1164" / f"{video}.mp4", len(part))
    mapping = {video: f"1164/{video}" for video in ("4882821564", "4010069381")}
    write_json(root / "map_vid_vidorID.json", mapping)
    write_json(root / "dataset/nextqa/add_reference_answer_test.json", {"4882821564": {"1": "a big dog"}})


def star(root: Path) -> None:
    for part, video in (("val", "6H78U"), ("train", "TJZ0P")):
        choices = [
            {"choice_id": n, "choice": text} for n, text in enumerate(["The cat.", "dog", "The bag.", "The box."])
        ]
        entry = {
            "question_id": f"Interaction_T1_{len(part)}",
            "question": "Which object was it?",
            "answer": "dog",
            "question_program": [],
            "choices": choices,
            "video_id": video,
            "start": 0.5,
            "end": 1.5,
            "situations": {},
        }
        write_json(root / f"STAR_{part}.json", [entry])
        save_video(root / "Charades_v1_480" / f"{video}.mp4", len(part))


def kinetics700(root: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split"
    for part, video in (("val", "---QUuC4vJs"), ("train", "--3ouPhoy2A")):
        write_lines(
            root / "annotations" / f"{part}.csv", [head, f"dog,{video},84,94,{part}", f"cat,nowhere-{part},1,11,{part}"]
        )
        save_video(root / part / f"{video}_000084_000094.mp4", len(part))


def rareact(root: Path) -> None:
    rows = [
        "id,video_id,start,end,class_id,verb,noun,annotation",
        "0,7frRY7aGwMU,0,1,1,wash,dog,1",
        "1,7frRY7aGwMU,1,2,0,cut,onion,0",
    ]
    write_lines(root / "rareact.csv", rows)
    save_video(root / "videos" / "7frRY7aGwMU.mp4", 3)


FILES: dict[str, Callable[[Path], None]] = {
    "coco": coco,
    "flickr30k": flickr30k,
    "vqav2": lambda root: vqa(root, "v2_", "v2_"),
    "okvqa": lambda root: vqa(root, "", ""),
    "vizwiz": vizwiz,
    "textvqa": textvqa,
    "hatefulmemes": hatefulmemes,
    "imagenet": imagenet,
    "visdial": visdial,
    "msvdqa": msvdqa,
    "msrvttqa": msrvttqa,
    "vatex": vatex,
    "youcook2": youcook2,
    "ivqa": ivqa,
    "nextqa": nextqa,
    "star": star,
    "kinetics700": kinetics700,
    "rareact": rareact,
}
QUESTION = {"question": "What is it?"}
TEN = ("dog",) * 9 + ("cat",)
QUERIES: dict[str, dict[str, Any]] = {
    "coco": {"id": "100", "answers": ("A picture 0.", "Another caption.")},
    "flickr30k": {"id": "7", "answers": ("A dog 7 runs .",)},
    "vqav2": {"id": "42000", "question": "What is it?", "answers": TEN},
    "okvqa": {"id": "42000", "question": "What is it?", "answers": TEN},
    "vizwiz": {"id": "VizWiz_val_00000000.jpg", "question": "What is this?", "answers": TEN},
    "textvqa": {"id": "3", "question": "what is it?", "answers": TEN},
    "hatefulmemes": {"id": "16395", "question": "look at this", "answers": ("yes",), "candidates": ("yes", "no")},
    "imagenet": {
        "id": "n02084071/ILSVRC2012_val_293.JPEG",
        "answers": ("dog",),
        "candidates": ("tench", "dog"),
        "label": "n02084071",
    },
    "visdial": {
        "id": "185565-2",
        "context": "a dog on a mat Question: is it big? Answer: yes",
        "question": "what is it?",
        "answers": ("dog",),
        "candidates": ("dog", "yes", "no"),
        "relevance": (1.0, 0.2, 0.0),
    },
    "msvdqa": {"id": "30934", "question": "what is it?", "answers": ("dog",)},
    "msrvttqa": {"id": "7010", "question": "what is it?", "answers": ("dog",)},
    "vatex": {"id": "G9zN5TTuGO4_000179_000189", "answers": tuple(f"A dog runs {n}." for n in range(10))},
    "youcook2": {"id": "GLd3aX16zBg-0", "answers": ("cut a dog",)},
    "ivqa": {"id": "0", "question": "what is it?", "answers": ("dog", "dog", "dog", "cat")},
    "nextqa": {
        "id": "4882821564-1",
        "question": "what is it?",
        "answers": ("dog", "a big dog"),
        "facts": {"type": "DO"},
    },
    "star": {
        "id": "Interaction_T1_3",
        "question": "Which object was it?",
        "answers": ("dog",),
        "candidates": ("The cat.", "dog", "The bag.", "The box."),
    },
    "kinetics700": {"id": "---QUuC4vJs-84", "answers": ("dog",), "candidates": ("cat", "dog"), "label": "dog"},
    "rareact": {"id": "0", "answers": ("washes a dog",), "candidates": ("cuts an onion", "washes a dog")},
}
PARTS = {"youcook2": (0.0, 1.0), "ivqa": (0.0, 1.0), "star": (0.5, 1.5), "rareact": (0.0, 1.0)}
"""Parts of a video, seconds; the frames at 4 a second are 5."""
VIDEOS = ("msvdqa", "msrvttqa", "vatex", "youcook2", "ivqa", "nextqa", "star", "kinetics700", "rareact")


def test_every_shipped_task_is_tested_here() -> None:
    assert set(shipped_tasks()) == set(FILES) == set(QUERIES)
    used = {load_task(name)[0].layout for name in shipped_tasks()}
    assert set(LAYOUTS) - used == {"table", "shards", "coco_captions"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_published_files(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path / name)
    task, root = load_task(name, tmp_path)
    assert task.name == name and task.home.startswith("http") and root == tmp_path / name
    query = read_split(task, root, "query")[0][0]
    for field, value in QUERIES[name].items():
        assert value == getattr(query, field), field
    frames = Frames(5, 4.0)
    seen = read(query.visual, frames)
    assert not isinstance(seen, Rejected), seen
    assert len(seen) == (5 if name in VIDEOS else 1)
    assert (query.visual.start, query.visual.end) == PARTS.get(name, (0.0, None))
    if task.support:
        support = read_split(task, root, "support")[0][0]
        assert not isinstance(read(support.visual, frames), Rejected)
        assert support.answers and digest(support.visual) != digest(query.visual)
    else:
        assert name == "rareact"


def test_karpathy_takes_several_parts_for_shots(tmp_path: Path) -> None:
    coco(tmp_path)
    task, root = load_task("coco", tmp_path)
    assert [example.id for example in read_split(task, root, "support")[0]] == ["101", "102"]


def test_coco_captions(tmp_path: Path) -> None:
    image = {"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "width": 4, "height": 4}
    captions = [{"image_id": 9, "id": n, "caption": f"A cat {n}. "} for n in range(2)]
    write_json(tmp_path / "annotations/captions_val2014.json", {"images": [image], "annotations": captions})
    save_picture(tmp_path / "val2014" / str(image["file_name"]), 1)
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nlayout = "coco_captions"\nprompt = "caption"\nmode = "generate"\nmetric = "cider"\n'
        '[query]\nannotations = "annotations/captions_val2014.json"\nimages = "val2014"\n'
    )
    task, root = load_task(tmp_path / "mine.toml")
    (example,) = read_split(task, root, "query")[0]
    assert example == Example(id="9", visual=example.visual, answers=("A cat 0.", "A cat 1."))
    assert not isinstance(read(example.visual, Frames(1, 1.0)), Rejected)


def test_parts_of_videos_as_files_of_their_own(tmp_path: Path) -> None:
    ivqa(tmp_path)
    task, root = load_task("ivqa", tmp_path)
    (example,) = LAYOUTS["ivqa"].read(root, {**task.query, "pattern": "{video_id}_{start}_{end}"})
    assert isinstance(example, Example) and example.visual.path is not None
    assert example.visual.path.name == "6Y8HdVfWqw0_0_1" and example.visual.end is None


def test_questions_without_public_answers(tmp_path: Path) -> None:
    vqa(tmp_path, "v2_", "v2_")
    task, root = load_task("vqav2", tmp_path)
    split = {name: value for name, value in task.query.items() if name != "annotations"}
    (example,) = LAYOUTS["vqa"].read(root, split)
    assert isinstance(example, Example) and example.answers == () and example.question == "What is it?"


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_data_says_where_it_is_to_be_had(name: str, tmp_path: Path) -> None:
    task, root = load_task(name, tmp_path)
    with pytest.raises(TaskError, match=r"is not there\. It is to be had at http") as error:
        read_split(task, root, "query")
    assert task.home in str(error.value) and name in str(error.value)


@pytest.mark.parametrize("name", sorted(FILES))
def test_other_files_of_that_name_are_an_error(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path)
    task, root = load_task(name, tmp_path)
    for key in ("annotations", "questions", "dialogues", "names"):
        if key not in task.query:
            continue
        path = root / task.query[key]
        if path.suffix == ".json":
            write_json(path, {"other": [1]})
        else:
            write_lines(path, ["other,columns", "1,2"] if path.suffix == ".csv" else ['{"other": 1}'])
        with pytest.raises(TaskError, match=r"not laid out|is not|no example"):
            read_split(task, root, "query")
        return
    raise AssertionError("no such file")
