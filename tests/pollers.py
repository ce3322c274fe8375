"""Polling clients for the tests, and how they are driven without a network."""

from clients import long_polling, short_polling
from clients.base import Address
from servers.wire import encode_array, encode_tick

ADDRESS = Address("127.0.0.1", 8000)
MS = 1_000_000


def array(*seqs: int) -> bytes:
    return encode_array([encode_tick(seq, seq * MS, "ACME", 1.0, 96) for seq in seqs])


def long_poller(**options) -> long_polling.Client:
    return long_polling.Client(ADDRESS, after=0, **options)


def closed_poller(**options) -> short_polling.Client:
    return short_polling.Client(ADDRESS, after=0, poll_pause_s=1.0, phase=0.5, **options)


def open_poller(**options) -> short_polling.Client:
    return short_polling.Client(
        ADDRESS, after=0, poll_interval_s=0.1, epoch_ns=1_000 * MS, phase=0.25, **options
    )


def connect(client, now_ns: int = 0) -> bytes:
    client.connected(now_ns)
    return client.data_to_send()


def address_asked(client) -> str:
    """Take what is to be sent; return the address that it asks for, '' if it asks nothing."""
    data = client.data_to_send().decode()
    return data.split(" ")[1] if data else ""
