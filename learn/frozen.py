"""Weights as packages hold them to the folders that transformers reads."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MobileNetV2Config, MobileNetV2ForImageClassification
from transformers.utils import logging

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Of ImageNet's pictures, with which torchvision's weights were trained."""


def convert_language_model(package: Path, into: Path) -> None:
    """SmolLM2's GGUF file (4 bits for each weight) as bfloat16, with its tokenizer."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    (file,) = package.rglob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.bfloat16)
    # Nothing of it is quantised any more.
    model.hf_quantizer, model.is_quantized = None, False  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)


def convert_encoder(package: Path, into: Path) -> None:
    """torchvision's MobileNetV2 under the names of transformers."""
    (file,) = package.rglob("*v2*.pth")
    theirs = torch.load(file, weights_only=True)
    config = MobileNetV2Config(tf_padding=False, layer_norm_eps=1e-5, num_labels=1000)  # type: ignore[call-arg]
    model = MobileNetV2ForImageClassification(config)
    ours = model.state_dict()
    # Both list their tensors in the order of the forward pass.
    if [tensor.shape for tensor in theirs.values()] != [tensor.shape for tensor in ours.values()]:
        raise ValueError(f"{file.name} does not hold torchvision's MobileNetV2")
    model.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    model.save_pretrained(into)
    described = {"image_processor_type": "MobileNetV2ImageProcessor", "image_mean": MEAN, "image_std": STD}
    (into / "preprocessor_config.json").write_text(json.dumps(described, indent=1))
