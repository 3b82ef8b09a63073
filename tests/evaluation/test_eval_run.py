"""Tasks from end to end with a small model: shots, leaks, ensembles, what cannot be read, stopping and going on."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from eval_files import save_model, save_picture, save_video, write_lines

from flamingo_model import cli
from flamingo_model.evaluation.ask import Asked, rank_answers
from flamingo_model.evaluation.examples import Example, Frames, TaskError
from flamingo_model.evaluation.metrics import Answer, score
from flamingo_model.evaluation.opened import Opened, open_model
from flamingo_model.evaluation.records import Options
from flamingo_model.evaluation.run import Result, evaluate
from flamingo_model.evaluation.shots import orders
from flamingo_model.evaluation.task import Task, load_task, read_split

OPTIONS = Options(batch=3, beams=2)
GENERATE = """
name = "birds"
home = "https://birds.example.org"
layout = "table"
prompt = "question"
mode = "generate"
metric = "accuracy"
max_new_tokens = 4
[query]
table = "all.jsonl"
[support]
table = "all.jsonl"
[paper]
"3B" = [1.0, 4.0, 32.0]
"""
RANK = GENERATE.replace("generate", "rank").replace("accuracy", "top1").replace("birds", "ranks")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def opened(model: Path) -> Opened:
    return open_model(model, device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight questions about seven pictures: the last two are about copies of one."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(7):
        save_picture(folder / f"{number}.png", number)
    (folder / "copy.png").write_bytes((folder / "6.png").read_bytes())
    names = ("dog", "cat", "mat", "log")
    rows = [
        {
            "image": f"{n}.png" if n < 7 else "copy.png",
            "question": "What is it?",
            "answers": [names[n % 4]],
            "candidates": list(names),
            "label": names[n % 4],
        }
        for n in range(8)
    ]
    write_lines(folder / "all.jsonl", rows)
    (folder / "birds.toml").write_text(GENERATE)
    (folder / "ranks.toml").write_text(RANK)
    return folder


def run(opened: Opened, data: Path, output: Path, count: int, name: str = "birds", **changes: Any) -> Result:
    task, root = load_task(data / f"{name}.toml")
    return evaluate(opened, task, root, count, replace(OPTIONS, **changes), output)


def answers(output: Path, result: Result) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (output / result.answers).read_text().splitlines()]
    assert "settings" in lines[0]
    return {line["id"]: line for line in lines[1:]}


def test_no_shot_is_the_query_or_of_its_picture(opened: Opened, data: Path, tmp_path: Path) -> None:
    for rices in (False, True):
        result = run(opened, data, tmp_path, 4, rices=rices)
        told = answers(tmp_path, result)
        assert result.n == 8 and len(told) == 8 and result.choice == ("rices" if rices else "random")
        for name, line in told.items():
            assert len(line["shots"]) == 4 == len(set(line["shots"]))
            assert not {"6", "7"} & set(line["shots"]) if name in ("6", "7") else name not in line["shots"]
    with pytest.raises(TaskError, match="the support has only 6"):
        run(opened, data, tmp_path, 7)


def test_rices_shows_the_most_similar_last(opened: Opened, data: Path, tmp_path: Path) -> None:
    result = run(opened, data, tmp_path, 3, rices=True)
    task, root = load_task(data / "birds.toml")
    examples = read_split(task, root, "query")[0]
    features = [opened.features(example.visual, Frames(30, 3.0)) for example in examples]
    stacked = torch.stack([own for own in features if isinstance(own, torch.Tensor)])
    similar = stacked @ stacked.T
    for line in answers(tmp_path, result).values():
        own = int(line["id"])
        others = [n for n in range(8) if n != own and {n, own} != {6, 7}]
        expected = sorted(others, key=lambda n: -float(similar[own, n]))[:3][::-1]
        assert [float(similar[own, int(n)]) for n in line["shots"]] == sorted(float(similar[own, n]) for n in expected)
    assert len(list(tmp_path.glob("features-*.safetensors"))) == 1
    before = [path.stat().st_mtime_ns for path in tmp_path.glob("features-*")]
    again = run(opened, data, tmp_path, 3, rices=True, seed=1)
    assert [path.stat().st_mtime_ns for path in tmp_path.glob("features-*")] == before
    assert answers(tmp_path, again).keys() == answers(tmp_path, result).keys()


def test_an_ensemble_is_the_mean_over_orders(opened: Opened, data: Path, tmp_path: Path) -> None:
    result = run(opened, data, tmp_path, 3, name="ranks", ensemble=6)
    assert result.ensemble == 6
    task, root = load_task(data / "ranks.toml")
    examples = {example.id: example for example in read_split(task, root, "query")[0]}
    frames = Frames(30, 3.0)

    def visual(example: Example) -> torch.Tensor:
        found = opened.visual(example.visual, frames)
        assert isinstance(found, torch.Tensor)
        return found

    for line in list(answers(tmp_path, result).values())[:3]:
        query = examples[line["id"]]
        each = []
        for order in orders([examples[name] for name in line["shots"]], 6, query.id, 0):
            one = Asked(query, tuple(order), (*map(visual, order), visual(query)))
            each.append(rank_answers(opened, [one], "question", end=True, length_normalised=False)[0])
        assert line["scores"] == pytest.approx(torch.tensor(each).mean(0).tolist(), abs=1e-4)
        assert torch.tensor(each).std(0).max() > 0.01  # the orders do differ
        assert line["answer"] == query.candidates[max(range(4), key=line["scores"].__getitem__)]
    with pytest.raises(TaskError, match="ensemble"):
        run(opened, data, tmp_path, 2, ensemble=6)


def test_without_shots_two_examples_are_shown_without_pictures(opened: Opened, data: Path, tmp_path: Path) -> None:
    result = run(opened, data, tmp_path, 0)
    told = answers(tmp_path, result)
    assert result.choice == "2 texts" and result.shown == 0 and result.paper == {"3B": 1.0}
    assert {len(line["shots"]) for line in told.values()} == {2}
    common = [line["shots"] for name, line in told.items() if name not in line["shots"]]
    most = max(common, key=common.count)
    for name, line in told.items():  # the same for all, but for those whose answer would be told
        assert line["shots"] == most or name in most or {name, *most} >= {"6", "7"}
    ranked = run(opened, data, tmp_path, 0, name="ranks")
    assert {tuple(line["shots"]) for line in answers(tmp_path, ranked).values()} == {
        ()
    }  # none where candidates are ranked


def test_batches_change_nothing(opened: Opened, data: Path, tmp_path: Path) -> None:
    for name in ("birds", "ranks"):
        one = run(opened, data, tmp_path / "one", 2, name=name, batch=1)
        many = run(opened, data, tmp_path / "many", 2, name=name, batch=8)
        first, second = answers(tmp_path / "one", one), answers(tmp_path / "many", many)
        assert one.answers == many.answers and one.value == many.value
        for key, line in first.items():
            assert line["answer"] == second[key]["answer"] and line["shots"] == second[key]["shots"]
            assert line["scores"] == pytest.approx(second[key]["scores"], abs=1e-4)


def test_stopped_it_goes_on_where_it_was(opened: Opened, data: Path, tmp_path: Path) -> None:
    task, root = load_task(data / "birds.toml")
    whole = evaluate(opened, task, root, 2, OPTIONS, tmp_path / "whole")

    def stop(done: int, of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(opened, task, root, 2, OPTIONS, tmp_path / "part", stop)
    path = tmp_path / "part" / whole.answers
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 3
    path.write_text("".join(lines[:3]) + lines[3][:20])  # killed while it wrote
    result = evaluate(opened, task, root, 2, OPTIONS, tmp_path / "part")
    assert answers(tmp_path / "part", result) == answers(tmp_path / "whole", whole)
    assert replace(result, seconds=0) == replace(whole, seconds=0)
    # Other settings have another file.
    other = evaluate(opened, task, root, 2, replace(OPTIONS, seed=5), tmp_path / "part")
    assert other.answers != result.answers and path.is_file()


def test_what_cannot_be_read_is_left_out_and_counted(opened: Opened, data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data / "all.jsonl").read_text().splitlines()]
    for row in rows:
        row["image"] = str(data / row["image"])
    rows[2]["image"] = "nowhere.png"
    (tmp_path / "broken.png").write_bytes(b"broken")
    rows[4]["image"] = "broken.png"
    write_lines(tmp_path / "all.jsonl", rows)
    (tmp_path / "birds.toml").write_text(GENERATE)
    for rices in (False, True):
        result = run(opened, tmp_path, tmp_path / "out", 4, rices=rices)
        assert result.n == 6 and result.excluded == {"missing": 1, "undecodable": 1}
        assert result.support_excluded == {"missing": 1, "undecodable": 1}
        told = answers(tmp_path / "out", result)
        assert told["2"]["excluded"] == "missing" and told["4"]["excluded"] == "undecodable"
        assert not any({"2", "4"} & set(line.get("shots", ())) for line in told.values())
    # Put in its place, it is asked.
    (tmp_path / "nowhere.png").write_bytes((data / "2.png").read_bytes())
    result = run(opened, tmp_path, tmp_path / "out", 4)
    assert result.n == 7 and result.excluded == {"undecodable": 1}


def test_not_one_picture_says_where_they_are_to_be_had(opened: Opened, tmp_path: Path) -> None:
    write_lines(tmp_path / "all.jsonl", [{"image": f"{n}.png", "answer": "dog"} for n in range(4)])
    (tmp_path / "birds.toml").write_text(GENERATE.replace('metric = "accuracy"', 'metric = "accuracy"\ntext_shots = 0'))
    with pytest.raises(TaskError, match=r"none of 4 pictures .* to be had at https://birds\.example\.org"):
        run(opened, tmp_path, tmp_path / "out", 0)


def test_a_limit_draws_queries_and_keeps_their_answers(opened: Opened, data: Path, tmp_path: Path) -> None:
    some = run(opened, data, tmp_path, 2, limit=3)
    told = answers(tmp_path, some)
    assert some.n == 3 == len(told)
    every = run(opened, data, tmp_path, 2)
    assert every.answers == some.answers and every.n == 8
    assert {name: answers(tmp_path, every)[name] for name in told} == told


def test_the_score_is_that_of_the_written_answers(opened: Opened, data: Path, tmp_path: Path) -> None:
    result = run(opened, data, tmp_path, 2, name="ranks")
    task, root = load_task(data / "ranks.toml")
    told = answers(tmp_path, result)
    pairs = [
        (example, Answer(told[example.id]["answer"], tuple(told[example.id]["scores"])))
        for example in read_split(task, root, "query")[0]
    ]
    found = score("top1", pairs)
    assert (result.value, result.low, result.high) == (found.value, found.low, found.high)


def test_answers_that_are_not_public(opened: Opened, data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data / "all.jsonl").read_text().splitlines()]
    write_lines(data / "hidden.jsonl", [{**row, "answers": []} for row in rows])
    task, root = load_task(data / "birds.toml")
    hidden: Task = replace(task, query={"table": "hidden.jsonl"})
    result = evaluate(opened, hidden, root, 2, OPTIONS, tmp_path)
    assert result.value is None and result.n == 8
    with pytest.raises(TaskError, match=r"no example of \[support\] has an answer"):
        evaluate(opened, replace(hidden, support={"table": "hidden.jsonl"}), root, 2, OPTIONS, tmp_path)
    with pytest.raises(TaskError, match=r"no \[support\]"):
        evaluate(opened, replace(task, support={}), root, 2, OPTIONS, tmp_path)


def test_fewer_shots_where_more_do_not_fit(opened: Opened, data: Path, tmp_path: Path) -> None:
    task, root = load_task(data / "birds.toml")
    result = evaluate(opened, replace(task, max_shots=2), root, 4, OPTIONS, tmp_path)
    assert (result.shots, result.shown, result.paper) == (4, 2, {"3B": 4.0})


def flamingo(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    before = sys.argv
    sys.argv = ["flamingo", *map(str, arguments)]
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv = before
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_evaluate(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = (data / "birds.toml", data / "ranks.toml")
    common = ("--beams", 1, "--device", "cpu", "--output", "mine/results.json")
    code, out, _ = flamingo(capsys, "evaluate", model, *both, "--shots", "0,4", *common)
    lines = out.splitlines()
    assert code == 0 and lines[0].split()[:4] == ["task", "shots", "metric", "score"] and len(lines) == 5
    assert lines[1].startswith("birds  0, 2 texts") and " to " in lines[1] and lines[1].endswith("  8  1.0")
    saved = json.loads((tmp_path / "mine/results.json").read_text())
    assert [(one["task"], one["shots"], one["n"]) for one in saved["results"]] == [
        ("birds", 0, 8),
        ("birds", 4, 8),
        ("ranks", 0, 8),
        ("ranks", 4, 8),
    ]
    assert all((tmp_path / "mine/results" / one["answers"]).is_file() for one in saved["results"])
    code, out, _ = flamingo(capsys, "evaluate", model, *both, "--shots", "0,4", *common, "--json")
    assert code == 0 and [one["value"] for one in json.loads(out)] == [one["value"] for one in saved["results"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "MODEL", "vqav2", "--data", "nowhere"), "It is to be had at https://visualqa.org"),
        (("evaluate", "MODEL", "vqa"), "no task file 'vqa'"),
        (("evaluate", "MODEL", "DATA/birds.toml", "--shots", "4,x"), "--shots is '4,x'"),
        (("evaluate", "MODEL", "DATA/birds.toml", "--shots", "9"), "9 shots are wanted"),
        (("evaluate", "MODEL", "DATA/birds.toml", "--output", "here"), "must be a .json file"),
        (("evaluate", "nowhere", "DATA/birds.toml"), "nowhere is no model"),
        (("generate", "MODEL"), "no picture is given"),
        (("generate", "MODEL", "none.jpg"), "none.jpg is not there"),
        (("generate", "MODEL", "DATA/0.png", "--shots", "none.jsonl"), "none.jsonl is not there"),
        (("generate", "MODEL", "DATA/0.png", "--tokenizer", "DATA"), "no tokenizer in"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...],
    message: str,
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = [word.replace("MODEL", str(model)).replace("DATA", str(data)) for word in arguments]
    code, out, err = flamingo(capsys, *said)
    assert code == 2 and out == "" and message in err and len(err.splitlines()) == 1, err


def test_the_command_generate(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = save_video(tmp_path / "v.webm", 1)
    pictures = [data / "0.png", data / "1.png", video]
    options = ("--max-new", 5, "--beams", 2, "--device", "cpu")
    code, out, _ = flamingo(capsys, "generate", model, *pictures, *options)
    assert code == 0 and [line.split("  ")[0].strip() for line in out.splitlines()] == [str(path) for path in pictures]
    code, out, _ = flamingo(capsys, "generate", model, *pictures, *options, "--json", "--shots", data / "all.jsonl")
    told = json.loads(out)
    assert code == 0 and [one["image"] for one in told] == [str(path) for path in pictures]
    assert all(isinstance(one["text"], str) for one in told)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"broken")
    code, out, err = flamingo(capsys, "generate", model, broken, data / "0.png", *options)
    assert code == 0 and len(out.splitlines()) == 1 and str(broken) in err
    code, out, err = flamingo(capsys, "generate", model, broken, *options)
    assert code == 1 and out == ""


def test_a_conversation_on_the_terminal(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["What is this?", f"/image {data / '1.png'}", "/image nowhere.png", "And this?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    options = ("--dialogue", "--max-new", 4, "--beams", 1, "--device", "cpu")
    code, out, err = flamingo(capsys, "generate", model, data / "0.png", *options)
    assert code == 0 and [line.split(":")[0] for line in out.splitlines()] == ["Flamingo"] * 2
    assert "nowhere.png is not there" in err


def test_the_tasks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = flamingo(capsys, "tasks")
    assert code == 0 and "okvqa" in out and "https://okvqa.allenai.org" in out
    assert len(json.loads(flamingo(capsys, "tasks", "--json")[1])) == 18


def test_a_training_runs_folder_is_its_newest_checkpoint(model: Path, tmp_path: Path) -> None:
    for step in (5, 10):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        save_model(folder, seed=step)
    assert open_model(tmp_path, device="cpu").folder.name == "step-00000010"
    (tmp_path / "latest").symlink_to("checkpoints/step-00000005")
    assert open_model(tmp_path, device="cpu").folder.name == "step-00000005"
