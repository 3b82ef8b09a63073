"""Text from pictures and text: greedy, beam search, sampling; and the likelihood of given answers (section B.1.5).

B rows, L tokens, V + 1 ids, the last of which is `<EOC>`.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from flamingo_model.decoding import DecodingState, advance, check_positions, extend, select, start
from flamingo_model.model import Flamingo, Images

Choose = Callable[[Tensor], Tensor]
LOGITS_AT_ONCE = 256
"""Places of candidates whose logits exist at a time."""


def generate(
    model: Flamingo,
    tokens: Tensor,
    images: Images,
    phi: Tensor,
    *,
    attention_mask: Tensor | None = None,
    visual: Tensor | None = None,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    num_beams: int = 1,
    length_penalty: float = 0.0,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    eos: int | Sequence[int] | None = None,
    stop_at_eoc: bool = True,
) -> list[list[int]]:
    """Continue each prompt. All new tokens see what its last token sees.

    Args:
        tokens, images, phi, attention_mask, visual: the prompts, as `decoding.start` takes them.
        max_new_tokens: at least 1.
        min_new_tokens: before that many, no token that would end the text is taken.
        num_beams: 1: greedy or sampling; the paper has 3 for captions and answers (section A.2).
        length_penalty: beam search compares sums of log-probabilities divided by the number of new tokens to this
            power; 0: the sums; 1: means.
        do_sample: draw from the distribution instead of taking the likeliest token.
        temperature, top_k, top_p: of sampling: logits are divided by the first; then only the k likeliest tokens are
            left (0: all), then the fewest whose probabilities sum to p or more.
        generator: of the draws, on the model's device; None: torch's own.
        eos: ids that end the text; None: those of the language model's configuration; (): none.
        stop_at_eoc: `<EOC>` ends it too.

    Returns:
        For each row the new ids, with the one that ended it, if any.

    Raises:
        ValueError: options that do not fit together, or what `decoding.start` raises.
    """
    if max_new_tokens < 1 or not 0 <= min_new_tokens <= max_new_tokens:
        raise ValueError(
            f"max_new_tokens is {max_new_tokens}, min_new_tokens {min_new_tokens}: the first must be at least 1, and "
            "the second between 0 and the first"
        )
    if temperature <= 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"temperature {temperature}, top_k {top_k}, top_p {top_p}: must be above 0, 0 or more, above 0 and at "
            "most 1; do_sample=False takes the likeliest token"
        )
    stops = _stops(model, eos, stop_at_eoc)
    if num_beams < 1 or num_beams > model.eoc_id + 1 - len(stops):
        raise ValueError(f"num_beams is {num_beams}, must be 1 to {model.eoc_id + 1 - len(stops)}")
    if num_beams > 1 and do_sample:
        raise ValueError("beam search draws nothing: take num_beams=1 or do_sample=False")
    if tokens.dim() == 2 and tokens.numel():
        longest = tokens.shape[1] if attention_mask is None else int(attention_mask.sum(1).max())
        check_positions(model, longest + max_new_tokens - 1)
    state = start(model, tokens, images, phi, attention_mask, visual=visual)
    if num_beams > 1:
        return _beam_search(state, num_beams, stops, max_new_tokens, min_new_tokens, length_penalty)

    def choose(logits: Tensor) -> Tensor:
        if not do_sample:
            return logits.argmax(-1)
        return torch.multinomial(probabilities(logits, temperature, top_k, top_p), 1, generator=generator)[:, 0]

    return _follow(state, choose, stops, max_new_tokens, min_new_tokens)


@torch.no_grad()
def candidate_log_likelihoods(
    model: Flamingo,
    tokens: Tensor,
    images: Images,
    phi: Tensor,
    candidates: Sequence[Sequence[Sequence[int]]],
    *,
    attention_mask: Tensor | None = None,
    visual: Tensor | None = None,
    length_normalised: bool = False,
    batch: int = 64,
) -> list[list[float]]:
    """Log-likelihood of given continuations: close-ended tasks take the likeliest (section B.1.5).

    Args:
        tokens, images, phi, attention_mask, visual: the prompts, as `decoding.start` takes them; each is read once.
        candidates: for each row any number of continuations, each of one or more ids.
        length_normalised: divided by the number of ids.
        batch: continuations that are read at once, each with a copy of its prompt's keys and values in the language
            model.

    Returns:
        For each row a natural logarithm for each of its candidates.

    Raises:
        ValueError: not a list for each row, an empty candidate, or what `decoding.start` raises.
    """
    if len(candidates) != len(tokens):
        raise ValueError(f"candidates are of {len(candidates)} rows, the tokens of {len(tokens)}")
    for row, own in enumerate(candidates):
        for candidate in own:
            if not candidate or min(candidate) < 0 or max(candidate) > model.eoc_id:
                raise ValueError(
                    f"candidate {list(candidate)} of row {row} must be one or more ids of 0 to {model.eoc_id}"
                )
    state = start(model, tokens, images, phi, attention_mask, visual=visual)
    first = state.logits.float().log_softmax(-1).cpu()
    sums = [[float(first[row, candidate[0]]) for candidate in own] for row, own in enumerate(candidates)]
    pairs = [(row, place) for row, own in enumerate(candidates) for place, c in enumerate(own) if len(c) > 1]
    pairs.sort(key=lambda pair: len(candidates[pair[0]][pair[1]]))  # Those of one length together: little padding.
    for begin in range(0, len(pairs), batch):
        part = sorted(pairs[begin : begin + batch])
        rest = _continuations(state, [row for row, _ in part], [candidates[row][place] for row, place in part])
        for (row, place), more in zip(part, rest, strict=True):
            sums[row][place] += more
    if not length_normalised:
        return sums
    return [[value / len(c) for value, c in zip(*both, strict=True)] for both in zip(sums, candidates, strict=True)]


def probabilities(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """What sampling draws from, float32 [B, V + 1], of logits of the same shape; arguments as for `generate`."""
    logits = logits.float() / temperature
    if 0 < top_k < logits.shape[-1]:
        kept = logits.topk(top_k).indices
        logits = torch.full_like(logits, -torch.inf).scatter(-1, kept, logits.gather(-1, kept))
    p = logits.softmax(-1)
    if top_p < 1:
        ordered, order = p.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered  # The likeliest token has nothing before it, so one is always left.
        p = torch.zeros_like(p).scatter(-1, order, ordered.masked_fill(before >= top_p, 0))
        p = p / p.sum(-1, keepdim=True)
    return p


def _stops(model: Flamingo, eos: int | Sequence[int] | None, stop_at_eoc: bool) -> list[int]:
    if eos is None:
        eos = getattr(model.language.lm.config.get_text_config(), "eos_token_id", None)
    ids = () if eos is None else (eos,) if isinstance(eos, int) else tuple(eos)
    return sorted({i for i in ids if 0 <= i <= model.eoc_id} | ({model.eoc_id} if stop_at_eoc else set()))


def _without(logits: Tensor, stops: list[int]) -> Tensor:
    return logits.index_fill(-1, torch.tensor(stops, dtype=torch.int64, device=logits.device), -torch.inf)


def _follow(state: DecodingState, choose: Choose, stops: list[int], most: int, least: int) -> list[list[int]]:
    """One token after the other; a row that has ended leaves the batch."""
    out: list[list[int]] = [[] for _ in state.phi]
    rows = list(range(len(out)))
    for step in range(1, most + 1):
        chosen = choose(_without(state.logits, stops) if step <= least else state.logits)
        ids = chosen.tolist()
        for row, token in zip(rows, ids, strict=True):
            out[row].append(token)
        going = [place for place, token in enumerate(ids) if token not in stops]
        if not going or step == most:
            break
        if len(going) < len(ids):
            state, chosen, rows = select(state, going), chosen[going], [rows[place] for place in going]
        state = extend(state, chosen[:, None])
    return out


def _beam_search(
    state: DecodingState, beams: int, stops: list[int], most: int, least: int, length_penalty: float
) -> list[list[int]]:
    """The `beams` best unfinished texts of each row go on; a text that ends is a result if it is among the `beams` best
    of its step. A row is done when no unfinished text can still become better than its best result."""
    best: list[tuple[float, list[int]]] = [(-math.inf, []) for _ in state.phi]
    rows = list(range(len(best)))
    texts: list[list[list[int]]] = [[[]] for _ in rows]
    scores = torch.zeros(len(rows), 1, device=state.last.device)

    def worth(score: float, length: int) -> float:
        return score / length**length_penalty

    for step in range(1, most + 1):
        gains = state.logits.float().log_softmax(-1)
        if step <= least:
            gains = _without(gains, stops)
        width, vocabulary = scores.shape[1], gains.shape[-1]
        totals = (scores[..., None] + gains.view(len(rows), width, vocabulary)).flatten(1)
        # Among so many there are always `beams` that do not end.
        top = totals.topk(min(beams * (1 + len(stops)), totals.shape[1]))
        parents: list[int] = []
        chosen: list[int] = []
        going: list[tuple[int, list[list[int]], list[float]]] = []
        found = zip(rows, top.values.tolist(), top.indices.tolist(), strict=True)
        for group, (row, values, places) in enumerate(found):
            own: list[tuple[float, int, int]] = []
            for rank, (score, place) in enumerate(zip(values, places, strict=True)):
                parent, token = divmod(place, vocabulary)
                if token not in stops:
                    own.append((score, parent, token))
                elif rank < beams and score > -math.inf and worth(score, step) > best[row][0]:
                    best[row] = worth(score, step), [*texts[group][parent], token]
            own = own[:beams]
            continued = [[*texts[group][parent], token] for _, parent, token in own]
            if step == most:
                best[row] = max(best[row], (worth(own[0][0], step), continued[0]), key=lambda result: result[0])
            elif worth(own[0][0], most if length_penalty > 0 else step + 1) > best[row][0]:
                parents += [group * width + parent for _, parent, _ in own]
                chosen += [token for _, _, token in own]
                going.append((row, continued, [score for score, _, _ in own]))
        if not going:
            break
        rows, texts = [row for row, _, _ in going], [continued for _, continued, _ in going]
        scores = torch.tensor([values for _, _, values in going], device=scores.device)
        state = extend(select(state, parents), torch.tensor(chosen, device=scores.device)[:, None])
    return [text for _, text in best]


def _continuations(state: DecodingState, rows: list[int], candidates: list[Sequence[int]]) -> list[float]:
    """Of each candidate, all but its first token, given the prompt of its row."""
    device = state.last.device
    longest = max(map(len, candidates)) - 1
    ids = torch.tensor([[*c, *[0] * (longest + 1 - len(c))] for c in candidates], device=device)
    read = torch.tensor([[place < len(c) - 1 for place in range(longest)] for c in candidates], device=device)
    mask = None if bool(read.all()) else read
    hidden, _ = advance(select(state, rows), ids[:, :-1], mask=mask)
    gains = torch.zeros(read.shape, device=device)
    parts = zip(hidden[read].split(LOGITS_AT_ONCE), ids[:, 1:][read].split(LOGITS_AT_ONCE), strict=True)
    logits = state.model.language.logits
    gains[read] = torch.cat([-F.cross_entropy(logits(x).float(), y, reduction="none") for x, y in parts])
    return gains.sum(1).tolist()
