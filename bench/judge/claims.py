"""The ledger: what the course's notes claim, and what a run and the specifications say of it.

Claims stand as the notes have them, one statement each. A claim is judged by a small function from the run's
trials (claim_judges.py), or by a specification, which then is named with its section, beside what the run
shows of it. Claims whose experiment is still to come are open, and say which one that is. Each entry also
says what is right in the claim: hardly any is plain wrong.
"""

from collections.abc import Callable
from typing import NamedTuple

from bench.judge import claim_judges as judged
from bench.judge.claim_judges import FAILS, HOLDS, OPEN, WITHIN_LIMITS, ClaimFinding
from bench.results.evidence import Evidence, NotMeasured
from bench.results.run import Run


class Claim(NamedTuple):
    """A claim of the notes.

    Attributes:
        name: Its identifier.
        text: What it says.
        right: What is right in it.
        judge: Says what a run shows of it; without one, nothing that is measured here bears on it.
        specification: What settles it, or bears on it: the document, its section, and what that says.
        settled: The verdict of the specification, if it settles the claim. A run may show that a claim holds
            less than specified, so its own verdict, where it gives one, goes before.
    """

    name: str
    text: str
    right: str
    judge: Callable[[Evidence], ClaimFinding] | None = None
    specification: str = ""
    settled: str = ""


class Entry(NamedTuple):
    """A line of the ledger.

    Attributes:
        name, text, right, specification: Of the claim.
        verdict: One of the four of claim_judges.py.
        sentence: What the run shows, or what the claim waits for.
        doubt: How many of the trials behind it are suspect, in words.
    """

    name: str
    text: str
    verdict: str
    sentence: str
    right: str
    specification: str
    doubt: str


def ledger(run: Run) -> list[Entry]:
    """Return all claims with their verdicts by a run; what it cannot judge is open and names the command."""
    evidence = Evidence(run.trials, run.facts)
    return [judged_claim(claim, evidence) for claim in CLAIMS]


def judged_claim(claim: Claim, evidence: Evidence) -> Entry:
    """Return a claim with its verdict by what a run can say."""
    evidence.used.clear()
    verdict, sentence, doubt = claim.settled, "", ""
    if claim.judge is not None:
        try:
            found, sentence = claim.judge(evidence)
            verdict, doubt = found or claim.settled, evidence.doubt
        except NotMeasured as missing:
            verdict, sentence = claim.settled or OPEN, f"{str(missing)[0].upper()}{str(missing)[1:]}."
    return Entry(
        claim.name,
        claim.text,
        verdict,
        sentence,
        claim.right,
        claim.specification,
        doubt if verdict != OPEN else "",
    )


def waits_for(what: str) -> Callable[[Evidence], ClaimFinding]:
    """Return the judge of a claim whose experiment is still to come."""
    return lambda evidence: (OPEN, f"Waits for {what}.")


CLAIMS = [
    Claim(
        "persistent-ws",
        "A WebSocket stays open until closed by client or server.",
        "No exchange ends it, as a response ends a request, and neither side need close it.",
        judged.persistent_websocket,
        "RFC 6455, 7.1.5 and 7.4.1: a connection may end without a Close frame, and the code for that is "
        "1006. Idle time-outs on the way, crashes and changes of address do so.",
        WITHIN_LIMITS,
    ),
    Claim(
        "persistent-http",
        "HTTP is request–response, with non-persistent connections.",
        "It is request–response, and HTTP/1.0 closed the connection after each unless asked to keep it.",
        judged.persistent_http,
        "RFC 9112, 9.3: HTTP/1.1 keeps connections by default, for many requests and responses.",
        FAILS,
    ),
    Claim(
        "handshake",
        "Each HTTP request involves a new handshake.",
        "Where connections are not kept, each request does pay for one, with TLS too.",
        judged.handshake,
        "RFC 9112, 9.3: a connection carries many requests, unless one side asks to close it.",
    ),
    Claim(
        "latency",
        "WebSockets reduce latency.",
        "A tick does not wait for the next poll, and that wait is most of short polling's latency.",
        judged.latency,
    ),
    Claim(
        "overhead",
        "WebSockets reduce overhead.",
        "A frame's header is a small part of a request's and its answer's.",
        judged.overhead_,
    ),
    Claim(
        "polling-imitation",
        "Polling and long polling try to imitate WebSockets by fetching at regular intervals.",
        "Short polling does fetch at intervals, and both bring what a server has without a page being "
        "loaded.",
        judged.polling_imitation,
        "RFC 6202, 2.1: a server holds a long poll until it has something to say, so there is no interval. "
        "It describes both as in use, before RFC 6455 was there.",
        FAILS,
    ),
    Claim(
        "polling",
        "Polling and long polling are less efficient for real time.",
        "Where each tick has to come at once, asking for each costs more bytes and more processor time.",
        judged.polling,
    ),
    Claim(
        "push",
        "The server pushes without being asked.",
        "After the handshake it is not asked again; the connection itself is asked for by the client. "
        "(So it is by server-sent events, after one request.)",
        judged.push,
    ),
    Claim(
        "duplex",
        "Both sides send at the same time over one connection.",
        "All of it, as far as the protocol goes.",
        specification="RFC 6455, 1.2: each side can send at will, independently of the other. What that is "
        "worth waits for the chat workload; all ticks so far go one way.",
        settled=HOLDS,
    ),
    Claim(
        "tcp",
        "WebSocket runs over TCP.",
        "All that browsers opened at first did, and nearly all that is served today.",
        judged.tcp,
        "RFC 6455, 1.7: a TCP-based protocol. By RFC 8441 it is also a stream of HTTP/2, within a TCP "
        "connection, and by RFC 9220 one of HTTP/3, over QUIC and UDP.",
        WITHIN_LIMITS,
    ),
    Claim(
        "stateless",
        "HTTP is stateless, which eases scaling: any server can answer.",
        "A request says all that its answer depends on, so that any server that has the data can answer it.",
        judged.stateless,
        "RFC 9110, 3.3: each request can be understood by itself. Several servers at once wait for the "
        "fleet.",
        HOLDS,
    ),
    Claim(
        "database",
        "Connections cannot be stored in a database: they are transient and stateful, and databases are of "
        "a stateless nature.",
        "A connection itself cannot be stored: it is a pair of sockets, one of them of a running process. "
        "(Yet databases are not stateless: to keep state is what they are for.)",
        waits_for("the fleet: what can be stored is presence and mailboxes"),
        "RFC 9293, 3.4.1: a pair of sockets identifies a connection.",
    ),
    Claim(
        "fleet",
        "Many WebSocket servers that remain stateless, although connections are stateful, a load balancer, "
        "and a central layer that moves messages between them scale horizontally.",
        "Servers can be alike and keep no message. (Yet none that holds a connection is stateless: its "
        "clients are lost with it.)",
        waits_for("the fleet: several servers behind a load balancer, with a broker"),
    ),
    Claim(
        "vertical",
        "A bigger machine holds more connections.",
        "More memory holds more silent ones.",
        judged.vertical,
    ),
    Claim(
        "rooms",
        "Socket.IO's rooms give a clean API for broadcasting to a subset; Android, iOS and Rust are hard to "
        "support.",
        "A client needs Socket.IO's own protocol: a plain WebSocket will not do. (Yet its authors have "
        "clients for Java and Swift, and others one for Rust.)",
        waits_for("the transport Socket.IO"),
    ),
    Claim(
        "offline",
        "Messages for an absent user are kept in the server's memory under the user's id and delivered on "
        "return; this is possible because the connection is stateful.",
        "Somebody has to keep what an absent user is to get, under a name that outlives the connection. "
        "(What is kept in memory is lost with the process: mailboxes are to come.)",
        judged.offline,
    ),
    Claim(
        "server-events",
        "“Server-side events” are a feature of WebSocket.",
        "A WebSocket server, too, sends of its own accord.",
        judged.server_events,
        "WHATWG HTML, 9.2: server-sent events are an HTTP response that does not end, without WebSocket. "
        "What HTTP/2 calls server push is a third thing: responses before their requests (RFC 9113, 8.4).",
        FAILS,
    ),
    Claim(
        "server-created",
        "When a user comes online, the WebSocket server is created.",
        "Something is created for each user: a connection, and what the server keeps with it.",
        judged.server_created,
        "RFC 6455, 1.3 and 4.2: a client's handshake is a request to a server that is there.",
        FAILS,
    ),
    Claim(
        "webrtc",
        "WebRTC is for peers and media, WebSocket for server and client messages.",
        "That is what each was made for. (Yet WebRTC has channels for data, RFC 8831, and a server can be a "
        "peer.)",
        waits_for("the WebRTC data channel"),
    ),
    Claim(
        "use-cases",
        "Tickers, scores, chat, games, collaborative editing and notifications profit.",
        "All of them tell many clients soon of what happens seldom or often.",
        waits_for("workloads of these kinds; all ticks so far are a ticker's"),
    ),
]
