"""How many workers a machine gets: by cores, affinity, control groups of both versions, and memory."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.choose import number_of
from pipelines.engine import EngineError
from pipelines.machine import DRIVER_BYTES, WORKER_BYTES, Machine, machine, worker_bytes, workers_for
from pipelines.recipe import VideoRecipe, load_recipe

GB = 1 << 30
ALL = float(len(os.sched_getaffinity(0)))


def made(root: Path, files: Mapping[str, str]) -> Path:
    """A root with files as the kernel shows them."""
    for name, text in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   8388608 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


V2 = {"proc/self/cgroup": "0::/pod/main"}
V1 = {"proc/self/cgroup": "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/"}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, Machine(ALL, 8 * GB)),
        (V2, Machine(ALL, 8 * GB)),
        ({**V2, "sys/fs/cgroup/pod/main/cpu.max": "max 100000"}, Machine(ALL, 8 * GB)),
        ({**V2, "sys/fs/cgroup/pod/main/cpu.max": "50000 100000"}, Machine(0.5, 8 * GB)),
        ({**V2, "sys/fs/cgroup/pod/cpu.max": "25000 100000"}, Machine(0.25, 8 * GB)),
        (
            {**V2, "sys/fs/cgroup/pod/main/memory.max": str(3 * GB), "sys/fs/cgroup/pod/main/memory.current": str(GB)},
            Machine(ALL, 2 * GB),
        ),
        (
            {
                **V2,
                "sys/fs/cgroup/pod/memory.max": str(3 * GB),
                "sys/fs/cgroup/pod/memory.current": str(2 * GB),
                "sys/fs/cgroup/pod/memory.stat": f"anon 7\ninactive_file {GB}",
            },
            Machine(ALL, 2 * GB),
        ),
        ({**V2, "sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "1"}, Machine(ALL, 8 * GB)),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "30000",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": str(2 * GB),
                "sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": str(GB // 2),
            },
            Machine(0.3, 3 * GB // 2),
        ),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            },
            Machine(ALL, 8 * GB),
        ),
    ],
)
def test_limits_are_read(files: dict[str, str], found: Machine, tmp_path: Path) -> None:
    assert machine(made(tmp_path, files)) == found


def test_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    """Its path is that of the host, of which nothing is mounted here."""
    files = {"proc/self/cgroup": "0::/system.slice/docker-1.scope", "sys/fs/cgroup/cpu.max": "50000 100000"}
    assert machine(made(tmp_path, files)).cores == 0.5


def test_this_machine() -> None:
    found = machine()
    assert 0 < found.cores <= ALL and 0 < found.memory <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_affinity_counts() -> None:
    one = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{one}]); from pipelines.machine import machine; print(machine())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cores=1.0" in ran.stdout or "cores=0." in ran.stdout


@pytest.mark.parametrize(
    ("cores", "memory", "workers"),
    [(4.0, 64 * GB, 4), (4.0, 2 * GB, 2), (4.0, GB // 2, 1), (0.5, 64 * GB, 1), (2.9, 64 * GB, 2), (96.0, 9 * GB, 16)],
)
def test_workers_are_bounded_by_cores_and_by_memory(cores: float, memory: int, workers: int) -> None:
    number, why = workers_for(Machine(cores, memory), WORKER_BYTES)
    assert number == workers and why.startswith(f"workers: {workers}; ") and "--workers N for another" in why
    assert number == 1 or DRIVER_BYTES + number * WORKER_BYTES <= memory


def test_videos_need_more() -> None:
    recipe = load_recipe("vtp")
    assert isinstance(recipe, VideoRecipe)
    assert worker_bytes(load_recipe("m3w")) == worker_bytes(load_recipe("align")) == WORKER_BYTES
    assert worker_bytes(recipe) >= WORKER_BYTES + recipe.video.max_memory_bytes


def test_the_number_of_workers_as_it_is_given() -> None:
    assert (number_of("auto"), number_of("1"), number_of("12")) == (None, 1, 12)
    for wrong in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(EngineError, match=f"--workers {wrong}: give a number from 1, or auto"):
            number_of(wrong)
