"""Which jobs stay off on the tables of an app that was there before: each that works on them, until
the operator has seen by `jobs.py adopt` what it would do at once, and has confirmed it.

`meta` holds their names: written by the first `migrate` beside an app's tables, shortened by each
confirmation, and deleted with the last. The query that each run makes anyway says whether there are
any (`check` in database/schema/version.py).
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.database.schema.version import ADDED, EVERY, UNCONFIRMED
from jobs_lib.database.schema.works_on import works_on
from jobs_lib.errors import JobsError

from . import slots

COMMAND = "adopt"


class Unconfirmed(JobsError):
    """The operator has not let this job work on the app's rows yet; nothing was done."""


def unconfirmed(db, jobs=None) -> list[str]:
    """The jobs that stay off, in the order of the catalogue."""
    value = db.value("SELECT value FROM {meta} WHERE name = :name", name=UNCONFIRMED)
    return among(value, catalogue.load_all([]) if jobs is None else jobs) if value else []


def among(value: str, jobs) -> list[str]:
    """Those of the jobs that the value in `meta` names."""
    names = value.split()
    return [job.name for job in jobs if job.name in names or (EVERY in names and works_on(job))]


def sentence(names: list[str]) -> str:
    """That they stay off, and what ends it."""
    who, them = ((f"{names[0]} stays", "it") if len(names) == 1
                 else (f"{len(names)} jobs stay", "them"))
    return (f"{who} off until you have confirmed what is done at once with the rows that your app "
            f"has: `jobs.py {COMMAND}` shows that, `jobs.py {COMMAND} --confirm` starts {them}")


def need(db, job) -> None:
    """Raise Unconfirmed when the job is one of them."""
    if unconfirmed(db, [job]):
        raise Unconfirmed(f"nothing was done: {sentence([job.name])}")


def confirm(db, names: list[str], now) -> list[str]:
    """Let these jobs work, from their next slots on. Those that stay off."""
    def work() -> list[str]:
        db.value("SELECT value FROM {meta} WHERE name = :name" + db.for_update, name=UNCONFIRMED)
        left = [name for name in unconfirmed(db) if name not in names]
        for name in names:
            slots.note_first_seen(db, name, now)
        if left:
            db.upsert("meta", {"name": UNCONFIRMED}, {"value": " ".join(left)})
        else:
            confirm_all(db)
        return left
    return db.batch(work)


def confirm_all(db) -> None:
    """No job stays off any more."""
    db.execute("DELETE FROM {meta} WHERE name IN (:names)", names=[UNCONFIRMED, ADDED])
