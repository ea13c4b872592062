"""What keeps every job from running, as a tick of cron meets it: said once, alerted, and said once when it is over.

Loaded only when something is wrong, or was: recipes/alert_away.py has the alerts, standing.py the memory.
"""
from __future__ import annotations

from . import access, runner, standing
from .errors import FAILED, OK, Busy, DatabaseError
from .job import CRON
from .recipes import alert_away


class Outages:
    """For one process. `start` is what a line on stderr begins with."""

    def __init__(self, config, ports, console, start: str) -> None:
        self._config, self._ports, self._console, self._start = config, ports, console, start

    def failed(self, error, reads: bool | None = None, alert: bool = True):
        """A DatabaseError, or a file that cannot be used. alert_away.Met.

        `reads`: the database has answered before; None where that is not known.
        """
        name = standing.FILES
        if isinstance(error, DatabaseError):
            name = alert_away.of_error(error, alert_away.reads(self._ports) if reads in (None, True) else False)
        return alert_away.met(self._config, self._ports, name, error, alert)

    def busy(self, result: dict) -> int:
        """Another writer held the database, so no run could begin: an incident as soon as that lasts. The exit code."""
        error = Busy(result["stop_reason"][len(runner.BUSY):])
        met = self.failed(error)
        if met.say:
            self._say(said(error))
        return OK if met.early else FAILED

    def workers(self, problems: list[str]) -> None:
        """What is due could not be given to the workers. check_jobs alerts."""
        for problem in problems:
            met = alert_away.met(self._config, self._ports, standing.WORKERS, problem, alert=False)
            if met.say or self._console.level > 0:
                self._say(problem)

    def locks(self, results: list[dict]) -> bool:
        """Alert of jobs whose database lock somebody has who is no run of ours. Whether there are any."""
        held = [result for result in results if runner.held_by_stranger(result)]
        for result in held[:1]:
            error = f"the database lock of {result['job']} is held by {result['stop_reason'][len(runner.HELD):]}"
            if alert_away.met(self._config, self._ports, standing.LOCKS, error).say:
                self._say(error)
        return bool(held)

    def back(self, names) -> None:
        """These are over, unless another look at the files says otherwise."""
        for name in names:
            if name == standing.FILES and access.unusable(self._config):
                continue
            if words := alert_away.over(self._config, self._ports, name):
                self._say(words)

    def without_workers(self, jobs: list) -> bool:
        """Whether no job is for workers any more."""
        return all(self._config.mode(job) == CRON for job in jobs)

    def log_is_back(self) -> bool:
        """Whether a line can be written to the log again: one of ours is."""
        from .logs import Log
        core = self._config.section("core")
        log = Log(core.log_dir, "run-due", size=core.log_size, files=core.log_files, now=self._ports.now, silent=True,
                  job="run-due", run_id=None)
        log.event("log can be written again")
        log.close()
        return not log.broken

    def _say(self, words: str) -> None:
        self._console.fail(f"{self._start}: {words}")



def said(error) -> str:
    """The error as it is printed: that another writer holds the database alone does not say what follows from it."""
    return f"no job can run, since the database cannot be written: {error}" if isinstance(error, Busy) else str(error)
