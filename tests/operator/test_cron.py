"""Debian's own cron takes the printed crontab, both styles, runs the jobs by it, and has nothing to
mail."""
from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.product import catalogue
from tests.support.require import missing, program
from tests.support.shell import Shell

PATIENCE = 240                  # seconds, on a busy machine; cron begins with the next minute
NAMESPACE = """
set -e
mount --make-rprivate /
mount --bind {folder}/crontabs /var/spool/cron/crontabs
mount --bind {folder}/empty /etc/cron.d
mount --bind {folder}/nothing /etc/crontab
mount --bind {folder}/sendmail /usr/sbin/sendmail
mount -t tmpfs tmpfs /run
exec {cron} -f
"""


class Cron:
    """A cron of our own: its own table and its own sendmail, which keeps what it is given."""

    def __init__(self, folder: Path, table: str) -> None:
        self.folder = folder
        for name in ("crontabs", "empty", "mails"):
            (folder / name).mkdir()
        (folder / "nothing").touch()
        (folder / "sendmail").write_text(f"#!/bin/sh\nexec cat > {folder}/mails/$$\n")
        (folder / "sendmail").chmod(0o755)
        (folder / "crontabs" / "root").write_text(table)
        (folder / "crontabs" / "root").chmod(0o600)

    def __enter__(self) -> Cron:
        script = NAMESPACE.format(folder=shlex.quote(str(self.folder)),
                                  cron=program("cron", "cron"))
        self.process = subprocess.Popen([program("unshare", "util-linux"), "--mount", "sh", "-c",
                                         script], start_new_session=True, stderr=subprocess.PIPE,
                                        text=True)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def mails(self) -> str:
        """All that cron would have mailed."""
        return "".join(path.read_text() for path in sorted((self.folder / "mails").iterdir()))


def printed(service: Shell, style: str) -> str:
    """The lines that the installation prints for itself. The one line ticks each minute here, for
    the test's sake."""
    table = service.run("--config", str(service.folder / "config.ini"), "crontab", "--style", style)
    program("crontab", "cron")
    check = subprocess.run(["crontab", "-n", "-"], input=table, capture_output=True, text=True)
    assert check.returncode == 0, check.stderr
    if style == "one-line":
        lines = table.splitlines()
        at = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
        lines[at] = "* " + lines[at].partition(" ")[2]
        table = "\n".join(lines) + "\n"
    return table


def installation(folder: Path, url: str) -> Shell:
    """Every job each minute, mail into a Maildir, three forwards waiting."""
    folder.mkdir()
    service = Shell(folder, url, mail={"transport": "maildir", "maildir": "maildir"},
                      **{name: {"schedule": "* * * * *"} for name in catalogue.names()})
    service.forwards(3)
    return service


@pytest.mark.timeout(300)
# R64 R6 R14
def test_real_cron_runs_every_job_by_both_printed_crontabs_and_mails_nothing(tmp_path, mariadb):
    if os.geteuid() != 0 or not os.path.isdir("/var/spool/cron/crontabs"):
        missing("a private cron needs root, and Debian's folder for crontabs")
    one = installation(tmp_path / "one line", f"sqlite:///{tmp_path}/one line/jobs.db")
    each = installation(tmp_path / "each job", mariadb.database())
    table = printed(one, "one-line") + printed(each, "per-job")
    began = time.time()
    with Cron(tmp_path, table + "* * * * * echo a word that cron mails\n") as cron:
        while time.time() < began + PATIENCE and not (all_ran(one) and all_ran(each)):
            assert cron.process.poll() is None, cron.process.stderr.read()
            time.sleep(1)
        mailed = cron.mails()
    assert "a word that cron mails" in mailed                    # the recorder records
    assert "jobs.py" not in mailed, mailed
    for service in (one, each):
        found = runs(service)
        assert {(row["status"], row["trigger_type"]) for row in found} == {("ok", "scheduled")}
        assert {row["job"] for row in found} == set(catalogue.names())
        assert len({(row["job"], row["slot"]) for row in found}) == len(found)
        assert service.statuses() == {"sent": 3}


def all_ran(service: Shell) -> bool:
    """Whether each job has run, and none is running at this moment."""
    found = runs(service)
    return ({row["job"] for row in found} == set(catalogue.names())
            and "running" not in [row["status"] for row in found])


def runs(service: Shell) -> list[dict]:
    """What ran, but for what waited for a lock."""
    return service.db.query("SELECT job, slot, status, trigger_type FROM {job_runs} "
                            "WHERE status <> 'skipped'"
                            " ORDER BY id")
