"""All experiments: each file of this folder that asks a question has one, called ``EXPERIMENT``."""

import importlib

from bench.experiments import QUESTIONS
from bench.experiments.base import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    name: importlib.import_module(f"bench.experiments.{name}").EXPERIMENT for name in QUESTIONS
}
"""The experiments by name, in the order in which they are taught."""
