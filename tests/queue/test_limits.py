"""All processes together stay under the relay's limits, which are counted from the attempts."""
from datetime import timedelta

import pytest

from tests.queue.filling import BOTH, FORWARDS, NOTICES, fill, order, owners, statuses
from tests.servers.smtp_sink import Sink
from tests.support.product import RETRY, SENT, Result, relay
from tests.support.shell import Shell

CROWD = range(1000, 1200)
TAKEN = Result(SENT, 250, "", "taken")
both = pytest.mark.parametrize("job", BOTH)


@pytest.fixture
def shared(bench):
    """200 owners; nothing is reserved for urgent mail, unless a test says so."""
    owners(bench, CROWD)
    relay.URGENT_SHARE = 0
    return bench


@pytest.mark.slow
def test_four_processes_with_100_an_hour_send_100_together(tmp_path, engine_url):     # R37
    for host in range(4):
        (tmp_path / str(host)).mkdir()
    services = [Shell(tmp_path / str(host), engine_url) for host in range(4)]
    services[0].forwards(150)
    with Sink() as sink:
        for service in services:
            service.configure("mail", port=sink.port, per_hour=100)
            service.configure("spool", dir=services[0].spool)
        processes = [service.start(job) for service in services for job in BOTH]
        for process in processes:
            process.communicate(timeout=120)
        assert sum(sink.count().values()) == 100 - 10         # a tenth is reserved for urgent mail


@pytest.mark.parametrize("name, seconds", [("minute", 60), ("hour", 3600), ("day", 86_400)])
def test_no_window_of_that_length_ever_holds_more(shared, name, seconds):     # R37
    shared.config(mail={"per_hour": "off", f"per_{name}": "5"})
    fill(shared, FORWARDS, CROWD)
    times = []

    def note(_):
        times.append(shared.now + timedelta(seconds=shared.clock.seconds - began))
        shared.clock.seconds += seconds / 20
        return TAKEN
    shared.outbox.answer = note
    for _ in range(14):
        began = shared.clock.seconds
        shared.attempt(FORWARDS, budget="30m")
        shared.now += timedelta(seconds=max(shared.clock.seconds - began, seconds / 6))
    assert len(times) >= 10
    assert max(sum(start <= time < start + timedelta(seconds=seconds) for time in times)
               for start in times) == 5


def test_a_share_of_each_limit_is_kept_for_urgent_mail(shared):     # R37 R38
    relay.URGENT_SHARE = 20
    shared.config(mail={"per_hour": "10", "per_day": "100"})
    fill(shared, NOTICES, CROWD)
    assert shared.attempt(NOTICES)["stop_reason"] == (
        "[mail] per_hour = 10 is reached, except 2 reserved for urgent mail")
    assert len(shared.outbox) == 8
    fill(shared, NOTICES, range(1000, 1003), priority=0)
    assert shared.attempt(NOTICES)["stop_reason"] == "[mail] per_hour = 10 is reached"
    assert order(shared)[8:] == ["u1000", "u1001"]
    shared.now = shared.ahead(hours=1, seconds=2)
    shared.run(NOTICES)
    assert len(shared.outbox) == 10 + 9             # one of the last is urgent


@pytest.mark.parametrize("first, second", [BOTH, BOTH[::-1]])
@pytest.mark.parametrize("limit", ["per_hour", "per_day"])
def test_each_queue_leaves_half_to_the_others_due_rows(shared, first, second, limit):     # R38 R66
    shared.config(mail={"per_hour": "off", limit: "100"})
    for job in BOTH:
        fill(shared, job, CROWD)
    assert shared.attempt(first)["stop_reason"].startswith(
        f"[mail] {limit} = 100: the rest is reserved for ")
    assert len(shared.outbox) == 50
    assert shared.attempt(second)["stop_reason"] == f"[mail] {limit} = 100 is reached"
    assert len(shared.outbox) == 100


@pytest.mark.parametrize("why", ["nothing is due", "later", "suspended", "paused", "switched off"])
def test_a_queue_that_waits_for_nothing_is_left_no_half(shared, why):     # R66
    shared.config(mail={"per_hour": "100"},
                  **({"send_notifications": {"enabled": "no"}} if why == "switched off" else {}))
    fill(shared, FORWARDS, CROWD)
    if why != "nothing is due":
        time = "2026-11-24 15:00:00" if why == "later" else None
        fill(shared, NOTICES, 1, 5, next_attempt_at=time)
    shared.table("users", [{"id": 1, "status": "suspended" if why == "suspended" else "active"}])
    if why == "paused":
        shared.table("job_state", [{"job": NOTICES, "paused_at": shared.now}])
    shared.run(FORWARDS)
    assert len(shared.outbox) == 100


def test_the_urgent_reserve_is_no_part_of_a_queues_half(shared):     # R38 R66
    relay.URGENT_SHARE = 20
    shared.config(mail={"per_hour": "100"})
    fill(shared, FORWARDS, CROWD)
    fill(shared, NOTICES, CROWD, priority=0)
    for _ in range(2):
        for job in BOTH:
            shared.attempt(job)
    assert (statuses(shared, FORWARDS)["sent"], statuses(shared, NOTICES)["sent"]) == (40, 60)


def test_used_up_failures_stop_only_what_failed_before(shared):     # R37
    shared.config(mail={"per_hour": "off", "failures_per_hour": "3"})
    fill(shared, NOTICES, CROWD)
    shared.outbox.answer = lambda _: (TAKEN if len(shared.outbox) % 4 or not len(shared.outbox)
                                      else Result(RETRY, 451, "4.2.0", "later"))
    shared.run(NOTICES, limit=5)
    shared.db.execute("UPDATE {notifications} SET attempts = 1 WHERE id > 100")
    shared.db.execute("UPDATE {attempts} SET outcome = 'retry' WHERE id <= 3")
    shared.outbox.answer = None
    shared.run(NOTICES)
    assert shared.result["stop_reason"] == "[mail] failures_per_hour = 3 is reached"
    waiting = shared.db.query("SELECT attempts FROM {notifications} WHERE status = 'pending'")
    assert {row["attempts"] for row in waiting} == {1}


@both
def test_what_the_relay_never_saw_is_not_counted(shared, job):     # R37
    shared.config(mail={"per_hour": "5"})
    fill(shared, job, 1000, 3)
    fill(shared, job, 1001, 3, to_email="no address", envelope_to="no address")
    assert shared.run(job)["sent"] == 3
    assert sorted(shared.column("attempts", "outcome")) == ["sent"] * 3 + ["unusable"] * 3
    fill(shared, job, 1002, 9)
    assert shared.run(job)["sent"] == 2


@pytest.mark.parametrize("outcome, kind, hours, counted", [
    ("postponed", "forward", 0.5, 0), ("unusable", "forward", 0.5, 0),
    ("sent", "forward", -400 * 24, 0),                          # by a clock that was ahead
    ("sending", "notification", 0.5, 2),                        # of a run that died
    ("refused", "mail", 0.5, 2), ("sent", "webhook", 0.5, 0), ("sent", "forward", 1.1, 0)])
def test_which_attempts_count(shared, outcome, kind, hours, counted):     # R37 R68
    shared.config(mail={"per_hour": "5"})
    fill(shared, FORWARDS, CROWD)
    shared.table("attempts", [{"kind": kind, "item_id": 1, "outcome": outcome,
                               "began_at": shared.ago(hours=hours)}] * 2)
    assert shared.run(FORWARDS)["sent"] == 5 - counted
