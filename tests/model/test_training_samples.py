"""Documents to rows of tokens: marks, crops, phi by a second way of counting, captions, frames, what is refused."""

from collections import Counter
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_data import EOC, clip, make_tokenizer, page, pair, picture

from flamingo_model.loss import IGNORED
from flamingo_model.samples import CLIPS, PAGES, PAIRS, Sample, SampleConfig, clip_frames, training_sample
from flamingo_model.stream import sample_rng
from flamingo_model.tokens import chunk_ids
from schemas.document import Document, Image, Slot, Text, Video
from schemas.rejection import Rejected

TOKENIZER = make_tokenizer()
BOS, EOS = TOKENIZER.bos_token_id, TOKENIZER.eos_token_id
MARK = TOKENIZER("<image>", add_special_tokens=False)["input_ids"]
LONG = replace(PAGES, length=10_000)


def ids(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def document(*parts: str | int, kind: Any = "page") -> Document:
    """Texts, and pictures by number."""
    slots: list[Slot] = [Text(part) if isinstance(part, str) else Image(url="", member=f"{part}.jpg") for part in parts]
    return Document(kind=kind, url="", key="k", slots=tuple(slots))


def sample(given: Document, config: SampleConfig, seed: int = 0, tokenizer: Any = TOKENIZER) -> Sample:
    made = training_sample(given, config, tokenizer, EOC, Random(seed))
    assert isinstance(made, Sample)
    return made


def always(p_next: int, **changes: Any) -> SampleConfig:
    return replace(LONG, p_next=float(p_next), **changes)


def test_a_whole_page() -> None:
    given = document("A mat.", 0, " A cat.", 1, 2, "\n\nThe end.")
    texts = [ids("A mat."), ids("<image> A cat."), MARK, ids("<image>\n\nThe end.")]
    tokens = [BOS, *texts[0], EOC, *texts[1], EOC, *texts[2], EOC, *texts[3], EOC, EOS]
    before = sample(given, always(0))
    assert before.tokens.tolist() == tokens and not before.next
    lengths = [len(text) + 1 for text in texts]
    assert before.phi.tolist() == [0] * (1 + lengths[0]) + [1] * lengths[1] + [2] * lengths[2] + [3] * (lengths[3] + 1)
    assert before.labels.tolist() == [IGNORED, *tokens[1:]]
    assert before.pictures == (("0.jpg",), ("1.jpg",), ("2.jpg",))
    after = sample(given, always(1))
    assert after.tokens.tolist() == tokens and after.next
    own, marks = len(MARK), lengths[1] - len(MARK)
    assert after.phi.tolist() == (
        [1] * (1 + lengths[0] + own) + [2] * (marks + own) + [3] * (1 + own) + [0] * (lengths[3] + 1 - own)
    )


def test_marks_are_placed_and_not_found() -> None:
    """What a page says is text, be it a mark or one of the tokenizer's special tokens."""
    made = sample(document("<image><EOC></s><s>", 0, "</s>"), always(0))
    assert Counter(made.tokens.tolist())[EOC] == 2
    assert Counter(made.tokens.tolist())[EOS] == 1 and made.tokens[-1] == EOS
    assert Counter(made.tokens.tolist())[BOS] == 1 and made.tokens[0] == BOS
    text = made.tokens[made.phi == 0][1:-1].tolist()
    assert TOKENIZER.decode(text) == "<image><EOC></s><s>"
    assert len(made.pictures) == 1


def test_a_mark_that_is_a_special_token() -> None:
    tokenizer = make_tokenizer(image=True)
    mark = tokenizer.convert_tokens_to_ids("<image>")
    made = sample(document("an <image>", 0, " and </s> so"), always(0), tokenizer=tokenizer)
    assert Counter(made.tokens.tolist())[mark] == 1 and Counter(made.tokens.tolist())[EOS] == 1
    assert chunk_ids([" A cat"], tokenizer, EOC, images=[True]) == [([mark, *ids(" A cat")], 1)]


def test_a_tokenizer_without_special_tokens() -> None:
    tokenizer = make_tokenizer(bos=False, eos=False)
    made = sample(document(0, "A cat"), always(0), tokenizer=tokenizer)
    ((chunk, _),) = chunk_ids(["A cat"], tokenizer, EOC, images=[True])
    assert made.tokens.tolist() == [*chunk, EOC] and made.phi.tolist() == [1] * (len(chunk) + 1)
    assert made.labels[0] == IGNORED


def test_a_tokenizer_of_another_model() -> None:
    with pytest.raises(ValueError, match="below 60; take the tokenizer that belongs to it"):
        training_sample(document("Käse"), LONG, TOKENIZER, 60, Random(0))


def test_pages_of_text_see_nothing() -> None:
    made = sample(document("Only words."), always(1))
    assert made.tokens.tolist() == [BOS, *ids("Only words."), EOC, EOS]
    assert not made.phi.any() and made.pictures == ()


# --- phi, counted a second time: each token carries its place, and each image is looked for among all of them ---


def brute_force(given: Document, config: SampleConfig, made: Sample) -> list[int]:
    """phi of a crop, from the definition: for each token the last mark at or before it, or the next one at or after."""
    tokens: list[tuple[int, int, int]] = []  # id, image whose mark it is part of, image whose <EOC> it is
    number, chunk, marked = 0, "", False

    def close() -> None:
        new = ids("<image>" + chunk) if marked else ids(chunk) if chunk else []
        own = 0
        while marked and own < len(MARK) and new[own] == MARK[own]:
            own += 1
        tokens.extend((token, number if place < max(own, int(marked)) else 0, 0) for place, token in enumerate(new))

    for slot in given.slots:
        if isinstance(slot, Text):
            chunk += slot.text
        else:
            close()
            if tokens:
                tokens.append((EOC, 0, number + 1))
            number, chunk, marked = number + 1, "", True
    close()
    tokens += [(EOC, 0, 0), (EOS, 0, 0)]
    full = [token for token, _, _ in tokens]
    has_bos = int(made.tokens[0] == BOS)
    body = made.tokens[has_bos:].tolist()
    fitting = []
    for start in range(len(full) - 1):
        stop = min(len(full), start + config.length - (config.begin == "crop" or start == 0))
        window = tokens[start:stop]
        images = sorted({image for _, image, _ in window if image})
        kept = images[: config.max_images]
        phi, out = [], []
        for place, (token, image, opened) in enumerate(window):
            lost = set(images) - set(kept)
            if config.surplus_marks == "drop" and (image in lost or opened in lost):
                continue
            if made.next:
                rest = [
                    image for _, image, _ in window[place + (config.next_marks == "next" and bool(image)) :] if image
                ]
                if config.next_marks == "next" and image:
                    rest = [other for other in rest if other != image]
                seen = rest[0] if rest else 0
            else:
                past = [image for _, image, _ in window[: place + 1] if image]
                seen = past[-1] if past else 0
            missing = kept[-1] if kept else 0
            if seen in lost:
                seen = missing if config.surplus_phi == "last" else 0
            elif made.next and not seen:
                seen = missing if config.after_last == "last" else 0
            phi.append(seen)
            out.append(token)
        if out == body:
            fitting.append(phi)
    named = []
    for phi in fitting:
        values = sorted({value for value in phi if value})
        named.append([values.index(value) + 1 if value else 0 for value in phi])
    mine = made.phi[has_bos:].tolist()
    return mine if mine in named else named[0]


def some_page(rng: Random) -> Document:
    parts: list[str | int] = []
    for number in range(rng.randrange(9)):
        parts += [number] if rng.random() < 0.3 else [f"{rng.getrandbits(40):x} words. ", number]
    return document(*parts, f" Number {rng.getrandbits(40):x}.")


OPTIONS = list(
    product(("keep", "drop"), ("none", "last"), ("none", "last"), ("own", "next"), ("crop", "document"), (0, 1))
)


@pytest.mark.parametrize(("marks", "surplus", "after", "own", "begin", "p_next"), OPTIONS)
def test_phi_against_brute_force(marks: Any, surplus: Any, after: Any, own: Any, begin: Any, p_next: int) -> None:
    config = replace(
        PAGES,
        length=60,
        max_images=3,
        surplus_marks=marks,
        surplus_phi=surplus,
        after_last=after,
        next_marks=own,
        begin=begin,
        p_next=float(p_next),
    )
    cropped = surplus_seen = 0
    for seed in range(12):
        given = some_page(Random(seed))
        made = sample(given, config, seed)
        phi = made.phi.tolist()
        has_bos = int(made.tokens[0] == BOS)
        assert phi[has_bos:] == brute_force(given, config, made)
        assert phi[:has_bos] == [phi[1] if p_next else 0] * has_bos
        assert max(phi) == len(made.pictures) <= config.max_images
        named = [value for value in phi if value]
        assert named == sorted(named)
        assert len(made.tokens) <= config.length
        cropped += made.tokens[-1] != EOS
        surplus_seen += len(made.pictures) == config.max_images
    assert cropped and surplus_seen


def test_which_pictures_are_kept() -> None:
    """The pictures are those whose marks stand in the stretch: the text says their numbers."""
    numbers = range(10, 50)
    given = document(*(part for number in numbers for part in (number, f" {number}{number}{number} ")))
    config = replace(PAGES, length=80, max_images=2, p_next=0.0)
    seen = set()
    for seed in range(60):
        made = sample(given, config, seed)
        assert len(made.pictures) == 2
        for number, (member,) in enumerate(made.pictures, 1):
            name = member.removesuffix(".jpg")
            text = TOKENIZER.decode([token for token in made.tokens[made.phi == number] if token < EOC])
            assert f"<image> {name * 3} ".endswith(text) or f"<image> {name * 3} ".startswith(text)
            assert number == 2 or f" {name * 3} " in text
            seen.add(name)
    assert len(seen) > 25


def test_the_sixth_image_and_after() -> None:
    given = document(*(part for number in range(7) for part in (number, f" word{number}")))
    whole = sample(given, always(0))
    assert len(whole.pictures) == 5 and whole.phi.max() == 5
    words = [TOKENIZER.decode([t for t in whole.tokens[whole.phi == k] if t < EOC]) for k in range(1, 6)]
    assert words == [f"<image> word{number}" for number in range(5)]
    assert "word6" in TOKENIZER.decode([t for t in whole.tokens[whole.phi == 0] if t < EOC])
    last = sample(given, always(0, surplus_phi="last"))
    assert last.tokens.tolist() == whole.tokens.tolist() and last.phi[-1] == 5
    dropped = sample(given, always(0, surplus_marks="drop"))
    text = TOKENIZER.decode([t for t in dropped.tokens if t < EOC and t not in (BOS, EOS)])
    assert text == "".join(f"<image> word{number}" for number in range(5)) + " word5 word6"
    assert dropped.tokens.tolist().count(EOC) == 5


def test_half_of_the_pages_see_the_next_image() -> None:
    given = document("A", 0, "B", 1, "C")
    config = replace(PAGES, length=32)
    modes = [sample(given, config, seed).next for seed in range(2000)]
    assert abs(sum(modes) - 1000) < 4 * np.sqrt(500)
    for seed in range(200):  # one draw for the whole page: no page mixes the two
        made = sample(given, config, seed)
        assert made.phi.tolist() == sample(given, replace(config, p_next=float(made.next)), seed).phi.tolist()


@pytest.mark.parametrize("begin", ["crop", "document"])
def test_crops_are_uniform(begin: Any) -> None:
    text = "".join(chr(0x100 + place) for place in range(30))  # two ids a character, each place its own
    given = document(text)
    body = [*ids(text), EOC, EOS]
    config = replace(PAGES, length=40, begin=begin)
    found: Counter[int] = Counter()
    rounds = 3000
    for seed in range(rounds):
        made = sample(given, config, seed).tokens.tolist()
        assert len(made) == 40
        own = made[1:] if made[0] == BOS else made
        place = next(at for at in range(len(body)) if body[at : at + len(own)] == own)
        found[place - (begin == "document" and made[0] == BOS)] += 1
        assert begin == "document" or made[0] == BOS
    places = len(body) - 39 + 1 if begin == "crop" else len(body) + 1 - 40 + 1
    assert len(found) == places
    expected = rounds / places
    chi_square = sum((count - expected) ** 2 / expected for count in found.values())
    assert chi_square < (places - 1) + 4 * np.sqrt(2 * (places - 1))


def test_crops_that_have_an_image() -> None:
    given = document("word " * 300, 0, " word" * 300)
    plain = replace(PAGES, length=64, p_next=0.0)
    hits = sum(bool(sample(given, plain, seed).pictures) for seed in range(100))
    assert hits < 40
    config = replace(plain, crop="with_image")
    made = [sample(given, config, seed) for seed in range(100)]
    assert all(one.pictures == (("0.jpg",),) for one in made)
    assert len({one.tokens.tolist().index(EOC) if EOC in one.tokens else -1 for one in made}) > 30
    assert not sample(document("word " * 300), config).pictures


def test_labels() -> None:
    given = document("A mat.", 0, " A cat.")
    made = sample(given, always(0, loss="seen", loss_on_marks=False))
    cat = ids("<image> A cat.")[len(MARK) :]
    assert made.labels[made.labels != IGNORED].tolist() == [*cat, EOC, EOS]
    made = sample(given, always(0, loss="seen"))
    assert made.labels[made.labels != IGNORED].tolist() == [*MARK, *cat, EOC, EOS]
    made = sample(given, always(0, loss_on_marks=False))
    assert made.labels[made.labels != IGNORED].tolist() == [*ids("A mat."), EOC, *cat, EOC, EOS]


# --- pairs and clips ---


def test_pairs() -> None:
    given = pair(3, " A cat on a mat. ").document
    plain = sample(given, replace(PAIRS, p_space=0.0))
    assert plain.tokens.tolist() == [BOS, *ids("<image>A cat on a mat."), EOC, EOS]
    assert plain.phi.tolist() == [1] * len(plain.tokens) and plain.pictures == (("jpg",),)
    spaced = sample(given, replace(PAIRS, p_space=1.0))
    assert spaced.tokens.tolist() == [BOS, *ids("<image> A cat on a mat."), EOC, EOS]
    after = sample(given, replace(PAIRS, pair_phi="after_mark"))
    assert after.phi.tolist() == [0] + [1] * (len(after.tokens) - 1)
    long = sample(pair(3, "word " * 100).document, PAIRS, 1)
    assert len(long.tokens) == 32 and long.tokens[0] == BOS and long.tokens[1] == MARK[0]


def test_half_of_the_captions_have_a_space_and_no_page_does() -> None:
    given = pair(3, "A cat").document
    spaced = {True: [BOS, *ids("<image> A cat"), EOC, EOS], False: [BOS, *ids("<image>A cat"), EOC, EOS]}
    found = [sample(given, PAIRS, seed).tokens.tolist() == spaced[True] for seed in range(2000)]
    assert all(sample(given, PAIRS, seed).tokens.tolist() == spaced[has] for seed, has in enumerate(found))
    assert abs(sum(found) - 1000) < 4 * np.sqrt(500)
    assert not any(sample(given, PAIRS, seed).next for seed in range(200))
    interleaved = document(0, "A cat")
    assert {tuple(sample(interleaved, LONG, seed).tokens.tolist()) for seed in range(50)} == {tuple(spaced[False])}


def video(times: list[float]) -> Video:
    return Video(url="", times=tuple(times), members=tuple(f"0.{place:03d}.jpg" for place in range(len(times))))


def places(frames: tuple[str, ...]) -> list[int]:
    return [int(name.split(".")[1]) for name in frames]


def test_frames() -> None:
    begin = replace(CLIPS, clip_start="begin")
    assert places(clip_frames(video([1.0, 2.0, 3.0]), CLIPS, Random(0))) == [0, 1, 2]
    assert places(clip_frames(video([1.0, 2.0, 3.0]), replace(CLIPS, short_clips="repeat"), Random(0))) == [
        0,
        1,
    ] + 6 * [2]
    assert places(clip_frames(video([float(t) for t in range(20)]), begin, Random(0))) == list(range(8))
    assert places(clip_frames(video([t / 3 for t in range(60)]), begin, Random(0))) == list(range(0, 24, 3))
    assert places(clip_frames(video([2.0 * t for t in range(6)]), begin, Random(0))) == [0, 1, 2, 3]
    assert places(clip_frames(video([5.0]), CLIPS, Random(0))) == [0]
    starts = [places(clip_frames(video([float(t) for t in range(20)]), CLIPS, Random(seed))) for seed in range(300)]
    assert all(one == list(range(one[0], one[0] + 8)) for one in starts)
    assert {one[0] for one in starts} == set(range(13))


def test_clips() -> None:
    made = sample(clip(1, 3, "A dog.").document, replace(CLIPS, p_space=0.0))
    assert made.tokens.tolist() == [BOS, *ids("<image>A dog."), EOC, EOS]
    assert made.pictures == (("0.000.jpg", "0.001.jpg", "0.002.jpg"),)


# --- what is refused, and what cannot be asked ---


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (document(0, " \n", kind="pair"), "empty_caption"),
        (document(0, kind="clip"), "empty_caption"),
        (document("A cat", kind="pair"), "not_one_picture"),
        (document(0, 1, "A cat", kind="pair"), "not_one_picture"),
        (document(), "empty_page"),
        (document(" \n"), "empty_page"),
        (Document(kind="clip", url="", slots=(Video(url=""), Text("A dog"))), "no_frames"),
    ],
)
def test_refused(given: Document, reason: str) -> None:
    made = training_sample(given, PAIRS, TOKENIZER, EOC, Random(0))
    assert isinstance(made, Rejected) and made.reason == reason


@pytest.mark.parametrize(
    ("field", "value"),
    [("length", 3), ("max_images", -1), ("frames", 0), ("p_next", 1.5), ("p_space", -0.1), ("fps", 0)],
)
def test_configurations_that_cannot_be(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} is"):
        replace(PAGES, **{field: value})


def test_a_sample_is_a_function_of_seed_epoch_and_key() -> None:
    numbers = [f"{number} " for number in range(100)]
    given = page(1, ["".join(numbers[:50]), picture(8, 8, 1), "".join(numbers[50:])]).document

    def made(seed: int, epoch: int, key: str) -> list[int]:
        one = training_sample(given, replace(PAGES, length=20), TOKENIZER, EOC, sample_rng(seed, epoch, key))
        assert isinstance(one, Sample)
        return [*one.tokens.tolist(), *one.phi.tolist()]

    assert made(0, 0, "a") == made(0, 0, "a")
    assert len({tuple(made(*place)) for place in product((0, 1), (0, 1), ("a", "b"))}) > 4


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=8), st.integers(0, 9)), max_size=12), st.integers(0, 2**30), st.integers(4, 40)
)
def test_whatever_the_page(parts: list[str | int], seed: int, length: int) -> None:
    """Shapes and limits hold for any text."""
    given = document(*parts)
    made = training_sample(given, replace(PAGES, length=length), TOKENIZER, EOC, Random(seed))
    if isinstance(made, Rejected):
        assert made.reason == "empty_page"
        return
    assert 1 <= len(made.tokens) == len(made.phi) == len(made.labels) <= length
    assert made.phi.min() >= 0 and made.phi.max() == len(made.pictures) <= 5
    assert made.tokens.max() <= EOC
    if len(made.tokens) < length:
        assert made.tokens[-1] == EOS and (made.tokens == EOC).sum() == 1 + sum(
            not isinstance(slot, Text) and place > 0
            for place, slot in enumerate([s for s in given.slots if s != Text("")])
        )
