"""Messages that only the holder of a secret can write: how a verdict is told, past all that a student prints.

The grader makes a new secret for each process. The process reads it before the student's code runs. From then
on it is in no environment, argument or descriptor, but only in memory. A line without the seal is ignored.
"""

import hmac
import os
from hashlib import blake2b

import msgspec

from bench.course.grading.base import Verdict

SECRET_BYTES = 32
LONGEST_LINE_BYTES = 1_000_000


def new_secret() -> bytes:
    """Return a secret that nobody can guess."""
    return os.urandom(SECRET_BYTES)


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: that the student's time begins, that its code is there (or of no use), or a verdict."""

    step: str
    unusable: str = ""
    number: int = -1
    verdict: Verdict | None = None


class Seal:
    """Writes lines, and tells whether a line was written by the same secret (BLAKE2 with a key: RFC 7693)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def line(self, content: bytes) -> bytes:
        """Return the content as a line of its own, also if something without a line end came before."""
        return b"\n" + self._sign(content) + b" " + content + b"\n"

    def open(self, line: bytes) -> bytes | None:
        """Return the content of a line, or None if it has not the right seal."""
        sign, _, content = line.partition(b" ")
        return content if hmac.compare_digest(sign, self._sign(content)) else None

    def _sign(self, content: bytes) -> bytes:
        return blake2b(content, key=self._secret, digest_size=SECRET_BYTES).hexdigest().encode()
