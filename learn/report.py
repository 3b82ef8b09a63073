"""The figures as a table, plots and a sheet of held-out pictures with what the model says."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from flamingo_model.evaluation.opened import open_model
from learn.hold_out import Split
from learn.sheet import write_sheet

CHANCE = 1 / 8


def write_report(results: Sequence[Path], runs: Mapping[str, Path], splits: Mapping[str, Split], folder: Path) -> str:
    """Writes report.md and its pictures beside the results; returns the table."""
    found = [json.loads(path.read_text()) for path in results]
    text = table(found)
    opened = open_model(runs["flamingo"])
    write_sheet(opened, splits["pairs"].held_out, folder / "sheet.png")
    plot(found, {name: read_log(path / "metrics.jsonl") for name, path in runs.items()}, folder / "learning.png")
    (folder / "report.md").write_text(text)
    return f"{text}\nLook at {folder}/report.md, learning.png, sheet.png"


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Markdown; a value for each seed, and their mean if there are several."""
    seeds = [f"seed {each['seed']}" for each in found]

    def row(name: str, value: Callable[[Mapping[str, Any]], float], form: Callable[[float], str]) -> list[str]:
        values = [value(each) for each in found]
        return [name, *map(form, values), *([form(mean(values))] if len(values) > 1 else [])]

    def share(name: str, key: str) -> list[str]:
        return row(name, lambda each: each[key]["right"], lambda value: f"{value:.1%}")

    def nats(name: str, value: Callable[[Mapping[str, Any]], float]) -> list[str]:
        return row(name, value, lambda value: f"{value:.2f}")

    first = found[0]
    held, pages = first["picture of a text"]["count"], first["pages, phi"]["count"]
    rows = [
        share(f"right picture of 8 for a caption ({held} unseen; chance 12.5 %)", "picture of a text"),
        share("right caption of 8 for a picture", "text of a picture"),
        *(
            share(f"right picture, {key} before it ({first[key]['count']})", key)
            for key in first
            if key.endswith("shots")
        ),
        nats("loss of a caption's token, its own picture", lambda each: each["picture of a text"]["own"]),
        nats("... seven other pictures", lambda each: each["picture of a text"]["other"]),
        nats("... no picture", lambda each: each["without pictures"]["own"]),
        nats("... no picture, trained without any", lambda each: each["blind"]["own"]),
        share(f"pages: own image of 8 for a text ({pages} texts)", "pages, phi"),
        share("... phi shuffled: another image of the page", "pages, phi shuffled"),
        share("... all images before it attended", "pages, all images attended"),
        nats("pages: nats a token that the own image gains", lambda each: each["pages, phi"]["gap"]),
        nats("... phi shuffled", lambda each: each["pages, phi shuffled"]["gap"]),
        row(
            "gates: mean of |tanh|",
            lambda each: mean(gate for layer in each["gates"] for gate in layer),
            lambda value: f"{value:.3f}",
        ),
    ]
    heads = ["", *seeds, *(["mean"] if len(found) > 1 else [])]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a run's metrics."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def plot(found: Sequence[Mapping[str, Any]], logs: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Training losses with and without pictures, the choices, and the gates by depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (losses, choices, gates) = pyplot.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for name, label in (("flamingo", "with pictures"), ("blind", "without")):
        for data, style in (("pairs", "-"), ("pages", "--")):
            steps = [line["step"] for line in logs[name]]
            values = [line["losses"].get(data) for line in logs[name]]
            losses.plot(steps, values, style, color="C0" if name == "flamingo" else "C1", label=f"{data}, {label}")
    losses.set(title="training loss", xlabel="step", ylabel="nats a token", ylim=(1, 7))
    losses.legend(fontsize=8)
    names = {
        "pictures": "picture of a text",
        "texts": "text of a picture",
        "pages": "pages, phi",
        "phi shuffled": "pages, phi shuffled",
        "all images": "pages, all images attended",
    }
    values = [mean(each[key]["right"] for each in found) for key in names.values()]
    errors = [mean(each[key]["error"] for each in found) for key in names.values()]
    choices.bar(list(names), [100 * value for value in values], yerr=[100 * error for error in errors], capsize=3)
    choices.axhline(100 * CHANCE, color="k", linestyle=":", label="chance")
    choices.set(title="right one of 8, unseen", ylabel="%")
    choices.tick_params(axis="x", rotation=20)
    choices.legend(fontsize=8)
    for number, label in enumerate(("attention", "feed-forward")):
        depth = [mean(each["gates"][layer][number] for each in found) for layer in range(len(found[0]["gates"]))]
        gates.plot(depth, "o-", label=label)
    gates.set(title="gates, |tanh|", xlabel="inserted layer", ylim=(0, None))
    gates.legend(fontsize=8)
    figure.savefig(path, dpi=110)
