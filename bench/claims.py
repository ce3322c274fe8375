"""The ledger: what the course's notes claim, and what a run says of it.

Each claim is judged by a small function from the run's trials (claim_verdicts.py). Claims whose experiment is
still to come are open, and say which one that is.
"""

from collections.abc import Callable
from typing import NamedTuple

from bench import claim_verdicts as judged
from bench.claim_verdicts import OPEN, Verdict
from bench.evidence import Evidence, NotMeasured
from bench.results import Run


class Claim(NamedTuple):
    """A claim of the notes: its name, what it says, and what judges it."""

    name: str
    text: str
    judge: Callable[[Evidence], Verdict]


class Entry(NamedTuple):
    """A line of the ledger; ``doubt`` says how many of the trials behind it are suspect."""

    name: str
    text: str
    verdict: str
    sentence: str
    doubt: str


def ledger(run: Run) -> list[Entry]:
    """Return all claims with their verdicts by a run; what it cannot judge is open and names the command."""
    evidence = Evidence(run.trials)
    entries = []
    for claim in CLAIMS:
        evidence.used.clear()
        try:
            verdict, sentence = claim.judge(evidence)
        except NotMeasured as missing:
            verdict, sentence = OPEN, f"{str(missing)[0].upper()}{str(missing)[1:]}"
        doubt = evidence.doubt if verdict != OPEN else ""
        entries.append(Entry(claim.name, claim.text, verdict, sentence, doubt))
    return entries


def waits_for(what: str) -> Callable[[Evidence], Verdict]:
    """Return the judge of a claim whose experiment is still to come."""
    return lambda evidence: (OPEN, f"Waits for {what}.")


CLAIMS = [
    Claim(
        "persistent",
        "A WebSocket stays open until closed; HTTP is request–response and not persistent.",
        judged.persistent,
    ),
    Claim("handshake", "Each HTTP request involves a new handshake.", judged.handshake),
    Claim("latency", "WebSockets reduce latency.", judged.latency),
    Claim("overhead", "WebSockets reduce overhead.", judged.overhead_),
    Claim(
        "polling",
        "Polling and long polling imitate push but are less efficient for real time.",
        judged.polling,
    ),
    Claim("push", "The server pushes without being asked.", judged.push),
    Claim("duplex", "Both sides send at the same time over one connection.", waits_for("the chat workload")),
    Claim(
        "tcp",
        "WebSocket runs over TCP.",
        waits_for("the emulated network: what a lost segment does to all that is behind it"),
    ),
    Claim(
        "stateless",
        "HTTP is stateless, which eases scaling: any server can answer.",
        waits_for("the experiments recovery and fleet: a server is killed under polling and under WebSocket"),
    ),
    Claim(
        "database",
        "Connections cannot be stored in a database: they are transient, stateful, tied to a process.",
        waits_for("the fleet: what can be stored is presence and mailboxes"),
    ),
    Claim(
        "fleet",
        "Many stateless WebSocket servers, a load balancer, and a central layer that moves messages between "
        "them "
        "scale horizontally.",
        waits_for("the fleet: several servers behind a load balancer, with a broker"),
    ),
    Claim("vertical", "A bigger machine holds more connections.", judged.vertical),
    Claim(
        "rooms",
        "Socket.IO's rooms give a clean API for broadcasting to a subset, at the price of clients needing "
        "its own "
        "protocol.",
        waits_for("the transport Socket.IO"),
    ),
    Claim(
        "offline",
        "Messages for an absent user are kept under the user's id and delivered on return, because the "
        "connection is "
        "stateful.",
        waits_for("mailboxes; and for the comparison with a cursor, which gives the same without state"),
    ),
    Claim(
        "webrtc",
        "WebRTC is for peers and media, WebSocket for server and client messages.",
        waits_for("the WebRTC data channel"),
    ),
    Claim(
        "use-cases",
        "Tickers, scores, chat, games, collaborative editing and notifications profit.",
        waits_for("workloads of these kinds; all ticks so far are a ticker's"),
    ),
]
