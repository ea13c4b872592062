"""What would be done to many at once is done to nobody, until it is put right or confirmed. R79

The causes are those of every day: an UPDATE without its WHERE, a resolver that lies, a firewall.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

import pytest

from tests.guard.service import Service, sql, twin_of
from tests.support.product import ANSWERED, FAILED, NXDOMAIN, Answer, Response

Cause = namedtuple("Cause", "jobs breaks mends harmed different", defaults=("",))
Cause.__doc__ = """What makes all of a kind look wrong at once.

jobs       that would act on them          breaks, mends   how it begins and how it is put right
harmed     those that were touched, in SQL
different  a table that is not as in an untouched twin: notices that only inform go out
"""


def resolver(answer: Answer | None):
    def change(service) -> None:
        service.bench.dns.down = answer
    return change


def endpoints(answer: Response):
    """They answer so from now on, and have something to answer each night."""
    def change(service) -> None:
        service.answer = lambda _: answer
        service.each_step = lambda: [service.event(number) for number in range(1, 21)
                                     if service.bench.now.hour < 6]
    return change


def queues(service) -> None:
    """Each owner has a forward and an event, and then there is no owner."""
    for number in range(1, 21):
        service.forward(number)
        service.event(number)
    sql("UPDATE users SET id = id + 1000000")(service)


NO_LOGS = "{users} WHERE id NOT IN (SELECT user_id FROM {message_logs})"
NO_HEADERS = "{users} WHERE id NOT IN (SELECT user_id FROM {header_snapshots})"
GOOD, OFF = endpoints(Response(ANSWERED, 204)), "{webhooks} WHERE active = 0"
CAUSES = {
    "a resolver that says NXDOMAIN": Cause(
        ["check_domains"], resolver(Answer(NXDOMAIN)), resolver(None),
        "{domains} WHERE status <> 'verified' OR warned_at IS NOT NULL"),
    "a firewall before all endpoints": Cause(
        ["retry_webhooks"], endpoints(Response(FAILED, text="connection refused")), GOOD, OFF),
    "a gateway that answers 410": Cause(
        ["retry_webhooks"], endpoints(Response(ANSWERED, 410)), GOOD, OFF),
    "expires_at of all aliases": Cause(
        ["expire_aliases"], sql("UPDATE aliases SET expires_at = '2026-11-20 12:00:00'"),
        sql("UPDATE aliases SET expires_at = NULL"), "{aliases} WHERE active = 0"),
    "status of all accounts": Cause(
        ["delete_accounts"],
        sql("UPDATE users SET status = 'deleted', deleted_at = '2026-11-24 15:00:00'"),
        sql("UPDATE users SET status = 'active', deleted_at = NULL"),
        "{aliases} WHERE active = 0"),
    "verified_at of all destinations": Cause(
        ["expire_destination_verifications"], sql("UPDATE destinations SET verified_at = NULL"),
        sql("UPDATE destinations SET verified_at = '2026-11-04 14:30:05'"),
        "{users} WHERE id NOT IN (SELECT user_id FROM {destinations} "
        "WHERE removal_notified_at IS NULL)", "notifications"),
    "no message logs": Cause(
        ["purge_header_snapshots"], sql("CREATE TABLE aside AS SELECT * FROM message_logs",
                                        "DELETE FROM message_logs"),
        sql("INSERT INTO message_logs SELECT * FROM aside", "DROP TABLE aside"), NO_HEADERS),
    "a table of users that shows nobody": Cause(
        ["retry_forwards", "retry_webhooks"], queues,
        sql("UPDATE users SET id = id - 1000000"), "{failed_emails} WHERE status <> 'pending'"),
    "log_retention_days of all": Cause(
        ["purge_message_logs"], sql("UPDATE users SET log_retention_days = 1"),
        sql("UPDATE users SET log_retention_days = NULL"), NO_LOGS)}


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUSES)
def test_nobody_is_touched_and_mended_all_is_as_in_a_twin(bench, pool, name):     # R79
    cause = CAUSES[name]
    service = Service(bench, *cause.jobs)
    cause.breaks(service)
    service.pass_time(6 * 24, step=6)
    assert service.number(cause.harmed) == 0
    assert set(service.held) == set(cause.jobs)
    assert len(service.alerts) == len(cause.jobs)
    for (at, state, text), *reminders in service.alerts.values():
        assert state == "new"
        assert at - min(map(min, service.held.values())) <= timedelta(hours=6)      # two ticks
        assert "20 of 20" in text
        assert {state for _, state, _ in reminders} == {"still"}
        assert len(reminders) <= 6                                                 # one a day
    cause.mends(service)
    service.pass_time(4 * 24, step=6)
    assert {alerts[-1][1] for alerts in service.alerts.values()} == {"over"}
    assert service.sent_twice() == []
    twin = twin_of(bench, pool, *cause.jobs)
    cause.breaks(twin)                  # and, before anybody looks, ...
    cause.mends(twin)
    twin.pass_time(10 * 24, step=6)
    assert twin.held == twin.alerts == {}
    assert service.picture(cause.different) == twin.picture(cause.different)


WARNED = "(SELECT DISTINCT user_id FROM {notifications}) AS warned"
LIMITS = {          # {kind: (job, what it does, (owners, most) twice, what makes them so)}
    "domains": ("check_domains", WARNED, (10, 2), (40, 8),
                ("UPDATE domains SET failing_since = '2026-11-24 08:00:00', failures = 1, "
                 "next_check_at = '2026-11-24 15:00:00'")),
    "endpoints": ("retry_webhooks", WARNED, (10, 3), (40, 8),
                  "UPDATE webhooks SET failing_since = '2026-11-21 08:00:00'"),
    "aliases": ("expire_aliases", "{aliases} WHERE active = 0", (10, 5), (40, 8),
                "UPDATE aliases SET expires_at = '2026-11-20 12:00:00'"),
    "accounts": ("delete_accounts", "{aliases} WHERE active = 0", (40, 5), (80, 8),
                 "UPDATE users SET status = 'deleted', deleted_at = '2026-11-24 15:00:00'"),
    "destinations": ("expire_destination_verifications",
                     "{destinations} WHERE removal_notified_at IS NOT NULL", (10, 5), (40, 8),
                     "UPDATE destinations SET verified_at = NULL"),
    "header snapshots": ("purge_header_snapshots", NO_HEADERS, (20, 10), (60, 12),
                         "DELETE FROM message_logs"),
    "queued rows": ("retry_forwards", "{failed_emails} WHERE status = 'failed'", (10, 5), (40, 8),
                    "UPDATE failed_emails SET alias_id = 1000000"),
    "own log retentions": ("purge_message_logs", NO_LOGS, (10, 3), (40, 8),
                           "UPDATE users SET log_retention_days = 1")}


@pytest.mark.parametrize("kind, owners, most", [(kind, *pair) for kind, (*_, small, large, _) in
                                                LIMITS.items() for pair in (small, large)])
@pytest.mark.parametrize("more", [0, 1])
def test_up_to_the_limit_all_are_done_else_nobody(bench, kind, owners, most, more):     # R79
    job, done, *_, state = LIMITS[kind]
    service = Service(bench, owners=owners)
    for number in range(1, owners + 1):
        service.forward(number)
    for number in range(1, most + more + 1):
        service.event(number)
        bench.dns.pop((f"d{number}.test", "TXT"))
    if kind == "domains":           # of an agency, which counts once
        bench.bulk("domains", [{
            "user_id": 1, "name": f"agency{at}.test", "ownership_token": "x", "status": "verified",
            "verified_at": bench.ago(days=20), "next_check_at": bench.now, "failures": 1,
            "failing_since": bench.ago(hours=8)} for at in range(60)])
    service.answer = lambda _: Response(ANSWERED, 500)
    sql(f"{state} WHERE id <= {most + more}")(service)
    bench.now = bench.ahead(hours=1)
    planned = bench.run(job, dry_run=True)
    counts = bench.run(job)
    assert service.number(done) == (0 if more else most)
    assert bool(counts.get("held")) == bool(more)
    assert bool(planned.get("held")) == bool(more)
    if queue := {"queued rows": "forwards", "accounts": "deletions"}.get(kind):
        items = bench.json("queue", queue)["items"]
        assert ("held" in {item["state"] for item in items}) == bool(more)


# --yes

def marked(service, number: int) -> None:
    """So many accounts are deleted, and no other."""
    sql("UPDATE users SET status = 'active', deleted_at = NULL",
        "UPDATE users SET status = 'deleted', deleted_at = '2026-11-24 15:00:00' "
        f"WHERE id <= {number}")(service)


def closed(service, **how) -> int:
    """How many accounts are closed after a run."""
    service.bench.run("delete_accounts", **how)
    return service.number("{aliases} WHERE active = 0")


def test_yes_with_a_limit_of_one_is_one_and_no_more(bench):     # R79
    service = Service(bench)
    marked(service, 20)
    assert [closed(service), closed(service, yes=True, limit=1), closed(service)] == [0, 1, 1]


def test_yes_confirms_the_number_that_was_reported_and_no_more(bench):     # R79
    service = Service(bench, owners=40)
    marked(service, 20)
    assert closed(service, yes=True) == 0               # nothing was reported
    marked(service, 26)                                 # max(5, 10 %) more than was
    assert closed(service, yes=True) == 0
    marked(service, 20)
    assert [closed(service), closed(service, yes=True)] == [0, 20]
    marked(service, 25)
    assert closed(service) == 25
    marked(service, 26)
    assert closed(service) == 25
    assert "once at most 25 are left" in bench.command("queue", "deletions", "--json")


def test_what_was_confirmed_is_erased_in_time_and_forgotten_as_the_number_falls(bench):     # R79
    service = Service(bench, "delete_accounts")
    marked(service, 12)
    assert [closed(service), closed(service, yes=True)] == [0, 12]
    service.pass_time(9 * 24, step=12)
    assert service.number("{users}") == 8
    assert service.held == {}
    marked(service, 20)
    assert closed(service) == 0
