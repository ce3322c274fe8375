"""When does compressing a small message pay?

permessage-deflate (RFC 7692) on WebSocket, which keeps a window from message to message, and gzip on long
polling, which begins anew with each answer. Bytes saved, paid for with CPU and, on WebSocket, with memory.
The ticks are filled up with text, as a market's messages would be; or with noise, to see what that matters.
"""

from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {"clients": 100, "rate_hz": 10.0, "window_s": 1.0, "warmup_s": 0.3}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: compressed or not, by payload; and noise, which is harder to compress."""
    payloads = {
        "quick": [1024],
        "standard": [128, 1024, 16_384],
        "full": [128, 512, 1024, 4096, 16_384, 65_536],
    }
    families = ("push",) if profile.name == "quick" else ("held", "push")
    transports = main_names(*families, compresses=True)
    axes: dict[str, list[Any]] = {"payload_bytes": payloads[profile.name], "compression": [False, True]}
    found = [Design({**FIXED, "padding": "text"}, axes, transports, repeats=1)]
    if profile.name != "quick":
        noise = {**FIXED, "padding": "noise", "payload_bytes": 1024, "compression": True}
        found.append(Design(noise, {}, transports, repeats=1))
    return found


def finding(trials: pd.DataFrame) -> str:
    """Say what compressing the smallest and the largest payload saves and costs."""
    own = single_trials(trials)
    told = []
    padding = "text" if "text" in set(own["padding"]) else own["padding"].iloc[0]
    for name in [name for name in TRANSPORTS if name in set(own["transport"])]:
        for payload in sorted({min(own["payload_bytes"]), max(own["payload_bytes"])}):
            figures = {
                (column, on): estimate(
                    own, column, transport=name, payload_bytes=payload, padding=padding, compression=on
                ).estimate
                for column in ("wire_bytes_per_delivery", "server_cpu_us_per_delivery")
                for on in (False, True)
            }
            if not all(figure > 0 for figure in figures.values()):
                continue
            change = figures["wire_bytes_per_delivery", True] / figures["wire_bytes_per_delivery", False] - 1
            cost = figures["server_cpu_us_per_delivery", True] - figures["server_cpu_us_per_delivery", False]
            what = f"{TRANSPORTS[name].label} at {payload:,} B"
            told.append(f"{what} {change:+.0%} wire bytes for {number(cost)} µs of server CPU a delivery")
    return f"Compressing {padding}: {'; '.join(told)}." if told else ""


EXPERIMENT = Experiment(
    name="compression",
    designs=designs,
    columns=(
        "app_bytes_per_delivery_down",
        "wire_bytes_per_delivery",
        "server_cpu_us_per_delivery",
        "server_rss_kb_per_client",
    ),
    finding=finding,
    apart=("payload_bytes", "padding", "compression"),
    named=("payload_bytes", "padding"),
)
