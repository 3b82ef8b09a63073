"""How many workers this machine can feed: the cores and the memory that this process may use."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.recipe import Recipe, VideoRecipe

DRIVER_BYTES = 1 << 30
"""What the command needs itself: at most 0.87 GB in `benchmarks/results/memory.md`, of all processes together."""
WORKER_BYTES = 512 << 20
"""What a worker needs: 0.16 GB with the safety scorer, and room for a large picture now and then."""
_NO_LIMIT = 1 << 60
"""cgroups of version 1 say "no limit" by a number of about 2^63."""


@dataclass(frozen=True)
class Machine:
    """What this process may use."""

    cores: float
    """Its share of processor time may be no whole number."""
    memory: int
    """Bytes that are free."""


def machine(root: Path = Path("/")) -> Machine:
    """What the system, and the control groups that this process is in (a container's limits), let it use.

    Args:
        root: where /proc and /sys are.
    """
    groups = list(_groups(root))
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min([float(affinity), *(share for group in groups if (share := _processor_share(group)))])
    free = min([_free(root), *(left for group in groups if (left := _memory_left(group)) is not None)])
    return Machine(cores, free)


def worker_bytes(recipe: Recipe) -> int:
    """Memory that a worker may need with a recipe, bytes."""
    if isinstance(recipe, VideoRecipe):  # the child that cuts; or bodies that are being fetched
        return WORKER_BYTES + max(recipe.video.max_memory_bytes, recipe.fetch.max_bytes_at_once)
    return WORKER_BYTES


def workers_for(found: Machine, each: int) -> tuple[int, str]:
    """The number of workers that need `each` bytes, and why it is that."""
    of_memory = max(1, (found.memory - DRIVER_BYTES) // each)
    workers = max(1, min(int(found.cores), of_memory))
    cores = f"{found.cores:.2g} core{'' if found.cores == 1 else 's'}"
    return workers, (
        f"workers: {workers}; {cores} may be used, and the {found.memory / 1e9:.1f} GB of free memory would do for "
        f"{of_memory} (--workers N for another number)"
    )


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups of this process, and of those they are in."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for base in [mounted / name for name in ("unified", *controllers.split(","))] if controllers else [mounted]:
            group = base / path.lstrip("/")
            while group != base.parent:
                yield group
                group = group.parent


def _processor_share(group: Path) -> float | None:
    """Cores that a group may use; None if all."""
    words = _read(group / "cpu.max").split() or [
        _read(group / "cpu.cfs_quota_us"),
        _read(group / "cpu.cfs_period_us"),
    ]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]) / int(words[1])
    return None


def _memory_left(group: Path) -> int | None:
    """Bytes that a group may still take; None if it has no limit. What the system can take back counts as free."""
    for limit, used, idle in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _read(group / limit), _read(group / used)
        if most.isdecimal() and now.isdecimal() and int(most) < _NO_LIMIT:
            return int(most) - int(now) + _entries(group / "memory.stat").get(idle, 0)
    return None


def _free(root: Path) -> int:
    """Bytes that the system can give without swapping; where it does not say so, half of what it has."""
    if found := _entries(root / "proc/meminfo").get("MemAvailable:"):
        return found * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _entries(path: Path) -> dict[str, int]:
    """Numbers by the word before them, of a file with one of them on each line."""
    words = [line.split() for line in _read(path).splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
