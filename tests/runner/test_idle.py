"""A tick that finds nothing to do: three questions to the database, no write, no file, nothing
loaded for runs."""
from __future__ import annotations

import os

import pytest

from jobs_lib import jobs
from jobs_lib.commands import run_due
from jobs_lib.config import loader
from jobs_lib.output.console import Console
from jobs_lib.runner.resources import Ports, Session
from tests.support.shell import ODD_JOBS, Shell, utc

ALL = ("tick_critical", "tick_high", "tick_normal", "tick_low", "dig")
NOW = "2026-11-24 14:31:00"


@pytest.fixture
def done_site(any_site) -> Shell:
    """Every job has had its slot, one is off, one paused."""
    any_site.enable(*ALL)
    any_site.configure("dig", enabled="no")
    any_site.known("tick_low", paused_at=utc("2026-11-20 10:00"))
    assert any_site("run-due", now=NOW).code == 0
    assert any_site.outcomes() == ["ok"] * 3
    return any_site


def names(folder) -> dict:
    """Every file below the folder, with its time of change; what SQLite shares between processes
    left out."""
    return {os.path.join(place, name): os.stat(os.path.join(place, name)).st_mtime_ns
            for place, _, files in os.walk(folder) for name in files
            if not name.endswith(("-shm", "-wal")) and name != "run-due.lock"}


def test_an_idle_tick_asks_three_questions_and_writes_nothing(done_site, monkeypatch):       # R10
    monkeypatch.setattr(jobs, "__path__", [str(ODD_JOBS)])
    statements: list[str] = []

    class Listening(Ports):
        """Real ports with an ear."""

        def connect(self, **how):
            """A real connection."""
            db = super().connect(**how)
            db.on_statement = lambda sql, values: statements.append(sql)
            return db

    ports = Listening(loader.load(None, beside=str(done_site.folder), environ={}))
    ports.now = lambda: utc(NOW)
    assert run_due.tick(Session(ports._config, ports, Console(0)), 240.0) == ([], 0)
    ports.close()
    assert [sql.partition(" ")[0] for sql in statements] == ["SELECT"] * 3


def test_an_idle_tick_changes_no_file(done_site):                            # R10
    before = names(done_site.folder.parent)
    done = done_site("run-due", now="2026-11-24 14:32:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert names(done_site.folder.parent) == before


def test_an_idle_tick_commits_nothing(site):                                 # R10
    site.enable("tick_low")
    site("run-due", now=NOW)
    before = site.db.value("PRAGMA data_version")
    site("run-due", now=NOW)
    assert site.db.value("PRAGMA data_version") == before
    site("run-due", now="2026-11-24 14:36:00")
    # as a tick that has work to do does
    assert site.db.value("PRAGMA data_version") != before


def test_an_idle_tick_sends_no_write_to_mariadb(maria_site, mariadb):        # R10
    maria_site.enable("tick_low")
    maria_site("run-due", now=NOW)

    def writes() -> dict:
        rows = mariadb.root("SHOW GLOBAL STATUS WHERE Variable_name IN"
                            " ('Com_insert', 'Com_update', 'Com_delete', 'Com_replace', "
                            "'Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted', "
                            "'Com_begin')")
        return dict(rows)
    before = writes()
    assert maria_site("run-due", now=NOW).code == 0
    assert writes() == before
    maria_site("run-due", now="2026-11-24 14:36:00")
    assert writes() != before


