"""Only public addresses may be connected to, whatever form they come in."""
from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.address_corpus import embedded
from tests.support.product import NETWORKS_4, is_in, is_public


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "2130706433", "fe80::1%eth0",
                                     "2606:4700::1%1", "1.2.3.4/8", " 8.8.8.8", "8.8.8.8\n",
                                     "8.8.8.8.8", "::ffff:8.8.8.8%2", "٨.8.8.8"])
def test_what_is_no_plain_address_is_refused(address):     # R45
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_passes_that_python_calls_special(address):     # R45
    if is_public(str(address)):
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_private))


@given(st.one_of(st.ip_addresses(v=6), *(st.ip_addresses(v=6, network=network)
                                         for network in ("2000::/3", "64:ff9b::/96", "::/64"))))
def test_no_ipv6_address_passes_that_python_calls_special(address):     # R45
    if is_public(str(address)):
        inner = address.ipv4_mapped
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        assert (inner or address).is_global
        assert not (inner or address).is_multicast
        assert inner or (address in ipaddress.ip_network("2000::/3") and not address.sixtofour
                         and not address.teredo)


@given(st.one_of(*(st.ip_addresses(v=4, network=network) for network in NETWORKS_4)))
def test_no_form_hides_an_ipv4_address_that_is_refused(address):     # R45
    assert not any(map(is_public, embedded(str(address))))


def test_networks_of_the_operators_are_known_also_in_mapped_form():
    networks = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "fd00::/16")))
    assert [is_in(address, networks) for address in (
        "127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "128.0.0.1", "::127.0.0.1",
        "64:ff9b::127.0.0.1", "::1", "x")] == [
        True, True, True, False, False, False, False, False]
    assert not is_in("127.0.0.1", ())
