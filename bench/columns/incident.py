"""What trials.csv says of an incident: how long it was, who noticed, and how the clients came back."""

from bench.fields import Better, Column, Kind

LOWER, HIGHER = Better.LOWER, Better.HIGHER

INCIDENT = (
    Column(
        name="incident_at_ns",
        meaning="When the incident began, on the bench clock, as are the raw deliveries and sockets.",
        kind=Kind.WHOLE,
        since=7,
    ),
    Column(
        name="outage_s",
        meaning="From the incident's begin to the return, as it was (the start of a killed server included); "
        "0 if it does not last.",
        heading="outage\ns",
        since=7,
    ),
    Column(
        name="resumed_p50_ms",
        meaning="From the return until a client has a tick again: median of those that do.",
        heading="tick again\nafter ms",
        label="first tick after the return (ms)",
        better=LOWER,
        since=7,
    ),
    Column(
        name="resumed_max_ms",
        meaning="The same of the last client that does.",
        heading="all have one\nafter ms",
        better=LOWER,
        since=7,
    ),
    Column(
        name="resumed_ratio",
        meaning="Share of clients that got a tick after the return, until the end of the drain.",
        heading="got ticks\nagain",
        better=HIGHER,
        since=7,
    ),
    Column(
        name="caught_up_p50_ms",
        meaning="From the return until a client's last late tick, after which one is in time again; median.",
        heading="back\nafter ms",
        better=LOWER,
        since=7,
    ),
    Column(
        name="caught_up_max_ms",
        meaning="The same of the last client.",
        heading="all back\nafter ms",
        better=LOWER,
        since=7,
    ),
    Column(
        name="held_up_p50",
        meaning="Ticks in a row that came to a client 20 ms later than any before the incident; median.",
        heading="ticks\nheld up",
        better=LOWER,
        since=7,
    ),
    Column(
        name="worst_p50_ms",
        meaning="The largest latency of a client after the incident's begin, median over clients.",
        heading="worst\nlatency ms",
        label="largest latency of a client (ms)",
        better=LOWER,
        since=7,
    ),
    Column(
        name="noticed_ratio",
        meaning="Share of clients whose connection ended after the incident's begin.",
        heading="noticed",
        since=7,
    ),
    Column(
        name="noticed_p50_ms",
        meaning="How long after the begin it ended first, median of these clients.",
        heading="noticed\nafter ms",
        better=LOWER,
        since=7,
    ),
    Column(
        name="noticed_by",
        meaning="Why it ended first, most often: ended or reset by the server, timed_out by TCP, refused, "
        "unreachable, silent (the client had heard nothing), refusal; nobody.",
        kind=Kind.WORD,
        heading="noticed by",
        since=7,
    ),
    Column(
        name="sockets_asked",
        meaning="Connections asked for since the incident's begin.",
        heading="connections\nasked for",
        better=LOWER,
        since=7,
    ),
    Column(
        name="sockets_lost",
        meaning="Connections, and attempts at one, that ended before they should since the incident's begin.",
        heading="connections\nlost",
        better=LOWER,
        since=7,
    ),
    Column(
        name="sockets_open",
        meaning="Connections that the clients have at the end of the window.",
        heading="connections\nof clients",
        since=7,
    ),
    Column(
        name="server_sockets",
        meaning="Connections that the server has then, as it says: with those of which it does not know that "
        "they are dead.",
        heading="connections\nof server",
        since=7,
    ),
    Column(
        name="asked_peak_per_s",
        meaning="The herd: connections asked for in the busiest 100 ms after the return, times ten.",
        heading="connects\n/s, peak",
        measured_in="1/s",
        label="connections asked for, at most (1/s)",
        better=LOWER,
        since=7,
    ),
)
