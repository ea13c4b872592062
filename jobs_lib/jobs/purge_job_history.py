"""Delete the history of runs after 90 days, but for what is still needed.

A row that says `running` stays: the sweep of dead runs needs it. Of each job the last ten runs, the last ten
good ones and the last ten slots stay too, however old they are, and so do the runs that carried the last slot
on. The row of a slot keeps it from being run twice: a job of each New Year must not run again in spring, not
even by a clock that is set back. The good runs tell how long the job usually takes, the last ones how it fares.

Killed at any point: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from .. import clock
from ..recipes.retention import Rule, keep, purge

KEPT = 10               # of each job; as many good runs as history.usual_seconds() looks at

# Each is read from the end of an index, however long the history is.
NEEDED = (
    "job = :job AND slot IS NOT NULL ORDER BY slot DESC LIMIT :kept",
    "job = :job AND status <> 'skipped' ORDER BY id DESC LIMIT :kept",
    "job = :job AND status = 'ok' ORDER BY id DESC LIMIT :kept",
)


def _not_needed(ctx) -> tuple[str, dict]:
    """The condition. What is needed when the run begins is looked up once: a newer run only makes it less."""
    needed, job, before = {0}, "", clock.text(ctx.now - ctx.options.keep)      # NOT IN an empty list is never true
    while True:
        job = ctx.db.value("SELECT MIN(job) AS job FROM {job_runs} WHERE job > :job", job=job)
        if job is None:
            return "{job_runs}.status <> 'running' AND {job_runs}.id NOT IN (:needed)", {"needed": sorted(needed)}
        needed |= {row["id"] for row in _needed(ctx.db, job) if row["started_at"] < before}


def _needed(db, job: str) -> list[dict]:
    slots, *others = (db.query(f"SELECT id, started_at FROM {{job_runs}} WHERE {which}", job=job, kept=KEPT)
                      for which in NEEDED)
    # due.judge() reads these to tell whether the last slot is done; the failed ones count, however many there are.
    carried = db.query("SELECT id, started_at FROM {job_runs} WHERE job = :job AND id > :slot"
                       " AND trigger_type = 'continue'", job=job, slot=slots[0]["id"]) if slots else []
    return [*slots, *carried, *(row for rows in others for row in rows)]


job = purge(
    table="job_runs", schedule="13 2 * * *",
    options={"keep": keep("90d", "How long a run is kept in the history.")},
    rules=(Rule("started_at", also=_not_needed),),
    sample=("id", "job", "slot", "status", "started_at", "duration_ms"),
)
