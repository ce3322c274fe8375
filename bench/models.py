"""The theory: what a figure should be, derived from how the transport works."""


def polling_wait_ms(interval_s: float) -> float:
    """Return the median (and mean) wait in ms of a tick for the next poll of a client.

    A poll comes every T seconds and a tick at an instant that knows nothing of the polls' phase, so the wait
    is uniform on [0, T]: its median and mean are T/2.
    """
    return interval_s / 2 * 1e3
