"""Records in, a verdict with its reason out. What verdicts make of a domain over time:
tests/jobs/test_check_domains.py."""
from __future__ import annotations

import types

import pytest

from tests.support.product import FOUND, NODATA, Answer, addresses, records

# What is good or not, and why, is shown with real name servers: tests/ports/test_domain_records.py
DNS = types.SimpleNamespace(mx_hosts=(), spf_include="", dkim_selector="porter", dkim_target="",
                            dkim_key="", ownership_prefix="porter-verify=")


def test_what_is_not_configured_is_not_asked_for_and_what_strangers_write_is_kept_short():
    wanted = records.checks("example.org", "Abc123", DNS)
    asked = [("example.org", "TXT"), ("_dmarc.example.org", "TXT")]
    assert (list(wanted), records.questions(wanted)) == (["ownership", "dmarc"], asked)
    found = Answer(FOUND, tuple(f"porter-verify={number}" + "x" * 5000 for number in range(99)))
    result = records.judge(wanted, dict.fromkeys(asked, found), DNS, ("ownership",))
    assert [len(text) for text in result["ownership"]["found"]] == [500] * 5


def test_a_server_of_ours_may_be_named_as_it_is_read():
    dns = types.SimpleNamespace(**{**vars(DNS), "mx_hosts": ("MX.grüße.example",)})
    wanted, mx = records.checks("example.org", "", dns), ("example.org", "MX")
    answers = dict.fromkeys(records.questions(wanted), Answer(NODATA))
    answers[mx] = Answer(FOUND, ((10, "mx.xn--gre-6ka8l.example"),))
    assert records.judge(wanted, answers, dns, ("mx",))["mx"]["state"] == "pass"


# Names

@pytest.mark.parametrize("name, made, shown", [
    ("Example.ORG.", "example.org", "example.org"),
    ("grüße.example", "xn--gre-6ka8l.example", "grüße.example (xn--gre-6ka8l.example)"),
    ("xn--gre-6ka8l.example", "xn--gre-6ka8l.example", "grüße.example (xn--gre-6ka8l.example)"),
    ("GRU\u0308SSE.example", "xn--grsse-lva.example", "grüsse.example (xn--grsse-lva.example)"),
    ("例え。テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト (xn--r8jz45g.xn--zckzah)"),
    ("xn--zzzzzzzz99999999.example", "xn--zzzzzzzz99999999.example",
     "xn--zzzzzzzz99999999.example"),
    ("sub_1.a-b.example", "sub_1.a-b.example", "sub_1.a-b.example"),
])
def test_a_name_as_it_is_asked_for_and_as_it_is_read(name, made, shown):
    assert addresses.ascii_form(name) == made
    assert addresses.shown(name) == shown
    assert made in addresses.forms(name)


@pytest.mark.parametrize("name", ["", ".", "example", "a..b", "-a.example", "a b.example",
                                  "1.2.3.4", "a@b.example", "x" * 64 + ".example",
                                  ".".join(["x" * 60] * 5), "a\u2028b.example", "☃.example"])
def test_what_is_no_domain_name(name):
    with pytest.raises(ValueError, match="not a domain name"):
        addresses.ascii_form(name)
    assert addresses.shown(name) == name
