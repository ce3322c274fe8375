"""TLS (RFC 8446) beneath the clients: a stamped socket that encrypts what is sent and decrypts what is read.

OpenSSL works on two buffers in memory (``ssl.MemoryBIO``); the bytes between those and the kernel are moved
here. So each read keeps the kernel's arrival time, and the clients know nothing of TLS: application bytes are
counted before encryption and TCP's (TCP_INFO) after it, and the difference is what TLS adds.

Every handshake is a full one: sessions are not resumed, though servers send tickets for that (RFC 8446,
section 4.6.1). A connection that is closed here says so first (close_notify; section 6.1).
"""

import contextlib
import ssl
from collections.abc import Callable
from errno import ECONNABORTED

from clients.sockets.stamped_socket import NothingWhole, StampedSocket
from servers.wire import now_ns

RECORD_HEADER_BYTES = 5
"""Type, version, and a length of two bytes (RFC 8446, section 5.1)."""
LARGEST_PLAINTEXT_BYTES = 2**14
"""The most that a record holds (RFC 8446, section 5.1)."""


class CertificateError(ValueError):
    """The certificates of those who are trusted cannot be read."""


def client_context(ca: str | None) -> ssl.SSLContext:
    """Return what clients trust and offer: TLS 1.2 or 1.3, and HTTP/1.1 by ALPN (RFC 7301).

    Args:
        ca: PEM file of the authority that signed the server's certificate; None trusts those of the system.

    Raises:
        CertificateError: If the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise CertificateError(
            f"the certificates in {ca} cannot be read: {error.strerror}; give a PEM file"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsSocket(StampedSocket):
    """A client's end of an encrypted connection.

    Args:
        family: ``AF_INET`` or ``AF_INET6``.
        context: See :func:`client_context`; one for all sockets.
        server_name: The name or address that the server's certificate must be for.
        offset_ns, clock, mss, congestion, lossy, user_timeout_s: See
            :class:`clients.sockets.stamped_socket.StampedSocket`.
    """

    __slots__ = (
        "_ciphertext",
        "_encrypted_bytes",
        "_finished",
        "_incoming",
        "_outgoing",
        "_record_head",
        "_record_missing_bytes",
        "_tls",
    )

    def __init__(
        self,
        family: int,
        *,
        context: ssl.SSLContext,
        server_name: str,
        offset_ns: int,
        clock: Callable[[], int] = now_ns,
        mss: int | None = None,
        congestion: str | None = None,
        lossy: bool = False,
        user_timeout_s: float | None = None,
    ) -> None:
        super().__init__(
            family,
            offset_ns=offset_ns,
            clock=clock,
            mss=mss,
            congestion=congestion,
            lossy=lossy,
            user_timeout_s=user_timeout_s,
        )
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._ciphertext = b""  # that did not fit into the kernel's buffer
        self._encrypted_bytes = 0  # of plaintext, whose ciphertext has not all gone
        self._record_head = b""
        self._record_missing_bytes = 0
        self._finished = False

    def secure(self) -> bool:
        """Go on with TLS's handshake; return whether it is done.

        Raises:
            OSError: If it failed, with a sentence: a certificate that does not verify, a peer without TLS.
        """
        with contextlib.suppress(BlockingIOError):
            ciphertext, _ = super().receive()
            if not ciphertext:
                raise OSError(ECONNABORTED, "the server ended the connection during TLS's handshake")
            self._take_in(ciphertext)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise OSError(f"the server's certificate does not verify: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise OSError(f"no TLS handshake: {_reason(error)}") from error
        finally:
            self._flush()  # also an alert that says what is wrong
        return True

    def receive(self) -> tuple[bytes, int]:
        """Read what is there; return its plaintext (none: the peer has closed) and its arrival in ns.

        Raises:
            BlockingIOError: If nothing is there.
            NothingWhole: If nothing of it is plaintext: part of a record, or what TLS says to itself, such as
                session tickets.
            OSError: If the connection broke, or a record is not authentic.
        """
        ciphertext, arrived_ns = super().receive()
        if not ciphertext:
            return b"", arrived_ns
        self._take_in(ciphertext)
        pieces = []
        try:
            while piece := self._tls.read(LARGEST_PLAINTEXT_BYTES):
                pieces.append(piece)
            self.finish()  # the peer has sent close_notify, and awaits ours before it ends TCP's connection
        except ssl.SSLWantReadError:
            self._flush()  # what TLS answers by itself
        except ssl.SSLZeroReturnError:
            pass  # close_notify, after ours
        except ssl.SSLError as error:
            self._flush()
            raise OSError(f"TLS: {_reason(error)}") from error
        if not pieces:
            raise NothingWhole(arrived_ns)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), arrived_ns

    def send(self, data: bytes) -> int:
        """Encrypt and send as much as fits now; return how many bytes that was.

        What was encrypted but has not all gone counts as sent only later: as with OpenSSL's own SSL_write,
        the bytes that were not taken must be the next that are offered.

        Raises:
            OSError: If the connection broke.
        """
        if not self._encrypted_bytes:
            self._encrypted_bytes = self._tls.write(data)
        if not self._flush():
            return 0
        sent, self._encrypted_bytes = self._encrypted_bytes, 0
        return sent

    def finish(self) -> bool:
        """Say (close_notify) that nothing more will be sent; return whether the peer is still to be heard of.

        Where the kernel's buffer is full, the peer is left to understand it by TCP's end alone.
        """
        if not self._finished:
            self._finished = True
            with contextlib.suppress(OSError):
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()  # writes ours, and would then wait for the peer's
                self._flush()
        return super().finish()

    def _flush(self) -> bool:
        """Send ciphertext; return whether all has gone."""
        self._ciphertext += self._outgoing.read()
        if self._ciphertext:
            self._ciphertext = self._ciphertext[super().send(self._ciphertext) :]
        return not self._ciphertext

    def _take_in(self, ciphertext: bytes) -> None:
        """Give ciphertext to TLS, and note whether it ends within a record."""
        self._incoming.write(ciphertext)
        data = self._record_head + ciphertext
        end = self._record_missing_bytes
        while end + RECORD_HEADER_BYTES <= len(data):
            end += RECORD_HEADER_BYTES + int.from_bytes(data[end + 3 : end + RECORD_HEADER_BYTES])
        self._record_head = data[end:]
        self._record_missing_bytes = max(end - len(data), 0)
        self.ends_within = end != len(data)


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in words, such as "wrong version number"."""
    return (error.reason or str(error)).replace("_", " ").lower()
