"""A run's files as people hand them on: cut, lost, saved by a spreadsheet program; and in a zip."""

import codecs
import contextlib
import csv
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from rich.console import Console

from bench.columns.catalogue import COLUMNS, IN_FILE
from bench.commands.app import main
from bench.report.summary import print_run
from bench.results.export import export_folder, export_zip
from bench.results.files import LARGEST_FILE_BYTES, ResultsError
from bench.results.run import Run, find_run
from tests.bench.results.test_run import FACTS, fake_deliveries, fake_row
from tests.older_runs import make_older, names_before

MUTATIONS = settings.default.max_examples // 8
"""Places of each file that are changed: few in make test, many in make fuzz."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A small run, with some trials that have deliveries."""
    run = Run.create(tmp_path / "results", {**FACTS, "environment": {"cpu": "a", "cores": 2}})
    for order in (1, 2, 3):
        run.add(fake_row(order, clients=1, seed=order, delivered=50, duplicates=0), fake_deliveries(50))
    return run


def told_by(path: Path, *, printed: bool = True) -> str:
    """Open a run, read and perhaps print all of it; return the sentence of its refusal, or nothing."""
    try:
        run = Run.open(path)
        if printed:
            print_run(run, Console(file=io.StringIO(), width=110))
        for row in run.rows:
            run.deliveries(row)
            with contextlib.suppress(KeyError):  # not kept
                run.latency_quantiles(row)
    except ResultsError as refusal:
        sentence = str(refusal)
        assert sentence
        assert "\n" not in sentence
        return sentence
    return ""


def as_spreadsheet(text: str, change: Callable[[str], str], delimiter: str = ",") -> str:
    written = io.StringIO()
    rows = [[change(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue()


def decimal_commas(cell: str) -> str:
    return cell.replace(".", ",") if cell.replace(".", "").isdigit() else cell


CHANGES: dict[str, tuple[Callable[[str], Any], str]] = {
    "half a line": (lambda text: text[:-20], "ends in the middle of line 4"),
    "a line lost": (
        lambda text: text.rpartition("\nfreshness")[0] + "\n",
        "has 2 rows where run.json counts 3",
    ),
    "a row twice": (lambda text: text + text.splitlines(keepends=True)[-1], "stands there twice"),
    "empty": (lambda text: "", "is empty"),
    "an LFS pointer": (
        lambda text: "version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        "git lfs pull",
    ),
    "semicolons": (
        lambda text: as_spreadsheet(text, decimal_commas, ";"),
        "line 1 is not separated by commas",
    ),
    "tabs": (lambda text: as_spreadsheet(text, str, "\t"), "line 1 is not separated by commas"),
    "sep=": (lambda text: "sep=,\n" + text, "line 1 is not separated by commas"),
    "decimal commas": (lambda text: as_spreadsheet(text.replace("3,", "3.5,"), decimal_commas), "not a"),
    "a byte order mark": (lambda text: codecs.BOM_UTF8 + text.encode(), "byte order mark"),
    "UTF-16": (lambda text: text.encode("utf-16"), "byte order mark"),
    "not UTF-8": (lambda text: text.replace("steady", "stähdy").encode("latin-1"), "not UTF-8"),
    "capital flags": (lambda text: text.replace("False", "FALSE"), "is 'FALSE', not True or False"),
    "a date": (lambda text: text.replace(",128,", ",01. Okt,"), "not a whole number"),
    "rounded": (lambda text: text.replace(",1460,", ",1.46E+03,"), "not a whole number"),
    "a lost column": (
        lambda text: text.replace("latency_p50_ms", "latency"),
        "lost the column latency_p50_ms",
    ),
    "a column twice": (
        lambda text: text.replace("search_step,", "trial_number,"),
        "line 1 names trial_number twice",
    ),
    "a lost cell": (lambda text: text.replace("freshness,", "", 1), "has 87 cells, not 88"),
    "a figure changed": (lambda text: text.replace(",3,", ",4,", 1), "was changed after it was measured"),
    "an unknown verdict": (lambda text: text.replace(",ok,", ",fine,"), "digest"),
    "an open quotation mark": (lambda text: text.replace("freshness", '"freshness', 1), "line"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_trials_that_are_not_as_written_are_one_sentence(run: Run, change: str) -> None:
    path = run.folder / "trials.csv"
    changed, said = CHANGES[change]
    content = changed(path.read_text(encoding="utf-8"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    told = told_by(run.folder)
    if change == "a lost cell":
        said = f"has {len(COLUMNS) - 1} cells, not {len(COLUMNS)}"
    assert str(path) in told
    assert said in told


@pytest.mark.parametrize(
    "content",
    [
        "[]", "null", "3", '"run"', "{}", "{", "", "[" * 100_000, '{"schema": 4}', '{"seed": 1e999}',
        "\ufeff{}", "version https://git-lfs.github.com/spec/v1\n",
    ],
)  # fmt: skip
def test_a_run_json_that_is_none_is_one_sentence(run: Run, content: str) -> None:
    path = run.folder / "run.json"
    path.write_text(content, encoding="utf-8")
    assert str(path) in told_by(run.folder)


ODD = [None, True, -1, 0, 7, 1.5, 10**30, "", "x", "\ud800", [], [1], ["x"], {}, {"x": 1}, {"rows": "3"}]


@pytest.mark.parametrize(
    "key", ["schema", "started", "profile", "seed", "experiments", "transports", "overrides"]
)
def test_a_fact_that_is_lost_or_odd_is_one_sentence(run: Run, key: str) -> None:
    path = run.folder / "run.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps({name: value for name, value in facts.items() if name != key}), encoding="utf-8"
    )
    assert f"{path} has lost '{key}'" in told_by(run.folder)
    for value in ODD:
        path.write_text(json.dumps(facts | {key: value}), encoding="utf-8")
        told = told_by(run.folder)
        assert not told or str(path) in told
        if type(value) is not type(facts[key]):
            assert told


@pytest.mark.parametrize("key", ["command", "environment", "trials", "digests"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_other_facts_may_be_anything_without_a_traceback(run: Run, key: str, value: Any) -> None:
    path = run.folder / "run.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | {key: value}), encoding="utf-8")
    told = told_by(run.folder)
    assert not told or str(path) in told
    assert told or key in ("command", "environment")


@pytest.mark.parametrize("name", ["run.json", "trials.csv", "deliveries/0001_websocket.parquet"])
def test_a_folder_in_place_of_a_file_is_one_sentence(run: Run, name: str) -> None:
    (run.folder / name).unlink()
    (run.folder / name).mkdir()
    assert f"{run.folder / name} is a folder where a file is due" in told_by(run.folder)


def test_deliveries_that_are_not_whole_are_one_sentence(run: Run) -> None:
    path = run.folder / "deliveries" / "0002_websocket.parquet"
    whole = path.read_bytes()
    for content in (
        b"",
        b"PAR1",
        whole[:-1],
        whole[1:],
        whole[: len(whole) // 2],
        b"version https://git-lfs.git",
    ):
        path.write_bytes(content)
        assert str(path) in told_by(run.folder)
    shorter = Run.create(run.folder.parent, FACTS)
    shorter.add(fake_row(2), fake_deliveries(40))
    shutil.copy(shorter.folder / "deliveries" / path.name, path)
    assert f"{path} has 40 rows where trials.csv counts 50" in told_by(run.folder)


@pytest.mark.hypothesis
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "older"])
def test_no_mutation_of_a_run_is_a_traceback_and_no_cut_is_silent(run: Run, counted: bool) -> None:
    """Cut, overwrite and insert at many places; of a run without a count only what shows can be told."""
    if not counted:
        make_older(run, 3)
    rng = random.Random(16)
    for path in [
        run.folder / "run.json",
        run.folder / "trials.csv",
        *sorted(run.folder.rglob("0001*.parquet")),
    ]:
        whole = path.read_bytes()
        for _ in range(MUTATIONS):
            at = rng.randrange(len(whole))
            byte = bytes([rng.choice([rng.randrange(256), *b',;"\n{}[]0.-'])])
            mutants = (whole[:at], whole[:at] + byte + whole[at + 1 :], whole[:at] + byte + whole[at:])
            for cut, mutant in zip((True, False, False), mutants, strict=True):
                path.write_bytes(mutant)
                told = told_by(run.folder, printed=not counted and path.suffix == ".csv" and not cut)
                assert not told or path.name in told or "run.json" in told
                shows = counted or path.suffix != ".csv" or not mutant.endswith(b"\n")
                if mutant.strip() != whole.strip() and (
                    (cut and shows) or (counted and path.suffix == ".csv")
                ):
                    assert told
        path.write_bytes(whole)
    assert told_by(run.folder) == ""


def test_a_machine_that_stopped_between_the_two_files_leaves_a_readable_run(run: Run) -> None:
    before = (run.folder / "run.json").read_bytes()
    run.add(fake_row(4))
    (run.folder / "run.json").write_bytes(before)
    again = Run.open(run.folder)
    assert len(again.rows) == 4
    again.add(fake_row(5))
    assert len(Run.open(run.folder).rows) == 5


def test_line_ends_that_git_has_changed_are_no_change(run: Run) -> None:
    path = run.folder / "trials.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(Run.open(run.folder).rows) == 3


@pytest.mark.parametrize("column", [name for name, column in IN_FILE.items() if column.filled])
def test_an_older_run_lacks_none_of_the_columns_that_tell_what_a_row_is(run: Run, column: str) -> None:
    make_older(run, 3)
    assert told_by(run.folder) == ""
    path = run.folder / "trials.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {names_before(3).get(column, column): ""} for row in rows)
    assert f"line 2: {column} is empty" in told_by(run.folder)


def test_an_older_run_with_a_column_by_its_old_and_its_new_name_is_refused(run: Run) -> None:
    make_older(run, 3)
    path = run.folder / "trials.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    doubled = "\n".join([f"{head},bottleneck", *(f"{line}," for line in lines)]) + "\n"
    path.write_text(doubled, encoding="utf-8")
    assert "has both limit and bottleneck" in told_by(run.folder)


def test_the_command_line_tells_it_in_one_line_with_exit_code_1(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.folder / "trials.csv"
    path.write_bytes(path.read_bytes().replace(b",", b";"))
    for command in (
        ["show"],
        ["compare", str(run.folder)],
        ["report"],
        ["plot"],
        ["literature"],
        ["claims"],
        ["export"],
    ):
        monkeypatch.setattr("sys.argv", ["bench", *command, str(run.folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(path) in line


# Zips


def test_a_zip_tells_what_its_run_tells(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / f"{run.folder.name}.zip"
    path.parent.mkdir()
    export_zip(run, path, keep_orders=[1])
    export_folder(run, tmp_path / run.folder.name, keep_orders=[1])
    zipped, folder = Run.open(path), Run.open(tmp_path / run.folder.name)
    assert zipped.folder.name == run.folder.name
    assert zipped.trials.equals(folder.trials)
    for row in zipped.rows:
        assert zipped.latency_quantiles(row).equals(folder.latency_quantiles(row))
    first, second, _ = zipped.rows
    assert zipped.deliveries(first) is not None
    assert zipped.deliveries(second) is None
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert find_run(tmp_path, str(path)) == path


def test_a_run_that_was_zipped_by_hand_opens_too(run: Run, tmp_path: Path) -> None:
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", run.folder)
    nested = shutil.make_archive(str(tmp_path / "nested"), "zip", run.folder.parent, run.folder.name)
    assert told_by(Path(flat)) == told_by(Path(nested)) == ""


def test_the_same_run_is_the_same_zip(run: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    for path in (one, two):
        export_zip(run, path, [])
    assert one.read_bytes() == two.read_bytes()


def test_what_is_no_zip_of_a_run_is_one_sentence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    export_zip(run, path, [1])
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:-30], whole[:200], b"version https://git-lfs.github.com/spec/v1\n"):
        path.write_bytes(content)
        assert str(path) in told_by(path)
    for names in ([], ["a.txt"], ["a/run.json", "b/run.json"], ["a/b/run.json"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "{}")
        assert "no run" in told_by(path) or "2 runs" in told_by(path)
    rng = random.Random(1)
    for _ in range(MUTATIONS * 3):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([rng.randrange(256)]) + whole[at + 1 :])
        told = told_by(path, printed=False)
        assert not told or str(path) in told


def test_names_that_leave_the_zip_reach_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "inner" / "slip.zip"
    path.parent.mkdir()
    for top in ("..", "/tmp", "C:"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in run.contents().items():
                archive.writestr(f"{top}/{name}", content)
            archive.writestr("../../escaped.txt", "x")
        told_by(path)
        assert [each.name for each in path.parent.iterdir()] == ["slip.zip"]
        assert not list(tmp_path.rglob("escaped.txt"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", run.contents()["run.json"])
        with archive.open("trials.csv", "w", force_zip64=True) as file:
            file.write(b"0" * 2**20)
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("trials.csv").file_size
    claim = path.read_bytes().replace(
        size.to_bytes(4, "little"), (LARGEST_FILE_BYTES + 1).to_bytes(4, "little")
    )
    path.write_bytes(claim)
    assert "no file of a run is as large" in told_by(path)
