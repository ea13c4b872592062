"""docs/app.md, statement by statement: each runs on a fresh database of either engine, and the jobs
make of the rows what the page says; its two hooks store a message that is sent."""
from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.db import PATH, Client, _server
from tests.support.product import NAMES, catalogue, clock, table
from tests.support.require import program

PAGE = (Path(__file__).parents[2] / "docs" / "app.md").read_text(encoding="utf-8")
LIFE, DELETION = PAGE.split("## An account is deleted")
FILLED = [*(name for name in NAMES if table(name).owner == "app"), "notifications",
          "notification_optouts"]
RAW = b"Subject: hello\r\n\r\nhello\r\n"
GIVEN = 1, 1, "bob@shop.example", [[1, "jane@home.example"], [None, "Jane@b.example"]], 451, "busy"
# In place of a PDO, whose drivers PHP may lack: it says what it was asked for.
RECORDER = """
class Recorder {
    private $said = [], $sql;
    function beginTransaction() { }
    function commit() { echo json_encode($this->said); }
    function prepare($sql) { $this->sql = $sql; return $this; }
    function execute($values) { $this->said[] = [$this->sql, $values]; }
}
store(new Recorder(), $argv[1], $argv[2], ...json_decode($argv[3]));"""


def blocks(text: str, language: str) -> str:
    return "\n".join(re.findall(rf"(?ms)^```{language}\n(.*?)^```", text))


def write(bench, text: str) -> None:
    client = Client(bench.url)
    for sql in re.findall(r"(?ms)^(?:INSERT|UPDATE).*?;$", blocks(text, "sql")):
        client.as_it_is(sql)


@pytest.fixture
def app(bench):
    """All is written that the page writes in a service's life."""
    bench.now = datetime(2026, 11, 24, 15, 20, tzinfo=timezone.utc)
    bench.config(core={"app_url": "https://mail.service.example", "max_clock_jump": "off"},
                 mail={"domain": "service.example"}, dns={"mx_hosts": "mx.service.example"})
    bench.dns["jane.example", "TXT"] = ["porter-verify=q7Zr2mWx"]
    bench.dns["jane.example", "MX"] = [(10, "mx.service.example")]
    for name in re.findall(r"'(\w+\.eml)'", LIFE):
        bench.spool(name, RAW)
    write(bench, LIFE)
    return bench


def run_all(bench, *times: str) -> None:
    """Every job at these times of 2026."""
    for bench.now in (datetime.fromisoformat(f"2026-{when}:00+00:00") for when in times):
        for name in catalogue.names():
            bench.run(name)


def test_each_table_has_one_statement_with_every_column_that_the_app_has_to_fill():
    found = {name: set(re.findall(r"\w+", columns)) for name, columns in re.findall(
        r"(?s)^INSERT INTO (\w+) \((.*?)\)", blocks(LIFE, "sql"), re.MULTILINE)}
    assert sorted(found) == sorted(FILLED)
    assert {name: missing for name, columns in found.items() if (missing := {
        each.name for each in table(name).columns if not each.null and not each.written}
        - columns - {"id"})} == {"notifications": {"status", "attempts", "uncertain"}}


def test_the_jobs_do_with_these_rows_what_the_page_says(app):
    run_all(app, "11-24 16:20")
    assert {mail.subject for mail in app.outbox} >= {"hello", "Your invoice"}
    assert app.web[0].body == b'{"alias": "shop@alias.example"}'
    assert [app.column(name, "status") for name in (
        "failed_emails", "domains", "webhook_deliveries", "export_requests")] == [
            ["sent"], ["verified"], ["delivered"], ["ready"]]
    run_all(app, "12-22 10:00", "12-23 16:00", "12-24 17:10", "12-25 17:10")
    assert [name for name in ("overflow_hold", "spam_quarantine", "failed_emails", "magic_links",
            "sessions", "destination_verifications") if app.rows(name)] == []
    assert (app.column("aliases", "active"), app.spooled()) == ([0], [])
    assert {row["kind"] for row in app.rows("notifications") if row["sent_at"]} == {
        "alias_expired", "domain_verified", "export_ready", "invoice", "overflow_warning"}


def test_a_deleted_account_is_closed_at_once_and_erased_after_a_week(app):
    write(app, DELETION)
    run_all(app, "11-24 16:25")
    assert app.column("aliases", "active") + app.column("webhooks", "active") == [0, 0]
    run_all(app, "12-01 16:30")
    assert [name for name in FILLED if app.rows(name)] == ["audit_logs"]
    assert ({*app.column("audit_logs", "user_id")}, app.spooled()) == ({None}, [])


@pytest.mark.parametrize("language", ["python", "php"])
def test_what_a_hook_stores_is_sent(app, language):
    db, mark = ((sqlite3.connect(app.url[len(PATH):]), "?") if app.url.startswith(PATH)
                else (_server(app.url, 30), "%s"))
    space, mask = {}, os.umask(0o022)
    if language == "python":
        exec(blocks(LIFE, "python").replace("%s", mark), space)
        space["store"](db, app.spool_dir, RAW, *GIVEN)
    else:
        said = subprocess.check_output([
            program("php", "php-cli"), "-r", blocks(LIFE, "php").replace("<?php", "") + RECORDER,
            "--", app.spool_dir, RAW, json.dumps(GIVEN)])
        for sql, values in json.loads(said):
            db.cursor().execute(sql.replace("?", mark), values)
        db.commit()
    os.umask(mask)
    db.close()
    (name,) = {*app.column("failed_emails", "raw_path")} - {"k3v9qx.eml"}
    path = app.spool_dir / name
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (RAW, 0o600)
    app.now = clock.now() + timedelta(hours=2)
    app.run("retry_forwards")
    assert {row["envelope_to"]: row["status"] for row in app.rows("failed_emails")
            if row["raw_path"] == name} == {"jane@home.example": "sent", "jane@b.example": "sent"}
