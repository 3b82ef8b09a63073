"""Models of the transformers library by folder, hub name or type, with errors that say what to do."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch

from flamingo_model.config import ConfigError

DERIVED = ("stage_names", "out_features", "out_indices")
"""Fields of vision configurations that name their layers."""


def load_model(
    auto: Literal["AutoModel", "AutoModelForCausalLM"],
    name: str,
    pretrained: bool,
    dtype: torch.dtype,
    options: Mapping[str, Any],
) -> Any:
    """A transformers model.

    Args:
        auto: which of the library's classes chooses the model.
        name: a folder, a hub name, or, if not `pretrained`, a model type such as "gpt2".
        pretrained: with the weights of the folder or the hub; else random ones.
        dtype: of the weights.
        options: fields of the configuration, over those of `name`.

    Raises:
        ConfigError: no such folder, name or type; an unknown field; weights that cannot be had.
    """
    import transformers

    factory = getattr(transformers, auto)
    try:
        if pretrained:
            return factory.from_pretrained(name, dtype=dtype, **options)
        config = _config(name, options)
        return factory.from_config(config, dtype=dtype)
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"transformers cannot make {name!r}: {str(error).strip().splitlines()[0]}; give a folder with config.json, "
            f"a hub name, or (pretrained = false) a model type such as {_near(name)} with its shape as options"
        ) from error


def stored_file(name: str, file: str) -> Path | None:
    """A file beside the weights of a folder or hub name; None if it is not there or cannot be had."""
    from transformers.utils import cached_file

    try:
        found = cached_file(name, file)
    except OSError:
        return None
    return Path(found) if found else None


def _near(name: str) -> str:
    """Model types with names like this one."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    near = [] if "/" in name else get_close_matches(name, CONFIG_MAPPING_NAMES, n=3)
    return " or ".join(map(repr, near or ["gpt2"]))


def _config(name: str, options: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    known = not Path(name).is_dir() and name in CONFIG_MAPPING_NAMES
    config = AutoConfig.for_model(name) if known else AutoConfig.from_pretrained(name)
    for field in options:
        if not hasattr(config, field):
            near = get_close_matches(field, config.to_dict(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{type(config).__name__} has no field {field!r}{hint}")
    # Made anew, not changed: some fields are derived from others when a configuration is made (the size of heads from
    # the width; names of stages from the depth).
    own = {} if known else {field: value for field, value in config.to_diff_dict().items() if field not in DERIVED}
    return type(config)(**(own | dict(options)))
