"""What `jobs.py doctor` looks at: one module for each area, each check a generator of findings.

A check takes the Patient and yields Findings. It need not be careful: whatever it raises is a
finding too, and one that takes too long is ended. So a broken configuration, a dead database and a
dead network are told and stop nothing.
"""
from __future__ import annotations

import time

from jobs_lib.errors import ConfigError, DatabaseError, JobsError, Missing, Stopped
from jobs_lib.masking import text
from jobs_lib.output.findings import Finding, note, warning
from jobs_lib.runner.limits import Alarm

from .masks import Masks

AREAS = ("host", "config", "files", "database", "mail", "dns", "cron", "workers", "runs")
ONLINE = ("mail", "dns", "workers")                 # left out by `--offline`
FROM_DATABASE = ("cron", "runs")
ALL_SECONDS, CHECK_SECONDS = 17.0, 6.0   # for everything, and for one check


def examine(patient, areas=AREAS) -> list[Finding]:
    """All findings, area by area, with every secret of the configuration taken out of them."""
    end, found, masks = time.monotonic() + ALL_SECONDS, [], Masks(patient.config)
    for area in areas:
        module = __import__(f"{__name__}.{area}", fromlist=["CHECKS"])
        here = [finding for check in module.CHECKS for finding in _findings(check, patient, end)]
        if not here and patient.lacks and area in FROM_DATABASE:
            here = [note("Nothing is known about runs without the tables that are missing",
                         "Runs are recorded in them.", "Fix that first.")]
        if not here and patient.gave_up and area in FROM_DATABASE:
            here = [note("Nothing is known about runs without the database",
                         "Runs are recorded in it.", "Fix that first.")]
        found += [finding._replace(area=area) for finding in here]
    return [Finding(level, area, *map(masks.hidden, words)) for level, area,
            *words in dict.fromkeys(found)]


def _findings(check, patient, end: float) -> list[Finding]:
    """What the check finds, and how it failed if it did."""
    found: list[Finding] = []
    left = min(CHECK_SECONDS, end - time.monotonic())
    if left <= 0:
        return [_unfinished(check, "the checks before it took all the time")]
    try:
        with Alarm("too slow", left):
            for finding in check(patient):
                found.append(finding)        # so that what came before an exception is kept
    except Stopped:
        patient.recover()
        found.append(_unfinished(check, f"no answer within {left:.0f} s")._replace(level="problem"))
    except NothingToAsk as error:
        if str(error):
            found.append(_unfinished(check, str(error)))
    except Missing:
        # the schema's check tells which table, and how to mend it
        patient.lacks = True
    except (ConfigError, DatabaseError, JobsError, OSError) as error:
        found.append(_unfinished(check, str(error)))
    except Exception as error:               # noqa: BLE001  a defect of one check must not hide the others
        found.append(_unfinished(check, f"{type(error).__name__}: {error}"))
    return found


class NothingToAsk(Exception):
    """There is nothing that this check could look at; its words say why, and are empty where that
    was told before."""


def _unfinished(check, why: str) -> Finding:
    why = text(why)                          # it may quote a row
    name = check.__name__.strip("_").replace("_", " ")
    return warning(f"The check \"{name}\" did not finish: {why}",
                   "What it looks at is not known. Something may hang: a server, a disk.",
                   "Fix what else is found, and run `jobs.py doctor` again.")
