"""Locust in one process, and with workers: counts are exact, and latencies are the swarm's."""

import csv
import json
import re
import signal
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

from bench.measure.certificate import make_certificate
from bench.measure.place import choose_places
from bench.measure.subject import running_server
from servers.options import ServerOptions
from tests.bench.locust.running import ALL_ARE_THERE, Locust, free_port, locust
from tests.waiting import wait_until

TOTAL = re.compile(r"(\w+): (\d+) deliveries, (\d+) missed, (\d+) repeated; latency in ms: p50 ([\d.]+),")


def entries(folder: Path, name: str = "figures") -> dict[str, dict]:
    """Return Locust's own figures, by the type of their rows."""
    return {
        entry["method"]: entry for entry in json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    }


def total(running: Locust) -> tuple[str, str, str, str, str]:
    """Return what the end says: transport, deliveries, missed, repeated, median."""
    found = TOTAL.findall(running.said)
    assert len(found) == 1, running.said
    return found[0]


def test_one_process(tmp_path: Path) -> None:
    with locust(
        "--serve=websocket", "--rate-hz=50", "--headless", "--users=20", "--spawn-rate=20",
        f"--csv={tmp_path}/figures", f"--html={tmp_path}/page.html",
        f"--json-file={tmp_path}/figures",
    ) as running:  # fmt: skip
        running.wait_for("TICK", times=2)
        assert len(running.children()) == 2, "a server, and a swarm"
        if (places := choose_places()).subject.core is not None:
            cores = {
                process.cmdline()[process.cmdline().index("-m") + 1]: process.cpu_affinity()
                for process in running.children()
            }
            assert cores == {"servers": [places.subject.core], "clients.load.changing": [places.load.core]}
        running.interrupt()
        assert running.wait() == 0, running.said
        transport, delivered, missed, repeated, p50_ms = total(running)
    assert (transport, missed, repeated) == ("websocket", "0", "0")
    figures = entries(tmp_path)
    assert set(figures) == {"TICK", "CONN"}
    assert figures["TICK"]["name"] == "websocket"
    assert figures["TICK"]["num_requests"] == int(delivered) > 20
    assert figures["TICK"]["num_failures"] == figures["TICK"]["num_none_requests"] == 0
    assert figures["CONN"]["num_requests"] == 20
    assert figures["TICK"]["total_content_length"] > 128 * int(delivered)
    buckets = {float(value): count for value, count in figures["TICK"]["response_times"].items()}
    assert sum(buckets.values()) == int(delivered)
    assert any(value != round(value) for value in buckets), "finer than a millisecond"
    middle = sorted(value for value, count in buckets.items() for _ in range(count))[int(delivered) // 2]
    assert middle == pytest.approx(float(p50_ms), rel=0.02)
    rows = list(csv.DictReader((tmp_path / "figures_stats.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["Name"] for row in rows} == {"websocket", "Aggregated"}
    assert "websocket" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_workers_of_one_machine_are_interrupted(tmp_path: Path) -> None:
    with locust(
        "--serve=short_polling", "--rate-hz=20", "--poll-interval-s=0.2", "--headless", "--users=40",
        "--spawn-rate=40", "--processes=2", f"--json-file={tmp_path}/figures",
    ) as running:  # fmt: skip
        running.wait_for("TICK")
        assert len(swarms(running.children())) == 2
        family = running.children()
        running.interrupt()
        assert running.wait() == 0, running.said
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []
        transport, delivered, missed, repeated, _ = total(running)
    assert (transport, missed, repeated) == ("short_polling", "0", "0")
    assert entries(tmp_path)["TICK"]["num_requests"] == int(delivered) > 0
    assert entries(tmp_path)["CONN"]["num_requests"] == 40


def swarms(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if "clients.load.changing" in process.cmdline()]


def test_a_shape_says_how_many_users_there_are_and_when_it_is_over() -> None:
    with locust(
        "--serve=websocket", "--shape=ramp", "--headless", "--users=30", "--run-time=3", "--only-summary"
    ) as running:
        assert running.wait() == 0, running.said
        spawned = list(map(int, re.findall(r"\((\d+) total users\)", running.said)))
        assert spawned == sorted(set(spawned)), running.said
        assert 1 <= spawned[0] < spawned[-1] <= 30
        assert total(running)[2:4] == ("0", "0")


def test_a_host_that_serves_another_transport_is_one_sentence() -> None:
    with locust("--serve=websocket", "LongPollingUser", "--headless", "--only-summary") as running:
        assert running.wait() == 2, running.said
        assert "serves websocket, which LongPollingUser cannot drive" in running.said
        assert "Traceback" not in running.said


def test_a_host_that_serves_nothing_is_one_sentence() -> None:
    with locust("--host=http://127.0.0.1:1", "--headless", "--processes=2") as running:
        assert running.wait() == 2, running.said
        assert "nothing answers at http://127.0.0.1:1" in running.said
        assert "Traceback" not in running.said


def test_an_encrypted_host_that_was_started_by_hand(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    options = ServerOptions(rate_hz=50, certificate=certificate.server)
    with (
        running_server("websocket", options) as server,
        locust(
            f"--host=https://{server.host}:{server.port}", f"--ca={certificate.ca}", "--headless",
            "--users=5", "--spawn-rate=5",
        ) as running,
    ):  # fmt: skip
        running.wait_for("TICK")
        running.interrupt()
        assert running.wait() == 0, running.said
        assert total(running)[2:4] == ("0", "0")


def test_ours_can_be_chosen_by_variables_and_a_test_without_users_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCUST_SERVE", "websocket")
    with locust("--host=http://127.0.0.1:1", "--headless", "--users=0", "--run-time=1") as running:
        assert running.wait() == 1, running.said
        assert "Ramping to 0 users" in running.said, "its time begins when the server is there"
        assert "the host http://127.0.0.1:1 is left alone" in running.said
        assert "nothing was measured" in running.said


def test_the_web_page_has_a_tab_and_users_come_and_go_by_its_form() -> None:
    page = f"http://127.0.0.1:{(port := free_port())}"
    with locust(
        "--serve=websocket", f"--web-port={port}", "--autostart", "--users=20", "--spawn-rate=20"
    ) as running:
        running.wait_for(ALL_ARE_THERE)
        wait_until(lambda: everybody(page)["open"] == 20 and everybody(page)["delivered"] > 0, "20 clients")
        form = fetch(page)
        assert "extended_tabs" in form or "extendedTabs" in form
        for argument in ("poll_interval_s", "hold_s", "rate_hz", "serve"):
            assert argument in form
        assert json.loads(fetch(f"{page}/swarm", user_count=5, spawn_rate=20))["success"]
        wait_until(lambda: everybody(page)["open"] == 5, "5 clients")
        assert everybody(page)["asked"] == 20
        assert json.loads(fetch(f"{page}/swarm", user_count=8, spawn_rate=20))["success"]
        wait_until(lambda: everybody(page)["open"] == 8, "8 clients")
        assert everybody(page)["asked"] == 23
        family = running.children()
        running.send(signal.SIGTERM)
        assert running.wait() == 0, running.said
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []
        assert total(running)[2:4] == ("0", "0")


def fetch(url: str, **form: int) -> str:
    """Return what is at an address of the web page; a form is posted."""
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        return answer.read().decode()


def everybody(page: str) -> dict:
    """Return the first row of the tab: all workers together."""
    (tab,) = json.loads(fetch(f"{page}/stats/requests"))["extended_stats"]
    assert tab["key"] == "deliveries"
    return tab["data"][0]


def test_a_killed_locust_leaves_nothing() -> None:
    with locust("--serve=websocket", "--headless", "--users=2", "--only-summary") as running:
        running.wait_for(ALL_ARE_THERE)
        family = running.children()
        assert len(family) == 2
        running.send(signal.SIGKILL)
        running.wait()
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []
