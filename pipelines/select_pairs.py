"""The select job of image-text pairs: what stands too often, decided on facts before any image is read.

pairs         -> pairs with words that are rare in the whole input go; see `rare_words`
pairs_common  -> one of each image address and text
pages_by_text -> pairs whose text stands with too many images go
uses          -> image addresses that stand with too many texts go, then those that their address gives away
pages_unique  -> pairs that kept their image; what the fetch job has to find
"""

from functools import partial

from pipelines.facts import PAGES_BY_TEXT, PAGES_SELECTED, PAGES_UNIQUE, PAIRS, PAIRS_COMMON, USES, USES_KEPT, WANTED
from pipelines.flow import Step
from pipelines.limits import CaptionFrequencyConfig
from pipelines.rare_words import rare_words_jobs
from pipelines.recipe import PairRecipe
from pipelines.select import (
    LISTED,
    Groups,
    Result,
    document_letter,
    image_urls,
    keep_one,
    latest,
    uses_of,
    with_images,
)
from pipelines.stage import Leaves, Out, Read, Shuffle


def pair_steps(recipe: PairRecipe) -> list[Step]:
    """The steps of the job, in order."""
    cap = recipe.caption_frequency.max_images
    pairs = PAIRS_COMMON if recipe.rare_words.max_ngrams else PAIRS
    return [
        *rare_words_jobs(recipe.rare_words),
        Shuffle(
            "pair_duplicates",
            reads=(Read(pairs, LISTED, latest),),
            decide=partial(one_of_each, pairs.name),
            writes=(PAGES_BY_TEXT,),
            drops=(("pair", "pair_duplicates"),),
            leaves=(Leaves("pair", PAGES_BY_TEXT),),
        ),
        Shuffle(
            "caption_frequency",
            reads=(Read(PAGES_BY_TEXT, cap),),
            decide=partial(rare_enough, recipe.caption_frequency),
            writes=(PAGES_UNIQUE, USES),
            drops=(("pair", "caption_frequency"),),
            leaves=(Leaves("pair", PAGES_UNIQUE),),
        ),
        image_urls(recipe, "pair"),
        Shuffle(
            "images_left",
            reads=(Read(PAGES_UNIQUE, 1), Read(USES_KEPT, 1)),
            decide=pairs_with_image,
            writes=(PAGES_SELECTED, WANTED),
            drops=(("pair", "images_left"), ("image_use", "images_left")),
            leaves=(Leaves("pair", PAGES_SELECTED), Leaves("image_use", WANTED)),
        ),
    ]


def one_of_each(facts: str, _: str, groups: Groups) -> Result:
    kept = yield from keep_one(groups[facts], "pair_duplicates", "same_pair")
    yield Out(PAGES_BY_TEXT, kept)


def rare_enough(config: CaptionFrequencyConfig, _: str, groups: Groups) -> Result:
    """All pairs of one text, unless they are too many: such a text says nothing of any of its images."""
    total, pairs = groups[PAGES_BY_TEXT.name]
    if total > config.max_images:
        detail = f"{total} images, at most {config.max_images}"
        yield document_letter(pairs[0], "caption_frequency", "too_many_images", detail, total)
        return
    for pair in pairs:
        yield Out(PAGES_UNIQUE, pair)
        yield from uses_of(pair, USES)


def pairs_with_image(_: str, groups: Groups) -> Result:
    pair = yield from with_images(groups, 1)
    if pair is not None:
        yield Out(PAGES_SELECTED, pair)
        yield from uses_of(pair, WANTED)
