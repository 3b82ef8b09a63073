"""Takes the figures of OpenM3W: python -m benchmarks.run [NAME ...] [--quick].

Each benchmark writes RESULTS/NAME.md. With --quick everything is small, to see that it works: such figures mean
nothing, and go to build/bench/results.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.machine import SCRATCH, busy_share, say, write_result

BENCHMARKS = (
    "pages",
    "extraction",
    "images",
    "workers",
    "whole_job",
    "memory",
    "scale",
    "captions",
    "loader",
    "flamingo",
    "pairs",
    "video",
    "object_store",
)
"""Modules beside this one with a function `measure`, in the order in which all are run."""
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} [all]")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works")
    parser.add_argument("--results", type=Path, help="folder for the results [benchmarks/results]")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder for made crawls and builds; some GB")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(BENCHMARKS)}")
    folder = options.results or (SCRATCH / "results" if options.quick else RESULTS)
    for name in options.names or BENCHMARKS:
        scratch = options.scratch.absolute() / name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        busy, began = busy_share(), time.time()
        try:
            result = import_module(f"benchmarks.{name}").measure(scratch, options.quick)
        finally:
            shutil.rmtree(scratch)
        path = write_result(folder, result, [name, *(["--quick"] if options.quick else [])], began, busy)
        say(f"{path}\n")
        print(path.read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
