"""Cosine of CLIP's embeddings of image and text, by open_clip, from weights in a local file.

In a recipe (LAION-5B's model and threshold, arXiv 2210.08402):

    [similarity]
    scorer = "pipelines.filters.similarity_open_clip:load"
    model = "ViT-B-32-quickgelu"
    weights = "models/open_clip_pytorch_model.bin"
    min_score = 0.28

The weights are a checkpoint of open_clip's own (.pt, .bin) or .safetensors. Nothing is downloaded. PyTorch is
imported when a scorer is made, and by this module alone.
"""

from collections.abc import Sequence
from pathlib import Path

from pipelines.filters.similarity import Pair, Score, ScorerError, SimilarityConfig

NOT_INSTALLED = 'open_clip is not installed; pip install "openm3w[similarity]" (or: pip install open_clip_torch)'
NAMES_SHOWN = 8


def load(config: SimilarityConfig) -> Score:
    """The scorer; texts are cut off at the model's context (77 tokens), as CLIP itself does.

    Raises:
        ScorerError: open_clip or the weights are not there, or the model cannot be made without the net.
    """
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise ScorerError(f"{NOT_INSTALLED}: {error}") from error
    name = _architecture(config.model)
    if not Path(config.weights).is_file():
        raise ScorerError(f"weights: {config.weights!r} is no file; a local file is needed, nothing is downloaded")
    torch.set_num_threads(1)  # workers are the parallelism, and the digits are the same however many there are
    model, _, prepare = open_clip.create_model_and_transforms(name, pretrained=config.weights, device=config.device)
    model.eval()
    tokenize = open_clip.get_tokenizer(name)

    def score(pairs: Sequence[Pair]) -> list[float]:
        with torch.inference_mode():
            pictures = torch.stack([prepare(picture) for picture, _ in pairs]).to(config.device)
            texts = tokenize([text for _, text in pairs]).to(config.device)
            images = model.encode_image(pictures, normalize=True)
            cosines = (images * model.encode_text(texts, normalize=True)).sum(dim=-1)
        return [float(cosine) for cosine in cosines]

    return score


def _architecture(model: str) -> str:
    """open_clip's name of a model that can be made from what is on this machine."""
    import open_clip

    name = model
    if model.endswith(".json"):
        if not Path(model).is_file():
            raise ScorerError(f"model: {model!r} is no file")
        open_clip.add_model_config(Path(model))
        name = Path(model).stem
    known = open_clip.get_model_config(name) if name in open_clip.list_models() else None
    if known is None:
        some = ", ".join(open_clip.list_models()[:NAMES_SHOWN])
        raise ScorerError(f"model: {model!r} is neither the path of a .json nor known to open_clip ({some}, ...)")
    text = known.get("text_cfg", {})
    if wanted := text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        raise ScorerError(f"model: {model!r} takes {wanted!r} from the net, which is not done here; write a scorer")
    return name
