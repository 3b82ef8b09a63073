"""The file of answers: JSON lines, written as they come.

A run that was stopped goes on where it was, and a person can look at what was said. The first line holds all settings,
the file's name a digest of them: answers under other settings never go into it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from flamingo_model.evaluation.examples import Example, TaskError
from flamingo_model.evaluation.metrics import Answer
from flamingo_model.evaluation.opened import Opened, fingerprint
from flamingo_model.evaluation.task import Task


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a task is run. The paper's, where it says: beams 3, 6 orders in an ensemble."""

    rices: bool = False
    """The most similar examples are the shots, the most similar last; else some at random."""
    ensemble: int = 1
    """Of tasks that rank: so many orders of the shots, their log-likelihoods averaged."""
    limit: int = 0
    """So many queries, drawn at random; 0: all."""
    batch: int = 8
    """Prompts that are read at once."""
    beams: int = 3
    seed: int = 0
    end: bool = True
    """`<EOC>` belongs to a candidate. The paper does not say."""
    length_normalised: bool = False
    """Candidates are compared by the mean over their tokens. The paper does not say."""

    def __post_init__(self) -> None:
        for name in ("ensemble", "batch", "beams"):
            if getattr(self, name) < 1:
                raise TaskError(f"{name} is {getattr(self, name)}, must be at least 1")
        if self.limit < 0:
            raise TaskError(f"limit is {self.limit}, must be 0 (all) or more")


def settings_of(opened: Opened, task: Task, shown: int, options: Options, support: Sequence[Example]) -> dict[str, Any]:
    """All that an answer depends on; the limit only chooses among the queries, the batch only the speed."""
    own = {name: value for name, value in asdict(options).items() if name not in ("limit", "batch")}
    asked = {
        name: getattr(task, name) for name in ("name", "layout", "prompt", "mode", "max_new_tokens", "frames", "fps")
    }
    files = {"query": dict(task.query), "support": dict(task.support), "text_shots": task.text_shots}
    drawn = hashlib.sha256("\n".join(example.id for example in support).encode()).hexdigest()[:16]
    return {"model": fingerprint(opened), "shots": shown, **asked, **files, **own, "support_drawn": drawn}


def short(settings: dict[str, Any]) -> str:
    """A digest of them."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def read_done(path: Path) -> dict[str, dict[str, Any]]:
    """Answers of an earlier run. A last line that was cut off is asked again; so are queries whose picture could not be
    read, for it may be there now."""
    if not path.is_file():
        return {}
    done = {}
    whole = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            entry = json.loads(line) if line.endswith("\n") else None
        except ValueError:
            entry = None
        if entry is None or "excluded" in entry:
            continue
        whole.append(line)
        if "id" in entry:
            done[entry["id"]] = entry
    path.write_text("".join(whole), encoding="utf-8")
    return done


def answer_line(query: Example, shots: list[str], answer: Answer) -> dict[str, Any]:
    """What is written of an answer."""
    line: dict[str, Any] = {"id": query.id, "image": query.visual.name, "shots": shots}
    if query.question:
        line["question"] = query.question
    right = list(query.answers[:10])
    return line | {"answer": answer.text, "right": right, "scores": [round(value, 5) for value in answer.scores]}


def write_line(file: TextIO, line: dict[str, Any]) -> None:
    """At once, so that nothing is lost when a run is stopped."""
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()
