"""Held mail is deleted after its time, but never within 24 hours of the warning that lists it."""
from __future__ import annotations

from datetime import timedelta

import pytest

JOB = "expire_overflow_hold"
NONE = {"notices": 0, "deleted": 0, "files": 0, "bytes_freed": 0}
ONE = {"deleted": 1, "files": 1, "bytes_freed": 100}
OLD = timedelta(days=31)


@pytest.fixture
def hold(bench):
    """The bench with an owner and an alias of theirs."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "shop@alias.example"}])
    return bench


def message(bench, id: int, held: timedelta, **values) -> dict:
    """A row with a file of its own, 100 bytes long, held for so long."""
    bench.spool(f"{id}.eml", b"x" * 100)
    return {"id": id, "user_id": 1, "alias_id": 1, "sender": f"sender{id}@shop.example",
            "subject": f"Order {id}.", "size_bytes": 100, "raw_path": f"{id}.eml",
            "held_at": bench.now - held, **values}


def notice(bench, id: int, status: str, **values) -> None:
    bench.table("notifications", [{"id": id, "user_id": 1, "kind": "overflow_warning",
                                   "status": status, "dedupe_key": f"n{id}", "to_email":
                                   "jo@home.example", "created_at": bench.ago(days=20), **values}])


def warned(bench) -> dict:
    """{id of a message: id of the notice} of all that are marked."""
    return {row["id"]: row["warning_id"] for row in bench.rows("overflow_hold") if row["warned_at"]}


def test_a_day_before_their_time_an_owner_is_warned_of_all_once_a_day(hold):
    hold.table("users", [{"id": 2, "email": "al@home.example", "status": "suspended"}])
    hold.table("overflow_hold", [
        message(hold, 1, timedelta(days=29, seconds=1)),
        message(hold, 2, timedelta(days=29)),                   # exactly at the limit: not yet
        message(hold, 3, timedelta(days=29, hours=3)),
        message(hold, 4, OLD, released_at=hold.ago(days=1)),
        message(hold, 5, timedelta(days=29, hours=2), user_id=2)])
    hold.attempt(JOB, dry_run=True)
    assert [row["id"] for row in hold.samples[0]["rows"]] == [3, 1, 5]      # of both owners
    for hours, notices, marked in ((0, 2, [1, 3, 5]), (2, 0, [1, 3, 5]), (8, 1, [1, 2, 3, 5])):
        hold.now += timedelta(hours=hours)
        assert hold.run(JOB) == {**NONE, "notices": notices}    # the second waits for tomorrow
        assert [row["id"] for row in hold.rows("overflow_hold") if row["warned_at"]] == marked
    assert [(row["persona"], row["dedupe_key"], *(
        [number for number in range(1, 6) if f"Order {number}." in body]
        for body in (row["body_text"], row["body_html"]))) for row in hold.rows("notifications")
            ] == [("overflow", f"overflow-warning:{key}", orders, orders) for key, orders in (
                ("1:2026-11-24", [1, 3]), ("2:2026-11-24", [5]), ("1:2026-11-25", [2]))]
    hold.db.execute("UPDATE {overflow_hold} SET released_at = held_at WHERE id IN (2, 3)")
    assert (hold.run("send_notifications")["cancelled"], len(hold.outbox)) == (1, 1)


STAYS, DELETED, WARNED = "stays", "deleted", "its owner is warned"
# {what: (how long it was held, what became of its warning, how long ago, what becomes of it)}
CASES = {
    "past its limit, warned in time": (30 * 24 + 0.001, "sent", 24, DELETED),
    "at its limit": (30 * 24, "sent", 24, STAYS),
    "its warning was sent later": (90 * 24, "sent", 23.999, STAYS),
    "its warning waits": (90 * 24, "pending", None, STAYS),
    "refused, at twice the limit": (60 * 24, "failed", 1, STAYS),
    "refused, past that": (60 * 24 + 0.001, "failed", 1, DELETED),
    "the operator cancelled it": (90 * 24, "cancelled", 7 * 24, WARNED),
    "its owner is suspended, past that": (60 * 24 + 0.001, "suspended", None, DELETED),
    "suspended, past that, and unwarned": (60 * 24 + 0.001, "none, suspended", None, DELETED),
    "the app has marked it, or its warning was purged": (90 * 24, "app", None, WARNED),
    "no warning is marked": (29 * 24 - 0.001, "none", None, STAYS),
    "cron was so late that none is": (90 * 24, "none", None, WARNED)}


def test_a_message_is_deleted_24_hours_after_its_warning_or_at_twice_the_limit(bench):    # R83
    for id, (held, status, ago, _) in enumerate(CASES.values(), 1):
        bench.table("users", [{"id": id, "email": f"u{id}@home.example", "status": "suspended"
                               if "suspended" in status else "active"}])
        is_marked = "none" not in status
        bench.table("overflow_hold", [message(
            bench, id, timedelta(hours=held), user_id=id,
            warning_id=id if is_marked and status != "app" else None,
            warned_at=bench.ago(days=9) if is_marked else None)])
        at = None if ago is None else bench.ago(hours=ago)
        stored = {"suspended": "pending", "cancelled": "failed"}.get(status, status)
        if status != "app" and is_marked:
            notice(bench, id, stored, user_id=id, to_email=f"u{id}@home.example", finished_at=at,
                   sent_at=at if status == "sent" else None,
                   last_error="cancelled: by the operator" if status == "cancelled" else None)
    assert bench.run(JOB, dry_run=True).items() <= bench.run(JOB).items()
    left = bench.ids("overflow_hold")
    new = {row["user_id"]: row["id"] for row in bench.rows("notifications") if row["body_text"]}
    assert {what: WARNED if id in new else STAYS if id in left else DELETED for id, what in
            enumerate(CASES, 1)} == {what: case[-1] for what, case in CASES.items()}
    assert new.items() <= warned(bench).items()
    assert bench.spooled() == sorted(f"{id}.eml" for id in left)


def test_a_warning_that_was_refused_is_sent_to_the_owners_next_address(hold):          # R83
    hold.table("destinations", [
        {"user_id": 1, "email": "Jo@home.example", "verified_at": hold.ago(days=9)},
        {"user_id": 1, "email": "jo@typo.example", "verified_at": None},
        {"user_id": 1, "email": "jo@work.example", "verified_at": hold.ago(days=8)}])
    hold.table("overflow_hold", [message(hold, 1, OLD)])
    hold.run(JOB)
    seen = [hold.rows("notifications")[0]["to_email"]]
    for _ in range(2):                  # by the first; by all of them
        hold.db.execute("UPDATE {notifications} SET status = 'failed', attempts = 7, finished_at = "
                        ":now WHERE status = 'pending'", now=hold.now)
        assert hold.run(JOB) == NONE
        row, = hold.rows("notifications")
        seen.append((row["status"], row["attempts"], row["to_email"]))
    assert seen == ["jo@home.example", ("pending", 0, "jo@work.example"),
                    ("failed", 7, "jo@work.example")]


@pytest.mark.parametrize("status, change", [
    # it was refused, and an operator has sent it again just before the DELETE
    ("failed", "UPDATE {notifications} SET status = 'sent', sent_at = :now"),
    ("sent", "UPDATE {overflow_hold} SET released_at = :now")])
def test_a_message_that_is_warned_of_or_released_meanwhile_stays(hold, status, change):
    at = hold.ago(days=2)
    notice(hold, 1, status, sent_at=at if status == "sent" else None, finished_at=at)
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=90), warned_at=hold.ago(days=8),
                                         warning_id=1)])
    # after the selection of rows, before the transaction that deletes them
    hold.meanwhile("ORDER BY held_at", lambda: hold.meanwhile("BEGIN", change))
    assert hold.run(JOB)["deleted"] == 0
    assert hold.spooled() == ["1.eml"]


def test_the_options_move_both_times_but_never_the_24_hours(hold):
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=25)),
                                 message(hold, 2, timedelta(days=29, hours=23))])
    hold.run(JOB, warn_before="30m")
    assert warned(hold) == {}
    hold.run(JOB, warn_before="2h")
    assert sorted(warned(hold)) == [2]
    hold.db.execute("UPDATE {notifications} SET status = 'sent', sent_at = :now", now=hold.now)
    hold.now += timedelta(hours=23)
    assert hold.run(JOB, keep="12h") == {**NONE, "notices": 1}
    assert [row["body_text"].count("26 November 2026 at 13:30")     # however late it is
            for row in hold.rows("notifications")] == [0, 2]        # R83
    hold.now += timedelta(hours=1)
    assert hold.run(JOB, keep="12h")["deleted"] == 1
    assert warned(hold) == {1: 2}


def test_off_warns_of_nothing_and_still_deletes_what_was_released(hold):
    notice(hold, 1, "sent", sent_at=hold.ago(days=2))
    hold.table("overflow_hold", [
        message(hold, 1, OLD), message(hold, 2, OLD, warned_at=hold.ago(days=2), warning_id=1),
        message(hold, 3, OLD, released_at=hold.ago(days=8))])
    assert hold.run(JOB, keep="off") == {**NONE, **ONE}
    assert (hold.ids("overflow_hold"), sorted(warned(hold))) == ([1, 2], [2])


def test_a_keep_that_was_shortened_by_mistake_warns_nobody(hold):         # R80
    hold.knows_rules = False
    hold.run(JOB)
    hold.bulk("overflow_hold", [{"raw_path": f"{number}.eml", "held_at": hold.ago(days=10)}
                                for number in range(20)])
    hold.config(**{JOB: {"keep": "3d"}})
    assert hold.run(JOB) == {**NONE, "held": 20}
    assert hold.rows("notifications") == []
    assert hold.run(JOB, yes=True)["notices"] == 1
