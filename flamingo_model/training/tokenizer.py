"""The tokenizer of a run: the language model's, that of a folder, or one made from the run's own texts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from flamingo_model.config import ConfigError, FlamingoConfig
from flamingo_model.formats import read_sample
from flamingo_model.shards import Raw, find_shards, read_shard
from flamingo_model.training.config import ModelTable
from schemas.markup import IMAGE
from schemas.rejection import Rejected

BOS, EOS = "<s>", "</s>"
MOST_TEXT = 50_000_000
"""Characters that a tokenizer is made from at most."""


class Texts(Protocol):
    """A data set, as far as a tokenizer needs to know it."""

    @property
    def shards(self) -> tuple[str, ...]: ...
    @property
    def split(self) -> str: ...


def load_tokenizer(table: ModelTable, model: FlamingoConfig) -> Any:
    """The tokenizer that a configuration names, unless it is to be learnt.

    Raises:
        ConfigError: there is none.
    """
    name = table.tokenizer
    if not name:
        if not model.language.pretrained:
            raise ConfigError(
                f"the language model {model.language.name!r} has no weights and so no tokenizer of its own; set "
                "model.tokenizer to a folder, or to 'learn' to make one from the data"
            )
        name = model.language.name
    return tokenizer_of(name)


def tokenizer_of(name: str | Path) -> Any:
    """Of a folder or hub name.

    Raises:
        ConfigError: there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"no tokenizer in {str(name)!r}: {str(error).strip().splitlines()[0]}") from error


def learn_tokenizer(data: Sequence[Texts], size: int) -> Any:
    """A byte-level BPE tokenizer with at most `size` words, `<s>` and `</s>` among them, of all data sets' texts.

    Raises:
        ConfigError: fewer words than there are bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if size < len(alphabet) + 2:
        raise ConfigError(
            f"the language model has {size} words, a byte-level tokenizer needs at least {len(alphabet) + 2}; "
            "set model.changes.language.options.vocab_size"
        )
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=[BOS, EOS], show_progress=False
    )
    inner.train_from_iterator(_texts(data), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=BOS, eos_token=EOS)


def _texts(data: Sequence[Texts]) -> Iterator[str]:
    total = 0
    for shard in dict.fromkeys(shard for table in data for shard in find_shards(table.shards, table.split)):
        for raw in read_shard(shard):
            found = read_sample(raw.key, raw.files) if isinstance(raw, Raw) else raw
            if isinstance(found, Rejected):
                continue
            text = found.sample.document.text
            yield IMAGE + text
            total += len(text)
            if total > MOST_TEXT:
                return
