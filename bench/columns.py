"""The columns: what stands in trials.csv and in tables, under which headings, in which units and words.

The scenario's fields come first (``Scenario``), then the figures.
"""

import dataclasses
from numbers import Real
from typing import Any

from bench.scenario import FIELDS, Scenario

SCHEMA_VERSION = 5
WHOLE_SINCE_SCHEMA = 3
"""Runs of older schemas may lack figures; newer ones have every column but those that came later."""
SINCE_SCHEMA: dict[int, dict[str, Any]] = {
    2: {"attempt": 1, "retried": False, "generator": "swarm"},
    3: {"search_step": 0, "padding": "noise", "tls": False, "compression": False, "latency_limit_ms": 100.0},
    4: {
        "time_unit": None,
        "recording_rows": None,
        "recording_first_row": None,
        "recording_last_row": None,
        "server_cpu_clock": "server",
        "cpu_quota_cores": None,
        "throttled_periods": None,
        "conditions": None,
    },
    5: {"verdict_reason": None},
}
"""The columns that came with a schema, and what older runs would say; None: they measured no such thing."""
RENAMED_SINCE_SCHEMA: dict[int, dict[str, str]] = {
    5: {
        "packets_per_tick_down": "packets_per_delivery_down",
        "wire_bytes_per_tick_up": "wire_bytes_per_delivery_up",
        "wire_bytes_per_tick_down": "wire_bytes_per_delivery_down",
        "payload_bytes_per_tick": "payload_bytes_per_delivery",
        "server_cpu_us_per_tick": "server_cpu_us_per_delivery",
        "requests_per_tick": "requests_per_delivery",
        "tls_bytes_per_tick_up": "tls_bytes_per_delivery_up",
        "packets_per_tick_up": "packets_per_delivery_up",
        "app_bytes_per_tick_down": "app_bytes_per_delivery_down",
        "generator_cpu_us_per_tick": "generator_cpu_us_per_delivery",
        "app_bytes_per_tick_up": "app_bytes_per_delivery_up",
        "tls_bytes_per_tick_down": "tls_bytes_per_delivery_down",
        "connections_per_1000_ticks": "connections_per_1000_deliveries",
        "aoi_mean_ms": "age_mean_ms",
        "handled_p50_ms": "client_reported_p50_ms",
        "handled_p99_ms": "client_reported_p99_ms",
        "others_cpu_ratio": "foreign_cpu_ratio",
        "steal_ratio": "stolen_cpu_ratio",
        "order": "trial_number",
        "step": "search_step",
        "replaced": "retried",
        "experiment": "experiments",
        "stamps": "stamped_by",
        "duplicated": "duplicates",
        "limit": "bottleneck",
        "connect_limit": "connect_bottleneck",
        "verdict_reason": "verdict_note",
    },
}
"""The columns that have another name since a schema: old and new. Reasons were sentences."""
SCENARIO_COLUMNS = [
    "experiments",
    *(field.name for field in dataclasses.fields(Scenario)),
    "repeat",
    "trial_number",
    "search_step",
    "attempt",
    "seed",
]
FIGURE_COLUMNS = """
    verdict verdict_reason verdict_note bottleneck retried
    recording_rows recording_first_row recording_last_row
    latency_p50_ms latency_p90_ms latency_p99_ms latency_p999_ms latency_max_ms latency_mean_ms
    client_reported_p50_ms client_reported_p99_ms late_ratio
    stamp_shared_ratio age_mean_ms
    expected delivered missed duplicates out_of_order superseded
    requests requests_per_delivery empty_responses polls_skipped
    payload_bytes_per_delivery app_bytes_per_delivery_up app_bytes_per_delivery_down
    tls_bytes_per_delivery_up tls_bytes_per_delivery_down
    wire_bytes_per_delivery_up wire_bytes_per_delivery_down
    packets_per_delivery_up packets_per_delivery_down retransmits
    requests_per_client_s wire_bytes_per_client_s_up wire_bytes_per_client_s_down
    first_answer_wire_bytes_up first_answer_wire_bytes_down
    connections_opened connections_per_1000_deliveries
    connect_p50_ms connect_p99_ms connect_all_s connect_bottleneck listen_overflows
    connection_errors
    server_cpu_us_per_delivery server_cpu_us_per_client_s server_cpu_ratio server_cpu_clock
    server_rss_mb server_rss_kb_per_client
    publish_lag_p99_ms loop_lag_p99_ms
    generator_cpu_ratio generator_cpu_us_per_delivery generator_rss_mb generator_rss_kb_per_client
    generator_lag_p99_ms request_lag_p99_ms
    drained clock_shift_ns stolen_cpu_ratio foreign_cpu_ratio cpu_quota_cores throttled_periods conditions
    stamped_by event_loop congestion_used
""".split()
COLUMNS = SCENARIO_COLUMNS + FIGURE_COLUMNS
BOTH_WAYS = [name.removesuffix("_up") for name in FIGURE_COLUMNS if name.endswith("_up")]
"""Figures up and down whose sum is derived at reading: NAME of NAME_up and NAME_down."""
WORD_COLUMNS = """
    experiments verdict verdict_reason verdict_note bottleneck connect_bottleneck connection_errors
    stamped_by event_loop congestion_used server_cpu_clock conditions
""".split()
FLAG_COLUMNS = ["retried", "drained"]
WHOLE_NUMBER_COLUMNS = ["repeat", "trial_number", "search_step", "attempt", "seed"]
"""Beside the scenario's, the columns of words, of True or False, of whole numbers; the rest are numbers."""
REQUIRED_COLUMNS = (
    "experiments transport clients rate_hz repeat trial_number search_step attempt verdict retried".split()
)
"""The columns that are empty in no row, also if the trial failed."""

HEADINGS = {
    "transport": "transport",
    "clients": "clients",
    "rate_hz": "rate\nHz",
    "payload_bytes": "payload\nB",
    "poll_interval_s": "interval\ns",
    "poll_pause_s": "pause\ns",
    "contract": "contract",
    "generator": "load\ngenerator",
    "latency_p50_ms": "latency\np50 ms",
    "latency_p90_ms": "latency\np90 ms",
    "latency_p99_ms": "latency\np99 ms of\na trial",
    "latency_mean_ms": "latency\nmean ms",
    "age_mean_ms": "age of\ninformation\nmean ms",
    "requests_per_delivery": "requests\nper tick",
    "app_bytes_per_delivery_down": "HTTP or\nframe bytes\ndown per tick",
    "wire_bytes_per_delivery_up": "wire bytes\nup\nper tick",
    "wire_bytes_per_delivery_down": "wire bytes\ndown\nper tick",
    "server_cpu_ratio": "server\ncore used",
    "server_cpu_us_per_delivery": "server CPU\nµs per\ndelivery",
    "generator_cpu_us_per_delivery": "generator CPU\nµs per\ndelivery",
    "client_reported_p50_ms": "as client\nreports it\np50 ms",
    "generator_lag_p99_ms": "arrivals\nhandled late\np99 ms",
    "request_lag_p99_ms": "requests\nsent late\np99 ms",
    "server_rss_mb": "server\nmemory MB",
    "server_rss_kb_per_client": "server\nmemory kB\nper client",
    "generator_rss_kb_per_client": "swarm\nmemory kB\nper client",
    "server_cpu_us_per_client_s": "server CPU\nµs/s per\nclient",
    "headers": "headers",
    "cookie_bytes": "cookie\nB",
    "hold_s": "hold\ns",
    "heartbeat_s": "heartbeat\ns",
    "keep_alive": "keep-\nalive",
    "tls": "TLS",
    "compression": "com-\npressed",
    "padding": "padding",
    "latency_limit_ms": "limit\nms",
    "empty_responses_per_delivery": "empty\nper tick",
    "requests_per_client_s": "requests per\nclient and s",
    "app_bytes_per_delivery_up": "HTTP or\nframe bytes\nup per tick",
    "tls_bytes_per_delivery_up": "TLS bytes\nup per tick",
    "tls_bytes_per_delivery_down": "TLS bytes\ndown per tick",
    "framing_bytes_per_delivery_up": "HTTP or\nframing\nB up",
    "framing_bytes_per_delivery_down": "HTTP or\nframing\nB down",
    "tcp_ip_bytes_per_delivery_up": "TCP/IP\nB up",
    "tcp_ip_bytes_per_delivery_down": "TCP/IP\nB down",
    "wire_bytes_per_delivery": "on the wire\nB per tick",
    "wire_bytes_per_client_s": "wire B/s\nper client",
    "connections_per_1000_deliveries": "connections\nper 1,000\nticks",
    "connect_p50_ms": "connect\np50 ms",
    "first_answer_wire_bytes": "wire bytes\nuntil first\nanswer",
    "capacity_clients": "clients\nserved",
    "bottleneck": "what ran out",
    "window_s": "window\ns",
    "warmup_s": "warm-up\ns",
    "trials": "n",
}
"""Headings of the columns; a column that is not here is headed by its own name."""

SHOWN_LAST = ("congestion", "window_s", "warmup_s")
"""How long, and over what, was measured: shown only where nothing else tells trials apart."""
AXES = [name for name in FIELDS if name not in SHOWN_LAST]
"""What tells scenarios apart beside the transport; a table shows those that vary in it."""
SEARCHED = ("clients", "poll_interval_s", "latency_limit_ms")
"""Fields in which the steps of searches for capacity differ; what is told of searches holds them apart."""
DECISIVE = (
    "clients rate_hz payload_bytes poll_interval_s poll_pause_s hold_s heartbeat_s headers window_s".split()
)
"""Fields that a table always tells; the others only where they are not what they are by default."""
ORDINARY = {**{name: field.default for name, field in FIELDS.items()}, "keep_alive": True}
"""What a scenario is unless asked for otherwise."""
SWITCHES = {
    "keep_alive": ("kept", "not kept"),
    "tls": ("TLS", "no TLS"),
    "compression": ("compressed", "as it is"),
}
PHRASES = {
    "clients": "{} clients",
    "rate_hz": "{} Hz",
    "plan": "{} ticks",
    "recording": "recording {}",
    "speed": "{} times as fast",
    "payload_bytes": "{} B",
    "padding": "padded with {}",
    "contract": "contract {}",
    "poll_interval_s": "every {} s",
    "poll_pause_s": "pause {} s",
    "hold_s": "hold {} s",
    "heartbeat_s": "ping each {} s",
    "headers": "{} headers",
    "cookie_bytes": "cookie {} B",
    "mss": "segments of {} B",
    "latency_limit_ms": "limit {} ms",
    "generator": "{}",
    "warmup_s": "warm-up {} s",
    "window_s": "window {} s",
}
LONGER_PHRASES = {
    "payload_bytes": "{} B a tick",
    "poll_interval_s": "a poll every {} s",
    "generator": "load by {}",
}
"""The same where no transport and no heading stands beside it."""


def is_set(value: Any) -> bool:
    """Return whether a cell says something."""
    return value is not None and not (isinstance(value, float) and value != value)


def sortable(value: Any) -> Any:
    """Return a value of a field as something that sorts and compares: what is not set comes first."""
    return value if is_set(value) else -1.0


def field_words(name: str, value: Any, *, alone: bool = False) -> str:
    """Say in a word or two what a field is.

    Args:
        name: The field.
        value: Its value; None, or NaN, is not set.
        alone: Whether no transport stands beside it, and no heading above it.
    """
    if not is_set(value):
        return "no pings" if name == "heartbeat_s" else f"no {name.replace('_', ' ')}"
    if name in SWITCHES:
        told = SWITCHES[name][0 if value else 1]
        return f"connections {told}" if alone and name == "keep_alive" else told
    if name == "clients" and value == 1:
        return "1 client"
    told = f"{float(value):,g}" if isinstance(value, Real) else str(value)
    words = LONGER_PHRASES if alone and name in LONGER_PHRASES else PHRASES
    return words.get(name, f"{name.replace('_', ' ')} {{}}").format(told)


UNITS = {"ms": "ms", "us": "µs", "s": "s", "bytes": "B", "hz": "Hz", "mb": "MB", "kb": "kB", "ns": "ns"}
AXIS_LABELS = {
    "latency_p50_ms": "median delivery latency (ms)",
    "latency_mean_ms": "mean delivery latency (ms)",
    "age_mean_ms": "mean age of information (ms)",
    "rate_hz": "tick rate (Hz)",
    "clients": "clients (count)",
    "poll_interval_s": "poll interval (s)",
    "requests_per_delivery": "requests per tick (count)",
    "server_cpu_us_per_delivery": "server CPU per delivery (µs)",
    "server_cpu_us_per_client_s": "server CPU per client-second (µs)",
    "wire_bytes_per_client_s": "wire bytes per client-second (B)",
    "wire_bytes_per_delivery": "wire bytes per tick (B)",
}


def axis_label(column: str) -> str:
    """Return what an axis says of a column of trials.csv, with its unit in parentheses."""
    if column in AXIS_LABELS:
        return AXIS_LABELS[column]
    words = column.split("_")
    for place, word in enumerate(words):
        if word in UNITS:
            rest = [*words[:place], *(["bytes"] if word == "bytes" else []), *words[place + 1 :]]
            return f"{' '.join(rest)} ({UNITS[word]})"
    return f"{' '.join(words[:-1])} (ratio)" if words[-1] == "ratio" else f"{' '.join(words)} (count)"


PLAIN: dict[str, Any] = {
    "plan": "steady",
    "contract": "every",
    "generator": "swarm",
    "tls": False,
    "compression": False,
    "cookie_bytes": 0,
}
"""What a scenario is unless asked for otherwise, so that a run with ``--set`` is not mixed up."""
NO_PART_OF_SCENARIO = """
    experiments repeat trial_number search_step attempt seed warmup_s window_s congestion latency_limit_ms
""".split()
