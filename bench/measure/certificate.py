"""A throw-away certificate authority, so that trials over TLS need nothing from outside.

Its keys are ECDSA on P-256, and the server sends its certificate and an intermediate one, as public
servers do; theirs are longer, because they hold more names and proofs.
"""

import functools
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """PEM files: what the server is (key, certificate, chain), and the authority by which it is checked."""

    server: str
    ca: str


def make_certificate(folder: Path, host: str) -> Certificate:
    """Write a certificate for a host into a folder; its keys are made once per process, as they take time."""
    certificate = Certificate(str(folder / "server.pem"), str(folder / "ca.pem"))
    for path, pem in zip(certificate, _issue(host), strict=True):
        Path(path).write_bytes(pem)
    return certificate


@functools.cache
def _issue(host: str) -> tuple[bytes, bytes]:
    import trustme  # takes a tenth of a second, and few trials need it

    authority = trustme.CA()
    issued = authority.create_child_ca().issue_cert(host)
    return issued.private_key_and_cert_chain_pem.bytes(), authority.cert_pem.bytes()
