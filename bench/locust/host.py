"""What serves at a host: which transport, and how far its clock is from ours."""

import http.client
import json
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bench.transports import TRANSPORTS
from clients.base import Address
from clients.sockets.tls_socket import CertificateError, client_context
from servers.base import HEALTH_PATH, PATH
from servers.wire import now_ns

TIMEOUT_S = 5.0
READINGS = 20
HEALTH_BYTES = 65_536


class HostError(ValueError):
    """The host cannot be driven; the text is a sentence."""


class Host(NamedTuple):
    """A server of this suite.

    Attributes:
        address: Where it listens.
        transport: What it serves.
        clock_offset_ns: Our clock − its clock; 0 where it is one clock, as on one machine.
        clock_bracket_ns: How wrong that may be, to either side; 0 where it is one clock.
        plan: Its plan, as it tells it; empty if it does not.
        newest_seq: The newest tick that it had.
        encrypted: Whether TLS is spoken with it.
    """

    address: Address
    transport: str
    clock_offset_ns: int
    clock_bracket_ns: int
    plan: Mapping[str, Any] = MappingProxyType({})
    newest_seq: int = 0
    encrypted: bool = False


def look_up(url: str | None, ca: str | None = None) -> Host:
    """Ask a server what it serves, and read its clock.

    Args:
        url: Where it is: ``http://`` or ``https://``, address and port.
        ca: The PEM file of the authority that its certificate is checked by; None is the system's.

    Raises:
        HostError: If nothing of this suite is there.
    """
    parts = urlsplit(url or "")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        raise HostError(
            f"the host is {url!r}; give --host http://ADDRESS:PORT of a server that bench serve started, "
            "or --serve TRANSPORT to start one"
        )
    address = Address(parts.hostname, port, PATH)
    encrypted = parts.scheme == "https"
    if ca is not None and not encrypted:
        raise HostError(f"--ca is for TLS, but {url} is without; write https:// in it")
    connection = _open(address, encrypted, ca)
    try:
        healths, readings = zip(*(_ask(connection) for _ in range(READINGS)), strict=True)
        transport, newest_seq = str(healths[-1]["transport"]), int(healths[-1]["newest_seq"])
        plan = dict(healths[-1].get("plan", {}))
        contract = str(healths[-1].get("contract", "every"))
    except ssl.SSLCertVerificationError as error:
        raise HostError(
            f"the certificate of {url} is not trusted ({error.verify_message}); "
            "give the file of its authority by --ca"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise HostError(
            f"nothing answers at {url} ({error}); start a server with bench serve TRANSPORT"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise HostError(f"{url} is no server of this suite; start one with bench serve TRANSPORT") from None
    finally:
        connection.close()
    if transport not in TRANSPORTS:
        raise HostError(f"{url} serves {transport}, which this version of the suite does not know")
    if contract != "every":
        raise HostError(
            f"{url} serves with contract {contract}, and leaves ticks out on purpose; Locust counts "
            "each tick: start it with --contract every"
        )
    return Host(address, transport, *clock_offset(list(readings)), plan, newest_seq, encrypted)


def _open(address: Address, encrypted: bool, ca: str | None) -> http.client.HTTPConnection:
    if not encrypted:
        return http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    try:
        context = client_context(ca)
    except CertificateError as error:
        raise HostError(str(error)) from None
    return http.client.HTTPSConnection(address.host, address.port, timeout=TIMEOUT_S, context=context)


def _ask(connection: http.client.HTTPConnection) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Return what it tells of its health; and our clock before, its clock, and our clock after."""
    before_ns = now_ns()
    connection.request("GET", HEALTH_PATH)
    health = json.loads(connection.getresponse().read(HEALTH_BYTES))
    return health, (before_ns, int(health["now_ns"]), now_ns())


def clock_offset(readings: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return our clock − theirs and how wrong that may be, in ns, of the narrowest reading.

    Args:
        readings: Our clock before, their clock, and our clock after. Theirs lies between, if it is ours.

    Returns:
        0 and 0 if each reading says that it may be one clock.
    """
    if all(before_ns <= theirs_ns <= after_ns for before_ns, theirs_ns, after_ns in readings):
        return 0, 0
    before_ns, theirs_ns, after_ns = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before_ns + after_ns) // 2 - theirs_ns, (after_ns - before_ns) // 2


def drift_ns(before: Host, after: Host) -> int:
    """Return by how much two clocks have surely drifted apart between two readings; 0 if it is not sure."""
    moved_ns = abs(after.clock_offset_ns - before.clock_offset_ns)
    return max(0, moved_ns - before.clock_bracket_ns - after.clock_bracket_ns)
