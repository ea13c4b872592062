"""A day of whoever runs it: uploaded by FTP, started by cron, told of trouble once, and told when
it is over.

All is real but the clock: what a quarter of an hour would do, moving all stored times back by it
does too.
"""
from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.ports import free_port
from tests.servers.smtp_sink import Sink
from tests.servers.web import Web
from tests.support.product import clock, connect
from tests.support.shell import copy_program

TIME = "[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
CONFIG = """\
[mail]
host = 127.0.0.1
port = {relay}
security = none
domain = alias.example
from = notices@alias.example
[personas]
porter = Porter <porter@alias.example>
overflow = Overflow <overflow@alias.example>
security = Security <security@alias.example>
postmaster = Postmaster <postmaster@alias.example>
[archive]
store = ../archive
[alerts]
email = you@home.example
webhook = http://127.0.0.1:{outside}/alert
ping_url = http://127.0.0.1:{outside}/ping
disk_free = off
[status]
page = ../public_html/status.html
[check_domains]
enabled = no
"""


class Host:
    """A home folder on a shared host, and who waits outside for alerts and pings."""

    def __init__(self, home: Path, outside: Web, relay: int) -> None:
        self.home, self.folder, self.outside, self._told = home, home / "jobs", outside, 0
        copy_program(self.folder)
        for path in self.folder.rglob("*"):
            # FTP in text mode, without modes
            if path.is_file():
                path.chmod(0o644)
                if path.suffix in (".py", ".txt", ".html", ".css"):
                    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        (home / "public_html").mkdir()
        config = CONFIG.format(relay=relay, outside=outside.port)
        (self.folder / "config.ini").write_bytes(config.replace("\n", "\r\n").encode())
        (self.folder / "config.ini").chmod(0o600)

    def cron(self, *lines: str) -> str:
        """What cron would mail: one line of a crontab, in cron's own poor environment, without any
        package."""
        words = " && ".join(f"{sys.executable} -S -s {self.folder}/jobs.py {line}"
                            for line in lines)
        return subprocess.run(["/bin/sh", "-c", words], cwd=self.home, stdin=subprocess.DEVNULL,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, env={"HOME": str(self.home), "LOGNAME": "you",
                                               "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}).stdout

    def wait(self, minutes: int) -> None:
        """So much time passes. A second more, so that no two runs come to have the same slot."""
        span = f"-{minutes * 60 + 1} seconds"
        with sqlite3.connect(self.folder / "var" / "jobs.db") as db:
            names = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for table, in db.execute(names).fetchall():
                for column in [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]:
                    db.execute(f'UPDATE "{table}" SET "{column}" = datetime("{column}", ?) '
                               f'WHERE "{column}" GLOB ?', (span, TIME))
            db.execute("UPDATE alerts SET alert_key = 'late:' || datetime(substr(alert_key, 6), ?)"
                       " WHERE alert_key GLOB 'late:[0-9]*'", (span,))
        db.close()

    def tick(self, minutes: int) -> str:
        """Cron comes after so many minutes."""
        self.wait(minutes)
        return self.cron("run-due")

    def pings(self) -> int:
        """How often the service outside was called."""
        return sum(each.line.startswith("POST /ping HTTP") for each in self.outside.requests)

    def told(self) -> list[str]:
        """The titles of the alerts since the last look."""
        alerts = [json.loads(each.body)["title"] for each in self.outside.requests
                  if "/alert" in each.line]
        new, self._told = alerts[self._told:], len(alerts)
        return [title.partition(" since ")[0].partition(" from ")[0] for title in new]

    def mail_waits(self, number: int) -> None:
        """Forwards that failed an hour ago, as the mail hook writes them."""
        db, now = connect(f"sqlite:///{self.folder}/var/jobs.db"), clock.now()
        user = db.insert("users", email="jo@home.example", name="Jo", created_at=now)
        owner = {"user_id": user,
                 "alias_id": db.insert("aliases", user_id=user, address="box@alias.example",
                                       created_at=now),
                 "destination_id": db.insert("destinations", user_id=user, email="jo@home.example",
                                             created_at=now)}
        for at in range(number):
            (self.folder / "var" / "spool"
             / f"m{at}").write_bytes(b"Subject: hello\r\n\r\nHello.\r\n")
            db.insert("failed_emails", **owner, envelope_from="shop@shop.example",
                      envelope_to="jo@home.example", raw_path=f"m{at}", created_at=now,
                      next_attempt_at=now)
        db.close()


@pytest.mark.slow
def test_a_day_from_the_upload_to_a_cron_that_stops(tmp_path):          # R59 R60 R64 R65
    relay = free_port()
    with Web() as outside:
        host = Host(tmp_path, outside, relay)

        first = host.cron("migrate", "config check", "list")
        assert "config.ini is in order." in first
        assert "warning: " not in first
        assert host.cron("run-due") == ""
        assert host.tick(5) == ""
        assert (host.pings(), host.told()) == (2, [])
        page = tmp_path / "public_html" / "status.html"
        assert "All is well" in page.read_text()

        host.mail_waits(3)                                              # and the relay is down
        mailed = host.tick(5)
        assert mailed.startswith("retry_forwards: failed: the relay cannot be used: 127.0.0.1:")
        assert mailed.count("\n") == 1
        assert host.told() == []                                        # a first pause wakes nobody
        host.tick(6)
        # by the webhook; e-mail takes nothing, since it goes by the relay
        assert host.told() == ["[jobs] outgoing mail has been paused",
                               "[jobs] alerts do not arrive"]
        assert [host.tick(4) for _ in range(2)] == ["", ""]             # it rests
        assert host.told() == []
        assert "<strong>outgoing mail has been paused since " in page.read_text()
        assert "Check host, user name and password in [mail]" in page.read_text()

        with Sink(port=relay) as sink:                                  # it is up again
            assert host.tick(5) == ""
            sent = [recipients for _, recipients, _ in sink.messages()]
            assert sent.count(["jo@home.example"]) == 3
            assert host.told() == []
            host.tick(16)
            host.tick(16)
            assert host.told() == ["[jobs] resolved: outgoing mail has been paused"]

            pings = host.pings()
            # cron stops for over an hour
            host.wait(70)
            # which is all that the service outside sees
            assert host.pings() == pings
            seen = host.cron("status")
            assert "! no job has started since " in seen
            assert "late:" not in seen
            assert [host.tick(0), host.tick(5)] == ["", ""]
            assert host.told() == ["[jobs] no job was started"]
            assert host.pings() == pings + 2
        assert "All is well" in page.read_text()
        assert os.listdir(page.parent) == ["status.html"]
