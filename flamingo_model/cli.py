"""The `flamingo` command. `main` turns what a person can mend into one clear line.

Exit codes: 0 all is well; 2 the command was given wrongly; 130 stopped by Ctrl-C; 141 nobody reads what it prints.
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    help="Flamingo models (arXiv 2204.14198): configurations, training, text from pictures, evaluation.",
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


@app.command()
def data(
    shards: Annotated[list[str], typer.Argument(help="Folder of a data set or of tars, a pattern, an address.")],
    html: Annotated[Path | None, typer.Option(help="Write the batch as a page with its pictures.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Of the batch.")] = 4,
    split: Annotated[str, typer.Option(help="Of data sets that have a manifest.")] = "train",
    tokenizer: Annotated[str, typer.Option(help="Folder or hub name; else one is made from the texts.")] = "",
    image_size: Annotated[int, typer.Option(min=1, help="Of the vision encoder, pixels.")] = 224,
    seed: Annotated[int, typer.Option(help="Of the order, the crops and the colours.")] = 0,
    augment: Annotated[bool, typer.Option(help="Change colours and flip, as in training.")] = True,
    fields: Annotated[
        list[str] | None, typer.Option("--set", help="A field of SampleConfig: --set length=64 --set p_next=0.0")
    ] = None,
) -> None:
    """A batch as the model gets it: text in the colours of the pictures that it sees (phi), and the pictures."""
    from flamingo_model.look import look
    from flamingo_model.training.config import parsed_fields

    sys.exit(
        look(
            shards,
            split=split,
            rows=rows,
            seed=seed,
            image_size=image_size,
            augment=augment,
            tokenizer=tokenizer,
            fields=parsed_fields(fields or []),
            page=html,
        )
    )


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="A shipped configuration (demo, paper, finetune) or a TOML file.")],
    output: Annotated[str, typer.Option(help="Folder of the run; runs/NAME of the configuration if not given.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help="table.field=value, over the file's.")] = None,
) -> None:
    """Train a model on shards; under torchrun on several GPUs or processes. Ctrl-C and SIGTERM save and stop."""
    from flamingo_model.training.config import load_train_config

    loaded = load_train_config(config, changes or [])  # first: its mistakes are told at once

    from flamingo_model.training.trainer import run_from_terminal

    sys.exit(run_from_terminal(loaded, output or f"runs/{Path(config).stem}", resume))


@app.command()
def contrast(
    config: Annotated[
        str, typer.Argument(help="A shipped configuration (contrast-demo, contrast-paper) or a TOML file.")
    ],
    output: Annotated[str, typer.Option(help="Folder of the run; runs/NAME of the configuration if not given.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help="table.field=value, over the file's.")] = None,
) -> None:
    """Train a vision encoder on pairs, contrastively, for a Flamingo. Ctrl-C and SIGTERM save and stop."""
    from flamingo_model.contrastive.config import load_contrast_config

    loaded = load_contrast_config(config, changes or [])  # first: its mistakes are told at once

    from flamingo_model.contrastive.trainer import run_from_terminal

    sys.exit(run_from_terminal(loaded, output or f"runs/{Path(config).stem}", resume))


Folder = Annotated[Path, typer.Argument(help="A model's folder, or that of a training run.", metavar="MODEL")]
Tokenizer = Annotated[str, typer.Option(help="Folder or hub name; else the checkpoint's, or the language model's.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@app.command()
def generate(
    model: Folder,
    images: Annotated[list[Path] | None, typer.Argument(help="Pictures and videos.")] = None,
    prompt: Annotated[str, typer.Option(help='After the picture: "Question: What is it? Answer:"; or "".')] = "Output:",
    shots: Annotated[Path | None, typer.Option(help="A table of examples (image, answer) to show first.")] = None,
    dialogue: Annotated[bool, typer.Option("--dialogue", help="Talk about the pictures, a line at a time.")] = False,
    beams: Annotated[int, typer.Option(min=1, help="1: greedy.")] = 3,
    max_new: Annotated[int, typer.Option(min=1, help="Tokens at most.")] = 30,
    frames: Annotated[int, typer.Option(min=1, help="Of a video, at most.")] = 30,
    fps: Annotated[float, typer.Option(help="Frames of a second of a video.")] = 3.0,
    tokenizer: Tokenizer = "",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """A text for each picture or video: a caption, or an answer to a question about it."""
    if not images and not dialogue:
        raise ValueError("no picture is given: flamingo generate MODEL cat.jpg")
    if fps <= 0:
        raise ValueError(f"--fps is {fps:g}, must be above 0")

    from flamingo_model.evaluation.commands import run_dialogue, run_generate
    from flamingo_model.evaluation.dialogue import Settings
    from flamingo_model.evaluation.examples import Frames

    settings = Settings(beams=beams, max_new_tokens=max_new, frames=Frames(frames, fps))
    if dialogue:
        sys.exit(run_dialogue(model, images or [], settings=settings, tokenizer=tokenizer, device=device))
    sys.exit(
        run_generate(
            model,
            images or [],
            text=prompt,
            shots=shots,
            settings=settings,
            tokenizer=tokenizer,
            device=device,
            as_json=as_json,
        )
    )


@app.command()
def evaluate(
    model: Folder,
    tasks: Annotated[list[str], typer.Argument(help="Task files, or names that `flamingo tasks` lists.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set, or of several by their tasks' names.")
    ] = None,
    shots: Annotated[str, typer.Option(help="Examples in the prompt, separated by commas.")] = "0,4",
    rices: Annotated[bool, typer.Option("--rices", help="The most similar examples instead of random ones.")] = False,
    ensemble: Annotated[int, typer.Option(min=1, help="Orders of the shots; the paper has 6. For ranking.")] = 1,
    per_class: Annotated[int | None, typer.Option(help="Examples of each class in the support.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Queries, drawn at random; 0: all.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Prompts at a time.")] = 8,
    beams: Annotated[int, typer.Option(min=1, help="Of generated answers.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the shots, and of what --limit draws.")] = 0,
    length_normalised: Annotated[
        bool, typer.Option("--length-normalised", help="Compare candidates by the mean over their tokens.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Scores; answers go to a folder of its name.")] = Path("results.json"),
    tokenizer: Tokenizer = "",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model on tasks with so many shots. Stopped, it goes on where it was."""
    counts = shots.replace(" ", "").split(",")
    if not all(count.isdecimal() for count in counts):
        raise ValueError(f"--shots is {shots!r}, must be numbers: 0,4,32")

    from flamingo_model.evaluation.commands import run_evaluate
    from flamingo_model.evaluation.records import Options

    options = Options(
        rices=rices,
        ensemble=ensemble,
        limit=limit,
        batch=batch,
        beams=beams,
        seed=seed,
        length_normalised=length_normalised,
    )
    sys.exit(
        run_evaluate(
            model,
            tasks,
            data=data,
            shots=list(dict.fromkeys(map(int, counts))),
            options=options,
            output=output,
            tokenizer=tokenizer,
            device=device,
            as_json=as_json,
            per_class=per_class,
        )
    )


@app.command()
def tasks(as_json: Json = False) -> None:
    """The tasks of the paper that `flamingo evaluate` knows, and where their data is to be had."""
    from flamingo_model.evaluation.task import load_task, shipped_tasks

    found = [load_task(name)[0] for name in shipped_tasks()]
    if as_json:
        from schemas.strict import to_plain

        print(json.dumps([to_plain(task) for task in found], indent=1))
        return
    for task in found:
        print(f"{task.name:14}  {task.metric:13}  {task.about}\n{'':31}{task.home}")


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
