"""The step that scores pairs: how well a text says what its image shows, measured when all other rules have passed.

pairs_found -> pairs that kept their image, in units by the first digits of their keys; each image is read as it will
               stand in its shard, and scored with its text
samples     -> those that are similar enough, their documents with the score
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image as Picture

from pipelines.accounting import Funnel, dropped_by, rows_of
from pipelines.claims import at
from pipelines.facts import PAIRS_FOUND, SAMPLES, SampleFact
from pipelines.filters.similarity import Pair, SimilarityConfig, judge_similarity, similarities
from pipelines.flow import Places, UnitJob
from pipelines.given_up import NOTHING
from pipelines.recipe import PairRecipe
from pipelines.scan import pack_line
from pipelines.select import lost_uses
from pipelines.shards import SampleReader, make_sample
from pipelines.stage import DEAD_LETTERS, Heartbeat, dead_letter_line
from pipelines.store import paths
from pipelines.store.facts import read_rows
from pipelines.store.work import Work
from schemas.document import Document
from schemas.rejection import DeadLetter, Rejected

NAME = "similarity"
UNIT_DIGITS = 3
"""Units: as many as there are keys that begin alike. Of a million pairs one is some 250."""
BATCH_PIXELS = 1 << 26
"""Pixels of the pictures of a batch at most, but for one that is larger by itself: 200 MB."""


def unit_of(key: str) -> str:
    """The unit of a pair. No setting of a build decides it: so batches are the same on every machine and resume."""
    return key[:UNIT_DIGITS]


def similarity_jobs(recipe: PairRecipe) -> list[UnitJob]:
    """The step of the rule, none if it is off."""
    if not recipe.similarity.on:
        return []
    return [UnitJob(name=NAME, units=units, function=partial(score_unit, recipe=recipe), account=account)]


def units(work: Work) -> list[str]:
    return sorted({path.split("/")[-2] for path in work.fact_files(PAIRS_FOUND)})


def account(funnel: Funnel, work: Work) -> None:
    dropped = dropped_by(work, NAME)
    for kind, column in (("pair", ""), ("image_use", "image_count")):
        funnel.drop(kind, NAME, dropped.get((kind, NAME), {}))
        funnel.check(kind, rows_of(work, SAMPLES, column), NAME)


@dataclass(frozen=True)
class _Found:
    """A pair, and what its image is; `picture` only says why if it cannot be decoded."""

    fact: SampleFact
    document: Document
    picture: Picture.Image | Rejected


def score_unit(unit: str, places: Places, recipe: PairRecipe, given_up: Mapping[str, str] = NOTHING) -> None:
    """Scores the pairs of a unit, passes on those that are similar enough, and commits it by its done-file.

    What is `given_up` killed its worker; see `pipelines.given_up`.
    """
    work, config = places.work, recipe.similarity
    if work.is_done(NAME, unit):
        return
    heart = Heartbeat(work.progress(NAME, unit))
    pack = paths.join("packs", f"{NAME}.{unit}.jsonl")
    kept: list[SampleFact] = []
    letters: list[str] = []
    seen = Counter[str]()
    with paths.publishing(work.path(pack)) as stream:
        for batch in _batches(_found(unit, places, recipe, given_up), config):
            for one, score in zip(batch, _scores(batch, config), strict=True):
                seen["pairs"] += 1
                if isinstance(judged := judge_similarity(score, config), Rejected):
                    letters += map(dead_letter_line, _letters(one, judged))
                    continue
                line = pack_line(one.document.with_scores(NAME, {"score": judged}))
                row = one.fact._replace(
                    pack=pack,
                    pack_offset=stream.tell(),
                    pack_length=len(line),
                    bytes=one.fact.bytes - one.fact.pack_length + len(line),
                )
                stream.write(line)
                kept.append(row)
            heart.beat(seen.copy)
    work.save_facts(SAMPLES, kept, f"{NAME}.{unit}")
    if letters:
        paths.publish(work.path(DEAD_LETTERS, f"{NAME}.{unit}.jsonl"), "".join(f"{x}\n" for x in letters).encode())
    heart.beat(seen.copy, last=True)
    work.mark_done(NAME, unit, seen)


def _found(unit: str, places: Places, recipe: PairRecipe, given_up: Mapping[str, str]) -> Iterator[_Found]:
    """The pairs of a unit by their keys, with the images that their shards will hold."""
    reader = SampleReader(places, recipe)
    rows = sorted(row for path in places.work.fact_files(PAIRS_FOUND, unit) for row in read_rows(path, SampleFact))
    for fact in reader.ahead(map(SampleFact._make, rows)):
        document = reader.document(fact)
        at(fact.key, f"at the image of {document.url}")
        if detail := given_up.get(fact.key):
            yield _Found(fact, document, Rejected("killed_worker", detail))
            continue
        (member,) = make_sample(fact, document, reader.image).members.values()
        try:
            with Picture.open(io.BytesIO(member), formats=("JPEG", "PNG")) as picture:
                yield _Found(fact, document, picture.convert("RGB"))
        except (OSError, ValueError, Picture.DecompressionBombError) as error:
            yield _Found(fact, document, Rejected("unscorable", f"{type(error).__name__}: {error}"[:300]))


def _batches(found: Iterator[_Found], config: SimilarityConfig) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    pixels = 0
    for one in found:
        size = 0 if isinstance(one.picture, Rejected) else one.picture.width * one.picture.height
        if batch and (len(batch) == config.batch_size or pixels + size > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(one)
        pixels += size
    if batch:
        yield batch


def _scores(batch: Sequence[_Found], config: SimilarityConfig) -> Iterator[float | Rejected]:
    pairs: list[Pair] = [(one.picture, one.document.text) for one in batch if not isinstance(one.picture, Rejected)]
    at("", f"in the scorer, with {len(pairs)} pairs of which the first is {batch[0].document.url}")
    scores = iter(similarities(pairs, config) if pairs else [])
    for one in batch:
        yield one.picture if isinstance(one.picture, Rejected) else next(scores)


def _letters(one: _Found, why: Rejected) -> Iterator[DeadLetter]:
    document = one.document
    yield DeadLetter(
        kind="pair",
        stage=NAME,
        reason=why.reason,
        detail=why.detail,
        url=document.url,
        key=one.fact.key,
        source=document.source,
    )
    yield lost_uses(NAME, "page_dropped", one.fact.image_count, one.fact.key)
