"""Lines that only the holder of a secret can write: how a verdict is told, past all that a student prints.

The grader makes a new secret for each process. The process reads it before the student's code runs. From then
on it is in no environment, argument or descriptor, but only in memory. A line without the seal is ignored.
"""

import hmac
import os
from hashlib import blake2b

SECRET_BYTES = 32
LONGEST_LINE_BYTES = 1_000_000


def new_secret() -> bytes:
    """Return a secret that nobody can guess."""
    return os.urandom(SECRET_BYTES)


class Seal:
    """Writes lines, and tells whether a line was written by the same secret (BLAKE2 with a key: RFC 7693)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def line(self, told: bytes) -> bytes:
        """Return what is told as a line of its own, also if something without a line end came before."""
        return b"\n" + self._sign(told) + b" " + told + b"\n"

    def open(self, line: bytes) -> bytes | None:
        """Return what a line tells, or None if it has not the right seal."""
        sign, _, told = line.partition(b" ")
        return told if hmac.compare_digest(sign, self._sign(told)) else None

    def _sign(self, told: bytes) -> bytes:
        return blake2b(told, key=self._secret, digest_size=SECRET_BYTES).hexdigest().encode()
