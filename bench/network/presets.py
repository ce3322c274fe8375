"""Links that others have measured over, so that results can be held side by side.

``bench run --preset NAME`` expands to what ``--set`` would say. What these publications call a delay is
that of the kernel's netem, which holds what leaves a device (tc-netem(8)). So it is one way, and counts twice
where it was asked for at both ends. Here ``rtt_ms`` is there and back, and ``loss`` is of each way.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Preset(NamedTuple):
    """What is set by a name.

    Attributes:
        overrides: Values of the fields of the link, by name.
        source: Where these conditions are from, what they are there, and what differs here.
    """

    overrides: Mapping[str, Sequence[float]]
    source: str


_AINTEC = (
    "Where Does WebTransport Fit? Profiling Browser Transports Across JavaScript Runtimes (AINTEC 2026), "
    "code at github.com/skrukwa/webtransport-benchmark, orchestration/{}: {}"
)
_BOTH_ENDS = "netem at both ends, so delay and loss are of each way, and the RTT is twice the delay"
_THESIS = (
    "github.com/PiotrEliks/realtime-comparison-thesis (2026), benchmarks/README.md: {}. netem is at the "
    "clients' end only (scripts/netem.sh): it delays and loses what clients send, once in a round trip; what "
    "the server sends it leaves alone. Here both ways are alike: expect more of loss here"
)
_JITTER = "there packets overtake each other, here none does; 70 ms and up to 30 more each way are 70 to 130"

PRESETS: dict[str, Preset] = {
    "aintec-crossover": Preset(
        {"rtt_ms": [40.0, 100.0], "loss": [0.0, 0.01, 0.02, 0.05, 0.1]},
        _AINTEC.format("sweep_crossover.sh", f"delays of 20 and 50 ms, losses of 0 to 10 %; {_BOTH_ENDS}"),
    ),
    "aintec-burst": Preset(
        {"rtt_ms": [100.0], "loss": [0.05], "burst_packets": [5.0]},
        _AINTEC.format(
            "sweep_burst.sh",
            "a delay of 50 ms and gemodel 1.05% 20%, which loses five packets in a row and 5 % in all; "
            + _BOTH_ENDS,
        ),
    ),
    "thesis-delay": Preset({"rtt_ms": [100.0]}, _THESIS.format("delay=100")),
    "thesis-jitter": Preset(
        {"rtt_ms": [70.0], "jitter_ms": [30.0]}, f"{_THESIS.format('delay=100,jitter=30')}; {_JITTER}"
    ),
    "thesis-loss": Preset(
        {"rtt_ms": [70.0], "jitter_ms": [30.0], "loss": [0.02]},
        f"{_THESIS.format('delay=100,jitter=30,loss=2')}; {_JITTER}",
    ),
}
"""By name."""
