"""VTP: what happens to a video and what is said of it, in order.

Videos come from a table of addresses with a text, or from web pages. Their files are fetched as images are, kept as
they came, and cut: a clip gets the words that are said in it, or what the page says of the whole.
"""

from functools import partial

from pipelines.cut_videos import cut_job, cut_unit
from pipelines.extract.videos.page_videos import each_video, video_record, videos_of_page
from pipelines.filters.caption_boilerplate import caption_boilerplate
from pipelines.filters.caption_dates_places import strip_dates_places
from pipelines.filters.caption_length import caption_length
from pipelines.filters.caption_text import clean_caption
from pipelines.filters.language import identify_language
from pipelines.filters.text_safety import text_safety
from pipelines.flow import Flow
from pipelines.m3w import tree_stages
from pipelines.recipe import VideoRecipe
from pipelines.select_videos import clip_steps, found_steps, video_steps
from pipelines.stage import Stage
from schemas.document import Document
from schemas.keys import digest


def flow(recipe: VideoRecipe) -> Flow:
    """The whole way: through the stages below, select, the cutting, then the rules on clips."""
    cut = partial(cut_unit, recipe=recipe, stages=clip_stages)
    stages = [*(stage.name for stage in clip_stages(recipe)), "image_safety"]
    return Flow(
        kind="video",
        page_stages=page_stages(recipe),
        parts=each_video,
        stages=[Stage("video_record", video_record, None)],
        key=key_of,
        select=video_steps(recipe),
        write=[*found_steps(recipe), cut_job(cut, stages), *clip_steps(recipe)],
        sample_kind="clip",
    )


def page_stages(recipe: VideoRecipe) -> list[Stage]:
    """From a page as it came over the wire to its tree, in which its videos are found."""
    return [
        *tree_stages(recipe),
        Stage("find_videos", videos_of_page, recipe.find_videos),
    ]


def clip_stages(recipe: VideoRecipe) -> list[Stage]:
    """What a clip's text goes through."""
    return [
        Stage("clean_caption", clean_caption, recipe.clean_caption),
        Stage("caption_boilerplate", caption_boilerplate, recipe.caption_boilerplate),
        Stage("language", identify_language, recipe.language),
        Stage("dates_places", strip_dates_places, recipe.dates_places),
        Stage("caption_length", caption_length, recipe.caption_length),
        Stage("text_safety", text_safety, recipe.text_safety),
    ]


def key_of(video: Document) -> str:
    """Of a video before it is cut; its clips have keys of their own."""
    return digest("video", video.url, video.page_url)
