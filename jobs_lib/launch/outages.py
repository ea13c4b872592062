"""What keeps jobs from running, as a tick of cron meets it: the database or a file of ours that
cannot be used. It is printed and alerted once, and printed once when it is over.

Files remember it (runner/incident_files.py); e-mail and webhook are sent from here: no database,
lock or room on the disk is needed. Loaded only when something is wrong, or was.
"""
from __future__ import annotations

from binascii import crc32
from contextlib import suppress
from datetime import timedelta

from jobs_lib import folders
from jobs_lib.errors import FAILED, OK, Busy, ConfigError, DatabaseError, JobsError
from jobs_lib.monitoring import alert_messages, incidents
from jobs_lib.runner import incident_files
from jobs_lib.runner.incident_files import ALERTED, DATABASE, FILES, PRINTED, is_due

EMAIL_SECONDS = 20.0
DAY = timedelta(days=1)
# another writer that holds the database for longer is an incident
PATIENCE = timedelta(minutes=15)
# of each hour, in which an incident that cannot be recorded is alerted
UNRECORDED_ALERTS = 15


class Outages:
    """The incidents as one process meets them. `start`: of its lines on stderr."""

    def __init__(self, session, start: str) -> None:
        self._start = start
        self._config, self._ports, self._console = session.config, session.ports, session.console
        self._core, self._now = session.config.section("core"), session.ports.now()

    # One begins, or lasts

    def record(self, error, alert: bool = True) -> tuple[bool, int]:
        """Remember the incident, and alert now, then once each `[alerts] remind`. (whether cron is
        to print it, the exit code: OK while it is none yet, as another writer is for a while)"""
        now, remind = self._now, DAY
        name = DATABASE if isinstance(error, DatabaseError) else FILES
        path = incident_files.path_of(self._core, name)
        since = incident_files.time_of(path) or now
        incident_files.write(path, since, incidents.short_error(str(error)))
        if isinstance(error, Busy) and now - since < PATIENCE:
            return False, OK
        # what is wrong with the section, or with a file of it, is in the line that cron mails
        with suppress(ConfigError, OSError):
            alerts = self._config.section("alerts")
            remind = alerts.remind
            if alert:
                self._alert(path, incidents.of_file(name, error, since), alerts)
        # another error is printed, too
        return self._is_to_print(incidents.cause(str(error)), remind, path + PRINTED), FAILED

    def _is_to_print(self, text: str, again: timedelta, *paths: str) -> bool:
        """Whether the text, or one of these files, is due, or a person looks; that it is printed
        is recorded."""
        paths += (f"{self._core.state_dir}/printed-{crc32(text.encode()):08x}",)
        due = any(is_due(path, self._now, again) for path in paths)
        for path in paths if due else ():
            incident_files.write(path, self._now)
        return due or self._console.level > 0

    def _alert(self, path: str, incident: incidents.Incident, alerts) -> None:
        is_recorded = incident_files.time_of(path) is not None
        if not is_due(path + ALERTED, self._now, alerts.remind) or not (
                is_recorded or self._now.minute < UNRECORDED_ALERTS):
            return
        message = alert_messages.alert([incidents.Notice("new", incident)], self._config)
        sent = alert_messages.send(message, self._config, self._ports,
                                   alert_messages.channels(self._config), EMAIL_SECONDS)
        if "" in sent.values():
            incident_files.write(path + ALERTED, self._now)

    # What a tick prints

    def report(self, error, sentence: str, alert: bool) -> None:
        """Record a file that keeps one job from running, and print the sentence when due."""
        if self.record(error, alert)[0]:
            self._print(sentence)

    def print_daily(self, sentences: list[str]) -> None:
        """Print each when it is met first, then once a day."""
        for each in sentences:
            if self._is_to_print(each, DAY):
                self._print(each)

    def hand_over_jobs(self, jobs: list) -> tuple[list, list[str]]:
        """Give these to their workers: (what cron is to run itself, why)."""
        from jobs_lib.workers import dispatch
        left, problems = [], []
        for mode in dict.fromkeys(map(self._config.mode, jobs)):
            theirs = [job for job in jobs if self._config.mode(job) == mode]
            try:
                dispatch.engine(mode).enqueue(self._config, theirs, True)
            except JobsError as error:
                left += theirs
                problems.append(f"{str(error).rstrip('.')}. The jobs of workers are run by cron "
                                "meanwhile")
        self.print_daily(problems)
        return left, problems

    def _print(self, text: str) -> None:
        self._console.fail(f"{self._start}: {text}")

    # One is over

    def end(self) -> None:
        """End those that last, where another look finds nothing. DatabaseError if the database
        cannot be written."""
        db, now = self._ports.database(), self._now
        for name, (since, error) in incident_files.recorded(self._core).items():
            path = incident_files.path_of(self._core, name)
            if name == DATABASE:
                db.upsert("meta", {"name": "written_at"}, {"value": now})
            elif folders.unusable(self._config):
                continue
            if incident_files.time_of(path + PRINTED):
                from jobs_lib.monitoring import alerts
                past = incidents.past(self._config, name, since, max(since, now), error)
                alerts.store_past(db, past, now)  # check_jobs reports it
                self._print(f"back to normal: {past.subject}")
            incident_files.remove(path)
