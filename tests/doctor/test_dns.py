"""The dns area: name servers answer, and know what domains have to name."""
from __future__ import annotations

import time

import pytest

from tests.servers.dns_servers import Authority, BlackHole
from tests.support.patience import SOON


@pytest.fixture(scope="module")
def authority():
    with Authority() as server:
        server.zone("service.example", "@ MX 10 mx1\nmx1 A 192.0.2.1\n")
        yield server


@pytest.fixture
def checking(lite, authority):
    lite.configure("check_domains", enabled="yes")
    lite.configure("dns", nameservers=f"127.0.0.1:{authority.port}", mx_hosts="mx1.service.example")
    lite.configure("mail", domain="service.example")
    return lite


def test_a_name_server_that_answers_is_in_order(checking):
    assert checking.found("dns") == []


def test_silence_is_a_problem_and_costs_little(checking):
    with BlackHole() as hole:
        checking.configure("dns", nameservers=f"127.0.0.1:{hole.port}")
        began = time.monotonic()
        assert checking.one("dns",
                            "No name server answers for mx1.service.example").level == "problem"
        assert time.monotonic() - began < SOON


def test_a_mail_server_that_is_not_in_dns_is_reported(checking):
    checking.configure("dns", mx_hosts="mx9.service.example")
    assert checking.one("dns", "DNS has no name mx9.service.example").level == "warning"


def test_that_nothing_but_the_owner_is_checked_is_reported(checking):
    checking.configure("dns", mx_hosts="")
    checking.configure("check_domains", require="ownership")
    assert "mx_hosts" in checking.one("dns", "only the owner").what


def test_what_is_required_and_not_set_is_asked_for_once(checking):
    checking.configure("dns", mx_hosts="")
    assert checking.found("dns") == []
    assert sum("require names mx" in found.what for found in checking.found("config")) == 1


def test_who_checks_no_domains_is_asked_for_none(lite):
    lite.configure("dns", nameservers="127.0.0.1:9")
    assert lite.all("dns") == []
