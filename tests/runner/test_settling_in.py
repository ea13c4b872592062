"""What `migrate` does besides tables: private folders, identities, when jobs begin to count."""
from __future__ import annotations

import stat
from datetime import timedelta

import pytest

from tests.support.shell import Shell, copy_program, utc


def test_a_fresh_upload_needs_nothing_but_migrate(tmp_path):            # R10 R20
    home = tmp_path / "upload"
    copy_program(home)
    upload, var = Shell(home, script=home / "jobs.py"), home / "var"

    def after_migrate() -> dict:
        done = upload("migrate")
        assert (done.code, done.err) == (0, "")
        return {path: path.read_bytes() for path in var.rglob("*") if path.is_file()}
    before = after_migrate()
    for folder in (var, var / "state", var / "log", var / "spool"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert "denied" in (folder / ".htaccess").read_text()
    for file in ("jobs.db", "state/installation", "spool/.jobs-spool"):
        assert stat.S_IMODE((var / file).stat().st_mode) == 0o600
    assert after_migrate() == before
    assert upload("run-due").code == 0


def test_jobs_count_from_their_first_migrate_on(site):                       # R7
    assert site("migrate", now="2026-11-24 14:30:05").code == 0
    assert site("migrate", now="2026-11-25 10:00:00").code == 0
    since = site.db.query("SELECT DISTINCT due_after FROM {job_state}")
    began = utc("2026-11-24 14:30:05")      # from then on the clock of the process goes on
    assert {abs(utc(row["due_after"]) - began) < timedelta(hours=1) for row in since} == {True}


@pytest.mark.parametrize("point", ["jobs_lib.folders:installation:after",
                                   "jobs_lib.runner.slots:note_first_seen:before:3",
                                   "jobs_lib.folders:mark_folder:before"])
def test_a_kill_in_migrate_needs_no_hand(site, point):                       # R20
    assert site("migrate", kill=point).code == -9
    assert site("migrate").code == 0
    assert site.db.value("SELECT COUNT(*) FROM {job_state}") >= 9
    assert site.job("dig")["status"] == "ok"


def test_a_file_system_without_hard_links_will_do(site):                     # R20
    assert site("migrate", bug="os:link=PermissionError:no links").code == 0
    assert [path.name for path in (site.folder / "state").glob("installation*")] == ["installation"]
