"""`replay` puts back what has failed, by id or all of it little by little, `cancel` ends what
waits; what cannot be sent is refused, one line each."""
from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from tests.support.product import SENT, Result, clock
from tests.support.shell import Shell, at_sql

ANN, BEN = 1, 2
TABLES = {"forward": "failed_emails", "notification": "notifications",
          "webhook": "webhook_deliveries"}
JOBS = {"forward": "retry_forwards", "notification": "send_notifications",
        "webhook": "retry_webhooks"}
MISSING = "there is no such row (it may have been purged)"


@pytest.fixture
def service(bench):
    bench.table("users", [{"id": ANN, "email": "ann@home.example"},
                          {"id": BEN, "email": "ben@home.example"}])
    bench.table("aliases", [{"id": 1, "user_id": ANN}])
    bench.table("destinations", [{"id": 1, "user_id": ANN}])
    bench.table("webhooks", [{"id": id, "user_id": ANN, "secret": "whsec_" + "A" * 32}
                             for id in (1, 2)])
    bench.spool("one.eml")
    return bench


def rows(bench, kind: str, number: int = 1, **values) -> list[int]:
    """Rows that have failed, unless `values` say otherwise: their ids."""
    own = {"forward": {"alias_id": 1, "destination_id": 1, "envelope_to": "ann@home.example",
                       "envelope_from": "shop@shop.example", "raw_path": "one.eml"},
           "notification": {"kind": "overflow_warning", "body_text": "x\n"},
           "webhook": {"webhook_id": 1, "payload": "{}", "event_id": "evt_1"}}[kind]
    return bench.table(TABLES[kind], [{
        "user_id": ANN, "status": "failed", "attempts": 4, "created_at": bench.ago(hours=5),
        "finished_at": bench.ago(hours=1), **own, **values} for _ in range(number)])


def refused(found: dict) -> dict[int, str]:
    return {each["id"]: each["reason"] for each in found["refused"]}


@pytest.mark.parametrize("kind, status", [*((kind, "failed") for kind in TABLES),
                                          ("forward", "pending")])
def test_a_row_is_as_new_and_the_next_run_sends_it(service, kind, status):       # R41 R77
    [id] = rows(service, kind, status=status, next_attempt_at=service.ahead(hours=6),
                last_error="5.1.1 no such user", uncertain=2,
                last_attempt_at=service.ago(hours=1))
    service.table("attempts", [{"kind": kind, "item_id": id, "outcome": "refused",
                                "began_at": service.ago(hours=1), "answer": "no such user"}])
    assert service.command("replay", kind, str(id)).splitlines() == [
        f"1 {kind} back in the queue, due now", f"{JOBS[kind]} sends what is due."]
    row, = service.rows(TABLES[kind])
    assert [row[name] for name in ("status", "attempts", "finished_at", "uncertain",
                                   "next_attempt_at")] == [
        "pending", 0, None, 0, clock.text(service.now)]
    # it shows no reason of before; what was tried is in its story
    item, = service.json("queue", kind)["items"]
    assert (item["state"], item["attempts"], item["answer"]) == ("due", 0, "")
    story = service.json("queue", kind, id)
    assert [(event["outcome"], event["answer"]) for event in story["events"]] == [
        (None, ""), ("refused", "no such user"), ("replayed", "")]
    counts = service.run(JOBS[kind])
    assert counts.get("sent", counts.get("delivered")) == 1
    # under the same id
    assert [dict(request.headers)["webhook-id"] for request in service.web] == (
        ["evt_1"] * (kind == "webhook"))


@pytest.mark.parametrize("kind, values, why", [
    *(("forward", {"status": status}, f"not failed, the status is {status}")
      for status in ("sending", "by_app")),
    *(("forward", {"status": "sent", "raw_path": path},
       "the stored message is missing")
      for path in ("gone.eml", "../config.ini", "/etc/passwd", "link")),
    ("forward", {"user_id": 3}, "the owner is suspended or deleted"),
    ("notification", {"status": "sent", "body_text": None}, "the content was deleted"),
    ("notification", {"body_text": None}, "the content was deleted"),
    ("webhook", {"payload": None}, "the content was deleted"),
    ("webhook", {"webhook_id": 2}, "the endpoint is disabled")])
def test_what_cannot_be_sent_is_refused_and_the_rest_goes_through(service, kind, values, why):
    service.table("users", [{"id": 3, "status": "deleted"}])        # R77
    service.db.execute("UPDATE {webhooks} SET active = 0 WHERE id = 2")
    (service.spool_dir / "link").symlink_to("/etc/passwd")
    [id], [good] = rows(service, kind, **values), rows(service, kind)
    before = service.rows(TABLES[kind])[0]
    huge = 2 ** 63 - 1          # the largest that there can be
    found = service.json("replay", kind, id, 99, 10 ** 30, good, good, code=1)
    reasons = refused(found)
    assert why in reasons.pop(id)
    assert (found["replayed"], reasons) == ([good], {99: MISSING, huge: MISSING})
    assert service.rows(TABLES[kind])[0] == before
    assert f"1 {kind} not replayed (99): {MISSING}" in service.command("replay", kind, "99", code=1)


def test_all_that_failed_is_put_back_of_one_owner_or_of_a_time(service):         # R77
    long_ago, at = service.ago(days=3), clock.text(service.ago(days=1))
    [old], [new], [bens], [bens_old] = (rows(service, "forward", **values) for values in (
        {"created_at": long_ago, "finished_at": service.ago(days=1)}, {}, {"user_id": BEN},
        # by an app that gives no end
        {"user_id": BEN, "created_at": long_ago, "finished_at": None}))
    rows(service, "forward", status="sent")
    rows(service, "forward", status="pending")
    for words, ids in (
            (("--owner", "ben@home.example", "--since", at), [bens]), (("--since", at), [new]),
            (("--owner", BEN, "--before", at), [bens_old]), ((), [old])):
        assert service.json("replay", "forward", "--all", *words)["replayed"] == ids
    assert service.run("retry_forwards")["sent"] == 5
    for kind in ("notification", "webhook"):
        failed = rows(service, kind, 2)
        assert service.json("replay", kind, "--all")["replayed"] == failed


def test_what_a_run_could_only_cancel_and_a_hostile_row_stay_as_they_are(service):     # R67 R77
    lost, = rows(service, "forward", raw_path="gone.eml")
    gone, = rows(service, "forward", alias_id=9)
    bad, = rows(service, "forward", alias_id="abc" if service.url.startswith("sqlite") else -1)
    mine, = rows(service, "forward", status="pending", finished_at=None)
    service.command("cancel", "forward", str(mine))
    good, = rows(service, "forward", raw_path=b"one.eml")     # octets are as good
    found = service.json("replay", "forward", "--all")
    reasons = refused(found)
    assert (found["replayed"], bool(reasons.pop(bad))) == ([good], True)
    assert reasons == {
        lost: "the stored message is missing", gone: "the alias is missing",
        mine: "cancelled by you: name its id to replay it"}
    assert service.json("replay", "forward", mine)["replayed"] == [mine]


def test_what_a_kill_leaves_is_put_back_by_the_same_again(tmp_path, sqlite_url):       # R77
    service = Shell(tmp_path, sqlite_url, mail={"transport": "maildir"})
    service.forwards(1200, status="failed", finished_at=clock.now() - timedelta(hours=1))
    killed = service("replay", "forward", "--all", kill=at_sql("INSERT INTO {attempts}", 2))
    assert killed.code == -signal.SIGKILL
    assert service.statuses() == {"pending": 500, "failed": 700}
    assert len(service.json("replay", "forward", "--all")["replayed"]) == 700
    assert service.statuses() == {"pending": 1200}
    # each was put on record once
    assert service.db.value("SELECT COUNT(*) FROM {attempts} WHERE outcome = 'replayed'") == 1200
    service.close()


def test_cancel_ends_what_waits_and_refuses_the_rest(service):     # R77
    waits, = rows(service, "forward", status="pending", finished_at=None, last_error=None)
    sending, = rows(service, "forward", status="sending")
    sent, = rows(service, "forward", status="sent")
    assert service.command("cancel", "forward", *map(str, (waits, sending, sent, 99, 100)),
                           code=1).splitlines() == [
        "1 forward cancelled, nothing is sent",
        f"1 forward not cancelled ({sending}): being sent: the result will be stored",
        f"1 forward not cancelled ({sent}): no longer waiting (sent)",
        f"2 forwards not cancelled (99, 100): {MISSING}"]
    row = service.rows("failed_emails")[0]
    assert [row[name] for name in ("status", "last_error", "next_attempt_at", "finished_at")] == [
        "failed", "cancelled: by the operator", None, clock.text(service.now)]
    story = service.json("queue", "forwards", waits)
    assert (story["state"], story["events"][1]["outcome"]) == ("cancelled", "cancelled")
    assert service.command("cancel", "forward", str(waits), code=1) == (
        "nothing was cancelled\n"
        f"1 forward not cancelled ({waits}): no longer waiting (failed)\n")
    service.db.execute("DELETE FROM {failed_emails} WHERE status = 'sending'")
    assert service.run("retry_forwards")["sent"] == 0
    # a notice keeps its text, so that it can be replayed
    notice, = rows(service, "notification", status="pending", attempts=0, finished_at=None)
    service.command("cancel", "notification", str(notice))
    assert service.json("replay", "notification", notice)["replayed"] == [notice]
    assert service.run("send_notifications")["sent"] == 1


def test_cancel_all_ends_what_waits_of_an_owner_and_of_a_time(service):     # R77
    at = clock.text(service.ago(hours=24))
    rows(service, "forward", 3, status="pending", created_at=service.ago(days=2))
    rows(service, "forward", 1, status="pending")
    rows(service, "forward", 2, status="pending", user_id=BEN)
    for words, said in ((("--before", at), "3 forwards"),
                        (("--owner", "ben@home.example", "--since", at), "2 forwards"),
                        ((), "1 forward")):
        assert service.command("cancel", "forwards", "--all", *words) == (
            f"{said} cancelled, nothing is sent\n")


def test_a_run_under_way_does_not_send_what_is_cancelled(service):        # R77
    _, second = rows(service, "forward", 2, status="pending", attempts=0, finished_at=None)

    def cancels(envelope):
        service.outbox.answer = None
        service.command("cancel", "forward", str(second))
        return Result(SENT, 250, "2.0.0", "taken")
    service.outbox.answer = cancels
    assert service.run("retry_forwards")["sent"] == 1
    assert [row["status"] for row in service.rows("failed_emails")] == ["sent", "failed"]
