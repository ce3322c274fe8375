"""The doctor: what it says of this machine, and of one that lacks everything."""

from typing import Any

import pytest
from rich.console import Console

from bench.measure import doctor
from bench.measure.doctor import GOOD, LIMITED, MISSING, Noise, examine, measure_noise
from bench.measure.trial import Trial
from bench.report.doctor import print_noise
from bench.results.statistics import Interval
from clients.sockets import stamped_socket


def test_everything_is_examined_and_whatever_is_not_good_has_an_advice() -> None:
    findings = list(examine())
    assert len({finding.what for finding in findings}) == len(findings) >= 12
    for finding in findings:
        assert finding.state in (GOOD, LIMITED, MISSING)
        assert finding.found
        if finding.state == MISSING:
            assert finding.advice


@pytest.mark.skipif(not stamped_socket.KERNEL_STAMPS, reason="this system has no kernel arrival times")
def test_kernel_stamps_are_seen_where_they_are() -> None:
    (stamps,) = (finding for finding in examine() if finding.what == "kernel arrival times")
    assert stamps.state == GOOD


def test_without_kernel_stamps_the_machine_is_said_to_lack_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamped_socket, "KERNEL_STAMPS", False)
    monkeypatch.setattr(stamped_socket, "_TCP_INFO_OPTION", None)
    monkeypatch.setattr(doctor, "STAMPS_BEGIN_WITHIN_NS", 10_000_000)
    findings = {finding.what: finding for finding in examine()}
    assert findings["kernel arrival times"].state == MISSING
    assert findings["packet counts (TCP_INFO)"].state == MISSING


def test_noise_is_measured_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    trials: list[int] = []

    def fake_trial(scenario: Any, *, seed: int, places: Any) -> Trial:
        trials.append(seed)
        slow = 1.0 + 0.1 * len(trials)  # the machine gets slower and slower
        return Trial(
            dict.fromkeys(doctor.NOISE_FIGURES, slow)
            | {"verdict": "ok", "verdict_reason": "", "verdict_note": ""},
            None,
        )

    monkeypatch.setattr(doctor, "run_trial", fake_trial)
    noise = measure_noise(pairs=6)
    assert len(trials) == 12
    for ratio in noise.ratios.values():
        assert ratio.low < 1 < ratio.high  # a drift hits A and B alike
    for ratio in noise.detectable.values():
        assert 1 < ratio.low < ratio.estimate < ratio.high
    assert not noise.doubts


def test_noise_is_told_by_figure_in_a_sentence() -> None:
    console = Console(record=True, width=120)
    ratios = {
        "latency_p50_ms": Interval(1.02, 0.9, 1.15),
        "server_cpu_us_per_delivery": Interval(1.2, 1.1, 1.3),
    }
    detectable = {
        "latency_p50_ms": Interval(1.22, 1.15, 1.41),
        "server_cpu_us_per_delivery": Interval(1.1, 1.07, 1.19),
    }
    print_noise(Noise(5, ratios, detectable, ["a reason"]), console)
    text = " ".join(console.export_text().split())
    assert "0.90 to 1.15: no difference" in text
    assert "1.10 to 1.30: differs" in text
    assert "a difference of 22% is found in 8 of 10 tries (15% to 41%: 10 trials" in text
    assert "a difference of 10% is found" in text
    assert "with 5 repeats of each" in text
    assert "a reason" in text
