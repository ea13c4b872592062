"""What `jobs.py doctor` looks at: one module for each area, each check a generator of findings.

A check takes the Installation and yields Findings. It need not be careful: whatever it raises is a
finding too, and one that takes too long is ended. So a broken configuration, a dead database and a
dead network are reported and stop nothing.
"""
from __future__ import annotations

import time

from jobs_lib import masking
from jobs_lib.config.secrets import redacted, secrets
from jobs_lib.errors import JobsError, Missing, Stopped
from jobs_lib.output.findings import Finding, note, problem, warning
from jobs_lib.runner.limits import Alarm

AREAS = ("host", "config", "files", "database", "mail", "dns", "cron", "workers", "runs")
ONLINE = ("mail", "dns", "workers")                 # left out by `--offline`
FROM_DATABASE = ("cron", "runs")
ALL_SECONDS, CHECK_SECONDS = 17.0, 6.0   # for everything, and for one check


def examine(installation, areas=AREAS) -> list[Finding]:
    """All findings, area by area, with every secret of the configuration taken out of them."""
    end, found = time.monotonic() + ALL_SECONDS, []
    for area in areas:
        here = [finding for check in _checks(area)
                for finding in _findings(check, installation, end)]
        if not here and installation.lacks and area in FROM_DATABASE:
            here = [note(f"Nothing is known about runs without {installation.lacks}",
                         "They are recorded there.", "Fix that first.")]
        found += [finding._replace(area=area) for finding in here]
    hidden = secrets(installation.config) if installation.config else []
    return [Finding(level, area, *(redacted(text, hidden) for text in texts))
            for level, area, *texts in dict.fromkeys(found)]


def _checks(area: str) -> tuple:
    """Those of an area; where a module that it needs cannot be loaded, one that says so."""
    try:
        return __import__(f"{__name__}.{area}", fromlist=["CHECKS"]).CHECKS
    except (ImportError, SyntaxError) as error:
        found = problem(f"The checks of this area cannot be loaded: {error}",
                        "The upload was cut off, or holds files of two versions.",
                        "See what `jobs.py doctor` says of the host.")
        return (lambda _: [found],)


def _findings(check, installation, end: float) -> list[Finding]:
    """What the check finds, and how it failed if it did."""
    found: list[Finding] = []
    left = min(CHECK_SECONDS, end - time.monotonic())
    if left <= 0:
        return [_unfinished(check, "the checks before it took all the time")]
    try:
        with Alarm("too slow", left):
            for finding in check(installation):
                found.append(finding)        # so that what came before an exception is kept
    except Stopped:
        installation.recover()
        found.append(_unfinished(check, f"no answer within {left:.0f} s")._replace(level="problem"))
    except NothingToAsk as error:
        if str(error):
            found.append(_unfinished(check, str(error)))
    except Missing:
        # the schema's check reports which table, and how to fix it
        installation.lacks = installation.lacks or "the tables that are missing"
    except (JobsError, OSError) as error:
        found.append(_unfinished(check, str(error)))
    except Exception as error:      # noqa: BLE001  a defect of one check must not hide the others
        found.append(_unfinished(check, f"{type(error).__name__}: {error}"))
    return found


class NothingToAsk(Exception):
    """There is nothing that this check could look at; the message says why, and is empty where
    another finding does."""


def judge(dialect):
    """The module that judges such a server or file: `examine(db, now)` yields findings. Its
    MAY_WRITE says what to do when nothing can be written."""
    return __import__(f"{__name__}.{dialect.name}", fromlist=["examine"])


def _unfinished(check, why: str) -> Finding:
    name = check.__name__.replace("_", " ")
    return warning(f"The check \"{name}\" did not finish: "
                   f"{masking.text(why)}",       # it may quote a row
                   "What it looks at is not known. Something may hang: a server, a disk.",
                   "Fix what else is found, and run `jobs.py doctor` again.")
