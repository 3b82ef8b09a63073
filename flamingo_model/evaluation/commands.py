"""What `flamingo generate` and `flamingo evaluate` do; the command line only hands over its options."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flamingo_model.evaluation.dialogue import Dialogue, Settings, describe, reply
from flamingo_model.evaluation.examples import Example, TaskError
from flamingo_model.evaluation.opened import Opened, open_model
from flamingo_model.evaluation.records import Options
from flamingo_model.evaluation.report import as_table, write_results
from flamingo_model.evaluation.run import Result, evaluate
from flamingo_model.evaluation.tables import read_table
from flamingo_model.evaluation.task import load_task
from schemas.rejection import Rejected
from schemas.strict import to_plain


def run_generate(
    folder: Path,
    images: Sequence[Path],
    *,
    text: str,
    shots: Path | None,
    settings: Settings,
    tokenizer: str,
    device: str,
    as_json: bool,
) -> int:
    """A text for each picture on stdout, what cannot be read on stderr; 1 if none could be read."""
    for path in images:  # before seconds go by for the model
        if not path.exists():
            raise TaskError(f"{path} is not there")
    examples = _shots(shots)
    opened = _open(folder, tokenizer, device)
    lines = []
    width = max(len(str(path)) for path in images)
    failed = 0
    for path in images:
        (said,) = describe(opened, [path], text, examples, settings)
        if isinstance(said, Rejected):
            failed += 1
            print(f"flamingo: {said.detail}", file=sys.stderr)
        lines.append({"image": str(path)} | ({"error": said.detail} if isinstance(said, Rejected) else {"text": said}))
        if not as_json and not isinstance(said, Rejected):
            print(f"{path!s:{width}}  {said}", flush=True)
    if as_json:
        print(json.dumps(lines, indent=1, ensure_ascii=False))
    return int(failed == len(images))


def run_dialogue(folder: Path, images: Sequence[Path], *, settings: Settings, tokenizer: str, device: str) -> int:
    """A conversation on the terminal: a line is a message, an empty one ends it; "/image PATH" shows a picture."""
    for path in images:
        if not path.exists():
            raise TaskError(f"{path} is not there")
    opened = _open(folder, tokenizer, device)
    talk, pending = Dialogue(), list(images)
    ask = sys.stdin.isatty()
    if ask:
        print("Write a message; /image PATH shows a picture, an empty line ends.", file=sys.stderr)
    while line := _line("User: " if ask else "").strip():
        if line.startswith("/image "):
            path = Path(line.removeprefix("/image ").strip())
            if path.exists():
                pending.append(path)
            else:
                print(f"flamingo: {path} is not there", file=sys.stderr)
            continue
        talk, said = reply(opened, talk, [*pending, line], settings)
        pending = []
        print(f"Flamingo: {said}", flush=True)
    return 0


def run_evaluate(
    folder: Path,
    tasks: Sequence[str],
    *,
    data: Path | None,
    shots: Sequence[int],
    options: Options,
    output: Path,
    tokenizer: str,
    device: str,
    as_json: bool,
    per_class: int | None = None,
) -> int:
    """All tasks with all numbers of shots; results are written after each."""
    if output.suffix != ".json":
        raise TaskError(f"--output is {output}, must be a .json file; answers go to a folder of its name")
    loaded = [load_task(name, data) for name in tasks]
    for number in shots:
        if number < 0:
            raise TaskError(f"--shots {number} is below 0")
    opened = _open(folder, tokenizer, device)
    results: list[Result] = []
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    output.parent.mkdir(parents=True, exist_ok=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for task, root in loaded:
            own = task if per_class is None else replace(task, support_per_class=per_class)
            for count in shots:
                bar = progress.add_task(f"{task.name}, {count} shots", total=None)

                def tell(done: int, of: int, bar: int = bar) -> None:
                    progress.update(bar, completed=done, total=of)  # type: ignore[arg-type]

                results.append(evaluate(opened, own, root, count, options, output.with_suffix(""), tell))
                write_results(output, str(folder), results, to_plain(options))
    print(json.dumps(to_plain(results), indent=1) if as_json else as_table(results))
    return 0


def _open(folder: Path, tokenizer: str, device: str) -> Opened:
    """The model, without the bars and reports of the transformers library."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return open_model(folder, tokenizer, device)


def _shots(table: Path | None) -> list[Example]:
    if table is None:
        return []
    if not table.is_file():
        raise TaskError(f"--shots {table} is not there: a table of image and answer, see docs/evaluation.md")
    return list(read_table(table.parent, {"table": table.name}))


def _line(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""
