"""What keeps every job from running, as a tick of cron meets it: an incident that is printed and
alerted once, and printed once when it is over.

The alerts take a path that does not need what is missing: no database, no lock, no room on the
disk. Files remember the incident (runner/incident_files.py); e-mail and webhook are sent from here,
without a row, a queue or a count. When it is over, check_jobs reports how long it lasted, or that
cron had stopped (monitoring/incidents.over). Loaded only when something is wrong, or was.
"""
from __future__ import annotations

import os
from binascii import crc32
from contextlib import suppress
from datetime import timedelta

from jobs_lib import catalogue, schedule
from jobs_lib.catalogue import CRON
from jobs_lib.errors import FAILED, OK, Busy, ConfigError, DatabaseError, JobsError, ReadOnly, Unfit
from jobs_lib.folders import program
from jobs_lib.monitoring import alert_messages, incidents
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, history, incident_files, locks, outcome
from jobs_lib.runner.incident_files import (
    ALERTED,
    CONFIGURATION,
    DATABASE,
    FILES,
    LOCKS,
    LOG,
    PRINTED,
    UNWRITABLE,
    WORKERS,
    IncidentFile,
)
from jobs_lib.runner.log import Log

EMAIL_SECONDS = 20.0
DAY = timedelta(days=1)
# another writer that holds the database for longer is an incident
PATIENCE = timedelta(minutes=15)
# of each hour, in which an incident that cannot be recorded is alerted
UNRECORDED_ALERTS = timedelta(minutes=15)
Recorded = namedtuple("Recorded", "print_now is_early")
Recorded.__doc__ = """`print_now`: cron is to print the incident now; `is_early`: it is none yet."""


class Outages:
    """The incidents as one process meets them. `start` is what a line on stderr begins with."""

    def __init__(self, session, start: str) -> None:
        self._config, self._ports, self._console = session.config, session.ports, session.console
        self._session = session
        self._start = start

    # An incident begins, or lasts

    def record_error(self, error, alert: bool = True) -> Recorded:
        """The incident that a DatabaseError is, or a file that cannot be used."""
        name = self._database_incident(error) if isinstance(error, DatabaseError) else FILES
        return self.record_incident(name, error, alert)

    def raise_or_exit_code(self, error, recorded: Recorded, always: bool) -> int:
        """The recorded error is raised if it is to be printed, `always` or at this time. Else the
        exit code."""
        if recorded.print_now or always:
            is_incident = isinstance(error, Busy) and not recorded.is_early
            raise Busy(_no_job_can_run(error)) if is_incident else error
        return OK if recorded.is_early else FAILED

    def record_busy(self, result: dict) -> int:
        """Another writer held the database, so no run could begin: an incident as soon as that
        lasts. The exit code."""
        error = Busy(result["stop_reason"][len(outcome.BUSY_BEFORE):])
        recorded = self.record_error(error)
        if recorded.print_now:
            self._print(_no_job_can_run(error))
        return OK if recorded.is_early else FAILED

    def record_lock_holder(self, result: dict) -> None:
        """An unknown connection has the database lock of this job."""
        holder = result["stop_reason"][len(outcome.HELD):]
        error = f"the database lock of {result['job']} is held by {holder}"
        if self.record_incident(LOCKS, error).print_now:
            self._print(error)

    def record_problems(self, problems: list[str]) -> None:
        """What is wrong in sections and files of single jobs is printed once, and when it changes;
        cron would mail it at each tick. check_jobs alerts. A long text would be kept cut."""
        file = IncidentFile(self._config.section("core"), CONFIGURATION)
        known = file.last_error()
        recorded = self.record_incident(CONFIGURATION, crc32(repr(problems).encode()), alert=False)
        if recorded.print_now or known != file.last_error() or self._console.level > 0:
            for problem in problems:
                self._print(problem)

    def hand_over_jobs(self, jobs: list) -> tuple[list, list[str]]:
        """Give these to their workers: (what cron is to run itself, the packages that are missing,
        a sentence each). check_jobs alerts."""
        from jobs_lib.workers import dispatch
        left, problems, package = dispatch.hand_over(self._config, jobs)
        for problem in problems:
            recorded = self.record_incident(WORKERS, problem, alert=False)
            if recorded.print_now or self._console.level > 0:
                self._print(problem)
        if not problems:
            self.end_workers_incident({self._config.mode(job) for job in jobs})
        return left, problems if package else []

    def record_incident(self, name: str, error, alert: bool = True) -> Recorded:
        """Remember the incident, and alert immediately, then once each `[alerts] remind`. Never
        raises.

        Another writer that holds the database is an incident only after PATIENCE.
        """
        try:
            core, now = self._config.section("core"), self._ports.now()
        except ConfigError:                 # the error that cron mails is this one
            return Recorded(True, False)
        file = IncidentFile(core, name)
        since = file.record_error(now, incidents.short_error(str(error)))
        if isinstance(error, Busy) and now - since < PATIENCE:
            return Recorded(False, True)
        try:
            alerts = self._config.section("alerts")
        except ConfigError:                 # in the line that cron mails
            alerts = None
        remind = alerts.remind if alerts else DAY
        if alert and alerts:
            self._alert(file, incidents.of_file(name, error, since), alerts, now)
        print_now = file.is_due(PRINTED, now, remind)
        if print_now:
            file.mark(PRINTED, now)
        return Recorded(print_now, False)

    def _database_incident(self, error) -> str:
        """Which incident a DatabaseError is: whether the database answers, asked after something in
        it went wrong."""
        if isinstance(error, (Busy, ReadOnly, Unfit)):
            return DATABASE if isinstance(error, Unfit) else UNWRITABLE
        from jobs_lib.database.schema import version
        try:
            db = self._ports.connect()
            try:
                version.check(db)
            finally:
                db.close()
        except DatabaseError:
            return DATABASE
        return UNWRITABLE

    def _alert(self, file: IncidentFile, incident: incidents.Incident, alerts, now) -> None:
        if not file.is_due(ALERTED, now, alerts.remind):
            return
        if not file.began_at() and now.minute * timedelta(minutes=1) >= UNRECORDED_ALERTS:
            return
        try:
            zone = schedule.zone(self._config.section("core").timezone)
            alert = alert_messages.alert([incidents.Notice("new", incident)], alerts.remind, zone,
                                         program(self._config.path))
            with alert_messages.way_of(self._session, EMAIL_SECONDS) as way:
                errors = [alert_messages.send(channel, alert, way)
                          for channel in alert_messages.configured(alerts)]
            if "" in errors:
                file.mark(ALERTED, now)
        except (ConfigError, OSError):
            # what is wrong with these is in the line that cron mails
            pass

    # An incident is over

    def end_incidents(self, names) -> None:
        """End these, unless another look finds that they last."""
        for name in names:
            if not self._lasts(name):
                self._end_incident(name)

    def end_workers_incident(self, modes: set) -> None:
        """The workers of these engines were given their jobs. The incident is over when the others
        can be given theirs, too."""
        from jobs_lib.workers import dispatch
        if WORKERS not in incident_files.lasting_incidents(self._config.section("core")):
            return
        try:
            for mode in self._modes() - {CRON, *modes}:
                dispatch.engine(mode).enqueue(self._config, [])
        except JobsError:
            return
        self._end_incident(WORKERS)

    def _end_incident(self, name: str) -> None:
        """End it, and print that, if cron has printed that it began."""
        core = self._config.section("core")
        file = IncidentFile(core, name)
        since, printed = file.began_at(), file.time_of(PRINTED)
        file.end_incident()
        if since and printed and name in incidents.OUTAGES:
            lasted = incidents.time_span(since, max(since, self._ports.now()),
                                         schedule.zone(core.timezone))
            outage = incidents.OUTAGES[name]
            self._print(f"{outage.again}: {outage.was} {lasted}")

    def _lasts(self, name: str) -> bool:
        """Whether it still does, for any job, as far as that can be seen without its run."""
        if name == FILES:
            return bool(access.unusable(self._config))
        if name == LOCKS:
            return self._has_unknown_lock_holder()
        if name == WORKERS:
            return self._modes() != {CRON}
        if name == CONFIGURATION:
            return self._is_configuration_wrong()
        return name == LOG and not self._can_write_logs()

    def _has_unknown_lock_holder(self) -> bool:
        """Whether a connection that belongs to no run has the database lock of any job."""
        core, db, now = self._config.section("core"), self._ports.database(), self._ports.now()
        if core.lock == "file":
            return False
        return any(history.holder(db, name, now) is None
                   for name, _ in locks.database_holders(db, core, catalogue.names()))

    def _modes(self) -> set:
        found = set()
        for job in catalogue.load_all([]):
            with suppress(ConfigError):         # it is reported elsewhere
                found.add(self._config.mode(job))
        return found

    def _is_configuration_wrong(self) -> bool:
        broken: list[str] = []
        with suppress(ConfigError):
            self._config.check(catalogue.load_all(broken))
            return bool(broken)
        return True

    def _can_write_logs(self) -> bool:
        """Whether all logs can be opened, and a line of ours be written."""
        from jobs_lib.folders import open_own
        core = self._config.section("core")
        try:
            for name in os.listdir(core.log_dir):
                if name.endswith(".log"):
                    os.close(open_own(os.path.join(core.log_dir, name), os.O_WRONLY | os.O_APPEND))
        except OSError:
            return False
        log = Log(core, "jobs", now=self._ports.now)
        log.event("log can be written again")
        log.close()
        return not log.broken

    def _print(self, text: str) -> None:
        self._console.fail(f"{self._start}: {text}")


def _no_job_can_run(error: Busy) -> str:
    """That another writer holds the database alone does not say what follows from it."""
    return f"no job can run, since the database cannot be written: {error}"
