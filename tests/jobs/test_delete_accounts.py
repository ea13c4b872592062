"""Deleted accounts are closed at once, erased with all they have once their owner knows when."""
from __future__ import annotations

import hashlib
import json
import re
import subprocess
from datetime import timedelta

import pytest

import jobs_lib
from tests.house.source import ROOT
from tests.support.account import everything, found
from tests.support.databases import columns
from tests.support.exports import token, zips
from tests.support.product import RETRY, SENT, Result, clock

JOB = "delete_accounts"
GRACE = timedelta(days=7)
LONG_AGO = {"days": 30}             # so long after its deletion an account is erased in any case
# what refers to a user, or to what is a user's
NAMES_A_ROW = {"user_id", "alias_id", "destination_id", "domain_id", "webhook_id", "message_log_id"}
CLOSED = ("sessions", "magic_links", "destination_verifications")     # deleted at once
EXPORTS = {"core": {"app_url": "https://app.example"}, "export": {"dir": "exports"},
           "mail": {"domain": "service.example", "per_hour": "off"}}


def user(bench, status: str = "deleted", **row) -> int:
    return bench.table("users", [{"status": status, "email": "jane@old.example", "name": "Jane",
                                  **row}])[0]


def delete(bench, user_id=None) -> None:
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :at "
                     "WHERE id = COALESCE(:id, id)", at=bench.now, id=user_id)


def deletions(bench) -> list[dict]:
    return [{**row, "counts": json.loads(row["counts"])} for row in bench.rows("account_deletions")]


def test_an_account_goes_with_every_kind_of_row_and_no_other_does(bench):     # R56
    jane = everything(bench, "jane", status="deleted", deleted_at=bench.ago(**LONG_AGO))
    assert {name for name in bench.db.tables() if columns(bench.db, name) & NAMES_A_ROW} <= {
        *jane.rows}
    sam = everything(bench, "sam")
    before = {name: len(bench.rows(name)) for name in jane.rows}
    bench.run(JOB)
    for name in jane.rows:
        assert {row.get("user_id") for row in bench.rows(name)} <= {sam.id, None}, name
    # and one about the deletion
    anonymous = {"audit_logs": jane.rows["audit_logs"] + 1, "attempts": jane.rows["attempts"]}
    assert {name: len(bench.rows(name)) for name in before} == {
        name: number - jane.rows[name] + anonymous.get(name, 0) for name, number in before.items()}
    assert found(bench, "jane") == []
    assert len(found(bench, "sam")) > 50
    (deletion,) = deletions(bench)
    assert deletion["counts"] == {name: number for name, number in jane.rows.items()
                                  if name not in CLOSED}
    assert deletion["completed_at"] == clock.text(bench.now)


def test_from_its_export_to_its_end_nothing_is_left_but_hashes(bench):
    # R52, R54, R56: each table that refers to a user has marked rows; all jobs that send something
    # have met them
    jane, boris = everything(bench, "jane"), everything(bench, "boris")
    bench.config(**EXPORTS)
    bench.db.execute("UPDATE {export_requests} "
                     "SET status = 'expired', token_hash = NULL, file_name = NULL")
    bench.table("export_requests", [{"user_id": jane.id, "requested_at": bench.now}])
    bench.outbox.answer = lambda envelope: Result(RETRY, 452, "4.2.2",
                                                  f"<{envelope.recipient}> is full") if (
        "failed_emails" in envelope.recipient) else Result(SENT, 250, "2.0.0",
                                                           f"{envelope.recipient} is fine")
    for job in ("export_accounts", "send_notifications", "retry_forwards", "retry_webhooks",
                "rollup_usage", "check_usage_thresholds"):
        bench.run(job)
    assert "is full" in str(bench.rows("failed_emails"))
    link = next(token(mail) for mail in bench.outbox if "ready" in mail.subject)
    (path,), config = zips(bench), str(bench.folder / "config.ini")
    assert jobs_lib.find_export(link, config, bench.ahead(days=7, seconds=-1))
    delete(bench, jane.id)
    assert jobs_lib.find_export(link, config, bench.now) is None
    for days in (0, 1, 7):
        bench.now = bench.ahead(days=days)
        for job in (JOB, "export_accounts", "send_notifications", "retry_forwards",
                    "retry_webhooks", "rollup_usage"):
            bench.run(job)
    assert bench.ids("users") == [boris.id]
    for mark in ("jane", link, path.name):
        assert found(bench, mark) == []
    assert len(found(bench, "boris")) > 50
    if bench.url.startswith("sqlite"):                                      # nor in its free pages
        bench.db.query("PRAGMA wal_checkpoint(TRUNCATE)")
        content = (bench.folder / "jobs.db").read_bytes()
        assert (b"jane" in content, b"boris" in content) == (False, True)
    assert len(bench.rows("retired_addresses")) == 3


# Closed at once

def test_a_newly_deleted_account_is_closed_and_keeps_its_rows(bench):     # R56
    jane = everything(bench, "jane", status="deleted", deleted_at=bench.ago(minutes=1))
    sam = everything(bench, "sam")
    theirs, = bench.table("failed_emails", [{       # to a destination of hers
        "user_id": sam.id, "destination_id": bench.ids("destinations", f"user_id = {jane.id}")[0]}])
    bench.db.execute("UPDATE {export_requests} SET expires_at = :at", at=bench.ahead(days=1))
    counts = bench.run(JOB)
    assert (counts["revoked"], counts["erased"], counts["notices"]) == (1, 0, 1)
    for name in ("sessions", "magic_links"):
        assert {row["user_id"] for row in bench.rows(name)} == {sam.id}
    assert len(bench.rows("destination_verifications")) == sam.rows["destination_verifications"]
    for name in ("aliases", "webhooks"):
        assert {(row["user_id"], row["active"]) for row in bench.rows(name)} == {(jane.id, 0),
                                                                                 (sam.id, 1)}
    for name in ("failed_emails", "webhook_deliveries"):
        assert {(row["user_id"], row["status"]) for row in bench.rows(name)
                if (name, row["id"]) != ("failed_emails", theirs)} == {
            (jane.id, "failed"), (sam.id, "pending")}
    assert theirs in bench.ids("failed_emails", "status = 'failed'")
    assert {row["user_id"] for row in bench.rows("export_requests")
            if row["expires_at"] > clock.text(bench.now)} == {sam.id}
    assert [row["kind"] for row in bench.rows("notifications")
            if row["user_id"] == jane.id and row["status"]
            == "pending"] == ["account_deletion_scheduled"]
    (deletion,) = deletions(bench)
    assert [deletion[name] for name in ("requested_at", "revoked_at", "erase_after")] == [
        clock.text(each) for each in (bench.ago(minutes=1), bench.now,
                                      bench.ago(minutes=1) + GRACE)]


def test_all_are_closed_before_anything_slow(bench):
    # R56: sessions of the last go before the first account is deleted, or its queue is looked at
    old = everything(bench, "old", status="deleted", deleted_at=bench.ago(**LONG_AGO))
    new = everything(bench, "new", status="deleted", deleted_at=bench.ago(minutes=1))
    seen = []

    def hear(sql, values):
        if sql.startswith(("DELETE", "UPDATE {failed_emails}")):
            seen.append((sql.split("{")[1].split("}")[0],
                         {row["user_id"] for row in bench.rows("sessions")}))
    bench.on_statement = hear
    bench.run(JOB)
    slow = [sessions for name, sessions in seen if name in ("failed_emails", "message_logs",
                                                            "users")]
    assert slow
    assert not any(sessions & {old.id, new.id} for sessions in slow)


# When it is erased

@pytest.mark.parametrize("grace, notice, kept", [
    ("7d", "sent", {"days": 7}),
    ("30d", "sent", {"days": 30}),
    ("7d", "pending", {"days": 28}),        # R83: its owner was not notified
    ("7d", "failed", {"days": 28}),
    ("40d", "failed", {"days": 40})])
def test_it_is_erased_after_its_grace_or_later_where_no_notice_was_sent(bench, grace, notice, kept):
    bench.config(delete_accounts={"grace": grace})
    jane = user(bench, deleted_at=bench.now)
    bench.run(JOB)
    bench.db.execute("UPDATE {notifications} SET status = :status", status=notice)
    bench.now = bench.ahead(**kept, seconds=-1)
    # the day that was given is kept when the option changes
    bench.config(delete_accounts={"grace": "1h"})
    assert bench.run(JOB, dry_run=True)["erased"] == bench.run(JOB)["erased"] == 0
    assert bench.ids("users") == [jane]
    bench.now = bench.ahead(seconds=1)
    assert bench.run(JOB, dry_run=True)["erased"] == bench.run(JOB)["erased"] == 1
    assert bench.ids("users") == []


def test_an_erasure_that_was_stopped_goes_on_with_the_next_run(bench):     # R56
    jane = user(bench, deleted_at=bench.now)
    bench.run(JOB)
    bench.db.execute("UPDATE {notifications} SET status = 'sent'")
    bench.now = bench.ahead(days=7)
    bench.meanwhile("SELECT 1 FROM {header_snapshots}", "INSERT INTO {webhook_deliveries} "
                    f"(webhook_id, user_id, event_id) VALUES (1, {jane}, 'late')")
    assert (bench.run(JOB)["waiting"], bench.ids("notifications")) == (1, [])
    assert bench.run(JOB, dry_run=True)["erased"] == bench.run(JOB)["erased"] == 1


def test_nobody_is_notified_of_a_day_that_has_passed(bench):
    user(bench, id=1, deleted_at=bench.ago(days=400))
    user(bench, id=2, deleted_at=bench.ago(days=8))
    user(bench, id=3, status="suspended", deleted_at=bench.ago(days=400))
    counts = bench.run(JOB)
    assert (counts["revoked"], counts["erased"], counts["notices"]) == (2, 1, 0)
    assert (bench.ids("notifications"), bench.ids("users")) == ([], [2, 3])


@pytest.mark.parametrize("engine_url, written, is_left", [
    ("mariadb", None, False), ("sqlite", None, False), ("mariadb", "2027-12-31 00:00:00", False),
    ("mariadb", "2000-01-01 00:00:00", True),       # as some apps write that there is none
    *(("sqlite", each, True) for each in ("0000-00-00 00:00:00", 1700000000, "2026-11-24",
                                          "2026-02-30 10:00:00", b"\xff"))],
    indirect=["engine_url"])
def test_who_has_no_time_was_deleted_now_and_what_is_no_time_is_left(bench, written, is_left):
    jane = user(bench, deleted_at=written)
    user(bench, deleted_at=bench.ago(days=1))
    bench.table("sessions", [{"user_id": jane}])
    expected = (1, 1) if is_left else (2, 0)
    for dry_run in (True, False):
        counts = bench.run(JOB, dry_run=dry_run)
        assert (counts["revoked"], counts.get("invalid", 0)) == expected
    row = bench.rows("users")[0]
    assert row["deleted_at"] == (written if is_left else clock.text(bench.now))
    assert len(bench.ids("sessions")) == is_left
    bench.command("queue", "deletions", str(jane))


def test_an_account_made_active_again_is_left_alone_and_can_be_deleted_again(bench):
    jane = user(bench, deleted_at=bench.ago(days=3))
    bench.run(JOB)
    bench.db.execute("UPDATE {users} SET status = 'active', deleted_at = NULL")
    bench.now = bench.ahead(days=30)
    bench.run(JOB)
    assert bench.ids("users") == [jane]
    bench.table("sessions", [{"user_id": jane}])
    delete(bench)
    counts = bench.run(JOB)
    assert (counts["revoked"], counts["notices"], bench.ids("sessions")) == (1, 1, [])
    assert deletions(bench)[0]["erase_after"] == clock.text(bench.now + GRACE)


@pytest.mark.parametrize("table, row", [("magic_links", {}), ("aliases", {"active": 1}),
                                        ("webhooks", {"active": 1})])
def test_what_is_open_again_is_closed_again(bench, table, row):     # R56: an app that stores days
    jane = user(bench, deleted_at=bench.now)
    bench.run(JOB)
    bench.run("send_notifications")
    (before,) = deletions(bench)
    # it was made active and deleted again, and its new time is the same
    bench.table(table, [{"user_id": jane, **row}])
    bench.table("failed_emails", [{"user_id": jane}])
    for dry_run in (True, False):
        # its grace is not the one that was announced
        assert bench.run(JOB, dry_run=dry_run, grace="3d")["revoked"] == 1
    assert (bench.ids(table, "active = 1") if row else bench.ids(table)) == []
    assert len(bench.ids("failed_emails", "status = 'failed'")) == 1
    assert deletions(bench) == [before]
    bench.now = clock.parse(before["erase_after"])
    assert bench.run(JOB)["erased"] == 1


def test_who_is_active_again_is_sent_no_notice_of_deletion(bench):     # R84
    jane = user(bench, deleted_at=bench.now)
    bench.run(JOB)
    bench.db.execute("UPDATE {users} SET status = 'active', deleted_at = NULL")
    assert bench.json("queue", "notifications", "1")["why"].endswith("the account was restored")
    bench.now = bench.ahead(days=1)
    delete(bench, jane)
    bench.run(JOB)
    assert bench.ids("notifications", "status = 'pending'") == [2]      # that of today alone
    bench.db.execute("UPDATE {users} SET status = 'active', deleted_at = NULL")
    assert (bench.run("send_notifications")["cancelled"], len(bench.outbox)) == (1, 0)


def test_an_account_made_active_in_the_middle_loses_nothing_more(bench):
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    bench.table("aliases", [{"user_id": jane}])
    bench.table("domains", [{"user_id": jane}])
    bench.meanwhile("FROM {domains}", "UPDATE {users} SET status = 'active'")
    assert bench.run(JOB)["restored"] == 1
    assert len(bench.ids("domains")) == 1
    assert deletions(bench)[0]["completed_at"] is None
    delete(bench)
    bench.run(JOB)
    assert deletions(bench)[0]["counts"] == {}          # of this deletion, which has not begun


def test_what_of_others_refers_to_it(bench):
    jane, sam = user(bench, deleted_at=bench.ago(**LONG_AGO)), user(bench, "active")
    (domain,) = bench.table("domains", [{"user_id": jane}])
    (home,) = bench.table("destinations", [{"user_id": jane}])
    (alias,) = bench.table("aliases",
                           [{"user_id": sam, "domain_id": domain, "address": "sam@janes.example"}])
    bench.table("alias_destinations", [{"alias_id": alias, "destination_id": home}])
    bench.table("failed_emails", [{"user_id": sam, "alias_id": alias, "destination_id": home,
                                   "status": "pending"}])
    bench.run(JOB)
    assert [(row["id"], row["domain_id"]) for row in bench.rows("aliases")] == [(alias, None)]
    for name in ("alias_destinations", "failed_emails", "retired_addresses"):
        assert bench.rows(name) == []


def test_audit_rows_stay_without_anything_that_says_whose_they_were(bench):
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    row = {"event": "account.signed_in", "severity": "warning",
           "created_at": clock.text(bench.ago(days=50))}
    bench.table("audit_logs", [{"user_id": jane, "actor": "jane", "ip": "192.0.2.1",
                                "details": '{"email": "jane@old.example"}', **row}])
    bench.run(JOB)
    old, new = bench.rows("audit_logs")
    del old["id"]
    assert old == {"user_id": None, "actor": "", "ip": "", "details": None, **row}
    (deletion,) = deletions(bench)
    assert (new["user_id"], new["event"], json.loads(new["details"])) == (
        None, "account.deleted", {"deletion": deletion["id"]})
    assert len(deletion["user_ref"]) == 64
    assert deletion["user_ref"] != hashlib.sha256(str(jane).encode()).hexdigest()


def test_a_file_goes_with_the_last_row_that_names_it(bench):
    jane, sam = user(bench, deleted_at=bench.ago(**LONG_AGO)), user(bench, "active")
    bench.spool("mine.eml")
    bench.spool("both.eml")
    bench.table("failed_emails", [{"user_id": jane, "raw_path": "both.eml"},
                                  {"user_id": sam, "raw_path": "both.eml"}])
    bench.table("overflow_hold", [{"user_id": jane, "raw_path": "mine.eml"}])
    bench.table("spam_quarantine", [{"user_id": jane, "raw_path": "mine.eml"},
                                    {"user_id": jane, "raw_path": "../config.ini"}])
    assert bench.run(JOB)["files"] == 1
    assert bench.spooled() == ["both.eml"]
    assert (bench.folder / "config.ini").exists()


def test_nothing_is_deleted_when_the_spool_is_another_folder(bench):
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    bench.table("sessions", [{"user_id": jane}])
    bench.table("overflow_hold", [{"user_id": jane, "raw_path": "mine.eml"}])
    (bench.spool_dir / ".jobs-spool").unlink()
    assert "does not carry the mark" in bench.fails(JOB)
    assert len(bench.ids("overflow_hold")) == 1
    assert bench.ids("sessions") == []


def test_its_export_ends_as_it_is_closed_and_its_file_waits_for_the_folder(bench):
    user(bench, "active")
    bench.config(**EXPORTS)
    bench.table("export_requests", [{"status": "queued"}])
    bench.run("export_accounts")
    exports, away = bench.folder / "exports", bench.folder / "away"
    # R56: the clock was a day behind as the link was made, or is ahead now
    bench.db.execute("UPDATE {export_requests} SET expires_at = :at", at=bench.ago(days=1))
    delete(bench)
    exports.rename(away)
    assert bench.run(JOB)["revoked"] == 1
    assert [row["token_hash"] for row in bench.rows("export_requests")] == [None]
    for job in ("export_accounts", JOB):
        assert "check that its disk is mounted" in bench.fails(job)
        bench.now = bench.ahead(days=28)
    assert len(bench.ids("users")) == 1
    away.rename(exports)
    assert bench.run(JOB)["files"] == 1
    assert (zips(bench), bench.ids("export_requests"), bench.ids("users")) == ([], [], [])


def test_a_forward_that_is_just_being_sent_is_settled_by_its_own_run(bench):
    # R22: deleted while it is on the wire
    jane = user(bench, "active")
    (home,) = bench.table("destinations", [{"user_id": jane}])
    (alias,) = bench.table("aliases", [{"user_id": jane}])
    bench.spool("mail.eml")
    bench.table("failed_emails", [{"user_id": jane, "alias_id": alias, "destination_id": home,
                                   "raw_path": "mail.eml", "created_at": bench.ago(hours=2),
                                   "status": "pending"} for _ in range(2)])

    def meanwhile(_envelope):
        bench.outbox.answer = None
        bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :at",
                         at=bench.ago(**LONG_AGO))
        waits.append(bench.run(JOB)["waiting"])
        return Result(SENT, 250, "2.0.0", "taken")
    waits = []
    bench.config(mail={"domain": "service.example"})
    bench.outbox.answer = meanwhile
    bench.run("retry_forwards")
    assert waits == [1]
    assert [row["status"] for row in bench.rows("failed_emails")] == ["sent"]
    assert bench.run(JOB)["erased"] == 1
    assert (bench.ids("failed_emails"), bench.spooled(), len(bench.outbox)) == ([], [], 1)


def test_it_is_retired_whatever_its_letters_and_no_other_address_is(bench):
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    bench.table("aliases", [{"user_id": jane, "address": "shop@alias.example"}])
    bench.table("destinations", [{"user_id": jane, "email": "home@jane.example"}])
    bench.run(JOB)
    config = str(bench.folder / "config.ini")
    assert [jobs_lib.is_retired(address, config) for address in (
        "shop@alias.example", " Shop@Alias.example", "home@jane.example", "jane@old.example")] == [
        True, True, False, False]
    assert "shop" not in str(bench.rows("retired_addresses"))


def test_many_rows_go_in_batches_in_one_run(bench):     # R16
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    bench.bulk("message_logs", [{"user_id": jane, "direction": "forward", "status": "spam"}] * 3000)
    bench.bulk("message_stats", [{"user_id": jane, "alias_id": n // 2, "day": "2026-01-01",
                                  "status": "spam", "direction": ("reply", "send")[n % 2]}
                                 for n in range(3000)])
    bench.run(JOB)
    assert [bench.rows(name) for name in ("message_logs", "message_stats", "users")] == [[]] * 3
    assert sum("DELETE FROM {message_stats}" in sql for sql in bench.statements) > 1
    assert deletions(bench)[0]["counts"] == {"message_logs": 3000, "message_stats": 3000,
                                             "users": 1}


# Mistakes: how many are too many, and `--yes`, is in tests/guard/test_mass_change.py

def test_many_at_once_wait_and_make_the_run_fail_after_a_week(bench):     # R79: deletion is owed
    bench.bulk("users", [{"id": number, "email": "jane@old.example"} for number in range(1, 101)])
    delete(bench, 100)
    bench.run(JOB)
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :at WHERE id > 40",
                     at=(wrong := f"{bench.ahead(hours=1):%F %T}"))
    bench.table("sessions", [{"user_id": 99}])
    planned = bench.run(JOB, dry_run=True)
    assert (planned["revoked"], planned["held"], bench.run(JOB)["held"]) == (0, 60, 60)
    why, = bench.json("queue", "deletions")["holds"]
    assert re.match("60 of 100 accounts .* once at most 10 are left, the next run closes them", why)
    last = " ".join(bench.command("queue", "deletions", "100").split())
    assert re.match(f"deletion 100: held .* first closed as deleted at {bench.now:%F %T} ", last)
    bench.now = bench.ahead(days=7)
    assert "stopped by the guard for 7 days: 60 of 100 accounts" in bench.fails(JOB)
    assert len(bench.ids("sessions")) == 1
    back = of_the_page("(UPDATE users SET status = 'active'[^;]*'...'[^;]*);")
    bench.db.execute(re.sub("(users|notifications)", r"{\1}", back).replace("...", wrong))
    assert "held" not in bench.run(JOB)             # put right, it is over with the next run
    assert bench.ids("users", "status = 'deleted'") == [100]        # not revived by a mistake
    assert bench.json("queue", "deletions")["holds"] == []


# After a backup was put back

def of_the_page(pattern: str, page: str = "accounts.md") -> str:
    """What that page has between two marks."""
    return re.search(pattern, (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)[1]


def test_what_the_docs_say_deletes_a_restored_account_again_and_no_other(bench):        # R56
    made = bench.ago(days=100)
    jane, boris = (user(bench, deleted_at=bench.ago(**LONG_AGO), created_at=made) for _ in "12")
    sam, *_ = [user(bench, "active") for _ in range(9)]
    bench.run(JOB)
    record = bench.folder / "state" / "deletions.jsonl"
    assert record.stat().st_mode & 0o777 == 0o600
    assert "jane" not in record.read_text()
    with record.open("a") as file:
        file.write('{"user_id": 7, "compl')                     # a power cut
    user(bench, "active", id=jane, created_at=made)             # as the backup has it
    bench.table("aliases", [{"user_id": jane}])
    user(bench, "active", id=boris, created_at=bench.ago(days=1))       # the number, given again
    line = of_the_page(r"\n(awk [^\n]*) var/state/deletions.jsonl", "operate.md")
    output = subprocess.check_output(f"{line} state/deletions.jsonl", shell=True, text=True,
                                     cwd=bench.folder)
    for statement in output.splitlines():
        bench.db.execute(statement.rstrip(";"))
    counts = bench.run(JOB)
    assert (counts["erased"], counts["notices"]) == (1, 0)
    assert bench.ids("aliases") == []
    assert {jane, sam, boris} & {*bench.ids("users")} == {sam, boris}


def test_what_the_docs_say_erases_rows_that_came_later(bench):         # R56
    jane = user(bench, id=42, deleted_at=bench.ago(**LONG_AGO))
    bench.run(JOB)
    bench.table("message_logs", [{"user_id": jane}])
    statement = of_the_page(r"(INSERT INTO users [^;]*);")
    bench.db.execute(re.sub(r"\busers\b", "{users}", statement, count=1))
    assert bench.run(JOB)["erased"] == 1
    assert (bench.ids("message_logs"), bench.ids("users")) == ([], [])


def test_no_account_is_erased_that_could_not_be_written_down(bench):
    jane = user(bench, deleted_at=bench.ago(**LONG_AGO))
    record = bench.folder / "state" / "deletions.jsonl"
    record.mkdir(parents=True)
    assert "no account is deleted for good before" in bench.fails(JOB)
    assert (bench.ids("users"), deletions(bench)[0]["completed_at"]) == ([jane], None)
    record.rmdir()
    assert bench.run(JOB)["erased"] == 1


# Beside the app. Beside other jobs and other hosts, and killed: tests/every_job/test_cut_short.py

LATE = {"message_logs": {"direction": "forward", "status": "spam",
                         "created_at": "2025-01-01 00:00:00"}, "sessions": {},
        "notifications": {"kind": "app_own", "to_email": "jane@old.example"},
        "failed_emails": {"envelope_to": "jane@old.example", "raw_path": "jane-late"},
        "export_requests": {}}


def test_what_a_request_writes_that_began_before_goes_too(bench):     # R56
    jane, begun = everything(bench, "jane", status="deleted", deleted_at=bench.ago(days=30)), []
    sam = everything(bench, "sam")

    def write(sql, _) -> None:
        """Before each transaction of the first run, if the account is still there."""
        if sql.startswith(("BEGIN", "START")) and jane.id in bench.ids("users"):
            begun.append(sql)
            for name, row in LATE.items():
                bench.table(name, [{"user_id": jane.id, **row}])
    bench.on_statement = write
    for _ in range(3):
        bench.run(JOB)
        bench.on_statement, bench.now = None, bench.ahead(minutes=10)
    assert len(begun) > 3
    assert (bench.ids("users"), found(bench, "jane")) == ([sam.id], [])
    for name in LATE:
        assert {row["user_id"] for row in bench.rows(name)} == {sam.id}, name
