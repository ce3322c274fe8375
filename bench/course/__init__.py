"""What you teach with: notebooks, slides and grading.

Notebooks are written with ``bench.course.lesson``. The names below were first those of this package, and a
lecturer's own notebooks may go on importing them from it.
"""

from typing import Any

__all__ = ["live", "live_trials", "open_run", "results_folder", "say", "serving"]


def __getattr__(name: str) -> Any:
    """Hand on what lesson.py has; only then, because it loads pandas, matplotlib and IPython."""
    if name in __all__:
        from bench.course import lesson

        return getattr(lesson, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
