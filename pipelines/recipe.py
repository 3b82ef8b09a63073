"""Recipes: every threshold of a build in one TOML file, one table for each stage, read strictly.

A recipe's `flow` says what it makes, and with that which tables it has: "pages", interleaved web pages; "pairs", images
with a caption; "clips", stretches of videos with a text.

A recipe may say `extends = "m3w"` (or the path of another recipe, seen from its own folder) and give only what
differs. The shipped recipes give every value, so that no threshold lives in code. Of a recipe of another flow it takes
the tables that both have.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html.charset import CharsetConfig
from pipelines.extract.html.parse import ParseConfig
from pipelines.extract.videos.page_videos import FindVideosConfig
from pipelines.facts import to_json
from pipelines.filters.caption_boilerplate import CaptionBoilerplateConfig
from pipelines.filters.caption_dates_places import DatesPlacesConfig
from pipelines.filters.caption_length import CaptionLengthConfig
from pipelines.filters.caption_quality import CaptionQualityConfig
from pipelines.filters.caption_text import CleanCaptionConfig
from pipelines.filters.gopher_quality import GopherQualityConfig
from pipelines.filters.gopher_repetition import GopherRepetitionConfig
from pipelines.filters.image_url import ImageUrlConfig
from pipelines.filters.images import ImageFilterConfig, ImageSafetyConfig
from pipelines.filters.language import LanguageConfig
from pipelines.filters.opt_out import OptOutConfig
from pipelines.filters.page_url import PageUrlConfig
from pipelines.filters.pair_text import PairTextConfig
from pipelines.filters.similarity import SimilarityConfig
from pipelines.filters.site_list import SiteListConfig
from pipelines.filters.text_safety import TextSafetyConfig
from pipelines.limits import (
    BlocklistConfig,
    CaptionFrequencyConfig,
    ImageFrequencyConfig,
    ImagesLeftConfig,
    RareWordsConfig,
    ShardsConfig,
    SplitConfig,
)
from pipelines.media.decode import DECODABLE
from pipelines.media.prepare import MediaConfig
from pipelines.sources.config import SourceConfig
from pipelines.video.config import ClipConfig, ClipTextConfig, FramesConfig, SceneConfig, VideoProbeConfig
from pipelines.web.config import FetchConfig
from schemas.strict import StrictError, field_types, from_plain, to_plain


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file, the table and the key."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the recipes of all flows have: the tables of what reads a crawl, and of what fetches, judges and writes."""

    name: str
    flow: str
    source: SourceConfig
    page_url: PageUrlConfig
    decode: CharsetConfig
    parse: ParseConfig
    opt_out: OptOutConfig
    extract: ExtractConfig
    language: LanguageConfig
    text_safety: TextSafetyConfig
    image_frequency: ImageFrequencyConfig
    image_url: ImageUrlConfig
    fetch: FetchConfig
    blocklist: BlocklistConfig
    media: MediaConfig
    image_filter: ImageFilterConfig
    image_safety: ImageSafetyConfig
    split: SplitConfig
    shards: ShardsConfig

    def __post_init__(self) -> None:
        if unknown := set(self.image_filter.formats) - set(DECODABLE):
            raise ValueError(f"image_filter.formats: {min(unknown)!r} is not one of {', '.join(DECODABLE)}")


@dataclass(frozen=True, kw_only=True)
class PageRecipe(Recipe):
    """A recipe of interleaved web pages."""

    gopher_quality: GopherQualityConfig
    gopher_repetition: GopherRepetitionConfig
    images_left: ImagesLeftConfig


@dataclass(frozen=True, kw_only=True)
class PairRecipe(Recipe):
    """A recipe of image-text pairs."""

    pair_text: PairTextConfig
    site_list: SiteListConfig
    clean_caption: CleanCaptionConfig
    caption_boilerplate: CaptionBoilerplateConfig
    dates_places: DatesPlacesConfig
    caption_length: CaptionLengthConfig
    caption_quality: CaptionQualityConfig
    rare_words: RareWordsConfig
    caption_frequency: CaptionFrequencyConfig
    similarity: SimilarityConfig


@dataclass(frozen=True, kw_only=True)
class VideoRecipe(Recipe):
    """A recipe of video-text clips."""

    find_videos: FindVideosConfig
    video: VideoProbeConfig
    scenes: SceneConfig
    clips: ClipConfig
    frames: FramesConfig
    clip_text: ClipTextConfig
    clean_caption: CleanCaptionConfig
    caption_boilerplate: CaptionBoilerplateConfig
    dates_places: DatesPlacesConfig
    caption_length: CaptionLengthConfig


FLOWS: Mapping[str, type] = {"pages": PageRecipe, "pairs": PairRecipe, "clips": VideoRecipe}


def shipped() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(entry.name[:-5] for entry in files("pipelines.recipes").iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or a recipe file by its path.

    Raises:
        RecipeError: no such recipe, or a key or value that does not fit.
    """
    where, tables = _tables(name, ())
    try:
        recipe: Recipe = from_plain(_flow(tables, where), {**tables, "name": Path(name).stem}, where)
    except StrictError as error:
        raise RecipeError(str(error)) from error
    return recipe


def _flow(tables: Mapping[str, Any], where: str) -> type:
    flow = tables.get("flow")
    if not isinstance(flow, str) or flow not in FLOWS:
        raise RecipeError(f'{where}: flow is {flow!r}; give one of {", ".join(FLOWS)}, or `extends = "m3w"`')
    return FLOWS[flow]


def _tables(name: str, below: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The name for messages and the merged tables of a recipe and what it extends."""
    if name in below:
        raise RecipeError(f"recipe {name}: extends itself through {' -> '.join(below)}")
    if name in shipped():
        where, data = f"recipe {name}", (files("pipelines.recipes") / f"{name}.toml").read_bytes()
    elif Path(name).is_file():
        where, data = name, Path(name).read_bytes()
    else:
        raise RecipeError(f"no recipe {name!r}: give a path, or one of {', '.join(shipped())}")
    try:
        own = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where}: not UTF-8, as TOML must be, at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise RecipeError(f"{where}: {error}") from error
    if "name" in own:
        raise RecipeError(f"{where}: unknown key 'name': a data set is named after the recipe's file")
    merged: dict[str, Any] = {}
    if (base := own.pop("extends", None)) is not None:
        if not isinstance(base, str):
            raise RecipeError(f"{where}: extends: the name or path of one recipe is wanted, not {base!r}")
        if base not in shipped():
            base = str(Path(name).parent / base)
        merged = _tables(base, (*below, name))[1]
        if isinstance(flow := own.get("flow"), str) and flow in FLOWS and flow != merged.get("flow"):
            # What the other flow has besides (rules on the prose of pages, say) is nothing to this one.
            merged = {table: keys for table, keys in merged.items() if table in field_types(FLOWS[flow])}
    for table, values in own.items():
        old = merged.get(table)
        merged[table] = {**old, **values} if isinstance(old, Mapping) and isinstance(values, Mapping) else values
    return where, merged


def values(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe as plain tables."""
    plain: dict[str, Any] = to_plain(recipe)
    return plain


def recipe_digest(recipe: Recipe) -> str:
    """16 hex digits of every value in force."""
    return sha256(to_json(values(recipe)).encode()).hexdigest()[:16]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(table.key, value in one, value in other) of all that differs between two resolved recipes."""
    found = []
    for table in sorted({*one, *other}):
        left, right = one.get(table), other.get(table)
        if not isinstance(left, Mapping) or not isinstance(right, Mapping):
            if left != right:
                found.append((table, left, right))
            continue
        found += [
            (f"{table}.{key}", left.get(key), right.get(key))
            for key in sorted({*left, *right})
            if left.get(key) != right.get(key)
        ]
    return found


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as a TOML file that `load_recipe` reads."""
    lines = [f"flow = {_toml_value(recipe.flow)}", ""]
    for table, keys in values(recipe).items():
        if isinstance(keys, Mapping):
            lines += [f"[{table}]", *(f"{key} = {_toml_value(value)}" for key, value in keys.items()), ""]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return to_json(value).replace("\x7f", "\\u007f")  # JSON lets DEL stand as it is, TOML does not
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return repr(value)


def summary(name: str) -> str:
    """The first line of a shipped recipe's opening comment."""
    text = (files("pipelines.recipes") / f"{name}.toml").read_text(encoding="utf-8")
    return text.partition("\n")[0].removeprefix("#").strip()
