"""Runs a command that ends with the process that started it, also when that one is killed: `leash.py PARENT COMMAND...`

Python cannot end a child when it is killed itself; Linux can (elsewhere the command is just run). So no Java goes on
alone with a job that is started again. Run as a file: it needs nothing of ours, and must start quickly.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # prctl.h of Linux


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` so; to be started by the main thread, whose end would end it too."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it has ended before it could be said
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
