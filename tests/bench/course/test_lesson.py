"""The face that notebooks import: what it exports is a list, and the course imports nothing else of bench."""

import ast
import subprocess
import sys

import pandas as pd
import pytest

import bench.course
from bench.course import lesson
from bench.course.notebooks import FOLDER, find_notebooks, read
from bench.results.run import REFERENCE

EXPORTED = """
ALLOWED_LATE_RATIO ASSUMED_PERIODS Bottleneck CLAIM_OPEN CLIENTS_LIMIT_MS CLIENTS_SETTINGS Evidence
HARDLY_RATIO INK LLM_WEBTRANSPORT LUBBERS_GRECO LUBBERS_GRECO_FRAME_BYTES LUBBERS_GRECO_HEADER_BYTES Link
MAIN_TRANSPORTS MODEL_LINE OVERHEAD_SETTINGS PAPER PUBLICATION_FALLS RATE_SETTINGS RATE_USUAL_SETTINGS
RFC6455 SEGMENT_HEADER_BYTES Scenario TRANSPORTS TSAQIEF_SUTOPO TYPICAL_CURSOR Tag VAN_DE_VYVERE
VAN_DE_VYVERE_LATENCIES_S WEBSOCKETS_MEMORY array_bytes bottleneck_words break_even_hz busy_trials
capacity_ratio capacity_words claims_ledger code_of colour computed_request_bytes computed_response_bytes
confidence_interval cpu_chart delivery_costs draw_figure equal_bytes_interval_s equal_bytes_s estimate
estimates event_framing_bytes experiment_finding experiment_rows fault_counts heartbeat_bytes_per_s
judge_vertical_scaling kept_quantiles label label_frame live live_trials logarithmic long_polling_latency
long_polling_ticks_per_answer longest_interval_s measured_transports new_figure number open_run plot_age
plot_decision plot_scaling plot_sequence poll_clients poll_costs polling_traffic push_clients push_traffic
ranked ratio record_conversation request_bytes response_head_bytes results_folder say segments serving
share_labels short_polling_latency silent_client_memory_kb single_trials source_age_ms
staying_in_touch_bytes style tag_right ticks_needed times turned_into_polling_words websocket_header_bytes
whiskers wire_bytes wire_chart with_interval
""".split()
"""What lecturers' notebooks may rely on: a name may be added, and none goes."""
OF_THE_PACKAGE = "live live_trials open_run results_folder say serving".split()
"""What notebooks imported before there was a lesson."""


def imported_of_bench(source: str) -> list[tuple[str, str]]:
    """Return module and name of what code imports of bench."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return [(module, name) for module, name in found if module.split(".")[0] == "bench"]


def code_of_the_course() -> dict[str, list[str]]:
    """Return the sources of each notebook and of each file that students begin with or read."""
    sources = {
        path.name: [cell.source for cell in read(path).cells if cell.cell_type == "code"]
        for path in find_notebooks()
    }
    return sources | {str(path.relative_to(FOLDER)): [path.read_text(encoding="utf-8")] for path in FILES}


FILES = sorted(FOLDER.glob("*/**/*.py"))
USED = {
    name: [found for source in sources for found in imported_of_bench(source)]
    for name, sources in code_of_the_course().items()
}


def test_it_exports_what_is_listed() -> None:
    assert sorted(lesson.__all__) == EXPORTED
    assert all(hasattr(lesson, name) for name in EXPORTED)


@pytest.mark.parametrize("name", USED)
def test_the_course_imports_only_the_lesson(name: str) -> None:
    assert {module for module, _ in USED[name]} <= {"bench.course.lesson"}
    assert {imported for _, imported in USED[name]} <= set(EXPORTED)


def test_each_export_is_for_the_course() -> None:
    """Only the way to runs elsewhere, what an exercise asks for, and what was in a cell once, are in none."""
    used = {name for found in USED.values() for _, name in found}
    once = {"PUBLICATION_FALLS", "Tag", "tag_right"}
    assert set(EXPORTED) - used == {"long_polling_latency", "results_folder", *once}


def test_the_transports_of_trials_are_told_in_the_order_of_the_registry() -> None:
    trials = pd.DataFrame({"transport": ["websocket", "websocket_picows", "long_polling", "websocket"]})
    assert lesson.measured_transports(trials) == ["long_polling", "websocket"]
    assert lesson.measured_transports(trials, "push", "pull") == ["websocket"]


@pytest.mark.parametrize("name", OF_THE_PACKAGE)
def test_older_notebooks_import_of_the_package(name: str) -> None:
    assert getattr(bench.course, name) is getattr(lesson, name)


def test_the_package_has_no_other_names() -> None:
    assert sorted(bench.course.__all__) == OF_THE_PACKAGE
    with pytest.raises(ImportError, match="plot_age"):
        from bench.course import plot_age  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize("module", ["slides", "grading.report", "grading.__main__"])
def test_slides_and_grading_begin_without_the_lesson(module: str) -> None:
    """It loads pandas, matplotlib and IPython, which each process of a student's code would wait for."""
    script = f"import sys, bench.course.{module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert not {"pandas", "matplotlib", "IPython", "bench.course.lesson"} & set(ran.stdout.split())


def test_a_figure_that_is_not_there_is_answered_with_those_that_are() -> None:
    run = lesson.open_run(REFERENCE)
    with pytest.raises(ValueError, match="interval has no figure 'age'; it has: frontier, model, repeats"):
        lesson.draw_figure(run, "interval", "age")


def test_code_is_shown_as_it_stands_without_its_docstrings() -> None:
    told = lesson.code_of("bench/locust/beginners.py", "ShortPollingUser", "report")
    assert told.startswith("```python\nclass ShortPollingUser(FastHttpUser):\n    wait_time = ")
    assert told.endswith("        )\n```")
    assert "\n\n    @task\n    def poll(self) -> None:\n        query = " in told
    assert '"""' not in told
    assert told.index("class ShortPollingUser") < told.index("def report")
    with pytest.raises(ValueError, match=r"beginners\.py has no Nobody; it has: report, WebSocketUser"):
        lesson.code_of("bench/locust/beginners.py", "Nobody")
