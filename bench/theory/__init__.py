"""The theory: what a figure should be, derived from how the transport works. One file per subject.

    distribution.py  a latency's distribution, the link, fan-out
    latency.py       delivery latency
    age.py           age of information
    requests.py      requests, empty answers, ticks per answer
    traffic.py       bytes and packets by layer
    break_even.py    where one transport becomes cheaper than another
    cheapest.py      which is the cheapest for a rate and an acceptable latency
    replay.py        a recording's busiest stretch, and its gaps
    http2.py         what HTTP/2 would make of the headers

Times go in in seconds and come out in ms, like the columns that they stand beside.
tests/bench/theory/test_simulated.py holds all of it against a simulation that knows no formula,
tests/bench/theory/test_measured.py against measured runs.
"""

from bench.theory.age import long_polling_age_ms, polling_age_ms, push_age_ms, source_age_ms
from bench.theory.break_even import (
    break_even_hz,
    crossover_latency_s,
    equal_bytes_interval_s,
    heartbeat_bytes_per_s,
    idle_polling_bytes_per_s,
    polling_clients_per_core,
    push_clients_per_core,
)
from bench.theory.cheapest import (
    QUANTILE,
    Cost,
    Work,
    cpu_costs,
    decision_map,
    longest_interval_s,
    polling_from_s,
    ranked,
    wire_costs,
)
from bench.theory.distribution import Latency, Link, over_fan_out
from bench.theory.http2 import (
    computed_header_blocks,
    computed_request_bytes,
    computed_response_bytes,
    http2_request_headers,
    http2_response_headers,
)
from bench.theory.latency import (
    Plan,
    closed_loop_cycle_s,
    long_polling_latency,
    mean_wait_ms,
    open_loop_cycle_s,
    paused_polling_latency,
    polling_latency,
    push_latency,
    short_polling_latency,
)
from bench.theory.requests import (
    TicksPerAnswer,
    long_polling_ticks_per_answer,
    polling_ticks_per_answer,
)
from bench.theory.traffic import (
    SEGMENT_HEADER_BYTES,
    Bounds,
    Traffic,
    array_bytes,
    long_polling_traffic,
    polling_traffic,
    push_traffic,
    request_bytes,
    response_head_bytes,
    segments,
    websocket_header_bytes,
)

__all__ = [
    "QUANTILE",
    "SEGMENT_HEADER_BYTES",
    "Bounds",
    "Cost",
    "Latency",
    "Link",
    "Plan",
    "TicksPerAnswer",
    "Traffic",
    "Work",
    "array_bytes",
    "break_even_hz",
    "closed_loop_cycle_s",
    "computed_header_blocks",
    "computed_request_bytes",
    "computed_response_bytes",
    "cpu_costs",
    "crossover_latency_s",
    "decision_map",
    "equal_bytes_interval_s",
    "heartbeat_bytes_per_s",
    "http2_request_headers",
    "http2_response_headers",
    "idle_polling_bytes_per_s",
    "long_polling_age_ms",
    "long_polling_latency",
    "long_polling_ticks_per_answer",
    "long_polling_traffic",
    "longest_interval_s",
    "mean_wait_ms",
    "open_loop_cycle_s",
    "over_fan_out",
    "paused_polling_latency",
    "polling_age_ms",
    "polling_clients_per_core",
    "polling_from_s",
    "polling_latency",
    "polling_ticks_per_answer",
    "polling_traffic",
    "push_age_ms",
    "push_clients_per_core",
    "push_latency",
    "push_traffic",
    "ranked",
    "request_bytes",
    "response_head_bytes",
    "segments",
    "short_polling_latency",
    "source_age_ms",
    "websocket_header_bytes",
    "wire_costs",
]
