"""An app that has only the tables of some jobs, and the others are switched off: what those need is
asked for nowhere, and no command fails for it."""
from __future__ import annotations

import json

import pytest

from jobs_lib import catalogue
from jobs_lib.database.connection import connect
from tests.support import client

ON = "purge_sessions"
TABLES = """CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(254), name VARCHAR(90),
    status VARCHAR(20), created_at DATETIME);
CREATE TABLE sess (id INTEGER PRIMARY KEY, user_id INTEGER, token VARCHAR(64),
    created_at DATETIME, last_seen_at DATETIME, expires_at DATETIME);
INSERT INTO users VALUES (1, 'jo@home.example', 'Jo', 'active', '2026-01-01 00:00:00');
INSERT INTO sess VALUES (1, 1, 'x', '2026-01-01 00:00:00', '2026-01-01 00:00:00',
    '2026-01-02 00:00:00');
"""


@pytest.fixture
def part(line, blank_url):
    """jobs.py, with all jobs off that work on an app's tables but `purge_sessions`."""
    connect(blank_url, create=True).close()
    client.run(blank_url, TABLES)
    off = "".join(f"[{name}]\nenabled = no\n" for name in catalogue.names()
                  if name not in (ON, "check_jobs", "purge_job_history"))
    line.ini(f"[core]\ndatabase = {blank_url}\nprefix = jobs_\nstate_dir = state\nlog_dir = log\n"
             "[tables]\nusers = users\nsessions = sess\n[columns]\nsessions.token_hash = token\n"
             f"[mail]\ntransport = maildir\ndomain = a.example\nfrom = n@a.example\n{off}")
    line.url = blank_url
    return line


def database_findings(part) -> list[tuple]:
    done = part("doctor", "--offline", "--json")
    return [(each["level"], each["what"]) for each in json.loads(done.out)
            if each["area"] == "database" and each["level"] != "ok"]


def test_migrate_asks_for_what_the_jobs_need_that_are_switched_on(part, tmp_path):     # R75
    done = part("migrate")
    sql = [line for line in done.out.splitlines() if line.endswith(";")]
    assert [each.split()[:2] for each in sql] == [["CREATE", "INDEX"]] * 4
    assert all(each.split()[4].strip('"`') == "sess" for each in sql)
    left_out = "Left out (no enabled job needs it): 22 more. "
    assert left_out in done.err + done.out
    assert f"-- {left_out}" in part.run("migrate", "--dry-run")
    assert "purge_sessions stays off until" in done.err + done.out
    assert "CREATE TABLE" in part.run("migrate", "--own-tables")
    assert part("migrate", "--check").code == 1
    client.run(part.url, "\n".join(sql) + "\n")
    assert "the schema is up to date" in part.run("migrate", "--check")
    left = [each for each in database_findings(part) if "missing" in each[1]]
    (level, what), = left
    assert (level, what[:43]) == ("note", "22 more from docs/data-model.md are missing")
    ini = tmp_path / "config.ini"
    ini.write_text(ini.read_text().replace("[purge_magic_links]\nenabled = no",
                                           "[purge_magic_links]\nenabled = yes"))
    assert part("migrate", "--check").code == 1
    assert ("problem", "The table jobs_magic_links is missing") in database_findings(part)


def test_commands_leave_out_what_is_not_there(part):                         # R75
    part.run("migrate")

    def said(*words: str) -> str:
        return " ".join(part.run(*words).split())

    shown = said("adopt")
    assert "purge_sessions: not confirmed delete rows of sessions (sess) 1" in shown
    assert "refuses" not in shown
    assert "Left out (disabled): archive_audit_logs, check_domains" in shown
    part.run("adopt", "--confirm")
    left_out = "Left out (disabled, tables or columns missing): "
    shown = said("queue")
    assert "notifications 0" in shown
    assert f"{left_out}forwards, webhooks" in shown
    for words in (("queue", "forwards"), ("queue", "forwards", "1"), ("replay", "forward", "1"),
                  ("cancel", "forward", "1")):
        done = part(*words)
        assert done.err.startswith("jobs.py: forwards: the database has no table jobs_aliases, ")
        assert done.code == 1
    for words in (("status",), ("list",), ("metrics",), ("history",), ("run-due",), (ON,),
                  ("test", ON), ("status", "--json"), ("queue", "--json")):
        assert part(*words).code == 0, words


def test_a_job_that_is_on_says_what_it_lacks(part, tmp_path):                # R75
    ini = tmp_path / "config.ini"
    ini.write_text(ini.read_text().replace("[retry_forwards]\nenabled = no", ""))
    part.run("migrate")
    for words in (("queue",), ("adopt",)):
        shown = " ".join(part.run(*words).split())
        assert "the database has no table jobs_aliases, jobs_destinations, " in shown
        assert "forwards, webhooks" not in shown


def test_a_first_dry_run_leaves_nothing_out_that_it_prints(line, blank_url):           # R75
    connect(blank_url, create=True).close()
    line.ini(f"[core]\ndatabase = {blank_url}\n" + "".join(
        f"[{name}]\nenabled = no\n" for name in catalogue.names()))
    printed = line.run("migrate", "--dry-run")
    assert "sessions" in printed
    assert "Left out" not in printed


def test_a_mistyped_option_of_a_job_keeps_no_table_from_being_made(line, blank_url):   # R75
    connect(blank_url, create=True).close()
    line.ini(f"[core]\ndatabase = {blank_url}\nstate_dir = state\nlog_dir = log\n"
             "[purge_sessions]\nexpire_aftre = 1d\n")
    assert "up to date" in line.run("migrate")
    assert line.run("migrate", "--check") == "the schema is up to date\n"
    assert line("config", "check").code != 0


def test_a_remark_is_not_counted_as_a_statement(part, tmp_path):                       # R75
    part.run("migrate")
    ini = tmp_path / "config.ini"
    ini.write_text(ini.read_text().replace("[columns]", "[columns]\nsessions.expires_at = expires"))
    printed = part.run("migrate")
    assert "did you mean 'expires_at'?" in printed
    number = sum(line.startswith(("ALTER", "CREATE")) for line in printed.splitlines())
    assert f"prints it, as {number} statements to run" in part("migrate", "--check").out
