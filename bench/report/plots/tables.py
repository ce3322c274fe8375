"""What figures are drawn from: the trials of a run as tidy tables, and what theory says beside them."""

import numpy as np
import pandas as pd

from bench.experiments import clients
from bench.report.plots.base import in_order, label
from bench.results.capacity import capacities
from bench.results.estimates import estimate
from bench.theory.distribution import Link
from bench.theory.latency import short_polling_latency
from bench.theory.traffic import array_bytes, polling_traffic, request_bytes, response_head_bytes
from bench.wording import bottleneck_words


def polling_frontier(trials: pd.DataFrame, push_ms: float) -> pd.DataFrame | None:
    """Return what theory says of polling between the shortest and the longest interval measured.

    Args:
        trials: Trials of one tick rate and payload.
        push_ms: Latency of push in ms: what a tick takes beyond the wait for a poll.
    """
    polls = trials[trials["poll_interval_s"].notna()]
    if polls["poll_interval_s"].nunique() < 2:
        return None
    first = polls.iloc[0]
    rate_hz, payload_bytes = float(first["rate_hz"]), int(first["payload_bytes"])
    asked = {"headers": first["headers"], "cookie_bytes": int(first["cookie_bytes"])}
    link = Link(down_s=push_ms / 1e3)
    rows = []
    for interval_s in np.geomspace(polls["poll_interval_s"].min(), polls["poll_interval_s"].max(), 60):
        body_bytes = array_bytes(max(round(rate_hz * interval_s), 1), payload_bytes)
        traffic = polling_traffic(
            rate_hz,
            interval_s,
            payload_bytes=payload_bytes,
            request_bytes=request_bytes(first["transport"], 1000, **asked),
            response_head_bytes=response_head_bytes(body_bytes),
            link=link,
        )
        latency = short_polling_latency(interval_s, link)
        rows.append({"cost": traffic.wire_bytes * rate_hz, "latency_ms": latency.quantile_ms(0.5)})
    return pd.DataFrame(rows)


def layer_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return bytes per tick by layer, up and down, per transport and header set: rows of ``plot_layers``."""
    rows = []
    for (name, headers), group in trials.groupby(["transport", "headers"], sort=False):
        for direction in ("up", "down"):
            app, wire, tls = (
                estimate(group, f"{layer}_bytes_per_delivery_{direction}").estimate
                if f"{layer}_bytes_per_delivery_{direction}" in group
                else 0.0
                for layer in ("app", "wire", "tls")
            )
            tls = tls if np.isfinite(tls) else 0.0
            payload = 0.0 if direction == "up" else estimate(group, "payload_bytes_per_delivery").estimate
            rows.append(
                {
                    "transport": name,
                    "headers": headers,
                    "direction": direction,
                    "payload": payload,
                    "framing": max(app - payload, 0.0),
                    "tls": tls,
                    "tcp_ip": wire - app - tls,
                }
            )
    return pd.DataFrame(rows).dropna() if rows else pd.DataFrame()


def capacity_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return what searches found, as rows of ``plot_capacity``, over the repeats."""
    found = capacities(trials)
    found = found.assign(
        poll_interval_s=found["poll_interval_s"].astype(float), extrapolated=clients.predict(found)
    )
    rows = []
    for name in in_order(found["transport"].tolist()):
        own_searches = found[found["transport"] == name]
        for _, own in own_searches.groupby(["poll_interval_s", "latency_limit_ms"], dropna=False):
            interval_s, limit_ms = (
                float(own[field].iloc[0]) for field in ("poll_interval_s", "latency_limit_ms")
            )
            asking = f"\nevery {interval_s:g} s, within {limit_ms:g} ms" if interval_s > 0 else ""
            rows.append(
                {
                    "transport": name,
                    "label": f"{label(name)}{asking}",
                    **estimate(own, "capacity_clients")._asdict(),
                    "bottleneck": bottleneck_words(own["bottleneck"].mode().iloc[0]),
                    "extrapolated": own["extrapolated"].median(),
                }
            )
    return pd.DataFrame(rows)
