"""A dry run changes nothing: every job of the catalogue, judged from outside.

Jobs are found by discovery. The whole database and every file of the installation are compared
before and after, and the process may open no connection but the database's.
"""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import databases
from tests.support.databases import files
from tests.support.product import catalogue, clock, declare, fill, tables
from tests.support.require import on_sqlite
from tests.support.shell import LAUNCH, Shell

pytestmark = pytest.mark.slow
JOBS = catalogue.names()
# state_dir and log_dir are not there yet: a dry run must not make them.
ELSEWHERE = {"state_dir": "not-there/state", "log_dir": "not-there/log"}


@pytest.fixture
def service(bench):
    """The sample service with an old row in every other table, on the real clock, with a relay
    nobody may reach."""
    bench.now = clock.now()
    fill(bench.db, str(bench.spool_dir), bench.now)
    for table in tables():
        if table.key == ("id",) and not bench.ids(table.name):
            old = {column.name: bench.ago(days=400) for column in table.columns
                   if column.type in ("now", "time") and not column.null}
            bench.table(table.name, [old])
    bench.was_looked_at()
    bench.config(core=ELSEWHERE, dns={"mx_hosts": "mx.alias.example"},
                 alerts={"disk_free": "900000GB", "email": "op@example.org"},    # to be alerted to
                 mail={"host": "127.0.0.1", "port": 9, "security": "none"})
    return bench


def run(service, report: Path, *words: str) -> tuple[str, list]:
    """(stdout, what it tried) of `jobs.py WORDS` in a process that is watched."""
    done = Shell(service.folder, script=LAUNCH)(*words, LAUNCH_WATCHED=str(report),
                                                PYTHONDONTWRITEBYTECODE="1")
    assert done.code == 0, done
    return done.out, json.loads(report.read_text())


# On MariaDB too, without a look from outside: tests/every_job/test_cut_short.py
@on_sqlite
@pytest.mark.parametrize("words", [*(f"{name} --dry-run" for name in JOBS), "test retry_forwards"])
def test_a_dry_run_changes_nothing_and_tries_nothing(service, words, tmp_path_factory):      # R11
    report = tmp_path_factory.mktemp("watched") / "report.json"
    rows, before = databases.rows(service.db), files(service.folder)
    printed, tried = run(service, report, *words.split(), "--json")
    assert (files(service.folder), databases.rows(service.db), tried) == (before, rows, [])
    result = json.loads(printed)
    assert (result["status"], result["dry_run"]) == ("ok", True), result["error"]
    # One that finds nothing to do proves nothing: give it rows in jobs_lib/demo/data.py.
    assert any(result["counts"].values()), "it found nothing to do among the sample rows"


@on_sqlite
def test_the_watch_holds(service, tmp_path_factory):
    report = tmp_path_factory.mktemp("watched") / "report.json"
    with pytest.raises(AssertionError, match="cannot be used"):
        run(service, report, "retry_forwards")
    tried = json.loads(report.read_text())
    assert ["socket.connect", "127.0.0.1:9"] in tried
    assert any(event == "open" and path.endswith("retry_forwards.lock") for event, path in tried)


def test_mail_refuses_too_and_no_key_is_made(service):                                  # R11
    refused = "a dry run opens no connection for mail, HTTP or DNS"
    for work, key, value in (
            (lambda ctx: ctx.mail(), "error", refused),
            (lambda ctx: {"bytes": len(ctx.secret("links"))}, "counts", {"bytes": 32})):
        job = declare(schedule="0 0 * * *", sections=("mail",))(work)
        result = service.attempt(job._replace(name="purge_everything"), dry_run=True)
        assert result[key] == value
    assert service.outbox == []
    assert not (service.folder / "not-there").exists()


def test_a_sample_never_shows_a_secret_even_if_a_job_declares_it(service):
    row = {"id": 1, "token_hash": "c0ffee", "body_text": "Dear Jane", "payload": "{}",
           "secret": "whsec_1", "url": "https://user:pass@hook.example/in?key=sesame#frag",
           "last_error": "550 <jane@home.example> is full"}

    def job(ctx):
        ctx.show("step for jane@home.example", [{**row, "undeclared": "x"}],
                 "because of jane@home.example")
        return {}
    job = declare(schedule="0 0 * * *", sample=tuple(row))(job)
    service.attempt(job._replace(name="purge_everything"), dry_run=True)
    shown = json.dumps(service.samples)
    assert [hidden for hidden in ("c0ffee", "Dear Jane", "{}", "whsec_1", "sesame", "frag", "pass@",
                                  "jane@", "undeclared") if hidden in shown] == []
    shown, = service.samples[0]["rows"]
    assert (shown["url"], shown["last_error"]) == ("https://***@hook.example/in?...",
                                                   "550 <j***@home.example> is full")
