"""The command line: arguments and words only. What is done is done elsewhere."""

import difflib
import json
import random
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from bench import machine
from bench.experiments import EXPERIMENTS
from bench.processes import running_server
from bench.report import doubts, print_run, spread
from bench.results import REFERENCE, ResultsError, Run, export, find_run
from bench.scenario import FIELDS, PROFILES, Scenario, ScenarioError, parse_value
from bench.schedule import Planned, execute, plan_run, planned_s
from bench.transports import TRANSPORTS
from clients.limits import raise_descriptor_limit
from clients.stream import stream
from servers.__main__ import main as serve_main
from servers.market import RecordingError

PIPED_WIDTH = 110
DONE, FAILED, USAGE, SUSPECT, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    help="Measure real-time web transports: short polling, long polling, WebSocket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the runs.")]
RunArgument = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or path; the newest.")]


def main() -> None:
    """Run the command line; every expected fault is one sentence and an exit code, never a traceback."""
    try:
        app()
    except (ScenarioError, RecordingError) as error:
        complain(str(error), USAGE)
    except (ResultsError, OSError) as error:
        complain(str(error), FAILED)


def complain(sentence: str, code: int) -> NoReturn:
    """Say what is wrong and exit."""
    err.print(f"[bold red]bench:[/] {sentence}", highlight=False, soft_wrap=True)
    sys.exit(code)


def nearest(name: str, known: Iterable[str], what: str) -> NoReturn:
    """Answer an unknown name with the nearest right one."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    complain(f"there is no {what} {name!r}; {hint}", USAGE)


def sort_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split names into experiments (none or ``all``: every one) and transports (none: every one)."""
    for name in names:
        if name not in EXPERIMENTS and name not in TRANSPORTS and name != "all":
            nearest(name, [*EXPERIMENTS, *TRANSPORTS, "all"], "experiment or transport")
    experiments = [name for name in EXPERIMENTS if name in names]
    transports = [name for name in TRANSPORTS if name in names]
    if "all" in names or not experiments:
        experiments = list(EXPERIMENTS)
    return experiments, transports or list(TRANSPORTS)


def parse_overrides(settings: Sequence[str]) -> dict[str, list[Any]]:
    """Read ``field=value`` (or ``field=value,value``) settings."""
    overrides = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            complain(f"--set takes field=value, not {setting!r}; for example --set clients=200", USAGE)
        if name not in FIELDS:
            nearest(name, FIELDS, "field")
        overrides[name] = [parse_value(name, part) for part in text.split(",")]
    return overrides


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
        measured = Run.open(find_run(results, resume))
        facts = measured.facts
    else:
        if not names:
            complain("say what to measure: bench run all, or names from bench list", USAGE)
        experiments, transports = sort_names(names)
        facts = {
            "command": shlex.join(["bench", *sys.argv[1:]]),
            "profile": "quick" if quick else "full" if full else "standard",
            "seed": random.randrange(10**6) if seed is None else seed,
            "experiments": experiments,
            "transports": transports,
            "overrides": parse_overrides(settings or []),
            "environment": machine.describe(),
        }
    planned = plan_run(
        facts["experiments"], facts["transports"], facts["profile"], facts["seed"], facts["overrides"]
    )
    raise_descriptor_limit(max(each.scenario.clients for each in planned))
    if resume is None:
        measured = Run.create(results, facts)
    code = measure(measured, planned, quiet=as_json)
    if as_json:
        out.print_json(json.dumps(json.loads(measured.trials.to_json(orient="records"))))
    elif code != INTERRUPTED or measured.rows:
        print_run(measured, out)
    err.print(f"\nResults: {measured.folder}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def measure(measured: Run, planned: Sequence[Planned], *, quiet: bool) -> int:
    """Run the trials with progress on stderr; return the exit code."""
    profile = PROFILES[measured.facts["profile"]]
    cores = machine.choose_cores()
    minutes = max(1, round(planned_s(planned) / 60))
    err.print(
        f"{len(planned)} trials in {profile.repeats} block{'s' if profile.repeats > 1 else ''}, "
        f"about {minutes} minute{'s' if minutes > 1 else ''}; "
        + (
            f"server on core {cores.server}, swarm on core {cores.swarm}"
            if cores.server is not None
            else "server and swarm are not pinned: there is one core, or the system cannot"
        ),
        highlight=False,
    )
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]} left"),
        console=err,
        refresh_per_second=1,
    )
    task = progress.add_task("starting", total=len(planned), completed=len(measured.rows), left="")
    try:
        with progress if err.is_terminal else nullcontext():
            for step in execute(measured, planned, cores=cores):
                scenario = step.planned.scenario
                left = f"{int(step.left_s) // 60}:{int(step.left_s) % 60:02d}"
                described = f"{scenario.transport}, {scenario.clients} clients, {scenario.rate_hz:g} Hz"
                progress.update(task, description=described, completed=len(measured.rows), left=left)
                if not step.block_done or quiet or step.planned.repeat == profile.repeats:
                    continue
                if step.planned.repeat == 1:
                    print_run(measured, out, provisional=True)
                else:
                    err.print(_narrowing(measured, step.planned.repeat, profile.repeats), highlight=False)
    except KeyboardInterrupt:
        err.print(
            f"\nInterrupted: {len(measured.rows)} of {len(planned)} trials are measured and kept; "
            f"go on with: bench run --resume {measured.folder.name}",
            highlight=False,
            soft_wrap=True,
        )
        return INTERRUPTED
    return SUSPECT if doubts(measured) else DONE


def _narrowing(measured: Run, block: int, blocks: int) -> str:
    widths = ((name, spread(measured, EXPERIMENTS[name])) for name in measured.facts["experiments"])
    told = ", ".join(f"{name} ±{width:.0%}" for name, width in widths if width == width)
    return f"After block {block} of {blocks}, the typical 95 % interval of the first figure is: {told}"


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
    results: ResultsOption = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the trials as JSON.")] = False,
) -> None:
    """Print the tables and sentences of a run."""
    shown = Run.open(find_run(results, name))
    if as_json:
        out.print_json(json.dumps(json.loads(shown.trials.to_json(orient="records"))))
        return
    facts, environment = shown.facts, shown.facts["environment"]
    out.print(
        f"Run {shown.folder.name} · {facts['started']} · profile {facts['profile']} · seed {facts['seed']}\n"
        f"{environment['cpu']}, {environment['cores']} cores · {environment['system']} · "
        f"Python {environment['python']}",
        highlight=False,
    )
    print_run(shown, out)


@app.command("export")
def export_(
    name: RunArgument = None,
    target: Annotated[Path, typer.Option(help="Folder to write.")] = Path("results") / REFERENCE,
    results: ResultsOption = Path("results"),
) -> None:
    """Copy a run in small: all trials, quantiles of each, deliveries of the first block's freshness."""
    source = Run.open(find_run(results, name))
    kept = [
        row["order"] for row in source.rows if row["repeat"] == 1 and "freshness" in row["experiment"].split()
    ]
    export(source, target, kept)
    size_kb = sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e3
    out.print(f"{target}: {len(source.rows)} trials, {size_kb:,.0f} kB", highlight=False)


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
    ticks: Annotated[int | None, typer.Option(help="Stop after so many.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a scenario field.")
    ] = None,
) -> None:
    """Show one client's ticks as they come: their age, their bytes, and the answer or frame they came by."""
    if transport not in TRANSPORTS:
        nearest(transport, TRANSPORTS, "transport")
    overrides = {name: values[0] for name, values in parse_overrides(settings or []).items()}
    scenario = Scenario(transport, **{"clients": 1, "rate_hz": 4.0, **overrides})
    entry = TRANSPORTS[transport]
    carrier = "answer" if entry.client_class.pulls else "frame"
    server = nullcontext() if url else running_server(entry.server, scenario.server_options())
    try:
        with server as started:
            address = url or started.url  # type: ignore[union-attr]
            err.print(f"{entry.label} at {address}, Ctrl-C stops", highlight=False)
            out.print(
                f"{'tick':>8}  {'symbol':8}{'price':>9}  {'age':>10}  {'read':>8}  came by", style="bold"
            )
            last = 0
            for count, arrival in enumerate(
                stream(entry.client, address, **scenario.client_settings()), start=1
            ):
                tick = arrival.tick
                same = arrival.message == last
                out.print(
                    f"{tick.seq:>8}  {tick.symbol:8}{tick.price:>9.2f}  {arrival.age_ms:>7.1f} ms  "
                    + ("     ″    ″" if same else f"{arrival.read_bytes:>6} B  {carrier} {arrival.message}"),
                    highlight=False,
                )
                last = arrival.message
                if count == ticks:
                    break
    except KeyboardInterrupt:
        pass
    except TimeoutError as error:
        complain(f"{error}; is {address} a {entry.label} server?", FAILED)
