"""How much CPU our load generator spends, against C tools: ``python benchmarks/yardsticks.py``.

Needs Linux and two processors: the server runs on the second, all that is measured on the first, one at a
time. See benchmarks/README.md.
"""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import statistics
import sys
from collections.abc import Callable
from typing import Any

from processes import (
    Load,
    Unmeasurable,
    build_epoll_client,
    run_epoll_client,
    run_swarm,
    run_wrk,
    serving,
    stat_ticks,
)
from rich import box
from rich.console import Console
from rich.table import Table

LOAD_CORE, SERVER_CORE = 0, 1


@dataclasses.dataclass(frozen=True)
class Round:
    """The swarm and the tool, one right after the other against the same server."""

    swarm: Load
    tool: Load
    stolen_cpu_ratio: float | None
    """Part of the machine's time that its host gave to others during the round; None if unknown."""

    @property
    def cost_ratio(self) -> float:
        """CPU per message of the swarm ÷ that of the tool."""
        return self.swarm.cost_us / self.tool.cost_us


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """One comparison. ``aim_ratio`` is the goal, ``limit_ratio`` the most that is accepted."""

    transport: str
    connections: int
    rate_hz: float
    unit: str
    tool: str
    program: str
    run_tool: Callable[[str, int, int, int], Load]
    aim_ratio: float
    limit_ratio: float


YARDSTICKS = {
    "websocket": Yardstick(
        transport="websocket",
        connections=1_000,
        rate_hz=10.0,
        unit="message",
        tool="epoll_client.c",
        program="cc",
        run_tool=run_epoll_client,
        aim_ratio=2.0,
        limit_ratio=3.5,
    ),
    "short_polling": Yardstick(
        transport="short_polling",
        connections=100,
        rate_hz=0.01,  # no second tick comes, so every answer is the same empty array
        unit="request",
        tool="wrk",
        program="wrk",
        run_tool=run_wrk,
        aim_ratio=1.5,
        limit_ratio=1.5,
    ),
}


# The rounds


def measure_round(yardstick: Yardstick, seconds: int) -> Round:
    """Measure the swarm, then the tool, against one fresh server."""
    with serving(yardstick.transport, rate_hz=yardstick.rate_hz, core=SERVER_CORE) as port:
        before = stat_ticks()
        load = (yardstick.transport, yardstick.connections, port, seconds)
        swarm, tool = run_swarm(*load), yardstick.run_tool(*load)
        after = stat_ticks()
    stolen = (after[0] - before[0]) / (after[1] - before[1]) if before and after else None
    return Round(swarm, tool, stolen)


def measure(name: str, rounds: int, seconds: int, console: Console) -> list[Round]:
    """Measure all rounds of one yardstick.

    Raises:
        Unmeasurable: If its tool is missing, or a load generator failed.
    """
    yardstick = YARDSTICKS[name]
    if shutil.which(yardstick.program) is None:
        raise Unmeasurable(f"{yardstick.program} is not installed")
    if yardstick.run_tool is run_epoll_client:
        build_epoll_client()
    measured = []
    for number in range(1, rounds + 1):
        with console.status(f"{name}: round {number} of {rounds}"):
            measured.append(measure_round(yardstick, seconds))
    return measured


# The report


def summarize(name: str, rounds: list[Round]) -> dict[str, Any]:
    """Return everything measured and computed for one yardstick, ready for JSON."""
    yardstick = YARDSTICKS[name]
    ratios = [one.cost_ratio for one in rounds]
    median = statistics.median(ratios)
    return {
        "yardstick": name,
        "tool": yardstick.tool,
        "unit": yardstick.unit,
        "connections": yardstick.connections,
        "rounds": [
            {
                "swarm_us": one.swarm.cost_us,
                "tool_us": one.tool.cost_us,
                "ratio": one.cost_ratio,
                "swarm_per_s": one.swarm.messages / one.swarm.seconds,
                "tool_per_s": one.tool.messages / one.tool.seconds,
                "stolen_cpu_ratio": one.stolen_cpu_ratio,
            }
            for one in rounds
        ],
        "median_ratio": median,
        "min_ratio": min(ratios),
        "max_ratio": max(ratios),
        "least_ratio": min(one.swarm.cost_us for one in rounds) / min(one.tool.cost_us for one in rounds),
        "aim_ratio": yardstick.aim_ratio,
        "limit_ratio": yardstick.limit_ratio,
        "aim_met": median <= yardstick.aim_ratio,
        "limit_met": median <= yardstick.limit_ratio,
    }


def verdict(summary: dict[str, Any]) -> str:
    """Say in one sentence whether the goal is met."""
    aim, limit = f"the goal of at most {summary['aim_ratio']:g}", f"the limit of {summary['limit_ratio']:g}"
    if summary["aim_met"]:
        met = f"{aim} is met"
    elif summary["limit_met"]:
        met = f"{aim} is missed, {limit} is kept"
    else:
        met = f"{limit} is exceeded"
    spread = f"median; {summary['min_ratio']:.2f} to {summary['max_ratio']:.2f} over the rounds"
    spread += f"; {summary['least_ratio']:.2f} between the least of each"
    return (
        f"{summary['yardstick']}: the swarm spends {summary['median_ratio']:.3f} times the CPU of "
        f"{summary['tool']} per {summary['unit']} ({spread}): {met}."
    )


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """Print the rounds as a table, and the verdict."""
    unit = summary["unit"]
    table = Table(
        title=f"{summary['yardstick']}, {summary['connections']:,} connections: CPU per {unit}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    tool = summary["tool"]
    for heading in ("round", "swarm\nµs", f"{tool}\nµs", "ratio", f"swarm\n{unit}s/s", f"{tool}\n{unit}s/s"):
        table.add_column(heading, justify="right")
    table.add_column("steal", justify="right")
    for number, one in enumerate(summary["rounds"], start=1):
        steal = "?" if one["stolen_cpu_ratio"] is None else f"{one['stolen_cpu_ratio']:.1%}"
        table.add_row(
            *(str(number), f"{one['swarm_us']:.2f}", f"{one['tool_us']:.2f}", f"{one['ratio']:.2f}"),
            *(f"{one['swarm_per_s']:,.0f}", f"{one['tool_per_s']:,.0f}", steal),
        )
    console.print(table)
    console.print(verdict(summary), "\n", highlight=False, soft_wrap=True)


def main() -> int:
    """Read the command line, measure, report, and return the exit code."""
    parser = argparse.ArgumentParser(description="CPU of our load generator against C tools.")
    parser.add_argument("yardsticks", nargs="*", metavar="NAME", help=f"one of {', '.join(YARDSTICKS)}")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a measurement (default 4)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if unknown := set(options.yardsticks) - set(YARDSTICKS):
        parser.error(f"no yardstick {', '.join(unknown)}; there are {', '.join(YARDSTICKS)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are 1 or more")
    if not hasattr(os, "sched_setaffinity") or not {LOAD_CORE, SERVER_CORE} <= os.sched_getaffinity(0):
        parser.error(f"this needs Linux and the processors {LOAD_CORE} and {SERVER_CORE}")
    os.sched_setaffinity(0, {LOAD_CORE})  # children inherit it; the server then moves to its own
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    notes, console = Console(stderr=True), Console()
    summaries = []
    try:
        for name in options.yardsticks or YARDSTICKS:
            try:
                summary = summarize(name, measure(name, options.rounds, options.seconds, notes))
            except Unmeasurable as reason:
                notes.print(f"{name} is skipped: {reason}", highlight=False, markup=False, soft_wrap=True)
                continue
            summaries.append(summary)
            if not options.json:
                print_summary(summary, console)
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(summaries, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
