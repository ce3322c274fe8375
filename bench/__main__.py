"""``python -m bench`` is ``bench``. The current folder, which -m searches first, is searched last."""

import os
import sys

if sys.path and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
    sys.path.append(sys.path.pop(0))

from bench.cli import main

main()
