"""CPU quotas of control groups, of both versions, nested, and as a container sees them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.measure.quota import Throttling, read_quota, throttling
from tests import ROOT

V1_CPU = Path("/sys/fs/cgroup/cpu")
V2 = Path("/sys/fs/cgroup")


def system(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_version_2_in_a_container(tmp_path: Path) -> None:
    found = read_quota(
        system(
            tmp_path,
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/cpu.max": "150000 100000\n",
                "sys/fs/cgroup/cpu.stat": "usage_usec 1\nnr_periods 40\nnr_throttled 3\nthrottled_usec 9\n",
            },
        )
    )
    assert found is not None
    assert found.cores == 1.5
    assert found.throttling() == Throttling(40, 3)


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    found = read_quota(
        system(
            tmp_path,
            {
                "proc/self/cgroup": "0::/user/ada/shell\n",
                "sys/fs/cgroup/user/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/user/cpu.stat": "nr_periods 9\nnr_throttled 8\n",
                "sys/fs/cgroup/user/ada/cpu.max": "max 100000\n",
                "sys/fs/cgroup/user/ada/shell/cpu.max": "400000 100000\n",
            },
        )
    )
    assert found is not None
    assert found.cores == 0.5
    assert found.throttling() == Throttling(9, 8)


@pytest.mark.parametrize("mounted", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, mounted: str) -> None:
    group = f"sys/fs/cgroup/{mounted}/docker/ab12"
    found = read_quota(
        system(
            tmp_path,
            {
                "proc/self/cgroup": "9:memory:/docker/ab12\n4:cpu,cpuacct:/docker/ab12\n0::/docker/ab12\n",
                f"sys/fs/cgroup/{mounted}/cpu.cfs_quota_us": "-1\n",
                f"sys/fs/cgroup/{mounted}/cpu.cfs_period_us": "100000\n",
                f"{group}/cpu.cfs_quota_us": "20000\n",
                f"{group}/cpu.cfs_period_us": "50000\n",
                f"{group}/cpu.stat": "nr_periods 12\nnr_throttled 5\nthrottled_time 700000\n",
            },
        )
    )
    assert found is not None
    assert found.cores == 0.4
    assert found.throttling() == Throttling(12, 5)


def test_version_1_whose_group_is_named_as_the_host_sees_it(tmp_path: Path) -> None:
    found = read_quota(
        system(
            tmp_path,
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/of-the-host\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
        )
    )
    assert found is not None
    assert found.cores == 1.0
    assert found.throttling() == Throttling(0, 0)  # no cpu.stat there


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": ""},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "many 100000\n"},
        {"proc/self/cgroup": "what is this\n", "sys/fs/cgroup/cpu.max": "max 0\n"},
        {"proc/self/cgroup": "3:cpuset:/a\n", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "1000\n"},
    ],
)
def test_no_quota(tmp_path: Path, files: dict[str, str]) -> None:
    found = read_quota(system(tmp_path, files))
    assert found is None
    assert throttling(found) == Throttling(0, 0)


@pytest.fixture
def tight_group() -> Iterator[Path]:
    """A real control group with a quarter of a core, of whichever version this machine has."""
    top, limits = V1_CPU, {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "25000"}
    if not V1_CPU.exists():
        top, limits = V2, {"cpu.max": "25000 100000"}
    group = top / f"bench-test-{os.getpid()}"
    try:
        group.mkdir()
        for name, text in limits.items():
            (group / name).write_text(text, encoding="utf-8")
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no control group with a quota can be made here: {error}")
    yield group
    group.rmdir()


@pytest.mark.alone
def test_a_trial_under_a_quota_names_the_quota(tight_group: Path, tmp_path: Path) -> None:
    program = (
        "import json, os, pathlib, sys\n"
        "from bench.measure.place import choose_places\n"
        "from bench.scenario import Scenario\n"
        "from bench.measure.trial import run_trial\n"
        "pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()), encoding='utf-8')\n"
        "scenario = Scenario('websocket', clients=500, rate_hz=50, window_s=1.0, warmup_s=0)\n"
        "row = run_trial(scenario, seed=1, places=choose_places()).row\n"
        "print(json.dumps({name: row[name] for name in sys.argv[2:]}))\n"
    )
    columns = ("cpu_quota_cores", "throttled_periods", "verdict", "verdict_reason", "bottleneck")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tight_group), *columns],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["cpu_quota_cores"] == 0.25
    assert row["bottleneck"] == "cpu_quota"
    assert "cpu_quota" in row["verdict_reason"].split()  # who was stopped may have been late, too
    assert row["verdict"] != "ok"
