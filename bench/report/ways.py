"""The ways by which a tick can travel, in words for a newcomer, by the facts of the registry."""

from typing import NamedTuple

from bench.transports import Transport

DEFINITIONS = {
    "Tick and transport": "A tick is one small piece of news, here a price. A transport is the way by which "
    "a server gets its ticks to its clients.",
    "Latency": "How late a tick is: the time from the instant at which it was due until the client's "
    "machine has its last byte.",
    "Age of information": "How old the newest tick is that a client holds, as a mean over time. It grows "
    "while nothing comes, and falls when a tick arrives.",
}
"""What a reader has to know before the first figure, each in plain words."""


class Way(NamedTuple):
    """How a family of transports works: who asks, what a tick waits for, and what is paid for it."""

    who_asks: str
    in_short: str
    waits_for: str
    costs: str


FAMILY_WAYS = {
    "pull": Way(
        "the client, by its own clock",
        "asks every {poll_interval_s:g} s",
        "the next question: half an interval on average",
        "a request and an answer for each question, also when there is nothing new",
    ),
    "held": Way(
        "the client; the server holds the question until there is a tick",
        "asks, and the server waits",
        "nothing, if the next question is there already",
        "a request and an answer for each tick",
    ),
    "push": Way(
        "nobody, once the connection is open",
        "is told unasked",
        "nothing",
        "{framing} framing around each tick, and a connection to look after",
    ),
}
"""By ``Transport.family``; braces stand for a fact of the transport, or for a field of its trial."""


def costs(transport: Transport) -> str:
    """Say what is paid for a tick by a transport."""
    return FAMILY_WAYS[transport.family].costs.format(framing=transport.framing)


def in_short(transport: Transport, rate_hz: float, poll_interval_s: float | None) -> str:
    """Say in a few words how a client comes to its ticks; empty if it asks, but in no fixed interval."""
    words = FAMILY_WAYS[transport.family].in_short
    if "{" not in words:
        return words
    if poll_interval_s is None:
        return ""
    at_once = round(rate_hz * poll_interval_s)
    return words.format(poll_interval_s=poll_interval_s) + (f" for {at_once} ticks" if at_once > 1 else "")
