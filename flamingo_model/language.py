"""Any Hugging Face causal language model, as it is: frozen, with room for layers between its own, and one new token.

Nothing of it is replaced. A hook before each of its blocks lets an inserted layer change what goes in; the vocabulary
keeps its rows bit for bit, and only `<EOC>` is new, with an input and an output row of its own (`<image>` is plain text
to the model; v1, section 3.2.1).

B rows, L tokens, D width, V rows of the vocabulary.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Insert = Callable[[Tensor], Tensor]


class ArchitectureError(ValueError):
    """A language model that cannot be wrapped: the message says what was looked for and what was found."""


class LanguageModel(nn.Module):
    """The language model and the rows of `<EOC>`.

    Args:
        lm: a transformers causal model, e.g. from `AutoModelForCausalLM`.
        frozen: no gradients, evaluation mode whatever `train()` says.

    Raises:
        ArchitectureError: its blocks are not found, do not all run once, or its logits are not what its head and the
            known ways of scaling give.
    """

    def __init__(self, lm: Any, frozen: bool = True) -> None:
        super().__init__()
        self.lm = lm
        self.frozen = frozen
        blocks = self.blocks
        embedding, head = lm.get_input_embeddings(), lm.get_output_embeddings()
        if embedding is None or head is None:
            raise ArchitectureError(
                f"{type(lm).__name__} has no input or output embeddings: it is no causal language model"
            )
        self.eoc_id = int(embedding.weight.shape[0])
        """Id of `<EOC>`: the first after the language model's own rows."""
        self.dim = int(embedding.weight.shape[1])
        self.eoc_input = nn.Parameter(torch.empty(self.dim, device=embedding.weight.device))
        self.eoc_output = nn.Parameter(torch.empty(int(head.weight.shape[1]), device=head.weight.device))
        self._takes = frozenset(inspect.signature(lm.base_model.forward).parameters)
        self._inserts: Mapping[int, Insert] = {}
        for index, block in enumerate(blocks):
            # A bound method and not a closure: copies of the model then call their own, and it can be pickled.
            block.register_forward_pre_hook(functools.partial(self._before, index), with_kwargs=True)
        if frozen:
            lm.requires_grad_(False)
            lm.eval()
        if not embedding.weight.is_meta:
            self._probe()

    @property
    def blocks(self) -> nn.ModuleList:
        """Of the language model. Not a module of this one too: their tensors would have two names."""
        return decoder_blocks(self.lm)

    def train(self, mode: bool = True) -> "LanguageModel":
        """As of any module, but a frozen language model stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.lm.eval()
        return self

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, L] ids, at most `eoc_id`, to [B, L, D].

        Raises:
            ValueError: another id (seen here on the CPU only; a GPU says it in its own way).
        """
        if tokens.device.type == "cpu" and tokens.numel() and not 0 <= tokens.min() <= tokens.max() <= self.eoc_id:
            raise ValueError(
                f"token ids are {tokens.min()} to {tokens.max()}, must be 0 to at most {self.eoc_id} (<EOC>): "
                "is the tokenizer that of the language model?"
            )
        eoc = tokens == self.eoc_id
        embedded = self.lm.get_input_embeddings()(tokens.masked_fill(eoc, 0))
        return torch.where(eoc[..., None], self.eoc_input.to(embedded.dtype), embedded)

    def hidden(
        self,
        embedded: Tensor,
        inserts: Mapping[int, Insert],
        *,
        attention_mask: Tensor | None = None,
        documents: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        """What comes out of the last block, normed: the input of the head.

        Args:
            embedded: [B, L, D].
            inserts: for a block's index, what to do with its input [B, L, D].
            attention_mask: bool or 0/1 [B, L], or [B, past + L] with a cache; 0 for padding, on either side.
            documents: ids [B, L] of the documents packed into each row; a token attends only within its own.
            cache: a transformers Cache, which is added to.

        Returns:
            [B, L, D]
        """
        arguments: dict[str, Any] = {"inputs_embeds": embedded, "use_cache": cache is not None}
        if cache is not None:
            if "past_key_values" not in self._takes:
                raise ArchitectureError(
                    f"{type(self.lm).__name__} takes no past_key_values, so it cannot decode step by step; "
                    "run the model on the whole text for each token"
                )
            arguments["past_key_values"] = cache
        if documents is not None:
            if "position_ids" not in self._takes or cache is not None:
                raise ArchitectureError(
                    f"{type(self.lm).__name__} cannot pack documents: it takes no positions, or a cache is used"
                )
            if getattr(self.lm, "_is_stateful", False):  # what transformers calls those that carry a state along
                raise ArchitectureError(
                    f"{type(self.lm).__name__} is recurrent: its state would run from one packed document into the next"
                )
            window = getattr(self.lm.config.get_text_config(), "sliding_window", None)
            if window and documents.shape[1] > window:  # Its own mask would be replaced by ours.
                raise ArchitectureError(
                    f"{type(self.lm).__name__} sees {window} tokens back in some blocks, which packed rows of "
                    f"{documents.shape[1]} tokens would undo; pack into rows of at most {window}"
                )
            arguments["attention_mask"] = _additive(text_mask(documents, attention_mask), embedded.dtype)
            arguments["position_ids"] = _positions_in(documents)
        elif attention_mask is not None and not bool(attention_mask.all()):
            arguments["attention_mask"] = attention_mask.long()
            if "position_ids" in self._takes:
                positions = attention_mask.long().cumsum(1).sub(1).clamp(min=0)
                arguments["position_ids"] = positions[:, -embedded.shape[1] :]
        with self._inserting(inserts):
            return self.lm.base_model(**arguments).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., V + 1], the last for `<EOC>`; the others are the language model's own, bit for bit."""
        head = self.lm.get_output_embeddings()
        own = head(hidden)
        eoc = hidden @ self.eoc_output.to(hidden.dtype)
        return _scale(torch.cat([own, eoc[..., None].to(own.dtype)], dim=-1), self.lm)

    def head_parameters(self) -> list[nn.Parameter]:
        """What `logits` learns: the row of `<EOC>`, and the head if it is not frozen."""
        own = [p for p in self.lm.get_output_embeddings().parameters() if p.requires_grad]
        return [self.eoc_output, *own]

    def wrap_blocks(self, wrap: Callable[..., Any]) -> None:
        """Run each block's forward through `wrap(forward)`: compilation, checkpoints. Inserted layers stay outside."""
        for block in self.blocks:
            forward = block.forward
            if isinstance(forward, MethodType):  # Stays one, so that a copy of the model runs its own blocks.
                block.forward = MethodType(wrap(forward.__func__), block)
            else:  # Somebody has wrapped it before (accelerate).
                block.forward = wrap(forward)

    def _before(self, index: int, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if index not in self._inserts:
            return None
        insert = self._inserts[index]
        if args:
            return (insert(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": insert(kwargs["hidden_states"])}

    @contextmanager
    def _inserting(self, inserts: Mapping[int, Insert]) -> Iterator[None]:
        self._inserts = inserts
        try:
            yield
        finally:
            self._inserts = {}

    @torch.no_grad()
    def _probe(self) -> None:
        """Three tokens through the model as it is and through ours: the only proof that holds for any architecture."""
        name = type(self.lm).__name__
        calls: list[int] = []

        def count(index: int) -> Insert:
            def insert(x: Tensor) -> Tensor:
                calls.append(index)
                return x

            return insert

        training = self.lm.training
        self.lm.eval()
        tokens = torch.arange(3, device=self.eoc_input.device)[None]
        try:
            theirs = self.lm(tokens, use_cache=False).logits
            hidden = self.hidden(self.embed(tokens), {index: count(index) for index in range(len(self.blocks))})
        except (TypeError, KeyError, AttributeError) as error:
            raise ArchitectureError(f"{name} does not run as a causal model of transformers does: {error}") from error
        finally:
            self.lm.train(training)
        if calls != list(range(len(self.blocks))):
            raise ArchitectureError(f"the blocks of {name} ran in the order {calls}, not each once from first to last")
        self.eoc_output.data.zero_()
        if not torch.equal(self.logits(hidden)[..., :-1].float(), theirs.float()):
            raise ArchitectureError(f"{name} computes its logits in a way that is not known here; see _scale")


def decoder_blocks(lm: nn.Module) -> nn.ModuleList:
    """The blocks of a causal model: its shallowest list of as many modules as its configuration has layers.

    Raises:
        ArchitectureError: there is none.
    """
    config: Any = lm.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    wanted = getattr(text, "num_hidden_layers", None)
    lists = [
        (name.count("."), name, module) for name, module in lm.named_modules() if isinstance(module, nn.ModuleList)
    ]
    fitting = [(depth, name) for depth, name, module in lists if len(module) == wanted]
    if not fitting:
        found = ", ".join(f"{name} of {len(module)}" for _, name, module in lists) or "none"
        raise ArchitectureError(
            f"{type(lm).__name__} has no list of {wanted} blocks (num_hidden_layers); found: {found}"
        )
    blocks = lm.get_submodule(min(fitting)[1])
    assert isinstance(blocks, nn.ModuleList)
    return blocks


def checkpointed(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward` whose activations are computed again for the gradient, where there is one."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled() or kwargs.get("past_key_values") is not None:
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run


def empty_cache(lm: Any) -> Any:
    """A transformers Cache for `LanguageModel.hidden`, of the kind that fits the model's attention."""
    from transformers import DynamicCache

    return DynamicCache(config=lm.config)


def copy_cache(cache: Any) -> Any:
    """A cache that can be added to without changing this one. Ordinary layers of it put new tensors in the place of old
    ones, so these need no copy; others (recurrent ones) may write into theirs."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    new = copy.copy(cache)
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    new.layers = [copy.copy(layer) if type(layer) in plain else copy.deepcopy(layer) for layer in cache.layers]
    return new


def _scale(logits: Tensor, lm: Any) -> Tensor:
    """What some architectures do after the head: Cohere, Granite, Gemma."""
    config = lm.config.get_text_config()
    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    if getattr(config, "logit_scale", None):
        logits = logits * config.logit_scale
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = torch.tanh(logits / cap) * cap
    return logits


def text_mask(documents: Tensor | None, attention_mask: Tensor | None) -> Tensor:
    """bool [B, 1, L, L], True where a token sees another: within its document, backwards in time, no padding.

    Args:
        documents: ids [B, L]; None: each row is one.
        attention_mask: bool or 0/1 [B, L], 0 for padding; None: no padding. One of the two must be given.
    """
    given = attention_mask if documents is None else documents
    assert given is not None
    length, device = given.shape[1], given.device
    seen = torch.ones(length, length, dtype=torch.bool, device=device).tril()[None]
    if documents is not None:
        seen = seen & (documents[:, None, :] == documents[:, :, None])
    if attention_mask is not None:
        # A padding token still sees itself: a row of the softmax must not be empty.
        seen = seen & (attention_mask.bool()[:, None, :] | torch.eye(length, dtype=torch.bool, device=device))
    return seen[:, None]


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask as transformers wants it, to be added to the scores: 0 where a token sees another."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)


def _positions_in(documents: Tensor) -> Tensor:
    """[B, L] places of the tokens in their documents, each of which is one run."""
    places = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = F.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return places - (places * begins).cummax(1).values
