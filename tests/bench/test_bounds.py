"""Absurd values of every field give a scenario that can be measured or one sentence, never a traceback."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.scenario import FIELDS, Scenario, ScenarioError, parse_value
from bench.transports import main_names
from servers import options
from servers.__main__ import main as serve
from servers.options import ServerOptions
from servers.workloads.plan import due_times
from servers.workloads.recording import RecordingError

LONGEST_PLANNED_S = 3 * 3600
LONGEST_SENTENCE = 300
ABSURD = [
    *"0 -1 -0.0 nan inf -inf 1e-300 1e-12 1e-6 0.0005 1e9 1e300 1e309 2 1.5 none yes no 0x10 1_000".split(),
    *"٣ 9999999999999999999999 a[/b] /dev/zero . text".split(),
    "", " ", "1 ", "\x00", "\x1b[2J", "9" * 5000, "x" * 100_000,
]  # fmt: skip
texts = st.sampled_from(ABSURD) | st.text(max_size=20) | st.floats().map(repr) | st.integers().map(str)


def planned_or_refused(transport: str, settings: dict[str, str]) -> None:
    try:
        scenario = Scenario(transport, **{name: parse_value(name, text) for name, text in settings.items()})
    except (ScenarioError, RecordingError) as refusal:
        assert 10 < len(str(refusal)) < LONGEST_SENTENCE + 2 * len(settings.get("recording", ""))  # noqa: PT017
        return
    assert 0 < scenario.planned_s < LONGEST_PLANNED_S
    assert math.isfinite(scenario.drain_s)
    due = due_times(
        scenario.plan, rate_hz=scenario.rate_hz, seed=1, start_ns=0, open_after_s=scenario.connect_s
    )
    assert next(due) == 0 < next(due)


@pytest.mark.parametrize("transport", main_names())
@pytest.mark.parametrize("name", FIELDS)
def test_an_absurd_value_is_planned_or_refused(name: str, transport: str) -> None:
    for text in ABSURD:
        planned_or_refused(transport, {name: text})
        if name == "recording" and text:
            planned_or_refused(transport, {name: text, "plan": "replay"})


@given(st.sampled_from(main_names()), st.dictionaries(st.sampled_from(list(FIELDS)), texts, max_size=4))
@example("websocket", {"rate_hz": "1e-8", "plan": "poisson", "window_s": "0.01"})
@example("short_polling", {"poll_interval_s": "0.0010001", "rate_hz": "9999.7", "window_s": "3600"})
def test_absurd_values_together_are_planned_or_refused(transport: str, settings: dict[str, str]) -> None:
    planned_or_refused(transport, settings)


@given(st.sampled_from([field.name for field in dataclasses.fields(ServerOptions)]), st.data())
def test_a_server_refuses_absurd_values_with_one_sentence(name: str, data: st.DataObject) -> None:
    kind = str(next(field.type for field in dataclasses.fields(ServerOptions) if field.name == name))
    value: Any = data.draw(st.floats() if "float" in kind else st.integers() if "int" in kind else st.text())
    try:
        made = ServerOptions(**{name: value})
    except ValueError as refusal:
        assert 10 < len(str(refusal)) < LONGEST_SENTENCE  # noqa: PT017
        return
    due = due_times(made.plan, rate_hz=made.rate_hz, seed=1, start_ns=0, open_after_s=made.open_after_s)
    assert next(due) == 0 < next(due)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--rate-hz=1e-300", "less than a tick in three years"),
        ("--rate-hz=٣", "invalid number"),
        ("--port=80_80", "invalid whole number"),
        ("--congestion=vega[s]", "congestion is 'vega[s]'; this system has"),
        ("--congestion=", "congestion is ''"),
        ("--heartbeat-s=1e-12", "heartbeat_s is 1e-12; it must be from 0.001"),
        ("--open-after-s=inf", "open_after_s is inf"),
        ("--core=9999", "core is 9999"),
        ("--core=8191", "core is 8191; this process may run on"),
        ("--host=", "host is empty"),
    ],
)
def test_serve_refuses_with_a_sentence(argument: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = serve(["websocket", argument])
    except SystemExit as end:  # argparse's own
        code = int(str(end.code))
    assert code == 2
    assert said in capsys.readouterr().err


def test_congestion_is_what_the_system_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in options.congestions():
        assert Scenario("websocket", congestion=name).congestion == name
    with pytest.raises(ScenarioError, match="choose one of them, or none"):
        Scenario("websocket", congestion="hope")
    options.has_congestion.cache_clear()
    monkeypatch.setattr(options, "CONGESTIONS", tmp_path / "missing")
    assert ServerOptions().congestion == options.DEFAULT_CONGESTION
    assert ServerOptions(congestion="hope").congestion == "hope"  # this system does not tell
    options.has_congestion.cache_clear()
