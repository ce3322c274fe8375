"""What trials.csv says of the processes: the server, and the instrument that loads and measures it."""

from bench.fields import Better, Column, Kind

LOWER = Better.LOWER

SERVER = (
    Column(
        name="server_cpu_us_per_delivery",
        meaning="Processor time of the server for each tick that a client got, loopback's share included.",
        heading="server CPU\nµs per\ndelivery",
        label="server CPU per delivery (µs)",
        better=LOWER,
        formerly="server_cpu_us_per_tick",
    ),
    Column(
        name="server_cpu_us_per_client_s",
        meaning="Processor time of the server for each client in a second.",
        heading="server CPU\nµs/s per\nclient",
        label="server CPU per client-second (µs)",
        better=LOWER,
    ),
    Column(
        name="server_cpu_ratio",
        meaning="Share of its core that the server used.",
        heading="server\ncore used",
        better=LOWER,
    ),
    Column(
        name="server_cpu_clock",
        meaning="Who counted the server's processor time: the kernel, or the server itself.",
        kind=Kind.WORD,
        since=4,
        before="server",
    ),
    Column(
        name="server_rss_mb",
        meaning="Resident memory of the server at the end of the window.",
        heading="server\nmemory MB",
        better=LOWER,
    ),
    Column(
        name="server_rss_kb_per_client",
        meaning="By how much the server's memory has grown for each client.",
        heading="server\nmemory kB\nper client",
        better=LOWER,
    ),
    Column(name="publish_lag_p99_ms", meaning="From due to published, p99.", better=LOWER),
    Column(name="loop_lag_p99_ms", meaning="How late the server's event loop was, p99.", better=LOWER),
)
INSTRUMENT = (
    Column(
        name="generator_cpu_ratio", meaning="Share of its core that the load generator used.", better=LOWER
    ),
    Column(
        name="generator_cpu_us_per_delivery",
        meaning="Processor time of the load generator for each tick that a client got.",
        heading="generator CPU\nµs per\ndelivery",
        better=LOWER,
        formerly="generator_cpu_us_per_tick",
    ),
    Column(name="generator_rss_mb", meaning="Resident memory of the load generator.", better=LOWER),
    Column(
        name="generator_rss_kb_per_client",
        meaning="By how much the load generator's memory has grown for each client.",
        heading="swarm\nmemory kB\nper client",
        better=LOWER,
    ),
    Column(
        name="generator_lag_p99_ms",
        meaning="From arrived to handled by the load generator, p99.",
        heading="arrivals\nhandled late\np99 ms",
        better=LOWER,
    ),
    Column(
        name="request_lag_p99_ms",
        meaning="How much later than planned requests were sent, p99.",
        heading="requests\nsent late\np99 ms",
        better=LOWER,
    ),
    Column(
        name="drained", meaning="Whether every client got the window's last tick in time.", kind=Kind.FLAG
    ),
    Column(name="clock_shift_ns", meaning="By how much the wall clock was set in the trial.", better=LOWER),
    Column(
        name="stolen_cpu_ratio",
        meaning="Share of the cores' time that the hypervisor took.",
        better=LOWER,
        formerly="steal_ratio",
    ),
    Column(
        name="foreign_cpu_ratio",
        meaning="Share of the cores' time that other processes took.",
        better=LOWER,
        formerly="others_cpu_ratio",
    ),
    Column(name="cpu_quota_cores", meaning="Cores that the machine's CPU quota allows.", since=4),
    Column(
        name="throttled_periods",
        meaning="Periods in which the quota stopped processes.",
        better=LOWER,
        since=4,
    ),
    Column(
        name="conditions",
        meaning="Codes of what was unusual in the processes (servers/conditions.py).",
        kind=Kind.WORD,
        since=4,
    ),
    Column(
        name="stamped_by",
        meaning="What took the arrival times: kernel or user space.",
        kind=Kind.WORD,
        formerly="stamps",
    ),
    Column(name="event_loop", meaning="The server's event loop.", kind=Kind.WORD),
    Column(name="congestion_used", meaning="TCP's congestion control in use.", kind=Kind.WORD),
)
