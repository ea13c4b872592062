"""Resume a paused job: it runs again from the next time of its schedule on.

Nothing is fired at once for the times that passed while it was paused. To run it now: `jobs.py JOB`.
"""
from __future__ import annotations

from .. import clock, schedule
from ..errors import OK
from .pause import answer, arguments, local, paused_since  # noqa: F401  the same arguments


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    session = make_session(config_path)
    job, now = args.job, session.ports.now()
    db, options = session.ports.database(), session.config.job(job)

    def work() -> str | None:
        since = paused_since(db, job.name)
        if since is not None:
            db.upsert("job_state", {"job": job.name}, {"paused_at": None, "due_after": now})
        return since

    since = db.batch(work)
    next_slot = schedule.following(options.schedule, now, schedule.zone(session.config.section("core").timezone))
    if args.json:
        answer(session, {"job": job.name, "paused_at": None, "was_paused_at": since, "changed": since is not None,
                         "next": clock.text(next_slot) if options.enabled else None})
        return OK
    if since is None:
        words = f"{job.name} is not paused; nothing was changed."
    else:
        words = f"{job.name} runs again. It was paused since {local(session, clock.parse(since), now)}."
    if options.enabled:
        words += f" Its next time is {local(session, next_slot, now)}."
    else:
        words += f" But it is switched off: [{job.name}] enabled = no."
    session.console.tell(words)
    return OK
