"""What becomes of a unit whose worker was killed: tried again alone, then without what killed it, or the build stops.

A decoder that crashes, or a picture for which memory does not suffice, takes the whole process along; Python can catch
none of that. What a worker was at when it ended is known (`pipelines.claims`). A thing that has ended its worker as
often as is allowed is given up: dropped, counted and named like all that is dropped, as `killed_worker`. Nothing else
of the unit is lost:

    scan         a record; or the rest of the unit, if a record cannot even be read
    fetch        an image or a video
    cut          a video
    similarity   a pair, if its picture cannot be decoded; a scorer that dies ends the build
    others       work on what has passed every rule (a shard), or on all at once: they end the build
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pipelines.claims import Death
from schemas.manifest import FunnelRow

KILLED_WORKER = "killed_worker"
NOTHING: Mapping[str, str] = MappingProxyType({})
AT_MOST = 10
"""Things of one unit that are given up; of a job that has more than 1000 units, one for each 100 of them. Where more
things end their workers it is not the things."""


@dataclass
class Mending:
    """Says how to go on with a unit of a job; see `Engine.for_each`."""

    job: str
    max_deaths: int
    """Workers that a thing may end before it is given up."""
    say: Callable[[str], None]
    units: int = 1
    """Units of the job."""
    lost: int = 0
    """Things given up so far."""

    def __call__(self, unit: Mapping[str, Any], deaths: Sequence[Death]) -> Mapping[str, Any]:
        """The unit to run next, alone: the same, or with one thing more in its `given_up`.

        Args:
            deaths: all that happened at this unit, the last one just now.

        Raises:
            RuntimeError: it cannot be done, and nothing of it can be given up.
        """
        last = deaths[-1]
        times = Counter(death.key for death in deaths)[last.key]
        given_up: Mapping[str, str] = unit.get("given_up", {})
        where = f"{self.job}, {described(unit[next(iter(unit))])}" + (f", {last.name}" if last.name else "")
        if times < self.max_deaths and len(deaths) < self.max_deaths * AT_MOST:
            self.say(f"{where}: a worker process ended here ({last.how}); what is not committed is done again, alone")
            return unit
        too_many = len(given_up) == AT_MOST or self.lost >= max(AT_MOST, self.units // 100)
        if not last.key or last.key in given_up or too_many or times < self.max_deaths:
            raise RuntimeError(
                f"{where}: {len(deaths)} worker processes ended here, the last by {last.how}"
                + (", and there were too many such places before to give this one up" if too_many else "")
                + ". The same command goes on where it stood: with fewer --workers, or a larger machine, if memory was "
                "short; else please report it"
            )
        self.lost += 1
        self.say(f"{where}: given up, it ended {times} worker processes ({last.how}); all else goes on")
        return {**unit, "given_up": {**given_up, last.key: f"{times} worker processes ended here: {last.how}"}}


def described(what: Mapping[str, Any] | str) -> str:
    """A unit of a job for a person: one of the scan (`Unit`), or the name of one."""
    if isinstance(what, str):
        return what
    place = "bytes" if what["kind"] == "warc" else "from"
    return f"{what['name']} {place} {what['start']} to {what['end']}"


def told(funnel: Sequence[FunnelRow], output: str) -> str:
    """What a person is to know of what was given up; empty if nothing was."""
    lost = Counter[str]()
    for row in funnel:
        if row.kind != "image_use":  # places of what was given up
            lost[row.stage] += row.dropped.get(KILLED_WORKER, 0)
    if not (lost := +lost):
        return ""
    reports = " and ".join(f"`m3w report {output} --rejected {stage}`" for stage in lost)
    return (
        f"{output} is complete but for what killed its worker process each time and was given up, "
        f"{sum(lost.values())} in all: {reports}; --fresh tries it again"
    )
