"""Carries out the steps of the Dockerfile in fresh root file systems, where there is no container engine.

    python -m engines.container.execute [--packages gcp] [--folder build/container]

Prints the folder of the last stage and its size. Needs root, debootstrap and Go.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from engines.container import dockerfile
from engines.container.dockerfile import DockerfileError, Stage
from engines.container.rootfs import Root, RootError, beam_image, python_image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/container"


def execute(folder: Path, arguments: Mapping[str, str]) -> Root:
    """The root of the last stage.

    Raises:
        DockerfileError, RootError: a step that is not known here, or that failed.
    """
    found, before = dockerfile.stages((ROOT / "Dockerfile").read_text(), arguments)
    done: dict[str, Root] = {}
    for stage in found:
        print(f"FROM {stage.image} AS {stage.name}", flush=True)
        done[stage.name] = carried_out(stage, folder, before, arguments, done)
    return done[found[-1].name]


def carried_out(
    stage: Stage, folder: Path, before: Mapping[str, str], arguments: Mapping[str, str], done: Mapping[str, Root]
) -> Root:
    if stage.image.startswith("apache/beam"):
        root = Root(beam_image(stage.image, folder / "images"))
    else:
        image = python_image(stage.image, folder / "images")
        root = Root(folder / f"stage-{stage.name}")
        shutil.rmtree(root.folder, ignore_errors=True)
        subprocess.run(["cp", "--archive", str(image), str(root.folder)], check=True)
    own: dict[str, str] = {}
    for word, rest in stage.steps:
        print(f"  {word} {rest[:110]}", flush=True)
        values = {**own, **root.environment}
        if word == "ARG":
            own |= dockerfile.argument(rest, arguments, before)
        elif word == "ENV":
            root.environment |= dockerfile.pairs(rest, values)
        elif word == "RUN":
            root.run(["/bin/sh", "-c", rest], own)
        elif word == "COPY":
            copy(dockerfile.copy(rest, values), root, done)
        elif word == "WORKDIR":
            root.workdir = dockerfile.filled(rest, values)
            root.path(root.workdir).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            root.user = rest
        elif word == "HEALTHCHECK":
            root.health = dockerfile.command(rest)
        elif word == "ENTRYPOINT":
            root.entrypoint, root.command = dockerfile.command(rest), []
        elif word == "CMD":
            root.command = dockerfile.command(rest)
    return root


def copy(given: dockerfile.Copy, root: Root, done: Mapping[str, Root]) -> None:
    """A COPY: what a folder holds, or a file under the target's name, or into it where that ends with a slash."""
    whole = not given.stage and given.sources == ["."]
    files = dockerfile.context(ROOT)
    for source in given.sources:
        here = done[given.stage].path(source) if given.stage else ROOT / source
        target = root.path(given.target)
        if whole:
            for path in files:
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, target / path)
            continue
        if not given.stage and Path(source) not in files:
            raise DockerfileError(f"COPY {source}: not in the build's context; .dockerignore leaves it out")
        if here.is_file() and given.target.endswith("/"):
            target /= here.name
        target.parent.mkdir(parents=True, exist_ok=True)
        held = ["--no-target-directory", str(here), str(target)]
        subprocess.run(["cp", "--archive", "--no-preserve=ownership", *held], check=True)


def size(folder: Path) -> int:
    """Bytes on disk."""
    text = subprocess.run(
        ["du", "--summarize", "--block-size=1", str(folder)], capture_output=True, text=True, check=True
    )
    return int(text.stdout.split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--packages", default="plain", choices=["plain", "aws", "gcp"], help="as the Dockerfile's PACKAGES"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    try:
        root = execute(given.folder, {"PACKAGES": given.packages})
    except (DockerfileError, RootError) as error:
        sys.exit(f"execute: {error}")
    print(f"{root.folder}: {size(root.folder) / 1e6:.0f} MB, of which /opt {size(root.folder / 'opt') / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
