"""The outside world of one process: clock, database, mail, HTTP. Built by the command line, given
to all below."""
from __future__ import annotations

import os
import time

from jobs_lib import clock
from jobs_lib.records import namedtuple

Session = namedtuple("Session", "config ports console")
Session.__doc__ = "What one command line works with; `console` shows what a person is to see."

# {whether a run was seen in a database (doubt.py): what to do where there is none}
ABSENT = {False: ": if [core] database is right, run `jobs.py migrate`",
          True: ", though this installation was in use: correct [core] database in config.ini, or "
                "restore your backup; `jobs.py migrate` is only for a new one"}


class Ports:
    """Real ports for a configuration; connections are made when first asked for."""

    def __init__(self, config) -> None:
        self._config = config
        self._database = None
        self._made: list = []
        self.now = clock.now
        self.monotonic, self.sleep = time.monotonic, time.sleep

    def database(self, readonly: bool = False):
        """The one connection of this process; a read-only one is made at each call."""
        if readonly:
            return self.connect(readonly=True)
        if self._database is None:
            self._database = self.connect()
        return self._database

    def connect(self, **how):
        """A new connection; `how` as `database.connection.connect`."""
        from jobs_lib.database.connection import connect
        core = self._config.section("core")
        self._made.append(connect(
            core.database, prefix=core.prefix, tables=self._config.tables(),
            base=self._config.folder, hidden=self._config.secrets,
            absent=lambda: ("" if self._config.found else f": there is no {self._config.path}")
            + ABSENT[os.path.exists(f"{core.state_dir}/witness")], **how))
        return self._made[-1]

    def mail(self, section, step=None):
        """A mail transport; `step` is told of each step of a session."""
        if section.transport == "maildir":
            from jobs_lib.ports.mail.maildir import MaildirTransport
            return MaildirTransport(section)
        from jobs_lib.ports.mail.smtp import SmtpTransport
        return SmtpTransport(section, step)

    def http(self, section):
        """What sends requests, as `[webhooks]` asks for it."""
        from jobs_lib.ports.http.client import Poster
        return Poster(section)

    def trusted_http(self):
        """The same for the operator's URLs, which may lead to any address."""
        webhooks, alerts = map(self._config.section_or_defaults, ("webhooks", "alerts"))
        return self.http(type(webhooks)(**{**vars(webhooks), "timeout": alerts.timeout,
                                           "allow_networks": None}))

    def dns(self, section):
        """A resolver as `[dns]` asks for it."""
        from jobs_lib.ports.resolver import Resolver
        return Resolver(section.nameservers, section.timeout.total_seconds())

    def close(self) -> None:
        """Close all connections: one that is open at the end leaves SQLite's journal behind."""
        while self._made:
            self._made.pop().close()
        self._database = None
