"""Models of the transformers library by folder, hub name or type, with errors that say what to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from flamingo_model.config import ConfigError


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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"transformers cannot make {name!r}: {str(error).splitlines()[0]}; give a folder with config.json, "
            "a hub name, or (pretrained = false) a model type such as 'gpt2' with its shape as options"
        ) from error


def _config(name: str, options: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if not Path(name).is_dir() and name in CONFIG_MAPPING_NAMES:
        config = AutoConfig.for_model(name)
    else:
        config = AutoConfig.from_pretrained(name)
    for field in options:
        if not hasattr(config, field):
            raise ConfigError(f"{type(config).__name__} has no field {field!r}")
    # Made anew: some fields are derived from others when a configuration is made.
    return type(config)(**(config.to_diff_dict() | dict(options)))
