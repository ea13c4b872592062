"""What is examined: one installation, with whatever of it can be had."""
from __future__ import annotations

import os
import time
from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import catalogue, clock
from jobs_lib.config import settings
from jobs_lib.config.loader import attribute
from jobs_lib.errors import ConfigError, DatabaseError

from . import NothingToAsk

MOUNTS = "/proc/mounts"
DATABASE = "the database"
WAIT_SECONDS = 2.0       # for another writer


class Installation:
    """An installation. What is wrong in its configuration counts as the default here, and is
    reported by doctor/config.py.

    config   None when there is no such file         script   jobs.py, home: its folder
    jobs     every job that can be loaded            broken   why others cannot, a sentence each
    now      the present second in UTC               mounts   /proc/mounts, or a test's
    crontab  a function that returns the lines of this user's crontab; see crontab/installed.py
    """

    def __init__(self, config, script: str, *, now=None, mounts: str | None = None,
                 crontab=None) -> None:
        self.config, self.script, self.home = config, script, os.path.dirname(script)
        self.now = now or clock.now()
        self._began = time.monotonic()
        self.broken: list[str] = []
        self.jobs = catalogue.load_all(self.broken)
        self.mounts = _read(MOUNTS) if mounts is None else mounts
        self._crontab = crontab
        self._database = None
        # what the checks of runs would need and cannot have: the database, or tables
        self.lacks = ""

    def section(self, name: str) -> SimpleNamespace:
        """A section's values; a wrong one is its default. NothingToAsk without a
        configuration."""
        return self._lenient(name, settings.SECTIONS[name])

    def job(self, job) -> SimpleNamespace:
        """A job's options; a wrong one is its default."""
        return self._lenient(job.name, settings.job_options(job))

    def clock(self):
        """The present moment, to the fraction of a second that `now` leaves out."""
        return self.now + timedelta(seconds=time.monotonic() - self._began)

    def enabled(self, name: str) -> bool:
        """Whether there is such a job and it is switched on."""
        return any(job.name == name and self.job(job).enabled for job in self.jobs)

    def is_set(self, section: str) -> bool:
        """Whether anything of a shared section is set anywhere."""
        return any(self._config().written(section, name, option).origin != "default"
                   for name, option in settings.SECTIONS[section].items())

    def is_wrong(self, section: str, option: str) -> bool:
        """Whether what is set there cannot be read."""
        try:
            self._config().value(section, option, settings.SECTIONS[section])
        except ConfigError:
            return True
        return False

    def has_mistakes(self, section: str) -> bool:
        """Whether anything of a shared section is wrong: that is reported, and what its defaults
        would lead to is not."""
        try:
            self._config().section(section)
        except ConfigError:
            return True
        return False

    def _lenient(self, name: str, known: dict) -> SimpleNamespace:
        config, typed = self._config(), SimpleNamespace()
        for option, declared in known.items():
            try:
                value = config.value(name, option, known)
            except ConfigError:
                value = config.resolved(declared.kind.parse(declared.default), declared)
            setattr(typed, attribute(option), value)
        return typed

    def _config(self):
        if self.config is None:
            raise NothingToAsk
        return self.config

    # The database

    def database(self):
        """The connection, made once. NothingToAsk after it has failed once, which was reported
        then."""
        if self.lacks == DATABASE:
            raise NothingToAsk
        if self._database is None:
            self._database = self.connect()
        return self._database

    def connect(self):
        """Connect now; DatabaseError says why not. NothingToAsk while names of tables or columns
        are wrong."""
        from jobs_lib.database.connection import connect

        core = self.section("core")
        try:
            names = {"tables": self._config().tables(), "columns": self._config().columns(),
                     "also": self._config().also()}
        except ConfigError:             # reported; by our own names all tables would be missing
            self.give_up()
            raise NothingToAsk from None
        try:
            if self.is_wrong("core", "database"):
                raise DatabaseError("[core] database cannot be read, so the database is not known")
            return connect(core.database, prefix=core.prefix, **names, base=self._config().folder,
                           timeout=WAIT_SECONDS)
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """It was reported that the database cannot be reached: the checks that need it are
        silent."""
        self.lacks = DATABASE

    def recover(self) -> None:
        """A check was ended in the middle of whatever it did."""
        if self._database is not None:
            self._database.invalidate()

    def close(self) -> None:
        """Close the database, if it was opened."""
        if self._database is not None:
            self._database.close()

    # The host

    def crontab(self):
        """(the text of this user's crontab or None, why there is none)."""
        if self._crontab is None:
            from jobs_lib.crontab.installed import read
            self._crontab = read
        return self._crontab()

    @property
    def state_dir(self) -> str:
        """The folder `[core] state_dir`."""
        return self.section("core").state_dir

    def own_id(self) -> str | None:
        """This installation's id, if it has one yet."""
        return _read(os.path.join(self.state_dir, "installation")).strip() or None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
