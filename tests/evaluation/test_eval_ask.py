"""Prompts, word for word; ranking against a separate forward pass for each candidate; a conversation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from eval_files import make_opened, make_tokenizer, save_picture
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from flamingo_model.evaluation.ask import Asked, build, candidate_ids, generate_answers, parts_of, rank_answers
from flamingo_model.evaluation.dialogue import PREFACE, Dialogue, Settings, describe, reply, say
from flamingo_model.evaluation.examples import Example, Frames, TaskError, Visual
from flamingo_model.evaluation.opened import Opened
from flamingo_model.evaluation.prompts import question_text, shot_text, trim
from flamingo_model.evaluation.task import PromptKind
from flamingo_model.evaluation.video_sets import third_person
from flamingo_model.generate import generate
from flamingo_model.prompt import decode, prompt
from schemas.rejection import Rejected

ONE = Frames(1, 1.0)


@pytest.fixture(scope="module")
def opened() -> Opened:
    return make_opened()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [save_picture(folder / f"{n}.png", n) for n in range(4)]


def example(number: int, path: Path, answer: str = "dog", **fields: Any) -> Example:
    return Example(**{"id": str(number), "visual": Visual(path), "answers": (answer,), "question": "What?"} | fields)


def asked(opened: Opened, query: Example, *shots: Example, shown: bool = True) -> Asked:
    visuals = [opened.visual(one.visual, ONE) for one in ((*shots, query) if shown else (query,))]
    return Asked(query, shots, tuple(v for v in visuals if not isinstance(v, Rejected)))


def text_of(opened: Opened, one: Asked, kind: PromptKind) -> str:
    """The prompt as a person reads it."""
    ids = build(opened, [one], kind).tokens[0].tolist()
    return decode(ids, opened.tokenizer, opened.model.eoc_id, skip_special_tokens=False)


@pytest.mark.parametrize(
    ("kind", "question", "context", "answer", "text"),
    [
        ("caption", "", "", "A dog.", " Output: A dog."),
        ("plain", "", "", "A dog.", " A dog."),
        ("question", "What is it?", "", "dog", " Question: What is it? Answer: dog"),
        (
            "hateful_memes",
            "look\nat this",
            "",
            "yes",
            ' is an image with written: "look at this" on it. Is it hateful? Answer: yes',
        ),
        ("rareact", "", "", "cuts a dog", " Caption: a person cuts a dog"),
        (
            "dialogue",
            "what is it?",
            "a dog Question: big? Answer: yes",
            "dog",
            " a dog Question: big? Answer: yes Question: what is it? Answer: dog",
        ),
    ],
)
def test_texts_of_the_paper(kind: PromptKind, question: str, context: str, answer: str, text: str) -> None:
    one = example(1, Path("x"), answer, question=question, context=context)
    assert shot_text(kind, one) == text
    assert (kind == "plain") == (question_text(kind, one) == "")
    assert text.startswith(question_text(kind, one)) and not question_text(kind, one).endswith(" ")


def test_the_most_frequent_answer_is_shown() -> None:
    one = example(1, Path("x"), answers=("cat", "dog", "bird", "dog"))
    assert one.shown_answer == "dog"
    with pytest.raises(TaskError, match="has no answer"):
        example(1, Path("x"), answers=()).shown_answer  # noqa: B018


@pytest.mark.parametrize(
    ("verb", "noun", "text"),
    [
        ("cut", "onion", "cuts an onion"),
        ("wash", "dog", "washes a dog"),
        ("dry", "shoes", "dries shoes"),
        ("spray", "glass", "sprays a glass"),
        ("mix", "hair", "mixes hair"),
        ("do", "egg", "does an egg"),
    ],
)
def test_rare_actions_as_a_person_says_them(verb: str, noun: str, text: str) -> None:
    assert third_person(verb, noun) == text


def test_prompts_with_shots_and_with_texts_only(opened: Opened, paths: list[Path]) -> None:
    query, one, two = (example(n, paths[n], f"dog {n}") for n in range(3))
    few = asked(opened, query, one, two)
    assert few.with_pictures
    assert text_of(opened, few, "caption") == "<s><image> Output: dog 1<EOC><image> Output: dog 2<EOC><image> Output:"
    made = build(opened, [few], "caption")
    assert made.media is not None and made.media.per_row == (3,) and made.phi[0, -1] == 3
    none = asked(opened, query, one, two, shown=False)
    assert not none.with_pictures
    # As the paper prints it (section A.2).
    assert text_of(opened, none, "caption") == "<s>Output: dog 1<EOC>Output: dog 2<EOC><image> Output:"
    made = build(opened, [none], "caption")
    length = len(make_tokenizer()("<image> Output:", add_special_tokens=False)["input_ids"])
    assert made.media is not None and made.media.per_row == (1,)
    assert made.phi[0].tolist() == [0] * (made.phi.shape[1] - length) + [1] * length
    zero = asked(opened, query)
    assert text_of(opened, zero, "question") == "<s><image> Question: What? Answer:"


def test_prompts_are_those_of_prompt_py(opened: Opened, paths: list[Path]) -> None:
    """Visual tokens that were kept, and pictures encoded anew, give one answer; and so does a batch."""
    rows = [
        asked(opened, example(0, paths[0]), example(1, paths[1])),
        asked(opened, example(2, paths[2])),
        asked(opened, example(3, paths[3]), example(0, paths[0]), example(1, paths[1], "a cat on a mat")),
    ]
    together = generate_answers(opened, rows, "question", max_new_tokens=6, num_beams=3)
    for row, answer in zip(rows, together, strict=True):
        parts: list[Any] = []
        for shot in row.shots:
            parts += [shot.visual.path, shot_text("question", shot)]
        whole = prompt([*parts, row.query.visual.path, " Question: What? Answer:"], opened.tokenizer, opened.model)
        (ids,) = generate(opened.model, whole.tokens, whole.media, whole.phi, max_new_tokens=6, num_beams=3)
        assert trim(decode(ids, opened.tokenizer, opened.model.eoc_id)) == answer
        assert generate_answers(opened, [row], "question", max_new_tokens=6, num_beams=3) == [answer]


def separate(opened: Opened, one: Asked, kind: PromptKind, candidate: str, end: bool) -> float:
    """The log-likelihood of the prompt with the answer less that of the prompt: two plain forward passes."""

    def whole(parts: list[Any]) -> float:
        made = prompt(parts, opened.tokenizer, opened.model)
        tokens, phi = made.tokens, made.phi
        if end and parts[-1] == question_text(kind, one.query) + " " + candidate:
            tokens = torch.cat([tokens, torch.tensor([[opened.model.eoc_id]])], 1)
            phi = torch.cat([phi, phi[:, -1:]], 1)
        with torch.no_grad():
            logits = opened.model(tokens, made.media, phi).logits
        assert logits is not None
        gains = logits.log_softmax(-1)[0, :-1].gather(1, tokens[0, 1:, None])
        return float(gains.sum())

    before: list[Any] = []
    for shot in one.shots:
        before += [shot.visual.path, shot_text(kind, shot)]
    start = [*before, one.query.visual.path]
    question = question_text(kind, one.query)
    return whole([*start, f"{question} {candidate}"]) - whole([*start, question])


def test_ranking_plain_captions(opened: Opened, paths: list[Path]) -> None:
    one = asked(opened, example(0, paths[0], candidates=("dog", "a cat")), example(1, paths[1]))
    scores = rank_answers(opened, [one], "plain", end=True, length_normalised=False)[0]
    assert scores == pytest.approx([separate(opened, one, "plain", name, True) for name in ("dog", "a cat")], abs=2e-4)


@pytest.mark.parametrize("end", [True, False])
def test_ranking_equals_separate_forward_passes(opened: Opened, paths: list[Path], end: bool) -> None:
    candidates = ("dog", "a cat on a mat", "yes", "a log and a dog")
    rows = [
        asked(opened, example(0, paths[0], candidates=candidates), example(1, paths[1]), example(2, paths[2])),
        asked(opened, example(3, paths[3], candidates=candidates[:2])),
    ]
    found = rank_answers(opened, rows, "question", end=end, length_normalised=False)
    for row, scores in zip(rows, found, strict=True):
        expected = [separate(opened, row, "question", candidate, end) for candidate in row.query.candidates]
        assert scores == pytest.approx(expected, abs=2e-4)
    normalised = rank_answers(opened, rows[1:], "question", end=end, length_normalised=True)[0]
    lengths = [len(ids) for ids in candidate_ids(opened, "question", rows[1].query, end)[0]]
    assert normalised == pytest.approx([score / n for score, n in zip(found[1], lengths, strict=True)], abs=1e-5)


def joining_tokenizer() -> Any:
    """Characters, and ": d", which joins the end of the question to the beginning of one answer."""
    signs = ["<s>", *sorted(set("<image> Output: dog cat Question: What? Answer: yes")), ": ", ": d"]
    merges = [(":", " "), (": ", "d")]
    inner = Tokenizer(models.BPE({sign: n for n, sign in enumerate(signs)}, merges))
    inner.pre_tokenizer = pre_tokenizers.Split("never", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>")


def test_a_token_across_question_and_answer(opened: Opened, paths: list[Path]) -> None:
    """What is compared is the text, however it is cut: the question's last token goes to all candidates."""
    joined = Opened(opened.model, joining_tokenizer(), Path())
    one = asked(joined, example(0, paths[0], candidates=("dog", "cat")))
    ids, cut = candidate_ids(joined, "caption", one.query, end=False)
    texts = [joined.tokenizer.convert_ids_to_tokens(own) for own in ids]
    assert texts == [[": d", "o", "g"], [": ", "c", "a", "t"]] and cut == 1
    assert build(joined, [one], "caption", [1]).tokens.shape[1] == build(joined, [one], "caption").tokens.shape[1] - 1
    scores = rank_answers(joined, [one], "caption", end=False, length_normalised=False)[0]
    made = prompt([paths[0], " Output"], joined.tokenizer, joined.model)
    for candidate, score in zip(("dog", "cat"), scores, strict=True):
        whole = prompt([paths[0], f" Output: {candidate}"], joined.tokenizer, joined.model)
        with torch.no_grad():
            logits = joined.model(whole.tokens, whole.media, whole.phi).logits
        assert logits is not None
        gains = logits.log_softmax(-1)[0, :-1].gather(1, whole.tokens[0, 1:, None])[:, 0]
        assert score == pytest.approx(float(gains[made.tokens.shape[1] - 1 :].sum()), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" a dog", "a dog"),
        (" a dog\nQuestion: and", "a dog"),
        (" dog Question: What", "dog"),
        (" dog. Output: cat", "dog."),
        ("\n dog", "dog"),
        ("", ""),
    ],
)
def test_answers_are_cut_at_keywords(text: str, answer: str) -> None:
    assert trim(text) == answer


def test_pictures_are_encoded_once(opened: Opened, paths: list[Path]) -> None:
    fresh = Opened(opened.model, opened.tokenizer, Path())
    calls = []
    handle = opened.model.vision.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    try:
        for _ in range(3):
            asked(fresh, example(0, paths[0]), example(1, paths[1]))
    finally:
        handle.remove()
    assert calls == [1, 1]


def test_describe_shows_shots_and_counts_what_cannot_be_read(opened: Opened, paths: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    settings = Settings(beams=2, max_new_tokens=5, frames=ONE)
    said = describe(opened, [paths[0], broken, tmp_path / "none.jpg"], settings=settings)
    assert isinstance(said[0], str)
    assert [one.reason for one in said if isinstance(one, Rejected)] == ["undecodable", "missing"]
    shot = example(1, paths[1], "a dog", question="")
    (few,) = describe(opened, [paths[0]], shots=[shot], settings=settings)
    assert few == say(opened, [Visual(paths[1]), " Output: a dog", Visual(paths[0]), " Output:"], settings)
    (plain,) = describe(opened, [paths[0]], "", [shot], settings)
    assert plain == say(opened, [Visual(paths[1]), " a dog", Visual(paths[0])], settings)
    with pytest.raises(TaskError, match="is not there"):
        describe(opened, [paths[0]], shots=[example(1, tmp_path / "none.jpg")], settings=settings)


def test_a_conversation_keeps_its_pictures(opened: Opened, paths: list[Path]) -> None:
    settings = Settings(beams=1, max_new_tokens=4, frames=ONE)
    first, said = reply(opened, Dialogue(), [paths[0], "What is this?"], settings)
    second, more = reply(opened, first, ["And this?", paths[1]], settings)
    third, last = reply(opened, second, ["What colour?"], settings)
    pictures = [part for part in third.parts if isinstance(part, Visual)]
    assert pictures == [Visual(paths[0]), Visual(paths[1])]
    assert first.parts[0] == f"{PREFACE}\n" and Dialogue().parts == ()  # no turn changes the one before
    text = "".join("<image>" if isinstance(part, Visual) else str(part) for part in third.parts)
    assert text == (
        f"{PREFACE}\n<image> User: What is this?\nFlamingo: {said}\n"
        f"<image> User: And this?\nFlamingo: {more}\nUser: What colour?\nFlamingo: {last}\n"
    )
    again = say(opened, third.parts[:-1], settings, stop=("User:", "Flamingo:"))
    assert again == last


def test_parts_of_a_prompt_without_shots(opened: Opened, paths: list[Path]) -> None:
    one = asked(opened, example(0, paths[0]))
    assert len(parts_of(one, "question")) == 2
