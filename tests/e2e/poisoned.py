"""The `m3w` command with a defect that kills its process at one thing.

    python poisoned.py JOB WORD HOW ONCE build ...

What is spoilt here is a function that a job calls for each thing; worker processes are forked from this one, and have
the same defect.

Args:
    JOB: one of `JOBS`.
    WORD: what the thing's name must hold.
    HOW: a signal's name ("SIGKILL", as the system sends it where memory is short), "SIGSEGV" by a wrong address, or
        "exit".
    ONCE: a file to make at the first time, after which nothing happens any more; empty: every time.
"""

import ctypes
import importlib
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
    "fetch": ("pipelines.fetch", "read_original", lambda inputs, origin, name, offset, *_: f"{name} {offset}."),
    "http": ("pipelines.fetch", "prepare", lambda data, *_: data.decode("latin-1")),
    "cut": ("pipelines.cut_videos", "cut_video", lambda path, texts, config: texts.title + texts.caption),
    "similarity": ("pipelines.score_pairs", "make_sample", lambda fact, page, _: page.url),
    "ngrams": ("pipelines.rare_words", "count_ngrams", lambda unit, places: unit),
    "shards": ("pipelines.shards", "make_sample", lambda fact, page, _: page.url),
    "clip_shards": ("pipelines.shards", "make_clip", lambda fact, page, _: page.url),
}
"""A function that each job calls, and what names the thing that it is called for."""


def die(how: str) -> None:
    if how == "SIGSEGV":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[how])
    signal.pause()


def spoil(job: str, word: str, how: str, once: str) -> None:
    module, name, of = JOBS[job]
    sound = getattr(importlib.import_module(module), name)

    @wraps(sound)
    def spoilt(*arguments: Any, **named: Any) -> Any:
        if word in of(*arguments, **named):
            try:
                if once:
                    Path(once).touch(exist_ok=False)
            except FileExistsError:
                return sound(*arguments, **named)
            die(how)
        return sound(*arguments, **named)

    setattr(importlib.import_module(module), name, spoilt)


if __name__ == "__main__":
    from pipelines import cli

    spoil(*sys.argv[1:5])
    sys.argv[1:5] = []
    cli.main()
