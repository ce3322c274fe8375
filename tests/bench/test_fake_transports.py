"""Facts of the registry decide, not names: the reference run by other names, and with fakes beside the real.

A fake has the server, the client and the facts of a real transport, its twin, and another name, label and
colour. Whatever a twin appears in, its fake appears in, with the same figures.
"""

import ast
import io
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from bench.experiments.catalogue import EXPERIMENTS
from bench.judge.choice import cpu_chart, wire_chart
from bench.judge.claims import ledger
from bench.judge.compare import Comparison, compare
from bench.judge.literature import PUBLICATIONS
from bench.measure.schedule import Planned, plan_run
from bench.measure.trial import run_trial
from bench.report.plots.base import look
from bench.report.plots.figures import FIGURES, REPEATS, draw
from bench.report.summary import findings, print_run
from bench.report.tables import experiment_table
from bench.report.terminal import GroupedTable, words
from bench.results.evidence import Evidence
from bench.results.run import QUANTILES_PARQUET, FinishedRun, Run
from bench.scenario import PROFILES, Scenario
from bench.transports import TRANSPORTS, Transport, main_names, names_of
from tests import ROOT

REFERENCE = ROOT / "results" / "reference"
FAKES = {"short_polling": "asker", "long_polling": "holder", "websocket": "teller"}
"""The fake of each family, by its twin; no label holds another's."""
OTHER_NAMES = {name: f"transport_{place}" for place, name in enumerate(TRANSPORTS)}
LATER = 1000
"""What is added to the number of a trial for the copy that is the fake's."""


def registered(transports: Mapping[str, Transport]) -> Iterator[None]:
    """Replace what the registry holds for a while: all read this one dictionary when they ask."""
    real = dict(TRANSPORTS)
    TRANSPORTS.clear()
    TRANSPORTS.update(transports)
    yield
    TRANSPORTS.clear()
    TRANSPORTS.update(real)


@pytest.fixture
def other_names() -> Iterator[None]:
    """Give every transport another name, and nothing else: facts, labels and colours stay."""
    yield from registered(
        {
            other: TRANSPORTS[name]._replace(
                name=other, variant_of=OTHER_NAMES.get(TRANSPORTS[name].variant_of or "")
            )
            for name, other in OTHER_NAMES.items()
        }
    )


@pytest.fixture
def fakes() -> Iterator[None]:
    """Register a fake for each family behind the real ones."""
    yield from registered(
        TRANSPORTS
        | {
            fake: TRANSPORTS[twin]._replace(name=fake, label=fake, colour="#117733")
            for twin, fake in FAKES.items()
        }
    )


def renamed(row: Mapping[str, Any], names: Mapping[str, str], later: int = 0) -> dict[str, Any]:
    """Return a trial's row under another name of its transport."""
    return {**row, "transport": names[row["transport"]], "trial_number": row["trial_number"] + later}


def copy_deliveries(folder: Path, names: Mapping[str, str], later: int = 0) -> None:
    for path in (REFERENCE / "deliveries").iterdir():
        parts = re.fullmatch(r"(\d+)_([a-z_]+?)((?:_\d+)?(?:_sockets)?)", path.stem)
        assert parts
        number, transport, rest = parts.groups()  # rest: which attempt, and of what
        if transport in names:
            stem = f"{int(number) + later:04d}_{names[transport]}{rest}"
            shutil.copy(path, folder / "deliveries" / f"{stem}.parquet")


@pytest.fixture(scope="module")
def reference() -> Run:
    return Run.open(REFERENCE)


@pytest.fixture(scope="module")
def reference_by_other_names(reference: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("other") / "reference"
    shutil.copytree(REFERENCE, folder, ignore=shutil.ignore_patterns("deliveries"))
    (folder / "deliveries").mkdir()
    copy_deliveries(folder, OTHER_NAMES)
    return Run(folder, reference.facts, [renamed(row, OTHER_NAMES) for row in reference.rows])


@pytest.fixture(scope="module")
def reference_with_fakes(reference: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the reference run with all trials of a twin once more, as those of its fake."""
    folder = tmp_path_factory.mktemp("fakes") / "reference"
    shutil.copytree(REFERENCE, folder)
    copy_deliveries(folder, FAKES, LATER)
    quantiles = pq.read_table(folder / QUANTILES_PARQUET)
    for name in quantiles.schema.names[1:]:
        quantiles = quantiles.append_column(str(int(name) + LATER), quantiles[name])
    pq.write_table(quantiles, folder / QUANTILES_PARQUET)
    copies = [renamed(row, FAKES, LATER) for row in reference.rows if row["transport"] in FAKES]
    return Run(folder, reference.facts, [*reference.rows, *copies])


def shown(run: Run) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_run(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def figures(run: Run) -> Iterator[tuple[str, Figure]]:
    """Yield all figures of a run by experiment and name."""
    plt.switch_backend("agg")
    run = FinishedRun(run)
    for experiment in EXPERIMENTS:
        for drawing in FIGURES.get(experiment, (REPEATS,)):
            figure = draw(drawing, run, experiment)
            if figure is not None:
                yield f"{experiment} {drawing.name}", figure
                plt.close(figure)


def texts(figure: Figure) -> list[str]:
    """Return all that is written in a figure, also of legends."""
    return [each.get_text() for each in figure.findobj(Text) if each.get_text()]


# By other names, all is the same


def test_by_other_names_a_run_is_told_in_the_same_words(
    reference: Run, reference_by_other_names: Run, request: pytest.FixtureRequest
) -> None:
    expected = shown(reference)
    request.getfixturevalue("other_names")
    found = shown(reference_by_other_names)
    for name, other in OTHER_NAMES.items():  # doubts name their trials as trials.csv does
        found = found.replace(other, name)
    assert found.split() == expected.split()


def test_by_other_names_the_same_figures_are_drawn(
    reference: Run, reference_by_other_names: Run, request: pytest.FixtureRequest
) -> None:
    expected = {name: sorted(texts(figure)) for name, figure in figures(reference)}
    request.getfixturevalue("other_names")
    assert {name: sorted(texts(figure)) for name, figure in figures(reference_by_other_names)} == expected


def plan(transports: list[str], profile: str) -> list[Planned]:
    return plan_run(list(EXPERIMENTS), transports, profile, 1, {})


def test_by_other_names_the_same_trials_are_planned(request: pytest.FixtureRequest) -> None:
    real = {profile: plan(main_names(), profile) for profile in PROFILES}
    request.getfixturevalue("other_names")
    for profile, expected in real.items():
        found = plan(main_names(), profile)
        assert [OTHER_NAMES[each.scenario.transport] for each in expected] == [
            each.scenario.transport for each in found
        ]
        assert [each.experiments for each in found] == [each.experiments for each in expected]


def test_by_other_names_two_runs_compare_the_same(
    reference: Run, reference_by_other_names: Run, request: pytest.FixtureRequest
) -> None:
    expected, chance = compare(reference, reference)
    request.getfixturevalue("other_names")
    found, by_chance = compare(reference_by_other_names, reference_by_other_names)
    assert str(by_chance) == str(chance)
    for a, b in zip(expected, found, strict=True):
        assert told(a, OTHER_NAMES) == told(b)


def told(comparison: Comparison, names: Mapping[str, str] | None = None) -> str:
    """Return a comparison as text, by other names of the transports."""
    names = names or {}
    transport, against = comparison.scenario["transport"], comparison.against or ""
    scenario = {**comparison.scenario, "transport": names.get(transport, transport)}
    return str(comparison._replace(scenario=scenario, against=names.get(against, against)))


# A fake beside its twin


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_fake_is_in_each_design_that_its_twin_is_in(profile: str, experiment: str, fakes: None) -> None:
    for transports in (main_names(), names_of()):
        planned = [
            (each.scenario, each.repeat, each.search)
            for each in plan_run([experiment], transports, profile, 1, {})
        ]
        for twin, fake in FAKES.items():
            own, copy = (
                sorted(str((each, *rest)) for each, *rest in planned if each.transport == name)
                for name in (twin, fake)
            )
            assert [each.replace(f"'{fake}'", f"'{twin}'") for each in copy] == own


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_fake_has_its_twins_rows_in_a_table(name: str, reference_with_fakes: Run, fakes: None) -> None:
    experiment = EXPERIMENTS[name]
    table, _ = experiment_table(experiment, reference_with_fakes.trials_of(name), reference_with_fakes)
    rows = [
        cells[isinstance(table, GroupedTable) :]  # what a group of rows shares stands at its first row only
        for cells in zip(*(map(words, column.cells) for column in table.columns), strict=True)
    ]
    for labels in ((TRANSPORTS[twin].label, fake) for twin, fake in FAKES.items()):
        own, copy = ([cells for first, *cells in rows if first == label] for label in labels)
        assert copy == own


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_sentence_names_a_fake_with_its_twins_figures(
    name: str, reference_with_fakes: Run, fakes: None
) -> None:
    trials = reference_with_fakes.trials_of(name)
    said = " ".join(findings(EXPERIMENTS[name], trials))
    for twin, fake in FAKES.items():
        own, copy = (figures_after(TRANSPORTS[each].label, said) for each in (twin, fake))
        assert copy == own
        assert (fake in said) == (TRANSPORTS[twin].label in said)
        if set(trials["transport"]) <= set(main_names()):  # else a twin is named with its variants, too
            assert said.count(fake) == said.count(TRANSPORTS[twin].label)


def figures_after(label: str, said: str) -> set[str]:
    """Return the figures that follow a label at once."""
    return set(re.findall(rf"(?<!by )\b{label} (?:takes )?([\d,.]*\d)\b", said))


def test_a_fake_is_in_each_figure_that_its_twin_is_in(reference_with_fakes: Run, fakes: None) -> None:
    drawn = {name: " ".join(texts(figure)) for name, figure in figures(reference_with_fakes)}
    assert len(drawn) > len(EXPERIMENTS)
    for name, said in drawn.items():
        if "decision" not in name and "herd" not in name:  # of two alike none is cheaper, and one is drawn
            for twin, fake in FAKES.items():
                assert (fake in said) == (TRANSPORTS[twin].label in said), name


def test_a_fake_has_a_marker_of_its_own(fakes: None) -> None:
    assert len({look(name)["marker"] for name in main_names()}) == len(main_names())


def test_a_fake_contends_in_the_decision_map(reference: Run, reference_with_fakes: Run, fakes: None) -> None:
    for chart in (wire_chart, cpu_chart):
        with_fakes, without = (chart(Evidence(run.trials)) for run in (reference_with_fakes, reference))
        costs = with_fakes.map()
        for twin, fake in FAKES.items():
            assert costs[fake].equals(costs[twin])
        places = ["rate_hz", "latency_s", "transport"]  # a run that knows no fake has its points all the same
        assert len(without.points)
        assert with_fakes.points[places].equals(without.points[places])


def test_what_theory_cannot_frame_is_no_contender_in_bytes(reference_with_fakes: Run, fakes: None) -> None:
    """As server-sent events would be: they push, and a frame of WebSocket is not what they send."""
    fake, evidence = FAKES["websocket"], Evidence(reference_with_fakes.trials)
    TRANSPORTS[fake] = TRANSPORTS[fake]._replace(framing="HTTP", heartbeats=False)
    chart = wire_chart(evidence)
    assert fake not in {*chart.costs, *chart.points["transport"]}
    assert len(chart.points)
    assert cpu_chart(evidence).costs[fake](1.0, 1.0) < cpu_chart(evidence).costs["websocket"](1.0, 1.0)


def test_a_fake_is_compared_as_its_twin_is(reference_with_fakes: Run, fakes: None) -> None:
    found = [each for each in compare(reference_with_fakes, reference_with_fakes)[0] if not each.against]
    for twin, fake in FAKES.items():
        own, copy = (
            [told(each, {fake: twin}) for each in found if each.scenario["transport"] == name]
            for name in (twin, fake)
        )
        assert copy == own


def test_a_fake_changes_no_verdict_on_its_twin(
    reference: Run, reference_with_fakes: Run, request: pytest.FixtureRequest
) -> None:
    claims = {entry.name: entry.verdict for entry in ledger(reference)}
    published = {each.name: each.judged_by(Evidence(reference.trials)).verdict for each in PUBLICATIONS}
    request.getfixturevalue("fakes")
    assert {entry.name: entry.verdict for entry in ledger(reference_with_fakes)} == claims
    evidence = Evidence(reference_with_fakes.trials)
    assert {each.name: each.judged_by(evidence).verdict for each in PUBLICATIONS} == published


def test_a_fake_is_in_a_published_figure_about_its_family(reference_with_fakes: Run, fakes: None) -> None:
    """Frames are counted of all that write them; whoever pushes is held against whoever polls."""
    evidence = Evidence(reference_with_fakes.trials)
    found = {each.name: each.judged_by(evidence) for each in PUBLICATIONS}
    frames = {label: cells for label, *cells in found["framing"].rows}
    assert frames["teller"] == frames["WebSocket"]
    for row in found["live-open-data"].rows:
        clients = dict(zip(found["live-open-data"].headings, row, strict=True))
        assert clients["teller\nwebsockets"] == clients["WebSocket\nwebsockets"]
        assert clients["asker\naiohttp"] == clients["short polling\naiohttp"]


@pytest.mark.parametrize("twin", FAKES)
def test_a_fake_is_measured(twin: str, fakes: None) -> None:
    row = run_trial(Scenario(FAKES[twin], clients=3, rate_hz=20, window_s=0.5, warmup_s=0.1), seed=1).row
    assert (row["transport"], row["verdict"] != "invalid") == (FAKES[twin], True)
    assert row["delivered"] == row["expected"] > 0


# Where names stand


NAMED_IN = ("bench/judge", "bench/course", "bench/transports.py")
"""As the subject of a sentence, or of an exercise; and where they are defined."""
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("bench", "clients")
    for path in (ROOT / folder).rglob("*.py")
    if not str(path.relative_to(ROOT)).startswith(NAMED_IN)
)


def names_in(source: str) -> list[str]:
    """Return the names of transports that stand in a source as values."""
    nodes = ast.walk(ast.parse(source))
    return [
        str(node.value) for node in nodes if isinstance(node, ast.Constant) and node.value in {*TRANSPORTS}
    ]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_behaviour_is_chosen_by_a_name(path: Path) -> None:
    assert not names_in((ROOT / path).read_text(encoding="utf-8"))


def test_a_name_is_found_where_it_decides() -> None:
    assert names_in('if row["transport"] == "websocket": ...') == ["websocket"]
    assert names_in('costs = {"short_polling_httptools": 1}') == ["short_polling_httptools"]
    assert not names_in('"""Two of them: short_polling and websocket."""')
