"""The part of the Dockerfile language that ours uses, and .dockerignore: read, not a second copy of the steps."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

KNOWN = frozenset(
    ["ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "LABEL", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"]
)


class DockerfileError(ValueError):
    """What is not understood here; Docker itself may know it."""


class Instruction(NamedTuple):
    """A line of the file, its continuations joined."""

    word: str
    rest: str


@dataclass
class Stage:
    """What one FROM begins."""

    image: str
    name: str
    steps: list[Instruction] = field(default_factory=list)


def instructions(text: str) -> list[Instruction]:
    """
    Raises:
        DockerfileError: an instruction that is not known here.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    found = []
    for line in filter(str.strip, joined.splitlines()):
        word, _, rest = line.strip().partition(" ")
        if word.upper() not in KNOWN:
            raise DockerfileError(f"{line.strip()}: {word} is not carried out here")
        found.append(Instruction(word.upper(), rest.strip()))
    return found


def stages(text: str, arguments: Mapping[str, str]) -> tuple[list[Stage], dict[str, str]]:
    """The stages, their images' names filled in, and the values of the ARGs before the first of them."""
    values: dict[str, str] = {}
    found: list[Stage] = []
    for instruction in instructions(text):
        if instruction.word == "FROM":
            image, *alias = instruction.rest.split()
            found.append(Stage(filled(image, values), alias[1] if alias else str(len(found))))
        elif found:
            found[-1].steps.append(instruction)
        elif instruction.word == "ARG":
            values |= argument(instruction.rest, arguments, {})
        else:
            raise DockerfileError(f"{instruction.word} before the first FROM")
    return found, values


def argument(rest: str, given: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The value of an ARG: given to the build, or its own, or that of the ARG before the first FROM."""
    name, mark, default = rest.partition("=")
    if name in given:
        return {name: given[name]}
    if mark:
        return {name: default}
    return {name: before[name]} if name in before else {}


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with $NAME and ${NAME} replaced; a name without a value by nothing."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values.get(match[1] or match[2], ""), text)


def pairs(rest: str, values: Mapping[str, str]) -> dict[str, str]:
    """NAME=VALUE ... of an ENV."""
    found = dict(word.partition("=")[::2] for word in shlex.split(rest))
    return {name: filled(value, values) for name, value in found.items()}


def command(rest: str) -> list[str]:
    """The words of an ENTRYPOINT, CMD, or HEALTHCHECK's CMD in the form of JSON.

    Raises:
        DockerfileError: another form.
    """
    try:
        words: list[str] = json.loads(rest[rest.index("[") :])
    except ValueError as error:
        raise DockerfileError(f"{rest}: give the words as JSON") from error
    return words


@dataclass(frozen=True)
class Copy:
    """A COPY."""

    stage: str
    """Where from; empty: the build's context."""
    sources: Sequence[str]
    target: str


def copy(rest: str, values: Mapping[str, str]) -> Copy:
    """
    Raises:
        DockerfileError: an option other than --from.
    """
    options = [word for word in rest.split() if word.startswith("--")]
    *sources, target = (filled(word, values) for word in rest.split() if not word.startswith("--"))
    stage = ""
    for option in options:
        if not option.startswith("--from="):
            raise DockerfileError(f"COPY {option} is not carried out here")
        stage = option.removeprefix("--from=")
    return Copy(stage, sources, target)


# --- .dockerignore ---------------------------------------------------------------------------------------------------


def context(folder: Path) -> list[Path]:
    """The files that a build of `folder` may copy, relative to it: those that .dockerignore leaves."""
    lines = (folder / ".dockerignore").read_text().splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    compiled = [(rule.startswith("!"), pattern(rule.lstrip("!"))) for rule in rules]
    kept = []
    for top in sorted(folder.iterdir()):
        if left_out(Path(top.name), compiled) and not any(takes for takes, _ in compiled):
            continue
        files = [top] if top.is_file() else sorted(top.rglob("*")) if may_hold(top.name, rules) else []
        for path in files:
            relative = path.relative_to(folder)
            if path.is_file() and not left_out(relative, compiled):
                kept.append(relative)
    return kept


def may_hold(top: str, rules: Sequence[str]) -> bool:
    """Whether anything below a folder may be kept: keeps .git and the like from being read through."""
    return "*" not in rules or any(rule.startswith("!") and rule[1:].split("/")[0] == top for rule in rules)


def pattern(rule: str) -> re.Pattern[str]:
    """A rule as what matches a path, or a folder above it."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule.strip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def left_out(path: Path, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """Whether the last rule that matches leaves a path out."""
    result = False
    for takes, rule in rules:
        if rule.fullmatch(path.as_posix()):
            result = not takes
    return result
