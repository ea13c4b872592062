"""What `jobs.py doctor` looks at: a module for each area, each with a table of its checks.

A check takes the Installation and yields what is wrong, as Findings; its docstring says what is so
where nothing is. It need not be careful: whatever it raises is a finding too, and one that takes
too long is ended. A check that needs a section with a mistake is left out: the mistake is reported.
"""
from __future__ import annotations

from typing import Any

from jobs_lib.errors import Broken, ConfigError, Missing, Stopped, Unfit, UsageError, not_whole
from jobs_lib.output.findings import Finding, note, ok, problem, warning
from jobs_lib.runner.limits import Alarm
from jobs_lib.text import capital, masking

AREAS = ("host", "config", "files", "database", "network", "runs")
CHECK_SECONDS = 6.0
WAIT_SECONDS = 2.0       # for another writer of the database


class Reported(Exception):
    """There is nothing to look at for this check, and another finding says why."""


class Installation:
    """One installation: its configuration, its jobs, and its database where that can be had.

    broken   a sentence about the files of jobs that are not whole
    now      the present second in UTC
    is_away  whether a finding says already that the database cannot be used
    """

    def __init__(self, session, jobs: list, broken: list[str]) -> None:
        self.config, self.ports, self.now = session.config, session.ports, session.ports.now()
        self.section = self.config.section
        self.jobs, self.broken = jobs, broken
        self._database: Any = None
        self.is_away = False

    def database(self):
        """The connection, made once. Reported after the first check that could not make it."""
        if self.is_away:
            raise Reported
        if self._database is None:
            self.is_away = True
            self._database = self.ports.connect(timeout=WAIT_SECONDS)
            self.is_away = False
        return self._database

    def interrupted(self) -> None:
        """A check was ended, perhaps in the middle of a statement."""
        if self._database is not None:
            self._database.invalidate()


def examine(installation: Installation) -> list[Finding]:
    """All findings, area by area, with every secret of the configuration taken out of them."""
    hidden = installation.config.secrets()
    found = dict.fromkeys(finding._replace(area=area) for area in AREAS for check in _checks(area)
                          for finding in _findings(check, installation))
    return [Finding(level, area, *(_redacted(text, hidden) for text in texts))
            for level, area, *texts in found]


def _redacted(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "********")
    return text


def _checks(area: str) -> tuple:
    """Those of an area; where a module that it needs cannot be loaded, one that says so."""
    try:
        return __import__(f"{__name__}.{area}", fromlist=["CHECKS"]).CHECKS
    except (ImportError, SyntaxError) as error:
        found = problem(not_whole(error), "The checks of this area cannot be loaded.")
        return (lambda _: [found],)


def _findings(check, installation: Installation) -> list[Finding]:
    """What the check finds, how it failed if it did, or that all is as it should be."""
    found: list[Finding] = []
    alarm = Alarm("too slow")
    try:
        alarm.start(CHECK_SECONDS)
        for finding in check(installation):
            found.append(finding)        # so that what came before an exception is kept
        if not found:
            found.append(ok(" ".join(check.__doc__.split()).rstrip(".")))
    except Stopped:
        installation.interrupted()
        found.append(_unfinished(check, f"no answer within {CHECK_SECONDS:.0f} s")._replace(
            level="problem"))
    except ConfigError as error:     # one finding for all checks of an area
        found.append(note(
            f"Not everything was checked here: {error.problems[0].partition(': ')[0]}"))
    except (Reported, UsageError, Missing, Unfit):
        pass                         # a job, a table: its own check reports it
    except Broken as error:
        what, _, fix = str(error).rpartition(": ")
        found = [problem(what, "Without its database no job runs.",
                         f"{capital(fix)}. See docs/failures.md, The database.")]
        installation.is_away = True     # no other check has to find the same
    except Exception as error:      # noqa: BLE001  a defect of one check must not hide the others
        found.append(_unfinished(check, not_whole(error) or f"{type(error).__name__}: {error}"))
    finally:
        alarm.cancel()
    return found


def _unfinished(check, why: str) -> Finding:
    return warning(f"The check \"{check.__name__.replace('_', ' ')}\" did not finish: "
                   f"{masking.text(why)}",       # it may quote a row
                   "What it checks is unknown. Something may hang: a server, a disk.",
                   "Fix what else is found, and run `jobs.py doctor` again.")
