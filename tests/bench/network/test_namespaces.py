"""The box as such: who is at which end, and what is said where there can be none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure.box import Box, command_at, running_box, unavailable
from bench.measure.place import Place, Places
from bench.measure.processes import TrialFailed
from bench.network.link import Link
from bench.network.namespaces import FAR, FAR_HOST, NEAR, NEAR_HOST, BoxUnavailable, why_not
from bench.network.probe import smallest_rtt_ms
from tests.bench.network.boxes import need_box
from tests.waiting import LIMIT_S

REFUSED = PermissionError(1, "Operation not permitted")
APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"


def system(folder: Path, *, tun: bool = True, **settings: str) -> Path:
    """Return the root of a system with these settings of /proc/sys."""
    (folder / "dev/net").mkdir(parents=True)
    if tun:
        (folder / "dev/net/tun").touch()
    for name, text in settings.items():
        path = folder / "proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({APPARMOR: "1"}, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ({"kernel/unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, "sudo sysctl -w user.max_user_namespaces=10000"),
        ({APPARMOR: "0", "user/max_user_namespaces": "96365"}, "Operation not permitted.*--privileged"),
    ],
)
def test_what_forbids_it_is_named_with_the_command_that_allows_it(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    said = why_not(REFUSED, system(tmp_path, **settings), root=False)
    assert len(said.splitlines()) == 1
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(said)


def test_root_in_a_container_is_told_of_the_container(tmp_path: Path) -> None:
    assert "--privileged" in why_not(REFUSED, system(tmp_path, **{APPARMOR: "1"}), root=True)


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    assert "modprobe tun" in why_not(FileNotFoundError(2, "No such file"), system(tmp_path, tun=False))


def test_a_router_that_may_not_says_so_and_fails_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Box, "_read", lambda box: {"event": "unavailable", "reason": "no; do this"})
    assert unavailable() == "no; do this"
    with pytest.raises(BoxUnavailable, match="no; do this"), running_box(Link()):
        pass


# In a box


def said_at(box: Box, end: str, *command: str) -> str:
    done = subprocess.run(
        [*box.prefix(end), *command], capture_output=True, encoding="utf-8", timeout=LIMIT_S
    )
    return (done.stdout + done.stderr).strip()


def test_each_end_has_its_address_its_device_and_nothing_else() -> None:
    need_box()
    code = (
        "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((%r, 9));"
        "print(s.getsockname()[0], *sorted(name for _, name in socket.if_nameindex()))"
    )
    with running_box(Link()) as box:
        for end, own, other in ((NEAR, NEAR_HOST, FAR_HOST), (FAR, FAR_HOST, NEAR_HOST)):
            told = said_at(box, end, sys.executable, "-c", code % other).split()
            assert told[0] == own
            assert {"link", "lo"} <= set(told[1:])


def test_places_are_the_two_ends_and_keep_what_they_had() -> None:
    need_box()
    with running_box(Link()) as box:
        places = box.inside(Places(Place(1, ("nice",)), Place(0)))
        assert (places.subject.core, places.load.core) == (1, 0)
        assert places.subject.prefix == (*box.prefix(FAR), "nice")
        assert places.load.prefix == box.prefix(NEAR)


def test_a_command_that_cannot_be_run_is_a_sentence() -> None:
    need_box()
    with running_box(Link()) as box:
        assert said_at(box, NEAR, "no-such-command") == (
            "no-such-command cannot be run: No such file or directory"
        )
        assert box.run(NEAR, [sys.executable, "-c", "raise SystemExit(7)"]) == 7
        pid = box.pid
    with command_at(pid, NEAR, ["true"]) as late:
        assert late.wait(LIMIT_S) == 1


def test_a_measured_round_trip_is_as_long_as_asked_for() -> None:
    need_box()
    with running_box(Link(rtt_ms=30)) as box:
        assert 30 <= box.measured_rtt_ms() < 60
        assert box.reading().up.packets >= 10


def test_nobody_on_loopback_is_refused_at_once() -> None:
    found_ms = smallest_rtt_ms("127.0.0.1", probes=3)
    assert found_ms is not None
    assert found_ms < 1000


def test_a_dead_router_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    need_box()
    with running_box(Link()) as box:
        with pytest.raises(TrialFailed, match=r"the router of the link died \(by signal 9\)"):
            box.run(NEAR, ["sh", "-c", f"kill -9 {box.pid}; exec sleep 600"])
        with pytest.raises(TrialFailed, match="router of the link died"):
            box.reading()


def test_the_router_goes_first_where_it_may() -> None:
    need_box()
    try_it = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    may = (
        subprocess.run([sys.executable, "-c", try_it], stderr=subprocess.DEVNULL, timeout=30).returncode == 0
    )
    with running_box(Link()) as box:
        policy = os.sched_getscheduler(box.pid)
    assert policy == (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK if may else os.SCHED_OTHER)
