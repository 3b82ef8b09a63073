"""What the end-to-end tests share: recipes, builds in this process and as a command, and what came out of them."""

import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipelines import cli
from pipelines.build import ROWS_PER_PASS, BuildOptions, build
from pipelines.engine import Engine, LocalEngine
from pipelines.fetch import Web
from pipelines.plan import BYTES_PER_PARTITION
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.web.config import TestAllowances
from schemas.manifest import Manifest

OFFLINE = Web(agent=None, allowances=TestAllowances(loopback=False, pacing_off=False), connections=1)
RECIPE = {
    "source": {"range_bytes": 100_000},  # so that a small crawl is many units of the scan, ...
    "shards": {"max_bytes": 200_000},  # ... and a few samples are many shards
    "image_safety": {"scorer": '"none"'},
}
NOT_OF_THE_RESULT = ("run.json", "plan.json", ".lock", "work", "media")
"""What may differ between equal builds, and what belongs to the next one."""


def write_recipe(path: Path, **changes: dict[str, Any]) -> Path:
    """The demo's recipe with many small units and shards and without a scorer, and with `changes` by table."""
    tables = {name: {**RECIPE.get(name, {}), **changes.get(name, {})} for name in {**RECIPE, **changes}}
    lines = ['extends = "demo"']
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def build_in(
    output: Path,
    inputs: Path | Sequence[Path],
    recipe: Path,
    engine: Engine | None = None,
    bytes_per_partition: int = BYTES_PER_PARTITION,
    rows_per_pass: int = ROWS_PER_PASS,
) -> Path:
    """Builds in this process, by default with one worker in memory; the output."""
    given = [inputs] if isinstance(inputs, Path) else inputs
    options = BuildOptions(
        inputs=tuple(map(str, given)),
        output=str(output),
        bytes_per_partition=bytes_per_partition,
        rows_per_pass=rows_per_pass,
    )
    build(load_recipe(str(recipe)), options, engine or LocalEngine(), OFFLINE, Progress(quiet=True))
    return output


def m3w(*arguments: object) -> tuple[int, str, str]:
    """The command in this process: exit code, stdout and stderr."""
    out, err = StringIO(), StringIO()
    with patch.object(sys, "argv", ["m3w", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def start(*arguments: object) -> subprocess.Popen[str]:
    """The command as a process that leads a group of its own."""
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def poisoned(what: str, how: str, once: Path | str, *arguments: object) -> tuple[int, str, str]:
    """The command with defects (see poisoned.py): exit code, stdout and stderr."""
    command = [sys.executable, Path(__file__).parent / "poisoned.py", what, how, once, *arguments]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "100"},
    )
    return ran.returncode, ran.stdout, ran.stderr


# --- what came out ---------------------------------------------------------------------------------------------------


def digests(output: Path) -> dict[str, str]:
    """sha256 of every file of a data set, by name."""
    files = [path for path in output.rglob("*") if path.is_file()]
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if (name := str(path.relative_to(output))).split("/")[0] not in NOT_OF_THE_RESULT
    }


def manifest(output: Path) -> Manifest:
    from schemas.manifest import read_manifest

    return read_manifest((output / "manifest.json").read_text(), "manifest.json")


@dataclass
class Sample:
    """A sample as any reader of tar files sees it."""

    json: dict[str, Any] = field(default_factory=dict)
    members: dict[str, bytes] = field(default_factory=dict)
    """Bytes by extension ("0.jpg"), without the JSON."""

    def without_source(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """All but where in the input it stood."""
        return {name: value for name, value in self.json.items() if name != "source"}, self.members


def samples(output: Path) -> dict[str, Sample]:
    """All samples by their keys."""
    found: dict[str, Sample] = {}
    for path in sorted((output / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                stream = tar.extractfile(member)
                assert stream is not None
                sample = found.setdefault(key, Sample())
                if extension == "json":
                    sample.json = json.load(stream)
                else:
                    sample.members[extension] = stream.read()
    return found


def without_sources(output: Path) -> dict[str, Any]:
    return {key: sample.without_source() for key, sample in samples(output).items()}


def letters(output: Path) -> list[dict[str, Any]]:
    """All dead letters."""
    files = sorted((output / "dead_letters").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def dropped(letters: Iterable[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """How many things were dropped, by (kind, stage, reason)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for letter in letters:
        found[letter["kind"], letter["stage"], letter["reason"]] += letter["count"]
    return found


def sample_of(output: Path) -> str:
    """The address of some page that became a sample."""
    return str(min(sample.json["url"] for sample in samples(output).values()))


def check_counts(output: Path) -> None:
    """In is out and dropped, in each row; each drop has its letter; the samples are those of the last row."""
    funnel = manifest(output).funnel
    assert all(entry.becomes or entry.into == entry.out + sum(entry.dropped.values()) for entry in funnel)
    assert dropped(letters(output)) == {(r.kind, r.stage, reason): n for r in funnel for reason, n in r.dropped.items()}
    assert funnel[-1].kind == "sample" and funnel[-1].out == len(samples(output))


def unfinished(output: Path) -> list[Path]:
    """Files that an attempt began and did not finish."""
    return list(output.rglob("*.tmp"))
