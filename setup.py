"""What pyproject.toml cannot say: the reference run goes into the package, also without a clone."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithReference(build_py):
    """Build the packages, and copy ``results/reference`` to ``bench/reference`` among them."""

    def run(self) -> None:
        """Build; an editable installation finds the run in its clone."""
        super().run()
        if not self.editable_mode:
            source = Path(__file__).parent / "results" / "reference"
            made = shutil.ignore_patterns("figures", "report.html", ".*")
            shutil.copytree(
                source, Path(self.build_lib) / "bench" / "reference", ignore=made, dirs_exist_ok=True
            )


setup(cmdclass={"build_py": BuildWithReference})
