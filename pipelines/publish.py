"""The end of a build: dead letters, manifest, report and card, then a check of what was written, then `_SUCCESS`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import version

from pipelines.accounting import Funnel, dead_letter_files
from pipelines.card import dataset_card
from pipelines.digests import Digest
from pipelines.plan import Plan
from pipelines.recipe import Recipe, recipe_digest
from pipelines.report import report_of
from pipelines.store import paths
from pipelines.store.work import Work
from schemas.manifest import Manifest, Shard, manifest_json
from schemas.shard import FORMAT_VERSION
from schemas.strict import to_plain


class PublishError(RuntimeError):
    """What stands in the output is not what was written."""


def publish(
    recipe: Recipe,
    plan: Plan,
    work: Work,
    output: str,
    funnel: Funnel,
    shards: Sequence[Shard],
    ledger_digest: str,
    digest: Digest,
) -> Manifest:
    """Publishes what describes the shards, verifies them, and commits the data set.

    Args:
        digest: of the shards as they stand in the output.
    """
    manifest = Manifest(
        format=FORMAT_VERSION,
        version=version("openm3w"),
        name=recipe.name,
        recipe=plan.recipe,
        recipe_digest=recipe_digest(recipe),
        inputs=plan.inputs,
        lists=plan.lists,
        ledger_digest=ledger_digest,
        test_allowances=plan.allowances,
        splits={
            split: sum(s.samples for s in shards if s.split == split) for split in sorted({s.split for s in shards})
        },
        shards=tuple(shards),
        funnel=tuple(funnel.rows),
    )
    publish_dead_letters(work, output)
    publish_text(output, "manifest.json", manifest_json(manifest))
    publish_text(output, "report.json", report_json(manifest))
    publish_text(output, "README.md", dataset_card(manifest))
    for shard in shards:
        if (shard.bytes, shard.sha256) != digest(paths.join(output, shard.name)):
            raise PublishError(f"{shard.name} is not what was written: the disk or another program changed it")
    publish_text(output, "_SUCCESS", "")
    return manifest


def publish_text(output: str, name: str, text: str) -> None:
    paths.publish(paths.join(output, name), text.encode())


def report_json(manifest: Manifest) -> str:
    """report.json: the funnel and totals, for people and scripts."""
    return json.dumps(to_plain(report_of(manifest)), indent=1) + "\n"


def publish_dead_letters(work: Work, output: str) -> None:
    """Gathers the dead letters of all jobs into dead_letters/<stage>.jsonl: of the scan by unit, of others by key."""
    with ExitStack() as stack:
        streams = {}
        for line in _lines(work):
            stage = json.loads(line)["stage"]
            if stage not in streams:
                streams[stage] = stack.enter_context(
                    paths.publishing(paths.join(output, "dead_letters", f"{stage}.jsonl"))
                )
            streams[stage].write(line)


def _lines(work: Work) -> Iterator[bytes]:
    for path in dead_letter_files(work):
        with paths.open_read(path) as stream:
            yield from stream
