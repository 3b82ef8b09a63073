"""Text to ids, the same way for training samples and for prompts.

The text between two `<EOC>`s and the `<image>` before it are one string to the tokenizer: `<image>` is plain text
(section 3.2.1 of the paper's first version), `<EOC>` is the one new id, which the tokenizer does not know. What a text
says is never taken for a mark or for one of the tokenizer's special tokens: "</s>" in a page is four characters.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from schemas.markup import IMAGE


def chunk_ids(
    chunks: Sequence[str], tokenizer: Any, eoc_id: int, *, images: Sequence[bool]
) -> list[tuple[list[int], int]]:
    """Ids of texts, each with or without an `<image>` mark before it.

    Args:
        chunks: what stands between a mark (or the document's begin) and the next `<EOC>`.
        tokenizer: the language model's, of transformers.
        eoc_id: the first id that is not the language model's own.
        images: for each text whether the mark stands before it.

    Returns:
        For each text the ids, and how many of them are the mark and nothing else: at least 1 if there is one. A token
        that holds the end of the mark and the begin of the text counts as text.

    Raises:
        ValueError: ids that the language model has not.
    """
    specials, mark = _words_of(tokenizer, len(tokenizer))
    risky = [any(special in text for special in specials) for text in chunks]
    whole = [IMAGE + text if image else text for text, image in zip(chunks, images, strict=True)]
    found = [list(ids) for ids in _ids(whole, tokenizer)]
    for place, text in enumerate(chunks):
        if risky[place]:  # the tokenizer would find its special tokens in it
            apart = images[place] and IMAGE in specials
            own = _ids([text if apart else whole[place]], tokenizer, split_special_tokens=True)[0]
            found[place] = [*mark, *own] if apart else own
    if (most := max(map(max, filter(None, found)), default=0)) >= eoc_id:
        raise ValueError(
            f"the tokenizer gives id {most}, the language model's are below {eoc_id}; "
            "take the tokenizer that belongs to it"
        )
    return [(ids, max(1, _common(ids, mark)) if image else 0) for ids, image in zip(found, images, strict=True)]


def _ids(texts: Sequence[str], tokenizer: Any, **options: bool) -> list[list[int]]:
    """Of no text no ids: some tokenizers would begin it."""
    full = [text for text in texts if text]
    made = iter(tokenizer(full, add_special_tokens=False, verbose=False, **options)["input_ids"] if full else ())
    return [next(made) if text else [] for text in texts]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the beginning that both share."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length


@lru_cache(maxsize=16)
def _words_of(tokenizer: Any, _size: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The tokenizer's special tokens, and the ids of `<image>` alone; made again when tokens are added to it."""
    added = getattr(tokenizer, "added_tokens_encoder", {})
    return tuple({*tokenizer.all_special_tokens, *added}), tuple(_ids([IMAGE], tokenizer)[0])
