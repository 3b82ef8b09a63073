"""Root file systems that stand for images, and programs that run in them: chroot where there is no container engine.

What stands for what: for Debian's `python` images, Debian of the same release with its own Python of the same minor
version, from its archive; for Beam's image, its boot program, compiled from Beam's source. Processes get their own
mounts and process numbers, and share the network.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = ("python3", "python3-venv", "ca-certificates")
COMPILER = ("gcc", "libc6-dev", "python3-dev")
BOOT = "github.com/apache/beam/sdks/v2/python/container"
OF_THE_BUILD = re.compile(r"PIP_(?!FIND_LINKS)|.*_proxy$|SSL_CERT|REQUESTS_CA", re.IGNORECASE)
"""Variables of this machine that a RUN may see: how packages are reached. Not a part of the result."""
NAMES = ("/etc/hosts", "/etc/resolv.conf")
"""Of this machine, for every process: as a container engine gives its own."""
CERTIFICATES = "/etc/ssl/certs"
"""Of this machine, for the time of a RUN."""


class RootError(RuntimeError):
    """A root file system that cannot be made; the message says what is missing."""


@dataclass
class Root:
    """A root file system and what its image says of how to run in it."""

    folder: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    workdir: str = "/"
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """A path of the root file system on this machine."""
        absolute = inside if inside.startswith("/") else f"{self.workdir}/{inside}"
        return self.folder / absolute.strip("/")

    def started(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        lent: Sequence[str] = (),
        shared: Path | None = None,
    ) -> list[str]:
        """The command line that runs `words` in it as its user; needs root.

        Args:
            lent: files and folders of this machine that are seen under the same path, read-only by convention.
            shared: a folder that is seen as /data.
        """
        mounts = [f"mount -t proc proc {self.folder}/proc", f"mount --bind /dev {self.folder}/dev"]
        for name in NAMES:
            self.path(name).touch()
        mounts += [f"mount --bind {Path(given).resolve()} {self.folder}{given}" for given in (*NAMES, *lent)]
        if shared is not None:
            (self.folder / "data").mkdir(exist_ok=True)
            mounts.append(f"mount --bind {shared.resolve()} {self.folder}/data")
        user = f"--userspec={self.user}:{self.user}" if self.user else ""
        # `$@` are the words; env -C needs the folder, which chroot alone would not enter
        run = f'exec chroot {user} {self.folder} /usr/bin/env --chdir={self.workdir} "$@"'
        variables = {
            "HOME": f"/home/{self.home()}" if self.user else "/root",
            **self.environment,
            **(environment or {}),
        }
        script = " && ".join([*mounts, run])
        inside = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            script,
            "sh",
            "--ignore-environment",
        ]
        return [*inside, *(f"{name}={value}" for name, value in variables.items()), *words]

    def home(self) -> str:
        rows = [line.split(":") for line in self.path("/etc/passwd").read_text().splitlines()]
        return next((row[0] for row in rows if self.user in (row[0], row[2])), self.user)

    def run(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """A RUN: with the network's settings of this machine.

        Raises:
            RootError: it failed.
        """
        reached = {name: value for name, value in os.environ.items() if OF_THE_BUILD.match(name)}
        self.path(CERTIFICATES).mkdir(parents=True, exist_ok=True)
        if subprocess.run(self.started(words, {**reached, **environment}, [CERTIFICATES]), check=False).returncode:
            raise RootError(f"RUN {' '.join(words)[:200]} failed")


def python_image(image: str, cache: Path) -> Path:
    """The root file system that stands for `python:3.11.x-[slim-]bookworm`, made once.

    Raises:
        RootError: another image, or no debootstrap here.
    """
    match = re.fullmatch(r"python:(3\.\d+)\.\d+-(slim-)?(\w+)", image)
    if not match:
        raise RootError(f"{image}: nothing here stands for it")
    minor, slim, release = match.groups()
    packages = PYTHON if slim else (*PYTHON, *COMPILER)
    folder = cache / image.replace(":", "-").replace("/", "-")
    if (folder / "usr/local/bin/python").is_symlink():
        return folder
    if shutil.which("debootstrap") is None:
        raise RootError("no debootstrap here; on Debian and Ubuntu: apt install debootstrap")
    shutil.rmtree(folder, ignore_errors=True)
    base = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", release, str(folder), archive()]
    done = subprocess.run(base, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RootError(f"debootstrap: {done.stdout[-500:]}{done.stderr[-500:]}")
    for rubbish in (folder / "var/cache/apt/archives").glob("*.deb"):
        rubbish.unlink()
    shutil.rmtree(folder / "var/lib/apt/lists", ignore_errors=True)
    if not (folder / f"usr/bin/python{minor}").exists():
        raise RootError(f"{image}: Debian {release} has no Python {minor}")
    for name in ("python", "python3", f"python{minor}"):  # where the image has its own
        (folder / "usr/local/bin" / name).symlink_to(f"/usr/bin/python{minor}")
    return folder


def archive() -> str:
    """The address of Debian's archive that this machine uses."""
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
    mains = [address for address in found if "security" not in address]
    if not mains:
        raise RootError("apt-get knows no archive; run apt-get update")
    return mains[0]


def beam_image(image: str, cache: Path) -> Path:
    """What is needed of `apache/beam_python3.11_sdk:VERSION`: its boot program.

    Raises:
        RootError: no Go here.
    """
    version = image.partition(":")[2]
    folder = cache / image.replace(":", "-").replace("/", "-")
    boot = folder / "opt/apache/beam/boot"
    if not boot.exists():
        if shutil.which("go") is None:
            raise RootError("no Go here, by which Beam's boot program is compiled; install Go 1.26 or newer")
        boot.parent.mkdir(parents=True, exist_ok=True)
        # without C: the official one runs on any system, too
        environment = {**os.environ, "GOBIN": str(boot.parent.resolve()), "CGO_ENABLED": "0"}
        if subprocess.run(["go", "install", f"{BOOT}@v{version}"], env=environment, check=False).returncode:
            raise RootError("go install of Beam's boot program failed")
        (boot.parent / "container").rename(boot)
    return folder
