"""LTIP and ALIGN: what happens to an image and its text, in order.

They come from a table, an archive of pairs or a WAT file, or from web pages: each picture of a page's content with its
caption or alt text. So one crawl gives both an interleaved and a pair set.
"""

from functools import partial

from pipelines.extract.document import extract
from pipelines.facts import PAIRS_FOUND
from pipelines.filters.caption_boilerplate import caption_boilerplate
from pipelines.filters.caption_dates_places import strip_dates_places
from pipelines.filters.caption_length import caption_length
from pipelines.filters.caption_quality import caption_quality
from pipelines.filters.caption_text import clean_caption
from pipelines.filters.language import identify_language
from pipelines.filters.pair_text import pair_text, pictures_of
from pipelines.filters.site_list import site_list
from pipelines.filters.text_safety import text_safety
from pipelines.flow import Flow, Step
from pipelines.m3w import tree_stages
from pipelines.recipe import PairRecipe
from pipelines.score_pairs import similarity_jobs, unit_of
from pipelines.select_pairs import pair_steps
from pipelines.stage import Stage
from pipelines.write import image_shuffles
from schemas.document import Document
from schemas.keys import pair_key


def flow(recipe: PairRecipe) -> Flow:
    """The whole way: through the stages below, then the shuffles of select and of write."""
    return Flow(
        kind="pair",
        page_stages=page_stages(recipe),
        parts=pictures_of,
        stages=pair_stages(recipe),
        key=key_of,
        count_words=bool(recipe.rare_words.max_ngrams),
        select=pair_steps(recipe),
        write=write_steps(recipe),
    )


def page_stages(recipe: PairRecipe) -> list[Stage]:
    """From a page as it came over the wire to its content, whose pictures become pairs."""
    return [
        *tree_stages(recipe),
        Stage("extract", extract, recipe.extract),
    ]


def pair_stages(recipe: PairRecipe) -> list[Stage]:
    """From an image address with a text as it came to a pair worth fetching."""
    return [
        Stage("pair_text", pair_text, recipe.pair_text),
        Stage("site_list", site_list, recipe.site_list),
        Stage("clean_caption", clean_caption, recipe.clean_caption),
        Stage("caption_boilerplate", caption_boilerplate, recipe.caption_boilerplate),
        Stage("language", identify_language, recipe.language),
        Stage("dates_places", strip_dates_places, recipe.dates_places),
        Stage("caption_length", caption_length, recipe.caption_length),
        Stage("caption_quality", caption_quality, recipe.caption_quality),
        Stage("text_safety", text_safety, recipe.text_safety),
    ]


def write_steps(recipe: PairRecipe) -> list[Step]:
    """From fetched images to samples; scored, if the recipe names a scorer, when all that is cheaper is done."""
    shuffles = partial(image_shuffles, recipe, "pair", min_images=1, max_images=1)
    if not recipe.similarity.on:
        return [*shuffles()]
    return [*shuffles(facts=PAIRS_FOUND, unit_of=unit_of), *similarity_jobs(recipe)]


def key_of(pair: Document) -> str:
    return pair_key(pair.url, pair.text)
