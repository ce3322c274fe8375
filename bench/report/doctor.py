"""What ``bench doctor`` prints: how loud the noise of this machine is, and what would be found in it."""

from rich.console import Console

from bench.columns.words import heading_words
from bench.measure.doctor import GOOD, LIMITED, MISSING, Noise
from bench.results.statistics import POWER

MARKS = {GOOD: ("✓", "green"), LIMITED: ("!", "yellow"), MISSING: ("✗", "red")}
"""The mark of a finding, and its colour."""


def print_noise(noise: Noise, console: Console) -> None:
    """Print the noise floor: how far the same scenario differs from itself, and what would be found."""
    for name, ratio in noise.ratios.items():
        verdict = (
            "no difference, as it should be" if ratio.low <= 1 <= ratio.high else "differs by chance or drift"
        )
        found = noise.detectable[name]
        figure = heading_words(name)
        console.print(
            f"  {figure:32} B/A {ratio.estimate:.2f}, {ratio.low:.2f} to {ratio.high:.2f}: {verdict}\n"
            f"  {'':32} a difference of {found.estimate - 1:.0%} is found in {POWER * 10:.0f} of 10 tries "
            f"({found.low - 1:.0%} to {found.high - 1:.0%}: {2 * noise.pairs} trials tell noise roughly)",
            highlight=False,
        )
    console.print(
        f"→ That is with {noise.pairs} repeats of each. The intervals hold together with 95 % confidence: a "
        "quiet machine shows a difference in 1 of 20 runs.",
        highlight=False,
    )
    for doubt in dict.fromkeys(noise.doubts):
        console.print(f"? one of these trials is suspect: {doubt}", style="yellow", highlight=False)
