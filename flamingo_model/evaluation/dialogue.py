"""Text for pictures outside of any task: captions, answers to a question, a conversation.

opened = open_model("runs/mine")
describe(opened, [Path("cat.jpg")])                       # ["A cat on a mat."]

talk = Dialogue()
talk, said = reply(opened, talk, [Path("cat.jpg"), "What is this?"])
talk, said = reply(opened, talk, ["What colour is it?"])  # the picture is still seen
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from flamingo_model.evaluation.ask import PLACE
from flamingo_model.evaluation.examples import Example, Frames, TaskError, Visual
from flamingo_model.evaluation.opened import Opened
from flamingo_model.evaluation.prompts import answer_text, one_line, trim
from flamingo_model.generate import generate
from flamingo_model.media import Media
from flamingo_model.prompt import END, Part, decode, prompt
from schemas.rejection import Rejected

CAPTION = "Output:"
USER, MODEL = "User:", "Flamingo:"
PREFACE = (
    "A person shows pictures to Flamingo, an assistant that sees, and asks about them. "
    "Flamingo answers in one short sentence and says only what can be seen."
)
"""What a conversation begins with. The paper's is longer and has examples (appendix, dialogue prompt); this is ours."""


PAPER_FRAMES = Frames(30, 3.0)


@dataclass(frozen=True)
class Settings:
    """How text is generated."""

    beams: int = 3
    max_new_tokens: int = 30
    frames: Frames = PAPER_FRAMES


DEFAULT = Settings()


def describe(
    opened: Opened,
    pictures: Sequence[Path | Visual],
    text: str = CAPTION,
    shots: Sequence[Example] = (),
    settings: Settings = DEFAULT,
    *,
    with_pictures: bool = True,
) -> list[str | Rejected]:
    """A text for each picture or video, each for itself.

    Args:
        text: what stands between the picture and the answer: "Output:", "Question: What is this? Answer:"; "" for
            models that have only seen captions as they stand in pairs.
        shots: stand before it in each prompt; an example's `question`, if it has one, stands in the place of that of
            `text` ("Question: {its question} Answer:").
        with_pictures: show the shots with their pictures.

    Returns:
        For a picture that cannot be read, why.

    Raises:
        TaskError: a shot whose picture cannot be read.
    """
    before: list[Part | Visual] = []
    for shot in shots:
        between = f"Question: {one_line(shot.question)} Answer:" if shot.question else text.strip()
        whole = (f" {between}" if between else "") + answer_text(shot.shown_answer)
        before += [shot.visual, whole] if with_pictures else [whole.strip(), END]
    said: list[str | Rejected] = []
    asked = f" {text.strip()}" if text.strip() else ""
    for picture in pictures:
        visual = picture if isinstance(picture, Visual) else Visual(picture)
        seen = opened.visual(visual, settings.frames)
        said.append(seen if isinstance(seen, Rejected) else say(opened, [*before, visual, asked], settings))
    return said


@dataclass(frozen=True)
class Dialogue:
    """A conversation so far. A value: no function changes it."""

    parts: tuple[Part | Visual, ...] = ()


def reply(
    opened: Opened, dialogue: Dialogue, message: Sequence[str | Path], settings: Settings = DEFAULT
) -> tuple[Dialogue, str]:
    """What the model says to a message of texts and pictures, and the conversation with both.

    All pictures of earlier turns stay in the prompt; as in training, a text sees the last picture before it, and the
    earlier ones only through what was said.

    Raises:
        TaskError: a picture that cannot be read. ValueError: a conversation that has become too long.
    """
    new: list[Part | Visual] = [] if dialogue.parts else [f"{PREFACE}\n"]
    pictures = [Visual(part) for part in message if isinstance(part, Path)]
    texts = [one_line(part) for part in message if isinstance(part, str)]
    said_by_user = f"{' ' * bool(pictures)}{USER} {' '.join(texts)}".rstrip()
    # Pictures come first, as before every text in training.
    new += [*pictures, f"{said_by_user}\n{MODEL}"]
    parts = (*dialogue.parts, *new)
    answer = say(opened, parts, settings, stop=(USER, MODEL))
    return Dialogue((*parts, f" {answer}\n")), answer


def say(opened: Opened, parts: Sequence[Part | Visual], settings: Settings, stop: Sequence[str] = ()) -> str:
    """The continuation of a prompt whose pictures are read, encoded and kept by `opened`.

    Raises:
        TaskError: a picture that cannot be read.
    """
    seen = []
    for part in parts:
        if isinstance(part, Visual):
            found = opened.visual(part, settings.frames)
            if isinstance(found, Rejected):
                raise TaskError(found.detail)
            seen.append(found)
    made = prompt([PLACE if isinstance(part, Visual) else part for part in parts], opened.tokenizer, opened.model)
    media, visual = None, None
    if seen:
        media = Media(torch.zeros(len(seen), 3, 1, 1, device=opened.device), (1,) * len(seen), (len(seen),))
        visual = torch.stack(seen)
    (ids,) = generate(
        opened.model,
        made.tokens,
        media,
        made.phi,
        visual=visual,
        max_new_tokens=settings.max_new_tokens,
        num_beams=settings.beams,
    )
    return trim(decode(ids, opened.tokenizer, opened.model.eoc_id), stop)
