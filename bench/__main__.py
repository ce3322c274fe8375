"""``python -m bench`` is ``bench``. The current folder, which -m searches first, is searched last."""

import os
import sys

if sys.path and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
    sys.path.append(sys.path.pop(0))

from servers.interrupts import end_at_interrupt, raise_at_interrupt


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly while it is imported, which takes a second or two."""
    end_at_interrupt()
    from bench.commands.app import main as run

    raise_at_interrupt()
    run()


if __name__ == "__main__":
    main()
