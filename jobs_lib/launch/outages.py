"""What keeps jobs from running, as a tick of cron meets it: an incident that is printed and alerted
once, and printed once when it is over.

Files remember it (runner/incident_files.py); e-mail and webhook are sent from here: no database,
lock or room on the disk is needed. Loaded only when something is wrong, or was.
"""
from __future__ import annotations

from binascii import crc32
from contextlib import suppress
from datetime import timedelta

from jobs_lib import catalogue
from jobs_lib.catalogue import CRON
from jobs_lib.errors import FAILED, OK, Busy, ConfigError, DatabaseError, JobsError
from jobs_lib.folders import program
from jobs_lib.monitoring import alert_messages, incidents
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, history, incident_files, locks, outcome
from jobs_lib.runner.incident_files import ALERTED, PRINTED, IncidentFile
from jobs_lib.runner.log import Log

EMAIL_SECONDS = 20.0
DAY = timedelta(days=1)
# another writer that holds the database for longer is an incident
PATIENCE = timedelta(minutes=15)
# of each hour, in which an incident that cannot be recorded is alerted
UNRECORDED_ALERTS = timedelta(minutes=15)
Recorded = namedtuple("Recorded", "print_now code")
Recorded.__doc__ = "Whether cron is to print it now; the exit code, OK while it is no incident yet."


class Outages:
    """The incidents as one process meets them. `start`: of its lines on stderr."""

    def __init__(self, session, start: str) -> None:
        self._start = start
        self._config, self._ports, self._console = session.config, session.ports, session.console
        self._core = session.config.section("core")

    # An incident begins, or lasts

    def record_error(self, error) -> Recorded:
        """Of the database, or of a file that cannot be used. Another writer is an incident only
        after PATIENCE."""
        is_of_database = isinstance(error, DatabaseError)
        return self._record(incident_files.DATABASE if is_of_database else incident_files.FILES,
                            error, alert=True)

    def _record(self, name: str, error, alert: bool) -> Recorded:
        """Remember the incident, and alert immediately, then once each `[alerts] remind`."""
        now = self._ports.now()
        file, remind = IncidentFile(self._core, name), DAY
        since = file.record_error(now, incidents.short_error(str(error)))
        if isinstance(error, Busy) and now - since < PATIENCE:
            return Recorded(False, OK)
        # what is wrong with the section, or with a file of it, is in the line that cron mails
        with suppress(ConfigError, OSError):
            alerts = self._config.section("alerts")
            remind = alerts.remind
            if alert:
                self._alert(file, incidents.of_file(name, error, since), alerts, now)
        print_now = file.is_due(PRINTED, now, remind)
        if print_now:
            file.mark(PRINTED, now)
        return Recorded(print_now, FAILED)

    def report(self, name: str, sentences: list[str], alert: bool = False) -> None:
        """Record it, and print it when due, or for a person."""
        recorded = self._record(name, "; ".join(sentences), alert)
        if recorded.print_now or self._console.level > 0:
            for each in sentences:
                self._print(each)

    def report_lock_holder(self, result: dict) -> None:
        """An unknown connection has the database lock of this job."""
        holder = result["stop_reason"][len(outcome.HELD):]
        self.report(incident_files.LOCKS, [
            f"the database lock of {result['job']} is held by {holder}"], alert=True)

    def report_problems(self, problems: list[str]) -> None:
        """Mistakes in sections and files of single jobs."""
        # others than last time are another incident
        number = crc32(repr(problems).encode())
        self.report(f"{incident_files.CONFIGURATION}-{number:08x}", problems)

    def hand_over_jobs(self, jobs: list) -> tuple[list, list[str]]:
        """Give these to their workers: (what cron is to run itself, why: a sentence for each
        engine). check_jobs alerts."""
        from jobs_lib.workers import dispatch
        left, problems = [], []
        for mode in dict.fromkeys(self._config.mode(job) for job in jobs):
            theirs = [job for job in jobs if self._config.mode(job) == mode]
            try:
                dispatch.engine(mode).enqueue(self._config, theirs, True)
            except JobsError as error:
                left += theirs
                problems.append(f"{str(error).rstrip('.')}. The jobs of workers are run by cron "
                                "meanwhile")
        if problems:
            self.report(incident_files.WORKERS, problems)
        return left, problems

    def _alert(self, file: IncidentFile, incident: incidents.Incident, alerts, now) -> None:
        is_recorded = file.time_of() is not None
        if not file.is_due(ALERTED, now, alerts.remind) or not (
                is_recorded or now.minute * timedelta(minutes=1) < UNRECORDED_ALERTS):
            return
        zone = self._config.zone()
        alert = alert_messages.alert([incidents.Notice("new", incident)], alerts.remind, zone,
                                     program(self._config.path))
        sent = alert_messages.send(alert, self._config, self._ports,
                                   alert_messages.channels(self._config), EMAIL_SECONDS)
        if "" in sent.values():
            file.mark(ALERTED, now)

    # An incident is over

    def end_incidents(self, names) -> None:
        """End these, unless another look finds that they last."""
        for name in names:
            if not self._lasts(name):
                self._end(IncidentFile(self._core, name))

    def _end(self, file: IncidentFile) -> None:
        """Print that it is over; check_jobs reports it."""
        since = file.time_of()
        if file.name in incidents.OUTAGES and since and file.time_of(PRINTED):
            now, zone = self._ports.now(), self._config.zone()
            past = incidents.past(file.name, since, max(since, now), zone, file.last_error())
            if file.name in incident_files.STOP_ALL_JOBS:
                from jobs_lib.monitoring import alerts
                alerts.store_past(self._ports.database(), past, now)
            self._print(f"it is over: {past.subject}")
        file.remove()

    def _lasts(self, name: str) -> bool:
        """Whether it does, for any job."""
        if name == incident_files.FILES:
            return bool(access.unusable(self._config))
        if name == incident_files.LOCKS:
            return self._has_unknown_lock_holder()
        if name == incident_files.WORKERS:
            return self._is_engine_away()
        if name == incident_files.LOG:
            return not self._can_write_log()
        return (name.startswith(incident_files.CONFIGURATION)
                and self._is_configuration_wrong())

    def _has_unknown_lock_holder(self) -> bool:
        """Whether a connection of no run has a lock of ours."""
        core, db, now = self._core, self._ports.database(), self._ports.now()
        for name in catalogue.names() if core.lock != "file" else ():
            holder = locks.database_holder(db, locks.database_name(db, core, name))
            if history.holder(db, name, holder, now).endswith(outcome.UNKNOWN_HOLDER):
                return True
        return False

    def _is_engine_away(self) -> bool:
        """Whether one of the engines takes no jobs."""
        from jobs_lib.workers import dispatch
        modes = set()
        for job in catalogue.load_all([]):
            with suppress(ConfigError):  # it is reported elsewhere
                modes.add(self._config.mode(job))
        try:
            for mode in modes - {CRON}:
                dispatch.engine(mode).enqueue(self._config, [], True)
        except JobsError:
            return True
        return False

    def _is_configuration_wrong(self) -> bool:
        broken: list[str] = []
        with suppress(ConfigError):
            self._config.check(catalogue.load_all(broken))
            return bool(broken)
        return True

    def _can_write_log(self) -> bool:
        log = Log(self._core, "jobs", now=self._ports.now)
        log.event("log can be written again")
        log.close()
        return not (log.broken or access.unusable(self._config))

    def _print(self, text: str) -> None:
        self._console.fail(f"{self._start}: {text}")
