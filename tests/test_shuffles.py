import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from beam_testing import Rows, Shuffled, apply_shuffle, run_shuffle
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.exact import text_digest
from dedup.transforms import Group
from dedup.urls import image_url_key, registered_domain, url_key
from pipelines.facts import (
    LEDGER,
    MEDIA,
    PAGES,
    PAGES_BY_IMAGES,
    PAGES_SELECTED,
    SAMPLES,
    TODO,
    USES,
    USES_STORED,
    USES_UNIQUE,
    WANTED,
    DocumentFact,
    LedgerRow,
    MediaFact,
    SampleFact,
    StoredUse,
    TodoFact,
    UseFact,
    to_json,
)
from pipelines.fetch import Buckets, Web, media_settings, plan_shuffle
from pipelines.filters.image_url import check_image_use
from pipelines.recipe import PageRecipe, load_recipe
from pipelines.select import one_per_image_set, one_per_url, page_shuffles, useful_images
from pipelines.stage import Out, Shuffle
from pipelines.store.facts import read_rows
from pipelines.web.config import NO_ALLOWANCES, Agent
from pipelines.write import frequent, image_shuffles, outcome, shard_shuffle
from schemas.keys import page_key
from schemas.rejection import DeadLetter

DEMO = load_recipe("demo")
RECIPE = replace(
    DEMO,
    image_frequency=replace(DEMO.image_frequency, max_uses=3, max_equal=3),
    images_left=replace(DEMO.images_left, min_images=1),
    image_safety=replace(DEMO.image_safety, max_score=0.8),
)
SETTINGS = media_settings(RECIPE)
OFFLINE = Web(agent=None, allowances=NO_ALLOWANCES, connections=1)
ONLINE = replace(OFFLINE, agent=Agent("OpenM3W", "1", "me@example.org"))


def page(url: str, text: str, images: list[str], time: int = 0, name: str = "a.warc", offset: int = 0) -> DocumentFact:
    uses = [[number, image, 0, 0] for number, image in enumerate(images)]
    return DocumentFact(
        kind="page",
        key=page_key(url, text),
        url=url,
        url_key=url_key(url),
        text_digest=text_digest(text),
        domain=registered_domain(url),
        time=time,
        name=name,
        offset=offset,
        pack="packs/p.jsonl",
        pack_offset=offset,
        pack_length=100,
        words=len(text.split()),
        images=to_json(uses),
        image_count=len(uses),
    )


def use(url: str, page_: str, number: int = 0) -> UseFact:
    return UseFact(image_url_key(url), url, page_, number, 0, 0)


def ledger(url: str, outcome_: str = "ok", settings_: str = SETTINGS, **more: Any) -> LedgerRow:
    """A row of the ledger for a photograph of 640 x 480, or for a failure."""
    types = LedgerRow.__annotations__
    row = LedgerRow(**{name: types[name]() for name in LedgerRow._fields})
    row = row._replace(url_key=image_url_key(url), url=url, outcome=outcome_, origin="store", time=1)
    if outcome_ == "ok":
        row = row._replace(
            settings=settings_, sha256=text_digest(url) * 2, phash="0" * 16, width=640, height=480, format="jpeg"
        )
        row = row._replace(deviation=50.0, dominant_share=0.1, nsfw=0.01, bytes=1000, member_bytes=900)
    return row._replace(**more)


def stored(row: LedgerRow, page_: str, number: int = 0) -> StoredUse:
    return StoredUse(row.sha256, page_, number, to_json(list(row)))


def after_fetch(recipe: PageRecipe) -> list[Shuffle]:
    return image_shuffles(recipe, "page", recipe.images_left.min_images, recipe.extract.max_images)


def named(name: str) -> Any:
    return next(s for s in [*page_shuffles(RECIPE), *after_fetch(RECIPE)] if s.name == name)


def rows_and_letters(results: Any) -> tuple[list[Any], list[DeadLetter]]:
    rows, letters = [], []
    for result in results:
        (rows if isinstance(result, Out) else letters).append(result.row if isinstance(result, Out) else result)
    return rows, letters


# --- which page is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        ({"time": 9}, "other"),
        ({"time": 1}, "first"),
        ({"name": "0.warc"}, "other"),
        ({"name": "b.warc"}, "first"),
        ({"offset": 4}, "other"),
        ({"offset": 6}, "first"),
    ],
)
def test_the_latest_fetch_wins_then_the_place(other: dict[str, Any], kept: str) -> None:
    first = {"time": 5, "name": "a.warc", "offset": 5}
    pages = {
        "first": page("https://x.example/p", "one", ["https://x.example/1.png"], **first),
        "other": page("https://x.example/p?utm_source=n", "two", ["https://x.example/2.png"], **{**first, **other}),
    }
    for rows in (list(pages.values()), list(pages.values())[::-1]):
        result = apply_shuffle(named("page_duplicates"), {PAGES.name: rows}, random.Random(1))
        assert result.rows["pages_by_text"] == [pages[kept]]
        (letter,) = result.letters
        lost = pages["other" if kept == "first" else "first"]
        assert (letter.kind, letter.stage, letter.reason) == ("page", "page_duplicates", "same_url")
        assert (letter.url, letter.key, letter.source.file, letter.source.offset) == (
            lost.url,
            lost.key,
            lost.name,
            lost.offset,
        )
        assert letter.detail == f"kept {pages[kept].url} of {pages[kept].name} at {pages[kept].offset}"


def test_equals_beyond_the_listed_ones_share_a_line_with_their_count() -> None:
    rows = [page("https://x.example/", f"text {n}", [], offset=n) for n in range(3)]
    made, letters = rows_and_letters(one_per_url("", {PAGES.name: Group(10, rows)}))
    assert made == [rows[0]]
    assert [(letter.count, letter.key) for letter in letters] == [(1, rows[1].key), (1, rows[2].key), (7, rows[0].key)]
    assert letters[2].detail.endswith("and these are not listed")


def test_equal_texts_keep_one_page_and_only_its_images_are_counted() -> None:
    images = ["https://x.example/1.png", "https://x.example/2.png"]
    rows = [
        page(f"https://x.example/{n}", "the  same\ntext" if n else "the same text", images, offset=n) for n in (0, 1)
    ]
    result = apply_shuffle(named("text_duplicates"), {"pages_by_text": rows}, random.Random(1))
    assert result.rows["pages_unique"] == [rows[0]]
    assert [(u.url, u.page, u.number) for u in sorted(result.rows["uses"], key=lambda u: u.number)] == [
        (images[0], rows[0].key, 0),
        (images[1], rows[0].key, 1),
    ]
    assert result.reasons() == {("page", "text_duplicates", "same_text"): 1}


def test_pages_with_the_same_set_of_images_whatever_their_order() -> None:
    one, two = (
        ["https://x.example/1.png", "https://x.example/2.png"],
        ["https://x.example/2.png", "https://x.example/1.png"],
    )
    rows = [page("https://x.example/a", "a", one), page("https://x.example/b", "b", two, time=1)]
    result = apply_shuffle(named("image_set_duplicates"), {"pages_by_images": rows}, random.Random(1))
    assert result.rows["pages_selected"] == [rows[1]]
    assert {u.page for u in result.rows["wanted"]} == {rows[1].key}
    assert result.reasons() == {
        ("page", "image_set_duplicates", "same_images"): 1,
        ("image_use", "image_set_duplicates", "page_dropped"): 2,
    }


def test_uses_of_unlisted_pages_are_counted_too() -> None:
    rows = [page("https://x.example/a", "a", ["https://x.example/1.png", "https://x.example/2.png"])]
    made, letters = rows_and_letters(one_per_image_set("", {PAGES_BY_IMAGES.name: Group(6, rows)}))
    assert len(made) == 3
    assert [(letter.kind, letter.count) for letter in letters] == [("page", 5), ("image_use", 10)]


# --- which images are kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "kept"), [(3, 3), (4, 0)])
def test_an_address_over_the_cap_is_dropped_everywhere(count: int, kept: int) -> None:
    url = "https://x.example/photo.png"
    uses = [use(url, f"{n:032x}") for n in range(count)]
    result = apply_shuffle(named("image_urls"), {USES.name: uses}, random.Random(1))
    assert len(result.rows["uses_kept"]) == kept
    assert result.reasons() == ({} if kept else {("image_use", "image_frequency", "too_many_uses"): count})
    if not kept:
        assert [(letter.url, letter.detail) for letter in result.letters] == [(url, "4 uses, at most 3")]


def test_the_cap_comes_before_the_rules_on_addresses() -> None:
    uses = [use("https://x.example/logo.png", f"{n:032x}") for n in range(2)]
    _, letters = rows_and_letters(useful_images(RECIPE, "", {USES.name: Group(2, uses)}))
    assert {(letter.stage, letter.reason) for letter in letters} == {("image_url", "url_word")}
    _, letters = rows_and_letters(useful_images(RECIPE, "", {USES.name: Group(9, uses)}))
    assert [(letter.stage, letter.reason, letter.count) for letter in letters] == [
        ("image_frequency", "too_many_uses", 9)
    ]


def test_a_page_keeps_each_address_once_and_goes_if_too_few_are_left() -> None:
    recipe = replace(RECIPE, images_left=replace(RECIPE.images_left, min_images=2))
    first, second = "https://x.example/1.png", "https://x.example/2.png"
    full = page("https://x.example/full", "a", [first, second, "https://X.example:443/1.png"])
    poor = page("https://x.example/poor", "b", [first, second, first])
    kept = [use(u[1], full.key, u[0]) for u in full.uses()] + [use(first, poor.key, n) for n in (0, 2)]
    result = apply_shuffle(
        page_shuffles(recipe)[3], {"pages_unique": [full, poor], "uses_kept": kept}, random.Random(1)
    )
    assert result.rows["pages_by_images"] == [full.with_uses([[0, first, 0, 0], [1, second, 0, 0]])]
    assert result.reasons() == {
        ("image_use", "images_left", "repeated_in_page"): 2,
        ("page", "images_left", "too_few_images"): 1,
        ("image_use", "images_left", "page_dropped"): 1,
    }
    assert [letter.detail for letter in result.letters if letter.kind == "page"] == ["1, at least 2"]


# --- the whole of select against a plain computation -----------------------------------------------------------------

IMAGES = [
    "https://x.example/a.png",
    "https://X.example:443/a.png",  # the same address
    "https://x.example/b.png",
    "https://x.example/c.png?x=1",
    "https://x.example/logo.png",
    "https://y.example/d.svg",
]


@st.composite
def pages_of_a_crawl(draw: st.DrawFn) -> list[DocumentFact]:
    count = draw(st.integers(0, 12))
    pages = []
    for offset in range(count):
        url = draw(
            st.sampled_from(["https://x.example/1", "http://x.example/1/", "https://x.example/2", "https://y.example/"])
        )
        text = draw(st.sampled_from(["a b", "a  b", "c", "d", "e"]))
        images = draw(st.lists(st.sampled_from(IMAGES), max_size=4))
        pages.append(page(f"{url}?n={draw(st.integers(0, 3))}", text, images, draw(st.integers(0, 2)), offset=offset))
    return pages


Reasons = dict[tuple[str, str, str], int]


def selected(pages: list[DocumentFact], recipe: PageRecipe) -> tuple[list[DocumentFact], list[UseFact], Reasons]:
    """What the select job has to give, in plain Python: pages, wanted images, and how many were dropped and why."""
    dropped: Counter[tuple[str, str, str]] = Counter()

    def one_of_each(pages: list[DocumentFact], key: Any, stage: str, reason: str) -> list[DocumentFact]:
        kept: dict[Any, DocumentFact] = {}
        for some in sorted(pages, key=lambda p: (-p.time, p.name, p.offset)):
            if key(some) in kept:
                dropped["page", stage, reason] += 1
                if stage == "image_set_duplicates":
                    dropped["image_use", stage, "page_dropped"] += len(some.uses())
            kept.setdefault(key(some), some)
        return list(kept.values())

    pages = one_of_each(pages, lambda p: p.url_key, "page_duplicates", "same_url")
    pages = one_of_each(pages, lambda p: p.text_digest, "text_duplicates", "same_text")
    places = Counter(image_url_key(u[1]) for p in pages for u in p.uses())
    left = []
    for some in pages:
        uses: dict[str, list[Any]] = {}
        for number, url, width, height in some.uses():
            key = image_url_key(url)
            if places[key] > recipe.image_frequency.max_uses:
                dropped["image_use", "image_frequency", "too_many_uses"] += 1
            elif rejected := check_image_use(url, width, height, recipe.image_url):
                dropped["image_use", "image_url", rejected.reason] += 1
            elif key in uses:
                dropped["image_use", "images_left", "repeated_in_page"] += 1
            else:
                uses[key] = [number, url, width, height]
        if len(uses) >= recipe.images_left.min_images:
            left.append(some.with_uses(list(uses.values())))
        else:
            dropped["page", "images_left", "too_few_images"] += 1
            dropped["image_use", "images_left", "page_dropped"] += len(uses)
    left = one_of_each(left, lambda p: frozenset(u[1] for u in p.uses()), "image_set_duplicates", "same_images")
    wanted = [UseFact(image_url_key(u[1]), u[1], p.key, u[0], u[2], u[3]) for p in left for u in p.uses()]
    return sorted(left), sorted(wanted), {key: count for key, count in dropped.items() if count}


def run_select(
    pages: list[DocumentFact], recipe: PageRecipe, run: Any
) -> tuple[list[DocumentFact], list[UseFact], Reasons]:
    rows: Rows = {PAGES.name: pages}
    reasons: Reasons = {}
    for shuffle in page_shuffles(recipe):
        result: Shuffled = run(shuffle, rows)
        rows = {**rows, **result.rows}
        assert not reasons.keys() & result.reasons().keys()
        reasons |= result.reasons()
    return list(rows[PAGES_SELECTED.name]), list(rows[WANTED.name]), reasons


@settings(max_examples=200, deadline=None)
@given(pages_of_a_crawl(), st.integers(1, 2), st.randoms(use_true_random=False))
def test_select_is_what_a_plain_computation_gives(pages: list[DocumentFact], least: int, order: random.Random) -> None:
    recipe = replace(RECIPE, images_left=replace(RECIPE.images_left, min_images=least))
    found = run_select(pages, recipe, lambda shuffle, rows: apply_shuffle(shuffle, rows, order))
    assert found == selected(pages, recipe)


@pytest.mark.parametrize(("partitions", "at_once"), [(1, False), (3, False), (3, True)])
def test_select_through_beam(tmp_path: Path, partitions: int, at_once: bool) -> None:
    random_ = random.Random(7)
    pages = []
    for offset in range(300):
        images = [f"https://x.example/{random_.randrange(70)}.png" for _ in range(random_.randrange(4))]
        pages.append(
            page(
                f"https://x.example/{random_.randrange(250)}",
                f"text {random_.randrange(200)}",
                [*images, *random_.choice([[], [], images[:1], [f"https://x.example/logo/{offset}.png"]])],
                time=random_.randrange(3),
                offset=offset,
            )
        )
    recipe = replace(RECIPE, image_frequency=replace(RECIPE.image_frequency, max_uses=4))
    expected = selected(pages, recipe)
    assert len(expected[0]) > 30 and len(expected[2]) >= 8, "the sample does not exercise every rule"
    random_.shuffle(pages)
    folders = iter(range(99))

    def run(shuffle: Any, rows: Rows) -> Shuffled:
        return run_shuffle(shuffle, rows, str(tmp_path / str(next(folders))), partitions, at_once)

    assert run_select(pages, recipe, run) == expected


def test_dead_letters_of_a_shuffle_come_in_one_order_whatever_the_passes(tmp_path: Path) -> None:
    pages = [page(f"https://x.example/{n % 40}", f"text {n}", [], offset=n) for n in range(80)]

    def lines(partitions: int, at_once: bool) -> bytes:
        folder = tmp_path / f"{partitions}{at_once}"
        run_shuffle(named("page_duplicates"), {PAGES.name: pages}, str(folder), partitions, at_once)
        return b"".join(path.read_bytes() for path in sorted((folder / "dead_letters").iterdir()))

    one = lines(1, False)
    assert len(one.splitlines()) == 40
    assert lines(6, False) == lines(11, True) == one


# --- what is left to fetch -------------------------------------------------------------------------------------------

URL = "https://x.example/photo.jpg"
HELD = MediaFact(image_url_key(URL), URL, 5, "warc", "a.warc", 70, 80)


def todo(web: Web, media: list[MediaFact], rows: list[LedgerRow]) -> list[TodoFact]:
    shuffle = plan_shuffle(RECIPE, web, Buckets(held=4, web=1))
    given_ = {WANTED.name: [use(URL, "0" * 32)], MEDIA.name: media, LEDGER.name: rows}
    result = apply_shuffle(shuffle, given_, random.Random(1))
    assert not result.letters
    return list(result.rows[TODO.name])


@pytest.mark.parametrize(
    ("web", "media", "rows", "origin"),
    [
        (ONLINE, [], [], "http"),
        (OFFLINE, [], [], "none"),
        (ONLINE, [HELD], [], "warc"),
        (OFFLINE, [HELD], [], "warc"),
        (ONLINE, [], [ledger(URL)], ""),
        (ONLINE, [HELD], [ledger(URL)], ""),
        (ONLINE, [], [ledger(URL, settings_="other")], "store"),
        (OFFLINE, [], [ledger(URL, settings_="other")], "store"),
        (ONLINE, [HELD], [ledger(URL, settings_="other")], "warc"),
        (ONLINE, [], [ledger(URL, settings_=f"other{n}", time=9 + n) for n in range(6)] + [ledger(URL)], ""),
        (ONLINE, [HELD], [ledger(URL, "undecodable", origin="warc")], ""),
        (ONLINE, [HELD], [ledger(URL, "http_status", origin="store")], "warc"),
        (ONLINE, [], [ledger(URL, "http_status", http_status=404)], ""),
        (ONLINE, [], [ledger(URL, "timeout", retryable=1, tries=1)], "http"),
        (ONLINE, [], [ledger(URL, "timeout", retryable=1, tries=RECIPE.fetch.max_tries)], ""),
        (ONLINE, [], [ledger(URL, "timeout", retryable=1, tries=1), ledger(URL, "http_status", time=2)], ""),
        (ONLINE, [], [ledger(URL, "pixel_bomb", settings=SETTINGS)], ""),
        (ONLINE, [], [ledger(URL, "pixel_bomb", settings="other")], "http"),
        (ONLINE, [], [ledger(URL, "unscorable", settings=SETTINGS), ledger(URL, settings_="other")], ""),
    ],
)
def test_what_has_to_be_fetched(web: Web, media: list[MediaFact], rows: list[LedgerRow], origin: str) -> None:
    assert [fact.origin for fact in todo(web, media, rows)] == ([origin] if origin else [])


def test_an_image_that_nobody_wants_is_not_fetched() -> None:
    shuffle = plan_shuffle(RECIPE, ONLINE, Buckets(held=4, web=1))
    result = apply_shuffle(shuffle, {MEDIA.name: [HELD], LEDGER.name: [ledger(URL)]}, random.Random(1))
    assert result.rows[TODO.name] == []


def test_of_several_records_of_an_image_the_latest_is_read() -> None:
    (fact,) = todo(OFFLINE, [HELD, HELD._replace(time=6, offset=7, length=8), HELD._replace(time=4)], [])
    assert (fact.name, fact.offset, fact.length) == ("a.warc", 7, 8)


def test_a_second_try_goes_on_counting() -> None:
    (fact,) = todo(ONLINE, [], [ledger(URL, "timeout", retryable=1, tries=3)])
    assert (fact.tries, fact.host_lane.partition("#")[0]) == (3, "x.example")


# --- what becomes of fetched images ----------------------------------------------------------------------------------

KEYS = [f"{n:032x}" for n in range(5)]


@pytest.mark.parametrize(
    ("rows", "stage", "reason"),
    [
        ([ledger(URL)], "", ""),
        ([ledger(URL, "http_status")], "fetch", "http_status"),
        ([ledger(URL, "http_status", time=3), ledger(URL, "timeout", time=2)], "fetch", "http_status"),
        ([ledger(URL, "timeout", time=9), ledger(URL)], "", ""),
        ([ledger(URL, settings_="other", time=9), ledger(URL)], "", ""),
        ([ledger(URL, settings_="other", time=9), ledger(URL, "undecodable")], "fetch", "undecodable"),
        ([ledger(URL, "pixel_bomb", settings="other", time=9), ledger(URL, "timeout")], "fetch", "timeout"),
        ([ledger(URL, width=63)], "image_filter", "image_too_small"),
        ([ledger(URL, width=2000)], "image_filter", "aspect_ratio"),
        ([ledger(URL, deviation=0.1)], "image_filter", "single_colour"),
    ],
)
def test_an_address_has_one_outcome_for_all_its_places(rows: list[LedgerRow], stage: str, reason: str) -> None:
    uses = [use(URL, KEYS[0]), use(URL, KEYS[1])]
    result = apply_shuffle(named("outcomes"), {WANTED.name: uses, LEDGER.name: rows}, random.Random(1))
    assert len(result.rows["urls"]) == 1
    if reason:
        assert result.reasons() == {("image_url", stage, reason): 1, ("image_use", stage, reason): 2}
        assert result.rows["uses_stored"] == []
    else:
        assert result.reasons() == {}
        assert [(u.page, json.loads(u.image)[:3]) for u in result.rows["uses_stored"]] == [
            (key, [image_url_key(URL), URL, "ok"]) for key in KEYS[:2]
        ]


def test_a_wanted_address_without_outcome_is_an_error() -> None:
    groups = {WANTED.name: Group(1, [use(URL, KEYS[0])]), LEDGER.name: Group(1, [ledger(URL, settings_="other")])}
    with pytest.raises(ValueError, match=r"no outcome of https://x\.example/photo\.jpg"):
        list(outcome(RECIPE, SETTINGS, "", groups))


def test_ledger_rows_of_other_data_sets_are_passed_over() -> None:
    result = apply_shuffle(named("outcomes"), {LEDGER.name: [ledger(URL)]}, random.Random(1))
    assert result.rows == {"urls": [], "uses_stored": []} and not result.letters


def test_the_ledger_digest_does_not_know_when_or_where_from() -> None:
    row = ledger(URL)
    assert row.digest() == row._replace(time=9, tries=3, origin="warc", name="x", offset=9, retryable=1).digest()
    assert row.digest() != row._replace(member_sha256="f" * 64).digest()
    assert row.digest() != row._replace(outcome="timeout").digest()


def test_a_blocked_hash_is_refused_though_the_store_has_it(tmp_path: Path) -> None:
    listed = tmp_path / "blocked.txt"
    listed.write_text(ledger(URL).sha256 + "\n")
    recipe = replace(RECIPE, blocklist=replace(RECIPE.blocklist, digest_files=(str(listed),)))
    rows = {WANTED.name: [use(URL, KEYS[0])], LEDGER.name: [ledger(URL)]}
    result = apply_shuffle(after_fetch(recipe)[0], rows, random.Random(1))
    assert set(result.reasons()) == {("image_url", "fetch", "blocked_hash"), ("image_use", "fetch", "blocked_hash")}


@pytest.mark.parametrize(("count", "kept"), [(3, True), (4, False)])
def test_equal_images_under_many_addresses_share_a_cap(count: int, kept: bool) -> None:
    rows = [ledger(f"https://x.example/{n}.jpg", sha256="a" * 64) for n in range(count)]
    uses = [stored(row, KEYS[n]) for n, row in enumerate(rows)]
    result = apply_shuffle(named("image_duplicates"), {USES_STORED.name: uses}, random.Random(1))
    assert result.rows["uses_unique"] == (sorted(uses) if kept else [])
    assert [tuple(row) for row in result.rows["images"]] == ([("a" * 64, count)] if kept else [])
    assert result.reasons() == (
        {}
        if kept
        else {("image", "image_duplicates", "too_many_uses"): 1, ("image_use", "image_duplicates", "too_many_uses"): 4}
    )


def test_more_places_than_the_shuffle_keeps_are_all_counted() -> None:
    _, letters = rows_and_letters(frequent(RECIPE, "", {USES_STORED.name: Group(99, [stored(ledger(URL), KEYS[0])])}))
    assert [(letter.kind, letter.count) for letter in letters] == [("image", 1), ("image_use", 99)]


def documents(pages: list[DocumentFact], uses: list[StoredUse], recipe: PageRecipe = RECIPE) -> Shuffled:
    return apply_shuffle(after_fetch(recipe)[2], {PAGES_SELECTED.name: pages, USES_UNIQUE.name: uses}, random.Random(1))


def test_a_document_keeps_its_images_in_their_order() -> None:
    one = page("https://x.example/", "text", ["https://x.example/1.jpg", "https://x.example/2.jpg"])
    rows = [ledger(u[1]) for u in one.uses()]
    (sample,) = documents([one], [stored(rows[1], one.key, 1), stored(rows[0], one.key, 0)]).rows[SAMPLES.name]
    assert [number for number, _ in json.loads(sample.images)] == [0, 1]
    assert (sample.key, sample.image_count, sample.bytes) == (one.key, 2, one.pack_length + 2 * 900)


def test_an_unsafe_image_costs_the_page_or_itself() -> None:
    one = page("https://x.example/", "text", ["https://x.example/1.jpg", "https://x.example/2.jpg"])
    rows = [ledger(u[1], nsfw=score) for u, score in zip(one.uses(), (0.95, 0.1), strict=True)]
    uses = [stored(row, one.key, number) for number, row in enumerate(rows)]
    result = documents([one], uses)
    assert result.rows[SAMPLES.name] == []
    assert result.reasons() == {
        ("page", "image_safety", "unsafe"): 1,
        ("image_use", "image_safety", "page_dropped"): 2,
    }
    recipe = replace(RECIPE, image_safety=replace(RECIPE.image_safety, scope="image"))
    result = documents([one], uses, recipe)
    (sample,) = result.rows[SAMPLES.name]
    assert [number for number, _ in json.loads(sample.images)] == [1]
    assert result.reasons() == {("image_use", "image_safety", "unsafe"): 1}


def test_an_image_that_was_not_scored_does_not_pass() -> None:
    one = page("https://x.example/", "text", [URL])
    result = documents([one], [stored(ledger(URL, nsfw=-1.0), one.key)])
    assert result.rows[SAMPLES.name] == []
    assert ("page", "image_safety", "unscored") in result.reasons()


def test_equal_bytes_within_a_page_are_kept_once() -> None:
    one = page("https://x.example/", "text", ["https://x.example/1.jpg", "https://x.example/2.jpg"])
    uses = [stored(ledger(u[1], sha256="a" * 64), one.key, u[0]) for u in one.uses()]
    result = documents([one], uses)
    assert result.rows[SAMPLES.name][0].image_count == 1
    assert result.reasons() == {("image_use", "images_found", "repeated_in_page"): 1}


def test_a_page_without_images_is_dropped() -> None:
    pages = [page("https://x.example/", "text", [URL]), page("https://x.example/2", "more", [URL])]
    recipe = replace(RECIPE, images_left=replace(RECIPE.images_left, min_images=2))
    result = documents(pages, [stored(ledger(URL), pages[0].key)], recipe)
    assert result.reasons() == {
        ("page", "images_found", "too_few_images"): 2,
        ("image_use", "images_found", "page_dropped"): 1,
    }


def test_shards_by_key_and_split_through_beam(tmp_path: Path) -> None:
    samples = [
        SampleFact(f"{n:032x}", "dev" if n % 10 == 0 else "train", "packs/p", 0, 1, 1, "[]", 1) for n in range(50)
    ]
    run_shuffle(shard_shuffle({"train": 3, "dev": 1}, "page"), {SAMPLES.name: samples}, str(tmp_path), 2)
    names = {path.name: path for path in (tmp_path / "facts" / "shards").iterdir()}
    assert set(names) == {"train-000000", "train-000001", "train-000002", "dev-000000"}
    for name, folder in names.items():
        split, _, number = name.partition("-")
        found = [SampleFact._make(row) for path in folder.iterdir() for row in read_rows(str(path), SampleFact)]
        expected = [
            s for s in samples if s.split == split and int(s.key, 16) % (3 if split == "train" else 1) == int(number)
        ]
        assert sorted(found) == expected
