"""Records, markup and the shard codec: inverses, checked on generated documents of every kind."""

import io
import json
import tarfile
from dataclasses import replace

import jsonschema
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from schemas import keys
from schemas.document import Document, Image, Slot, Source, Subtitles, Text, Video, normal_form
from schemas.json_schema import SCHEMA_FILE, sample_schema, schema_text
from schemas.markup import END_OF_CHUNK, IMAGE, Mark, parse, render
from schemas.shard import (
    FORMAT_VERSION,
    Sample,
    ShardError,
    ShardWriter,
    decode_sample,
    document_from_json,
    encode_sample,
    file_member,
    frame_member,
    image_member,
    read_shard,
    sample_json,
)

TEXTS = st.one_of(
    st.text(max_size=30), st.sampled_from([IMAGE, END_OF_CHUNK, "<image><EOC>", "\n\n", "e\u0301", "\U0001f600"])
)
SCORES = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3)
SIZES = st.integers(0, 20_000)
SUBTITLES = st.builds(
    Subtitles, url=TEXTS, language=TEXTS, kind=st.sampled_from(["", "subtitles", "captions", "descriptions"])
)


@st.composite
def images(draw: st.DrawFn) -> Image:
    return Image(
        url=draw(TEXTS),
        alt=draw(TEXTS),
        caption=draw(TEXTS),
        width=draw(SIZES),
        height=draw(SIZES),
        scores=draw(SCORES),
    )


@st.composite
def videos(draw: st.DrawFn) -> Video:
    times = tuple(sorted(draw(st.lists(st.floats(0, 1e4), max_size=3))))
    return Video(
        url=draw(TEXTS),
        start=draw(st.floats(0, 1e4)),
        end=draw(st.floats(0, 1e4)),
        times=times,
        title=draw(TEXTS),
        caption=draw(TEXTS),
        description=draw(TEXTS),
        subtitles=tuple(draw(st.lists(SUBTITLES, max_size=2))),
        file=draw(st.sampled_from(["", "mp4"])),
        scores=draw(SCORES),
    )


SLOTS = st.lists(st.one_of(TEXTS.map(Text), images(), videos()), max_size=8).map(tuple)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    kind = draw(st.sampled_from(["page", "pair", "clip"]))
    slots = draw(SLOTS) if kind == "page" else (draw(images() if kind == "pair" else videos()), Text(draw(TEXTS)))
    members: dict[str, bytes] = {}
    named: list[Slot] = []
    number = 0
    for slot in normal_form(slots):
        if isinstance(slot, Image):
            slot = replace(slot, member=image_member(kind, number, draw(st.sampled_from(["jpg", "png"]))))
            members[slot.member] = draw(st.binary(max_size=20))
            number += 1
        elif isinstance(slot, Video):
            names = tuple(frame_member(number, frame) for frame in range(len(slot.times)))
            file = file_member(number, slot.file) if slot.file else ""
            slot = replace(slot, members=names, file=file)
            members |= {name: draw(st.binary(max_size=20)) for name in (*names, *([file] if file else []))}
            number += 1
        named.append(slot)
    document = Document(
        kind=kind,
        url=draw(TEXTS),
        slots=tuple(named),
        key=draw(st.binary(max_size=20).map(lambda data: keys.digest(data))),
        title=draw(TEXTS),
        language=draw(st.sampled_from(["en", "zh", ""])),
        scores=draw(SCORES),
        source=Source(file=draw(TEXTS), offset=draw(SIZES), length=draw(SIZES), date="2023-01-01T00:00:00Z"),
        split=draw(st.sampled_from(["train", "dev", ""])),
    )
    return Sample(document, members)


@given(SLOTS)
def test_parse_is_the_inverse_of_render(slots: tuple[Slot, ...]) -> None:
    assert parse(*render(slots)) == normal_form(slots)


@given(SLOTS)
def test_render_marks_as_the_paper_says(slots: tuple[Slot, ...]) -> None:
    text, marks = render(slots)
    media = [slot for slot in slots if not isinstance(slot, Text)]
    assert [mark.media for mark in marks if mark.media is not None] == media
    assert all(text.startswith(mark.string, mark.position) for mark in marks)
    assert text.endswith(END_OF_CHUNK) and marks[-1].media is None
    for before, mark in zip([None, *marks], marks, strict=False):
        if mark.media is not None and mark.position > 0:
            assert before is not None and before.media is None
            assert before.position + len(END_OF_CHUNK) == mark.position
    plain = text
    for mark in reversed(marks):
        plain = plain[: mark.position] + plain[mark.position + len(mark.string) :]
    assert plain == "".join(slot.text for slot in slots if isinstance(slot, Text))


def test_render_of_a_page_a_pair_and_their_own_words() -> None:
    cat, dog = Image(url="https://a.example/cat.jpg"), Image(url="https://a.example/dog.jpg")
    assert render([cat, Text("A cat.")])[0] == "<image>A cat.<EOC>"
    assert render([Text("Two: "), cat, dog, Text("end")])[0] == "Two: <EOC><image><EOC><image>end<EOC>"
    assert render([Text("I write <image> and <EOC>."), cat])[0] == "I write <image> and <EOC>.<EOC><image><EOC>"


def test_parse_refuses_a_mark_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no <EOC> at character 3"):
        parse("abcdef", [Mark(3, None)])


@given(samples())
def test_a_sample_survives_its_members(sample: Sample) -> None:
    files = dict(encode_sample(sample))
    key = sample.document.key
    assert all(name.startswith(f"{key}.") for name in files)
    assert decode_sample(key, {name[len(key) + 1 :]: data for name, data in files.items()}) == sample


@given(samples())
def test_sample_json_follows_the_schema(sample: Sample) -> None:
    value = sample_json(sample.document)
    jsonschema.validate(json.loads(json.dumps(value)), sample_schema())
    text = sample.document.text if sample.document.kind == "pair" else None
    assert document_from_json(json.loads(json.dumps(value)), text) == sample.document


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run: python -m schemas.json_schema"


@given(st.lists(samples(), max_size=3, unique_by=lambda sample: sample.document.key))
def test_a_shard_survives_its_bytes_and_equal_samples_give_equal_bytes(several: list[Sample]) -> None:
    data = shard_bytes(several)
    assert list(read_shard(io.BytesIO(data))) == several
    assert shard_bytes(several) == data


def shard_bytes(several: list[Sample]) -> bytes:
    stream = io.BytesIO()
    writer = ShardWriter(stream)
    for sample in several:
        writer.write(sample)
    writer.close()
    return stream.getvalue()


def page(key: str) -> Sample:
    image = Image(url="https://a.example/a.jpg", member="0.jpg", width=64, height=64)
    document = Document(kind="page", url="https://a.example/", slots=(Text("One. "), image, Text("Two.")), key=key)
    return Sample(document, {"0.jpg": b"\xff\xd8"})


def test_plain_webdataset_reads_a_shard(tmp_path) -> None:
    shard = tmp_path / "train-000000.tar"
    shard.write_bytes(shard_bytes([page("a" * 32), page("b" * 32)]))
    read = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == ["a" * 32, "b" * 32]
    assert read[0]["0.jpg"] == b"\xff\xd8" and json.loads(read[0]["json"])["text"] == "One. Two."


def test_damage_is_named() -> None:
    with pytest.raises(ShardError, match="cannot be the key"):
        encode_sample(page("has.dot"))
    with pytest.raises(ShardError, match="the document names others"):
        encode_sample(replace(page("a" * 32), members={}))
    with pytest.raises(ShardError, match="openm3w-0"):
        document_from_json({"format": "openm3w-0"})
    with pytest.raises(ShardError, match="outside the text"):
        value = sample_json(page("a" * 32).document)
        value["images"][0]["position"] = 99
        document_from_json(value)
    with pytest.raises(ShardError, match="unknown key 'colour'"):
        document_from_json({**sample_json(page("a" * 32).document), "colour": 1})
    with pytest.raises(ShardError, match=r"sample\.scores\.a: a finite number is wanted, not nan"):
        document_from_json({**sample_json(page("a" * 32).document), "scores": {"a": float("nan")}})
    whole = shard_bytes([page("a" * 32), page("b" * 32)])
    with pytest.raises(ShardError):
        list(read_shard(io.BytesIO(whole[:2000])))


def test_members_bear_nothing_of_the_machine() -> None:
    with tarfile.open(fileobj=io.BytesIO(shard_bytes([page("a" * 32)]))) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, 0, "", "", 0o644)}


def test_keys_are_fixed() -> None:
    assert keys.page_key("https://a.example/", "text") == keys.page_key("https://a.example/", "text")
    assert keys.digest("a", "bc") != keys.digest("ab", "c")
    assert keys.bucket("0" * 31 + "b", 4) == 3
    domains = [f"site{i}.example" for i in range(2000)]
    assert 0.04 < sum(keys.split_of(domain, 0.05) == "dev" for domain in domains) / len(domains) < 0.06
    assert {keys.split_of(domain, 0.0) for domain in domains} == {"train"}
    assert {keys.split_of(domain, 1.0) for domain in domains} == {"dev"}


def test_format_version_is_in_every_sample() -> None:
    assert sample_json(page("a" * 32).document)["format"] == FORMAT_VERSION
