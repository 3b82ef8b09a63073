"""Runs a function with the sources of `pipelines.extract` in place of what is compiled of them."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def in_plain_python(function: Callable[[Any], Any], argument: Any) -> Any:
    """`function(argument)` in another process; the function is one of a module in tests/."""
    command = [sys.executable, __file__, function.__module__, function.__name__]
    done = subprocess.run(command, input=pickle.dumps(argument), capture_output=True, cwd=ROOT, timeout=250)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


class _Sources:
    """Finds the modules of the package, and their sources only."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.startswith("pipelines.extract."):
            return FileFinder(path[0], (SourceFileLoader, [".py"])).find_spec(name)
        return None


def main() -> None:
    sys.meta_path.insert(0, _Sources())
    sys.path.insert(0, str(ROOT))
    module = __import__(sys.argv[1])
    from pipelines.extract import layout

    assert layout.__file__.endswith(".py")
    pickle.dump(getattr(module, sys.argv[2])(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)


if __name__ == "__main__":
    main()
