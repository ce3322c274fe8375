"""The processes of the yardsticks: one server, and the load generators, each measured by itself."""

import contextlib
import dataclasses
import json
import re
import resource
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.measure.environment import process_environment, python_command

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "benchmarks" / "build"
HOST = "127.0.0.1"
WARM_UP_S = 0.5
STOP_TIMEOUT_S = 5.0
PATIENCE_S = 300.0


class Unmeasurable(Exception):
    """A measurement that cannot be made, or is void; its text is a sentence."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What one load generator did in the measured time: work done, and its CPU (user and system)."""

    messages: float
    cpu_us: float
    seconds: float

    @property
    def cost_us(self) -> float:
        """CPU per message or request, in µs."""
        return self.cpu_us / self.messages


# The load generators


def run_swarm(transport: str, connections: int, port: int, seconds: int) -> Load:
    """Measure clients.load.swarm.Swarm in a fresh process."""
    module = [sys.executable, "-m", "benchmarks.swarm_client", transport]
    return Load(**json.loads(_output_of([*module, *_arguments(connections, port, seconds)])))


def run_epoll_client(transport: str, connections: int, port: int, seconds: int) -> Load:
    """Measure epoll_client.c."""
    program = str(BUILD / "epoll_client")
    return Load(**json.loads(_output_of([program, *_arguments(connections, port, seconds)])))


def run_wrk(transport: str, connections: int, port: int, seconds: int) -> Load:
    """Measure wrk, its start included, asking for what is newer than the newest tick, as the swarm does."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=PATIENCE_S) as answer:
        newest_seq = json.load(answer)["newest_seq"]
    before_us = _children_cpu_us()
    url = f"http://{HOST}:{port}/ticks?after={newest_seq}"
    text = _output_of(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url])
    cpu_us = _children_cpu_us() - before_us
    requests = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if requests is None or "Non-2xx" in text or "Socket errors" in text:
        raise Unmeasurable(f"wrk was not answered as expected: {text.strip()}")
    return Load(messages=int(requests[1]), cpu_us=cpu_us, seconds=float(requests[2]))


def build_epoll_client() -> None:
    """Compile epoll_client.c into benchmarks/build."""
    BUILD.mkdir(exist_ok=True)
    source = ROOT / "benchmarks" / "epoll_client.c"
    _output_of(["cc", "-O2", "-Wall", "-Wextra", "-o", str(BUILD / "epoll_client"), str(source)])


def _arguments(connections: int, port: int, seconds: int) -> list[str]:
    return [str(word) for word in (port, connections, WARM_UP_S, seconds)]


def _output_of(command: list[str]) -> str:
    """Run a command to its end, on the cores of this process; if we are stopped, it is killed."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise Unmeasurable(f"{Path(command[0]).name} did not end within {PATIENCE_S:g} s") from error
    if done.returncode:
        raise Unmeasurable(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout


def _children_cpu_us() -> float:
    """Return the CPU of all children that have ended; the server, which has not, is not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


# The server


@contextlib.contextmanager
def serving(transport: str, *, rate_hz: float, core: int) -> Iterator[int]:
    """Run a server in a process of its own, on its own core, while the context is open; yields its port."""
    command = python_command("servers", transport, "--rate-hz", str(rate_hz))
    command += ["--core", str(core), "--stop-with-stdin"]
    server = subprocess.Popen(
        command, env=process_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        ready = server.stdout.readline()
        if not ready:
            raise Unmeasurable(f"the server did not start: {' '.join(command)}")
        yield urllib.parse.urlsplit(json.loads(ready)["url"]).port or 0
        server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT_S)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def stat_ticks() -> tuple[int, int] | None:
    """Return the machine's clock ticks so far: stolen ones, and all (proc(5), /proc/stat)."""
    try:
        first_line = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None
    ticks = [int(word) for word in first_line.split()[1:9]]  # guest time is within user time
    return ticks[7], sum(ticks)
