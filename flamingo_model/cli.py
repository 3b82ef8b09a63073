"""The `flamingo` command. `main` turns what a person can mend into one clear line.

Exit codes: 0 all is well; 2 the command was given wrongly; 130 stopped by Ctrl-C; 141 nobody reads what it prints.
"""

import json
import os
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    help="Flamingo models (arXiv 2204.14198): their configurations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Config = Annotated[str, typer.Argument(help="A preset (see `flamingo presets`) or a TOML file.")]
BROKEN_PIPE = 141
"""What a shell makes of a program that ends because nobody reads on: `flamingo presets | head -1`."""


@app.command()
def describe(config: Config, as_json: Json = False) -> None:
    """Parameters by part, inserted layers, visual tokens, memory. No weights are loaded, however large the model."""
    from flamingo_model.config import load_config

    loaded = load_config(config)  # first: its mistakes are told at once, what follows takes seconds to import

    from flamingo_model.describe import as_text
    from flamingo_model.describe import describe as described
    from schemas.strict import to_plain

    about = described(loaded)
    print(json.dumps({"name": config} | to_plain(about), indent=1) if as_json else as_text(config, about))


@app.command()
def presets(as_json: Json = False) -> None:
    """The shipped configurations, one line each."""
    from flamingo_model.config import about_preset
    from flamingo_model.config import presets as names

    lines = {name: about_preset(name) for name in names()}
    if as_json:
        print(json.dumps(lines, indent=1))
        return
    width = max(map(len, lines))
    for name, line in lines.items():
        print(f"{name:{width}}  {line}")


@app.callback(invoke_without_command=True)
def top(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show_version:
        print(f"openm3w {version('openm3w')}")
        raise typer.Exit


def main() -> None:
    """Runs a command; a mistake that a person can mend is one line and exit code 2.

    With FLAMINGO_TRACEBACK in the environment it is raised as it is, for who looks for a defect.
    """
    out = sys.stdout
    try:
        try:
            app()
        finally:
            if sys.stdout is not out:  # typer's way of saying that nobody reads on; its exit code is 1
                broken_pipe()
            flush()
    except (ValueError, OSError) as error:
        fail(error, str(error))
    except ModuleNotFoundError as error:
        fail(error, f"{error}; the model needs more than the pipelines: pip install 'openm3w[train]'")


def fail(error: Exception, message: str) -> NoReturn:
    if os.environ.get("FLAMINGO_TRACEBACK"):
        raise error
    print(f"flamingo: {message}", file=sys.stderr)
    sys.exit(2)


def flush() -> None:
    """Writes out what was printed, if anybody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        broken_pipe()


def broken_pipe() -> NoReturn:
    """Ends without a word: what is still to be written, at the end too, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(BROKEN_PIPE)


if __name__ == "__main__":
    main()
