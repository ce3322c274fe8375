"""The commands that show: what there is, a run in tables, figures and a page, and ticks as they come."""

import itertools
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from bench.commands.arguments import (
    FAILED,
    USAGE,
    OpenOption,
    ResultsOption,
    RunArgument,
    SettingsOption,
    complain,
    err,
    nearest,
    out,
    parse_fields,
    print_json,
    read_transport,
)
from bench.commands.distance import serve_over_link, watch_over_link
from bench.experiments import QUESTIONS
from bench.network.presets import PRESETS, Preset
from bench.scenario import FIELDS, Scenario
from bench.transports import TRANSPORTS, Transport
from bench.wording import shown

CARRIERS = {"HTTP": "answer", "WebSocket": "frame", "event stream": "event"}
"""What ticks come by, by what frames them."""


def list_() -> None:
    """List the experiments, the transports, the fields that --set reaches, and the presets."""
    fields = {
        name: f"{field.meaning} " + ("" if field.default is None else f"(default {field.default})")
        for name, field in FIELDS.items()
    }
    for title, rows in (
        ("Experiments", QUESTIONS),
        ("\nTransports", {name: _transport_words(each) for name, each in TRANSPORTS.items()}),
        ("\nFields for --set", fields),
        ("\nPresets for bench run --preset", {name: _preset_words(each) for name, each in PRESETS.items()}),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.show_header = False
        for name, text in rows.items():
            table.add_row(f"  {name}", text)
        out.print(table)


def _preset_words(preset: Preset) -> str:
    """Say what a preset sets, and where it is from."""
    told = " ".join(
        f"{name}={','.join(map('{:g}'.format, values))}" for name, values in preset.overrides.items()
    )
    return f"{told}. {preset.source}."


def _transport_words(transport: Transport) -> str:
    """Say what a transport is called, and what it is like: the facts by which the program treats it."""
    facts = {
        "heartbeats": transport.heartbeats,
        "compresses": transport.compresses,
        "speaks upwards": transport.speaks_upwards,
        "not over TCP": not transport.over_tcp,
    }
    told = [
        transport.family,
        f"{transport.framing} framing",
        *(words for words, is_so in facts.items() if is_so),
    ]
    return f"{transport.label}: {', '.join(told)}"


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
        if experiment not in QUESTIONS:
            nearest(experiment, QUESTIONS, "experiment")

    from bench.report.summary import print_run
    from bench.results.run import Run, find_run

    opened = Run.open(find_run(results, name))
    if as_json:
        print_json(opened.records())
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


def plot(name: RunArgument = None, results: ResultsOption = Path("results")) -> None:
    """Draw the figures of a run, as PNG and SVG, into its folder figures."""
    from bench.report.matplotlib_start import start_matplotlib
    from bench.results.run import Run, find_run

    start_matplotlib()
    from bench.report.plots.figures import save_figures

    written = save_figures(Run.open(find_run(results, name)))
    for path in written:
        out.print(str(path), soft_wrap=True)
    if not written:
        complain("there is nothing to draw: the run has no valid trials yet", FAILED)


def report(
    name: RunArgument = None, results: ResultsOption = Path("results"), show: OpenOption = False
) -> None:
    """Write a run as one page, report.html in its folder, that opens without a network."""
    from bench.commands.finish import open_page
    from bench.report.matplotlib_start import start_matplotlib
    from bench.results.run import Run, find_run

    start_matplotlib()
    from bench.report.page import write_page

    path = write_page(Run.open(find_run(results, name)))
    if show:
        open_page(path)
    out.print(str(path), soft_wrap=True)


def serve(context: typer.Context) -> None:
    """Serve the live ticker over one transport, for curl, a browser or any client; also --set link=4g."""
    from servers.__main__ import main as serve_main

    if any(word.partition("=")[0] == "--set" for word in context.args):
        raise typer.Exit(serve_over_link(context.args))
    raise typer.Exit(serve_main(context.args, program="bench serve"))


def watch(
    transport: Annotated[str, typer.Argument(help="A transport, see bench list.")],
    url: Annotated[str | None, typer.Option(help="A running server's; without it, one is started.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of who signed its certificate; else whom the system trusts.")
    ] = None,
    ticks: Annotated[int | None, typer.Option(help="Stop after so many.")] = None,
    silence_s: Annotated[
        float | None,
        typer.Option(help="Connect again when nothing has come for so long; else TCP is waited for."),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Show one client's ticks as they come: age, bytes, and the answer, frame or event around them."""
    from bench.measure.certificate import make_certificate
    from bench.measure.subject import running_server
    from clients.load.stream import stream
    from servers.options import DAY_S, SHORTEST_S, ServerOptions

    transport = read_transport(transport)
    if ticks is not None and ticks < 1:
        complain(f"--ticks is {ticks}; it must be 1 or more, or left out: then Ctrl-C stops", USAGE)
    if silence_s is not None and not SHORTEST_S <= silence_s <= DAY_S:
        complain(
            f"--silence-s is {silence_s:g}; it must be from {SHORTEST_S:g} to {DAY_S:,}, or left out: "
            "then TCP is waited for",
            USAGE,
        )
    if ca is not None and url is None:
        complain("--ca is for a running server; give its --url, too", USAGE)
    fields = parse_fields(settings)
    entry = TRANSPORTS[transport]
    of_server = [name for name in fields if name not in entry.client_class.settings]
    if url is not None and of_server:
        complain(f"the server at {url} runs already; leave out --set {of_server[0]}", USAGE)
    scenario = Scenario(transport, **{"clients": 1, "rate_hz": 4.0, **fields})
    if silence_s is None:
        silence_s = scenario.silence_s
    if scenario.rtt_ms is not None:
        raise typer.Exit(watch_over_link(scenario, ticks, silence_s, settings or ()))
    carrier = CARRIERS.get(entry.framing, entry.framing)
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
            listening = stream(
                entry.client, address, ca=trusted, silence_s=silence_s, **scenario.client_settings()
            )
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


def wire(
    transports: Annotated[list[str], typer.Argument(metavar="TRANSPORT…", help="One or more transports.")],
    seconds: Annotated[float, typer.Option(help="For how long to listen.")] = 2.0,
    figure: Annotated[Path | None, typer.Option(help="Draw it too: a .png, .svg or .pdf.")] = None,
    settings: SettingsOption = None,
) -> None:
    """Print what one client and its server say to each other: time, direction, bytes, and what it is."""
    from bench.measure.conversation import listing, record

    transports = [read_transport(transport) for transport in transports]
    if figure is not None and figure.suffix not in (".png", ".svg", ".pdf"):
        complain(f"--figure is a .png, .svg or .pdf, not {str(figure)!r}", USAGE)
    fields = parse_fields(settings)
    traces = {transport: record(transport, seconds, fields) for transport in dict.fromkeys(transports)}
    for transport, events in traces.items():
        out.print(f"{TRANSPORTS[transport].label}, {seconds:g} s", style="bold")
        out.print("\n".join(map(shown, listing(events))), soft_wrap=True)
    if figure is not None:
        from bench.report.matplotlib_start import start_matplotlib

        start_matplotlib()
        from bench.report.plots.sequence import save_sequence

        save_sequence(traces, figure)
