"""The same transports by other libraries, to tell what is the protocol's and what the library's."""

FORMER_NAMES = {
    "short_polling_lean": "short_polling_httptools",
    "long_polling_lean": "long_polling_httptools",
}
"""What variants were called before: still understood on the command line, and in older runs."""


def current_name(transport: str) -> str:
    """Return what a transport is called now."""
    return FORMER_NAMES.get(transport, transport)


def all_names(transport: str) -> list[str]:
    """Return all names that a transport has had, the first one first."""
    return [*(former for former, name in FORMER_NAMES.items() if name == transport), transport]
