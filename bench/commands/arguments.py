"""What all commands share: the two consoles, exit codes, arguments, complaints, and how ``--set`` is read."""

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.text import Text
from typer.core import TyperGroup

from bench.experiments import QUESTIONS
from bench.fields import fields_of
from bench.network.incident_fields import IncidentFields
from bench.network.presets import PRESETS
from bench.report.terminal import new_console
from bench.scenario import FIELDS, parse_value
from bench.transports import TRANSPORTS, main_names
from servers.interrupts import INTERRUPTED
from servers.variants import current_name

DONE, FAILED, USAGE, SUSPECT = 0, 1, 2, 3
out, err = new_console(), new_console(stderr=True)
OF_TRIALS = set(fields_of(IncidentFields)) - {"user_timeout_s"}
"""What only trials obey: incidents, and what a swarm does about them. Servers obey the user timeout."""

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the runs.")]
RunArgument = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or path; the newest.")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a scenario field.")
]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="Links that others measured over, see bench list."),
]
OpenOption = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


class Commands(TyperGroup):
    """All commands; Ctrl-C ends each with code 130, unless it has an end of its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.print("bench: interrupted")
            raise typer.Exit(INTERRUPTED) from None


def complain(sentence: str, code: int) -> NoReturn:
    """Say what is wrong and exit."""
    err.print(Text.assemble(("bench:", "bold red"), f" {sentence}"), soft_wrap=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII."""
    out.print_json(json.dumps(value), ensure_ascii=True)


def nearest(name: str, known: Iterable[str], what: str) -> NoReturn:
    """Answer an unknown name with the nearest right one."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    complain(f"there is no {what} {name!r}; {hint}", USAGE)


def read_transport(name: str) -> str:
    """Return what a transport is called now; answer an unknown one with the nearest right one."""
    name = current_name(name)
    if name not in TRANSPORTS:
        nearest(name, TRANSPORTS, "transport")
    return name


def sort_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split names into experiments (none or ``all``: every one) and transports (none: the main ones)."""
    names = [current_name(name) for name in names]
    for name in names:
        if name not in QUESTIONS and name not in TRANSPORTS and name != "all":
            nearest(name, [*QUESTIONS, *TRANSPORTS, "all"], "experiment or transport")
    experiments = [name for name in QUESTIONS if name in names]
    transports = [name for name in TRANSPORTS if name in names]
    if "all" in names or not experiments:
        experiments = list(QUESTIONS)
    return experiments, transports or main_names()


def parse_overrides(settings: Sequence[str] | None) -> dict[str, list[Any]]:
    """Read ``field=value`` (or ``field=value,value``) settings."""
    overrides: dict[str, list[Any]] = {}
    for setting in settings or ():
        name, equals, text = setting.partition("=")
        if not equals:
            complain(f"--set takes field=value, not {setting!r}; for example --set clients=200", USAGE)
        if name not in FIELDS:
            nearest(name, FIELDS, "field")
        if name in overrides:
            complain(f"--set {name} is given twice; separate its values by commas", USAGE)
        whole = name == "recording" and Path(text).is_file()  # a file's name may have a comma
        overrides[name] = [parse_value(name, part) for part in ([text] if whole else text.split(","))]
    if {"recording", "rate_hz"} <= set(overrides):
        complain("a replay has the rate of its recording; set speed in place of rate_hz", USAGE)
    return overrides


def parse_fields(settings: Sequence[str] | None) -> dict[str, Any]:
    """Read settings of one scenario: of several values of a field the first.

    It is watched, or served, not measured: nothing happens in the middle of it.
    """
    for setting in settings or ():
        if (name := setting.partition("=")[0]) in OF_TRIALS:
            complain(
                f"--set {name} is of trials, in which something happens; measure one, with bench run", USAGE
            )
    return {name: values[0] for name, values in parse_overrides(settings).items()}


def with_preset(preset: str | None, overrides: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the settings of a preset and those beside it; say where the preset is from."""
    if preset is None:
        return overrides
    if preset not in PRESETS:
        nearest(preset, PRESETS, "preset")
    found = PRESETS[preset]
    both = [name for name in found.overrides if name in overrides]
    if both:
        complain(f"--preset {preset} sets {both[0]} already; leave out --set {both[0]}, or the preset", USAGE)
    told = " ".join(
        f"--set {name}={','.join(f'{value:g}' for value in values)}"
        for name, values in found.overrides.items()
    )
    err.print(f"Preset {preset}: {told}\n{found.source}.", soft_wrap=True, highlight=False)
    return {**{name: list(values) for name, values in found.overrides.items()}, **overrides}
