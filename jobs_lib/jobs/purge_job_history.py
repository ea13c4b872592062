"""Delete the history of runs after 90 days, except what is still needed.

The attempts at each forward, notice, delivery, domain and export, which `jobs.py queue forwards 16`
shows, are deleted after 30 days.

A row that says `running` is kept: by it a later run finds that its process died. Of each job, the
last ten runs, the last ten slots (scheduled times) and the last ten runs that continued the latest
slot are kept, however old they are. The row of a slot keeps it from being run twice, even if the
job is yearly or the clock is set back.

Killed or run twice: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from jobs_lib.config.option_types import span

from . import Purge, Rule, keep, purge, run

KEPT = 10  # of each job

# What is needed of a job. Each is read from the end of an index, however long the history is. By
# the last one, slots.reconcile() sees whether the last slot is done.
NEEDED = (
    "slot IS NOT NULL ORDER BY slot",
    "status <> 'skipped' ORDER BY id",
    "id > :slot AND trigger_type = 'continue' AND status <> 'skipped' ORDER BY id",
)


def _not_needed(ctx, keep) -> tuple[str, dict]:
    """The condition. What is needed when the run begins is looked up once: a newer run only makes
    it less."""
    needed, job = {0}, ""  # NOT IN an empty list is never true
    while (job := ctx.db.value("SELECT MIN(job) AS job FROM {job_runs} WHERE job > :job",
                               job=job)) is not None:
        slot = 0
        for which in NEEDED:
            rows = ctx.db.query(
                "SELECT id, started_at < :before AS is_old FROM {job_runs} WHERE job = :job "
                f"AND {which} DESC LIMIT :kept", job=job, before=ctx.now - keep, kept=KEPT,
                slot=slot)
            needed |= {row["id"] for row in rows if row["is_old"]}
            slot = slot or (rows[0]["id"] if rows else 0)
    return ("{job_runs}.status <> 'running' AND {job_runs}.id NOT IN (:needed)",
            {"needed": sorted(needed)})


ATTEMPTS = Purge("attempts", (Rule("began_at", option="keep_attempts"),))


def _both(ctx, runs: Purge) -> dict:
    for each in (runs, ATTEMPTS):
        if not ctx.should_stop():
            run(ctx, each)
    return ctx.counts


job = purge(
    table="job_runs", schedule="13 2 * * *", work=_both,
    options={"keep": keep("90d", "How long a run is kept in the history."),
             "keep_attempts": keep("30d", "How long each item's attempts are kept, for `jobs.py "
             "queue forwards 16`; [mail] per_day is counted from them.", span("2d"))},
    rules=(Rule("started_at", also=_not_needed),),
    sample=("id", "job", "slot", "status", "started_at", "duration_ms"),
)
