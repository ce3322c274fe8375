"""Two network namespaces, each with a device that packets leave it by: the two ends of a link, nothing else.

A namespace lives as long as a process is in it or holds it open; a TUN device as long as its file is open. So
all of it belongs to the one process that makes it, the router, and ends with it, whatever ends it: nothing is
written to the machine that could be left behind. See namespaces(7), user_namespaces(7), and the kernel's
Documentation/networking/tuntap.rst. A dozen calls do it, so no ``ip`` is needed.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

NEAR_HOST, FAR_HOST = "198.18.0.1", "198.19.0.1"
"""Of the load and of the server: 198.18.0.0/15 is set aside for measuring networks (RFC 2544, C.2.2)."""
NETMASK = "255.254.0.0"
NEAR, FAR = "near", "far"
HELD_AS = {NEAR: 100, FAR: 101}
"""Under these numbers the router holds its namespaces open, so that others find them at /proc/PID/fd."""
QUEUED_PACKETS = 10_000
"""So many packets a device keeps until the router reads them."""
LEAVE_WITHIN_S = 3.0
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C  # linux/sockios.h
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, IFLA_TXQLEN = 16, 1, 4, 13  # linux/rtnetlink.h, netlink.h, if_link.h
IFF_UP = 1
_request = struct.Struct("16s24s").pack
"""struct ifreq: the name of a device, and what is asked of it (netdevice(7))."""


class BoxUnavailable(Exception):
    """A network in a box cannot be had here; the text is a sentence that says why, and what to do."""


class EndCounts(NamedTuple):
    """What the kernel has counted at one end.

    Attributes:
        retransmitted: TCP segments that were sent again (RetransSegs, RFC 4022).
        device_drops: Packets that the device had no room for: the router did not read them in time.
        listen_overflows: Connections dropped at a full accept queue.
    """

    retransmitted: int
    device_drops: int
    listen_overflows: int


class NetworkEnd:
    """A network namespace of this process's own, with a device ``link`` that is up and has an address.

    Args:
        name: ``NEAR`` or ``FAR``.
        host: Its address.

    Attributes:
        device: The file of the device, which does not block: a read is a packet that leaves the namespace, a
            write one that comes to it.
    """

    def __init__(self, name: str, host: str) -> None:
        _call("unshare", CLONE_NEWNET)
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.device, TUNSETIFF, _request(b"link", struct.pack("@H", IFF_TUN | IFF_NO_PI)))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for device, asked, what in (
                (b"link", SIOCSIFADDR, _address(host)),
                (b"link", SIOCSIFNETMASK, _address(NETMASK)),
                (b"link", SIOCSIFFLAGS, struct.pack("@H", IFF_UP)),
                (b"lo", SIOCSIFFLAGS, struct.pack("@H", IFF_UP)),
            ):
                fcntl.ioctl(sock, asked, _request(device, what))
        _set_queue(socket.if_nametoindex("link"), QUEUED_PACKETS)
        with contextlib.suppress(OSError):  # so that ping needs no privilege, icmp(7)
            group = os.getegid()
            Path("/proc/sys/net/ipv4/ping_group_range").write_text(f"{group} {group}", encoding="utf-8")
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        os.dup2(namespace, HELD_AS[name], inheritable=False)
        os.close(namespace)
        self.inode = os.fstat(HELD_AS[name]).st_ino
        self._files = {  # of this namespace, whichever the process is in when it reads them
            name: os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY) for name in ("snmp", "netstat", "dev")
        }

    def counts(self) -> EndCounts:
        """Read what the kernel has counted at this end."""
        return EndCounts(
            _counter(self._read("snmp"), "Tcp:", "RetransSegs"),
            int(
                self._read("dev").partition("link:")[2].split()[11]
            ),  # transmitted: bytes, packets, errs, drop
            _counter(self._read("netstat"), "TcpExt:", "ListenOverflows"),
        )

    def _read(self, name: str) -> str:
        return os.pread(self._files[name], 65_536, 0).decode()


def make_ends() -> tuple[NetworkEnd, NetworkEnd]:
    """Take this process, which must have one thread only, into two namespaces of its own, one by one.

    Where a process may have no network of its own, it may inside a user namespace. The user is the same in
    there; only this process may do with its networks what it likes.

    Returns:
        The near end, which is the load's, and the far end, which is the server's.

    Raises:
        BoxUnavailable: If this system does not allow it.
    """
    if sys.platform != "linux":
        raise BoxUnavailable(f"a network in a box is made of Linux's namespaces; this is {sys.platform}")
    try:
        try:
            return NetworkEnd(NEAR, NEAR_HOST), NetworkEnd(FAR, FAR_HOST)
        except PermissionError:
            _enter_own_user_namespace()
            return NetworkEnd(NEAR, NEAR_HOST), NetworkEnd(FAR, FAR_HOST)
    except OSError as error:
        raise BoxUnavailable(why_not(error)) from None


def _enter_own_user_namespace() -> None:
    """Enter a user namespace in which user and group are who they are outside (user_namespaces(7))."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    for name, text in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text, encoding="utf-8")


def why_not(error: OSError, system: Path = Path("/"), *, root: bool | None = None) -> str:
    """Say why there is no network in a box, and which command allows it.

    Args:
        error: What the kernel said.
        system: Where /proc and /dev are.
        root: Whether it was root who asked; by default, whether this is root.
    """
    if not (system / "dev/net/tun").exists():
        return (
            "there is no /dev/net/tun; load it with: sudo modprobe tun (or docker run --device /dev/net/tun)"
        )
    if not (os.geteuid() == 0 if root is None else root):
        for setting, forbids, allows in (
            ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu since 23.10
            ("kernel/unprivileged_userns_clone", "0", "1"),  # Debian up to 10
            ("user/max_user_namespaces", "0", "10000"),
        ):
            with contextlib.suppress(OSError):
                if (system / "proc/sys" / setting).read_text(encoding="utf-8").strip() == forbids:
                    command = f"sudo sysctl -w {setting.replace('/', '.')}={allows}"
                    return f"this system forbids users to make namespaces; allow them with: {command}"
    return (
        f"this system allows no network namespaces ({error.strerror}); if it is a container, start it with "
        "--privileged, or measure outside of it"
    )


def enter(pid: int, end: str) -> None:
    """Take this process, which must have one thread only, to an end of a link.

    Args:
        pid: The router's.
        end: ``NEAR`` or ``FAR``.

    Raises:
        OSError: If there is no such router, or it is somebody else's.
    """
    network = os.open(f"/proc/{pid}/fd/{HELD_AS[end]}", os.O_RDONLY | os.O_CLOEXEC)
    user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    if not os.path.sameopenfile(user, os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)):
        _call("setns", user, CLONE_NEWUSER)
    _call("setns", network, CLONE_NEWNET)


def end_all_inside(ends: Iterable[NetworkEnd]) -> None:
    """Leave nobody behind at an end: wait for those who go by themselves, and kill the others."""
    inodes = {end.inode for end in ends}
    deadline_s = time.monotonic() + LEAVE_WITHIN_S
    while inside := [pid for pid in _processes() if _network_of(pid) in inodes]:
        if time.monotonic() > deadline_s:
            for pid in inside:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _processes() -> list[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]


def _network_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    return None


def _counter(text: str, kind: str, name: str) -> int:
    """Read a counter of /proc/net/snmp or netstat: a line of names, and a line of numbers."""
    names, numbers = (line.split() for line in text.splitlines() if line.startswith(kind))
    return int(numbers[names.index(name)])


def _set_queue(device: int, packets: int) -> None:
    """Set how many packets a device keeps, by netlink: by ioctl, only root outside of all namespaces may."""
    attribute = struct.pack("@HHI", 8, IFLA_TXQLEN, packets)
    link = struct.pack("@BxHiII", socket.AF_UNSPEC, 0, device, 0, 0) + attribute  # struct ifinfomsg
    header = struct.pack("@IHHII", 16 + len(link), RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(header + link)
        (error,) = struct.unpack_from("@i", sock.recv(4096), 16)  # struct nlmsgerr
    if error:
        raise OSError(-error, os.strerror(-error))


def _address(host: str) -> bytes:
    """Return struct sockaddr_in (ip(7))."""
    return struct.pack("@HH4s", socket.AF_INET, 0, socket.inet_aton(host))


def _call(function: str, *arguments: int) -> None:
    """Call a function of the C library that Python itself has since 3.12."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
