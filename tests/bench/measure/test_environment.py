"""What processes under measurement inherit: nothing of the shell or the folder that could change a figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import processes
from bench.measure.doctor import GOOD, LIMITED, examine
from bench.measure.environment import process_environment, python_command, recorded
from bench.measure.load import running_swarm
from bench.measure.subject import running_server
from bench.measure.trial import run_trial
from bench.scenario import Scenario
from bench.wording import CONDITIONS, condition_sentence
from servers.conditions import conditions
from servers.options import ServerOptions
from tests import ROOT

SHELL = {
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONDEVMODE": "1",
    "PYTHONTRACEMALLOC": "25",
    "PYTHONPROFILEIMPORTTIME": "1",
    "PYTHONSTARTUP": "nowhere.py",
    "AIOHTTP_NO_EXTENSIONS": "1",
    "UVLOOP_DEBUG": "1",
    "MALLOC_ARENA_MAX": "1",
    "OPENSSL_CONF": "/dev/null",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
}
"""Variables of a shell that make a server dearer, or send it elsewhere."""


INHERITED = [each for each in conditions() if each.partition("=")[0] in ("nice", "scheduler", "debug_build")]
"""What every process here has, because the tests themselves were started so."""


@pytest.fixture
def hostile_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules would shadow those that are needed, and a shell full of switches."""
    for module in ("random", "socket", "servers", "clients", "bench", "json", "psutil", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    for name, text in SHELL.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_only_what_is_on_the_list_is_passed_on() -> None:
    passed_on = process_environment(
        {**SHELL, "HOME": "/home/ada", "LD_PRELOAD": "libjemalloc.so", "TERM": "x"}
    )
    assert not set(passed_on) & {*SHELL, "TERM"}
    assert passed_on["HOME"] == "/home/ada"
    assert passed_on["LD_PRELOAD"] == "libjemalloc.so"
    assert passed_on["PYTHONUTF8"] == "1"


def test_a_variable_that_is_set_to_nothing_is_none() -> None:
    assert "PYTHONMALLOC" not in process_environment({"PYTHONMALLOC": ""})


def test_run_json_says_what_is_passed_on_but_no_path_of_the_machine() -> None:
    told = recorded({"HOME": "/home/ada", "PYTHONMALLOC": "malloc", "AIOHTTP_NO_EXTENSIONS": "1"})
    assert told["PYTHONMALLOC"] == "malloc"
    assert "AIOHTTP_NO_EXTENSIONS" not in told
    assert not any("/" in text for text in told.values())


def test_a_trial_in_a_hostile_place_is_as_anywhere(hostile_place: Path) -> None:
    scenario = Scenario("long_polling", clients=2, rate_hz=50, window_s=0.2, warmup_s=0)
    row = run_trial(scenario, seed=1).row
    assert row["delivered"] == row["expected"]
    assert set(row["conditions"].split()) <= {"one_core", *INHERITED}


def test_the_command_line_works_in_a_hostile_folder(hostile_place: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name not in (*SHELL, "PYTHONPATH")}
    root = str(ROOT)
    (hostile_place / "bench.py").unlink()  # this one -m itself finds, before any code of ours runs
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"],
        capture_output=True, encoding="utf-8", timeout=100, cwd=hostile_place,
        env=environment | {"PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


# What cannot be kept out is found inside the process


def conditions_of(*command: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [*command, *python_command("servers.conditions")],
        env=process_environment({**os.environ, **environment}),
        capture_output=True, encoding="utf-8", timeout=30, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_an_ordinary_process_has_no_conditions() -> None:
    assert conditions_of() == INHERITED


def test_niceness_is_found() -> None:
    assert f"nice={min(os.nice(0) + 7, 19)}" in conditions_of("nice", "-n", "7")


def test_another_allocator_is_found() -> None:
    assert "malloc=malloc" in conditions_of(PYTHONMALLOC="malloc")


def test_a_preloaded_library_is_found() -> None:
    assert "preloaded_library" in conditions_of(LD_PRELOAD="libnothing.so")  # the linker only warns


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no scheduling policies")
def test_another_scheduling_policy_is_found() -> None:
    batch = "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    program = f"import os, sys; {batch}; os.execv(sys.argv[1], sys.argv[1:])"
    assert "scheduler=3" in conditions_of(sys.executable, "-c", program)


@pytest.mark.parametrize(
    ("switches", "codes"),
    [
        (["-X", "dev"], {"dev_mode"}),
        (["-X", "tracemalloc"], {"tracemalloc"}),
    ],
)
def test_switches_of_the_interpreter_are_found(switches: list[str], codes: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, *switches, "-m", "servers.conditions"],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=30, check=True,
    )  # fmt: skip
    assert codes <= set(done.stdout.split())


def test_a_debugger_or_coverage_tool_is_found() -> None:
    look = "from servers.conditions import conditions; print(*conditions())"
    program = f"import sys; sys.settrace(lambda *_: None); {look}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=30, check=True,
    )  # fmt: skip
    assert "traced" in done.stdout.split()


def test_pure_python_parsers_are_found() -> None:
    program = "import aiohttp.web; from servers.conditions import conditions; print(*conditions())"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=30, check=True,
    )  # fmt: skip
    assert "without_extensions" in done.stdout.split()


def test_psutil_tells_the_cpu_time_that_the_kernels_clock_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server("short_polling", ServerOptions()) as server:
        by_clock_ns = server.usage().cpu_ns
        monkeypatch.setattr(processes, "CPU_CLOCK", "psutil")
        by_psutil_ns = server.usage().cpu_ns
    assert abs(by_clock_ns - by_psutil_ns) < 60_000_000  # psutil counts in steps of 10 ms, user and system


def test_a_process_that_died_has_no_usage() -> None:
    with running_server("short_polling", ServerOptions()) as server:
        server.kill()
        with pytest.raises(processes.TrialFailed, match="died"):
            server.usage()


def test_a_process_whose_part_is_over_has_no_usage_and_did_not_die() -> None:
    with running_server("short_polling", ServerOptions()) as server:
        server.stop()
        with pytest.raises(processes.TrialFailed, match="had done its part"):
            server.usage()


def test_server_and_swarm_say_their_conditions() -> None:
    with running_server("long_polling", ServerOptions()) as server, running_swarm("swarm") as swarm:
        assert server.ready["conditions"] == INHERITED
        assert server.usage().cpu_ns > 0
        assert swarm.usage().cpu_ns > 0


@pytest.mark.parametrize("code", CONDITIONS)
def test_every_condition_has_a_sentence(code: str) -> None:
    assert "{" not in condition_sentence(f"{code}=5")


def test_doctor_says_what_servers_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[str, str]:
        return next((each.state, each.found) for each in examine() if each.what == "this process")

    if not INHERITED:
        assert found()[0] == GOOD
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    state, told = found()
    assert state == LIMITED
    assert "Python used another allocator (PYTHONMALLOC=malloc)" in told
    assert "asyncio" not in told
