"""Which versions go together on Spark, and which are here: asked before anything is started.

Beam's runner is compiled against one minor version of Spark and of Scala; with another one it ends, after minutes, with
a Java error that names neither.
"""

import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

SECONDS_TO_ANSWER = 10
SDK = "Beam of this command"
JOB_SERVER = "Beam of the job server"
JAR_SPARK, JAR_SCALA = "Spark in the job server", "Scala in the job server"
CLUSTER_SPARK, CLUSTER_SCALA = "Spark of the cluster", "Scala of the cluster"
JAVA = "Java"


class VersionError(ValueError):
    """Versions that do not go together, or that cannot be found out; the message has those that do."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The versions of a part that go with the others."""

    part: str
    least: str
    most: str
    """The same or a longer version: "3.5" takes 3.5.9 too."""
    tried: str
    """Those that the tests have run with."""

    def goes(self) -> str:
        return self.least if self.least == self.most else f"{self.least} to {self.most}"

    def takes(self, found: str) -> bool:
        most = numbers(self.most)
        return numbers(self.least) <= numbers(found) and numbers(found)[: len(most)] <= most


FITS = (
    Fit(part=SDK, least="2.77", most="2.77", tried="2.77.0"),
    Fit(part=JOB_SERVER, least="2.70", most="2.77", tried="2.70.0"),
    Fit(part=JAR_SPARK, least="3.5", most="3.5", tried="3.5.0"),
    Fit(part=JAR_SCALA, least="2.12", most="2.12", tried="2.12.18"),
    Fit(part=CLUSTER_SPARK, least="3.5", most="3.5", tried="3.5.0"),
    Fit(part=CLUSTER_SCALA, least="2.12", most="2.12", tried="2.12.18"),
    Fit(part=JAVA, least="11", most="17", tried="17.0.15"),
)


def numbers(text: str) -> tuple[int, ...]:
    """(3, 5, 0) of "3.5.0-amzn-1"; empty if it begins with no number."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def table() -> str:
    """What goes together, a line each."""
    rows = [("part", "goes", "tried")]
    rows += [(fit.part, fit.goes(), fit.tried) for fit in FITS]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def check(found: Mapping[str, str]) -> None:
    """Raises VersionError if a part does not fit, with what was found and what fits."""
    fits = {fit.part: fit for fit in FITS}
    if wrong := [f"{part} is {text or 'unknown'}" for part, text in found.items() if not fits[part].takes(text)]:
        raise VersionError(f"{'; '.join(wrong)}: that does not go together. What does:\n{table()}")


def of_sdk() -> dict[str, str]:
    return {SDK: version("apache-beam")}


def of_jar(path: Path) -> dict[str, str]:
    """Beam, Spark and Scala in a job server's jar, from the files by which each knows its own version.

    Raises:
        VersionError: it is no such jar.
    """
    held = {
        JOB_SERVER: ("org/apache/beam/sdk/sdk.properties", "version"),
        JAR_SPARK: ("spark-version-info.properties", "version"),
        JAR_SCALA: ("library.properties", "version.number"),
    }
    try:
        with zipfile.ZipFile(path) as jar:
            jar.getinfo("org/apache/beam/runners/spark/SparkJobServerDriver.class")
            return {part: properties(jar.read(name).decode()).get(key, "") for part, (name, key) in held.items()}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise VersionError(f"{path}: not a job server of Beam's for Spark 3 ({error})") from error


def properties(text: str) -> dict[str, str]:
    """The lines of a Java properties file that are not comments."""
    lines = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {key.strip(): value.strip() for key, mark, value in lines if mark}


def of_java(java: str = "java") -> dict[str, str]:
    """
    Raises:
        VersionError: there is none.
    """
    if shutil.which(java) is None:
        raise VersionError(f"no {java} here: install Java 11 or 17, or set JAVA_HOME")
    text = said_by([java, "-version"])
    found = re.search(r'version "(\d[^"]*)"', text)
    return {JAVA: found[1] if found else ""}


def of_submit(program: str) -> dict[str, str]:
    """Spark, Scala and Java of a spark-submit.

    Raises:
        VersionError: it cannot be run.
    """
    if shutil.which(program) is None:
        raise VersionError(f"no {program} here: --spark-submit names that of the cluster's own Spark")
    text = said_by([program, "--version"])
    spark, scala = re.search(r"version (\d\S*)", text), re.search(r"Scala version ([\d.]+), .*?, (\d[\d.]*)", text)
    if not spark or not scala:
        raise VersionError(f"{program} --version does not say which Spark it is:\n{text.strip()[-500:]}")
    return {CLUSTER_SPARK: spark[1], CLUSTER_SCALA: scala[1], JAVA: scala[2]}


def of_master(master: str, page_port: str) -> dict[str, str]:
    """Spark of a standalone master, from its web page; empty if there is no such page: then only the job will show."""
    host = urlsplit(master.partition(",")[0]).hostname
    try:
        with build_opener(ProxyHandler({})).open(f"http://{host}:{page_port}/", timeout=SECONDS_TO_ANSWER) as answer:
            page = answer.read(100_000).decode("utf-8", "replace")
    except (URLError, OSError, ValueError):
        return {}
    found = re.search(r'class="version"[^>]*>\s*(\d[^<\s]*)', page)
    return {CLUSTER_SPARK: found[1]} if found and f"Spark Master at {master}" in page else {}


def said_by(command: Sequence[str]) -> str:
    """What a program prints on both streams."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return done.stdout + done.stderr
