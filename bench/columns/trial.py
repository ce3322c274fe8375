"""What trials.csv says of a trial as such: where it stands in the plan, and how it was judged."""

from bench.fields import Column, Kind

BEFORE_FIELDS = (
    Column(
        name="experiments",
        meaning="The experiments that the trial is of, separated by spaces.",
        kind=Kind.WORD,
        formerly="experiment",
        filled=True,
    ),
    Column(
        name="transport",
        meaning="What is measured: a name of the registry.",
        kind=Kind.WORD,
        filled=True,
    ),
)
"""They stand before the scenario's fields."""
AFTER_FIELDS = (
    Column(name="repeat", meaning="The block of the run, from 1.", kind=Kind.WHOLE, filled=True),
    Column(
        name="trial_number",
        meaning="Place in the plan of the run, from 1; the steps of a search share one.",
        kind=Kind.WHOLE,
        formerly="order",
        filled=True,
    ),
    Column(
        name="search_step",
        meaning="Which step of a search for capacity, from 1; 0: of none.",
        kind=Kind.WHOLE,
        since=3,
        before=0,
        formerly="step",
        filled=True,
    ),
    Column(
        name="attempt",
        meaning="1, or 2 where a fault that may pass was given another try.",
        kind=Kind.WHOLE,
        since=2,
        before=1,
        filled=True,
    ),
    Column(name="seed", meaning="What plan, prices and phases are drawn by.", kind=Kind.WHOLE),
)
"""They stand after them."""
JUDGED = (
    Column(
        name="verdict",
        meaning="ok, suspect (shown, and marked) or invalid (never averaged).",
        kind=Kind.WORD,
        filled=True,
    ),
    Column(
        name="verdict_reason",
        meaning="Codes of what is wrong with the trial (bench/results/validity.py).",
        kind=Kind.WORD,
        since=5,
    ),
    Column(
        name="verdict_note",
        meaning="How a trial failed, in words.",
        kind=Kind.WORD,
        formerly="verdict_reason",
    ),
    Column(
        name="bottleneck",
        meaning="What ran out, a code.",
        kind=Kind.WORD,
        heading="what ran out",
        formerly="limit",
    ),
    Column(
        name="retried",
        meaning="Whether another attempt at the trial stands in its place.",
        kind=Kind.FLAG,
        since=2,
        before=False,
        formerly="replaced",
        filled=True,
    ),
)
REPLAYED = (
    Column(name="recording_rows", meaning="Rows of the recording that was replayed.", since=4),
    Column(
        name="recording_first_row", meaning="The first row of the recording that the window played.", since=4
    ),
    Column(
        name="recording_last_row", meaning="The last row of the recording that the window played.", since=4
    ),
)
