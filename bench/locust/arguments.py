"""What can be chosen beside Locust's own arguments: the fields of a scenario that a server or a client obeys.

They stand on the command line and in the web form, both as text, and are read as by ``bench run --set``.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from bench.scenario import FIELDS, MAX_CLIENTS, Scenario, ScenarioError, obeys, parse_value
from bench.transports import TRANSPORTS
from servers.options import ServerOptions

OF_THE_SERVER = ("rate_hz", "plan", "payload_bytes", "contract")
OF_THE_CLIENTS = [
    name for name in FIELDS if any(name in each.client_class.settings for each in TRANSPORTS.values())
]
CHOSEN = (*OF_THE_SERVER, *OF_THE_CLIENTS, "latency_limit_ms")
UNSET = ("", None, "None")
"""What stands for nothing chosen: on the command line, and in the web form."""


class Parser(Protocol):
    """Locust's parser, as far as arguments are added to it."""

    def add_argument(self, *names: str, **options: Any) -> Any:
        """Declare an argument."""

    def set_defaults(self, **defaults: Any) -> None:
        """Change defaults."""


def add_arguments(parser: Parser, shapes: list[str]) -> None:
    """Declare our arguments, and let Locust listen on loopback unless told otherwise."""
    parser.set_defaults(master_bind_host="127.0.0.1", web_host="127.0.0.1")
    parser.add_argument(
        "--serve",
        env_var="LOCUST_SERVE",
        choices=["", *TRANSPORTS],
        default="",
        help="Start a server of this transport, and drive that; instead of --host.",
    )
    parser.add_argument(
        "--ca",
        env_var="LOCUST_CA",
        default="",
        include_in_web_ui=False,
        help="PEM file of the authority behind the certificate of an https:// host; by default the system's.",
    )
    parser.add_argument(
        "--shape",
        env_var="LOCUST_SHAPE",
        choices=["", *shapes],
        default="",
        include_in_web_ui=False,
        help="How the number of users changes: see bench/locust/README.md. By default as --users says.",
    )
    for name in CHOSEN:
        whose = " (a server that --serve starts)" if name in OF_THE_SERVER else ""
        default = FIELDS[name].default if FIELDS[name].default is not None else FIELDS[name].where_known
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            env_var=f"LOCUST_{name.upper()}",
            default="" if default is None else str(default),
            help=f"{FIELDS[name].meaning.replace('%', '%%')}{whose}",
        )


def chosen_scenario(transport: str, options: Mapping[str, Any]) -> Scenario:
    """Return what is to be measured: a transport, and what was chosen of what it obeys.

    Raises:
        ScenarioError: With a sentence, if it cannot be.
    """
    fields = {
        name: parse_value(name, str(options[name]))
        for name in CHOSEN
        if options.get(name) not in UNSET and obeys(transport, FIELDS[name])
    }
    if fields.get("poll_pause_s") is not None:
        fields.pop("poll_interval_s", None)
    if fields.get("contract", "every") != "every":
        raise ScenarioError("contract is latest; Locust's users count each tick: choose every")
    return Scenario(transport, **fields)


def server_options(scenario: Scenario) -> ServerOptions:
    """Return the options of a server that serves whoever comes, as soon as it is there."""
    return dataclasses.replace(scenario.server_options(), open_after_s=0.0, max_clients=MAX_CLIENTS)
