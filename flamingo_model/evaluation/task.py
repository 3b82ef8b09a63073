"""A task: a small TOML file that says where its examples are and how they are asked, answered and judged.

    name = "birds"
    about = "Which bird is it?"
    home = "https://birds.example.org"     # where the data is to be had: errors say so
    layout = "table"
    prompt = "question"
    mode = "generate"
    metric = "vqa_accuracy"

    [query]                                 # what is asked
    table = "val.jsonl"

    [support]                               # where shots come from
    table = "train.jsonl"

Paths are relative to the folder of the data set: that of the file itself, or what `--data` says. The tasks of the paper
are shipped (`tasks/`).
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from flamingo_model.evaluation import picture_sets, tables, video_sets
from flamingo_model.evaluation.examples import Example, TaskError
from schemas.rejection import Rejected
from schemas.strict import StrictError, from_plain

PromptKind = Literal["caption", "plain", "question", "hateful_memes", "rareact", "dialogue"]
Metric = Literal[
    "vqa_accuracy", "accuracy", "ivqa_accuracy", "cider", "roc_auc", "top1", "top1_top5", "mwap", "wups", "ndcg"
]


@dataclass(frozen=True)
class Layout:
    """How files are read."""

    read: Callable[[Path, Mapping[str, str]], Iterator[Example | Rejected]]
    files: tuple[str, ...]
    """Keys of a split that name files or folders that must be there."""
    needs: tuple[str, ...] = ()
    """Other keys that must be there."""
    may: tuple[str, ...] = ()
    """Keys that may be there, of files too."""


LAYOUTS = {
    "table": Layout(tables.read_table, ("table",), may=("images",)),
    "shards": Layout(tables.read_shards, (), ("shards",), ("split",)),
    "coco_captions": Layout(picture_sets.coco_captions, ("annotations", "images")),
    "karpathy": Layout(picture_sets.karpathy, ("annotations", "images"), ("split",)),
    "vqa": Layout(picture_sets.vqa, ("questions", "images"), ("pattern",), ("annotations",)),
    "vizwiz": Layout(picture_sets.vizwiz, ("annotations", "images")),
    "textvqa": Layout(picture_sets.textvqa, ("annotations", "images")),
    "hateful_memes": Layout(picture_sets.hateful_memes, ("annotations",), may=("images",)),
    "class_folders": Layout(picture_sets.class_folders, ("images", "names"), may=("labels",)),
    "visdial": Layout(picture_sets.visdial, ("dialogues", "images"), ("pattern",), ("dense",)),
    "video_qa": Layout(video_sets.video_qa, ("annotations", "videos"), ("pattern",), ("mapping",)),
    "vatex": Layout(video_sets.vatex, ("annotations", "videos")),
    "youcook2": Layout(video_sets.youcook2, ("annotations", "videos"), ("split", "pattern")),
    "ivqa": Layout(video_sets.ivqa, ("annotations", "videos"), may=("pattern",)),
    "nextqa": Layout(video_sets.nextqa, ("annotations", "videos"), may=("mapping", "more")),
    "star": Layout(video_sets.star, ("annotations", "videos")),
    "kinetics": Layout(video_sets.kinetics, ("annotations", "videos"), ("pattern",), ("labels",)),
    "rareact": Layout(video_sets.rareact, ("annotations", "videos")),
}
OPTIONAL_FILES = ("annotations", "dense", "mapping", "more", "labels")
DEFAULTS: Mapping[str, Any] = {
    "about": "",
    "home": "",
    "support": {},
    "max_new_tokens": 20,
    "max_shots": 32,
    "text_shots": 2,
    "support_size": 2048,
    "support_per_class": 0,
    "frames": 30,
    "fps": 3.0,
    "paper": {},
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What stands in a task file. All but `name`, `layout`, `prompt`, `mode`, `metric` and `query` have defaults."""

    name: str
    """Letters, digits, "-", "_" and ".": files of results are named after it."""
    about: str
    """One line for a person."""
    home: str
    """Where the data is to be had."""
    layout: str
    """One of `LAYOUTS`."""
    prompt: PromptKind
    mode: Literal["generate", "rank"]
    """An open answer, or the likeliest of the candidates."""
    metric: Metric
    query: Mapping[str, str]
    """Files and settings of what is asked, as the layout wants them."""
    support: Mapping[str, str]
    """The same of the examples among which shots are chosen; empty: there are none."""
    max_new_tokens: int
    """Of an open answer; the paper does not say. 20 here."""
    max_shots: int
    """More do not fit (VisDial: 16, section D.1)."""
    text_shots: int
    """Examples without their pictures when there are no shots (section A.2: two; none for tasks that rank)."""
    support_size: int
    """So many are drawn of the support (section B.1.4: 2048); 0: all."""
    support_per_class: int
    """Instead, so many of each label (section B.1.4: 32); 0: does not matter."""
    frames: int
    """Of a video, at most (section 3.1.1: 30)."""
    fps: float
    """Frames a second (section 3.1.1: 3)."""
    paper: Mapping[str, tuple[float, ...]]
    """The paper's scores by model, with 0, 4 and 32 shots (or as `about` says)."""

    def __post_init__(self) -> None:
        if not self.name or not all(sign.isalnum() or sign in "-_." for sign in self.name):
            raise ValueError(f"name is {self.name!r}, must be letters, digits, '-', '_' and '.'")
        if self.layout not in LAYOUTS:
            near = get_close_matches(self.layout, LAYOUTS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"layout {self.layout!r} is none of {', '.join(LAYOUTS)}{hint}")
        for name in ("max_new_tokens", "max_shots", "frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        for name in ("text_shots", "support_size", "support_per_class"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must not be negative")
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}, must be above 0")
        ranks = self.metric in ("roc_auc", "top1", "top1_top5", "mwap", "ndcg")
        if ranks != (self.mode == "rank"):
            raise ValueError(f"metric {self.metric!r} is not for mode {self.mode!r}")
        for table in ("query", "support"):
            _check_split(self.layout, table, getattr(self, table))


def _check_split(layout: str, table: str, split: Mapping[str, str]) -> None:
    how = LAYOUTS[layout]
    known = (*how.files, *how.needs, *how.may)
    if table == "support" and not split:
        return
    if unknown := sorted(split.keys() - set(known)):
        raise ValueError(f"[{table}] has {unknown[0]!r}, which layout {layout!r} does not know: {', '.join(known)}")
    if missing := [name for name in (*how.files, *how.needs) if name not in split]:
        raise ValueError(f"[{table}] lacks {', '.join(missing)}, which layout {layout!r} needs")


def shipped_tasks() -> tuple[str, ...]:
    """Names of the tasks of the paper."""
    folder = resources.files("flamingo_model.evaluation") / "tasks"
    return tuple(sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")))


def load_task(name: str | Path, data: Path | None = None) -> tuple[Task, Path]:
    """A task and the folder of its data.

    Args:
        name: a task file, or the name of a shipped one.
        data: a file's data set; of shipped tasks the folder that has one of the task's name, or is it. None: the
            file's own folder, or the working directory.

    Raises:
        TaskError: no such file or task, not TOML, unknown or missing keys, values that do not fit.
    """
    shipped = shipped_tasks()
    if str(name) in shipped:
        source: Any = resources.files("flamingo_model.evaluation") / "tasks" / f"{name}.toml"
        root = data or Path()
        root = root / str(name) if (root / str(name)).is_dir() else root
    elif Path(name).is_file():
        source, root = Path(name), data or Path(name).parent
    else:
        near = get_close_matches(str(name), shipped, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TaskError(f"no task file {str(name)!r}, and no shipped task.{hint} Shipped: {', '.join(shipped)}")
    try:
        tables_ = tomllib.loads(source.read_text(encoding="utf-8"))
        return from_plain(Task, {**DEFAULTS, **tables_}, str(name)), root
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{name}: {error}") from error
    except StrictError as error:
        raise TaskError(str(error)) from error


def read_split(task: Task, root: Path, table: Literal["query", "support"]) -> tuple[list[Example], list[Rejected]]:
    """All examples of a split, and what of it could not be read.

    Raises:
        TaskError: files are not there (the message says where they are to be had), or not laid out so; two examples
            have one id; there is none.
    """
    split: Mapping[str, str] = getattr(task, table)
    how = LAYOUTS[task.layout]
    for name in (*how.files, *OPTIONAL_FILES):
        if name in split and not (root / split[name]).exists():
            raise TaskError(f"{task.name}: {root / split[name]} is not there. {where(task)}")
    examples: list[Example] = []
    rejected: list[Rejected] = []
    try:
        for made in how.read(root, split):
            if isinstance(made, Rejected):
                rejected.append(made)
            else:
                examples.append(made)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise TaskError(
            f"{task.name}: the files of [{table}] in {root} are not laid out as {task.layout!r}: "
            f"{type(error).__name__} {error}. {where(task)}"
        ) from error
    if not examples:
        more = f" ({rejected[0].detail})" if rejected else ""
        raise TaskError(f"{task.name}: [{table}] has no example{more}. {where(task)}")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise TaskError(f"{task.name}: two examples of [{table}] have the id {example.id!r}")
        seen.add(example.id)
    return examples, rejected


def where(task: Task) -> str:
    """Where a task's data is to be had, and how it is to lie."""
    files = ", ".join(
        f"{value}" for name, value in task.query.items() if name in (*LAYOUTS[task.layout].files, "dense")
    )
    home = f"It is to be had at {task.home}. " if task.home else ""
    return f"{home}The folder of the data set (--data) must hold {files or 'what [query] names'}"
