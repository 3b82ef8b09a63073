import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawls import CRAWL

from pipelines.facts import to_json
from pipelines.plan import Plan, PlanError, check_same, describe_input, load_plan, make_plan, save_plan
from pipelines.recipe import Recipe, load_recipe, values
from pipelines.sources.inputs import plan_units
from pipelines.sources.units import Unit
from schemas.manifest import Input

DEMO = load_recipe("demo")
PAGE = b"<!doctype html><title>One</title><p>Text</p>"


def hex_digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def units_of(*inputs: Path) -> list[Unit]:
    return plan_units([str(path) for path in inputs], "", DEMO.source)


def plan_of(*inputs: Path, bytes_per_partition: int = 1 << 28) -> Plan:
    return make_plan(DEMO, units_of(*inputs), (), bytes_per_partition)


def refusal(old: Plan, new: Plan) -> str:
    with pytest.raises(PlanError) as caught:
        check_same(old, new, "out/m3w")
    return str(caught.value)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "one.html"
    path.write_bytes(PAGE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Saved HTML with a picture, in folders."""
    path = tmp_path / "saved"
    (path / "sub").mkdir(parents=True)
    (path / "a.html").write_bytes(PAGE)
    (path / "sub" / "b.html").write_bytes(PAGE * 2)
    (path / "sub" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return path


def digest_of_folder(files: dict[str, bytes]) -> str:
    lines = [to_json([name, hex_digest(data) if data else ""]) for name, data in sorted(files.items())]
    return hex_digest("".join(lines).encode())


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_a_warc_is_described_once_however_many_its_ranges(tmp_path: Path) -> None:
    source = replace(DEMO.source, range_bytes=1 << 20)
    units = plan_units([str(CRAWL)], "", source)
    assert len(units) > 5
    stored = CRAWL.read_bytes()
    plan = make_plan(DEMO, units, (), 1 << 20)
    assert plan.inputs == (Input(name="crawl.warc.gz", bytes=len(stored), sha256=hex_digest(stored)),)
    assert plan.units == tuple(units)
    assert plan.places == {"crawl.warc.gz": str(CRAWL)}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_a_table_is_described_by_its_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".jsonl"):
        path.write_text('{"url": "https://example.com/", "html": "<p>x</p>"}\n')
    else:
        pq.write_table(pa.table({"url": ["https://example.com/"], "html": ["<p>x</p>"]}), path)
    (unit,) = units_of(path)
    assert describe_input(unit) == Input(name=name, bytes=path.stat().st_size, sha256=hex_digest(path.read_bytes()))


def test_one_page_is_described_by_its_bytes(page: Path) -> None:
    (unit,) = units_of(page)
    assert describe_input(unit) == Input(name="one.html", bytes=len(PAGE), sha256=hex_digest(PAGE))


def test_a_folder_is_described_by_the_names_and_bytes_of_its_files(folder: Path) -> None:
    (unit,) = units_of(folder)
    files = {"a.html": PAGE, "sub/b.html": PAGE * 2, "sub/c.png": b"\x89PNG\r\n\x1a\n"}
    size = sum(map(len, files.values()))
    assert describe_input(unit) == Input(name="saved", bytes=size, sha256=digest_of_folder(files))
    before = describe_input(unit)
    (folder / "a.html").rename(folder / "d.html")
    assert describe_input(unit).sha256 != before.sha256, "another name, other addresses"
    (folder / "d.html").rename(folder / "a.html")
    assert describe_input(unit) == before
    (folder / "sub" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\r")
    assert (describe_input(unit).bytes, describe_input(unit).sha256 == before.sha256) == (size, False)


def test_the_parts_of_a_folder_are_one_input(folder: Path) -> None:
    units = plan_units([str(folder)], "", replace(DEMO.source, html_files_per_unit=1))
    assert len(units) == 3
    assert [entry.name for entry in make_plan(DEMO, units, (), 1 << 28).inputs] == ["saved"]


def test_what_a_link_out_of_a_folder_leads_to_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "out.html").symlink_to(tmp_path / "secret")
    (folder / "broken.html").symlink_to(folder / "nowhere")
    (unit,) = units_of(folder)
    before = describe_input(unit)
    (tmp_path / "secret").write_bytes(b"another secret")
    assert describe_input(unit) == before
    files = {"a.html": PAGE, "sub/b.html": PAGE * 2, "sub/c.png": b"\x89PNG\r\n\x1a\n"}
    assert before.sha256 == digest_of_folder({**files, "out.html": b"", "broken.html": b""})


def test_a_folder_of_tables_is_an_input_for_each(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("b.jsonl", "a.jsonl"):
        (folder / name).write_text('{"url": "https://example.com/", "html": "<p>x</p>"}\n')
    assert [entry.name for entry in plan_of(folder).inputs] == ["tables/a.jsonl", "tables/b.jsonl"]


# --- lists and models ------------------------------------------------------------------------------------------------

LISTS = ["page_url.blocked_domains", "image_url.blocked_domains", "blocklist.digest_files", "blocklist.phash_files"]


def with_list(key: str, path: Path) -> Recipe:
    table, name = key.split(".")
    value = str(path) if name == "blocked_domains" else (str(path),)
    return replace(DEMO, **{table: replace(getattr(DEMO, table), **{name: value})})


@pytest.mark.parametrize("key", LISTS)
def test_every_list_that_a_recipe_names_is_described(tmp_path: Path, page: Path, key: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# nothing yet\n")
    recipe = with_list(key, path)
    old = make_plan(recipe, units_of(page), (), 1)
    assert old.lists == (Input(name=str(path), bytes=14, sha256=hex_digest(b"# nothing yet\n")),)
    path.write_text("# nothing now\n")
    told = refusal(old, make_plan(recipe, units_of(page), (), 1))
    assert told == f"out/m3w was started with other lists ({path} differ). Use these, or another output folder"


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize("content", [None, b"\xff\xfe\n"])
def test_a_list_that_cannot_be_used_is_refused(tmp_path: Path, page: Path, key: str, content: bytes | None) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match=r"recipe demo: a list of .* cannot be read"):
        make_plan(with_list(key, path), units_of(page), (), 1)


def test_one_list_for_pages_and_images_is_described_once(tmp_path: Path, page: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("example.com\n")
    recipe = replace(with_list(LISTS[0], path), image_url=with_list(LISTS[1], path).image_url)
    assert [entry.name for entry in make_plan(recipe, units_of(page), (), 1).lists] == [str(path)]


def test_a_recipe_without_lists_has_none(page: Path) -> None:
    assert plan_of(page).lists == ()


def test_a_model_that_is_not_there_is_refused_at_once(tmp_path: Path, page: Path) -> None:
    recipe = replace(DEMO, language=replace(DEMO.language, model=str(tmp_path / "nowhere.ftz")))
    with pytest.raises(PlanError, match=r"recipe demo: .*nowhere\.ftz"):
        make_plan(recipe, units_of(page), (), 1)
    recipe = replace(DEMO, image_safety=replace(DEMO.image_safety, scorer="nobody"))
    with pytest.raises(PlanError, match="recipe demo: scorer 'nobody': not one of"):
        make_plan(recipe, units_of(page), (), 1)


# --- plans -----------------------------------------------------------------------------------------------------------


def test_the_order_of_inputs_changes_nothing(page: Path, folder: Path) -> None:
    assert plan_of(page, folder) == plan_of(folder, page)
    assert [entry.name for entry in plan_of(page, folder).inputs] == ["one.html", "saved"]
    assert plan_of(page).recipe == values(DEMO)


@pytest.mark.parametrize(
    ("each", "partitions"), [(1 << 28, 1), (len(PAGE), 1), (len(PAGE) - 1, 2), (1, len(PAGE)), (20, 3)]
)
def test_partitions_hold_so_many_bytes_of_input_at_most(page: Path, each: int, partitions: int) -> None:
    assert plan_of(page, bytes_per_partition=each).partitions == partitions


def test_an_empty_input_is_one_partition(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert plan_of(tmp_path / "empty.jsonl").partitions == 1


def test_a_plan_comes_back_as_it_was_saved(tmp_path: Path, page: Path, folder: Path) -> None:
    plan = make_plan(DEMO, units_of(page, folder, CRAWL), ("loopback", "pacing_off"), 1000)
    path = str(tmp_path / "out" / "plan.json")
    save_plan(path, plan)
    loaded = load_plan(path)
    check_same(loaded, plan, "out")
    check_same(plan, loaded, "out")
    assert (loaded.inputs, loaded.places, loaded.units) == (plan.inputs, plan.places, plan.units)
    assert (loaded.partitions, loaded.allowances) == (plan.partitions, plan.allowances)
    save_plan(str(tmp_path / "again.json"), loaded)
    assert (tmp_path / "again.json").read_bytes() == Path(path).read_bytes()


def test_a_plan_of_another_version_names_the_file_and_the_key(tmp_path: Path, page: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(str(path), plan_of(page))
    path.write_text(json.dumps({**json.loads(path.read_text()), "novelty": 1}))
    with pytest.raises(PlanError, match=r"plan\.json is not the plan .*novelty.* give another output folder"):
        load_plan(str(path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"mine": 1}'])
def test_a_file_that_is_no_plan_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=r"/plan\.json is not the plan of a build .*--fresh deletes nothing there"):
        load_plan(str(path))


# --- going on with a plan --------------------------------------------------------------------------------------------


def test_another_place_partition_or_order_is_the_same_build(tmp_path: Path, page: Path) -> None:
    plan = plan_of(page)
    (tmp_path / "moved").mkdir()
    page.rename(tmp_path / "moved" / "one.html")
    moved = plan_of(tmp_path / "moved" / "one.html", bytes_per_partition=1)
    assert moved.places != plan.places and moved.partitions != plan.partitions
    check_same(plan, moved, "out")


def test_another_recipe_is_refused_with_both_values(page: Path) -> None:
    units = units_of(page)
    other = replace(DEMO, language=replace(DEMO.language, min_score=0.5), shards=replace(DEMO.shards, max_samples=7))
    told = refusal(make_plan(DEMO, units, (), 1), make_plan(other, units, (), 1))
    assert told == (
        "out/m3w was started with another recipe (language.min_score: 0.65 then, 0.5 now; "
        "shards.max_samples: 10000 then, 7 now). Use the old values, or another output folder"
    )


def test_other_bytes_are_refused_with_the_name(page: Path, folder: Path) -> None:
    old = plan_of(page, folder)
    page.write_bytes(PAGE.replace(b"Text", b"text"))
    assert refusal(old, plan_of(page, folder)) == (
        "out/m3w was started with other input (one.html differ). Use the same, or another output folder"
    )


def test_an_input_more_or_less_is_refused_with_the_name(page: Path, folder: Path) -> None:
    one, both = plan_of(page), plan_of(page, folder)
    assert "(saved differ)" in refusal(one, both)
    assert "(saved differ)" in refusal(both, one)
    assert "(one.html, saved differ)" in refusal(one, plan_of(folder))


def test_another_base_url_is_refused_with_both(page: Path, folder: Path) -> None:
    def based(url: str, *inputs: Path) -> Plan:
        return make_plan(DEMO, plan_units([str(path) for path in inputs], url, DEMO.source), (), 1)

    one, other, none = "https://one.example/", "https://other.example/a/", ""
    assert refusal(based(one, folder), based(other, folder)) == (
        "out/m3w was started with another base URL (saved: https://one.example then, https://other.example/a now). "
        "Use the same, or another output folder"
    )
    assert "https://saved.invalid now" in refusal(based(one, folder), based(none, folder))
    assert "no base URL then, https://one.example now" in refusal(based(none, page), based(one, page))
    check_same(based(one, page), based(one.rstrip("/"), page), "out")


def test_other_test_flags_are_refused(page: Path) -> None:
    units = units_of(page)
    told = refusal(make_plan(DEMO, units, ("loopback",), 1), make_plan(DEMO, units, (), 1))
    assert told == "out/m3w was started with test flags ['loopback'], now []"
