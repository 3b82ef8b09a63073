"""The machine, the versions and the load that a figure was taken with, and the file that a benchmark writes."""

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SCRATCH = ROOT / "build" / "bench"
"""Where benchmarks put what they make; each cleans up after itself."""
PACKAGES = ("openm3w", "apache-beam", "fastwarc", "lxml", "fasttext-numpy2", "pillow", "pyarrow", "numpy")


@dataclass(frozen=True)
class Table:
    """A markdown table; cells are ready to print."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def markdown(self) -> str:
        """The first column is aligned to the left, the others, which hold numbers, to the right."""
        lines = [f"### {self.title}\n"] if self.title else []
        lines += [_line(self.head), _line([":---", *["---:"] * (len(self.head) - 1)]), *map(_line, self.rows)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Result:
    """What a benchmark found."""

    name: str
    question: str
    """One or two sentences: what is measured, and how."""
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    """What a reader needs to judge the figures."""


def describe_machine() -> list[tuple[str, str]]:
    """What a time depends on."""
    model = _first_value("/proc/cpuinfo", "model name") or platform.processor() or "unknown processor"
    return [
        ("processor", f"{model}, {os.cpu_count()} cores"),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
    ]


def busy_share(seconds: float = 1.0) -> float:
    """Share of all cores, 0 to 1, that other programs take while this one does nothing."""
    return psutil.cpu_percent(seconds) / 100


def write_result(folder: Path, result: Result, command: Sequence[str], began: float, busy: float) -> Path:
    """Writes `<folder>/<name>.md`: the question, the machine, the command and the tables.

    Args:
        command: arguments of `python -m benchmarks.run` that take these figures again.
        began: when the benchmark began, seconds since 1970.
        busy: what `busy_share` said before the benchmark began.
    """
    date = time.strftime("%Y-%m-%d", time.gmtime(began))
    facts = [
        *describe_machine(),
        ("other load", f"{busy:.0%} of all cores when it began"),
        ("date", f"{date}, took {time.time() - began:.0f} s"),
        ("command", f"`python -m benchmarks.run {' '.join(command)}`"),
    ]
    parts = [f"# {result.name}\n\n{result.question}\n"]
    parts += [table.markdown() for table in result.tables]
    parts += ["".join(f"- {note}\n" for note in result.notes)] if result.notes else []
    parts += ["## Taken with\n\n" + "".join(f"- {name}: {value}\n" for name, value in facts)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.md"
    path.write_text("\n".join(parts))
    return path


def say(text: str) -> None:
    """A line for who is waiting."""
    print(text, file=sys.stderr, flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _first_value(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
