"""Which fields of scenarios tell trials apart, and which are told: all by what stands at the fields."""

from bench.fields import Obeyed, Role, Told
from bench.scenario import FIELDS

SHOWN_LAST = [name for name, field in FIELDS.items() if field.role is Role.CONDITION]
"""How long, and over what, was measured: shown only where nothing else tells trials apart."""
AXES = [name for name in FIELDS if name not in SHOWN_LAST]
"""What tells scenarios apart beside the transport; a table shows those that vary in it."""
FILLED_WITH_THE_LINK = [
    name
    for name, field in FIELDS.items()
    if field.obeyed is Obeyed.BY_THE_LINK and field.where_known is not None
]
"""Fields that every link has, and the loopback has not; ``rtt_ms`` says so for all of them."""
RANKS = [name for name, field in FIELDS.items() if field.ranks]
"""The numbers in whose order comparisons list scenarios."""
OF_A_FIGURE = ["transport", *(name for name in AXES if FIELDS[name].role is Role.SUBJECT)]
"""Fields of which trials must not have several values, if a figure of them is to be one figure."""
SEARCHED = [name for name, field in FIELDS.items() if field.searched]
"""Fields in which the steps of searches for capacity differ; what is told of searches holds them apart."""
DECISIVE = [name for name, field in FIELDS.items() if field.told is not Told.UNUSUAL]
"""Fields that a table always tells; the others only where they are not what they are by default."""
PLAIN = {name: field.default for name, field in FIELDS.items() if field.plain}
"""What claims and published figures are of, unless they ask for otherwise: a run with ``--set`` has more."""
OF_THE_TRANSPORT = [
    name
    for name, field in FIELDS.items()
    if field.obeyed in (Obeyed.BY_CLIENTS, Obeyed.WITH_HEARTBEATS) or field.rounded
]
"""Scenarios that differ only in these belong together: some transports know them not; polls round windows."""


def is_ordinary(name: str, value: object) -> bool:
    """Return whether a field has the value that a transport gives it which was asked for nothing."""
    field = FIELDS[name]
    return bool(value == (field.default if field.where_known is None else field.where_known))
