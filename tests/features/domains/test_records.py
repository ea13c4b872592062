"""Records in, a verdict with its reason out; and what verdicts make of a domain over time."""
from __future__ import annotations

import types
from datetime import timedelta

import pytest

from tests.support.bench import NOW
from tests.support.product import FOUND, NODATA, Answer, addresses, clock, domain_after, records

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


# States

OPTIONS = types.SimpleNamespace(grace=timedelta(hours=72))


def row(status: str, **values) -> dict:
    times = {name: clock.text(value) if hasattr(value, "tzinfo") else value for name,
             value in values.items()}
    return {"status": status, "created_at": clock.text(NOW), "failing_since": None,
            "warned_at": None, "failures": 0, "next_check_at": None, **times}


@pytest.mark.parametrize("age, step", [
    # by the next quarter of an hour
    (timedelta(0), timedelta(minutes=14)), (timedelta(hours=23, minutes=59), timedelta(minutes=14)),
    (timedelta(days=1), timedelta(hours=1)), (timedelta(days=6, hours=23), timedelta(hours=1)),
    (timedelta(days=7), timedelta(days=1)), (timedelta(days=29), timedelta(days=1)),
])
def test_a_pending_domain_is_looked_at_ever_more_rarely(age, step):
    change = domain_after(row("pending", created_at=NOW - age), "fail", NOW, OPTIONS)
    assert change == ({"failing_since": None, "next_check_at": NOW + step}, None)


def walked(*looks: tuple) -> list[tuple]:
    """A verified domain looked at after so many hours, with such a verdict: (hours, event) of what
    came to be."""
    state, events = row("verified"), []
    for hours, verdict in looks:
        now = NOW + timedelta(hours=hours)
        warned = state["warned_at"] and clock.parse(state["warned_at"])
        in_time = bool(warned) and now - warned >= timedelta(days=1)
        values, event = domain_after(state, verdict, now, OPTIONS, in_time)
        state = row(**{**state, **values})
        events += [(hours, event)] if event else []
    return events


DAY = 24
FAIL = "fail"
WALKS = {               # {what it shows: (looks, what came to be)}. R48 R49
    "a number without time is not enough": (
        [(0, FAIL), (0.1, FAIL), (0.2, FAIL), (72, FAIL)], [(72, "warned")]),
    "one pass resets": (
        [(0, FAIL), (24, FAIL), (48, "pass"), (72, FAIL), (96, FAIL), (120, FAIL), (143, FAIL)],
        [(24, "warned"), (96, "warned")]),
    "unknown does not reset": ([(0, FAIL), (24, FAIL), (48, "unknown"), (72, FAIL)],
                          [(24, "warned"), (72, "failed")]),
    "a day after the warning, though cron stood still": (
        [(0, FAIL), (96, FAIL), (97, FAIL), (119, FAIL), (120, FAIL)],
        [(96, "warned"), (120, "failed")]),
    # until a day after the next one the domain keeps its status
    "a warning of a time that was repaired takes nothing away": (
        [(0, FAIL), (DAY, FAIL), (2 * DAY, "pass"),
         *((hours, FAIL) for hours in range(3 * DAY, 40 * DAY, DAY))],
        [(DAY, "warned"), (4 * DAY, "warned"), (6 * DAY, "failed")]),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_verified_domain_is_warned_and_then_loses_its_status(name):      # R48 R49
    looks, events = WALKS[name]
    assert walked(*looks) == events


@pytest.mark.parametrize("values, verdict, hours", [
    # never verified: on demand alone
    ({}, "fail", None),
    ({}, "unknown", None),
    # verified before: it may come back
    ({"failing_since": NOW - timedelta(days=32)}, "fail", 24),
    ({"failing_since": NOW - timedelta(days=32)}, "unknown", 24),
    ({"failing_since": NOW - timedelta(days=33)}, "fail", None),
])
def test_a_failed_domain_is_looked_at_for_30_days_if_it_was_verified(values, verdict, hours):
    change = domain_after(row("failed", **values), verdict, NOW, OPTIONS)
    assert change == ({"next_check_at": NOW + timedelta(hours=hours) if hours else None}, None)
