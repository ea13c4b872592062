"""An account's own rows, all of them and no secret, in one zip; one link, for seven days."""
from __future__ import annotations

import errno
import hashlib
import json
import random
import re
import signal
import stat
from datetime import timedelta
from wsgiref.util import FileWrapper

import pytest

import jobs_lib
from tests.house.source import ROOT
from tests.support.databases import bulk, columns
from tests.support.databases import rows as whole_database
from tests.support.exports import account, ask, check, members, rows, table, token, zips
from tests.support.product import KINDS, DatabaseError, Transaction, clock
from tests.support.shell import Shell, at_sql

APP = {"app_url": "https://www.example.org"}


@pytest.fixture
def bench(bench, engine_url):     # pytest 8 finds the engines of a fixture of the same name only so
    bench.config(core=APP, export={"dir": "exports"}, mail={"per_hour": "off"})
    return bench


def opens(bench, link_token: str, **later):
    """What the app finds for a token, this much later."""
    return jobs_lib.find_export(link_token, str(bench.folder / "config.ini"), bench.ahead(**later))


def requested(bench, status: str = "active") -> None:
    """Account 7 has asked for an export."""
    account(bench, status=status)
    ask(bench)


def exported(bench, **values) -> str:
    """An export of account 7 that was made and announced; the token of its link."""
    if not bench.ids("users", "id = 7"):
        account(bench)
    ask(bench, **values)
    assert bench.run("export_accounts")["exported"] == 1
    bench.outbox.clear()
    bench.run("send_notifications")
    return next(token(mail) for mail in bench.outbox if "ready" in mail.subject)


# What is in it

# What is about a user and not exported: {table: columns}. R52
CLAIM = {"claim_run", "uncertain"}
EXCLUDED = {
    "users": {"deleted_at"}, "alias_destinations": set(),
    "destination_verifications": {"token_hash"},
    **{name: {"user_id"} for name in (
        "aliases", "destinations", "domains", "message_logs", "message_stats", "usage_daily",
        "usage_weekly", "usage_events", "notification_optouts", "audit_logs")},
    "header_snapshots": {"user_id", "ciphertext"}, "overflow_hold": {"user_id", "raw_path"},
    "spam_quarantine": {"user_id", "raw_path"}, "magic_links": {"user_id", "token_hash"},
    "sessions": {"user_id", "token_hash"}, "webhooks": {"user_id", "secret", "previous_secret"},
    "failed_emails": {"user_id", "raw_path", *CLAIM}, "webhook_deliveries": {"user_id", *CLAIM},
    "notifications": {"user_id", "body_text", "body_html", "dedupe_key", *CLAIM},
    "export_requests": {"user_id", "progress", "file_name", "sha256", "token_hash", *CLAIM}}


def test_every_row_of_the_account_is_in_it_none_of_another_and_no_secret(bench):        # R52
    requested(bench)
    bench.db.execute("UPDATE {overflow_hold} SET subject = :text", text="=1+1\r\n@SUM(1)")
    assert bench.run("export_accounts")["exported"] == 1
    path, = zips(bench)
    content = members(path)
    assert "'=1+1\r'\n'@SUM(1)" in table(content, "held_messages")[0]        # R53
    assert check(path) == dict.fromkeys((kind.name for kind in KINDS), 1)
    about_users = {name for name in bench.db.tables() if "user_id" in columns(bench.db, name)}
    assert about_users - {"attempts"} <= {*EXCLUDED}
    assert {kind.table for kind in KINDS} == {*EXCLUDED}
    hidden: list = []
    for kind in KINDS:
        found = rows(content, kind.name)[0]
        assert {*found} == columns(bench.db, kind.table) - EXCLUDED[kind.table]
        number = {"id": found["id"]} if "id" in found else {}
        where = " AND ".join(f"{name} = :{name}" for name in number) or "1 = 1"
        stored = bench.db.row(f"SELECT * FROM {{{kind.table}}} WHERE {where}", **number)
        if kind.table != "export_requests":         # which has become `ready` since
            assert found == {name: stored[name] for name in kind.columns}       # R53: exact
        hidden += [stored[name] for name in EXCLUDED[kind.table]]
    hidden = [value.encode() if isinstance(value, str) else value for value in hidden
              if isinstance(value, (str, bytes)) and value]
    assert len(hidden) > 10
    assert not [value for value in hidden for text in content.values() if value in text]


SIGNS = "=+-@＝＋－＠"
RUN = [*(f"{sign}1+1" for sign in SIGNS), "\tx", "\rx", "\nx", "\0x", " =1", "\u00a0=1",
       "\u200b=1", "\ufeff=1", "\x01=1", "\u202e=1", "-", "=", "-1 day"]
PLAIN = ["", "plain", "2026-11-24 14:30:05", "a-b@c.example", "'=1", "ünï", "🙂", '{"a": 1}', "1+1",
         "50 %", "<b>", " x", "a, b; c", "x=1"]
LETTERS = [*SIGNS, *"\t\r\n\0 \u00a0\u200b\ufeff;,|\"'ab1.é🙂"]


def test_no_spreadsheet_runs_a_cell_and_json_is_exact(bench):       # R53
    requested(bench)
    chosen = random.Random(7)
    texts = [*RUN, *PLAIN, *("".join(chosen.choices(LETTERS, k=1 + at % 6)) for at in range(1000))]
    bench.db.execute("DELETE FROM {overflow_hold}")
    bench.bulk("overflow_hold", [{"user_id": 7, "subject": text, "size_bytes": -3}
                                 for text in texts])
    bench.run("export_accounts")
    content = members(zips(bench)[0])
    assert [row["subject"] for row in rows(content, "held_messages")] == texts
    at = next(kind for kind in KINDS if kind.name == "held_messages").columns.index("subject")
    cells = [line[at] for line in table(content, "held_messages")]
    assert cells[:len(RUN)] == ["'" + text.replace("\0", "\ufffd") for text in RUN]
    assert cells[len(RUN):len(RUN + PLAIN)] == PLAIN
    # read as a program reads that knows nothing of quotes, whatever its separator: the worst case
    sheet = content["csv/held_messages.csv"].decode()
    assert sheet[0] == "\ufeff"             # else Excel takes it for something else than UTF-8
    for separator in ",;\t|":
        for piece in re.split(f"[\r\n{re.escape(separator)}]", sheet):
            start = re.sub(r'^[\s\0-\x1f"\u200b\ufeff]+', "", piece)
            assert start[:1] not in SIGNS or start == "-3" or not start, repr(piece)


def test_pages_lose_and_repeat_no_row(bench, monkeypatch):
    # in the order of each index, ties included
    monkeypatch.setattr("jobs_lib.features.exports.writer.PAGE_ROWS", 3)
    monkeypatch.setattr("jobs_lib.features.exports.writer.LONG_ROWS", 2)
    requested(bench)
    bench.table("message_logs",
                [{"user_id": 7, "direction": "send", "created_at": bench.ago(minutes=n // 4)}
                 for n in range(11)])
    bench.table("message_stats",
                [{"user_id": 7, "alias_id": n // 3, "day": f"2026-07-{n % 3 + 1:02}",
                  "status": "spam", "direction": way} for n in range(8) for way in ("forward",
                                                                                    "reply")])
    bench.table("aliases", [{"user_id": 7} for _ in range(7)])
    bench.table("alias_destinations", [{"alias_id": alias, "destination_id": 90 + n}
                                       for n in range(3)
                                       for alias in bench.ids("aliases", "user_id = 7")])
    bench.run("export_accounts")
    content = members(zips(bench)[0])
    for name, number in (("message_logs", 12), ("message_stats", 17), ("alias_destinations", 25)):
        found = rows(content, name)
        assert len(found) == len({tuple(row.values()) for row in found}) == number
    assert table(content, "message_logs")[0][0].isdecimal()


@pytest.mark.parametrize("engine_url, mode, late, left", [
    ("mariadb", None, [], 1), ("sqlite", "WAL", [], 1),
    # without that log each page stands for itself, and nobody waits
    ("sqlite", "DELETE", ["late"], 0)], indirect=["engine_url"])
def test_rows_that_come_while_it_is_written_are_not_in_it(bench, mode, late, left):
    requested(bench)
    if mode:
        bench.db.query(f"PRAGMA journal_mode = {mode}")
    bench.meanwhile("FROM {audit_logs}", lambda: bench.elsewhere(
        "INSERT INTO {audit_logs} (user_id, event) VALUES (7, 'late')",
        "DELETE FROM {sessions} WHERE user_id = 7"), number=2)      # it was counted before
    assert bench.run("export_accounts")["exported"] == 1
    content = members(zips(bench)[0])
    assert [row["event"] for row in rows(content, "audit_events")] == ["alias.created", *late]
    assert len(rows(content, "sessions")) == left
    assert len(bench.ids("audit_logs", "user_id = 7")) == 2


# The file

@pytest.mark.parametrize("is_there", [False, True])             # made by somebody else
def test_the_file_is_private_has_a_random_name_and_refuses_the_web(bench, is_there):      # R52
    folder = bench.folder / "exports"
    if is_there:
        folder.mkdir()
    exported(bench)
    path, = zips(bench)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_there or stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "Require all denied" in (folder / ".htaccess").read_text()
    row, = bench.rows("export_requests")
    assert (path.name, path.stat().st_size) == (row["file_name"], row["file_bytes"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    assert re.fullmatch(r"export-[0-9a-f]{32}\.zip", path.name)
    recorded, = (each for each in bench.rows("attempts") if each["kind"] == "export")
    assert (recorded["item_id"], recorded["user_id"], recorded["outcome"]) == (
        row["id"], 7, "sent")       # R77


def test_a_folder_of_another_database_is_refused_and_the_request_waits(bench):
    requested(bench)
    (bench.folder / "exports").mkdir()
    (bench.folder / "exports" / ".jobs-exports").write_text("another\n")
    (bench.folder / "exports" / "theirs.zip").write_text("x")
    assert "belongs to another database" in bench.fails("export_accounts")
    assert bench.column("export_requests") == ["queued"]


# The link

def test_the_token_opens_the_export_and_only_its_hash_is_stored_once_it_is_sent(bench):     # R54
    requested(bench)
    bench.run("export_accounts")
    assert "https://www.example.org/export?t=" in bench.rows("notifications")[-1]["body_text"]
    bench.run("send_notifications")
    key, (path,) = token(bench.outbox[-1]), zips(bench)
    found = opens(bench, key)
    assert (found.path, found.user_id, found.bytes) == (str(path), 7, path.stat().st_size)
    assert len(key) == 43
    assert key not in json.dumps(whole_database(bench.db), default=str)
    assert not any(key in log.read_text() for log in (bench.folder / "log").glob("*"))
    token_hash = bench.rows("export_requests")[0]["token_hash"]
    assert token_hash == hashlib.sha256(key.encode()).hexdigest()
    for other in ("", "x", "A" * 43, "ä" * 43, "\0", "x" * 100_000, key + "=", key.lower(),
                  key[:-1]):
        assert opens(bench, other) is None
    path.unlink()
    assert opens(bench, key) is None


def test_it_ends_seven_days_after_it_was_finished_or_with_a_newer_one(bench):     # R54 R55
    older, start = exported(bench), bench.now
    bench.now = bench.ago(days=30)      # days count from no clock that went back
    key, bench.now = exported(bench), start
    assert bench.rows("notifications")[-1]["sent_at"] == clock.text(start)
    # nor when a clock that was ahead is right again
    assert opens(bench, older) is None is opens(bench, older, days=-9)
    assert bench.run("export_accounts")["expired"] == 1
    assert opens(bench, key, days=7, seconds=-1)
    assert opens(bench, key, days=7) is None            # although the file is there
    for seconds, expired in ((-1, 0), (0, 1)):
        bench.now = start + timedelta(days=7, seconds=seconds)
        assert len(zips(bench)) == 1
        assert bench.run("export_accounts")["expired"] == expired
    assert {(row["status"], row["file_name"], row["token_hash"])
            for row in bench.rows("export_requests")} == {("expired", None, None)}
    assert zips(bench) == []


def test_a_folder_that_is_not_there_stops_the_run_and_one_that_lost_its_mark_does_not(bench):
    exported(bench)
    folder, away = bench.folder / "exports", bench.folder / "away"
    folder.rename(away)
    bench.now = bench.ahead(days=7)
    assert "is not there, or has no mark of this database" in bench.fails("export_accounts")
    away.rename(folder)
    (folder / ".jobs-exports").unlink()             # as where an upload leaves hidden files out
    assert bench.run("export_accounts")["expired"] == 1
    assert zips(bench) == []


def test_without_a_page_requests_wait_and_the_link_is_to_the_one_that_is_set(bench):
    bench.config(export={"dir": "exports"})
    requested(bench)
    assert "set [export] url" in bench.fails("export_accounts")
    bench.config(core=APP, export={"dir": "config.ini/exports"})
    error = bench.fails("export_accounts")
    assert error.endswith("config.ini/exports: File exists. The requests wait")
    assert bench.column("export_requests") == ["queued"]
    bench.config(core=APP, export={"dir": "exports", "url": "https://a.example/get?lang=de&x=1"},
                 mail={"per_hour": "off"})
    bench.run("export_accounts")
    bench.run("send_notifications")
    mail = bench.outbox[-1]
    assert "https://a.example/get?lang=de&x=1&t=" in mail.text
    html = mail.parsed.get_body(("html",)).get_content()
    assert 'href="https://a.example/get?lang=de&amp;x=1&amp;t=' in html


# The download pages of docs/accounts.md: the one in Python, and the question that the PHP one asks

def code(language: str) -> str:
    page = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
    part = page[page.index("### The download page"):]
    return re.search(rf"```{language}\n(.*?)```", part, re.DOTALL)[1]


def exported_now(bench) -> str:
    """The token of an export that is ready now, by the clock of the wall."""
    bench.now = clock.now()
    return exported(bench)


def test_the_page_in_python_gives_the_file_out_and_nothing_else(bench):        # R54
    key, names = exported_now(bench), {}
    config = str(bench.folder / "config.ini")
    # our own page, as it is printed
    exec(code("python").replace("/home/you/jobs/config.ini", config), names)

    def get(query: str):
        answer = []
        body = names["application"]({"QUERY_STRING": query, "wsgi.file_wrapper": FileWrapper},
                                    lambda status, headers: answer.extend((status, dict(headers))))
        return answer[0], answer[1], b"".join(body)
    status, headers, body = get(f"t={key}")
    assert (status, body) == ("200 OK", zips(bench)[0].read_bytes())
    assert headers["Content-Length"] == str(len(body))
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    wrong = [get(query) for query in ("", "t=", "t=x", f"t={key}x", "u=1", "t=%00%ff")]
    bench.db.execute("UPDATE {export_requests} SET expires_at = :now", now=clock.now()
                     - timedelta(seconds=1))
    assert zips(bench)
    assert {str(answer) for answer in wrong} == {str(get(f"t={key}"))}
    assert wrong[0][0] == "404 Not Found"


def test_the_page_in_php_asks_the_same(bench):             # R54
    key = exported_now(bench)
    assert "hash('sha256', $token), gmdate('Y-m-d H:i:s')" in code("php")
    sql = re.search(r'prepare\("(.*?)"\)', code("php"), re.DOTALL)[1]
    sql = sql.replace("?", ":hash", 1).replace("?", ":now", 1)
    answers = []
    for name, status in (("export_requests", "expired"), ("export_requests", "ready"),
                         ("users", "suspended"), ("users", "deleted")):
        bench.db.execute(f"UPDATE {{{name}}} SET status = '{status}'")
        for link_token in (key, "x"):
            for later in (-1, 0, 7 * 86400 - 1, 7 * 86400, 7 * 86400 + 1):
                by_us = opens(bench, link_token, seconds=later)
                by_php = bench.db.row(sql, now=bench.ahead(seconds=later),
                                      hash=hashlib.sha256(link_token.encode()).hexdigest())
                assert (by_php and by_php["id"]) == (by_us and by_us.request_id)
                answers.append(bool(by_us))
    assert {*answers} == {True, False}


# Who gets one, and when

def test_the_third_within_a_day_is_refused_and_its_owner_told_when(bench):      # R11 R55
    account(bench)
    for _ in range(4):
        ask(bench)
    for dry_run in (True, False):
        counts = bench.run("export_accounts", dry_run=dry_run)
        assert (counts["exported"], counts["refused"]) == (2, 2)
    assert bench.column("export_requests") == ["ready", "ready", "failed", "failed"]
    assert "per_day" in bench.rows("export_requests")[-1]["error"]
    bench.outbox.clear()
    bench.run("send_notifications")
    # of both, one; and of the export that was replaced, none
    assert sorted(mail.subject for mail in bench.outbox) == [
        "We could not export your data", "Your data export is ready to download"]
    assert "at most 2 times in 24 hours" in str([mail.text for mail in bench.outbox])
    for hours, number in ((1, 0), (23, 1)):     # by then the first has ended, since it was replaced
        bench.now = bench.ahead(hours=hours)
        ask(bench)
        assert bench.run("export_accounts")["exported"] == number


def test_an_account_has_one_running_at_a_time(bench):           # R55
    account(bench)
    other = bench.second_host()
    other.table("job_runs", [{"run_id": "alive", "job": "export_accounts", "status": "running",
                              "lease_until": bench.ahead(minutes=9), "heartbeat_at": bench.now}])
    ask(bench, status="running", claim_run="alive")
    ask(bench)
    assert bench.run("export_accounts")["exported"] == 0
    assert bench.column("export_requests") == ["running", "queued"]


def test_a_deleted_account_gets_none_and_a_suspended_one_waits_until_it_is_active(bench):
    requested(bench, "suspended")
    bench.db.execute("UPDATE {users} SET status = 'deleted' WHERE id = 8")
    ask(bench, 8)
    for dry_run in (True, False):
        counts = bench.run("export_accounts", dry_run=dry_run)
        assert {name: number for name, number in counts.items() if number} == {"refused": 1}
    assert [(row["status"], row["error"]) for row in bench.rows("export_requests")] == [
        ("queued", None), ("failed", "cancelled: the account is deleted")]
    assert bench.ids("notifications", "kind = 'export_failed'") == []
    assert "the owner is suspended" in bench.command("queue", "exports")
    bench.db.execute("UPDATE {users} SET status = 'active' WHERE id = 7")
    assert bench.run("export_accounts")["exported"] == 1


def test_a_request_withdrawn_while_it_is_made_leaves_no_file(bench):
    requested(bench)
    bench.meanwhile("FROM {audit_logs}", "DELETE FROM {export_requests}")
    assert bench.run("export_accounts")["exported"] == 0
    assert zips(bench) == []
    assert bench.ids("notifications", "kind = 'export_ready'") == []


# When something goes wrong

def fails(bench, error: Exception) -> None:
    """Reading the rows of account 7 ends with this error."""
    def hear(sql, values):
        if "FROM {audit_logs}" in sql and 7 in values.values():
            raise error
    bench.on_statement = hear


def test_an_export_whose_commit_had_no_answer_is_stored_once(bench, monkeypatch):     # R52 R70
    exported(bench)
    ask(bench)

    def lose(transaction) -> None:
        monkeypatch.undo()
        transaction._commit()
        raise DatabaseError("the connection was lost, so it may be stored or not")
    bench.meanwhile("SET status = 'ready'",
                    lambda: monkeypatch.setattr(Transaction, "_commit", lose))
    counts = bench.run("export_accounts")
    assert bench.on_statement is None                   # it was lost
    assert (counts["exported"], counts["put_off"], bench.result["status"]) == (1, 0, "ok")
    bench.run("export_accounts")
    older, newer = bench.rows("export_requests")
    assert (older["status"], older["file_name"], newer["status"]) == ("expired", None, "ready")
    assert [path.name for path in zips(bench)] == [newer["file_name"]]
    bench.outbox.clear()
    bench.run("send_notifications")
    link, = [token(mail) for mail in bench.outbox]
    assert opens(bench, link).request_id == newer["id"]


def test_after_three_attempts_it_has_failed_and_both_are_notified(bench):
    requested(bench)
    fails(bench, ValueError("odd row of jo@home.example"))
    for _ in range(2):
        assert bench.run("export_accounts")["put_off"] == 1
        assert bench.column("export_requests") == ["queued"]
    assert bench.run("export_accounts")["failed"] == 1
    row = bench.rows("export_requests")[0]
    assert (row["status"], row["attempts"], row["file_name"]) == ("failed", 3, None)
    assert "j***@home.example" in row["error"]
    assert [event["event"] for event in bench.events("export_accounts")
            if event["level"] == "error"] == ["export failed"]
    bench.run("send_notifications")
    assert "although we tried several times" in " ".join(bench.outbox[-1].text.split())
    assert bench.run("export_accounts")["failed"] == 0


def test_what_finds_no_room_loses_no_attempt_and_the_next_run_begins_with_another(bench):
    account(bench)
    for user in (7, 8, 7):
        ask(bench, user)
    fails(bench, OSError(errno.ENOSPC, "No space left on device"))
    assert "exports: No space left on device. No request has lost an attempt" in bench.fails(
        "export_accounts")
    assert zips(bench) == []
    bench.fails("export_accounts")
    assert [(row["status"], row["attempts"]) for row in bench.rows("export_requests")] == [
        ("queued", 0), ("ready", 1), ("queued", 0)]
    bench.on_statement = None
    assert bench.run("export_accounts")["exported"] == 2


def test_one_that_cannot_be_made_stops_no_other(bench):         # R73
    account(bench)
    ask(bench, 7)
    ask(bench, 8)
    fails(bench, ZeroDivisionError())
    assert "the first: ZeroDivisionError in " in bench.fails("export_accounts")
    assert bench.result["counts"]["exported"] == 1
    assert bench.column("export_requests") == ["queued", "ready"]


def test_progress_stands_in_the_row(bench):
    requested(bench)
    bench.clock.step, seen = 0.5, []
    bench.on_statement = lambda sql, values: seen.append(values.get("percent"))
    bench.run("export_accounts")
    told = [percent for percent in seen if percent is not None]
    assert told == sorted(told)
    assert len(set(told)) > 2
    assert 0 < told[0] <= told[-1] <= 99
    assert bench.rows("export_requests")[0]["progress"] == 100


def test_one_that_is_out_of_time_loses_no_attempt_and_says_what_to_do(bench):
    requested(bench)
    bench.clock.step = 1.0
    for _ in range(2):
        assert bench.run("export_accounts", budget="60s")["put_off"] == 1
        bench.now += timedelta(hours=7)
    row = bench.rows("export_requests")[-1]
    assert (row["status"], row["attempts"]) == ("queued", 0)
    assert "raise [export_accounts] budget" in row["error"]
    queue, = (each for each in bench.json("status", code=1)["queues"] if each["name"] == "exports")
    assert queue["oldest_due_seconds"] == 14 * 3600 + 300       # so it is an incident, too
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "budget")
    assert zips(bench) == []


# Killed, nothing can be downloaded that is not whole, and the next run finishes the work or gives
# up. That each file is whole wherever a kill struck: tests/simulation

ROWS = 2500
HALF_WRITTEN = f"jobs_lib.features.exports.writer:_encode:before:{ROWS // 2}"
IS_READY = at_sql("SET status = 'ready'", 2)            # the first is the rehearsal


@pytest.fixture
def service(tmp_path, engine_url):
    """An account with many rows, whose first export was made."""
    made = Shell(tmp_path, engine_url, export={"dir": "exports"},
                 core={"app_url": "https://www.example.org", "secret_key": "k" * 40})
    now, user = clock.now(), made.owner()["user_id"]
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(user, "forward", "delivered", now - timedelta(seconds=number // 3))
          for number in range(ROWS)])
    made.db.insert("export_requests", user_id=user, requested_at=now)
    made.job("export_accounts")
    yield made
    made.close()


def ask_again(service) -> int:
    """The time of what was made is over, and its owner asks for another: its id."""
    service.db.execute("UPDATE {export_requests} SET started_at = :ago, finished_at = :ago, "
                       "expires_at = :ago", ago=clock.now() - timedelta(days=2))
    return service.db.insert("export_requests", requested_at=clock.now(),
                             user_id=service.db.value("SELECT id FROM {users}"))


def files(service) -> list[str]:
    return [path.name for path in service.folder.glob("exports/export-*")]


@pytest.mark.slow
def test_killed_three_times_it_has_failed(service):
    # R2 R52, proven by kill
    ask_again(service)
    for _ in range(3):
        service.run("export_accounts", code=-signal.SIGKILL, kill=IS_READY)
        assert "ready" not in service.statuses("export_requests")
    assert service.job("export_accounts")["counts"]["failed"] == 1
    assert service.statuses("export_requests") == {"expired": 1, "failed": 1}
    assert [row["kind"] for row in service.db.query(
        "SELECT kind FROM {notifications} ORDER BY id")] == ["export_ready", "export_failed"]
    assert files(service) == []


@pytest.mark.slow
def test_the_file_of_a_killed_run_goes_with_the_account(service):         # R56
    service.db.insert("export_requests", user_id=service.db.value("SELECT id FROM {users}"),
                      requested_at=clock.now())
    service.run("export_accounts", code=-signal.SIGKILL, kill=HALF_WRITTEN)
    assert len([*service.folder.glob("exports/*export-*")]) == 2
    service.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :ago",
                       ago=clock.now() - timedelta(days=30))
    service.db.execute("UPDATE {job_runs} SET status = 'vanished' WHERE status = 'running'")
    assert service.job("delete_accounts")["counts"]["files"] == 2
    assert [*service.folder.glob("exports/*export-*")] == []


@pytest.mark.slow
def test_sigterm_gives_the_attempt_back(service):           # R5
    asked = ask_again(service)
    ended = service.job("export_accounts", terminate=HALF_WRITTEN, code=None)
    assert ended["status"] == "interrupted"
    row = service.db.row("SELECT * FROM {export_requests} WHERE id = :id", id=asked)
    assert (row["status"], row["attempts"], row["file_name"], row["claim_run"]) == (
        "queued", 0, None, None)
    assert files(service) == []
