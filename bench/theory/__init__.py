"""The theory: what a figure should be, derived from how the transport works. One file per subject.

    distribution.py  a latency's distribution, the link, fan-out
    latency.py       delivery latency
    age.py           age of information
    requests.py      requests, empty answers, ticks per answer
    traffic.py       bytes and packets by layer
    break_even.py    where one transport becomes cheaper than another
    cheapest.py      which is the cheapest for a rate and an acceptable latency
    replay.py        a recording's busiest stretch, and its gaps
    distance.py      round trips of connections, turns of long polling, the queue of a narrow link
    loss.py          what lost packets do: who tells, who waits
    recovery.py      how clients come back when the plug was pulled
    durations.py     how long the parts of a trial take
    http2.py         what HTTP/2 would make of the headers

Times go in in seconds and come out in ms, like the columns that they stand beside.
tests/bench/theory/test_simulated.py holds all of it against a simulation that knows no formula,
tests/bench/theory/test_measured.py against measured runs.
"""
