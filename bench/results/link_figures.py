"""What the link did between the two readings of its router: pure functions, as in figures.py."""

from collections.abc import Mapping
from typing import Any

from bench.network.namespaces import EndCounts
from bench.network.router import LAG_STEP_NS
from bench.network.way import Counts
from bench.results.observation import ROUTER, LinkReading, Observation

NS_PER_MS = 1_000_000


def link_figures(observation: Observation) -> dict[str, Any]:
    """Return the figures of the link; none on loopback.

    Drops are those of both ways. The link is as busy as the busier of its ways.
    """
    before, after = observation.start.link, observation.end.link
    if before is None or after is None:
        return {}
    ways = [way_since(before.up, after.up), way_since(before.down, after.down)]
    ends = [end_since(before.near, after.near), end_since(before.far, after.far)]
    start, end = observation.start.ours[ROUTER], observation.end.ours[ROUTER]
    cpu_ns, packets = end.cpu_ns - start.cpu_ns, sum(way.packets for way in ways)
    return {
        "link_rtt_ms": observation.link_rtt_ms,
        "link_packets": packets,
        "link_lost_data": sum(way.lost_data for way in ways),
        "link_lost_acks": sum(way.lost_acks for way in ways),
        "link_overflows": sum(way.overflowed_data + way.overflowed_acks for way in ways),
        "link_retransmits": sum(each.retransmitted for each in ends),
        "link_busy_ratio": max(way.sending_ns for way in ways) / max(after.at_ns - before.at_ns, 1),
        "router_lag_p99_ms": lag_quantile_ms(lags_since(before, after), 0.99),
        "router_drops": sum(each.device_drops for each in ends),
        "router_cpu_ratio": cpu_ns / max(end.at_ns - start.at_ns, 1),
        "router_cpu_us_per_packet": cpu_ns / 1e3 / packets if packets else float("nan"),
    }


def way_since(before: Counts, after: Counts) -> Counts:
    """Return what has become of the packets between two readings."""
    return Counts(*(now - then for now, then in zip(after, before, strict=True)))


def end_since(before: EndCounts, after: EndCounts) -> EndCounts:
    """Return what the kernel has counted between two readings."""
    return EndCounts(*(now - then for now, then in zip(after, before, strict=True)))


def lags_since(before: LinkReading, after: LinkReading) -> dict[int, int]:
    """Return how many packets were so late between two readings, by steps."""
    found = {step: count - before.lags.get(step, 0) for step, count in after.lags.items()}
    return {step: count for step, count in found.items() if count}


def lag_quantile_ms(lags: Mapping[int, int], quantile: float) -> float:
    """Return a quantile of lags in ms, at most: the upper end of its step; NaN if there are none."""
    left = quantile * sum(lags.values())
    for step, count in sorted(lags.items()):
        left -= count
        if left <= 0:
            return (step + 1) * LAG_STEP_NS / NS_PER_MS
    return float("nan")
