"""A swarm whose clients come and go: ``python -m clients.load.changing``, told by lines, telling each second.

It is the ordinary swarm. Whoever leaves stays until it has what it is owed, so that counts are exact.
"""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import contextlib
import gc
import os
import socket
import sys
import time
from array import array
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import psutil

from clients.base import Address, load_client_class
from clients.load.accounts import Accounts
from clients.load.generator import DELIVERY_FIELDS, LOOK_NS
from clients.load.orders import Change, Due, Finish, Message, Opening, Telling, encode
from clients.load.process import Orders, main
from clients.load.swarm import Swarm
from clients.sockets.limits import most_clients
from clients.sockets.stamped_socket import SocketFactory, StampedSocket, measure_clock_offset
from clients.sockets.tls_socket import TlsSocket, client_context
from servers.wire import now_ns

TELL_NS = 1_000_000_000
TAKE_VALUES = 10_000 * len(DELIVERY_FIELDS)
"""So many are entered into the accounts together, because each piece costs as much as a thousand deliveries;
fewer before each telling, and while somebody leaves."""


class ChangingSwarm:
    """The ordinary swarm, the accounts of its clients, and who is about to leave.

    Args:
        opening: What it is a swarm of.
        offset_ns: Bench clock − CLOCK_REALTIME.
    """

    def __init__(self, opening: Opening, offset_ns: int) -> None:
        make_socket: SocketFactory = StampedSocket
        if opening.tls:
            context = client_context(opening.ca)
            make_socket = partial(TlsSocket, context=context, server_name=opening.host)
        self._opening = opening
        self._client_class = load_client_class(opening.client)
        self.swarm = Swarm(
            [],
            opening.host,
            opening.port,
            offset_ns=offset_ns,
            mss=opening.mss,
            congestion=opening.congestion,
            make_socket=make_socket,
        )
        self._late_ns = round(opening.late_ms * 1e6)
        self.accounts = Accounts(opening.clock_offset_ns, round(opening.drain_s * 1e9), self._late_ns)
        self._late_requests = 0
        self._epoch_ns = now_ns()
        self._most = most_clients()
        self._until_ns: dict[int, int] = {}  # of those who leave: how long they may stay
        self._of_gone: Counter[str] = Counter()
        self._came = False

    def change(self, change: Change) -> None:
        """Take clients in, and let others go as soon as they have what they are owed.

        Raises:
            OSError: If there are more than this machine lets one process have.
        """
        if len(self.swarm.clients) + len(change.come) > self._most:
            raise OSError(
                f"one swarm can have {self._most} clients on this machine; use more workers, or raise the "
                "hard limit of file descriptors"
            )
        for phase in change.come:
            self._come(phase)
        self._leave(change.leave)

    def finish(self) -> None:
        """Let all leave that have not left yet."""
        self._leave(list(self.accounts.present))

    def _come(self, phase: float) -> None:
        settings: dict[str, Any] = dict(self._opening.settings)
        if "poll_interval_s" in self._client_class.settings:
            settings.update(epoch_ns=self._epoch_ns, phase=phase)
        address = Address(self._opening.host, self._opening.port, self._opening.path)
        self.accounts.come(self.swarm.add(self._client_class(address, **settings)), now_ns())
        self._came = True

    def _leave(self, numbers: list[int]) -> None:
        now = now_ns()
        until_ns = now + round(self._opening.drain_s * 1e9)
        leaving = [each for each in numbers if each in self.accounts.present and each not in self._until_ns]
        self.accounts.leave(leaving, now)
        self._until_ns.update(dict.fromkeys(leaving, until_ns))

    @property
    def is_leaving(self) -> bool:
        """Whether somebody is about to leave."""
        return bool(self._until_ns)

    def take(self) -> None:
        """Enter into the accounts what has come, and let those go who have all that they are owed."""
        deliveries, self.swarm.deliveries = self.swarm.deliveries, array("q")
        lags_ns = np.frombuffer(self.swarm.request_lags_ns, np.int64)[1::2]
        self._late_requests += int(np.count_nonzero(lags_ns > self._late_ns))
        self.swarm.request_lags_ns, self.swarm.sockets = array("q"), array("q")
        self.accounts.take(deliveries)
        if not self._until_ns:
            return
        now = now_ns()
        going = set(self.accounts.have_all(self._until_ns))
        going.update(number for number, until_ns in self._until_ns.items() if until_ns <= now)
        if not going:
            return
        self.accounts.close(going)
        for number in going:
            del self._until_ns[number]
        for client in self.swarm.remove(going):
            self._of_gone.update(
                requests=client.requests,
                empty_responses=client.empty_responses,
                polls_skipped=client.polls_skipped,
            )

    def tell(self, *, last: bool = False) -> Telling:
        """Return how it goes, and begin anew what is told as a difference."""
        swarm = self.swarm
        self.take()
        if self._came:
            gc.freeze()  # a full collection over 10,000 clients stops the loop for a tenth of a second
            self._came = False
        connects_ns, swarm.connect_ns = swarm.connect_ns, array("q")
        self._of_gone["connections"] += len(connects_ns)
        errors, swarm.errors = swarm.errors, Counter()
        clients = swarm.clients
        return Telling(
            at_ns=now_ns(),
            cpu_ns=time.process_time_ns(),
            rss_bytes=psutil.Process().memory_info().rss,
            clients=len(clients),
            connected=sum(client.ready for client in clients),
            latencies_us=self.accounts.take_latencies(),
            late_ms=self.accounts.take_late_ns() / 1e6,
            connects_ms=[duration_ns / 1e6 for duration_ns in connects_ns],
            errors=dict(errors),
            counts=self.accounts.count(now_ns())._asdict(),
            requests=self._of_gone["requests"] + sum(client.requests for client in clients),
            late_requests=self._late_requests,
            empty_responses=self._of_gone["empty_responses"]
            + sum(client.empty_responses for client in clients),
            polls_skipped=self._of_gone["polls_skipped"] + sum(client.polls_skipped for client in clients),
            connections=self._of_gone["connections"],
            bytes_up=swarm.bytes_up,
            bytes_down=swarm.bytes_down,
            last=last,
        )


class Voice:
    """Standard output, which never makes the swarm wait: if nobody listens, it tells more, later."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unsaid = b""
        os.set_blocking(fd, False)

    def say(self, message: Message) -> None:
        """Say as much of a message as is listened to; the rest when it is asked whether this is free."""
        self._unsaid += encode(message) + b"\n"
        self.is_free()

    def is_free(self) -> bool:
        """Go on with what is unsaid; return whether there is nothing left of it."""
        with contextlib.suppress(BlockingIOError):
            while self._unsaid:
                self._unsaid = self._unsaid[os.write(self._fd, self._unsaid) :]
        return not self._unsaid

    def finish(self) -> None:
        """Wait until all is said."""
        os.set_blocking(self._fd, True)
        self.is_free()


def obey(orders: Orders) -> Message:
    """Be a swarm whose clients come and go, until told to finish; return the last telling.

    Raises:
        OSError, ValueError: With a sentence, if it cannot be done.
        EOFError: If whoever gives the orders is gone.
    """
    opening = orders.wait()
    if not isinstance(opening, Opening):
        raise ValueError(f"expected an opening, got {opening}")
    if opening.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {opening.core})
    offset_ns = measure_clock_offset().offset_ns
    stamping = StampedSocket(socket.AF_INET, offset_ns=offset_ns)  # so that the kernel never stops stamping
    changing, voice = ChangingSwarm(opening, offset_ns), Voice(sys.stdout.fileno())
    swarm, finishing = changing.swarm, False
    try:
        tell_ns = now_ns()
        while True:
            now = now_ns()
            match orders.look():
                case Change() as change:
                    changing.change(change)
                case Due(first_seq, due_ns):
                    changing.accounts.know(first_seq, due_ns)
                case Finish():
                    changing.finish()
                    finishing = True
                case None:
                    pass
                case other:
                    raise ValueError(f"expected a change, got {other}")
            if len(swarm.deliveries) >= TAKE_VALUES or changing.is_leaving:
                changing.take()
            if finishing and not changing.is_leaving:
                voice.finish()
                return changing.tell(last=True)
            if voice.is_free() and now >= tell_ns:
                voice.say(changing.tell())
                tell_ns = max(tell_ns + TELL_NS, now)
            look_ns = now + LOOK_NS
            while now_ns() < look_ns:
                swarm.step(wait_until_ns=look_ns)
    finally:
        swarm.close()
        stamping.close()


if __name__ == "__main__":
    sys.exit(main(obey))
