"""What is written for people: numbers, ratios and intervals; texts of others; faults and bottlenecks."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.columns.cells import is_set
from bench.results.validity import Bottleneck, Fault, faults_of, wrong_ticks
from bench.transports import TRANSPORTS

if TYPE_CHECKING:
    from bench.results.statistics import Interval


def number(value: float) -> str:
    """Return a number for people: three significant digits, never in powers of ten; – for none."""
    if math.isnan(value):
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1g}"


def listed(figures: Iterable[float]) -> str:
    """Write figures as a list: ``20.9, 40.8 and 151``."""
    *first, last = map(number, figures)
    return f"{', '.join(first)} and {last}" if first else last


def times(found: "Interval") -> str:
    """Write a ratio for people: ``2.19×, 95 % interval 1.71 to 2.75``; no interval where there is none."""
    return _bounded(found, f"{number(found.estimate)}×, 95 % interval ")


def _in_brackets(found: "Interval", words: str = "") -> str:
    """Write a ratio for people: ``2.19× (1.71 to 2.75)``."""
    return _bounded(found, f"{number(found.estimate)}× ({words}", ")")


def _bounded(found: "Interval", before: str, after: str = "") -> str:
    if math.isnan(found.low):
        return f"{number(found.estimate)}×"
    return f"{before}{number(found.low)} to {number(found.high)}{after}"


def ratio_sentence(
    pairs: Mapping[tuple[str, str], "Interval"], same: Sequence[tuple[str, str]], said: str
) -> str:
    """Say how two protocols compare: by the same library first, then over all pairs of libraries.

    "With aiohttp for both, 3× (95 % interval 2.6 to 3.4) as many clients are served by WebSocket as by long
    polling; over all pairs of libraries it is 1.5× (1.3 to 1.7) to 4.5× (3.9 to 5.2)".

    Args:
        pairs: The ratios by names of transports.
        same: Those of the pairs that are written with the same library.
        said: What is said of one ratio, with ``{}`` in its place.
    """
    if not pairs:
        return ""
    ends = [choose(pairs.values(), key=lambda found: found.estimate) for choose in (min, max)]
    if not same:
        if len(pairs) == 1:
            (above, below) = (TRANSPORTS[name] for name in next(iter(pairs)))
            told = said.format(_in_brackets(ends[0], "95 % interval "))
            return f"With {above.library} and {below.library}, which are not the same library, {told}"
        between = f"{_in_brackets(ends[0], '95 % interval ')} to {_in_brackets(ends[1])}"
        return f"By choice of library, {said.format(between)}"
    told = "; ".join(
        f"{'W' if not index else 'w'}ith {TRANSPORTS[pair[0]].library} for both, "
        + said.format(_in_brackets(pairs[pair], "" if index else "95 % interval "))
        for index, pair in enumerate(same)
    )
    if len(pairs) == len(same):
        return told
    return f"{told}; over all pairs of libraries it is {_in_brackets(ends[0])} to {_in_brackets(ends[1])}"


def with_interval(found: "Interval", unit: str) -> str:
    """Write a figure and, where it was repeated, its 95 % interval: ``1.79 ms (1.6 to 2)``."""
    told = f"{number(found.estimate)} {unit}"
    if math.isnan(found.low) or number(found.low) == number(found.high):
        return told
    return f"{told} ({number(found.low)} to {number(found.high)})"


def library_span(pairs: Mapping[tuple[str, str], float], same: Sequence[tuple[str, str]], unit: str) -> str:
    """Write figures of pairs of libraries as a span that names the value of the same library."""
    low, high = (number(end(pairs.values())) for end in (min, max))
    told = f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
    if len(pairs) > 1:
        told += " by choice of library"
    named = [f"{number(pairs[pair])} {unit} if both are by {TRANSPORTS[pair[0]].library}" for pair in same]
    return ", ".join([told, *named])


def shown(text: str) -> str:
    r"""Return a text of somebody else, on one line, with what a terminal would obey written out as ``\x1b``.

    That is every control character (C0, C1), every mark that turns the direction of writing, and ends of
    lines: general categories C, Zl and Zp of Unicode.
    """
    return text if text.isprintable() else "".join(map(_sign_shown, text))


def _sign_shown(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode("ascii")


# What is wrong with a trial, and what ran out

CONDITIONS = {
    "debug_build": "this Python is a debug build",
    "dev_mode": "Python ran in development mode",
    "asyncio_debug": "asyncio ran in debug mode",
    "tracemalloc": "tracemalloc recorded every allocation",
    "traced": "a debugger, profiler or coverage tool watched the processes",
    "without_extensions": "aiohttp or websockets ran without its C extension",
    "preloaded_library": "a library was preloaded into the processes (LD_PRELOAD or /etc/ld.so.preload)",
    "malloc": "Python used another allocator (PYTHONMALLOC={})",
    "nice": "the processes ran at a lower priority (niceness {})",
    "scheduler": "the processes ran under another scheduling policy ({}, see sched(7))",
    "one_core": "server and load generator shared one core",
}
"""What each code of servers/conditions.py says, and ``one_core`` of the harness."""

BOTTLENECKS = {
    Bottleneck.NONE: "nothing yet",
    Bottleneck.SERVER_CPU: "server CPU",
    Bottleneck.SERVER_CPU_DISTURBED: "server CPU (disturbed)",
    Bottleneck.SERVER_CPU_IN_BURSTS: "server CPU in bursts",
    Bottleneck.SERVER_CPU_IN_BURSTS_DISTURBED: "server CPU in bursts (disturbed)",
    Bottleneck.GENERATOR_CPU: "load generator",
    Bottleneck.CPU_QUOTA: "CPU quota",
    Bottleneck.LINK: "the link",
    Bottleneck.CONNECTING: "clients waited too long to get in",
    Bottleneck.UNKNOWN: "not known",
}


def condition_sentence(condition: str) -> str:
    """Return a sentence for a code of servers/conditions.py."""
    code, _, value = condition.partition("=")
    return CONDITIONS[code].format(value)


def bottleneck_words(code: str) -> str:
    """Return what ran out, in words."""
    return BOTTLENECKS[Bottleneck(code)]


def validity_sentence(row: Mapping[Any, Any]) -> str:
    """Say what is wrong with a trial, by the codes and figures of its row; nothing if it is ok.

    How a trial failed is said as it was, and so is what is wrong with one of a run before schema 5, which has
    no codes.
    """
    if is_set(row["verdict_note"]) and row["verdict_note"]:
        return str(row["verdict_note"])
    return "; ".join(fault_words(fault, row) for fault in faults_of(row))


def fault_words(fault: Fault, row: Mapping[Any, Any]) -> str:
    """Say one thing that is wrong with a trial, by the figures of its row."""
    match fault:
        case Fault.FAILED:
            return str(row["verdict_note"])
        case Fault.WRONG_TICKS:
            wrong = wrong_ticks(row).items()
            counts = ", ".join(f"{count:.0f} {name.replace('_', ' ')}" for name, count in wrong)
            return f"of {row['expected']:.0f} ticks, {counts}"
        case Fault.GENERATOR_CPU:
            return f"the load generator used {row['generator_cpu_ratio']:.0%} of its core"
        case Fault.GENERATOR_LAG:
            return f"the load generator handled arrivals {row['generator_lag_p99_ms']:.0f} ms late (p99)"
        case Fault.REQUEST_LAG:
            return f"the load generator sent requests {row['request_lag_p99_ms']:.0f} ms late (p99)"
        case Fault.SHARED_STAMPS:
            return f"{row['stamp_shared_ratio']:.1%} of the arrival times are upper bounds (shared stamps)"
        case Fault.USER_STAMPS:
            return "arrival times were taken in user space"
        case Fault.NOT_DRAINED:
            return "the last tick did not reach every client in the time for it"
        case Fault.CPU_QUOTA:
            return (
                f"the CPU quota of {row['cpu_quota_cores']:.3g} cores stopped this machine's processes in "
                f"{row['throttled_periods']:.0f} of its periods"
            )
        case Fault.CONDITIONS:
            return "; ".join(map(condition_sentence, row["conditions"].split()))
        case Fault.CLOCK_STEP:
            return f"the clock was set during the trial, by {abs(row['clock_shift_ns']) / 1e3:.0f} µs"
        case Fault.STOLEN_CPU:
            return f"the hypervisor took {row['stolen_cpu_ratio']:.0%} of the processors' time"
        case Fault.FOREIGN_CPU:
            return f"other processes took {row['foreign_cpu_ratio']:.0%} of the two cores"
        case Fault.PUBLISH_LAG:
            late = f"ticks were published {row['publish_lag_p99_ms']:.0f} ms late (p99)"
            return f"{late} by a server that had time"
        case Fault.ROUTER_LAG:
            late = (
                f"the router of the link held packets up to {row['router_lag_p99_ms']:.3g} ms too long (p99)"
            )
            return f"{late}, at an RTT of {row['rtt_ms']:g} ms"
        case Fault.ROUTER_DROPS:
            return (
                f"the router of the link was too slow for {row['router_drops']:.0f} packets, which were lost"
            )
