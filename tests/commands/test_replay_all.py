"""`replay --all` puts back what has failed, little by little; `cancel` ends what waits."""
from __future__ import annotations

import json
import signal
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.engines import requeue
from jobs_lib.ports.mail.message import Result
from jobs_lib.ports.outcomes import SENT
from tests.support.shell import Shell, at_sql

ANN, BEN = 1, 2


@pytest.fixture
def service(bench):
    bench.table("users", [{"id": ANN, "email": "ann@home.example"},
                          {"id": BEN, "email": "ben@home.example"}])
    bench.table("aliases", [{"id": 1, "user_id": ANN}])
    bench.table("destinations", [{"id": 1, "user_id": ANN}])
    bench.spool("one.eml")
    return bench


def forwards(bench, number: int, **values) -> list[int]:
    return bench.table("failed_emails", [{
        "user_id": ANN, "alias_id": 1, "destination_id": 1, "envelope_to": "ann@home.example",
        "envelope_from": "shop@shop.example", "raw_path": "one.eml", "status": "failed",
        "attempts": 4, "created_at": bench.ago(hours=5), "finished_at": bench.ago(hours=1),
        **values} for _ in range(number)])


def replay(bench, *words, code: int = 0) -> dict:
    return json.loads(bench.command("replay", *words, "--json", code=code))


def due(bench) -> list:
    return [clock.parse(row["next_attempt_at"]) for row in bench.rows("failed_emails")
            if row["status"] == "pending"]


def test_all_that_failed_is_put_back(service):         # R77
    mine = forwards(service, 3)
    late = forwards(service, 1, finished_at=None)      # by an app that gives no end
    forwards(service, 1, status="sent")
    forwards(service, 1, status="pending")
    found = replay(service, "forward", "--all")
    assert sorted(found["replayed"]) == mine + late
    assert found["last_due_at"] == clock.text(service.now)
    row = service.rows("failed_emails")[0]
    assert [row[name] for name in ("status", "attempts", "finished_at", "told_at")] == [
        "pending", 0, None, None]
    events = json.loads(service.command("queue", "forwards", str(mine[0]), "--json"))["events"]
    assert [event["outcome"] for event in events] == [None, "replayed"]
    assert service.run("retry_forwards")["sent"] == 5


def test_it_may_be_of_one_owner_or_since_a_time(service):       # R77
    old, = forwards(service, 1, created_at=service.ago(days=3), finished_at=service.ago(days=1))
    new, = forwards(service, 1)
    bens, = forwards(service, 1, user_id=BEN)
    since = clock.text(service.ago(days=1))
    assert replay(service, "forward", "--all", "--owner", "ben@home.example")["replayed"] == [bens]
    assert replay(service, "forward", "--all", "--since", since)["replayed"] == [new]
    assert replay(service, "forward", "--all")["replayed"] == [old]


def test_what_a_run_could_only_cancel_stays_as_it_is(service):     # R77
    lost, = forwards(service, 1, raw_path="gone.eml")
    gone, = forwards(service, 1, alias_id=9)
    mine, = forwards(service, 1, last_error=requeue.BY_HAND)
    good, = forwards(service, 1)
    found = replay(service, "forward", "--all")
    assert found["replayed"] == [good]
    assert {each["id"]: each["reason"] for each in found["refused"]} == {
        lost: "its raw message gone.eml is missing from the spool", gone: "the alias is gone",
        mine: "you have cancelled it; by its id it can be replayed"}
    assert replay(service, "forward", str(mine))["replayed"] == [mine]


def test_many_are_due_little_by_little_at_half_of_the_limit(service):      # R66, R77
    service.config(mail={"per_hour": "120"})
    forwards(service, 80)
    text = service.command("replay", "forward", "--all")
    last = service.ahead(minutes=60)
    assert text.splitlines()[0] == ("80 forwards back in the queue: 20 due now, the others little "
                                    f"by little, the last at {clock.text(last)} UTC")
    assert [due(service).count(service.ahead(minutes=minute)) for minute in (0, 1, 2, 60, 61)] == [
        20, 1, 1, 1, 0]


def test_new_mail_of_the_same_owner_does_not_wait_for_all_of_them(service):     # R66, R77
    service.config(mail={"per_hour": "120"})
    forwards(service, 80)
    replay(service, "forward", "--all")
    new, = forwards(service, 1, status="pending", attempts=0, finished_at=None,
                    created_at=service.ago(minutes=58))
    service.now += timedelta(minutes=5)         # by then it is due, too
    service.outbox.answer = lambda envelope: Result(SENT, 250, "2.0.0", "taken")
    service.run("retry_forwards")
    assert service.db.value("SELECT status FROM {failed_emails} WHERE id = :id", id=new) == "sent"
    assert len(service.outbox) == 26


def test_what_does_not_fit_into_a_day_is_left_for_another(service):        # R77
    service.config(mail={"per_hour": "2"})      # half of it in a day: 24, and 20 at once
    forwards(service, 50)
    found = replay(service, "forward", "--all")
    assert (len(found["replayed"]), found["more"]) == (44, True)
    assert max(due(service)) == service.ahead(hours=24)
    # again at once: there is no room before tomorrow
    again = service.command("replay", "forward", "--all").splitlines()
    assert again[0] == "Nothing was put back: as many as fit into a day wait already."
    assert again[1].startswith("More have failed than fit into a day at this pace")
    # no time of it counts as a wrong clock's
    service.db.execute("UPDATE {failed_emails} SET status = 'sent' WHERE next_attempt_at <= :now",
                       now=service.now)
    service.run("retry_forwards")
    assert len(service.outbox) == 0
    service.db.execute("UPDATE {failed_emails} SET next_attempt_at = :soon WHERE status = 'pending'"
                       " AND next_attempt_at > :soon", soon=service.ahead(hours=1))
    ids = [str(row["id"]) for row in service.rows("failed_emails") if row["status"] == "failed"]
    assert replay(service, "forward", *ids[:2])["last_due_at"] == clock.text(service.now)
    # behind those 24 that wait still, each an hour after the other
    assert replay(service, "forward", "--all")["replayed"] == []
    service.db.execute("DELETE FROM {failed_emails} WHERE status = 'pending' AND id < 40")
    assert replay(service, "forward", "--all")["last_due_at"] == clock.text(
        service.ahead(hours=9))


def test_without_limits_a_hundred_a_minute_are_due(service):       # R77
    service.config(mail={"per_hour": "off"})
    forwards(service, 320)
    replay(service, "forward", "--all")
    assert max(due(service)) == service.ahead(minutes=3)


def test_a_hostile_row_is_left_and_stops_no_other(service):        # R67, R77
    odd = {"alias_id": "abc"} if service.db.dialect.name == "sqlite" else {"alias_id": -1}
    bad, = forwards(service, 1, **odd)
    good, = forwards(service, 1)
    found = replay(service, "forward", "--all")
    assert found["replayed"] == [good]
    assert [each["id"] for each in found["refused"]] == [bad]
    assert service.command("queue", "forwards", "--failed").count("\n") > 2
    service.command("queue", "forwards", str(bad))


def test_notices_and_deliveries_too(service):      # R77
    service.table("notifications", [
        {"id": 1, "user_id": ANN, "kind": "k", "status": "failed", "body_text": "t"},
        {"id": 2, "user_id": ANN, "kind": "k", "status": "failed", "body_text": None}])
    service.table("webhooks", [{"id": id, "user_id": ANN} for id in (1, 2)])
    service.table("webhook_deliveries", [
        {"id": id, "user_id": ANN, "webhook_id": hook, "payload": "{}", "status": "failed"}
        for id, hook in ((1, 1), (2, 2), (3, 1))])
    assert replay(service, "notification", "--all")["replayed"] == [1]
    assert replay(service, "webhook", "--all")["replayed"] == [1, 2, 3]


def test_what_a_kill_leaves_is_put_back_by_the_same_again(tmp_path, sqlite_url):       # R77
    service = Shell(tmp_path, sqlite_url, mail={"transport": "maildir"})
    service.forwards(1200, status="failed", finished_at=clock.now() - timedelta(hours=1))
    process = service.start("replay", "forward", "--all", kill=at_sql("INSERT INTO {attempts}", 2))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert service.statuses() == {"pending": 500, "failed": 700}
    number = "SELECT COUNT(*) FROM {attempts} WHERE outcome = 'replayed'"
    assert service.db.value(number) == 500
    again = json.loads(service.run("replay", "forward", "--all", "--json"))
    assert len(again["replayed"]) == 700
    assert service.statuses() == {"pending": 1200}
    assert service.db.value(number) == 1200
    service.close()


def test_cancel_ends_what_waits_and_refuses_the_rest(service):     # R77
    waits, claimed = forwards(service, 1, status="pending", finished_at=None)[0], forwards(
        service, 1, status="pending", finished_at=None, claim_run="r", claim_token="t")[0]
    sending, = forwards(service, 1, status="sending")
    sent, = forwards(service, 1, status="sent")
    out = service.command("cancel", "forward", *map(str, (waits, claimed, sending, sent, 99)),
                          code=1).splitlines()
    assert out == [
        f"forward {waits}: cancelled, nothing is sent",
        f"forward {claimed}: cancelled, nothing is sent",
        f"forward {sending}: refused, it is being sent: what comes of it is stored",
        f"forward {sent}: refused, it is over already (sent)",
        "forward 99: refused, there is no such row (it may have been purged)"]
    row = service.rows("failed_emails")[0]
    assert [row[name] for name in ("status", "last_error", "next_attempt_at", "told_at",
                                   "finished_at")] == [
        "failed", "cancelled: by the operator", None, *2 * [clock.text(service.now)]]
    story = json.loads(service.command("queue", "forwards", str(waits), "--json"))
    assert (story["state"], [event["outcome"] for event in story["events"]]) == (
        "cancelled", [None, "cancelled"])
    assert service.command("cancel", "forward", str(waits), code=1) == (
        f"forward {waits}: refused, it is cancelled already\n")
    service.db.execute("DELETE FROM {failed_emails} WHERE status = 'sending'")
    assert service.run("retry_forwards")["sent"] == 0
    assert len(service.outbox) == 0
    assert json.loads(service.command("replay", "forward", str(waits), "--json"))["replayed"]


def test_cancel_all_ends_what_waits_of_an_owner_and_from_before(service):     # R77
    old = forwards(service, 3, status="pending", finished_at=None, created_at=service.ago(days=2))
    new = forwards(service, 1, status="pending", finished_at=None)
    bens = forwards(service, 2, status="pending", finished_at=None, user_id=BEN)
    failed = forwards(service, 1)
    found = service.command("cancel", "forwards", "--all", "--json",
                            "--before", clock.text(service.ago(hours=24)))
    assert json.loads(found)["cancelled"] == old
    assert service.command("cancel", "forwards", "--all", "--owner", "ben@home.example") == (
        "2 forwards cancelled, nothing is sent\n")
    assert service.command("cancel", "forwards", "--all") == (
        "1 forward cancelled, nothing is sent\n")
    assert service.command("cancel", "forwards", "--all") == "No forward is waiting.\n"
    assert {row["id"] for row in service.rows("failed_emails") if row["status"] == "failed"} == {
        *old, *new, *bens, *failed}


def test_a_run_that_has_claimed_a_row_does_not_send_what_is_cancelled(service):        # R77
    first, second = forwards(service, 2, status="pending", attempts=0, finished_at=None)

    def cancels(envelope):
        service.outbox.answer = None
        service.command("cancel", "forward", str(second))
        return Result(SENT, 250, "2.0.0", "taken")
    service.outbox.answer = cancels
    assert service.run("retry_forwards")["sent"] == 1
    assert [row["status"] for row in service.rows("failed_emails")] == ["sent", "failed"]
    assert first


@pytest.mark.parametrize("words, said", [
    (("replay", "forward", "1", "--all"), "say which rows"),
    (("replay", "forward", "--since", "2026-11-24"), "go together with --all"),
    (("replay", "forward", "1", "--owner", "1"), "go together with --all"),
    (("cancel", "forward"), "say which rows"),
    (("cancel", "forward", "1", "--all"), "say which rows"),
    (("cancel", "forward", "1", "--before", "24h"), "go together with --all"),
    (("cancel", "export", "1"), "expected forwards, notifications or webhooks")])
def test_wrong_words_are_one_sentence(line, words, said):       # R77
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n")
    answer = line(*words)
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert said in answer.err
