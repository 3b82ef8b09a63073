"""What is written beside a picture for each kind of task (section B.1.5), and what of a generated text is the answer.

<BOS><image> Output: A cat on a mat.<EOC><image> Output:
<BOS><image> Question: What is it? Answer: A dog.<EOC><image> Question: What is it? Answer:
"""

from collections.abc import Sequence

from flamingo_model.evaluation.examples import Example
from flamingo_model.evaluation.task import PromptKind

KEYWORDS = ("Question:", "Output:", "Answer:", "Caption:")
"""Where an answer that does not end in `<EOC>` is cut (v1, section 4.4.1: "Question", "Output")."""


def question_text(kind: PromptKind, example: Example) -> str:
    """All that stands between the mark and the answer; it begins with a space and ends without one.

    "plain" is nothing: for small models, which have only seen captions as they stand in pairs.
    """
    if kind == "caption":
        return " Output:"
    if kind == "plain":
        return ""
    if kind == "hateful_memes":
        return f' is an image with written: "{one_line(example.question)}" on it. Is it hateful? Answer:'
    if kind == "rareact":
        return " Caption: a person"
    asked = f" Question: {one_line(example.question)} Answer:"
    return f" {one_line(example.context)}{asked}" if kind == "dialogue" and example.context else asked


def shot_text(kind: PromptKind, example: Example) -> str:
    """An example with its answer."""
    return question_text(kind, example) + answer_text(example.shown_answer)


def answer_text(answer: str) -> str:
    """An answer as it follows the question."""
    return f" {one_line(answer)}"


def one_line(text: str) -> str:
    """Without line breaks and spaces too many."""
    return " ".join(text.split())


def trim(text: str, more: Sequence[str] = ()) -> str:
    """The answer in a generated text: up to the first line break or keyword of a prompt, or any of `more`."""
    text = text.strip()
    ends = [place for word in (*KEYWORDS, *more, "\n") if (place := text.find(word)) >= 0]
    return text[: min(ends, default=len(text))].strip()
