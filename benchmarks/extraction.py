"""Extraction of annotated pages beside others' extractors: agreement by kind of page, pictures, pages per second."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.annotated_pages import FOLDERS, AnnotatedPages, domain_of, folders_given, load
from benchmarks.extraction_scores import Pictures, Slots, same_grams, score, score_pictures, text_of
from benchmarks.extraction_tools import OURS, PEERS, TOOLS
from benchmarks.machine import ROOT, Result, Table, say

TYPES = ("article", "documentation", "forum", "service", "product", "collection", "listing")
FASTEST_RIVAL = "rs-trafilatura"
"""What speeds are compared with."""
DRAWS = 1000
"""Of sites, for the interval of the pictures' F1."""


def measure(scratch: Path, quick: bool) -> Result:
    pages = load(folders_given(), scratch / "pages")
    if quick:
        few = sorted(pages.annotations)[:: max(1, len(pages.annotations) // 20)]
        pages = AnnotatedPages({name: pages.annotations[name] for name in few}, pages.folder)
    urls = scratch / "urls.json"
    urls.write_text(json.dumps(pages.urls()))
    tools = [name for name in TOOLS if name in OURS or not quick]
    python = None if quick else install_peers(scratch / "peers")
    found: dict[str, dict[str, Slots]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    rounds = 1 if quick else 3
    for number in range(rounds):
        for name in tools[:: -1 if number % 2 else 1]:  # none always comes first
            say(f"extraction: {name}, round {number + 1} of {rounds}")
            out = scratch / "out.jsonl"
            interpreter = Path(sys.executable) if name in OURS or python is None else python
            seconds[name].append(run(interpreter, name, pages.folder, urls, out))
            found[name] = {row["name"]: row["slots"] for row in map(json.loads, out.open(encoding="utf-8"))}
    speeds = {name: len(pages.annotations) / median(taken) for name, taken in seconds.items()}
    return Result(
        "extraction",
        f"{len(pages.annotations):,} annotated pages, each made into a list of texts and pictures, one core. Word F1 "
        "for WCXB, F1 of 4-grams of words for articles (those of WCXB) and Readability's pages, F1 of snippets that "
        "must and must not be there.",
        (
            Table(HEAD, [row(name, pages.aside(), found[name], speeds) for name in tools], "A third of the sites"),
            Table(HEAD, [row(name, pages.annotations, found[name], speeds) for name in tools], "All pages"),
            Table(
                ("", "F1", "95 % of draws of sites", "precision", "recall", "placement"),
                [pictures_row(name, pages, found[name]) for name in tools],
                "Pictures",
            ),
        ),
        (
            f"The pages are not in this repository: {FOLDERS} names folders of them, docs/extraction.md says which.",
            "The third is chosen by a digest of the site's domain. The shipped judge has learnt from all these pages; "
            "`python -m learn_extraction.run measure` scores one that has not seen the third.",
            f"Seconds are processor time from a page's bytes to its slots, median of {rounds}; `times` is beside "
            f"{FASTEST_RIVAL} in the same run.",
            "Without the peers." if quick else f"Peers: {', '.join(PEERS)}.",
        ),
    )


HEAD = ("", "WCXB", *TYPES, "article 4-grams", "Readability", "snippets", "pages/s", "times")


def install_peers(folder: Path) -> Path:
    """The Python of an environment of its own with the peers."""
    say("extraction: installing the peers")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    for packages in (["--upgrade", "pip"], PEERS):  # old ones cannot resolve lxml's extras
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def run(python: Path, name: str, pages: Path, urls: Path, out: Path) -> float:
    """Seconds of processor time that a tool took for the pages."""
    command: list[str | Path] = [python, ROOT / "benchmarks" / "extraction_tools.py", name, pages, urls, out]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return float(json.loads(said.splitlines()[-1])["seconds"])


def row(
    name: str, annotations: Mapping[str, Mapping[str, Any]], found: Mapping[str, Slots], speeds: Mapping[str, float]
) -> list[str]:
    scores = score(annotations, found)
    articles = [
        same_grams(own["text"], text_of(found.get(page, ())))
        for page, own in annotations.items()
        if own["track"] == "wcxb" and own["type"] == "article"
    ]
    grams = 0.0
    if articles:
        precision, recall = (sum(getattr(a, key) for a in articles) / len(articles) for key in ("precision", "recall"))
        grams = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    shown = [scores.get(track) for track in ("wcxb", *(f"wcxb {kind}" for kind in TYPES))]
    rest = [scores.get("readability"), scores.get("snippets")]
    return [
        name,
        *(f"{own.f1:.3f}" if own else "" for own in shown),
        f"{grams:.3f}",
        *(f"{own.f1:.3f}" if own else "" for own in rest),
        f"{speeds[name]:.0f}",
        f"{speeds[name] / speeds[FASTEST_RIVAL]:.1f}" if FASTEST_RIVAL in speeds else "",
    ]


def pictures_row(name: str, pages: AnnotatedPages, found: Mapping[str, Slots]) -> list[str]:
    counts = score_pictures(pages.annotations, found)
    total = sum(counts.values(), Pictures())
    sites: dict[str, Pictures] = {}
    for page, own in counts.items():
        site = domain_of(page, pages.annotations[page]["url"])
        sites[site] = sites.get(site, Pictures()) + own
    low, high = interval([own for own in sites.values() if own.wanted or own.found])
    agreement = total.agreement()
    return [
        name,
        f"{agreement.f1:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{agreement.precision:.3f}",
        f"{agreement.recall:.3f}",
        f"{total.placement():.3f}",
    ]


def interval(sites: Sequence[Pictures]) -> tuple[float, float]:
    """Where 95 % of the F1 lie, when as many sites are drawn from these, each as often as it comes."""
    chance = random.Random(0)
    drawn = sorted(
        sum(chance.choices(sites, k=len(sites)), Pictures()).agreement().f1 for _ in range(DRAWS if sites else 0)
    )
    return (drawn[len(drawn) // 40], drawn[-len(drawn) // 40 - 1]) if drawn else (0.0, 0.0)
