"""RFC 6455 and 7692: the header of a frame has 2, 4 or 10 bytes. The counted bytes must say exactly so."""

from bench.judge.literature.base import FALLS, NOT_JUDGED, STANDS, WITHIN_LIMITS, Judgement, Publication
from bench.results.evidence import Evidence
from bench.theory.traffic import array_bytes, websocket_header_bytes
from bench.transports import TRANSPORTS, names_of
from bench.wording import number

HEADER_BYTES = (2, 4, 10)
EXACT_BYTES = 0.01
"""trials.csv keeps seven digits: of 65,546 bytes two are after the point."""
EVERY_SIZE = "bench run overhead websocket --set payload_bytes=96,128,65536"
"""One payload for each length of the header; 96 B is the smallest tick."""


def judge_framing(evidence: Evidence) -> Judgement:
    """Compare what is left of a tick's bytes without its message with the rule."""
    names = tuple(names_of(framing="WebSocket"))
    pushed = evidence.trials("overhead", transport=names).dropna(subset=["app_bytes_per_delivery_down"])
    rows = []
    seen: set[int] = set()
    over: list[str] = []
    shared: list[str] = []
    for _, trial in (
        pushed.drop_duplicates(["transport", "payload_bytes"]).sort_values("payload_bytes").iterrows()
    ):
        message_bytes = array_bytes(1, int(trial["payload_bytes"]))
        rule = websocket_header_bytes(message_bytes)
        counted = float(trial["app_bytes_per_delivery_down"]) - message_bytes
        label = TRANSPORTS[trial["transport"]].label
        rows.append([label, f"{message_bytes:,}", number(counted), str(rule)])
        if abs(counted - rule) <= EXACT_BYTES:
            seen.add(rule)
        else:
            (over if counted > rule else shared).append(f"{label} at {message_bytes:,} B")
    headings = ("transport", "message B", "counted B", "by the rule")
    missing = [size for size in HEADER_BYTES if size not in seen]
    if over:
        return Judgement(FALLS, f"More was counted than the rule says: {', '.join(over)}.", headings, rows)
    if not seen:
        why = "several ticks shared a message" if shared else "this run has no WebSocket there"
        return Judgement(
            NOT_JUDGED, f"{why[0].upper()}{why[1:]}; measure it with: {EVERY_SIZE}", headings, rows
        )
    ours = f"Counted exactly: {', '.join(map(str, sorted(seen)))} B."
    if shared:
        ours += f" Not judged, because several ticks shared a message: {', '.join(shared)}."
    if missing:
        ours += f" Not measured: {', '.join(map(str, missing))} B; add them with: {EVERY_SIZE}."
    ours += " Clients send nothing here, so their 4 B of mask are not in it."
    return Judgement(WITHIN_LIMITS if missing else STANDS, ours, headings, rows)


PUBLICATION = Publication(
    name="framing",
    authors="I. Fette and A. Melnikov; T. Yoshino",
    year="2011",
    title="The WebSocket Protocol; Compression Extensions for WebSocket",
    where="RFC 6455, section 5.2; RFC 7692 (2015)",
    figure="A frame from the server has a header of 2 B up to 125 B of payload, 4 B up to 65,535 B, and 10 "
    "B above; a client's has 4 B more, its mask. Compression adds no byte to it: it sets one bit, RSV1.",
    obtained="specified: a rule",
    trap="2 B is the smallest case, and TCP/IP's header is many times as long. A payload that compression "
    "makes shorter may shorten the header too, whose length field has 1, 3 or 9 B.",
    judge=judge_framing,
)
