"""``bench grade``: a student's client or server against the rules that every transport keeps.

Invariants only: order, counts, bytes, requests. Time is simulated, so a slow machine grades like a fast one.
"""
