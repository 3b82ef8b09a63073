"""The `m3w` command. Each command is an ordinary function; `main` turns what a person can mend into one clear line.

Exit codes: 0 all is well; 1 the data or a check is not as it should be; 2 the command was given wrongly; 3 a build is
complete but for what it had to give up; 130 stopped by Ctrl-C; 141 nobody reads what it prints.
"""

import json
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from pipelines.build_command import BuildCommand, build
from pipelines.console import Console, broken_pipe

app = typer.Typer(
    help="Builds M3W data sets from crawls, and looks at them.", no_args_is_help=True, pretty_exceptions_enable=False
)
recipe_app = typer.Typer(help="The recipes: every threshold of a build.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
DataSet = Annotated[str, typer.Argument(help="A data set's folder.")]
INTERRUPTED = 130


app.command(cls=BuildCommand, context_settings={"allow_extra_args": True})(build)


@app.command()
def report(
    data_set: DataSet,
    as_json: Json = False,
    rejected: Annotated[str, typer.Option(help="Show dropped records of this stage instead.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of them.")] = 20,
) -> None:
    """The funnel: what came in, what was dropped by which rule, what came out."""
    from pipelines.report import print_rejected, print_report, rejected_json, report_for

    if rejected:
        if as_json:
            print(rejected_json(data_set, rejected, limit))
        else:
            print_rejected(data_set, rejected, limit, Console())
        return
    found = report_for(data_set)
    if as_json:
        from schemas.strict import to_plain

        print(json.dumps(to_plain(found), indent=1))
    else:
        print_report(found, Console())


@app.command()
def inspect(
    shards: Annotated[list[str], typer.Argument(help="A data set, a folder of shards, or tar files.")],
    sample: Annotated[str, typer.Option(help="Show one document: its key, or its number from 0.")] = "",
    images: Annotated[str, typer.Option(help="With --sample: save its images or frames in this folder.")] = "",
    html: Annotated[str, typer.Option(help="Write a page with documents and their pictures to this file.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="With --html: how many documents.")] = 50,
    sheet: Annotated[str, typer.Option(help="Write a contact sheet (PNG) of some samples to this file.")] = "",
    count: Annotated[int, typer.Option(min=1, max=200, help="With --sheet: how many, spread over all.")] = 24,
    as_json: Json = False,
) -> None:
    """What is in these shards: totals and histograms, one document, a page to look at, or a contact sheet.

    Exit code 1 if a data set is not finished, or shards or samples of it are missing.
    """
    from pipelines.inspect import not_there, print_summary, summarise, summary_json, write_html, write_sheet
    from pipelines.sample_view import sample_as_json, show_sample
    from pipelines.shard_files import printable

    if images and not sample:
        raise ValueError("--images saves the images of one document: give --sample too")
    given = [("--html", html), ("--sheet", sheet), ("--sample", sample), ("--json", as_json and not sample)]
    ways = [option for option, value in given if value]
    if len(ways) > 1:
        raise ValueError(f"{ways[0]} cannot be given together with {ways[1]}")
    if sample:
        print((sample_as_json if as_json else show_sample)(shards, sample, images or None))
        problems = not_there(shards)
    elif html:
        shown = write_html(shards, html, limit)
        print(f"{html}: {shown} documents")
        problems = not_there(shards)
    elif sheet:
        shows, lacking = write_sheet(shards, sheet, count)
        print(f"{sheet}: {shows}")
        if lacking:
            print(f"m3w: {lacking}", file=sys.stderr)
        problems = not_there(shards)
    else:
        summary = summarise(shards)
        if as_json:
            print(summary_json(summary))
        else:
            print_summary(summary, Console())
        problems = list(summary.problems)
    for problem in problems:
        print(f"m3w: {printable(problem)}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)


@app.command()
def verify(
    shards: Annotated[list[str], typer.Argument(help="A data set, or tar files.")], as_json: Json = False
) -> None:
    """Re-read everything and say what is wrong. Exit code 1 if anything is."""
    from pipelines.verify import print_verification, verification_json
    from pipelines.verify import verify as run_verify

    found = run_verify(shards)
    if as_json:
        print(verification_json(found))
    else:
        print_verification(found, Console())
    if found.problems:
        raise typer.Exit(1)


@app.command()
def extract(
    pages: Annotated[str, typer.Argument(help="A page, or a folder or tar of NAME.html.")],
    url: Annotated[str, typer.Option(help="Address of the page.")] = "",
    urls: Annotated[str, typer.Option(help="JSON file that maps NAME to the page's address.")] = "",
    slots: Annotated[str, typer.Option(help="Write one line for each page to this JSONL file.")] = "",
    recipe: Annotated[str, typer.Option(help="Recipe whose tables decode, parse and extract are used.")] = "m3w",
    workers: Annotated[int, typer.Option(min=1, help="Processes, with --slots.")] = 1,
    why: Annotated[bool, typer.Option("--why", help="Show what is left out of each page, and why.")] = False,
    html: Annotated[str, typer.Option(help="Write the page's parts beside its document to this HTML file.")] = "",
    as_json: Json = False,
) -> None:
    """Show the document that a page becomes: its text, with its images at their places. Exit code 1 if none does."""
    from pipelines.extract_command import explain_page, print_page, write_slots
    from pipelines.recipe import load_recipe

    loaded = load_recipe(recipe)
    if slots:
        done, refused = write_slots(pages, urls, slots, loaded, workers)
        reasons = ", ".join(f"{reason} {number}" for reason, number in refused.items())
        print(f"{slots}: {done} pages, refused {sum(refused.values())} ({reasons or 'none'})", file=sys.stderr)
    elif why or html:
        for line in explain_page(pages, url, urls, loaded, html):
            if why:
                print(line)
    else:
        if not print_page(pages, url, urls, loaded, as_json):
            raise typer.Exit(1)


@recipe_app.command("list")
def recipe_list() -> None:
    """The recipes that come with OpenM3W."""
    from pipelines.recipe import shipped, summary

    for name in shipped():
        print(f"{name:12s} {summary(name)}")


@recipe_app.command("show")
def recipe_show(recipe: str, as_json: Json = False) -> None:
    """Every value of a recipe, with what it extends."""
    from pipelines.recipe import load_recipe, recipe_digest, to_toml, values

    loaded = load_recipe(recipe)
    if as_json:
        print(json.dumps(values(loaded), indent=1))
    else:
        print(f"# {loaded.name}, digest {recipe_digest(loaded)}\n\n{to_toml(loaded)}")


@recipe_app.command("check")
def recipe_check(recipe: str) -> None:
    """Whether a recipe can be used here, with the models and lists that it names. Exit code 2 and the reason if not."""
    from pipelines.plan import check_models, describe_lists
    from pipelines.recipe import load_recipe, recipe_digest

    loaded = load_recipe(recipe)
    check_models(loaded)
    list(describe_lists(loaded))
    print(f"{recipe}: good, digest {recipe_digest(loaded)}")


@recipe_app.command("diff")
def recipe_diff(one: str, other: str, as_json: Json = False) -> None:
    """What differs between two recipes. Exit code 1 if anything does."""
    from pipelines.recipe import differences, load_recipe, values

    found = differences(values(load_recipe(one)), values(load_recipe(other)))
    if as_json:
        print(json.dumps([{"key": key, one: left, other: right} for key, left, right in found], indent=1))
    else:
        for key, left, right in found:
            print(f"{key}: {left!r} -> {right!r}")
    if found:
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def top(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show_version:
        print(f"openm3w {version('openm3w')}")
        raise typer.Exit


MISTAKES = (ValueError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What a person can mend by giving the command otherwise."""


def main() -> None:
    """Runs a command; a mistake that a person can mend is one line and exit code 2, damage is exit code 1.

    With M3W_TRACEBACK in the environment they are raised as they are, for who looks for a defect.
    """
    logging.basicConfig(level=logging.ERROR)
    for handler in logging.getLogger().handlers:  # Beam logs a Ctrl-C with its traceback
        handler.addFilter(lambda record: "KeyboardInterrupt" not in record.getMessage())
    out = sys.stdout
    try:
        try:
            app()
        finally:
            if sys.stdout is not out:  # typer's way of saying that nobody reads on; its exit code is 1
                broken_pipe()
            flush()
    except (ValueError, RuntimeError, OSError) as error:
        if os.environ.get("M3W_TRACEBACK"):
            raise
        if str(error).startswith("KeyboardInterrupt"):  # Beam makes another error of it
            stopped()
        print(f"m3w: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, MISTAKES) else 1)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes this of it
            stopped()
        raise


def flush() -> None:
    """Writes out what was printed, if anybody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        broken_pipe()


def stopped() -> NoReturn:
    print("m3w: stopped; the same command goes on where it stood", file=sys.stderr)
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
