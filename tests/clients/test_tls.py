"""TLS in the socket: the clients see the same bytes, the kernel others; what cannot be trusted is refused."""

import contextlib
import functools
import itertools
import select
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.certificate import Certificate, make_certificate
from bench.measure.subject import Server
from bench.measure.trial import run_trial
from bench.scenario import Scenario, ScenarioError
from bench.transports import TRANSPORTS, Transport, main_names
from clients.base import Address
from clients.load.crowd import Crowd
from clients.load.generator import DELIVERY_FIELDS
from clients.load.orders import Order
from clients.load.stream import stream
from clients.sockets.stamped_socket import NothingWhole, StampedSocket
from clients.sockets.tls_socket import TlsSocket, client_context
from servers.__main__ import main as serve
from tests.conftest import WatchedSwarm
from tests.waiting import LIMIT_S

HOST = "127.0.0.1"
TLS_1_3_RECORD_BYTES = 22
"""What a record of TLS 1.3 adds: a header of 5, the type of its content, 1, and AES-GCM's tag of 16 bytes.

RFC 8446, section 5.2; RFC 5116, section 5.1.
"""
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), HOST)


def secured(server: Server, transport: Transport, ca: str, count: int = 1, **settings) -> WatchedSwarm:
    """Return a swarm over TLS."""
    if "poll_interval_s" in transport.client_class.settings:
        settings["poll_interval_s"] = 0.05
    address = Address(server.host, server.port, server.path)
    clients = [transport.client_class(address, **settings) for _ in range(count)]
    make_socket = functools.partial(TlsSocket, context=client_context(ca), server_name=HOST)
    return WatchedSwarm(server, clients, make_socket=make_socket)


# A TLS socket whose peer is OpenSSL's server on buffers: the test moves the bytes


class Peer:
    """The other end of a TLS socket."""

    def __init__(self, certificate: Certificate, version: ssl.TLSVersion) -> None:
        self.version = version
        self.client = TlsSocket(
            socket.AF_INET, context=client_context(certificate.ca), server_name=HOST, offset_ns=0
        )
        with socket.create_server((HOST, 0)) as listener:
            self.client.connect(*listener.getsockname())
            self.sock = listener.accept()[0]
        self.sock.settimeout(LIMIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = version
        context.load_cert_chain(certificate.server)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake_hands(self) -> None:
        """Go through the handshake; session tickets stay with the peer, to be sent with what follows."""
        while not self.client.secure():
            self.hear()
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.sock.sendall(self.outgoing.read())
        if self.version is ssl.TLSVersion.TLSv1_3:
            self.hear()  # the client is done first
            self.tls.do_handshake()

    def hear(self) -> None:
        self.incoming.write(self.sock.recv(65_536))

    def encrypt(self, message: bytes) -> bytes:
        """Return the records of a message, and whatever was to be sent before it."""
        while message:
            message = message[self.tls.write(message) :]
        return self.outgoing.read()

    def close(self) -> None:
        self.sock.close()
        self.client.close()


@contextlib.contextmanager
def connected(certificate: Certificate, version: ssl.TLSVersion = VERSIONS[-1]) -> Iterator[Peer]:
    peer = Peer(certificate, version)
    try:
        peer.shake_hands()
        yield peer
    finally:
        peer.close()


def receive(client: TlsSocket) -> bytes:
    """Wait for ciphertext; return the plaintext that it completes, if any."""
    assert select.select([client], [], [], LIMIT_S)[0]
    try:
        return client.receive()[0]
    except BlockingIOError:
        return b""


def record_ends(ciphertext: bytes) -> list[int]:
    """Return where records end: each begins with its type, version, and length (RFC 8446, section 5.1)."""
    ends = [0]
    while ends[-1] < len(ciphertext):
        ends.append(ends[-1] + 5 + int.from_bytes(ciphertext[ends[-1] + 3 : ends[-1] + 5]))
    return ends[1:]


@given(
    version=st.sampled_from(VERSIONS),
    sizes=st.lists(st.sampled_from([1, 125, 16_384, 16_385]) | st.integers(1, 500), min_size=1, max_size=4),
    data=st.data(),
)
def test_ciphertext_may_be_cut_at_any_place(certificate, version, sizes, data):
    with connected(certificate, version) as peer:
        messages = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
        ciphertext = b"".join(map(peer.encrypt, messages))
        ends = record_ends(ciphertext)
        near = st.builds(
            lambda end, by: min(max(end + by, 1), len(ciphertext)), st.sampled_from(ends), st.integers(-3, 8)
        )
        cuts = data.draw(st.sets(near | st.integers(1, len(ciphertext)), max_size=8))
        plaintext = b""
        for start, end in itertools.pairwise(sorted(cuts | {0, len(ciphertext)})):
            peer.sock.sendall(ciphertext[start:end])
            plaintext += receive(peer.client)
            assert peer.client.ends_within == (end not in ends)
        assert plaintext == b"".join(messages)


@pytest.mark.parametrize("size", [1, 100, 16_384])
def test_a_record_adds_22_bytes(certificate, size):
    with connected(certificate) as peer:
        peer.encrypt(b"tickets go first")
        assert len(peer.encrypt(bytes(size))) == size + TLS_1_3_RECORD_BYTES


def test_what_tls_says_to_itself_is_no_plaintext(certificate):
    with connected(certificate) as peer:
        tickets = peer.outgoing.read()
        assert tickets
        peer.sock.sendall(tickets)
        assert receive(peer.client) == b""


def test_part_of_a_record_is_no_plaintext_but_it_was_heard(certificate):
    with connected(certificate) as peer:
        peer.sock.sendall(peer.encrypt(b"[]")[:-1])
        assert select.select([peer.client], [], [], LIMIT_S)[0]
        with pytest.raises(NothingWhole):
            peer.client.receive()
        with pytest.raises(BlockingIOError) as nothing:
            peer.client.receive()
        assert not isinstance(nothing.value, NothingWhole)


def test_a_full_buffer_loses_and_doubles_nothing(certificate):
    with connected(certificate) as peer:
        sent, heard = bytes(range(256)) * 40_000, b""
        rest = sent
        while True:
            taken = peer.client.send(rest)
            rest = rest[taken:]
            if len(heard) == len(sent):
                break
            if not taken:
                peer.hear()
                with contextlib.suppress(ssl.SSLWantReadError):
                    while piece := peer.tls.read(16_384):
                        heard += piece
        assert heard == sent


def test_a_forged_record_breaks_the_connection(certificate):
    with connected(certificate) as peer:
        ciphertext = bytearray(peer.encrypt(b"[]"))
        ciphertext[-1] ^= 1
        peer.sock.sendall(ciphertext)
        with pytest.raises(OSError, match=r"TLS: .*mac"):
            receive(peer.client)


def test_an_end_is_announced_and_answered(certificate):
    with connected(certificate) as peer:
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()
        peer.sock.sendall(peer.encrypt(b""))
        assert receive(peer.client) == b""
        peer.hear()
        peer.tls.unwrap()  # has heard the client's close_notify
        assert peer.sock.recv(1) == b""
        peer.sock.close()
        assert select.select([peer.client], [], [], LIMIT_S)[0]
        assert peer.client.receive()[0] == b""


def test_a_client_says_that_it_ends(certificate):
    with connected(certificate) as peer:
        assert peer.client.finish()
        peer.hear()
        assert peer.tls.read(1) == b""
        assert peer.sock.recv(1) == b""


# Servers and swarms


def test_every_tick_comes_once_and_in_order(transport, certificate, start_server):
    server = start_server(transport, certificate=certificate.server, rate_hz=50)
    assert server.url.startswith("https://")
    watched = secured(server, transport, certificate.ca, 3, after=0)
    with contextlib.closing(watched.swarm):
        watched.until(lambda: all((c.cursor or 0) >= 20 for c in watched.clients), "20 ticks")
        assert [watched.seqs(number)[:20] for number in range(3)] == [list(range(1, 21))] * 3
        assert not watched.swarm.errors


@pytest.mark.parametrize("name", ["short_polling", "long_polling"])
def test_a_connection_for_each_request_is_a_handshake_for_each(name, certificate, start_server):
    server = start_server(TRANSPORTS[name], certificate=certificate.server, rate_hz=50)
    watched = secured(server, TRANSPORTS[name], certificate.ca, after=0, keep_alive=False)
    with contextlib.closing(watched.swarm):
        watched.until(lambda: (watched.clients[0].cursor or 0) >= 10, "10 ticks")
        seqs = watched.seqs(0)
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(watched.swarm.connect_ns) >= 2
        assert not watched.swarm.errors


@pytest.mark.parametrize("name", main_names())
def test_what_the_wire_has_more_than_the_clients_is_the_records(name, certificate, start_server):
    server = start_server(TRANSPORTS[name], certificate=certificate.server, rate_hz=10)
    watched = secured(server, TRANSPORTS[name], certificate.ca)
    client, swarm = watched.clients[0], watched.swarm
    with contextlib.closing(swarm):
        watched.until(lambda: client.messages >= 3, "an answer")
        before, messages, down = swarm.wire_counts(), client.messages, swarm.bytes_down
        watched.until(lambda: client.messages >= messages + 5, "five more")
        after = swarm.wire_counts()
        assert before
        assert after
        added = after.payload_bytes_down - before.payload_bytes_down - (swarm.bytes_down - down)
        assert added == TLS_1_3_RECORD_BYTES * (client.messages - messages)


def test_the_first_answer_is_weighed(certificate, start_server):
    """Without TLS, what the wire carried is what the client sent and got; with it, a handshake more."""
    websocket = TRANSPORTS["websocket"]
    plain = start_server(websocket, rate_hz=0.1)
    client = websocket.client_class(Address(plain.host, plain.port, plain.path))
    watched = WatchedSwarm(plain, [client])
    with contextlib.closing(watched.swarm) as swarm:
        watched.connect()
        bare = swarm.first_answer_counts
        assert (bare.payload_bytes_up, bare.payload_bytes_down) == (swarm.bytes_up, swarm.bytes_down)
        assert bare.segments_up >= 3  # SYN, ACK, request
    encrypted = start_server(websocket, certificate=certificate.server, rate_hz=0.1)
    watched = secured(encrypted, websocket, certificate.ca)
    with contextlib.closing(watched.swarm) as swarm:
        watched.connect()
        certificates_bytes = sum(map(len, map(ssl.PEM_cert_to_DER_cert, chain(certificate.server))))
        more = swarm.first_answer_counts.payload_bytes_down - bare.payload_bytes_down
        assert certificates_bytes < more < certificates_bytes + 2_000


def chain(path: str) -> list[str]:
    """Return the certificates in a PEM file."""
    end = "-----END CERTIFICATE-----\n"
    pieces = Path(path).read_text(encoding="utf-8").split(end)[:-1]
    return [piece[piece.index("-----BEGIN CERTIFICATE") :] + end for piece in pieces]


def test_a_read_that_ends_within_a_record_has_a_shared_stamp(start_server):
    class CutSocket(StampedSocket):
        def receive(self) -> tuple[bytes, int]:
            self.ends_within = True
            return super().receive()

    websocket = TRANSPORTS["websocket"]
    server = start_server(websocket, rate_hz=50)
    client = websocket.client_class(Address(server.host, server.port, server.path))
    watched = WatchedSwarm(server, [client], make_socket=CutSocket)
    with contextlib.closing(watched.swarm) as swarm:
        watched.until(lambda: client.messages >= 3, "3 ticks")
        assert all(swarm.deliveries[DELIVERY_FIELDS.index("stamp_shared") :: len(DELIVERY_FIELDS)])


def test_a_trial_goes_over_tls():
    row = run_trial(Scenario("websocket", clients=3, tls=True, warmup_s=0.1, window_s=0.5), seed=1).row
    assert (row["delivered"], row["missed"], row["connection_errors"]) == (row["expected"], 0, "")


def test_one_client_may_listen_over_tls(certificate, start_server):
    server = start_server(TRANSPORTS["websocket"], certificate=certificate.server, rate_hz=50)
    arrivals = stream("websocket", server.url, ca=certificate.ca, after=0)
    assert [next(arrivals).tick.seq for _ in range(3)] == [1, 2, 3]
    arrivals.close()


# What is refused


def complaints(watched: WatchedSwarm) -> str:
    """Step until a connection has failed; return how."""
    with contextlib.closing(watched.swarm) as swarm:
        watched.until(lambda: bool(swarm.errors), "a failed connection")
        assert not swarm.ready
        return "; ".join(swarm.errors)


@pytest.mark.parametrize("name", main_names())
def test_a_certificate_by_an_unknown_authority_is_refused(name, certificate, start_server, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    server = start_server(TRANSPORTS[name], certificate=certificate.server)
    watched = secured(server, TRANSPORTS[name], str(tmp_path / "other.pem"))
    assert complaints(watched).startswith("the server's certificate does not verify: ")
    server.health()  # goes on


def test_a_certificate_for_another_host_is_refused(certificate, start_server, tmp_path):
    other = make_certificate(tmp_path, "example.org")
    websocket = TRANSPORTS["websocket"]
    address = Address(HOST, 0)
    context = client_context(other.ca)
    context.load_verify_locations(certificate.ca)
    make_socket = functools.partial(TlsSocket, context=context, server_name="example.org")
    server = start_server(websocket, certificate=certificate.server)
    watched = WatchedSwarm(server, [websocket.client_class(address)], make_socket=make_socket)
    assert complaints(watched).startswith("the server's certificate does not verify: Hostname mismatch")


@pytest.mark.parametrize("name", main_names())
def test_a_server_without_tls_is_told_as_such(name, certificate, start_server):
    watched = secured(start_server(TRANSPORTS[name]), TRANSPORTS[name], certificate.ca)
    assert "TLS" in complaints(watched)


def test_a_client_without_tls_gets_nowhere(certificate, start_server):
    websocket = TRANSPORTS["websocket"]
    server = start_server(websocket, certificate=certificate.server)
    client = websocket.client_class(Address(server.host, server.port, server.path))
    assert complaints(WatchedSwarm(server, [client]))


@pytest.mark.parametrize("text", [None, "", "no PEM", "without key"])
@pytest.mark.parametrize("name", main_names())
def test_a_certificate_that_cannot_be_read_is_one_sentence(name, text, certificate, tmp_path, capfd):
    path = tmp_path / "server.pem"
    if text is not None:
        path.write_text(
            text if text != "without key" else "".join(chain(certificate.server)), encoding="utf-8"
        )
    assert serve([name, f"--certificate={path}"]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"the certificate {path} cannot be read" in said[0]


def test_an_authority_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.pem cannot be read"):
        client_context(str(tmp_path / "nothing.pem"))


@pytest.mark.parametrize("order", [{"ca": "ca.pem"}, {"settings": {"compression": True}}])
def test_ordinary_clients_have_no_tls(order):
    with pytest.raises(ValueError, match="use the swarm"):
        Crowd(Order("websocket", HOST, 1, "/ticks", 1, ".", **order), 0)


@pytest.mark.parametrize("field", ["tls", "compression"])
def test_a_scenario_for_ordinary_clients_has_no_tls(field):
    with pytest.raises(ScenarioError, match="use the swarm"):
        Scenario("websocket", generator="asyncio", **{field: True})
