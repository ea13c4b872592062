"""Relay or recipient? A refusal for good is asked for twice, and what everybody is refused costs
nobody a message. R27"""
from __future__ import annotations

import json
import resource
from datetime import timedelta

import pytest

from tests.queue.filling import BOTH, FORWARDS, NOTICES, TABLE, fill, owners, statuses
from tests.servers.misbehaving import Relay
from tests.support.product import FINAL, SENT, Result
from tests.support.shell import Shell

REFUSED = Result(FINAL, 550, "5.7.1", "blocked using a list of hosts")
TAKEN = Result(SENT, 250, "2.0.0", "taken")
OWNERS = range(1, 9)
HOOK = "https://hook.example/secret"
both = pytest.mark.parametrize("job", BOTH)


@pytest.fixture
def service(bench):
    """Eight owners; no limit stops them."""
    owners(bench, OWNERS)
    bench.config(mail={"per_hour": "off"})
    return bench


def refuse(bench, *domains: str) -> None:
    """The relay refuses these domains for good, or everybody; it takes all others."""
    bench.outbox.answer = lambda envelope: REFUSED if not domains or envelope.recipient.endswith(
        tuple(f"@{domain}" for domain in domains)) else TAKEN


def addressed(bench, job: str, *recipients: str, **values) -> None:
    """A due row of an owner each, to these recipients."""
    for owner, recipient in zip(OWNERS, recipients):
        fill(bench, job, owner, envelope_to=recipient, to_email=recipient, **values)


def pass_hours(bench, job: str, hours: int) -> None:
    """Cron goes on for so long."""
    for _ in range(hours):
        bench.attempt(job)
        bench.now += timedelta(hours=1)


@both
def test_a_dead_address_costs_one_more_try(service, job):
    refuse(service, "dead.example")
    addressed(service, job, "jo@dead.example", "ann@home.example")
    assert service.run(job)["failed"] == 0
    fill(service, job, 3)
    service.run(job)
    service.now += timedelta(hours=6)
    assert service.run(job)["failed"] == 1
    assert statuses(service, job)["failed"] == 1
    ended = service.rows(TABLE[job])[0]
    assert (ended["attempts"], ended["last_code"], ended["last_error"]) == (
        2, 550, "5.7.1 blocked using a list of hosts")
    assert ended.get("body_text", True)         # what has failed can still be read, and replayed


@both
@pytest.mark.parametrize("domains, hours", [
    ((), 72),                                   # it refuses everybody
    (("large.example",), 60)])                  # all other mail is accepted
def test_a_relay_or_a_provider_that_refuses_everybody_costs_nothing(service, job, domains, hours):
    large = [f"u{owner}@large.example" for owner in OWNERS]
    addressed(service, job, *large)
    service.run(job)                            # it has accepted mail before
    refuse(service, *domains)
    addressed(service, job, *large)
    for _ in range(hours):
        fill(service, job, 1, bool(domains))
        pass_hours(service, job, 1)
    sent = len(OWNERS) + hours * bool(domains)
    assert statuses(service, job) == {"sent": sent, "pending": len(OWNERS)}
    service.outbox.answer = None
    pass_hours(service, job, 49)
    assert statuses(service, job) == {"sent": sent + len(OWNERS)}


@both
def test_others_of_the_same_domain_speak_for_it_only_where_it_has_accepted_mail(service, job):
    """A domain that exists no more is seen by what others accept."""
    refuse(service, "gone.example")
    addressed(service, job, "ann@gone.example", "bob@gone.example")
    service.run(job)
    fill(service, job, 3)
    service.run(job)
    service.now += timedelta(hours=6)
    assert service.run(job)["failed"] == 2


def test_what_is_replayed_or_sent_elsewhere_is_asked_for_twice_again(service):
    refuse(service, "dead.example")
    addressed(service, NOTICES, "jo@dead.example")
    for replay in (True, False):
        for failed in (0, 1):
            fill(service, NOTICES, 3)
            service.now += timedelta(hours=6)
            assert service.run(NOTICES)["failed"] == failed
        if replay:
            service.command("replay", "notifications", "1")
    service.db.execute("UPDATE {notifications} SET status = 'pending', attempts = 0, "
                       "to_email = 'al@dead.example' WHERE id = 1")
    assert service.run(NOTICES)["failed"] == 0


@both
@pytest.mark.parametrize("domains, subject", [
    ((), "The mail server refuses every message"),
    (("large.example",), "large.example refuses every message")])
def test_who_refuses_everybody_is_one_incident(service, job, domains, subject):
    service.config(mail={"per_hour": "off"}, alerts={"email": "op@example.org", "webhook": HOOK,
                                                     "disk_free": "off"})
    fill(service, job, OWNERS, 4)
    service.run(job)                            # a day's mail was accepted before
    others = ["home.example", "work.example"] * 2
    addressed(service, job, *[f"u{number}@{domain}" for number, domain in enumerate(
        [*["large.example"] * 4, *(others if not domains else ["large.example"] * 2)])])
    if domains:
        fill(service, job, 7, 3)
    refuse(service, *domains)
    service.attempt(job)
    service.attempt("check_jobs")
    assert json.loads(service.web[0].body)["message"].startswith(subject)
    assert [row["kind"] for row in service.rows("alerts")] == ["relay"]
    service.outbox.answer = None
    pass_hours(service, job, 7)
    for _ in range(2):
        service.attempt("check_jobs")
        service.now += timedelta(minutes=31)
    assert service.rows("alerts")[0]["resolved_at"]


def test_few_recipients_or_one_owner_alone_are_no_incident(service):
    refuse(service)
    fill(service, FORWARDS, 1, 3, envelope_to="a@x.example")
    for number in range(6):
        fill(service, FORWARDS, 1, envelope_to=f"u{number}@x.example")
    addressed(service, NOTICES, *[f"n{number}@x.example" for number in range(4)])
    service.db.execute("DELETE FROM {notifications} WHERE user_id <> 1")
    service.attempt(FORWARDS), service.attempt(NOTICES), service.attempt("check_jobs")
    assert service.rows("alerts") == []


@pytest.mark.parametrize("phase, answer, sent", [
    # what a destination answers, whatever it quotes
    ("RCPT", b"550 5.7.1 host mx.home.example said: 550 Relay access denied", 2),
    ("RCPT", b"450 4.7.1 too many messages per hour", 2),
    ("dot", b"535 5.7.8 quoted from elsewhere", 2),
    ("dot", b"550 Domain x.example has exceeded the max emails per hour (100/100 (100%)) allowed",
     2),
    # what the relay itself answers
    ("MAIL", b"550 5.7.1 Relay access denied", 0),
    ("MAIL", b"450 4.7.1 too many messages per hour", 0), ("greeting", b"554 5.7.1 blocked", 0)])
def test_only_what_the_relay_itself_answers_pauses_it(tmp_path, engine_url, phase, answer, sent):
    service = Shell(tmp_path, engine_url)
    service.forwards(3)
    with Relay(**{phase: [answer + b"\r\n"] if sent else answer + b"\r\n"}) as relay:
        service.configure("mail", port=relay.port)
        service(FORWARDS)
    paused = service.db.query("SELECT id FROM {relay_state} WHERE paused_until IS NOT NULL")
    assert (len(paused), service.statuses().get("sent", 0)) == (not sent, sent)
    assert sum(service.statuses().values()) == 3


@pytest.mark.slow
def test_a_host_without_file_handles_blames_neither_relay_nor_message(tmp_path, engine_url):
    """Wherever in a run the last one is used up."""
    service = Shell(tmp_path, engine_url)
    service.forwards(2)
    ours = set()
    with Relay() as relay:
        service.configure("mail", port=relay.port)
        for most in range(4, 40):
            done = service(FORWARDS, "--json", preexec_fn=lambda most=most: resource.setrlimit(
                resource.RLIMIT_NOFILE, (most, most)))
            assert not service.db.value("SELECT since FROM {relay_state}"), done
            if service.statuses() == {"sent": 2}:
                break
            assert {row["attempts"] for row in service.db.query(
                "SELECT attempts FROM {failed_emails} WHERE status <> 'sent'")} == {0}
            ours.add("this host has no file handle or memory left" in done.out + done.err)
    assert service.statuses() == {"sent": 2}
    assert True in ours
