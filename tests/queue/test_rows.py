"""One bad row is one bad row; and what was handed over is stored, whatever the database does
meanwhile."""
from __future__ import annotations

import re
import sqlite3
from datetime import timedelta

import pytest

from tests.support.databases import lax
from tests.support.hooks import SECRET
from tests.support.product import SENT, Busy, Result, ddl, table
from tests.support.require import on_sqlite

QUEUES = {"retry_forwards": ("failed_emails", "sent"),
          "send_notifications": ("notifications", "sent"),
          "retry_webhooks": ("webhook_deliveries", "delivered")}
MAIL = ("retry_forwards", "send_notifications")
# what a row of each has of its own
ROWS = {"failed_emails": {"alias_id": 1, "raw_path": "one.eml"},
        "notifications": {"kind": "overflow_warning"},
        "webhook_deliveries": {"webhook_id": 1, "event_id": "e", "payload": "{}"}}


def due(bench, table: str, number: int) -> list[int]:
    """Rows of a queue that are due, with all that they need."""
    bench.table("users", [{"id": 1}])
    bench.table("aliases", [{"id": 1, "user_id": 1}])
    bench.table("webhooks", [{"id": 1, "user_id": 1, "secret": SECRET}])
    bench.spool("one.eml")
    return bench.table(table, [{"user_id": 1, "created_at": bench.ago(hours=2), **ROWS[table]}]
                       * number)


def test_an_invalid_row_fails_with_its_reason_and_no_attempt(bench):     # R67
    due(bench, "failed_emails", 2)
    bench.db.execute("UPDATE {failed_emails} SET attempts = -100, "
                     "envelope_from = 'a@post.example' WHERE id = 1")
    assert bench.run("retry_forwards") == {
        "sent": 1, "retried": 0, "failed": 0, "invalid": 1, "notices": 1}
    ended = bench.rows("failed_emails")[0]
    assert (ended["status"], ended["last_error"], ended["attempts"]) == (
        "failed", "invalid: its attempts is out of range", -100)
    assert ended["finished_at"]
    notice, = bench.rows("notifications")                       # BJ-03
    assert (ended["notice_id"], ended["notified_at"]) == (notice["id"], None)
    assert "The problem is on our side." in " ".join(notice["body_text"].split())
    event, = [event for event in bench.events("retry_forwards") if event["event"] == "invalid row"]
    assert (event["id"], event["reason"]) == (1, "its attempts is out of range")


@pytest.mark.parametrize("job", MAIL)
def test_a_day_that_does_not_exist_keeps_no_row_waiting(bench, job):       # R66 R67
    table, done = QUEUES[job]
    bad = ("0000-00-00 00:00:00", "2026-02-30 10:00:00", "2026-11-00 10:00:00",
           "0000-01-01 00:00:00")
    for id, time in zip(due(bench, table, 6), (*bad, bad[0])):
        column = "created_at" if id < 5 else "next_attempt_at"
        lax(bench.url).execute(f"UPDATE {{{table}}} SET {column} = '{time}' WHERE id = {id}")
    bench.run(job)
    assert [row["status"] for row in bench.rows(table)[:6]] == ["failed"] * 4 + [done] * 2


def test_mail_that_cannot_be_loaded_costs_no_message_an_attempt(bench):       # R73
    due(bench, "failed_emails", 1)
    del bench.outbox
    bench.fails("retry_forwards")
    assert bench.rows("failed_emails")[0]["attempts"] == 0


def test_null_counts_as_the_default_of_a_column_in_an_apps_table(bench):     # R67 R75
    """No attempts are 0 of them, and no sender is the empty one; only who it belongs to is
    nobody's guess."""
    statements = ddl.create_table(bench.db, table("failed_emails"))
    bench.db.execute("DROP TABLE {failed_emails}")
    for sql in statements:
        bench.db.execute(re.sub(r"(?m)^(  .(alias_id|attempts|envelope_from|status|uncertain). .*"
                                r") NOT NULL.*,$", r"\1 NULL,", sql))
    due(bench, "failed_emails", 3)
    bench.db.execute("UPDATE {failed_emails} SET attempts = NULL, envelope_from = NULL, "
                     "uncertain = NULL, next_attempt_at = :due, status = 'pending' WHERE id = 1",
                     due=bench.ago(minutes=1))
    bench.db.execute("UPDATE {failed_emails} SET alias_id = NULL, status = 'pending' "
                     "WHERE id = 2")
    assert bench.run("retry_forwards") == {
        "sent": 1, "retried": 0, "failed": 0, "invalid": 1, "notices": 0}
    sent, failed, left = bench.rows("failed_emails")
    assert left["status"] is None           # as it was given none
    assert "unknown status" in bench.command("queue", "forwards", "--owner", "1")
    assert (sent["status"], sent["attempts"]) == ("sent", 1)
    assert (failed["status"], failed["last_error"]) == (
        "failed", "invalid: its alias_id is missing")
    assert next(mail.sender for mail in bench.outbox) == ""


@pytest.mark.parametrize(("priority", "order"), [(-5, 0), (7, 2), (2147483647, 2)])
def test_an_apps_own_priority_counts_as_the_nearest_of_ours(bench, priority, order):     # R67
    bench.table("users", [{"id": 1}])
    for number, value in enumerate((2, 1, priority)):
        bench.table("notifications", [{"user_id": 1, "kind": "overflow_warning", "priority": value,
                                       "subject": f"{number}", "created_at": bench.ago(minutes=9
                                                                                       - number)}])
    assert bench.run("send_notifications")["sent"] == 3
    assert [mail.subject for mail in bench.outbox] == [["2", "1", "0"], [], ["1", "0", "2"]][order]


@pytest.mark.parametrize("run", ["x''", "'gone'", "half an emoji"])
@pytest.mark.parametrize("job", MAIL)
# R67 R21: such a row stayed for ever
def test_what_no_living_run_is_sending_is_sent_five_minutes_later(bench, job, run):
    table, done = QUEUES[job]
    due(bench, table, 3)
    if run == "half an emoji":
        run = {"sqlite": "CAST(x'EDA0BD' AS TEXT)", "mysql": "/*!50708 '?' *//*M!100101 "
               "CONVERT(x'EDA0BD' USING ascii) */"}[bench.db.dialect.name]
    elif run == "x''" and bench.db.dialect.name == "mysql":
        run = "'x'"                         # there octets without any are the empty text
    bench.db.execute(f"UPDATE {{{table}}} SET status = 'sending', claim_run = {run}, attempts = 1 "
                     "WHERE id = 2")
    assert bench.run(job)["uncertain"] == 1
    assert bench.ids(table, f"status = '{done}'") == [1, 3]
    bench.now += timedelta(minutes=4)
    assert bench.run(job)["sent"] == 0
    bench.now += timedelta(minutes=2)
    assert bench.run(job)["sent"] == 1
    assert bench.ids(table, f"status = '{done}' AND attempts = 1") == [1, 2, 3]


# the last two are an app's own, of a sender that it has: our runs claim a row before
STATUSES = ["Pending", "queued", "", "failing", "x" * 64, "0", "sending", "running"]


@pytest.mark.parametrize("job", [*QUEUES, "export_accounts", "check_domains"])
def test_a_row_of_an_unknown_status_is_left(bench, job):     # R2 R67 R74
    bench.config(core={"app_url": "https://app.example"}, export={"dir": "exports"},
                 dns={"mx_hosts": "mx.alias.example"})
    if job in QUEUES:
        table = QUEUES[job][0]
        due(bench, table, len(STATUSES) + 1)
    else:
        bench.table("users", [{"id": 1}])
        table = {"export_accounts": "export_requests", "check_domains": "domains"}[job]
        bench.table(table,
                    [{"user_id": 1, **({"name": f"d{each}.example", "ownership_token": "t"} if table
                                       == "domains" else {})} for each in range(len(STATUSES) + 1)])
    statuses = [value + "s" * (value == "queued" and table == "export_requests")
                for value in STATUSES]
    for id, value in enumerate(statuses, 2):
        bench.db.execute(f"UPDATE {{{table}}} SET status = :value WHERE id = :id", value=value,
                         id=id)
    for dry_run in (True, False, False):
        bench.run(job, dry_run=dry_run)
    done, *left = [row["status"] for row in bench.rows(table)]
    assert left == statuses
    assert done in ("sent", "delivered", "ready") or job == "check_domains"


def test_a_flood_of_invalid_rows_ends_within_the_budget(bench):     # R67 R4
    due(bench, "failed_emails", 1)
    bench.bulk("failed_emails", [{"user_id": 1, "attempts": -1, "created_at": bench.ago(hours=2),
                                  **ROWS["failed_emails"]}] * 300)
    bench.clock.step = 0.5
    assert bench.attempt("retry_forwards", budget="100s")["stop_reason"] in (None, "budget")
    assert bench.result["counts"]["invalid"] >= 50
    assert bench.ids("failed_emails", "status = 'sent'") == [1]


@pytest.mark.parametrize("job", QUEUES)
def test_an_error_of_ours_fails_the_run_and_stops_no_other_row(bench, job):     # R73
    table, done = QUEUES[job]
    due(bench, table, 3)

    def breaks(_) -> None:
        bench.outbox.answer = bench.web.answer = None
        raise RuntimeError("whatever jo@home.example says")
    bench.outbox.answer = bench.web.answer = breaks
    failure = bench.fails(job)
    assert "unexpected error: 1, the first: RuntimeError in test_rows.py" in failure
    counts = bench.result["counts"]
    assert (counts[done], counts["failed"], counts["defects"]) == (2, 0, 1)
    assert bench.ids(table, "status = 'pending'") == [1]
    assert "jo@home" not in str(bench.events(job))


@pytest.mark.parametrize("job, rows", [     # {column: hours ahead}, and whether it is due
    ("retry_forwards", [({"next_attempt_at": 9600}, 1, True), ({"created_at": 9600}, 0, True),
                        ({"next_attempt_at": 48}, 1, False)]),
    ("send_notifications", [({"next_attempt_at": 9600}, 1, True),
                            ({"next_attempt_at": 24}, 1, False)])])
def test_what_a_wrong_clock_has_delayed_for_years_is_due(bench, job, rows):     # R68
    table = QUEUES[job][0]
    due(bench, table, 0)
    ids = [bench.table(table, [{"user_id": 1, "attempts": attempts, **ROWS[table], **{
        name: bench.ahead(hours=hours) for name, hours in times.items()}}])[0]
        for times, attempts, _ in rows]
    waits = [id for id, (*_, is_due) in zip(ids, rows) if not is_due]
    for dry_run in (True, False):
        assert bench.run(job, dry_run=dry_run)["sent"] == len(ids) - len(waits)
    assert bench.ids(table, "status = 'pending'") == waits


AGAIN = {
    "sqlite": ("CREATE TRIGGER again AFTER UPDATE ON {table} "
               "WHEN NEW.status IN ('{done}', 'failed') BEGIN UPDATE {table} "
               "SET status = 'pending' WHERE id = NEW.id; END"),
    "mysql": ("CREATE TRIGGER again BEFORE UPDATE ON {table} FOR EACH ROW SET NEW.status = "
              "IF(NEW.status IN ('{done}', 'failed'), 'pending', NEW.status)")}


@pytest.mark.parametrize("job", MAIL)
def test_nothing_is_sent_where_a_trigger_would_have_it_sent_again(bench, job):      # R67
    table, done = QUEUES[job]
    due(bench, table, 3)
    bench.db.execute(AGAIN[bench.db.dialect.name].replace("{table}", bench.db.name(table)).replace(
        "{done}", done))
    try:
        error = bench.fails(job)
    finally:
        bench.db.execute("DROP TRIGGER again")
    assert "status is not stored as written when it is `sent`: look at the column" in error
    assert (len(bench.outbox), bench.rows("attempts")) == (0, [])
    assert bench.ids(table, "status = 'pending' AND attempts = 0") == [1, 2, 3]


@on_sqlite          # there writers do not wait for each other
def test_a_message_that_was_taken_is_stored_although_another_writer_holds_the_file(bench):     # R70
    due(bench, "failed_emails", 2)
    bench.timeout = 0.1
    other, waits = sqlite3.connect(bench.folder / "jobs.db", isolation_level=None), []

    def take(_) -> Result:
        if not bench.outbox:
            other.execute("BEGIN IMMEDIATE")
        return Result(SENT, 250, "2.0.0", "taken")

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        other.rollback()
    bench.outbox.answer, bench.clock.sleep = take, sleep
    assert bench.run("retry_forwards")["sent"] == 2
    assert waits


@pytest.mark.parametrize("sent", [0, 1])
@pytest.mark.parametrize("job", QUEUES)
def test_no_row_begins_once_the_database_has_taken_the_time_for_it(bench, job, sent):     # R4 R22
    table, done = QUEUES[job]
    due(bench, table, sent + 1)
    gone = bench.web if job == "retry_webhooks" else bench.outbox

    def hear(sql: str, _values: dict) -> None:
        # until 12 seconds before the hard limit
        if "SET status = " in sql and len(gone) == sent and bench.clock.seconds < 1258:
            raise Busy("the file is locked")
    bench.on_statement = hear
    assert bench.attempt(job)["stop_reason"] == "budget"
    assert len(gone) == len(bench.ids(table, f"status = '{done}'")) == sent
    assert bench.ids(table, "status = 'pending' AND attempts = 0") == [sent + 1]
