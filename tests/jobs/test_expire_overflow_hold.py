"""Held mail goes after its time, but never before the warning that lists it has been out for 24
hours."""
from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.database.connection import connect
from jobs_lib.engines import safety_stop
from tests.support.databases import bulk
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

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


def test_the_warning_says_what_goes_when_and_how_to_keep_it(hold):
    hold.config(core={"app_url": "https://mail.example.org"})
    hold.table("overflow_hold", [
        message(hold, 1, timedelta(days=40), size_bytes=12_345, subject="Order\r\nBcc: "
                "all@x.example"),
        message(hold, 2, timedelta(days=29, hours=1), alias_id=2, sender="", subject=""),
        message(hold, 3, timedelta(days=27, hours=1), alias_id=7, size_bytes=3_400_000,
                subject="<script>x</script>"),
    ])
    hold.run(JOB, warn_before="3d")
    [row] = hold.rows("notifications")
    assert row["subject"] == "3 messages will be deleted on or after 25 November 2026"
    assert row["body_text"] == """\
Hello Jo,

3 messages arrived while your account was over its limit. We are holding
them for you instead of forwarding them, and will delete them for good,
the first on or after 25 November 2026 at 14:30 UTC.

To keep a message, sign in and release it before the time shown below:
https://mail.example.org

  Subject:   Order Bcc: all@x.example
  From:      sender1@shop.example
  Sent to:   shop@alias.example
  Received:  15 October 2026 at 14:30 UTC
  Size:      12 kB
  Deleted:   on or after 25 November 2026 at 14:30 UTC

  Subject:   (no subject)
  From:      (no sender)
  Sent to:   club@alias.example
  Received:  26 October 2026 at 13:30 UTC
  Size:      100 bytes
  Deleted:   on or after 25 November 2026 at 14:30 UTC

  Subject:   <script>x</script>
  From:      sender3@shop.example
  Sent to:   a deleted alias
  Received:  28 October 2026 at 13:30 UTC
  Size:      3.4 MB
  Deleted:   on or after 27 November 2026 at 13:30 UTC

We hold a message for 30 days, and delete it no sooner than 24 hours
after sending you this warning. Nobody can restore a deleted message.

--\x20
Overflow desk
https://mail.example.org
"""
    assert ('<a class="button" href="https://mail.example.org">Sign in and release</a>'
            in row["body_html"])
    assert "<b>&lt;script&gt;x&lt;/script&gt;</b>" in row["body_html"]


def test_a_single_message_without_a_link_reads_well_too(hold):
    hold.config(personas={"overflow": "Held mail <held@service.example>"})
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=29, hours=1))])
    hold.run(JOB, warn_before="3d", keep="32d")
    [row] = hold.rows("notifications")
    assert row["subject"] == "A message will be deleted on or after 27 November 2026"
    text = " ".join(row["body_text"].split())
    assert ("A message arrived while your account was over its limit. "
            "We are holding it for you instead of forwarding it, "
            "and will delete it for good on or after 27 November 2026 at 13:30 UTC. "
            "To keep it, sign in and release it before the time shown below. ") in text
    assert row["body_text"].endswith("-- \nHeld mail\n")
    assert "Sign in" not in row["body_html"]


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
    # of an older version: without its end
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


def test_a_warning_that_is_sent_at_last_counts_from_then(hold):
    """It waited for 8 days and is sent just before the DELETE: the row is judged again, and
    stays."""
    notice(hold, 1, "pending")
    hold.table("overflow_hold", [message(hold, 1, OLD, warned_at=hold.ago(days=8), warning_id=1)])
    meddle(hold, "UPDATE {notifications} SET status = 'sent', sent_at = :now")
    assert hold.run(JOB)["deleted"] == 0
    assert hold.spooled() == ["1.eml"]


def test_a_message_that_is_released_meanwhile_stays(hold):
    notice(hold, 1, "sent", sent_at=hold.ago(days=2))
    hold.table("overflow_hold", [message(hold, 1, OLD, warned_at=hold.ago(days=2), warning_id=1)])
    meddle(hold, "UPDATE {overflow_hold} SET released_at = :now")
    assert hold.run(JOB)["deleted"] == 0
    assert hold.spooled() == ["1.eml"]


def meddle(bench, sql: str) -> None:
    """Let another connection change something between the selection of rows and the transaction
    that deletes them."""
    seen = []

    def listen(statement: str, _) -> None:
        if statement.startswith(("BEGIN", "START")) and any("ORDER BY held_at" in before
                                                            for before in seen):
            bench.on_statement = None
            other = connect(bench.url)
            other.execute(sql, now=bench.now)
            other.close()
        seen.append(statement)
    bench.on_statement = listen


def test_a_released_message_goes_with_its_file_7_days_later(hold):
    notice(hold, 1, "sent", sent_at=hold.ago(days=20))
    hold.table("overflow_hold", [
        message(hold, 1, OLD, released_at=hold.ago(days=7, seconds=1)),
        # exactly at the limit stays
        message(hold, 2, OLD, released_at=hold.ago(days=7)),
        message(hold, 3, OLD, released_at=hold.ago(seconds=1), warned_at=hold.ago(days=20),
                warning_id=1),
        # whatever its age
        message(hold, 4, timedelta(days=8), released_at=hold.ago(days=7, seconds=1)),
    ])
    assert hold.run(JOB) == {"notices": 0, "waiting": 0, "deleted": 2, "files": 2,
                             "bytes_freed": 200}
    assert hold.ids("overflow_hold") == [2, 3]
    assert hold.run(JOB, keep_released="1h")["deleted"] == 1


def test_warned_earlier_or_later_a_message_goes_at_its_time_but_not_within_24_hours(hold):
    hold.table("overflow_hold", [message(hold, 1, timedelta(days=25)),
                                 message(hold, 2, timedelta(days=29, hours=23))])
    hold.run(JOB, warn_before="30m")
    assert warned(hold) == {}
    hold.run(JOB, warn_before="2h")
    assert sorted(warned(hold)) == [2]
    hold.now += timedelta(days=1)
    sent(hold, hours=23)
    # 2 is past its time, warned 23 hours ago
    assert hold.run(JOB, warn_before="7d")["deleted"] == 0
    assert sorted(warned(hold)) == [1, 2]
    sent(hold, hours=0)
    hold.now += timedelta(days=2)
    assert hold.run(JOB)["deleted"] == 1
    # warned long enough, but held for 28 days
    assert hold.ids("overflow_hold") == [1]


def test_a_keep_shorter_than_the_warning_warns_at_once(hold):
    hold.table("overflow_hold", [message(hold, 1, timedelta(seconds=1))])
    assert hold.run(JOB, keep="12h") == {**NONE, "notices": 1}
    assert "on or after 25 November 2026 at 14:30 UTC" in hold.rows("notifications")[0]["body_text"]


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


def test_a_dry_run_tells_the_warnings_and_what_waits(hold):         # R11
    notice(hold, 1, "sent", sent_at=hold.ago(days=2))
    notice(hold, 2, "sent", sent_at=hold.ago(hours=2))
    hold.table("overflow_hold", [message(hold, 1, OLD, warned_at=hold.ago(days=2), warning_id=1),
                                 message(hold, 2, OLD, warned_at=hold.ago(days=2), warning_id=2),
                                 message(hold, 3, OLD),
                                 message(hold, 4, timedelta(days=29, hours=1))])
    before = hold.rows("overflow_hold"), hold.rows("notifications"), hold.spooled()
    told = hold.run(JOB, dry_run=True)
    assert (hold.rows("overflow_hold"), hold.rows("notifications"), hold.spooled()) == before
    assert [sample["step"] for sample in hold.samples] == [
        "queue 1 notice: overflow_warning",
        "keep 2 past their time: their warning is not 24 hours old",
        "delete 1 row of overflow_hold"]
    # no subject, no sender
    assert set(hold.samples[0]["rows"][0]) == {"id", "held_at", "size_bytes"}
    assert told == hold.run(JOB) == {"notices": 1, "waiting": 2, "deleted": 1, "files": 1,
                                     "bytes_freed": 100}


# Killed

POINTS = {
    "before the first notice": ("INSERT INTO {notifications}", 1),
    "between a notice and its marks": ("SET warned_at", 1),
    "between the marks and their commit": ("COMMIT", 1),
    "between two owners": ("INSERT INTO {notifications}", 2),
    "between warning and deleting": ("SELECT raw_path AS name FROM {overflow_hold}", 1),
    "in a batch": ("DELETE FROM {overflow_hold}", 1),
    "files deleted, not committed": ("COMMIT", 3),
    "between deleting rows and files": ("SELECT raw_path FROM {overflow_hold} WHERE raw_path", 1),
    "when all is deleted": ("last_options = :", 1),
}


@pytest.mark.slow
# R2
def test_killed_at_any_point_nothing_goes_unannounced_or_too_early(tmp_path, engine_url):
    service = Shell(tmp_path, engine_url)
    for _ in REPEATS:
        for point, (at, number) in POINTS.items():
            service.db.execute("DELETE FROM {overflow_hold}")
            service.db.execute("DELETE FROM {notifications}")
            service.db.execute("UPDATE {job_state} SET last_options = NULL")
            kept, gone = fill(service)
            service.run(JOB, code=-signal.SIGKILL, kill=at_sql(at, number))
            check(service, kept, point)
            service.job(JOB)
            check(service, kept, point)
            rows = service.db.query("SELECT id, warned_at FROM {overflow_hold} ORDER BY id")
            assert [row["id"] for row in rows] == kept, point
            assert not {row["id"] for row in rows} & set(gone), point
            notices = service.db.query("SELECT user_id, COUNT(*) AS n FROM {notifications} "
                                       "WHERE status = 'pending'"
                                       " GROUP BY user_id ORDER BY user_id")
            assert [row["n"] for row in notices] == [1, 1], point


def fill(service) -> tuple[list[int], list[int]]:
    """Two owners, for each: 3 messages to be warned of, 2 whose time has come, 2 whose warning is
    not a day old, one just released. (ids that stay, ids that go)"""
    kept, gone, now = [], [], clock.now()

    def add(ids: list, owner: dict, days: int, **values) -> None:
        name = f"{len(kept)}-{len(gone)}.eml"
        (service.spool / name).write_bytes(b"mail")
        id = service.db.insert("overflow_hold", user_id=owner["user_id"],
                               alias_id=owner["alias_id"], raw_path=name, subject=f"Order {name}",
                               held_at=now - timedelta(days=days), **values)
        ids.append(id)

    for _ in range(2):
        owner = service.owner()
        with service.db.transaction():
            warnings = [service.db.insert(
                "notifications", user_id=owner["user_id"], kind="overflow_warning",
                to_email="a@b.example",
                status="sent", sent_at=now - timedelta(hours=hours), created_at=now
                - timedelta(days=3))
                for hours in (25, 23)]
            for _ in range(3):
                add(kept, owner, 40)
            for _ in range(2):
                add(gone, owner, 31, warned_at=now - timedelta(days=2), warning_id=warnings[0])
                add(kept, owner, 31, warned_at=now - timedelta(days=2), warning_id=warnings[1])
            add(kept, owner, 31, warned_at=now - timedelta(days=2), warning_id=warnings[0],
                released_at=now)
    return kept, gone


def check(service, kept: list[int], point: str) -> None:
    """No row that must stay is gone or has lost its file, and each that is marked is listed where
    its mark says."""
    rows = service.db.query("SELECT id, subject, raw_path, warned_at, warning_id "
                            "FROM {overflow_hold}")
    files = {path.name for path in service.spool.glob("*.eml")}
    assert {row["raw_path"] for row in rows if row["id"] in kept} <= files, point
    assert files <= {row["raw_path"] for row in rows}, point
    assert set(kept) <= {row["id"] for row in rows}, point
    bodies = {row["id"]: row for row in service.db.query(
        "SELECT id, status, body_text, body_html FROM {notifications}")}
    for row in rows:
        if row["warned_at"] and bodies[row["warning_id"]]["status"] == "pending":
            assert row["subject"] in bodies[row["warning_id"]]["body_text"], point
            assert row["subject"] in bodies[row["warning_id"]]["body_html"], point
    listed = {id: row for id, row in bodies.items() if row["status"] == "pending"}
    # none without its marks
    assert {row["warning_id"] for row in rows if row["warned_at"]} >= set(listed), point
