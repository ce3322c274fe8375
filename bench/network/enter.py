"""Run a command at an end of a link: ``python -m bench.network.enter ROUTER_PID near|far COMMAND…``."""

import os
import sys

from bench.network.namespaces import enter


def main(pid: int, end: str, command: list[str]) -> str:
    """Become the command; return why that cannot be."""
    try:
        enter(pid, end)
    except OSError as error:
        return f"there is no link {pid} that can be entered ({error.strerror}): it has ended, or is not yours"
    try:
        os.execvp(command[0], command)
    except OSError as error:
        return f"{command[0]} cannot be run: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
