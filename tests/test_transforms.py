import random

import apache_beam as beam
import pytest
from beam_testing import combined
from hypothesis import given
from hypothesis import strategies as st

from dedup.exact import keep_first, text_digest
from dedup.transforms import SmallestRows
from pipelines.engine import LocalEngine

TAGS = ("a", "b")
ELEMENTS = st.lists(
    st.tuples(st.sampled_from(TAGS), st.tuples(st.integers(0, 3)), st.tuples(st.integers(0, 5), st.text(max_size=1)))
)


@given(ELEMENTS, st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_keeps_the_smallest_and_counts_all_whatever_order_and_bundles(
    elements: list[tuple[str, tuple[int], tuple[int, str]]], limit_a: int, limit_b: int, order: random.Random
) -> None:
    limits = {"a": limit_a, "b": limit_b}
    expected = {}
    for tag in TAGS:
        rows = sorted((rank, row) for name, rank, row in elements if name == tag)
        if rows:
            expected[tag] = (len(rows), [row for _, row in rows[: limits[tag]]])
    assert combined(SmallestRows(limits), elements, order) == expected


@given(st.lists(st.integers(), min_size=1), st.integers(1, 3))
def test_the_state_of_a_hot_key_is_bounded(values: list[int], limit: int) -> None:
    combine = SmallestRows({"a": limit})
    state = combine.create_accumulator()
    for value in values:
        state = combine.add_input(state, ("a", (), (value,)))
        assert len(state["a"][1]) <= 2 * limit


def test_an_input_is_not_changed_by_merging() -> None:
    # Beam may merge one accumulator into several others, or again after a failure.
    combine = SmallestRows({"a": 2})
    one = combine.add_input(combine.create_accumulator(), ("a", (), (1,)))
    two = combine.add_input(combine.create_accumulator(), ("a", (), (2,)))
    once, again = combine.merge_accumulators([one, two]), combine.merge_accumulators([one, two])
    assert combine.extract_output(once) == combine.extract_output(again) == {"a": (2, [(1,), (2,)])}


def test_through_beam_with_every_bundle_run_twice(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("hot", ("a", (-number,), (number,))) for number in range(1000)] + [("cold", ("a", (0,), (7,)))]

    def build(pipeline: beam.Pipeline) -> object:
        groups = pipeline | beam.Create(rows) | beam.Reshuffle() | beam.CombinePerKey(SmallestRows({"a": 3}))
        return groups | beam.Map(lambda group: print("group", group))

    LocalEngine(options=("--direct_runner_bundle_repeat=2",)).run("test", build)
    printed = {line for line in capsys.readouterr().out.splitlines() if line.startswith("group")}
    assert printed == {
        "group ('hot', {'a': (1000, [(999,), (998,), (997,)])})",
        "group ('cold', {'a': (1, [(7,)])})",
    }


def test_keep_first_counts_what_is_not_listed() -> None:
    assert keep_first(1, ["x"]) == ("x", [], 0)
    assert keep_first(3, ["x", "y", "z"]) == ("x", ["y", "z"], 0)
    assert keep_first(10, ["x", "y", "z"]) == ("x", ["y", "z"], 7)


@given(
    st.lists(st.text(st.characters(whitelist_categories=["L", "N"]), min_size=1)), st.sampled_from([" ", "\n", "\t "])
)
def test_text_digest_looks_at_words_only(words: list[str], space: str) -> None:
    assert text_digest(" ".join(words)) == text_digest(f"{space}{space.join(words)}{space}")
    assert text_digest(" ".join(words)) != text_digest(" ".join([*words, "more"]))
