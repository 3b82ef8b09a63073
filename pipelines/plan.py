"""The plan of a build: what is read, with which recipe, in which parts. Fixed once, checked by every resume."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipelines.facts import to_json
from pipelines.recipe import Recipe, differences, values
from pipelines.sources.units import Unit
from pipelines.store import paths
from pipelines.store.facts import digest_of
from schemas.manifest import Input
from schemas.strict import from_plain, to_plain

BYTES_PER_PARTITION = 256 << 20
"""Input bytes whose facts one pass of a local shuffle takes; decides memory, never the result."""


class PlanError(ValueError):
    """A build that cannot be started or resumed as asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build does."""

    recipe: Mapping[str, Any]
    """Every value in force, by table."""
    inputs: tuple[Input, ...]
    places: Mapping[str, str]
    """Where each input is, by its name."""
    units: tuple[Unit, ...]
    partitions: int
    allowances: tuple[str, ...]
    """Safety checks lifted for tests."""


def make_plan(recipe: Recipe, units: Sequence[Unit], allowances: Sequence[str]) -> Plan:
    """The plan of a new build."""
    places = {unit.name: unit.path for unit in units}
    inputs = tuple(describe_input(name, path) for name, path in sorted(places.items()))
    size = sum(entry.bytes for entry in inputs)
    return Plan(
        recipe=values(recipe),
        inputs=inputs,
        places=places,
        units=tuple(units),
        partitions=max(1, -(-size // BYTES_PER_PARTITION)),
        allowances=tuple(allowances),
    )


def describe_input(name: str, path: str) -> Input:
    """Size and digest of an input file, or of a folder's files with their names."""
    listed = paths.list_files(path)
    if not listed:
        size, digest = digest_of(path)
        return Input(name=name, bytes=size, sha256=digest)
    total, state = 0, sha256()
    for file in listed:
        size, digest = digest_of(file)
        total += size
        state.update(to_json([file[len(path) :], digest]).encode())
    return Input(name=name, bytes=total, sha256=state.hexdigest())


def save_plan(path: str, plan: Plan) -> None:
    paths.publish(path, json.dumps(to_plain(plan), indent=1).encode())


def load_plan(path: str) -> Plan:
    return from_plain(Plan, json.loads(paths.read_bytes(path)), path)


def check_same(old: Plan, new: Plan, output: str) -> None:
    """Raises PlanError if a started build in `output` cannot go on with what is asked now."""
    if changed := differences(old.recipe, new.recipe):
        keys = "; ".join(f"{key}: {before!r} then, {now!r} now" for key, before, now in changed)
        raise PlanError(
            f"{output} was started with another recipe ({keys}). Use the old values, or another output folder"
        )
    if old.inputs != new.inputs:
        one, two = {entry.name: entry for entry in old.inputs}, {entry.name: entry for entry in new.inputs}
        names = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
        raise PlanError(
            f"{output} was started with other input ({', '.join(names)} differ). Use the same, or another output folder"
        )
    if old.allowances != new.allowances:
        raise PlanError(f"{output} was started with test flags {list(old.allowances)}, now {list(new.allowances)}")
