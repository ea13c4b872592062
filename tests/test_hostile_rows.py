"""One bad row is one bad row: whatever a writer left in a column, each job ends well and serves
everybody else.

Every column of every table that the app or another writer fills is fed with values that do not
belong there, one bad row each, older than what its neighbours wait for. What a column is comes from
the schema, so a new one is tested by itself. Then every job is shown what it would do, runs, and
runs again a day later.
"""
from __future__ import annotations

import json
from collections import Counter, namedtuple
from contextlib import suppress
from datetime import timedelta
from itertools import product

import pytest

from tests.support import databases
from tests.support.bench import Bench
from tests.support.hooks import SECRET
from tests.support.product import DatabaseError, app_tables, catalogue, table

# by the app, the mail hook, an operator
WRITTEN = (*app_tables.TABLES, "notifications", "notification_optouts")
# thresholds are judged by its days
JOBS = sorted(catalogue.names(), key=lambda name: name != "rollup_usage")
ANN, BEN, CAT, MALLORY = 7, 8, 9, 50        # Ben has just deleted his account, Cat did 8 days ago
MANY = range(100, 500)                      # other users, so that a few odd references are few

# what every run makes of a row alike, whatever keys there are
SAME = ("status", "active", "kind", "event", "bytes_used")
# text of these octets, whatever encoding the column has
Octets = namedtuple("Octets", "stored")
# the second, half an emoji, MariaDB keeps
UNDECODABLE = (Octets(b"caf\xe9 \xff"), Octets(b"half \xed\xa0\xbd"))
NUMBERS = ("", "abc", "1e5", -1, 0, 0.4, 2**31 - 1, 2**31, 2**63 - 1, -2**63)
TIMES = ("0000-00-00 00:00:00", "0001-01-01 00:00:00", "1969-12-31 23:59:59", "9999-12-31 23:59:59",
         "2026-02-30 10:00:00", "2026-11-24", "2026-11-23T10:00:00Z", "soon", "2026-11-00",
         "0001-00-00")
TEXTS = (*UNDECODABLE, "\x00\x1b[31m\x07\u202e", "x" * 10_000, "a\r\nBcc: b@example.org", "[1, {}]",
         "{\"a\": 1", "{\"a\": \"\\ud83d\"}")
HOSTILE = (None, b"", b"\x00\xff\xfe'", *NUMBERS, *TIMES, *TEXTS)


def due(bench, owner: int) -> dict:
    """{table: rows of this owner that a job has something to do with}. The bad ones are made of
    them, too."""
    ago, ahead, n = bench.ago, bench.ahead, owner * 10

    def own(at: int = 0, **values) -> dict:
        return {"id": n + at, "user_id": owner, **values}
    address, home = f"user{owner}@example.org", f"new{owner}@home.example"
    forward = {"alias_id": n, "destination_id": n, "envelope_from": "ann@example.net",
               "envelope_to": home}
    logged = {"alias_id": n, "direction": "forward", "status": "delivered", "bytes_used": 1000}
    event = {"webhook_id": n, "event_type": "test", "payload": "{}"}
    told = {"kind": "export_failed", "to_email": address, "subject": "Hello"}
    return {
        "users": [{"id": owner, "email": address, "bandwidth_limit_bytes": 100,
                   "email_limit": 1, "log_retention_days": 30, "created_at": ago(days=500)}],
        "aliases": [own(address=f"old{owner}@alias.example", expires_at=ago(days=1)),
                    own(1, address=f"end{owner}@alias.example", expires_at=ahead(days=1))],
        "destinations": [
            own(email=home, created_at=ago(days=5)),
            own(1, email=f"go{owner}@home.example", created_at=ago(days=29)),
            own(2, email=f"gone{owner}@home.example", created_at=ago(days=70),
                reminded_at=ago(days=9), removal_notified_at=ago(days=9))],
        "alias_destinations": [{"alias_id": n, "destination_id": n}],
        "destination_verifications": [{"id": n, "destination_id": n, "expires_at": ago(days=1)}],
        "domains": [own(name=f"club{owner}.example", ownership_token="t",
                        created_at=ago(hours=5))],
        "message_logs": [own(**logged, created_at=ago(minutes=5)),
                         own(1, **logged, created_at=ago(days=100))],
        "header_snapshots": [own(message_log_id=n + 900_000, ciphertext=b"x",
                                 created_at=ago(days=100))],
        "failed_emails": [
            own(**forward, raw_path=f"due{owner}.eml", created_at=ago(hours=3)),
            own(1, **forward, raw_path=f"lost{owner}.eml", status="failed", last_code=550,
                last_error="5.1.1 no such user", created_at=ago(days=4), finished_at=ago(hours=1)),
            own(2, **forward, raw_path=f"sent{owner}.eml", status="sent", created_at=ago(days=30),
                finished_at=ago(days=20), notified_at=ago(days=20))],
        "overflow_hold": [
            own(alias_id=n, raw_path=f"held{owner}.eml", held_at=ago(days=29, hours=1)),
            own(1, alias_id=n, raw_path=f"over{owner}.eml", held_at=ago(days=70),
                warned_at=ago(days=9), warning_id=n + 2)],
        "spam_quarantine": [own(alias_id=n, raw_path=f"spam{owner}.eml",
                                quarantined_at=ago(days=31))],
        "audit_logs": [own(event="signed.in", created_at=ago(days=400))],
        "magic_links": [own(expires_at=ago(hours=1)),
                        own(1, expires_at=ahead(days=1), used_at=ago(days=2))],
        "sessions": [own(created_at=ago(days=9), last_seen_at=ago(days=9),
                         expires_at=ago(hours=1))],
        "webhooks": [own(url=f"https://hook{owner}.example/in", secret=SECRET)],
        "webhook_deliveries": [
            own(**event, event_id=f"event{n}", attempts=1, last_attempt_at=ago(hours=2),
                created_at=ago(hours=2)),
            own(1, **event, event_id=f"event{n + 1}", status="delivered", created_at=ago(days=40),
                finished_at=ago(days=40))],
        "export_requests": [own(requested_at=ago(hours=1))],
        "notifications": [
            own(**told, body_text="hello", created_at=ago(hours=1)),
            own(1, **told, status="sent", created_at=ago(days=100), finished_at=ago(days=100)),
            own(2, kind="destination_removal", to_email=address, status="failed",
                created_at=ago(days=9), finished_at=ago(days=9))],
        "notification_optouts": [{"user_id": owner, "kind": "domain_verified"}]}


def healthy(bench) -> None:
    """Ann has something for every job; Ben and Cat have deleted their accounts."""
    for name, rows in due(bench, ANN).items():
        bench.table(name, rows)
    bench.table("users", [{"id": BEN, "status": "deleted", "deleted_at": bench.ago(hours=1)},
                          {"id": CAT, "status": "deleted", "deleted_at": bench.ago(days=30)}])
    bench.bulk("users", [{"id": number} for number in MANY])
    bench.table("sessions", [{"user_id": owner, "expires_at": bench.ahead(days=1)}
                             for owner in (BEN, CAT)])
    for name in ("due", "lost", "held", "over", "spam"):
        bench.spool(f"{name}{ANN}.eml")
    bench.dns[(f"club{ANN}.example", "TXT")] = ["porter-verify=t"]
    bench.dns[(f"club{ANN}.example", "MX")] = [(10, "mx.alias.example")]


def owed(bench) -> Counter:
    """What there is of Ann, Ben and Cat, and what they were told."""
    found: Counter = Counter()
    for name in (*WRITTEN, "usage_daily"):
        owner = "id" if name == "users" else "user_id"
        if owner in {column.name for column in table(name).columns}:
            rows = bench.db.query(f"SELECT * FROM {{{name}}} WHERE {owner} IN (:ids)",
                                  ids=[ANN, BEN, CAT])
            found.update((name, *(str(row.get(column)) for column in SAME)) for row in rows)
    return found


def changes(before: Counter, now: Counter) -> Counter:
    """How these differ: {row: -1 if it is gone, 1 if it is new}"""
    return Counter({row: now[row] - before[row] for row in {*before, *now}
                    if now[row] != before[row]})


@pytest.fixture(scope="module")
def expected(tmp_path_factory, pool) -> dict:
    """{job: how it serves Ann, Ben and Cat where no row is bad}"""
    folder, found = tmp_path_factory.mktemp("expected"), {}
    bench = Bench(folder, pool.sqlite(folder))
    configured(bench), healthy(bench)
    now = owed(bench)
    for job in JOBS:
        bench.run(job)
        before, now = now, owed(bench)
        found[job] = changes(before, now)
    bench.db.close()
    assert sum(map(bool, found.values())) > 15
    return found


def columns_of(name: str) -> list[str]:
    """All but the number that the database gives by itself."""
    return [column.name for column in table(name).columns if column.type != "id"]


def hostile(bench, name: str) -> int:
    """Put a bad row for each column and value into the table; how many of them the engine takes.

    Each has an owner of its own, who is in order, so that none hides what another does. What the
    engine stores alike, as MariaDB does with most values for a number or a time, is there once.
    """
    writer = databases.lax(bench.url)
    known, taken, number = {column.name for column in table(name).columns}, 0, 100_000
    with writer.transaction():
        for column in columns_of(name):
            before, owners = number, {}
            for value in HOSTILE:
                owner = number + 1
                for row in due(bench, MALLORY)[name]:
                    number += 1
                    owners[number] = owner
                    own = {"id": number, "user_id": owner, "token_hash": f"{number:064x}",
                           "dedupe_key": f"bad-{number}", "raw_path": f"bad-{number}.eml",
                           "name": f"bad-{number}.example", "event_id": f"bad-{number}",
                           "address": f"bad-{number}@alias.example"}
                    row = {**bench._filling(name), **row,
                           **{key: own[key] for key in own if key in known}}
                    taken += _insert(writer, name, {**row, column: value}, column)
            if "id" in known:
                kept = _distinct(writer, name, column, before, len(due(bench, MALLORY)[name]))
                owners = {id: owners[id] for id in kept}
            for owner in sorted(set(owners.values())):
                if "user_id" in known:
                    writer.insert("users", **{**due(bench, owner)["users"][0],
                                              "bandwidth_limit_bytes": None, "email_limit": None})
                # what has jobs read an odd user, and write to them
                for other in ("message_logs", "aliases") if name == "users" else ():
                    for row in due(bench, owner)[other]:
                        writer.insert(other, **row)
    writer.close()
    return taken


def _distinct(writer, name: str, column: str, before: int, each: int) -> list[int]:
    """The ids of the rows after `before`, once one is left of those that differ in no value of this
    column and are made of the same one of `each` rows."""
    value = column if writer.dialect.name == "sqlite" else f"CAST({column} AS BINARY)"
    kept = [row["id"] for row in writer.query(
        f"SELECT MIN(id) AS id FROM {{{name}}} WHERE id > :before GROUP BY id % {each}, {value}",
        before=before)]
    writer.execute(f"DELETE FROM {{{name}}} WHERE id > :before AND id NOT IN (:kept)",
                   before=before, kept=kept)
    return kept


def _insert(writer, name: str, row: dict, column: str) -> bool:
    marks = {key: f":{key}" for key in row}
    if isinstance(row[column], Octets):
        row[column] = row[column].stored
        marks[column] = (f"CAST(:{column} AS TEXT)" if writer.dialect.name == "sqlite"
                         else f"CONVERT(:{column} USING utf8mb4)")
    with suppress(DatabaseError):
        writer.execute(f"INSERT INTO {{{name}}} ({', '.join(row)}) "
                       f"VALUES ({', '.join(marks.values())})", **row)
        return True
    return False


def all_run(bench, expected: dict) -> list:
    """Every job, where something is expected of it also as a dry run before: what did not end
    well, and who was not served then."""
    wrong, now = [], owed(bench)
    for job in JOBS:
        for dry_run in (True, False) if expected else (False,):
            result = bench.attempt(job, dry_run=dry_run)
            if not dry_run and result["counts"].get("held"):        # a mass change, as it seems
                result = bench.attempt(job, yes=True)
            if result["status"] != "ok" or result["error"] or result["counts"].get("defects"):
                wrong.append(f"{job}{' --dry-run' * dry_run}: {result['status']}, "
                             f"{result['stop_reason']}, {result['error']}, {result['counts']}")
        before, now = now, owed(bench) if expected else now
        found = changes(before, now)
        # or so many are odd that the guard holds all of them back
        if expected and not result["counts"].get("held") and found != expected[job]:
            wrong.append(f"{job}: {found}, and not {expected[job]}")
    return wrong


COMMANDS = ("status", "status --json", "list", "list --json", "history", "history --json",
            "report", "metrics", *(f"queue {name} {words}" for name in (
                "forwards", "notifications", "webhooks", "exports", "domains", "deletions")
                for words in ("", "--failed", "--owner 7")))


def looked_at(bench) -> None:
    """No command that shows rows ends with an error of its own."""
    for words in COMMANDS:
        shown = bench.command(*words.split(), code=None)
        assert not words.endswith("--json") or json.loads(shown) is not None


def configured(bench) -> None:
    """Everything on, and no limit that would make a neighbour wait."""
    bench.config(mail={"per_minute": "off", "per_hour": "off", "per_day": "off",
                       "domain": "alias.example"}, dns={"mx_hosts": "mx.alias.example"},
                 core={"app_url": "https://app.example"}, archive={"store": "archive"},
                 export={"dir": "exports"})
    (bench.folder / "archive").mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_bad_rows_stop_no_job_no_neighbour_and_no_command(bench, name, expected):  # R23 R67 R73 R77
    configured(bench)
    for other, rows in due(bench, MALLORY).items():
        if other != name:
            bench.table(other, rows)
    healthy(bench)
    assert hostile(bench, name) > 5
    looked_at(bench)
    wrong = all_run(bench, expected)
    bench.now += timedelta(days=1)
    bench.clock.seconds += 86_400
    wrong += all_run(bench, {})
    for mail in bench.outbox:
        assert isinstance(mail.subject + mail.text, str), mail          # each can be read
    assert not wrong, "\n".join(wrong)


# Our own tables are memory: where it cannot be read, a run goes on as if there were none

UNREADABLE = ("not json", '{"idle": "x", "keep": [1], "options": 5, "held": null}', "5", -2**63,
              "2026-02-31 10:00:00", "0001-01-01", "", None, b"\xff\xfe")
# of `meta`, by `migrate`
FOR_LIFE = "name NOT IN ('database_id', 'schema', 'names', 'tables')"


@pytest.mark.slow
@pytest.mark.parametrize("name, columns, jobs", [
    ("job_state", ["last_options"], JOBS),
    ("meta", ["value"], ["purge_sessions", "rollup_usage", "purge_message_logs"]),
    ("account_deletions", ["counts", "requested_at", "revoked_at", "erase_after"],
     ["delete_accounts"]),
    ("audit_archives", ["location", "created_at"], ["archive_audit_logs"])])
def test_unreadable_memory_is_no_memory(bench, name, columns, jobs):      # R67
    configured(bench)
    healthy(bench)
    for job in JOBS:
        bench.run(job)
    before, writer, wrong = bench.rows(name), databases.lax(bench.url), []
    for column, value in product(columns, UNREADABLE):
        bench.db.execute(f"DELETE FROM {{{name}}}")
        for row in before:
            bench.db.insert(name, **row)
        with suppress(DatabaseError):           # the engine takes no such value: as well
            writer.execute(f"UPDATE {{{name}}} SET {column} = :value WHERE "
                           + (FOR_LIFE if name == "meta" else "1 = 1"), value=value)
        bench.now += timedelta(minutes=61)
        for job in jobs:
            result = bench.attempt(job)
            if result["status"] != "ok" or result["counts"].get("defects"):
                wrong.append((column, value, job, result["status"], result["error"]))
    writer.close()
    assert before
    assert wrong == []


@pytest.mark.slow
def test_no_value_in_our_own_tables_stops_who_looks(bench):      # R67 R69 R77
    bench.table("users", [{"id": ANN}])
    at, writer = bench.ago(minutes=9), databases.lax(bench.url)
    sound = {"job_runs": {"job": "purge_sessions", "status": "ok", "started_at": at,
                          "finished_at": at, "duration_ms": 5, "counts": '{"sent": 1}'},
             "attempts": {"kind": "forward", "item_id": 70, "began_at": at, "outcome": "sent"},
             "alerts": {"kind": "failing", "since": at, "subject": "it",
                        "first_seen_at": at}}
    for name, row in sound.items():
        taken = 0
        unique = {"job_runs": "run_id", "alerts": "alert_key"}.get(name)
        for number, (column, value) in enumerate(product(columns_of(name), HOSTILE)):
            own = {unique: f"it:{number}"} if unique else {}
            taken += _insert(writer, name, {**bench._filling(name), **row, **own, column: value},
                             column)
        assert taken > 50, name
    looked_at(bench)
    bench.attempt("check_jobs")
    bench.table("relay_state", [{"id": 1, "paused_until": bench.ahead(minutes=9), "reason": "x"}])
    bench.table("job_state", [{"job": job} for job in JOBS])
    for command, name, columns in (("status", "relay_state", ("paused_until", "since", "reason")),
                                   ("list", "job_state", ("paused_at", "due_after"))):
        for column, value in product(columns, HOSTILE):
            value = value.stored if isinstance(value, Octets) else value
            with suppress(DatabaseError):
                writer.execute(f"UPDATE {{{name}}} SET {column} = :value", value=value)
            bench.command(command, code=None)
    writer.close()
    # a pause that is no time is none
    assert bench.run("send_notifications") == bench.result["counts"]
