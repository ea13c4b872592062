"""One owner's backlog delays nobody else: owners take turns, and nobody uses up a limit while
others wait."""
from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.engines import old_turns as turns
from jobs_lib.engines import relay_limits, work_queue
from jobs_lib.errors import Conflict, Stopped
from jobs_lib.monitoring import overview, queues
from jobs_lib.ports.http.message import ANSWERED, Response
from jobs_lib.ports.mail.message import Result
from jobs_lib.ports.outcomes import RELAY, SENT
from tests.servers.smtp_sink import Sink
from tests.support.databases import bulk
from tests.support.shell import Shell

FLOOD, NEIGHBOUR = 1, 2
pytestmark = pytest.mark.slow
MANY = 100_000
CROWD = range(1000, 1400)
JOBS = catalogue.names()
OFTEN = ("retry_forwards", "send_notifications", "retry_webhooks", "delete_accounts",
         "export_accounts", "check_jobs")
FORWARDS, NOTICES = "retry_forwards", "send_notifications"
TABLE = {FORWARDS: "failed_emails", NOTICES: "notifications"}
WITH_ROWS = (("user_id alias_id envelope_from envelope_to raw_path created_at next_attempt_at "
             "attempts"),
             "user_id kind to_email subject body_text created_at next_attempt_at priority")
ROW = {"envelope_from": "", "raw_path": "one.eml", "kind": "overflow_warning", "subject": "Held",
       "body_text": "x\n", "alias_id": 1, "envelope_to": "u1@home.example",
       "to_email": "u1@home.example", "attempts": 0, "priority": 1}


def fill(bench, job: str, owners, number: int, **values) -> None:
    """So many due rows of an owner, or of each of a range; their recipient says whose they are."""
    columns = WITH_ROWS[job == NOTICES].split()
    doublings = 7 if number >= 10_000 else 0
    rows: list = []
    for owner in owners if isinstance(owners, range) else [owners]:
        given = {**ROW, "user_id": owner, "alias_id": owner,
                 "envelope_to": f"u{owner}@home.example", "to_email": f"u{owner}@home.example",
                 "created_at": bench.ago(hours=5).strftime("%Y-%m-%d %H:%M:%S"),
                 "next_attempt_at": None, **values}
        rows += [tuple(given[name] for name in columns)] * -(-number // 2 ** doublings)
    bulk(bench.db, TABLE[job], columns, rows)
    names = ", ".join(columns)
    for _ in range(doublings):
        bench.db.execute(f"INSERT INTO {{{TABLE[job]}}} ({names}) SELECT {names} "
                         f"FROM {{{TABLE[job]}}}")


@pytest.fixture
def shared(bench):
    """Two owners, a file for all forwards, 100 messages an hour."""
    bench.table("users", [{"id": id} for id in (FLOOD, NEIGHBOUR, 3)])
    bench.table("aliases", [{"id": id, "user_id": id} for id in (FLOOD, NEIGHBOUR, 3)])
    bench.spool("one.eml")
    relay_limits.URGENT_SHARE = 0
    bench.config(mail={"per_hour": "100"})
    return bench


def sent(bench) -> Counter:
    """{owner: messages} that have left."""
    return Counter(mail.recipient.partition("@")[0] for mail in bench.outbox)


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
# R66
def test_five_rows_beside_a_hundred_thousand_are_served_in_the_first_run(shared, job, scheduled):
    fill(shared, job, FLOOD, MANY, next_attempt_at="2026-11-24 12:00:00" if scheduled else None)
    fill(shared, job, NEIGHBOUR, 5, created_at="2026-11-24 13:00:00")
    shared.run(job)
    assert sent(shared) == {"u1": 95, "u2": 5}          # and nothing of the limit is left idle


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_owners_take_turns_and_each_owners_oldest_goes_first(shared, job):     # R66
    for owner in (3, FLOOD, NEIGHBOUR):
        fill(shared, job, owner, 2)
    shared.run(job)
    assert [mail.recipient[:2] for mail in shared.outbox] == ["u1", "u2", "u3"] * 2
    items = [int(mail.item_id.rpartition("-")[2]) for mail in shared.outbox]
    assert all(items[at] < items[at + 3] for at in range(3))


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
@pytest.mark.parametrize("rows", [3, 200])              # all in the window, and more than it holds
def test_the_next_run_goes_on_behind_the_owner_that_was_served_last(shared, job, rows):     # R66
    for owner in (FLOOD, NEIGHBOUR, 3):
        fill(shared, job, owner, rows)
    for _ in range(3):
        shared.run(job, limit=2)
    assert [mail.recipient[:2] for mail in shared.outbox] == ["u1", "u2", "u3", "u1", "u2", "u3"]


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_where_the_ring_stands_is_stored_though_a_claim_was_tried_again(shared, job):     # R66
    fill(shared, job, FLOOD, 25)
    fill(shared, job, NEIGHBOUR, 26)
    claims = []

    def conflict(sql, _):
        if "SET claim_token = :token" in sql:
            claims.append(sql)
            if len(claims) == 2:
                raise Conflict("a deadlock")
    shared.on_statement = conflict
    assert shared.run(job)["sent"] == 51
    assert len(claims) == 3
    for owner in (FLOOD, NEIGHBOUR, 3):
        fill(shared, job, owner, 1)
    shared.run(job, limit=1)
    assert shared.outbox[-1].recipient == "u3@home.example"


def test_rows_of_nobody_have_a_turn_of_their_own(shared):     # R66
    fill(shared, NOTICES, FLOOD, 400)
    fill(shared, NOTICES, None, 3)
    shared.run(NOTICES, limit=8)
    assert sent(shared) == {"u1": 5, "uNone": 3}


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_an_owner_behind_many_that_are_not_due_is_found(shared, job):     # R66
    shared.table("users", [{"id": id} for id in range(1000, 3000)] + [{"id": 9000}])
    shared.table("aliases", [{"id": 9000, "user_id": 9000}])
    fill(shared, job, FLOOD, 2000)
    fill(shared, job, range(1000, 3000), 1, next_attempt_at="2026-11-24 15:00:00")
    fill(shared, job, 9000, 1, created_at="2026-11-24 13:00:00")
    shared.run(job)
    assert sent(shared) == {"u1": 99, "u9000": 1}


def hide(bench, job: str, owners: int, each: int) -> None:
    """A flood, many owners whose rows are not due, and behind them an owner with one that is."""
    fill(bench, job, FLOOD, 2000)
    fill(bench, job, range(1000, 1000 + owners), each, next_attempt_at="2026-11-24 15:00:00")
    bench.table("users", [{"id": 9000}])
    bench.table("aliases", [{"id": 9000, "user_id": 9000}])
    fill(bench, job, 9000, 1, created_at="2026-11-24 13:00:00")


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_an_owner_behind_many_with_much_that_is_not_due_is_found(shared, job):     # R66
    hide(shared, job, 500, 100)
    shared.run(job, limit=50)
    assert sent(shared) == {"u1": 49, "u9000": 1}


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_a_walk_that_was_too_long_is_carried_on_by_the_next_run(shared, job, monkeypatch):     # R66
    monkeypatch.setattr(turns, "STEPS", 10.0)
    monkeypatch.setattr(turns, "MOST", 20)
    hide(shared, job, 40, 30)
    for _ in range(9):
        shared.run(job, limit=2)
    assert sent(shared) == {"u1": 17, "u9000": 1}


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_a_suspended_owners_backlog_hides_nobody(shared, job):     # R66
    shared.db.execute("UPDATE {users} SET status = 'suspended' WHERE id = :id", id=FLOOD)
    fill(shared, job, FLOOD, 1000)
    fill(shared, job, NEIGHBOUR, 5, created_at="2026-11-24 13:00:00")
    assert shared.run(job)["sent"] == 5
    assert shared.run(job, dry_run=True)["sent"] == 0


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
def test_an_owner_alone_gets_the_whole_of_a_limit(shared, job):     # R66
    fill(shared, job, FLOOD, 120)
    assert shared.attempt(job)["stop_reason"] == "[mail] per_hour = 100 is reached"
    assert sent(shared) == {"u1": 100}


def test_an_owner_gets_half_of_a_limit_while_others_wait(shared):     # R66
    fill(shared, NOTICES, FLOOD, 60)
    shared.run(NOTICES)
    fill(shared, NOTICES, FLOOD, 100, priority=0)
    fill(shared, NOTICES, NEIGHBOUR, 30, priority=2)
    shared.run(NOTICES)
    assert sent(shared) == {"u1": 70, "u2": 30}         # first the other's, then what is left


def test_an_urgent_flood_of_one_owner_starves_nobodys_normal_ones(shared):     # R66 R38
    fill(shared, NOTICES, FLOOD, 500, priority=0)
    fill(shared, NOTICES, NEIGHBOUR, 40)
    shared.run(NOTICES)
    assert sent(shared) == {"u1": 60, "u2": 40}
    assert [mail.recipient[:2] for mail in shared.outbox[:50]] == ["u1"] * 50


def test_what_is_kept_for_urgent_mail_is_kept_from_no_urgent_mail(shared):     # R66 R38
    relay_limits.URGENT_SHARE = 20
    shared.config(mail={"per_hour": "100"})
    fill(shared, NOTICES, FLOOD, 500, priority=0)
    fill(shared, NOTICES, NEIGHBOUR, 100)
    shared.attempt(NOTICES)
    assert shared.result["stop_reason"] == ("[mail] per_hour = 100 is reached, except 10 reserved "
                                            "for urgent mail")
    assert sent(shared) == {"u1": 60, "u2": 30}         # half, and half of what is kept


# alone, or beside so many of a crowd that were sent before
@pytest.mark.parametrize("others", [0, 80])
def test_an_owner_gets_half_of_the_urgent_reserve(crowded, others):     # R66 R38
    relay_limits.URGENT_SHARE = 20
    crowded.config(mail={"per_hour": "100"})
    fill(crowded, NOTICES, CROWD[:others], 1, to_email="u400@home.example")
    crowded.run(NOTICES)
    fill(crowded, NOTICES, FLOOD, 500, priority=0)
    for _ in range(3):
        crowded.attempt(NOTICES)
    fill(crowded, NOTICES, NEIGHBOUR, 4, priority=0)    # nobody else waited before
    crowded.attempt(NOTICES)
    assert sent(crowded) == +Counter({"u1": 90 - others, "u2": 4, "u400": others})


# R66 R38
def test_of_all_its_mail_an_owner_gets_half_of_a_limit_and_of_its_urgent_reserve(crowded):
    relay_limits.URGENT_SHARE = 10
    crowded.config(mail={"per_hour": "100"})
    fill(crowded, FORWARDS, FLOOD, 200)
    fill(crowded, NOTICES, FLOOD, 200, priority=0)
    fill(crowded, NOTICES, CROWD[:10], 4, to_email="u400@home.example")
    for job in (FORWARDS, NOTICES, FORWARDS):
        crowded.attempt(job)
    assert sent(crowded) == {"u1": 55, "u400": 40}


# R66 R38
def test_urgent_mail_of_others_goes_past_an_owner_that_had_half_of_the_urgent_reserve(crowded):
    relay_limits.URGENT_SHARE = 20
    crowded.config(mail={"per_hour": "100"})
    crowd(crowded, FORWARDS)
    crowded.attempt(FORWARDS)
    assert by_queue(crowded) == (80, 0)
    fill(crowded, NOTICES, FLOOD, 500, priority=0)
    fill(crowded, NOTICES, NEIGHBOUR, 30, priority=0,
         created_at=crowded.now.strftime("%Y-%m-%d %H:%M:%S"))
    crowded.attempt(NOTICES)
    assert sent(crowded) == {"u400": 80, "u1": 10, "u2": 10}


def test_a_small_urgent_reserve_has_room_for_one(shared):     # R66 R38
    relay_limits.URGENT_SHARE = 10
    shared.config(mail={"per_hour": "10"})
    fill(shared, NOTICES, FLOOD, 20)
    shared.attempt(NOTICES)
    fill(shared, NOTICES, NEIGHBOUR, 1, priority=0)
    shared.attempt(NOTICES)
    assert sent(shared) == {"u1": 9, "u2": 1}


def test_what_never_left_by_the_urgent_reserve_is_given_back(shared):     # R66 R37 R38
    relay_limits.URGENT_SHARE = 20
    shared.config(mail={"per_hour": "10"})
    fill(shared, NOTICES, FLOOD, 20)
    shared.attempt(NOTICES)
    fill(shared, NOTICES, NEIGHBOUR, 1, priority=0)
    shared.outbox.answer = lambda envelope: Result(RELAY, None, "", "nobody there")
    shared.attempt(NOTICES)
    assert all(row["recipients"] == 0 for row in shared.rows("mail_shares") if row["owner"] not in (
        "1", "queue:notifications"))
    shared.outbox.answer = None
    shared.now += timedelta(minutes=10)
    shared.attempt(NOTICES)
    assert sent(shared) == {"u1": 8, "u2": 1}


def test_the_urgent_reserve_of_an_hour_is_not_that_of_the_day(crowded):     # R66 R38
    # kept: 2 and 10
    relay_limits.URGENT_SHARE = 10
    crowded.config(mail={"per_hour": "20", "per_day": "100"})
    for hour in range(4):
        fill(crowded, NOTICES, CROWD[hour * 20:hour * 20 + 18], 1, to_email="u400@home.example")
        crowded.attempt(NOTICES)
        for owner in (FLOOD, NEIGHBOUR):
            fill(crowded, NOTICES, owner, 1, priority=0)
        crowded.attempt(NOTICES)
        assert sent(crowded) == {"u400": 18 * (hour + 1), "u1": hour + 1, "u2": hour + 1}
        crowded.now += timedelta(minutes=62)
    assert crowded.db.value("SELECT SUM(recipients) FROM {mail_shares} "
                            "WHERE owner = 'urgent:hour'") == 8
    assert not crowded.db.value("SELECT SUM(recipients) FROM {mail_shares} "
                                "WHERE owner = 'urgent:day'")


def test_shares_are_counted_over_both_queues(shared):     # R66
    fill(shared, FORWARDS, FLOOD, 500)
    fill(shared, NOTICES, NEIGHBOUR, 10)
    assert shared.attempt(FORWARDS)["stop_reason"] == (
        "[mail] per_hour = 100: one owner has used half of it while others are waiting")
    assert sent(shared) == {"u1": 50}
    shared.run(NOTICES)
    shared.run(FORWARDS)
    assert sent(shared) == {"u1": 90, "u2": 10}


@pytest.mark.parametrize("how", ["paused", "switched off", "misconfigured"])
def test_a_job_that_does_not_run_has_nobody_wait_for_its_queue(shared, how):     # R66
    fill(shared, FORWARDS, FLOOD, 500)
    fill(shared, NOTICES, NEIGHBOUR, 10)
    if how == "paused":
        shared.table("job_state", [{"job": NOTICES, "paused_at": shared.now}])
    else:
        wrong = {"enabled": "no"} if how == "switched off" else {"delays": "soon"}
        relay_limits.URGENT_SHARE = 0
        shared.config(mail={"per_hour": "100"}, send_notifications=wrong)
    shared.run(FORWARDS)
    assert sent(shared) == {"u1": 100}


@pytest.fixture
def crowded(shared):
    """400 owners more."""
    shared.table("users", [{"id": id} for id in CROWD])
    shared.table("aliases", [{"id": id, "user_id": id} for id in CROWD])
    return shared


def crowd(bench, job: str, number: int = 1, **values) -> None:
    """So many due rows of each of the 400 owners, whose mail goes to one address."""
    fill(bench, job, CROWD, number, envelope_to="u400@home.example", to_email="u400@home.example",
         **values)


def by_queue(bench, since=None) -> tuple[int, int]:
    """(forwards, notices) that were sent, within the last hour or since then."""
    return tuple(bench.db.value(f"SELECT COUNT(*) FROM {{{TABLE[job]}}} WHERE status = 'sent' "
                                "AND finished_at > :since", since=since or bench.ago(hours=1))
                 for job in (FORWARDS, NOTICES))


def test_a_crowd_in_one_queue_leaves_the_other_what_is_due_in_it(crowded):     # R66
    crowd(crowded, FORWARDS)
    fill(crowded, NOTICES, NEIGHBOUR, 5)
    assert crowded.attempt(FORWARDS)["stop_reason"] == (
        "[mail] per_hour = 100: the rest is reserved for notices that are due")
    assert crowded.run(NOTICES)["sent"] == 5
    assert sent(crowded) == {"u400": 95, "u2": 5}           # and nothing is left idle


@pytest.mark.parametrize("first, second", [(FORWARDS, NOTICES), (NOTICES, FORWARDS)])
@pytest.mark.parametrize("limit", ["per_hour", "per_day"])
# R66
def test_neither_queue_takes_more_than_half_while_the_other_has_due_rows(crowded, first, second,
                                                                         limit):
    relay_limits.URGENT_SHARE = 0
    crowded.config(mail={"per_hour": "off", limit: "100"})
    for job in (first, second):
        crowd(crowded, job)
    for _ in range(3):                                      # ticks
        for job in (first, second):
            crowded.attempt(job)
            crowded.now += timedelta(seconds=30)
    assert by_queue(crowded) == (50, 50)


def test_the_queues_share_alike_over_several_hours(crowded):     # R66
    for _ in range(12):
        for job, rows in ((FORWARDS, 1), (NOTICES, 1)):
            crowd(crowded, job, rows)
        for job in (FORWARDS, NOTICES):
            crowded.attempt(job, limit=20)
        crowded.now += timedelta(minutes=10)
        assert max(by_queue(crowded)) <= 50
    assert by_queue(crowded, crowded.ago(hours=3)) == (100, 100)


def test_a_trickle_in_one_queue_holds_back_no_more_than_itself(crowded):     # R66
    crowd(crowded, FORWARDS)
    for _ in range(5):
        fill(crowded, NOTICES, NEIGHBOUR, 1)
        crowded.attempt(FORWARDS)
        crowded.attempt(NOTICES)
    assert by_queue(crowded) == (99, 1)


@pytest.mark.parametrize("first, second", [(FORWARDS, NOTICES), (NOTICES, FORWARDS)])
# R66 R38
def test_what_is_kept_for_urgent_mail_is_no_part_of_the_queues_shares(crowded, first, second):
    relay_limits.URGENT_SHARE = 20
    crowded.config(mail={"per_hour": "100"})
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES, priority=0)
    for _ in range(2):
        crowded.attempt(first)
        crowded.attempt(second)
    assert by_queue(crowded) == (40, 60)


def test_an_urgent_notice_leaves_though_forwards_are_due(crowded):     # R66 R38
    relay_limits.URGENT_SHARE = 10
    crowded.config(mail={"per_hour": "80"})
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES)
    assert crowded.attempt(NOTICES)["stop_reason"] == (
        "[mail] per_hour = 80: the rest is reserved for forwards that are due")
    assert by_queue(crowded) == (0, 36)
    fill(crowded, NOTICES, NEIGHBOUR, 1, priority=0)
    crowded.attempt(NOTICES)
    assert sent(crowded) == {"u400": 36, "u2": 1}
    crowded.attempt(FORWARDS)
    assert by_queue(crowded) == (36, 37)                    # and costs the forwards nothing


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_a_job_that_only_fails_has_nobody_wait_for_its_queue(crowded, status):     # R66
    def hang(_):
        raise Stopped("hard limit")
    if status == "failed":
        shutil.rmtree(crowded.spool_dir)
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES)
    crowded.outbox.answer = hang
    assert crowded.attempt(FORWARDS)["status"] == status
    crowded.outbox.answer = None
    crowded.now += timedelta(minutes=61)
    crowded.attempt(NOTICES)
    assert by_queue(crowded) == (0, 100)


def test_a_job_that_fails_and_sends_all_the_same_is_left_room(crowded):     # R66
    fill(crowded, FORWARDS, NEIGHBOUR, 1)
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES)

    def one_is_a_defect(envelope):
        if envelope.recipient == "u2@home.example":
            raise RuntimeError("a defect")
        return Result(SENT, 250, "", "")
    crowded.outbox.answer = one_is_a_defect
    crowded.fails(FORWARDS, limit=20)
    crowded.attempt(NOTICES)
    assert by_queue(crowded) == (19, 50)


@pytest.mark.parametrize("away", ["the other job", "the host"])
def test_a_job_that_has_not_run_for_long_has_nobody_wait_for_its_queue(crowded, away):     # R66
    for job in (NOTICES, FORWARDS):
        crowded.run(job)
    crowded.now += timedelta(hours=3)
    if away == "the other job":
        crowded.run(FORWARDS)
        crowded.now += timedelta(minutes=5)
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES)
    crowded.attempt(FORWARDS)
    assert by_queue(crowded) == (100 if away == "the other job" else 50, 0)


def test_half_of_a_minutes_limit_ends_no_run(shared):     # R66: there is room in the next minute
    relay_limits.URGENT_SHARE = 0
    shared.config(mail={"per_minute": "10", "per_hour": "1000"})
    fill(shared, FORWARDS, FLOOD, 100)
    alone = shared.run(FORWARDS)["sent"]
    assert alone > 30
    shared.now += timedelta(hours=2)
    fill(shared, NOTICES, NEIGHBOUR, 1)
    assert shared.run(FORWARDS)["sent"] == alone
    shared.run(NOTICES)
    assert sent(shared)["u2"] == 1


def test_half_of_a_minutes_limit_brings_the_others_turn(shared):     # R66
    relay_limits.URGENT_SHARE = 0
    shared.config(mail={"per_minute": "10", "per_hour": "off"})
    fill(shared, NOTICES, FLOOD, 500, priority=0)
    fill(shared, NOTICES, NEIGHBOUR, 12)
    shared.attempt(NOTICES)
    assert [mail.recipient[:2] for mail in shared.outbox[:10]] == ["u1"] * 5 + ["u2"] * 5
    assert Counter(mail.recipient[:2] for mail in shared.outbox[:24]) == {"u1": 12, "u2": 12}
    assert len(shared.outbox) > 30                          # nothing is left idle


def test_half_of_an_hours_limit_holds_also_behind_half_of_a_minutes(shared):     # R66
    relay_limits.URGENT_SHARE = 0
    shared.config(mail={"per_minute": "40", "per_hour": "100"})
    fill(shared, FORWARDS, FLOOD, 500)
    fill(shared, NOTICES, NEIGHBOUR, 10)
    assert shared.attempt(FORWARDS)["stop_reason"] == (
        "[mail] per_hour = 100: one owner has used half of it while others are waiting")
    assert sent(shared) == {"u1": 50}


@pytest.mark.parametrize("job", [FORWARDS, NOTICES])
@pytest.mark.parametrize("error, status", [(MemoryError(), "failed"),
                                           (Stopped("hard limit"), "timeout")])
def test_what_was_sent_is_stored_whatever_ends_the_run(shared, job, error, status):     # R27
    fill(shared, job, FLOOD, 3)

    def end(sql, _):
        if shared.outbox and "SET status = 'sending'" in sql:
            shared.on_statement = None
            raise error
    shared.on_statement = end
    shared.attempt(job)
    assert (shared.result["status"], sent(shared)) == (status, {"u1": 1})
    shared.run(job)
    assert sent(shared) == {"u1": 3}


def test_a_limit_of_a_minute_is_shared_by_time(crowded):     # R66
    relay_limits.URGENT_SHARE = 0
    crowded.config(mail={"per_hour": "off", "per_minute": "40"})
    crowd(crowded, FORWARDS)
    crowd(crowded, NOTICES)
    for job in (FORWARDS, NOTICES):
        assert crowded.attempt(job, limit=100)["stop_reason"] == "limit"
    assert by_queue(crowded) == (100, 100)


def test_forwards_that_may_not_fail_again_hold_back_no_notice(crowded):     # R66 R37
    relay_limits.URGENT_SHARE = 0
    crowded.config(mail={"per_hour": "100", "failures_per_hour": "4"})
    crowded.outbox.answer = lambda envelope: Result(
        *("retry", 451) if envelope.recipient == "u400@home.example" else (SENT, 250), "", "")
    crowd(crowded, FORWARDS)
    assert crowded.attempt(FORWARDS)["stop_reason"] == "[mail] failures_per_hour = 4 is reached"
    crowded.outbox.answer = lambda envelope: Result(SENT, 250, "", "")
    crowd(crowded, NOTICES)
    crowded.attempt(NOTICES)
    assert by_queue(crowded) == (0, 96)


@pytest.mark.parametrize("hidden", ["suspended", "had half"])
def test_owners_that_may_not_send_hold_back_nobody_in_the_other_queue(crowded, hidden):     # R66
    if hidden == "suspended":
        crowded.db.execute("UPDATE {users} SET status = 'suspended' WHERE id = :id", id=FLOOD)
    else:
        crowded.db.insert("mail_shares", owner=str(FLOOD), bucket=int(crowded.now.timestamp())
                          // 60, recipients=50)
    fill(crowded, NOTICES, FLOOD, 200)
    crowd(crowded, FORWARDS)
    crowded.attempt(FORWARDS)
    assert by_queue(crowded) == (100, 0)


# R66: processes and real SMTP
def test_workers_on_several_hosts_share_both_queues_alike(tmp_path, engine_url):
    with Sink() as sink:
        service = Shell(tmp_path, engine_url, mail={"port": sink.port, "per_hour": "100"})
        service.small = "jobs_lib.engines.relay_limits:URGENT_SHARE=0"
        owners = [service.owner(email=f"u{number}@home.example") for number in range(40)]
        with service.db.transaction():
            for owner in owners * 4:
                service.db.insert("notifications", user_id=owner["user_id"],
                                  kind="overflow_warning", subject="Held",
                                  to_email="notice@home.example", body_text="x\n",
                                  created_at=clock.now())
        for owner in owners:
            service.forwards(4, envelope_to="forward@home.example", **owner)
        for _ in range(2):
            working = [service.start(job, JOBS_CORE_STATE_DIR=f"state{host}",
                                     JOBS_CORE_SECRET_KEY="k" * 32) for job in (FORWARDS, NOTICES)
                       for host in (1, 2)]
            assert [process.communicate(timeout=120) and process.returncode
                    for process in working] == [0] * 4
        assert Counter(recipients[0] for _, recipients, _ in sink.messages()) == {
            "forward@home.example": 50, "notice@home.example": 50}
        service.db.close()


def test_shares_hold_over_several_runs(shared):     # R66
    for _ in range(6):
        fill(shared, FORWARDS, FLOOD, 40)
        fill(shared, FORWARDS, NEIGHBOUR, 10)
        shared.attempt(FORWARDS, limit=20)
    assert sent(shared)["u2"] == 50                     # half of 100, whoever had more to send


def test_what_was_never_handed_over_counts_for_no_share(shared):     # R66 R37
    fill(shared, FORWARDS, FLOOD, 80, raw_path="../none")
    shared.run(FORWARDS)
    assert shared.db.value("SELECT SUM(recipients) FROM {mail_shares}") == 0


def test_without_a_limit_no_share_is_counted(shared):     # R66
    shared.config(mail={"per_hour": "off"})
    fill(shared, FORWARDS, FLOOD, 3)
    shared.run(FORWARDS)
    assert shared.rows("mail_shares") == []


def test_limit_says_that_more_is_waiting(shared):
    fill(shared, FORWARDS, FLOOD, 7)
    assert shared.attempt(FORWARDS, limit=3)["stop_reason"] == "limit"
    assert shared.result["status"] == "partial"
    assert shared.attempt(FORWARDS, limit=4)["status"] == "ok"


# R59
def test_a_look_at_a_queue_says_how_much_is_due_as_far_as_it_was_counted(bench, monkeypatch):
    for module in (queues, work_queue):
        monkeypatch.setattr(module, "COUNTED", 5)
    bench.config(alerts={"queue_depth": "off"})
    fill(bench, FORWARDS, FLOOD, 7, next_attempt_at="2026-11-24 12:00:00")
    bench.table("export_requests", [{"user_id": FLOOD}] * 7)
    found = {queue["name"]: queue for queue in overview.collect(bench._config, bench.db, bench.now)
             ["queues"]}
    assert (found["exports"]["depth"], found["exports"]["due"]) == (5, 5)
    queue = found["forwards"]
    assert queue["oldest_due_at"] == "2026-11-24 12:00:00"
    assert [work_queue.in_words(queue[name]) for name in ("depth", "due")] == ["5+", "5+"]
    assert work_queue.in_words(4) == "4"


@pytest.mark.parametrize("name, table", [("forwards", "failed_emails"),
                                         ("notifications", "notifications"),
                                         ("webhooks", "webhook_deliveries")])
# R59, R66
def test_a_suspended_owners_backlog_does_not_hide_that_others_wait(bench, name, table):
    bench.table("users", [{"id": FLOOD, "status": "suspended"}, {"id": NEIGHBOUR},
                          {"id": 3, "status": "suspended"}])
    given = {"webhook_deliveries": {"webhook_id": 1, "event_id": "e",
                                    "payload": "{}"}}.get(table) or {
        name: value for name, value in ROW.items() if name in WITH_ROWS[table
                                                                        == "notifications"].split()}
    rows = [(owner, since) for owner, since, number in (
        (FLOOD, "2026-11-24 12:00:00", queues.COUNTED + 1), (NEIGHBOUR, "2026-11-24 13:00:00", 5),
        (3, "2026-11-24 13:00:00", 7), (NEIGHBOUR, "2026-11-24 15:00:00", 2))
            for _ in range(number)]
    columns = {**given, "user_id": 0, "next_attempt_at": None, "created_at": bench.ago(hours=5)}
    bulk(bench.db, table, list(columns), [
        tuple({**columns, "user_id": owner, "next_attempt_at": since}.values()) for owner,
        since in rows])
    queue = {queue["name"]: queue for queue in overview.collect(bench._config, bench.db,
                                                                bench.now)["queues"]}[name]
    assert (queue["due"], queue["oldest_due_at"]) == (5, "2026-11-24 13:00:00")
    bench.db.execute("UPDATE {users} SET status = 'suspended'")
    queue = {queue["name"]: queue for queue in overview.collect(bench._config, bench.db,
                                                                bench.now)["queues"]}[name]
    assert (queue["due"], queue["oldest_due_at"]) == (0, None)


@pytest.mark.parametrize("table, name, columns", [
    ("failed_emails", "forwards", ("created_at",)), ("failed_emails", "forwards",
                                                     ("created_at", "next_attempt_at")),
    ("notifications", "notifications", ("created_at",)), ("export_requests", "exports",
                                                          ("requested_at",)),
    ("domains", "domains", ("next_check_at",)), ("domains", "domains", ("recheck_requested_at",)),
])
# R59, R67
def test_a_time_that_is_none_does_not_hide_since_when_the_others_wait(bench, table, name, columns):
    bench.table("users", [{"id": 1}, {"id": 2}])
    bench.config(check_domains={"require": "ownership"})
    status = {"status": "queued"} if table == "export_requests" else {}
    for owner, since in ((1, bench.ago(hours=5)), (2, "0001-01-01 00:00:00")):
        bench.table(table, [{"user_id": owner, **status, **dict.fromkeys(columns, since)}])
    found = {queue["name"]: queue for queue in overview.collect(bench._config, bench.db,
                                                                bench.now)["queues"]}[name]
    assert found["due"] == 2
    first_retry = 4 if columns == ("created_at",) and name == "forwards" else 5
    assert found["oldest_due_at"] == clock.text(bench.ago(hours=first_retry))


def test_two_processes_share_alike(tmp_path, engine_url):     # R66: processes, not threads
    service = Shell(tmp_path, engine_url, mail={"transport": "maildir", "maildir": "maildir",
                                                  "per_hour": "100"})
    service.small = "jobs_lib.engines.relay_limits:URGENT_SHARE=0"
    first, second = service.owner(email="a@home.example"), service.owner(email="b@home.example")
    service.forwards(400, **first)
    service.forwards(40, **second)
    working = [service.start(FORWARDS, JOBS_CORE_STATE_DIR=f"state{host}", JOBS_CORE_SECRET_KEY="k"
                             * 32) for host in (1, 2)]
    assert [process.communicate(timeout=120) and process.returncode for process in working] == [0,
                                                                                                0]
    found = {row["user_id"]: row["n"] for row in service.db.query(
        "SELECT user_id, COUNT(*) AS n FROM {failed_emails} WHERE status = 'sent' "
        "GROUP BY user_id")}
    # how the owners' turns interleave is the scheduler's: the flood takes no more than 4 in 5
    assert sum(found.values()) == 100
    assert found[second["user_id"]] >= 20


def test_a_refusal_of_one_owners_mail_delays_nobody(shared):     # R66
    fill(shared, FORWARDS, FLOOD, 100)
    fill(shared, FORWARDS, NEIGHBOUR, 5)
    shared.outbox.answer = lambda envelope: Result(
        "retry" if envelope.recipient.startswith("u1") else SENT, 451 if envelope.recipient[1]
        == "1" else 250, "", "")
    shared.run(FORWARDS)
    assert sent(shared) == {"u2": 5}


# Jobs beside each other

@pytest.mark.parametrize("budget, grace", [(240, 30), (40, 30)])
# R9 R30 R66
def test_mail_and_webhooks_that_fill_each_tick_keep_no_job_away(bench, budget, grace):
    """Forwards, notices and deliveries, each with hours of work: in any two ticks every job that is
    due has its turn, and mail leaves; in any four with smaller budgets, down to the smallest at
    which mail is sent at all."""
    bench.table("users", [{"id": FLOOD}])
    bench.table("aliases", [{"id": FLOOD, "user_id": FLOOD}])
    bench.spool("one.eml")
    bench.config(core={"grace": f"{grace}s"}, mail={"per_hour": "off", "per_minute": "off"})
    for job in (FORWARDS, NOTICES):
        fill(bench, job, FLOOD, 2000)
    bench.table("webhooks", [{"id": 1, "user_id": FLOOD, "url": "https://shop.example/in",
                              "secret": "whsec_c2VjcmV0"}])
    bench.bulk("webhook_deliveries", [
        {"user_id": FLOOD, "webhook_id": 1, "event_id": f"e{number}", "event_type": "x",
         "payload": "{}", "attempts": 1, "created_at": bench.ago(hours=3),
         "last_attempt_at": bench.ago(hours=3)} for number in range(2000)])

    def slowly(answer):
        def give(_):
            bench.clock.sleep(1)
            return answer
        return give
    bench.outbox.answer, bench.web.answer = slowly(Result(SENT, 250, "",
                                                          "taken")), slowly(Response(ANSWERED, 204))
    for job in JOBS:
        bench.db.upsert("job_state", {"job": job}, {"due_after": bench.ago(days=30)})
    longest, had, mails = (2 if budget == 240 else 4), [], []
    for _ in range(3 * longest):
        before, sent_before = bench.clock.seconds, len(bench.outbox)
        had.append({*bench.tick(budget)})
        mails.append(len(bench.outbox) - sent_before)
        assert bench.clock.seconds - before <= budget + grace + 20
        bench.now += timedelta(minutes=5)
    for first in range(len(had) - longest + 1):
        ticks = set().union(*had[first:first + longest])
        assert {*OFTEN} <= ticks, had
        assert sum(mails[first:first + longest]) > 5, mails
    assert {*JOBS} <= set().union(*had[:longest]), had
