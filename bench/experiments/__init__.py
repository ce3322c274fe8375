"""The experiments, one file per question; a file with an ``EXPERIMENT`` in this folder is found by itself."""

import importlib
import pkgutil

from bench.experiments.base import Experiment

_ORDER = tuple(
    "freshness interval rate clients overhead handshake idle compression library instrument".split()
)


def _find() -> dict[str, Experiment]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        experiment = getattr(importlib.import_module(f"{__name__}.{module.name}"), "EXPERIMENT", None)
        if isinstance(experiment, Experiment):
            found[experiment.name] = experiment
    known = [name for name in _ORDER if name in found]
    return {name: found[name] for name in [*known, *sorted(set(found) - set(known))]}


EXPERIMENTS = _find()
"""All experiments by name, in the order in which they are taught."""
