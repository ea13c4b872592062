"""Records in, a verdict with its reason out; and what verdicts make of a domain over time."""
from __future__ import annotations

import types
from datetime import timedelta

import pytest

from jobs_lib import clock, hostnames
from jobs_lib.features.domains import records as domain_checks
from jobs_lib.features.domains import status as domain_rules
from jobs_lib.features.domains.records import Wanted
from tests.support.bench import NOW
from tests.support.product import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" + "x/+" * 40 + "AQAB=="
NOBODY = Answer(UNKNOWN, why="the name server answered SERVFAIL")
NXD, NONE = Answer(NXDOMAIN), Answer(NODATA)
SELECTOR = "porter._domainkey.example.org"


def section(**changes):
    """`[dns]` as a run sees it."""
    return types.SimpleNamespace(**{
        "mx_hosts": ("mx1.service.example", "mx2.service.example"),
        "spf_include": "spf.service.example",
        "dkim_selector": "porter", "dkim_target": "porter._domainkey.service.example",
        "dkim_key": KEY,
        "ownership_prefix": "porter-verify=", **changes})


def judged(check: str, answers: dict, token: str = "Abc123", **changes) -> dict:
    wanted = Wanted("example.org", token, section(**changes), ("ownership", "mx"))
    given = {question: answer if isinstance(answer, Answer) else Answer(FOUND, tuple(answer))
             for question, answer in answers.items()}
    everything = {question: given.get(question, NONE)
                  for question in domain_checks.questions(wanted)}
    return domain_checks.judge(wanted, everything)[check]


APEX, DKIM, DMARC = (("example.org", "TXT"), (SELECTOR, "TXT"), ("_dmarc.example.org", "TXT"))
ALIAS, MAIL = (SELECTOR, "CNAME"), ("example.org", "MX")


# What is good or not is shown with real name servers: tests/ports/test_domain_records.py
@pytest.mark.parametrize("check, question, answer, state, reason", [
    ("ownership", APEX, [' "porter-verify=Abc123" '], "pass", ""),       # typed into a panel
    ("ownership", APEX, ["porter-verify=zzz"], "fail", "other_token"),
    ("ownership", APEX, NONE, "fail", "missing"),
    ("ownership", APEX, NXD, "fail", "no_domain"),
    ("ownership", APEX, NOBODY, "unknown", "no_answer"),
    ("mx", MAIL, [(10, "mx1.service.example"), (10, "mail.other.example")], "pass",
     "foreign_mx_level"),
    ("mx", MAIL, [(20, "mx1.service.example"), (10, "mail.other.example")], "fail",
     "foreign_mx_first"),
    ("mx", MAIL, [(10, "mail.other.example")], "fail", "foreign_mx"),
    ("mx", MAIL, [(0, "."), (10, "mx1.service.example")], "fail", "null_mx"),
    ("mx", MAIL, NOBODY, "unknown", "no_answer"),
    ("spf", APEX, ["v=spf1 include:spf.service.example ~all", "v=spf1 -all"], "fail",
     "two_records"),
    ("spf", APEX, ["v=spf1 -include:spf.service.example ~all"], "fail", "no_include"),
    ("spf", APEX, ["spf2.0/pra include:spf.service.example"], "fail", "missing"),
    ("spf", APEX, NOBODY, "unknown", "no_answer"),
    ("dkim", DKIM, [f'"v=DKIM1;p= {KEY[:50]} {KEY[50:]} ;"'], "pass", ""),
    ("dkim", DKIM, [f"v=DKIM1; p={KEY}", "v=DKIM1; p=abc"], "fail", "wrong_key"),
    ("dkim", DKIM, ["v=DKIM1; p="], "fail", "empty_key"),
    ("dkim", ALIAS, ["key.other.example"], "fail", "wrong_target"),
    ("dkim", ALIAS, NOBODY, "unknown", "no_answer"),
    ("dkim", DKIM, NOBODY, "unknown", "no_answer"),
    ("dmarc", DMARC, ["V = dmarc1 ;p=reject; rua=mailto:x@example.org", "hello"], "pass", ""),
    ("dmarc", DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "fail", "two_records"),
    ("dmarc", DMARC, NOBODY, "unknown", "no_answer"),
])
def test_each_mistake_has_its_reason_and_says_what_to_do(check, question, answer, state,
                                                         reason):      # R48, R50
    result = judged(check, {question: answer})
    assert (result["state"], result["reason"]) == (state, reason)
    assert bool(result["problem"] and result["fix"]) is bool(reason)


def test_what_is_not_configured_is_not_checked_and_not_asked_for():
    bare = section(mx_hosts=(), spf_include="", dkim_target="", dkim_key="")
    assert domain_checks.configured(bare) == ("ownership", "dmarc")
    wanted = Wanted("example.org", "a", bare, ("ownership",))
    assert domain_checks.questions(wanted) == [("example.org", "TXT"),
                                               ("_dmarc.example.org", "TXT")]


def test_what_strangers_write_is_kept_short():
    result = judged("ownership",
                    {APEX: [f"porter-verify={number}" + "x" * 5000 for number in range(99)]})
    assert len(result["found"]) == 10
    assert max(map(len, result["found"])) == 500


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
    assert hostnames.ascii_form(name) == made
    assert hostnames.shown(name) == shown
    assert made in hostnames.forms(name)


@pytest.mark.parametrize("name", ["", ".", "example", "a..b", "-a.example", "a b.example",
                                  "1.2.3.4", "a@b.example", "x" * 64 + ".example",
                                  ".".join(["x" * 60] * 5), "a\u2028b.example", "☃.example"])
def test_what_is_no_domain_name(name):
    with pytest.raises(ValueError, match="not a domain name"):
        hostnames.ascii_form(name)
    assert hostnames.shown(name) == name


# States

OPTIONS = types.SimpleNamespace(grace=timedelta(hours=72))


def row(status: str, **values) -> dict:
    times = {name: clock.text(value) if hasattr(value, "tzinfo") else value for name,
             value in values.items()}
    return {"status": status, "created_at": clock.text(NOW), "failing_since": None,
            "warned_at": None, "failures": 0, "next_check_at": None, **times}


@pytest.mark.parametrize("age, step", [
    (timedelta(0), timedelta(minutes=15)), (timedelta(hours=23, minutes=59), timedelta(minutes=15)),
    (timedelta(days=1), timedelta(hours=1)), (timedelta(days=6, hours=23), timedelta(hours=1)),
    (timedelta(days=7), timedelta(days=1)), (timedelta(days=29), timedelta(days=1)),
    (timedelta(days=29, hours=12), timedelta(hours=12)),               # not past its end
])
def test_a_pending_domain_is_looked_at_ever_more_rarely(age, step):
    change = domain_rules.after(row("pending", created_at=NOW - age), "fail", NOW, OPTIONS)
    assert (change.values, change.event) == ({"next_check_at": NOW + step}, None)


def test_a_pending_domain_fails_after_30_days_and_only_by_an_answer():        # R48
    old = row("pending", created_at=NOW - timedelta(days=30))
    assert domain_rules.after(old, "unknown", NOW, OPTIONS) == ({"next_check_at": NOW
                                                                 + timedelta(days=1)}, None)
    assert domain_rules.after(old, "fail", NOW, OPTIONS) == ({"status": "failed",
                                                              "next_check_at": None}, "failed")
    assert domain_rules.after(old, "pass", NOW, OPTIONS).event == "verified"


def walked(*looks: tuple, **values) -> list[tuple]:
    """A verified domain looked at after so many hours, with such a verdict: (hours, event) of what
    came to be."""
    state, events = row("verified", **values), []
    for hours, verdict in looks:
        now = NOW + timedelta(hours=hours)
        change = domain_rules.after(state, verdict, now, OPTIONS)
        state = row(**{**state, **change.values})
        events += [(hours, change.event)] if change.event else []
    return events


def test_de_verified_after_three_failures_over_72_hours_and_a_warning():      # R49
    assert walked((0, "fail"), (24, "fail"), (48, "fail"), (71.9, "fail")) == [(24, "failing")]
    assert walked((0, "fail"), (24, "fail"), (48, "fail"), (72, "fail")) == [(24, "failing"),
                                                                             (72, "failed")]
    assert walked((0, "fail"), (1, "fail"), (72, "fail")) == [(1, "failing"), (72, "failed")]


def test_neither_time_nor_number_alone_is_enough():       # R49
    assert walked((0, "fail"), (72, "fail"), warned_at=NOW - timedelta(days=5)) == []
    assert walked((0, "fail"), (0.1, "fail"), (0.2, "fail"), (72, "fail")) == [(72, "failing")]


def test_one_failure_alone_warns_nobody():              # R49
    assert walked((0, "fail"), (0.25, "fail"), (0.5, "pass"), (24, "fail"), (25, "pass")) == []


def test_one_pass_resets():                             # R49
    assert walked((0, "fail"), (24, "fail"), (48, "pass"), (72, "fail"), (96, "fail"),
                  (120, "fail"),
                  (143, "fail")) == [(24, "failing")]


def test_no_warning_is_repeated_within_30_days():       # R49
    day = 24
    looks = [(hours, "fail" if hours % (4 * day) < 2 * day else "pass") for hours in range(0,
                                                                                           64 * day,
                                                                                           day)]
    warned = [hours for hours, event in walked(*looks) if event == "failing"]
    assert warned == [day, 33 * day]
    assert not [event for _, event in walked(*looks) if event == "failed"]


def test_a_warning_of_an_earlier_time_that_was_repaired_takes_nothing_away():      # R49
    """The next may be written 30 days after the first; until a day after that the domain keeps its
    status."""
    day = 24
    again = [(hours, "fail") for hours in range(3 * day, 40 * day, day)]
    assert walked((0, "fail"), (day, "fail"), (2 * day, "pass"), *again) == [
        (day, "failing"), (31 * day, "failing"), (32 * day, "failed")]


def test_unknown_neither_counts_nor_resets():           # R48, R49
    assert walked((0, "fail"), (24, "unknown"), (48, "unknown"), (72, "unknown"),
                  (96, "unknown")) == []
    assert walked((0, "fail"), (24, "fail"), (48, "unknown"), (72, "fail")) == [(24, "failing"),
                                                                                (72, "failed")]


def test_an_owner_has_a_day_after_the_warning_even_when_cron_stood_still():
    assert walked((0, "fail"), (96, "fail"), (97, "fail"), (119, "fail"), (120, "fail")) == [
        (96, "failing"), (120, "failed")]


@pytest.mark.parametrize("values, verdict, hours", [
    # never verified: on demand alone
    ({}, "fail", None),
    ({}, "unknown", 1),                                             # asked for in vain: once more
    ({"next_check_at": NOW}, "unknown", None),
    # verified before: it may come back
    ({"failing_since": NOW - timedelta(days=32)}, "fail", 24),
    ({"failing_since": NOW - timedelta(days=32)}, "unknown", 24),
    ({"failing_since": NOW - timedelta(days=33)}, "fail", None),
])
def test_a_failed_domain_is_looked_at_for_30_days_if_it_was_verified(values, verdict, hours):
    change = domain_rules.after(row("failed", **values), verdict, NOW, OPTIONS)
    assert change == ({"next_check_at": NOW + timedelta(hours=hours) if hours else None}, None)
