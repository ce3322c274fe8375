"""The commands that measure: a run, this machine's doctor, and a run copied in small."""

import random
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bench.commands.arguments import (
    DONE,
    FAILED,
    SUSPECT,
    USAGE,
    OpenOption,
    PresetOption,
    ResultsOption,
    RunArgument,
    SettingsOption,
    complain,
    err,
    out,
    parse_overrides,
    print_json,
    sort_names,
    with_preset,
)
from bench.experiments import QUESTIONS
from servers.interrupts import INTERRUPTED


def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[all | EXPERIMENT… TRANSPORT…]", help="What to measure.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short repeat: a first look.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Ten long repeats: for the night.")] = False,
    settings: SettingsOption = None,
    preset: PresetOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order, plans and prices.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an unfinished run.")] = None,
    results: ResultsOption = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the trials as JSON instead of tables.")
    ] = False,
    show: OpenOption = False,
) -> None:
    """Measure; print a table and a sentence per experiment; write results, figures and a page of all."""
    if quick and full:
        complain("--quick and --full exclude each other; choose one", USAGE)
    if resume is not None and (names or settings or preset or quick or full or seed is not None):
        complain("--resume takes everything from the run; give nothing else with it", USAGE)
    if resume is None and not names:
        complain("say what to measure: bench run all, or names from bench list", USAGE)
    experiments, transports = sort_names(names or ())
    overrides = with_preset(preset, parse_overrides(settings))

    from bench.commands.finish import open_page, write_page_of
    from bench.measure import environment, machine
    from bench.measure.box import unavailable
    from bench.measure.schedule import digests, measure_beside, plan_again, plan_run
    from bench.report.doubts import doubts
    from bench.report.progress import run_watched
    from bench.report.summary import print_run
    from bench.results.run import Run, find_run
    from clients.sockets.limits import raise_descriptor_limit

    if resume is not None:
        path = find_run(results, resume)
        if path.is_file():
            complain(
                f"{path} is a zip, and nothing can be added to it; unpack it, and resume the folder", USAGE
            )
        measured = Run.open(path)
        planned = plan_again(measured)
    else:
        facts: dict[str, Any] = {
            "command": shlex.join(["bench", *sys.argv[1:]]),
            "profile": "quick" if quick else "full" if full else "standard",
            "seed": random.randrange(10**6) if seed is None else seed,
            "experiments": experiments,
            "transports": transports,
            "overrides": overrides,
            "environment": machine.describe(),
            "process_environment": environment.recorded(),
        }
        planned = plan_run(experiments, transports, facts["profile"], facts["seed"], overrides)
        if not planned:
            asked = ", ".join(names or ())
            if plan_run(experiments, transports, "standard", facts["seed"], overrides):
                complain(f"nothing to measure: a quick run has nothing of {asked}; leave out --quick", USAGE)
            complain(f"nothing to measure: {asked} have nothing in common; see bench list", USAGE)
        measured = Run.create(results, {**facts, "digests": digests(planned)})
    measure_beside(measured, planned)
    if (with_link := [each for each in planned if each.scenario.rtt_ms is not None]) and (
        reason := unavailable()
    ):
        err.print(f"bench: {len(with_link)} of {len(planned)} trials have a link and are skipped: {reason}")
        planned = [each for each in planned if each not in with_link]
        if not planned:
            raise typer.Exit(FAILED)
    raise_descriptor_limit(max(each.scenario.clients for each in planned))
    finished = run_watched(measured, planned, out, err, quiet=as_json)
    if as_json:
        print_json(measured.records())
    elif measured.rows:
        print_run(measured, out)
    err.print(f"\nResults: {measured.folder}", soft_wrap=True)
    if not finished:
        raise typer.Exit(INTERRUPTED)
    page = write_page_of(measured)
    if page is not None:
        if show:
            open_page(page)
        err.print(f"Page, with all figures: {page}", soft_wrap=True)
    raise typer.Exit(SUSPECT if doubts(measured, QUESTIONS) else DONE)


def doctor(
    noise: Annotated[bool, typer.Option(help="Measure the noise floor too: half a minute.")] = True,
) -> None:
    """Print what this machine can and cannot measure, what to do about it, and its noise floor."""
    from bench.measure.doctor import MISSING, examine, measure_noise
    from bench.report.doctor import MARKS, print_noise

    missing = []
    for finding in examine():
        out.print(Text.assemble(MARKS[finding.state], f" {finding.what:26} {finding.found}"))
        if finding.advice:
            out.print(f"{'':29}{finding.advice}", style="dim", soft_wrap=True)
        if finding.state == MISSING:
            missing.append(finding.what)
    if noise:
        out.print(
            "\nThe instrument against itself: one scenario, measured as A and as B in turn …", style="dim"
        )
        print_noise(measure_noise(), out)
    if missing:
        out.print(f"\nThis machine cannot measure as it should: {', '.join(missing)}.")
    raise typer.Exit(SUSPECT if missing else DONE)


def export(
    name: RunArgument = None,
    target: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a folder; without it RUN.zip is written here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Copy a run in small: all trials, quantiles of each, deliveries where figures show single ticks.

    A folder gets the figure of the front door, too.
    """
    from bench.results.export import export_folder, export_zip
    from bench.results.run import Run, find_run

    source = Run.open(find_run(results, name))
    first: dict[str, int] = {}
    for row in source.rows:
        first[row["experiments"]] = min(row["repeat"], first.get(row["experiments"], row["repeat"]))
    kept = [
        row["trial_number"]
        for row in source.rows
        if row["repeat"] == first[row["experiments"]]
        and ("freshness" in row["experiments"].split() or row["incident"] is not None)
    ]
    if target is None:
        written = Path(f"{source.folder.name}.zip")
        export_zip(source, written, kept, force=force)
    else:
        from bench.report.matplotlib_start import start_matplotlib

        written = target
        export_folder(source, target, kept, force=force)
        start_matplotlib()
        from bench.report.plots.figures import write_front_figures

        write_front_figures(source, target)
    files = [written, *written.rglob("*")]
    size_kb = sum(path.stat().st_size for path in files if path.is_file()) / 1e3
    out.print(f"{written}: {len(source.rows)} trials, {size_kb:,.0f} kB")
