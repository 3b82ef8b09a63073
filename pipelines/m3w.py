"""M3W: what happens to a web page, in order. Read this first.

The scan job streams each unit of the crawl through these stages; what survives them goes on, as facts, through
`select`, `fetch` and `write`, which pages share with image-text pairs and video clips. A stage is a function of a
record and its table of the recipe; see `docs/filters.md` for every rule and its source.
"""

from pipelines.extract.document import extract
from pipelines.extract.html.charset import decode_html
from pipelines.extract.html.parse import parse_html
from pipelines.filters.gopher_quality import gopher_quality
from pipelines.filters.gopher_repetition import gopher_repetition
from pipelines.filters.language import identify_language
from pipelines.filters.opt_out import respect_opt_out
from pipelines.filters.page_url import check_page_url
from pipelines.filters.text_safety import text_safety
from pipelines.flow import Flow
from pipelines.recipe import PageRecipe, Recipe
from pipelines.select import page_shuffles
from pipelines.stage import Stage
from pipelines.write import image_shuffles
from schemas.document import Document
from schemas.keys import page_key


def flow(recipe: PageRecipe) -> Flow:
    """The whole way: through the stages below, then the shuffles of select and of write."""
    return Flow(
        kind="page",
        stages=page_stages(recipe),
        key=key_of,
        select=page_shuffles(recipe),
        write=image_shuffles(recipe, "page", recipe.images_left.min_images, recipe.extract.max_images),
    )


def page_stages(recipe: PageRecipe) -> list[Stage]:
    """From a page as it came over the wire to a document of text and images in reading order."""
    return [
        *tree_stages(recipe),
        Stage("extract", extract, recipe.extract),
        Stage("language", identify_language, recipe.language),
        Stage("gopher_quality", gopher_quality, recipe.gopher_quality),
        Stage("gopher_repetition", gopher_repetition, recipe.gopher_repetition),
        Stage("text_safety", text_safety, recipe.text_safety),
    ]


def tree_stages(recipe: Recipe) -> list[Stage]:
    """From a page as it came over the wire to its tree: what the flows of pairs and clips begin with too."""
    return [
        Stage("page_url", check_page_url, recipe.page_url),
        Stage("decode", decode_html, recipe.decode),
        Stage("parse", parse_html, recipe.parse),
        Stage("opt_out", respect_opt_out, recipe.opt_out),
    ]


def key_of(page: Document) -> str:
    return page_key(page.url, page.text)
