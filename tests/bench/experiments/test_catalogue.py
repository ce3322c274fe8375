"""The experiments are found by themselves, and the list of their questions loads none of them."""

from pathlib import Path

from bench import experiments
from bench.experiments import QUESTIONS
from bench.experiments.catalogue import EXPERIMENTS


def test_every_file_with_an_experiment_begins_with_its_question() -> None:
    files = Path(experiments.__file__).parent.glob("*.py")
    holding = {path.stem for path in files if "\nEXPERIMENT = " in path.read_text(encoding="utf-8")}
    assert holding == set(QUESTIONS) == set(EXPERIMENTS)


def test_an_experiment_is_called_as_its_file_is() -> None:
    for name, experiment in EXPERIMENTS.items():
        assert experiment.name == name
        assert experiment.question == QUESTIONS[name]
