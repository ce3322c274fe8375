"""What trials.csv says of the deliveries: their times, their counts, and what carried them."""

from bench.fields import Better, Column, Kind

LOWER, HIGHER = Better.LOWER, Better.HIGHER

TIMES = (
    Column(
        name="latency_p50_ms",
        meaning="Delivery latency, from due until arrived in the client's kernel: the median.",
        heading="latency\np50 ms",
        label="median delivery latency (ms)",
        better=LOWER,
    ),
    Column(
        name="latency_p90_ms",
        meaning="Delivery latency: the 90th percentile.",
        heading="latency\np90 ms",
        better=LOWER,
    ),
    Column(
        name="latency_p99_ms",
        meaning="Delivery latency: the 99th percentile.",
        heading="latency\np99 ms of\na trial",
        better=LOWER,
    ),
    Column(
        name="latency_p999_ms",
        meaning="Delivery latency: the 99.9th percentile; empty for few ticks.",
        better=LOWER,
    ),
    Column(
        name="latency_max_ms",
        meaning="Delivery latency: the longest.",
        heading="latency\nmax ms",
        better=LOWER,
    ),
    Column(
        name="latency_mean_ms",
        meaning="Delivery latency: the mean.",
        heading="latency\nmean ms",
        label="mean delivery latency (ms)",
        better=LOWER,
    ),
    Column(
        name="client_reported_p50_ms",
        meaning="From due to handled by the client's code, as ordinary load generators tell it: the median.",
        heading="as client\nreports it\np50 ms",
        better=LOWER,
        formerly="handled_p50_ms",
    ),
    Column(
        name="client_reported_p99_ms",
        meaning="From due to handled by the client's code: the 99th percentile.",
        better=LOWER,
        formerly="handled_p99_ms",
    ),
    Column(
        name="late_ratio",
        meaning="Share of the expected deliveries that came later than latency_limit_ms, or not at all.",
        better=LOWER,
    ),
    Column(
        name="stamp_shared_ratio",
        meaning="Share of the arrival times that are upper bounds: their read completed several messages.",
        better=LOWER,
    ),
    Column(
        name="age_mean_ms",
        meaning="Age of information: time average of now − due of the newest tick that a client holds.",
        heading="age of\ninformation\nmean ms",
        label="mean age of information (ms)",
        better=LOWER,
        formerly="aoi_mean_ms",
    ),
)
COUNTS = (
    Column(name="expected", meaning="Ticks due in the window × clients."),
    Column(name="delivered", meaning="Expected ticks that arrived.", better=HIGHER),
    Column(name="missed", meaning="Expected ticks that did not arrive.", better=LOWER),
    Column(name="duplicates", meaning="Ticks that a client got again.", better=LOWER, formerly="duplicated"),
    Column(name="out_of_order", meaning="Ticks that a client got after a later one.", better=LOWER),
    Column(name="superseded", meaning="Contract latest: ticks that a newer one stood in for."),
    Column(name="requests", meaning="Requests of all clients in the window."),
    Column(
        name="requests_per_delivery",
        meaning="Requests for each tick that a client got.",
        heading="requests\nper tick",
        label="requests per tick (count)",
        better=LOWER,
        formerly="requests_per_tick",
    ),
    Column(name="empty_responses", meaning="Answers without a tick.", better=LOWER),
    Column(name="polls_skipped", meaning="Polls left out because the last answer was due.", better=LOWER),
)
TRAFFIC = (
    Column(
        name="payload_bytes_per_delivery",
        meaning="Size of the tick itself.",
        formerly="payload_bytes_per_tick",
    ),
    Column(
        name="app_bytes_per_delivery_up",
        meaning="Bytes that the client wrote, before encryption: HTTP or WebSocket frames.",
        heading="HTTP or\nframe bytes\nup per tick",
        better=LOWER,
        formerly="app_bytes_per_tick_up",
    ),
    Column(
        name="app_bytes_per_delivery_down",
        meaning="Bytes that the client read, after decryption: HTTP or WebSocket frames.",
        heading="HTTP or\nframe bytes\ndown per tick",
        better=LOWER,
        formerly="app_bytes_per_tick_down",
    ),
    Column(
        name="tls_bytes_per_delivery_up",
        meaning="Bytes that TLS adds to what the client wrote.",
        heading="TLS bytes\nup per tick",
        better=LOWER,
        formerly="tls_bytes_per_tick_up",
    ),
    Column(
        name="tls_bytes_per_delivery_down",
        meaning="Bytes that TLS adds to what the client read.",
        heading="TLS bytes\ndown per tick",
        better=LOWER,
        formerly="tls_bytes_per_tick_down",
    ),
    Column(
        name="wire_bytes_per_delivery_up",
        meaning="Bytes on the wire: with the TCP/IP headers of all segments, pure ACKs included.",
        heading="wire bytes\nup\nper tick",
        better=LOWER,
        formerly="wire_bytes_per_tick_up",
    ),
    Column(
        name="wire_bytes_per_delivery_down",
        meaning="Bytes on the wire: with the TCP/IP headers of all segments, pure ACKs included.",
        heading="wire bytes\ndown\nper tick",
        better=LOWER,
        formerly="wire_bytes_per_tick_down",
    ),
    Column(
        name="packets_per_delivery_up",
        meaning="TCP segments, pure ACKs included.",
        better=LOWER,
        formerly="packets_per_tick_up",
    ),
    Column(
        name="packets_per_delivery_down",
        meaning="TCP segments, pure ACKs included.",
        better=LOWER,
        formerly="packets_per_tick_down",
    ),
    Column(name="retransmits", meaning="Segments that the clients' side sent again.", better=LOWER),
    Column(
        name="requests_per_client_s",
        meaning="Requests of a client in a second.",
        heading="requests per\nclient and s",
        label="requests per client-second (count)",
        better=LOWER,
    ),
    Column(
        name="wire_bytes_per_client_s_up",
        meaning="Wire bytes of a client in a second, however few ticks it gets.",
        better=LOWER,
    ),
    Column(
        name="wire_bytes_per_client_s_down",
        meaning="Wire bytes of a client in a second, however few ticks it gets.",
        better=LOWER,
    ),
)
CONNECTIONS = (
    Column(
        name="first_answer_wire_bytes_up",
        meaning="Wire bytes of a client until its first answer was whole: handshakes and one question.",
        better=LOWER,
    ),
    Column(
        name="first_answer_wire_bytes_down",
        meaning="Wire bytes of a client until its first answer was whole: handshakes and the answer.",
        better=LOWER,
    ),
    Column(name="connections_opened", meaning="Connections, from the start of the trial.", better=LOWER),
    Column(
        name="connections_per_1000_deliveries",
        meaning="Connections opened in the window for 1,000 ticks that clients got.",
        heading="connections\nper 1,000\nticks",
        better=LOWER,
        formerly="connections_per_1000_ticks",
    ),
    Column(
        name="connect_p50_ms",
        meaning="Time of connecting, TLS and WebSocket handshake included: the median.",
        heading="connect\np50 ms",
        better=LOWER,
    ),
    Column(name="connect_p99_ms", meaning="Time of connecting: the 99th percentile.", better=LOWER),
    Column(name="connect_all_s", meaning="Time until all clients were connected.", better=LOWER),
    Column(
        name="connect_bottleneck",
        meaning="What ran out while the clients connected, a code.",
        kind=Kind.WORD,
        formerly="connect_limit",
    ),
    Column(name="listen_overflows", meaning="Connections that the accept queue refused.", better=LOWER),
    Column(name="connection_errors", meaning="Why connections broke, and how often each.", kind=Kind.WORD),
)
