"""What stands in the way of many connections: ports of one address, and file descriptors."""

import resource

CLIENTS_PER_ADDRESS = 25_000
"""Below Linux's 28,232 ephemeral ports (ip_local_port_range); more clients use more source addresses."""
SPARE_DESCRIPTORS = 64
MOST_CLIENTS = 50_000


def source_address(number: int, clients: int, server_host: str) -> str | None:
    """Return the loopback address that a client connects from, or None to leave it to the system.

    One address has too few ports for more than some 28,000 connections to one server; 127.0.0.0/8 has others.
    """
    if clients <= CLIENTS_PER_ADDRESS or not server_host.startswith("127."):
        return None
    return f"127.0.{1 + number // CLIENTS_PER_ADDRESS}.1"


def most_clients() -> int:
    """Return how many connections one process of this machine can have, up to 50,000."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CLIENTS if hard == resource.RLIM_INFINITY else min(hard - SPARE_DESCRIPTORS, MOST_CLIENTS)


def raise_descriptor_limit(connections: int) -> None:
    """Raise this process's limit of file descriptors to its hard limit.

    Raises:
        OSError: If even that is too little.
    """
    needed = connections + SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = max(needed, 65_536) if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if needed > soft:
        raise OSError(
            f"{connections} connections need {needed} file descriptors, but the hard limit is {hard}; "
            f"raise it with 'ulimit -Hn {needed}' as root (or in limits.conf), or use fewer clients"
        )
