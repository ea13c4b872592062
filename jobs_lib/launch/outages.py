"""What keeps every job from running, as a tick of cron meets it: said once, alerted, and said once
when it is over.

Loaded only when something is wrong, or was: monitoring/database_outage.py has the alerts,
runner/standing.py the memory.
"""
from __future__ import annotations

import os

from jobs_lib import catalogue, shards
from jobs_lib.errors import FAILED, OK, Busy, ConfigError, DatabaseError, JobsError
from jobs_lib.job import CRON
from jobs_lib.monitoring import database_outage
from jobs_lib.runner import access, history, locks, outcome, standing
from jobs_lib.runner.log import open_log


class Outages:
    """For one process. `start` is what a line on stderr begins with."""

    def __init__(self, session, start: str) -> None:
        self._config, self._ports, self._console = session.config, session.ports, session.console
        self._start = start

    def failed(self, error, alert: bool = True):
        """A DatabaseError, or a file that cannot be used. database_outage.Met."""
        name = standing.FILES
        if isinstance(error, DatabaseError):
            name = database_outage.of_error(error, database_outage.reads(self._ports))
        return self._met(name, error, alert)

    def answer(self, error, met, always: bool) -> int:
        """What `failed` has met: raised if it is to be printed, `always` or at this time. Else the
        exit code."""
        if met.say or always:
            raise Busy(_words(error)) if isinstance(error, Busy) and not met.early else error
        return OK if met.early else FAILED

    def busy(self, result: dict) -> int:
        """Another writer held the database, so no run could begin: an incident as soon as that
        lasts. The exit code."""
        error = Busy(result["stop_reason"][len(outcome.BUSY):])
        met = self.failed(error)
        if met.say:
            self._say(_words(error))
        return OK if met.early else FAILED

    def hand_over(self, jobs: list) -> tuple[list, list[str]]:
        """Give these to their workers: (what cron is to run itself, the packages that are missing,
        a sentence each). check_jobs alerts."""
        from jobs_lib.workers import dispatch
        left, problems, package = dispatch.hand_over(self._config, jobs)
        for problem in problems:
            if self._met(standing.WORKERS, problem, False).say or self._console.level > 0:
                self._say(problem)
        if not problems:
            self.handed_over({self._config.mode(job) for job in jobs})
        return left, problems if package else []

    def lock_held(self, result: dict) -> None:
        """Alert of a job whose database lock somebody has who is no run of ours."""
        holder = result["stop_reason"][len(outcome.HELD):]
        error = f"the database lock of {result['job']} is held by {holder}"
        if self._met(standing.LOCKS, error).say:
            self._say(error)

    def back(self, names) -> None:
        """These are over, unless another look says otherwise."""
        for name in names:
            if not self._lasts(name):
                self._over(name)

    def handed_over(self, modes: set) -> None:
        """The workers of these engines were given their jobs. An incident is over when the others
        can be given theirs, too."""
        from jobs_lib.workers import dispatch
        if standing.WORKERS not in standing.names(self._config.section("core")):
            return
        try:
            for mode in self._modes() - {CRON, *modes}:
                dispatch.engine(mode).enqueue(self._config, [])
        except JobsError:
            return
        self._over(standing.WORKERS)

    def _met(self, name: str, error, alert: bool = True):
        return database_outage.met(self._config, self._ports, name, error, alert)

    def _over(self, name: str) -> None:
        if words := database_outage.over(self._config, self._ports, name):
            self._say(words)

    def _lasts(self, name: str) -> bool:
        """Whether it still does, for any job, as far as that can be seen without its run."""
        if name == standing.FILES:
            return bool(access.unusable(self._config))
        if name == standing.LOCKS:
            return self._strangers()
        if name == standing.WORKERS:
            return self._modes() != {CRON}
        return name == standing.LOG and not self._log_is_back()

    def _strangers(self) -> bool:
        """Whether somebody has the database lock of any job who is no run of ours."""
        core, db, now = self._config.section("core"), self._ports.database(), self._ports.now()
        if core.lock == "file":
            return False
        names = [name for job in self._jobs() for name in shards.names(job.name,
                                                                       self._config.shards(job))]
        return any(history.holder(db, name, now) is None
                   for name, _ in locks.database_holders(db, core, names))

    def _modes(self) -> set:
        return {self._config.mode(job) for job in self._jobs()}

    def _jobs(self) -> list:
        """Those whose sections can be read: what is wrong in the others is reported elsewhere."""
        found = []
        for job in catalogue.load_all([]):
            try:
                self._config.shards(job)
            except ConfigError:
                continue
            found.append(job)
        return found

    def _log_is_back(self) -> bool:
        """Whether all logs can be opened, and a line of ours be written."""
        from jobs_lib.folders import open_own
        core = self._config.section("core")
        try:
            for name in os.listdir(core.log_dir):
                if name.endswith(".log"):
                    os.close(open_own(os.path.join(core.log_dir, name), os.O_WRONLY | os.O_APPEND))
        except OSError:
            return False
        log = open_log(core, "jobs", now=self._ports.now, silent=True)
        log.event("log can be written again")
        log.close()
        return not log.broken

    def _say(self, words: str) -> None:
        self._console.fail(f"{self._start}: {words}")


def _words(error: Busy) -> str:
    """That another writer holds the database alone does not say what follows from it."""
    return f"no job can run, since the database cannot be written: {error}"
