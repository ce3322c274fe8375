"""Commands at the ends of a network in a box: any of yours, and those of this program that take a link."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.columns.words import field_words
from bench.commands.arguments import USAGE, SettingsOption, complain, err, parse_fields, read_transport
from bench.network.link import Link
from bench.network.link_fields import OF_THE_LINK, LinkFields
from bench.network.namespaces import FAR, FAR_HOST, NEAR, NEAR_HOST
from bench.scenario import Scenario
from bench.transports import TRANSPORTS

if TYPE_CHECKING:
    from bench.measure.box import Box

PORT = 8000


def link(
    context: typer.Context,
    which: Annotated[
        str, typer.Argument(metavar="LINK", help="A named link, or the number of one that runs already.")
    ],
    settings: SettingsOption = None,
    serve: Annotated[
        str | None, typer.Option(metavar="TRANSPORT", help="Let a server of ours listen at the other end.")
    ] = None,
    far: Annotated[bool, typer.Option("--far", help="Run the command at the server's end.")] = False,
) -> None:
    """Run any command at the end of a link: bench link 4g -- ping 198.19.0.1."""
    from bench.measure.box import command_at, running_box
    from bench.measure.place import Place
    from bench.measure.subject import running_server
    from servers.options import ServerOptions

    command, end = context.args, FAR if far else NEAR
    if not command:
        complain(f"say what to run: bench link {which} -- ping {FAR_HOST}", USAGE)
    if which.isdigit():
        if settings or serve:
            complain("that link runs already; leave out --set and --serve", USAGE)
        with command_at(int(which), end, command) as process:
            raise typer.Exit(_code(process.wait()))
    asked = LinkFields(**{"link": which, **link_fields(settings)}).link_asked_for()
    assert asked is not None
    with ExitStack() as stack:
        box = stack.enter_context(running_box(asked))
        print_box(asked, box)
        if serve is not None:
            entry = TRANSPORTS[read_transport(serve)]
            options = ServerOptions(host=box.host, port=PORT)
            place = Place(prefix=box.prefix(FAR))
            server = stack.enter_context(running_server(entry.server, options, place))
            err.print(f"{entry.label} at {server.url}")
        raise typer.Exit(_code(box.run(end, command)))


def _code(returned: int) -> int:
    """Return the exit code of a shell for what ended so: 128 and the number of the signal."""
    return returned if returned >= 0 else 128 - returned


def link_fields(settings: Sequence[str] | None) -> dict[str, Any]:
    """Read settings that must all be of the link."""
    fields = parse_fields(settings)
    others = [name for name in fields if name not in (*OF_THE_LINK, "link")]
    if others:
        complain(f"--set here is for the link ({', '.join(OF_THE_LINK)}); leave out {others[0]}", USAGE)
    return fields


def print_box(link: Link, box: "Box") -> None:
    """Say what was set up: what the link is, how long a round trip takes, and how to get into the box."""
    told = [field_words(name, getattr(link, name)) for name, usual in OF_THE_LINK.items()
            if name == "rtt_ms" or getattr(link, name) != usual]  # fmt: skip
    err.print(f"Link: {', '.join(told)}; measured RTT {box.measured_rtt_ms():.3g} ms", highlight=False)
    err.print(f"{NEAR_HOST} is the client's end, {FAR_HOST} the server's; from another terminal:")
    err.print(f"  bench link {box.pid} -- COMMAND, or bench link {box.pid} --far -- COMMAND", highlight=False)


def watch_over_link(
    scenario: Scenario, ticks: int | None, silence_s: float | None, settings: Sequence[str]
) -> int:
    """Serve at the far end of a scenario's link and watch at the near end; return the exit code."""
    from bench.measure.box import running_box
    from bench.measure.certificate import make_certificate
    from bench.measure.environment import python_command
    from bench.measure.place import Place
    from bench.measure.subject import running_server

    entry, link = TRANSPORTS[scenario.transport], scenario.link_asked_for()
    assert link is not None
    of_client = [each for each in settings if each.partition("=")[0] in entry.client_class.settings]
    with ExitStack() as stack:
        box = stack.enter_context(running_box(link))
        print_box(link, box)
        given = {"--ticks": ticks, "--silence-s": silence_s}
        more = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        certificate = None
        if scenario.tls:
            folder = stack.enter_context(TemporaryDirectory(prefix="bench-"))
            certificate, trusted = make_certificate(Path(folder), box.host)
            more += ["--ca", trusted]
        options = scenario.server_options(host=box.host, certificate=certificate)
        server = stack.enter_context(running_server(entry.server, options, Place(prefix=box.prefix(FAR))))
        more += [word for each in of_client for word in ("--set", each)]
        watch = python_command("bench", "watch", scenario.transport, "--url", server.url, *more)
        return box.run(NEAR, watch)


def serve_over_link(arguments: Sequence[str]) -> int:
    """Serve at the far end of a link, which ``--set`` tells; the rest is what ``bench serve`` takes."""
    from bench.measure.box import running_box
    from bench.measure.environment import python_command

    settings, rest = [], []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--set":
            settings.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    link = LinkFields(**link_fields(settings)).link_asked_for()
    assert link is not None
    with running_box(link) as box:
        print_box(link, box)
        return _code(box.run(FAR, python_command("bench", "serve", *rest, "--host", box.host)))
