"""Two encoders and what joins them: pictures and captions to vectors of length 1 in one space (section B.1.3).

B pairs, L tokens, D' width of the picture's features, W width of the text's.
"""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from flamingo_model.checkpoint import read_safetensors
from flamingo_model.config import ConfigError, VisionConfig
from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.loss import IGNORED
from flamingo_model.samples import Ids, Sample, SampleConfig
from flamingo_model.tokens import chunk_ids
from flamingo_model.vision import VisionEncoder, make_vision
from schemas.document import Document, Image
from schemas.rejection import Rejected

WEIGHTS, VISION = "model.safetensors", "vision"


class Towers(nn.Module):
    """The vision encoder, the text encoder, a projection of each without bias, and the inverse temperature.

    Args:
        vision: an encoder that is not frozen.
        text: a transformers model that gives `last_hidden_state`.
        dim: of the joint space.
        scale: the inverse temperature at the beginning.
    """

    def __init__(self, vision: VisionEncoder, text: Any, *, dim: int, scale: float) -> None:
        super().__init__()
        self.vision, self.text = vision, text
        self.vision_projection = nn.Linear(vision.dim, dim, bias=False)
        self.text_projection = nn.Linear(text.config.hidden_size, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, pixels: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised vectors of pictures and captions, float32 [B, dim] each, and the inverse temperature.

        Args:
            pixels: [B, 3, H, W], normalised as the encoder wants it.
            tokens: int64 [B, L].
            mask: [B, L], 0 for padding.
        """
        seen = self.vision(pixels).mean(1)
        states = self.text(input_ids=tokens, attention_mask=mask).last_hidden_state
        weights = mask[..., None].to(states.dtype)
        read = (states * weights).sum(1) / weights.sum(1)
        image, text = self.vision_projection(seen), self.text_projection(read)
        return F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1), self.log_scale.exp()

    def trained(self) -> dict[str, nn.Parameter]:
        """What learns, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    @torch.no_grad()
    def limit_scale(self, most: float) -> None:
        """Put the inverse temperature between 1 and `most`, as CLIP does after each update."""
        self.log_scale.clamp_(0.0, math.log(most))

    def checkpoint_activations(self) -> None:
        """Compute activations of both encoders again for the gradient.

        Raises:
            ConfigError: the vision encoder has no such switch.
        """
        self.text.activation_checkpointing_enable({"use_reentrant": False})
        model: Any = self.vision.model
        if hasattr(model, "set_grad_checkpointing"):  # timm
            model.set_grad_checkpointing(True)
        elif getattr(model, "supports_gradient_checkpointing", False):
            model.activation_checkpointing_enable({"use_reentrant": False})
        else:
            raise ConfigError(f"run.checkpoint_activations: {type(model).__name__} cannot do it")


def make_towers(config: ContrastConfig) -> Towers:
    """Both encoders on the CPU: the text's with random weights, the picture's as `vision.pretrained` says.

    Raises:
        ConfigError: no such encoder, unknown fields.
    """
    from transformers import BertConfig, BertModel

    torch.manual_seed(config.run.seed)
    options = dict(config.text.options)
    if unknown := sorted(name for name in options if not hasattr(BertConfig(), name)):
        raise ConfigError(f"text.options: BertConfig has no field {unknown[0]!r}")
    try:
        text = BertModel(BertConfig(**options), add_pooling_layer=False)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"text.options: {error}") from error
    return Towers(make_vision(config.vision), text, dim=config.joint.dim, scale=config.joint.scale).train()


def caption_sample(
    document: Document, config: SampleConfig, tokenizer: Any, words: int, rng: Random
) -> Sample | Rejected:
    """A pair's picture and the tokens of its caption, without marks and special tokens; in place of `training_sample`.

    Args:
        config: of it only `length` is used.
        words: that the text encoder has.
        rng: not used.

    Raises:
        ValueError: ids that the text encoder has not: a tokenizer of another model.
    """
    caption = document.text.strip()
    if not caption:
        return Rejected("empty_caption", f"{document.kind} {document.key} has no text")
    if len(document.media) != 1 or not isinstance(document.media[0], Image):
        return Rejected("not_one_picture", f"{document.kind} {document.key} is not a picture and its caption")
    ((ids, _),) = chunk_ids([caption], tokenizer, words, images=[False])
    if not ids:
        return Rejected("empty_caption", f"{document.kind} {document.key} has no token")
    tokens: Ids = torch.tensor(ids[: config.length]).numpy()
    empty = torch.full((len(tokens),), IGNORED).numpy()
    return Sample(document.key, tokens, (tokens * 0) + 1, empty, ((document.media[0].member,),), False)


def save_towers(model: Towers, folder: str | Path, *, config: VisionConfig, write: bool = True) -> None:
    """Write `model.safetensors`, all weights, and `vision/`, the encoder alone, which a Flamingo can be made of."""
    if not write:
        return
    folder = Path(folder)
    save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    save_vision(model.vision, folder / VISION, config)


def load_towers(model: Towers, folder: Path) -> None:
    """Put the weights of a checkpoint back.

    Raises:
        ConfigError: they are of other encoders.
    """
    try:
        model.load_state_dict(read_safetensors(folder / WEIGHTS))
    except RuntimeError as error:
        raise ConfigError(f"{folder / WEIGHTS} does not fit: {str(error).splitlines()[-1].strip()}") from error


def save_vision(vision: VisionEncoder, folder: Path, config: VisionConfig) -> None:
    """Write the encoder as its own library reads it, with the mean and deviation of its pictures.

    A Flamingo takes it with `[vision] family = "huggingface"`, `name = FOLDER`, `pretrained = true`; of timm with
    `family = "timm"` and `name = "local-dir:FOLDER"`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = vision.model
    mean, std = list(vision.mean), list(vision.std)
    if config.family == "huggingface":
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        model.save_pretrained(folder)
        if shown:
            logging.enable_progress_bar()
        own = {"image_mean": mean, "image_std": std, "size": {"height": vision.image_size, "width": vision.image_size}}
        (folder / "preprocessor_config.json").write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")
        return
    save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    cfg = dict(model.pretrained_cfg)
    options = dict(config.options)
    if cfg.get("fixed_input_size"):
        options.setdefault("img_size", vision.image_size)
    about = {
        "architecture": cfg["architecture"],
        "num_classes": 0,
        "num_features": model.num_features,
        "model_args": options,
        "pretrained_cfg": {
            "input_size": [3, vision.image_size, vision.image_size],
            "fixed_input_size": bool(cfg.get("fixed_input_size")),
            "interpolation": "bicubic",
            "mean": mean,
            "std": std,
            "num_classes": 0,
            "first_conv": cfg.get("first_conv"),
            "classifier": cfg.get("classifier"),
        },
    }
    (folder / "config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
