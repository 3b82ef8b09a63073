"""The `m3w` command with defects that kill the process which works on a certain thing.

    python poisoned.py WHAT HOW ONCE build ...

What is spoilt is a function that a job calls for each thing. Worker processes are forked from this one, and have the
same defects.

Args:
    WHAT: JOB=WORD, several with ";" between them: a job of `JOBS`, and what the name of the thing holds.
    HOW: a signal's name (SIGKILL is what the system sends where memory is short); for SIGSEGV a wrong address is read;
        "error": no death, an exception.
    ONCE: a folder; each job is then spoilt only once. Empty: each time.
"""

import ctypes
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

JOBS: dict[str, tuple[str, str, Callable[..., str]]] = {
    "read": ("pipelines.sources.warc", "parsed", lambda frame: frame.data[:4000].decode("latin-1")),
    "scan": ("pipelines.scan", "run_stages", lambda record, *_: record.url),
    "ngrams": ("pipelines.rare_words", "_merged", lambda *_: "n-grams"),
    "rare_words": ("pipelines.rare_words", "_common", lambda *_: "n-grams"),
    "fetch": ("pipelines.fetch", "read_original", lambda inputs, origin, name, offset, *_: f"{name} {offset}."),
    "web": ("pipelines.fetch", "prepare", lambda data, *_: data.decode("latin-1")),
    "cut": ("pipelines.cut_videos", "cut_video", lambda path, texts, _: f"{texts.title} {texts.caption}"),
    "similarity": ("pipelines.score_pairs", "make_sample", lambda fact, page, _: page.url),
    "scorer": ("pipelines.score_pairs", "similarities", lambda pairs, _: " ".join(text for _, text in pairs)),
    "shards": ("pipelines.shards", "make_sample", lambda fact, page, _: page.url),
    "select": ("pipelines.select", "one_per_text", lambda *_: "rows"),
    "plan": ("pipelines.fetch", "missing", lambda *_: "rows"),
    "documents": ("pipelines.write", "document", lambda *_: "rows"),
    "deal": ("pipelines.write", "to_shard", lambda *_: "rows"),
    "clips": ("pipelines.shards", "make_clip", lambda fact, page, _: page.url),
}
"""A function that each job calls, and what names the thing that it is called for."""


def die(how: str) -> None:
    if how == "error":
        raise ArithmeticError("a defect")
    if how == "SIGSEGV":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.Signals[how])
    signal.pause()


def spoil(job: str, word: str, how: str, once: str) -> None:
    module, name, of = JOBS[job]
    sound = getattr(importlib.import_module(module), name)

    def due() -> bool:
        try:
            if once:
                (Path(once) / job).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    @wraps(sound)
    def spoilt(*arguments: Any, **named: Any) -> Any:
        if word in of(*arguments, **named) and due():
            die(how)
        return sound(*arguments, **named)

    setattr(importlib.import_module(module), name, spoilt)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # as the command does, before Beam is imported
    from pipelines import cli

    what, way, folder = sys.argv[1:4]
    for one in what.split(";"):
        spoil(*one.split("=", 1), way, folder)  # type: ignore[arg-type]
    sys.argv[1:4] = []
    cli.main()
