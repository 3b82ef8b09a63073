"""Results as a table for a person, and as JSON."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flamingo_model.evaluation.run import Result
from schemas.strict import to_plain


def as_table(results: Sequence[Result]) -> str:
    """One line for each result, and below what was left out."""
    names = sorted({name for result in results for name in result.paper})
    head = ["task", "shots", "metric", "score", "95 % interval", "n", *names]
    lines = [head]
    for result in results:
        interval = "" if result.low is None or result.low != result.low else f"{result.low:.1f} to {result.high:.1f}"
        lines.append(
            [
                result.task,
                _shots(result),
                result.metric,
                "no answers" if result.value is None else f"{result.value:.1f}",
                interval,
                str(result.n),
                *(f"{result.paper[name]:.1f}" if name in result.paper else "" for name in names),
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = {3, 5, *range(6, len(head))}
    text = [
        "  ".join(
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    if names:
        text[0] += "  (of the paper)"
    return "\n".join(text + _notes(results))


def _shots(result: Result) -> str:
    said = str(result.shots)
    if result.shown != result.shots:
        said += f" ({result.shown} at most)"
    if result.choice.endswith(" texts"):
        said += f", {result.choice}"
    elif result.choice == "rices":
        said += " rices"
    return said + (f" x {result.ensemble}" if result.ensemble > 1 else "")


def _notes(results: Sequence[Result]) -> list[str]:
    notes = []
    for result in results:
        for counts, what in ((result.excluded, "queries"), (result.support_excluded, "examples of the support")):
            if counts:
                said = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
                notes.append(f"{result.task}, {result.shots} shots: {what} left out: {said}")
        if result.value is None:
            notes.append(f"{result.task}: its answers are not public; {result.answers} is for the official server")
    return ["", *dict.fromkeys(notes)] if notes else []


def write_results(path: Path, model: str, results: Sequence[Result], options: dict[str, Any]) -> None:
    """All results as JSON, replaced whole."""
    text = json.dumps({"model": model, "options": options, "results": to_plain(list(results))}, indent=1)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
