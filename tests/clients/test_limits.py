"""Ports of one address and file descriptors: what is done about them, and what is said if nothing helps."""

import ipaddress
import resource
from collections import Counter

import pytest

from clients.sockets import limits
from clients.sockets.limits import (
    CLIENTS_PER_ADDRESS,
    SPARE_DESCRIPTORS,
    raise_descriptor_limit,
    source_address,
)


@pytest.mark.parametrize("clients", [1, 1_000, 25_000])
def test_few_clients_leave_their_address_to_the_system(clients):
    assert source_address(clients - 1, clients, "127.0.0.1") is None


def test_clients_of_another_machine_leave_it_to_the_system():
    assert source_address(0, 60_000, "server.example") is None


@pytest.mark.parametrize("clients", [25_001, 60_000, 120_000])
def test_many_clients_share_enough_loopback_addresses(clients):
    load = Counter(source_address(number, clients, "127.0.0.1") for number in range(clients))
    assert max(load.values()) <= CLIENTS_PER_ADDRESS
    assert all(ipaddress.ip_address(address).is_loopback for address in load)


class FakeLimit:
    """Stands for this process's limit of file descriptors."""

    def __init__(self, monkeypatch, soft: int, hard: int) -> None:
        self.soft, self.hard = soft, hard
        monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (self.soft, self.hard))
        monkeypatch.setattr(limits.resource, "setrlimit", self.set)

    def set(self, _, pair: tuple[int, int]) -> None:
        self.soft, self.hard = pair


def test_the_soft_limit_is_raised_to_what_is_needed(monkeypatch):
    limit = FakeLimit(monkeypatch, soft=1_024, hard=20_000)
    raise_descriptor_limit(10_000)
    assert 10_000 + SPARE_DESCRIPTORS <= limit.soft <= limit.hard == 20_000


def test_a_hard_limit_that_is_too_low_is_said_with_what_to_do(monkeypatch):
    FakeLimit(monkeypatch, soft=1_024, hard=4_096)
    with pytest.raises(OSError, match="5000 connections need 5064 file descriptors") as refusal:
        raise_descriptor_limit(5_000)
    assert "the hard limit is 4096" in str(refusal.value)
    assert "ulimit -Hn 5064" in str(refusal.value)


def test_an_unlimited_process_stays_unlimited(monkeypatch):
    limit = FakeLimit(monkeypatch, soft=256, hard=resource.RLIM_INFINITY)
    raise_descriptor_limit(1_000)
    raise_descriptor_limit(100_000)
    assert limit.soft >= 100_000 + SPARE_DESCRIPTORS
    assert limit.hard == resource.RLIM_INFINITY
