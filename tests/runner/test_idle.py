"""A tick that finds nothing to do: no write to the database, no file, no line."""
from __future__ import annotations

import os

from tests.support.shell import utc

ALL = ("tick_critical", "tick_high", "tick_normal", "tick_low", "dig")
NOW = "2026-11-24 14:31:00"


def names(folder) -> dict:
    """Every file below the folder, with its time of change; what SQLite shares between processes
    left out."""
    return {os.path.join(place, name): os.stat(os.path.join(place, name)).st_mtime_ns
            for place, _, files in os.walk(folder) for name in files
            if not name.endswith(("-shm", "-wal")) and name != "run-due.lock"}


def test_an_idle_tick_writes_nothing(any_site, request):       # R10
    """Every job has had its slot, one is off, one paused."""
    site = any_site
    site.enable(*ALL)
    site.configure("dig", enabled="no")
    site.known("tick_low", paused_at=utc("2026-11-20 10:00"))
    assert site("run-due", now=NOW).code == 0
    assert site.outcomes() == ["ok"] * 3

    def writes():
        """What tells of each write."""
        if site.url.startswith("sqlite"):
            return site.db.value("PRAGMA data_version")
        return request.getfixturevalue("mariadb").root(
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert', 'Com_update', 'Com_delete', "
            "'Com_replace', 'Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted', "
            "'Com_begin')")
    before = names(site.folder.parent), writes()
    done = site("run-due", now="2026-11-24 14:32:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (names(site.folder.parent), writes()) == before
    # as a tick does that has work to do
    assert site("run-due", now="2026-11-24 14:36:00").code == 0
    assert writes() != before[1]
