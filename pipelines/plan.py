"""The plan of a build: what is read, with which recipe, in which parts. Fixed once, checked by every resume."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipelines.digests import Digest
from pipelines.facts import to_json
from pipelines.filters.language import load_model
from pipelines.filters.page_url import load_domains
from pipelines.filters.similarity import SimilarityConfig, check_scorer, scorer_file
from pipelines.media.blocklist import load_blocklist
from pipelines.media.safety import check_installed
from pipelines.recipe import PairRecipe, Recipe, differences, values
from pipelines.sources.html_folder import FolderFile, files_in
from pipelines.sources.units import Unit
from pipelines.store import paths
from pipelines.store.facts import digest_of
from schemas.manifest import Input
from schemas.strict import from_plain, to_plain

BYTES_PER_PARTITION = 128 << 20
"""Default of `BuildOptions.bytes_per_partition`."""
MAX_PARTITIONS = 256
"""A scan unit writes a file for each: more would be more small files than a file system likes."""


class PlanError(ValueError):
    """A build that cannot be started or resumed as asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build does."""

    recipe: Mapping[str, Any]
    """Every value in force, by table."""
    inputs: tuple[Input, ...]
    lists: tuple[Input, ...]
    """The files that the recipe names."""
    places: Mapping[str, str]
    """Where each input is, by its name."""
    units: tuple[Unit, ...]
    partitions: int
    allowances: tuple[str, ...]
    """Safety checks lifted for tests."""


def make_plan(
    recipe: Recipe,
    units: Sequence[Unit],
    allowances: Sequence[str],
    bytes_per_partition: int,
    digest: Digest = digest_of,
) -> Plan:
    """The plan of a new build.

    Args:
        digest: of the input files.

    Raises:
        PlanError: a list that the recipe names cannot be read, or a model that it asks for is not there.
    """
    check_models(recipe)
    by_name = {unit.name: unit for unit in units}
    inputs = tuple(describe_input(unit, digest) for _, unit in sorted(by_name.items()))
    size = sum(entry.bytes for entry in inputs)
    return Plan(
        recipe=values(recipe),
        inputs=inputs,
        lists=tuple(describe_lists(recipe)),
        places={name: unit.path for name, unit in by_name.items()},
        units=tuple(units),
        partitions=min(MAX_PARTITIONS, max(1, -(-size // bytes_per_partition))),
        allowances=tuple(allowances),
    )


def is_file(unit: Unit) -> bool:
    """Whether a unit is a part of one file, and not of a folder of saved HTML."""
    return unit.kind != "html" or unit.single_file


def describe_input(unit: Unit, digest: Digest = digest_of) -> Input:
    """Size and digest of the file that a unit is a part of, or of all files of its folder with their names."""
    name, path = unit.name, unit.path
    if is_file(unit):
        size, sha256_of_file = digest(path)
        return Input(name=name, bytes=size, sha256=sha256_of_file)
    total, state = 0, sha256()
    for file in files_in(path):
        size, sha256_of_file = _digest_if_readable(file)
        total += size
        state.update(to_json([file.name, sha256_of_file]).encode("utf-8", "surrogateescape"))  # a name may be any bytes
    return Input(name=name, bytes=total, sha256=state.hexdigest())


def _digest_if_readable(file: FolderFile) -> tuple[int, str]:
    """Size and digest of a file of a folder; (0, "") if it is not read at all, which the scan counts."""
    if file.outside or file.unreadable:
        return 0, ""
    try:
        return digest_of(file.path)
    except OSError:
        if paths.is_remote(file.path):  # that will pass
            raise
        return 0, ""


def check_models(recipe: Recipe) -> None:
    """Raises PlanError if the language model or a scorer is missing here: every page would fail for it."""
    try:
        check_installed(recipe.image_safety.scorer)
        if isinstance(recipe, PairRecipe) and recipe.similarity.on:
            check_scorer(recipe.similarity)
        model = load_model(recipe.language)
    except (OSError, ValueError, RuntimeError) as error:
        raise PlanError(f"recipe {recipe.name}: {error}") from error
    except ImportError as error:
        raise PlanError(f"{error}; pip install --force-reinstall --no-deps fasttext-numpy2") from error
    try:
        model.predict("a")
    except ValueError as error:
        raise PlanError(
            "another package has put a `fasttext` in the place of ours, and it does not work with NumPy 2; "
            "pip uninstall fasttext fasttext-wheel, then pip install --force-reinstall --no-deps fasttext-numpy2"
        ) from error


def describe_lists(recipe: Recipe) -> Iterator[Input]:
    """Size and digest of each list that the recipe names, after reading it once to see that it can be used."""
    blocklist = recipe.blocklist
    named = [recipe.page_url.blocked_domains, recipe.image_url.blocked_domains]
    if isinstance(recipe, PairRecipe):
        named.append(recipe.site_list.allowed_domains_file)
    domains = [path for path in named if path]
    try:
        load_blocklist(blocklist.digest_files, blocklist.phash_files, blocklist.phash_distance)
        for path in domains:
            load_domains(path)
        for path in dict.fromkeys((*domains, *blocklist.digest_files, *blocklist.phash_files)):
            size, digest = digest_of(path)
            yield Input(name=path, bytes=size, sha256=digest)
        if isinstance(recipe, PairRecipe) and recipe.similarity.on:
            yield from describe_scorer(recipe.similarity)
    except (OSError, ValueError) as error:
        raise PlanError(
            f"recipe {recipe.name}: a list of [page_url], [image_url], [site_list] or [blocklist] cannot be read: "
            f"{error}"
        ) from error


def describe_scorer(config: SimilarityConfig) -> Iterator[Input]:
    """The files that decide a score: of the scorer's module, under its name, and of its model."""
    named = {config.scorer: str(scorer_file(config) or ""), config.weights: config.weights}
    if config.model.endswith(".json"):
        named[config.model] = config.model
    for name, path in named.items():
        if path:
            size, digest = digest_of(path)
            yield Input(name=name, bytes=size, sha256=digest)


def save_plan(path: str, plan: Plan) -> None:
    paths.publish(path, json.dumps(to_plain(plan), indent=1).encode())


def load_plan(path: str) -> Plan:
    """The plan that a build was started with.

    Raises:
        PlanError: the file is none, or of a version with other keys.
    """
    try:
        return from_plain(Plan, json.loads(paths.read_bytes(path)), "plan")
    except ValueError as error:
        raise PlanError(
            f"{path} is not the plan of a build that this version can go on with ({error}). --fresh deletes "
            "nothing there: give another output folder, or remove this one yourself"
        ) from error


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
    before, now = base_urls(old), base_urls(new)
    if before != now:
        keys = "; ".join(f"{name}: {before[name]} then, {now[name]} now" for name in now if before[name] != now[name])
        raise PlanError(f"{output} was started with another base URL ({keys}). Use the same, or another output folder")
    if old.lists != new.lists:
        names = sorted({entry.name for entry in {*old.lists} ^ {*new.lists}})
        raise PlanError(
            f"{output} was started with other lists ({', '.join(names)} differ). Use these, or another output folder"
        )
    if old.allowances != new.allowances:
        raise PlanError(f"{output} was started with test flags {list(old.allowances)}, now {list(new.allowances)}")


def base_urls(plan: Plan) -> dict[str, str]:
    """The address of each input of saved HTML by its name.

    The one that stands for the folder of a single page if none is given does not count: the page may be moved.
    """
    return {
        unit.name: "no base URL"
        if unit.single_file and unit.base_url.endswith(".invalid/")
        else unit.base_url.rstrip("/")
        for unit in plan.units
        if unit.kind == "html"
    }
