"""Held mail goes after its time, but never before the warning that lists it has been out for 24
hours."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.databases import bulk
from tests.support.product import safety_stop

JOB = "expire_overflow_hold"
NONE = {"notices": 0, "waiting": 0, "deleted": 0, "files": 0, "bytes_freed": 0}
OLD, SECOND = timedelta(days=31), timedelta(seconds=1)


@pytest.fixture
def hold(bench):
    """The bench with an owner and two aliases of hers."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "shop@alias.example"},
                            {"id": 2, "user_id": 1, "address": "club@alias.example"}])
    return bench


def message(bench, id: int, held: timedelta, **values) -> dict:
    """A row with a file of its own, 100 bytes long, held for so long."""
    bench.spool(f"{id}.eml", b"x" * 100)
    return {"id": id, "user_id": 1, "alias_id": 1, "sender": f"sender{id}@shop.example",
            "subject": f"Order {id}.", "size_bytes": 100, "raw_path": f"{id}.eml",
            "held_at": bench.now - held, **values}


def notice(bench, id: int, status: str, **times) -> None:
    bench.table("notifications", [{"id": id, "user_id": 1, "kind": "overflow_warning",
                                   "status": status, "dedupe_key": f"n{id}",
                                   "created_at": bench.ago(days=20), **times}])


def sent(bench, **ago) -> None:
    """What waits in the queue has been sent, this long ago."""
    bench.db.execute("UPDATE {notifications} SET status = 'sent', sent_at = :at, finished_at = :at"
                     " WHERE status = 'pending'", at=bench.ago(**ago))


def warned(bench) -> dict:
    """{id of a message: id of the notice} of all that are marked."""
    return {row["id"]: row["warning_id"] for row in bench.rows("overflow_hold") if row["warned_at"]}


# Warning

def test_a_day_before_their_time_messages_are_warned_of_in_one_notice(hold):
    hold.table("overflow_hold", [
        message(hold, 1, timedelta(days=29, seconds=1)),
        # exactly at the limit: not yet
        message(hold, 2, timedelta(days=29)),
        message(hold, 3, timedelta(days=29, hours=3)),
        message(hold, 4, OLD, released_at=hold.ago(days=1)),
    ])
    assert hold.run(JOB) == {**NONE, "notices": 1}
    assert warned(hold) == {1: 1, 3: 1}
    [row] = hold.rows("notifications")
    assert (row["kind"], row["persona"], row["status"], row["user_id"], row["to_email"],
            row["dedupe_key"]) == (
        "overflow_warning", "overflow", "pending", 1, "jo@home.example",
        "overflow-warning:1:2026-11-24")
    for body in (row["body_text"], row["body_html"]):
        listed = [number for number in (1, 2, 3, 4) if f"Order {number}." in body]
        assert listed == [1, 3]


def test_there_is_one_warning_an_owner_and_day(hold):
    hold.table("users", [{"id": 2, "email": "al@home.example", "status": "suspended"}])
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=29, hours=1)),
                                 message(hold, 2, timedelta(days=28, hours=23)),
                                 message(hold, 3, timedelta(days=29, hours=2), user_id=2)])
    assert hold.run(JOB)["notices"] == 2
    hold.now += timedelta(hours=2)
    # today's has been queued: the second waits for tomorrow
    assert hold.run(JOB)["notices"] == 0
    assert sorted(warned(hold)) == [1, 3]
    hold.now += timedelta(hours=8)
    assert hold.run(JOB)["notices"] == 1
    assert [row["dedupe_key"] for row in hold.rows("notifications")] == [
        "overflow-warning:2:2026-11-24", "overflow-warning:1:2026-11-24",
        "overflow-warning:1:2026-11-25"]
    assert "Order 2." in hold.rows("notifications")[2]["body_text"]
    assert "Order 1." not in hold.rows("notifications")[2]["body_text"]


# Deleting

def test_a_message_goes_24_hours_after_its_warning_was_sent(hold):
    notice(hold, 1, "sent", sent_at=hold.ago(hours=24), finished_at=hold.ago(hours=24))
    notice(hold, 2, "sent", sent_at=hold.ago(hours=23, minutes=59, seconds=59))
    long_ago = hold.ago(days=9)
    hold.table("overflow_hold", [
        message(hold, 1, timedelta(days=30, seconds=1), warned_at=long_ago, warning_id=1),
        # exactly at the limit stays
        message(hold, 2, timedelta(days=30), warned_at=long_ago, warning_id=1),
        # sent a second too late
        message(hold, 3, timedelta(days=90), warned_at=long_ago, warning_id=2),
        # not warned of: it is now
        message(hold, 4, timedelta(days=90), warning_id=1),
        message(hold, 5, timedelta(days=29), warned_at=long_ago, warning_id=1),
        # to be warned of once more
        message(hold, 6, timedelta(days=90), warning_id=1, user_id=9),
    ])
    assert hold.run(JOB) == {"notices": 1, "waiting": 3, "deleted": 1, "files": 1,
                             "bytes_freed": 100}
    assert hold.ids("overflow_hold") == [2, 3, 4, 5, 6]
    assert hold.spooled() == ["2.eml", "3.eml", "4.eml", "5.eml", "6.eml"]


def test_where_the_warning_was_not_sent_a_message_waits_24_hours_or_a_week(hold):
    day, week = hold.ago(hours=24), hold.ago(days=7)
    notice(hold, 1, "failed", finished_at=day)
    notice(hold, 2, "failed", finished_at=day + SECOND)
    # given up by hand: without its end
    notice(hold, 3, "failed", created_at=day)
    notice(hold, 4, "failed", created_at=day + SECOND)
    notice(hold, 5, "pending")
    notice(hold, 6, "sending")
    hold.table("overflow_hold", [
        message(hold, id, OLD, warned_at=at, warning_id=warning) for id, at, warning in [
            (1, day, 1), (2, week, 2), (3, day, 3), (4, week, 4),
            (5, week, 5), (6, week + SECOND, 5), (7, week, 6), (8, week + SECOND, 6),
            # the owner had no usable address
            (9, week, None), (10, week + SECOND, None),
            # the notice's row was deleted
            (11, week, 77), (12, week + SECOND, 77),
        ]])
    assert hold.run(JOB) == {"notices": 0, "waiting": 6, "deleted": 6, "files": 6,
                             "bytes_freed": 600, "unwarned": 5}
    assert hold.ids("overflow_hold") == [2, 4, 6, 8, 10, 12]
    [event] = [event for event in hold.events(JOB) if event["level"] == "warning"]
    assert event["event"] == "held mail expires though its warning was not sent"
    assert event["number"] == 5


def test_however_late_cron_and_mail_are_the_warning_comes_first(hold):
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=90))])
    assert hold.run(JOB) == {**NONE, "notices": 1, "waiting": 1}
    hold.now += timedelta(days=6)                       # no mail goes out
    assert hold.run(JOB) == {**NONE, "waiting": 1}
    sent(hold, hours=1)
    hold.now += timedelta(hours=22, minutes=59, seconds=59)
    assert hold.run(JOB) == {**NONE, "waiting": 1}
    hold.now += SECOND
    assert hold.run(JOB) == {**NONE, "deleted": 1, "files": 1, "bytes_freed": 100}


@pytest.mark.parametrize("status, change", [
    # it waited for 8 days and is sent just before the DELETE: 24 hours count from then
    ("pending", "UPDATE {notifications} SET status = 'sent', sent_at = :now"),
    ("sent", "UPDATE {overflow_hold} SET released_at = :now")])
def test_a_message_that_is_warned_of_or_released_meanwhile_stays(hold, status, change):
    notice(hold, 1, status, sent_at=hold.ago(days=2))
    hold.table("overflow_hold", [message(hold, 1, OLD, warned_at=hold.ago(days=8), warning_id=1)])
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
    sent(hold, hours=0)
    hold.now += timedelta(hours=23)
    assert hold.run(JOB, keep="12h") == {**NONE, "notices": 1, "waiting": 2}
    hold.now += timedelta(hours=1)
    assert hold.run(JOB, keep="12h")["deleted"] == 1
    assert warned(hold) == {1: 2}


# Who is notified

def test_owners_who_cannot_be_told_delay_their_mail_or_keep_it(hold):
    hold.table("users", [{"id": 2, "email": "nobody"}, {"id": 3, "status": "deleted"}])
    hold.table("overflow_hold", [message(hold, id, OLD, user_id=id) for id in (2, 3)])
    assert hold.run(JOB) == {**NONE, "waiting": 2}
    assert warned(hold) == {2: None}
    assert [event["event"] for event in hold.events(JOB) if event["level"]
            == "warning"] == ["owner cannot be notified"]
    hold.now += timedelta(days=7)
    assert hold.run(JOB) == {**NONE, "waiting": 1, "deleted": 1, "files": 1, "bytes_freed": 100,
                             "unwarned": 1}
    assert hold.ids("overflow_hold") == [3]             # goes with the account


# Safeguards

def test_off_warns_of_nothing_and_still_drops_what_was_released(hold):
    notice(hold, 1, "sent", sent_at=hold.ago(days=2))
    hold.table("overflow_hold",
               [message(hold, 1, OLD), message(hold, 2, OLD, warned_at=hold.ago(days=2),
                                               warning_id=1),
                message(hold, 3, OLD, released_at=hold.ago(days=8))])
    assert hold.run(JOB, keep="off") == {**NONE, "deleted": 1, "files": 1, "bytes_freed": 100}
    assert hold.ids("overflow_hold") == [1, 2]
    assert sorted(warned(hold)) == [2]


def test_a_keep_that_was_shortened_by_mistake_warns_nobody(hold, monkeypatch):         # R19
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)
    bulk(hold.db, "overflow_hold", ["user_id", "alias_id", "raw_path", "held_at"],
         [(1, 1, f"{number}.eml", hold.ago(days=10)) for number in range(20)])
    hold.run(JOB)
    assert hold.fails(JOB, keep="3d").startswith(
        "20 of 20 rows of overflow_hold would be deleted: [expire_overflow_hold] keep is 3d, it "
        "was 30d at the last good run.")
    assert warned(hold) == {}
    assert hold.rows("notifications") == []
    assert hold.run(JOB, keep="3d", yes=True)["notices"] == 1
