"""What a replay will be, computed from its recording: its busiest stretch, and its gaps."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from servers.options import MAX_RATE_HZ
from servers.workloads.plan import NS_PER_S, recording_length_ns
from servers.workloads.recorded_cells import TIME_UNITS
from servers.workloads.recording import Recording, RecordingError

BEFORE_WINDOW_S = 60.0
"""So long, at most, a trial plays before its window: for connecting the clients, and warming up."""
LONGEST_WINDOW_S = 3600
ROUNDING_S = 1e-6
"""Instants are whole ns, so a gap can be a little longer than the speed makes it."""


@functools.lru_cache(maxsize=32)
def most_within(recording: Recording, seconds: float) -> int:
    """Return the most ticks that are due within so many seconds, anywhere in the recording, or its laps."""
    laps = math.ceil(seconds * NS_PER_S / recording_length_ns(recording.offsets_ns)) + 1
    due = _due(recording, laps)
    last = np.searchsorted(due, due + round(seconds * NS_PER_S), side="right")
    return int((last - np.arange(len(due))).max())


def check_rate(recording: Recording) -> None:
    """Refuse a recording that is faster than a server publishes.

    Raises:
        RecordingError: With the rate, and what to do.
    """
    if recording.rate_hz > MAX_RATE_HZ:
        raise RecordingError(
            f"{recording.path} has {recording.rate_hz:,.6g} ticks a second at speed {recording.speed:g}; "
            f"at most {MAX_RATE_HZ:,} are possible: lower speed{_or_unit(recording)}"
        )


def check_gaps(recording: Recording, window_s: float) -> None:
    """Refuse a recording in which a trial would wait for its next tick longer than its window lasts.

    Only gaps that begin within what a trial can play are looked at: ``BEFORE_WINDOW_S`` and the window.

    Raises:
        RecordingError: With the gap, the window, and the speed that would fit.
    """
    due = _due(recording, 1)
    if due[-1] == 0:  # there is one instant, which comes again each second
        if window_s < 1:
            raise RecordingError(
                f"{recording.path}: all rows are of one instant, which is replayed every second, but the "
                f"window is {window_s:g} s long; choose a window_s of 1 or more"
            )
        return
    row, longest_s = _longest_gap(due, window_s, 1.0)
    if longest_s <= window_s + ROUNDING_S:
        return
    speed, gap_s = recording.speed, longest_s
    while gap_s > window_s + ROUNDING_S:  # a faster trial comes to more rows, and perhaps to longer gaps
        speed = _rounded_up(speed * gap_s / window_s)
        gap_s = _longest_gap(due, window_s, speed / recording.speed)[1]
    advice = f"speed={speed:.12g} would fit"
    if recording.rate_hz * speed / recording.speed > MAX_RATE_HZ:
        advice = f"no speed fits, as other rows would be over {MAX_RATE_HZ:,} ticks a second: cut the gap out"
    if longest_s <= LONGEST_WINDOW_S:
        advice += f", or a window_s of at least {_rounded_up(longest_s):.12g}"
    raise RecordingError(
        f"{recording.path}: from row {row} to row {row + 1} no tick comes for {longest_s:,.6g} s"
        f"{'' if recording.speed == 1 else f' at speed {recording.speed:g}'}, longer than the window of "
        f"{window_s:g} s; {advice}{_or_unit(recording)}"
    )


def _longest_gap(due: NDArray[np.int64], window_s: float, faster: float) -> tuple[int, float]:
    """Return the row (from 1) before the longest gap that a trial can come to, and the gap in s.

    Both at so many times the speed of ``due``.
    """
    gaps_s = np.diff(due)[due[:-1] <= (BEFORE_WINDOW_S + window_s) * faster * NS_PER_S] / NS_PER_S / faster
    return int(gaps_s.argmax()) + 1, float(gaps_s.max())


def _or_unit(recording: Recording) -> str:
    """Return what else may be wrong, if only the size of the times told their unit."""
    if not recording.told_by_size:
        return ""
    return f"; or say by time_unit what its times are in: {', '.join(TIME_UNITS)}"


def _due(recording: Recording, laps: int) -> NDArray[np.int64]:
    """Return the instants of so many laps, in ns."""
    lap = np.asarray(recording.offsets_ns, dtype=np.int64)
    starts = np.arange(laps, dtype=np.int64) * recording_length_ns(recording.offsets_ns)
    due: NDArray[np.int64] = (starts[:, np.newaxis] + lap).ravel()
    return due


def _rounded_up(value: float) -> float:
    """Return a number with two digits that is not below the value."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit - 1e-9) * unit
