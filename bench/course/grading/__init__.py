"""``bench grade``: a student's client or server against the rules that every transport keeps.

Invariants only: order, counts, bytes, requests. Time is simulated, so a slow machine grades like a fast one.
"""

VERSION = "4"
"""The grader's version: it is raised when a check is added or gets stricter, because marks may change then.

4: a client that notices a dead connection. 3: HTTP streaming instead of server-sent events. 2: pauses before
a new try, one connection, ticks that the history has lost; HTTP's heads and counters; a server answers to the
millisecond. 1: the first.
"""
