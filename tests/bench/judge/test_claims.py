"""The ledger of claims: verdicts on runs in which they hold, or do not; and no errors on any run at all."""

import functools
import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from bench.columns.catalogue import FIGURE_COLUMNS
from bench.judge.claim_judges import FAILS, HOLDS, OPEN, WITHIN_LIMITS
from bench.judge.claims import CLAIMS, Entry, judged_claim, ledger
from bench.judge.literature import PUBLICATIONS
from bench.report.judgements import print_entry
from bench.report.terminal import PIPED_WIDTH
from bench.results.evidence import Evidence
from bench.results.run import REFERENCE, Run
from tests import ROOT
from tests.commands import printed
from tests.synthetic import synthetic_run, trial

RESULTS = ROOT / "results"
IDENTIFIERS = (
    "persistent-ws persistent-http handshake latency overhead polling-imitation polling push duplex tcp "
    "stateless database fleet vertical rooms offline server-events server-created webrtc use-cases"
).split()
WAITING = "database fleet rooms webrtc use-cases".split()
SETTLED = {
    "persistent-ws": ("RFC 6455, 7.1.5", WITHIN_LIMITS),
    "persistent-http": ("RFC 9112, 9.3", FAILS),
    "polling-imitation": ("RFC 6202, 2.1", FAILS),
    "duplex": ("RFC 6455, 1.2", HOLDS),
    "tcp": ("RFC 6455, 1.7", WITHIN_LIMITS),
    "stateless": ("RFC 9110, 3.3", HOLDS),
    "server-events": ("WHATWG HTML, 9.2", FAILS),
    "server-created": ("RFC 6455, 1.3", FAILS),
}
"""Claims that a specification settles: its section and its verdict."""


def entry(name: str, *rows: dict[str, Any]) -> Entry:
    """Return one claim, judged by a run of these rows."""
    (claim,) = (each for each in CLAIMS if each.name == name)
    run = synthetic_run(*rows)
    return judged_claim(claim, Evidence(run.trials, run.facts))


def wire(up: float, down: float, **figures: float) -> dict[str, float]:
    return {
        "wire_bytes_per_delivery_up": up,
        "wire_bytes_per_delivery_down": down,
        "app_bytes_per_delivery_up": up,
        "app_bytes_per_delivery_down": down,
        "tls_bytes_per_delivery_up": 0.0,
        "tls_bytes_per_delivery_down": 0.0,
        "payload_bytes_per_delivery": 128.0,
        **figures,
    }


def connections(pushed: float, kept: float, single: float, missed: int = 0) -> list[dict[str, Any]]:
    polls = {"transport": "short_polling", "experiment": "handshake"}
    return [
        trial("handshake", "websocket", {"connections_per_1000_deliveries": pushed}),
        trial(figures=polled(107, 327, kept), keep_alive=True, **polls),
        trial(figures=polled(307, 598, single, missed), keep_alive=False, **polls),
    ]


def polled(up: float, down: float, opened: float, missed: int = 0) -> dict[str, float]:
    return wire(
        up,
        down,
        connections_per_1000_deliveries=opened,
        requests_per_delivery=1.0,
        expected=50,
        missed=missed,
    )


def freshness(pushed_ms: float, held_ms: float, polled_ms: float, repeats: int = 1) -> list[dict[str, Any]]:
    medians = {"websocket": pushed_ms, "long_polling": held_ms, "short_polling": polled_ms}
    return [
        trial("freshness interval", name, wire(0, 238, latency_p50_ms=ms * (1 + block / 100)))
        | {"repeat": block + 1}
        for block in range(repeats)
        for name, ms in medians.items()
    ]


def bytes_of_overhead(
    pushed: float, held: float, polled: float, requests_per_delivery: float = 1.0
) -> list[dict[str, Any]]:
    costs = {"websocket": pushed, "long_polling": held, "short_polling": polled}
    return [
        trial(
            "overhead",
            name,
            wire(
                cost / 2, cost / 2, requests_per_delivery=requests_per_delivery, packets_per_delivery_down=1.0
            ),
            clients=1,
            headers="browser",
            rate_hz=50.0,
        )
        for name, cost in costs.items()
    ]


def seldom(polled_bytes: float, polled_us: float, rate_hz: float = 50.0) -> list[dict[str, Any]]:
    polls = wire(
        polled_bytes / 2, polled_bytes / 2, server_cpu_us_per_delivery=polled_us, latency_p50_ms=500.0
    )
    pushes = wire(52, 186, server_cpu_us_per_delivery=12.0, latency_p50_ms=1.0)
    return [
        trial("interval", "short_polling", polls, poll_interval_s=1.0, rate_hz=rate_hz),
        trial("interval", "websocket", pushes, rate_hz=rate_hz),
    ]


def delivery_costs(held_us: float, held_httptools_us: float, pushed_us: float) -> list[dict[str, Any]]:
    costs = {"long_polling": held_us, "long_polling_httptools": held_httptools_us, "websocket": pushed_us}
    costs["websocket_aiohttp"] = pushed_us
    return [trial("library", name, {"server_cpu_us_per_delivery": cost}) for name, cost in costs.items()]


def requests(pushed: float, held: float | None = 1.0, **fields: float) -> list[dict[str, Any]]:
    """Requests a tick: of long polling so many, or (None) 20 a second at any rate, as short polling."""
    own = {
        "short_polling": {"poll_interval_s": fields.get("poll_interval_s", 0.05)},
        "long_polling": {"hold_s": fields.get("hold_s", 2.0)},
        "websocket": {},
    }
    rows = []
    for rate_hz in (1.0, 50.0):
        asked = {"websocket": pushed, "long_polling": held or 20 / rate_hz, "short_polling": 20 / rate_hz}
        for name, each in asked.items():
            figures = {"requests_per_delivery": each}
            rows.append(trial("rate", name, figures, rate_hz=rate_hz, **own[name]))  # type: ignore[arg-type]
    return rows


def streamed(pushed: float, requests_per_delivery: float = 0.0) -> list[dict[str, Any]]:
    """Return trials of server-sent events beside those of ``bytes_of_overhead`` and ``requests``."""
    stream, figures = "server_sent_events", {"requests_per_delivery": requests_per_delivery}
    sent = wire(52, 52 + pushed, expected=50, delivered=50, **figures)
    return [
        trial("overhead", stream, sent, clients=1, headers="browser", rate_hz=50.0),
        *(trial("rate", stream, figures, rate_hz=rate_hz) for rate_hz in (1.0, 50.0)),
    ]


def search(
    passed: int, failed: int, *, last: dict[str, Any] | None = None, **scenario: Any
) -> list[dict[str, Any]]:
    figures = {
        "server_cpu_ratio": 0.9,
        "latency_p50_ms": 50.0,
        "bottleneck": "server_cpu",
        "trial_number": 100,
    }
    ends = figures | (last or {})
    return [
        trial(
            "clients library",
            "websocket",
            {**each, "late_ratio": late, "search_step": step},
            clients=clients,
            **scenario,
        )
        for step, (clients, late, each) in enumerate([(passed, 0.0, figures), (failed, 0.5, ends)], 1)
    ]


def memory(kb: float) -> list[dict[str, Any]]:
    return [
        trial("idle", "websocket", {"server_rss_mb": 30 + clients * kb / 1e3}, clients=clients, rate_hz=0.0)
        for clients in (100, 1000)
    ]


EVERYTHING = [
    *connections(0, 0, 1000),
    *freshness(1, 2, 250),
    *bytes_of_overhead(238, 905, 897),
    *delivery_costs(60, 30, 15),
    *requests(0),
    *search(2000, 2500),
    *memory(12),
]


@functools.cache
def everything() -> list[Entry]:
    """Return the ledger of ``EVERYTHING``."""
    return ledger(synthetic_run(*EVERYTHING))


@functools.cache
def of_reference() -> list[Entry]:
    """Return the ledger of the reference run."""
    return ledger(Run.open(RESULTS / REFERENCE))


@pytest.mark.parametrize(
    ("name", "rows", "verdict"),
    [
        ("persistent-ws", connections(0, 0, 1000), WITHIN_LIMITS),
        ("persistent-ws", connections(300, 0, 1000), FAILS),
        ("persistent-http", connections(0, 0, 1000), FAILS),
        ("persistent-http", connections(0, 1000, 1000), WITHIN_LIMITS),
        ("stateless", connections(0, 0, 1000), HOLDS),
        ("stateless", connections(0, 0, 1000, missed=2), WITHIN_LIMITS),
        ("offline", connections(0, 0, 1000), FAILS),
        ("offline", connections(0, 0, 1000, missed=2), WITHIN_LIMITS),
        ("offline", connections(0, 0, 0), OPEN),
        ("handshake", connections(0, 0, 1000), FAILS),
        ("handshake", connections(0, 300, 1000), WITHIN_LIMITS),
        ("handshake", connections(0, 1000, 1000), HOLDS),
        ("latency", freshness(1, 2, 250), HOLDS),
        ("latency", freshness(1, 1.1, 250), WITHIN_LIMITS),
        ("latency", freshness(300, 1, 250), FAILS),
        ("overhead", [*bytes_of_overhead(238, 905, 897), *seldom(500, 40)], HOLDS),
        ("overhead", [*bytes_of_overhead(238, 905, 897), *seldom(140, 40)], WITHIN_LIMITS),
        ("overhead", bytes_of_overhead(238, 905, 897), HOLDS),
        ("overhead", bytes_of_overhead(950, 905, 897), FAILS),
        ("polling", [*delivery_costs(60, 30, 15), *seldom(140, 40)], HOLDS),
        ("polling", [*delivery_costs(60, 30, 15), *seldom(140, 7)], WITHIN_LIMITS),
        ("polling", delivery_costs(60, 15, 15), WITHIN_LIMITS),
        ("polling", delivery_costs(10, 5, 15), FAILS),
        ("polling-imitation", requests(0), FAILS),
        ("polling-imitation", requests(0, held=None), WITHIN_LIMITS),
        ("tcp", bytes_of_overhead(238, 905, 897), WITHIN_LIMITS),
        (
            "tcp",
            [row | {"packets_per_delivery_down": 0.0} for row in bytes_of_overhead(238, 905, 897)],
            FAILS,
        ),
        ("server-created", freshness(1, 2, 250), FAILS),
        ("push", requests(0), HOLDS),
        ("push", requests(1), FAILS),
        ("push", [*requests(0), *streamed(151)], HOLDS),
        ("push", [*requests(0), *streamed(151, requests_per_delivery=0.5)], FAILS),
        ("server-events", [*bytes_of_overhead(238, 905, 897), *streamed(151)], FAILS),
        ("vertical", [*search(2000, 2500), *memory(12)], WITHIN_LIMITS),
        ("vertical", [*search(2000, 2500), *memory(3000)], HOLDS),
        ("vertical", search(2000, 2500, last={"server_cpu_ratio": None}), FAILS),
        ("vertical", search(2000, 2500, last={"bottleneck": "generator_cpu"}), OPEN),
    ],
)
def test_verdict(name: str, rows: list[dict[str, Any]], verdict: str) -> None:
    found = entry(name, *rows)
    assert (found.verdict, found.doubt) == (verdict, ""), found.sentence


def test_sentences_are_computed() -> None:
    assert (
        "without it 1,000; then each request cost 471 B more"
        in entry("handshake", *connections(0, 0, 1000)).sentence
    )
    single = [row | {"requests_per_delivery": 0.5} for row in connections(0, 0, 1000)]
    assert "each request cost 942 B more" in entry("handshake", *single).sentence
    assert "138 by short polling" not in entry("overhead", *bytes_of_overhead(238, 905, 897)).sentence
    assert re.search(r"serves 2,[1-4]\d\d WebSocket clients", entry("vertical", *search(2000, 2500)).sentence)
    assert "12 kB each" in entry("vertical", *search(2000, 2500), *memory(12)).sentence
    assert "95 % interval" in entry("latency", *freshness(1, 2, 250, repeats=5)).sentence


def test_a_stream_of_events_is_told_where_it_was_measured() -> None:
    rows = [*bytes_of_overhead(238, 905, 897), *streamed(151), *requests(0)]
    told = entry("server-events", *rows).sentence
    assert "a server of HTTP alone sent 50 of 50 ticks in one answer, with 0 requests a tick" in told
    assert (
        "requests per tick: server-sent events 0, WebSocket 0, long polling" in entry("push", *rows).sentence
    )
    pushed = trial("freshness", "server_sent_events", wire(0, 238, latency_p50_ms=1.5))
    told = entry("latency", *freshness(1, 2, 250), pushed).sentence
    assert "As multiples of that: server-sent events 1.5×; long polling 2×; short polling each" in told


def test_sentences_tell_of_the_run_and_not_of_the_usual_design() -> None:
    """Rows as ``--set`` makes them: another rate, limit, interval, hold."""
    found = entry("vertical", *search(2000, 2500, rate_hz=20.0, latency_limit_ms=250.0))
    assert "at 20 ticks a second within 250 ms" in found.sentence
    several = [
        *search(2000, 2500, rate_hz=20.0),
        *({**row, "trial_number": 101} for row in search(900, 1000, rate_hz=40.0)),
    ]
    assert re.search(r"2,\d{3} WebSocket clients at 20 ticks", entry("vertical", *several).sentence)
    asked = entry("push", *requests(0, hold_s=7.0, poll_interval_s=0.25)).sentence
    assert "with holds of 7 s" in asked
    assert "each 0.25 s" in asked
    rows = [row | {"rate_hz": 3.0} for row in freshness(1, 2, 250)]
    assert "At 3 ticks a second" in entry("latency", *rows).sentence
    rates = [*bytes_of_overhead(238, 905, 897), *seldom(500, 40, rate_hz=2.0), *seldom(140, 40, rate_hz=50.0)]
    assert "at 50 ticks a second, it is 140 by short polling" in entry("overhead", *rates).sentence


def test_a_run_in_which_ticks_share_answers_says_nothing_of_a_request() -> None:
    shared = bytes_of_overhead(238, 181, 179, requests_per_delivery=0.2)
    assert entry("overhead", *shared).verdict == OPEN
    assert "no tick is asked for by one request" in entry("overhead", *shared).sentence


def test_every_claim_is_there_once() -> None:
    assert [claim.name for claim in CLAIMS] == IDENTIFIERS


def test_every_entry_says_what_is_right_in_the_claim() -> None:
    for each in everything():
        assert each.right.endswith((".", ")"))
        assert each.sentence or each.specification


@pytest.mark.parametrize("rows", [[], EVERYTHING], ids=["nothing measured", "measured"])
def test_a_specification_settles_a_claim_whatever_is_measured(rows: list[dict[str, Any]]) -> None:
    found = {each.name: each for each in ledger(synthetic_run(*rows))}
    for name, (section, verdict) in SETTLED.items():
        assert found[name].verdict == verdict
        assert found[name].specification.startswith(section)


def test_what_is_to_come_is_open_and_says_what_it_waits_for() -> None:
    found = {each.name: each for each in everything()}
    for name, each in found.items():
        assert (each.verdict == OPEN) == (name in WAITING)
        assert each.sentence.startswith("Waits for ") == (name in WAITING)


def test_an_absent_experiment_is_named_by_its_command() -> None:
    by_words_alone = {"duplex"}
    for each in ledger(synthetic_run()):
        assert (each.verdict == OPEN) == (each.name not in SETTLED)
        assert each.name in {*WAITING, *by_words_alone} or "measure it with: bench run " in each.sentence


def test_suspect_trials_are_marked_and_invalid_ones_left_out() -> None:
    rows = [row | {"verdict": "suspect"} for row in connections(0, 0, 1000)]
    assert entry("handshake", *rows).doubt == "2 of the 2 trials behind this are suspect"
    wrong = [row | {"verdict": "invalid"} for row in connections(300, 1000, 1000)]
    replaced = [row | {"retried": True} for row in connections(300, 1000, 1000)]
    found = entry("handshake", *connections(0, 0, 1000), *wrong, *replaced)
    assert (found.verdict, found.doubt) == (FAILS, "")
    assert entry("handshake", *wrong).verdict == OPEN


def test_several_scenarios_are_not_averaged() -> None:
    rows = freshness(1, 2, 250) + [row | {"clients": 7} for row in freshness(5, 9, 250)]
    assert "several values of clients" in entry("latency", *rows).sentence


def judge_all(rows: list[dict[str, Any]]) -> None:
    """Judge every claim and every published figure by a run of these rows."""
    run = synthetic_run(*rows)
    assert len(ledger(run)) == len(IDENTIFIERS)
    evidence = Evidence(run.trials, run.facts)
    assert all(publication.judged_by(evidence).ours for publication in PUBLICATIONS)


@pytest.mark.parametrize("verdict", ["ok", "suspect", "invalid"])
def test_a_run_is_judged_without_an_error_whatever_its_verdicts(verdict: str) -> None:
    for rows in (EVERYTHING, Run.open(RESULTS / REFERENCE).rows):
        judge_all([row | {"verdict": verdict} for row in rows])


def test_any_part_of_a_run_is_judged_without_an_error() -> None:
    """Each experiment is left out once, and once alone; a trial of several is of the first."""
    for name in sorted({row["experiments"].split()[0] for row in EVERYTHING}):
        for alone in (False, True):
            judge_all([row for row in EVERYTHING if (row["experiments"].split()[0] == name) == alone])


def test_figures_that_are_missing_are_no_error() -> None:
    figures = set(FIGURE_COLUMNS) - {"verdict", "retried"}
    judge_all([row | dict.fromkeys(figures, None) for row in EVERYTHING])


@pytest.mark.parametrize("columns", [60, 80, 110])
def test_claims_are_printed_whole_at_any_width(columns: int) -> None:
    for entry in of_reference():
        with io.StringIO() as file:
            print_entry(entry, Console(file=file, width=columns))
            lines = file.getvalue().splitlines()
        assert max(map(len, lines)) <= columns
        said = " ".join(" ".join(lines).split())
        for words in (entry.text, entry.sentence, entry.specification, entry.right):
            assert words in said


@pytest.mark.parametrize("command", ["claims", "literature"])
def test_the_commands_print_tables_and_json(command: str) -> None:
    said = printed(f"{command} reference")
    assert "in all:" in said
    assert max(map(len, said.splitlines())) <= PIPED_WIDTH
    assert all(each["verdict"] for each in json.loads(printed(f"{command} reference --json")))
