"""The command line: arguments and words only. What is done is done elsewhere."""

import itertools
import json
import random
import shlex
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bench import environment, machine
from bench.certificate import make_certificate
from bench.command_line import (
    DONE,
    FAILED,
    SUSPECT,
    USAGE,
    Commands,
    complain,
    err,
    nearest,
    out,
    parse_overrides,
    sort_names,
)
from bench.compare import compare
from bench.compare_report import as_records, notes, print_comparison
from bench.course_cli import add_to as add_course_commands
from bench.doctor import GOOD, LIMITED, MISSING, examine, measure_noise
from bench.doubts import doubts
from bench.drawing import start_matplotlib
from bench.experiments import EXPERIMENTS
from bench.export import export_folder, export_zip
from bench.grading.submission import SubmissionError
from bench.judgements_cli import add_to as add_judgement_commands
from bench.notebooks import NotebooksError, UnknownNotebook
from bench.printable import shown
from bench.processes import TrialFailed, running_server
from bench.progress import run_watched
from bench.report import print_noise, print_run
from bench.results import ResultsError, Run, find_run
from bench.scenario import FIELDS, Scenario, ScenarioError
from bench.schedule import digests, plan_again, plan_run
from bench.terminal import replace_missing_signs
from bench.trace import listing, record
from bench.transports import TRANSPORTS
from clients.limits import raise_descriptor_limit
from clients.stream import AddressError, stream
from clients.tls_socket import CertificateError
from servers.__main__ import main as serve_main
from servers.interrupts import INTERRUPTED
from servers.options import ServerOptions
from servers.recording import RecordingError

USAGE_ERRORS = (
    SubmissionError,
    ScenarioError,
    RecordingError,
    AddressError,
    CertificateError,
    UnknownNotebook,
)


app = typer.Typer(
    cls=Commands,
    help="Measure real-time web transports: short polling, long polling, WebSocket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the runs.")]
RunArgument = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or path; the newest.")]


def main() -> None:
    """Run the command line; every expected fault is one sentence and an exit code, never a traceback."""
    replace_missing_signs()
    try:
        app()
    except USAGE_ERRORS as error:
        complain(str(error), USAGE)
    except (ResultsError, TrialFailed, NotebooksError, OSError) as error:
        complain(str(error), FAILED)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[all | EXPERIMENT… TRANSPORT…]", help="What to measure.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short repeat: a first look.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Ten long repeats: for the night.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a scenario field.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order, plans and prices.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an unfinished run.")] = None,
    results: ResultsOption = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the trials as JSON instead of tables.")
    ] = False,
) -> None:
    """Measure, write results, and print a table and a sentence per experiment."""
    if quick and full:
        complain("--quick and --full exclude each other; choose one", USAGE)
    if resume is not None:
        if names or settings or quick or full or seed is not None:
            complain("--resume takes everything from the run; give nothing else with it", USAGE)
        path = find_run(results, resume)
        if path.is_file():
            complain(
                f"{path} is a zip, and nothing can be added to it; unpack it, and resume the folder", USAGE
            )
        measured = Run.open(path)
        planned = plan_again(measured)
    else:
        if not names:
            complain("say what to measure: bench run all, or names from bench list", USAGE)
        experiments, transports = sort_names(names)
        facts: dict[str, Any] = {
            "command": shlex.join(["bench", *sys.argv[1:]]),
            "profile": "quick" if quick else "full" if full else "standard",
            "seed": random.randrange(10**6) if seed is None else seed,
            "experiments": experiments,
            "transports": transports,
            "overrides": parse_overrides(settings or []),
            "environment": machine.describe(),
            "process_environment": environment.recorded(),
        }
        planned = plan_run(experiments, transports, facts["profile"], facts["seed"], facts["overrides"])
        if not planned:
            complain(f"nothing to measure: {', '.join(names)} have nothing in common; see bench list", USAGE)
        measured = Run.create(results, {**facts, "digests": digests(planned)})
    raise_descriptor_limit(max(each.scenario.clients for each in planned))
    finished = run_watched(measured, planned, out, err, quiet=as_json)
    if as_json:
        out.print_json(json.dumps(json.loads(measured.trials.to_json(orient="records"))), ensure_ascii=True)
    elif measured.rows:
        print_run(measured, out)
    err.print(f"\nResults: {measured.folder}", soft_wrap=True)
    raise typer.Exit(INTERRUPTED if not finished else SUSPECT if doubts(measured, EXPERIMENTS) else DONE)


@app.command("list")
def list_() -> None:
    """List the experiments, the transports, and the fields that --set reaches."""
    experiments = Table(
        title="Experiments", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    transports = Table(
        title="\nTransports", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    fields = Table(
        title="\nFields for --set", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for table in (experiments, transports, fields):
        table.show_header = False
    for experiment in EXPERIMENTS.values():
        experiments.add_row(f"  {experiment.name}", experiment.question)
    for transport in TRANSPORTS.values():
        transports.add_row(f"  {transport.name}", transport.label)
    documented = {
        name.strip(): text.strip()
        for line in (Scenario.__doc__ or "").partition("Fields:")[2].splitlines()
        if ":" in line
        for names, _, text in [line.partition(":")]
        for name in names.split(",")
    }
    for name, field in FIELDS.items():
        default = "" if field.default is None else f"(default {field.default})"
        fields.add_row(f"  {name}", f"{documented.get(name, '')} {default}")
    for table in (experiments, transports, fields):
        out.print(table)


@app.command()
def show(
    name: RunArgument = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="EXPERIMENT", help="Show this one only; may be repeated.")
    ] = None,
    results: ResultsOption = Path("results"),
    brief: Annotated[bool, typer.Option("--brief", help="The questions and the sentences only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trials as JSON.")] = False,
) -> None:
    """Print the tables and sentences of a run."""
    for experiment in only or ():
        if experiment not in EXPERIMENTS:
            nearest(experiment, EXPERIMENTS, "experiment")
    opened = Run.open(find_run(results, name))
    if as_json:
        out.print_json(json.dumps(json.loads(opened.trials.to_json(orient="records"))), ensure_ascii=True)
        return
    facts = opened.facts
    cpu, cores, system, python = (
        facts.get("environment", {}).get(name, "unknown") for name in ("cpu", "cores", "system", "python")
    )
    out.print(
        f"Run {opened.folder.name} · {facts['started']} · profile {facts['profile']} · seed {facts['seed']}\n"
        f"{cpu}, {cores} cores · {system} · Python {python}",
    )
    print_run(opened, out, only=only or (), brief=brief)


@app.command("compare")
def compare_(
    name_a: Annotated[str, typer.Argument(metavar="A", help="A run's name or path.")],
    name_b: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
    results: ResultsOption = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparisons as JSON.")] = False,
) -> None:
    """Print what differs between two runs: B over A, with 95 % intervals."""
    run_a, run_b = (Run.open(find_run(results, name)) for name in (name_a, name_b))
    comparisons, chance = compare(run_a, run_b)
    if as_json:
        out.print_json(json.dumps(as_records(comparisons)), ensure_ascii=True)
        return
    print_comparison(comparisons, chance, out, notes(run_a, run_b))


@app.command()
def doctor(
    noise: Annotated[bool, typer.Option(help="Measure the noise floor too: half a minute.")] = True,
) -> None:
    """Print what this machine can and cannot measure, what to do about it, and its noise floor."""
    marks = {GOOD: ("✓", "green"), LIMITED: ("!", "yellow"), MISSING: ("✗", "red")}
    findings = []
    for finding in examine():
        findings.append(finding)
        out.print(Text.assemble(marks[finding.state], f" {finding.what:26} {finding.found}"))
        if finding.advice:
            out.print(f"{'':29}{finding.advice}", style="dim", soft_wrap=True)
    if noise:
        out.print(
            "\nThe instrument against itself: one scenario, measured as A and as B in turn …", style="dim"
        )
        print_noise(measure_noise(), out)
    missing = [finding.what for finding in findings if finding.state == MISSING]
    if missing:
        out.print(f"\nThis machine cannot measure as it should: {', '.join(missing)}.")
    raise typer.Exit(SUSPECT if missing else DONE)


@app.command("export")
def export_(
    name: RunArgument = None,
    target: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a folder; without it RUN.zip is written here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Copy a run in small: all trials, quantiles of each, deliveries of the first block's freshness."""
    source = Run.open(find_run(results, name))
    kept = [
        row["order"] for row in source.rows if row["repeat"] == 1 and "freshness" in row["experiment"].split()
    ]
    if target is None:
        written = Path(f"{source.folder.name}.zip")
        export_zip(source, written, kept, force=force)
    else:
        written = target
        export_folder(source, target, kept, force=force)
    files = [written, *written.rglob("*")]
    size_kb = sum(path.stat().st_size for path in files if path.is_file()) / 1e3
    out.print(f"{written}: {len(source.rows)} trials, {size_kb:,.0f} kB")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def serve(context: typer.Context) -> None:
    """Serve the live ticker over one transport, for curl, a browser or any client."""
    raise typer.Exit(serve_main(context.args, program="bench serve"))


@app.command()
def watch(
    transport: Annotated[str, typer.Argument(help="A transport, see bench list.")],
    url: Annotated[str | None, typer.Option(help="A running server's; without it, one is started.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of who signed its certificate; else whom the system trusts.")
    ] = None,
    ticks: Annotated[int | None, typer.Option(help="Stop after so many.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a scenario field.")
    ] = None,
) -> None:
    """Show one client's ticks as they come: their age, their bytes, and the answer or frame they came by."""
    if transport not in TRANSPORTS:
        nearest(transport, TRANSPORTS, "transport")
    if ticks is not None and ticks < 1:
        complain(f"--ticks is {ticks}; it must be 1 or more, or left out: then Ctrl-C stops", USAGE)
    if ca is not None and url is None:
        complain("--ca is for a running server; give its --url, too", USAGE)
    overrides = {name: values[0] for name, values in parse_overrides(settings or []).items()}
    entry = TRANSPORTS[transport]
    of_server = [name for name in overrides if name not in entry.client_class.settings]
    if url is not None and of_server:
        complain(f"the server at {url} runs already; leave out --set {of_server[0]}", USAGE)
    scenario = Scenario(transport, **{"clients": 1, "rate_hz": 4.0, **overrides})
    carrier = "answer" if entry.client_class.pulls else "frame"
    try:
        with ExitStack() as stack:
            address, trusted = url, None if ca is None else str(ca)
            if address is None:
                certificate = None
                if scenario.tls:
                    folder = stack.enter_context(TemporaryDirectory(prefix="bench-"))
                    certificate, trusted = make_certificate(Path(folder), ServerOptions.host)
                options = scenario.server_options(certificate=certificate)
                address = stack.enter_context(running_server(entry.server, options)).url
            listening = stream(entry.client, address, ca=trusted, **scenario.client_settings())
            arrivals = stack.enter_context(closing(listening))  # before the server, which waits for it
            err.print(f"{entry.label} at {shown(address)}, Ctrl-C stops")
            out.print(
                f"{'tick':>8}  {'symbol':8}{'price':>9}  {'age':>10}  {'read':>8}  came by", style="bold"
            )
            last = 0
            for arrival in itertools.islice(arrivals, ticks):
                tick = arrival.tick
                same = arrival.message == last
                out.print(
                    f"{tick.seq:>8}  {shown(tick.symbol):8}{arrival.price_text:>9}  {arrival.age_ms:>7.1f} ms"
                    + (
                        "       ″    ″"
                        if same
                        else f"  {arrival.read_bytes:>6} B  {carrier} {arrival.message}"
                    ),
                    soft_wrap=True,
                )
                last = arrival.message
    except KeyboardInterrupt:
        pass
    except TimeoutError as error:
        complain(f"{shown(str(error))}; is {address} a {entry.label} server?", FAILED)


add_course_commands(app)
add_judgement_commands(app)


@app.command()
def plot(name: RunArgument = None, results: ResultsOption = Path("results")) -> None:
    """Draw the figures of a run, as PNG and SVG, into its folder figures."""
    start_matplotlib()
    from bench.plots import save_figures  # takes a second

    written = save_figures(Run.open(find_run(results, name)))
    for path in written:
        out.print(str(path), soft_wrap=True)
    if not written:
        complain("there is nothing to draw: the run has no valid trials yet", FAILED)


@app.command("report")
def report_(name: RunArgument = None, results: ResultsOption = Path("results")) -> None:
    """Write a run as one page, report.html in its folder, that opens without a network."""
    start_matplotlib()
    from bench.page import write_page  # takes a second

    out.print(str(write_page(Run.open(find_run(results, name)))), soft_wrap=True)


@app.command()
def wire(
    transports: Annotated[list[str], typer.Argument(metavar="TRANSPORT…", help="One or more transports.")],
    seconds: Annotated[float, typer.Option(help="For how long to listen.")] = 2.0,
    figure: Annotated[Path | None, typer.Option(help="Draw it too: a .png, .svg or .pdf.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a scenario field.")
    ] = None,
) -> None:
    """Print what one client and its server say to each other: time, direction, bytes, and what it is."""
    for transport in transports:
        if transport not in TRANSPORTS:
            nearest(transport, TRANSPORTS, "transport")
    if figure is not None and figure.suffix not in (".png", ".svg", ".pdf"):
        complain(f"--figure is a .png, .svg or .pdf, not {str(figure)!r}", USAGE)
    overrides = {name: values[0] for name, values in parse_overrides(settings or []).items()}
    traces = {transport: record(transport, seconds, overrides) for transport in dict.fromkeys(transports)}
    for transport, events in traces.items():
        out.print(f"{TRANSPORTS[transport].label}, {seconds:g} s", style="bold")
        out.print("\n".join(map(shown, listing(events))), soft_wrap=True)
    if figure is not None:
        start_matplotlib()
        from bench.plots.sequence import save_sequence  # takes a second

        save_sequence(traces, figure)
