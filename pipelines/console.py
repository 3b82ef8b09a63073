"""What is printed for a person."""

import os
import sys
from typing import NoReturn

from rich.console import Console as RichConsole

BROKEN_PIPE = 141
"""What a shell makes of a program that ends because nobody reads on: `m3w verify D | head -1`."""


class Console(RichConsole):
    """Rich's own would end with exit code 1 when nobody reads on, which here means damage."""

    def on_broken_pipe(self) -> None:
        broken_pipe()


def broken_pipe() -> NoReturn:
    """Ends without a word: what is still to be written, at the end too, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(BROKEN_PIPE)
