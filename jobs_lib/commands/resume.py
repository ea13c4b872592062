"""Resume a paused job, from the next time of its schedule on. `resume mail` ends a pause of the
relay.

The job is not run for the times that passed while it was paused. To run it now: `jobs.py JOB`.

When the relay cannot be used, all mail is paused, for up to an hour. Once you have fixed the cause,
`resume mail` lets the next run try again immediately.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.engines.relay_limits import Relay
from jobs_lib.errors import OK

from .pause import answer, local, paused_since

MAIL = "mail"
BY_FILE = True


def arguments(parser) -> None:
    """Declares JOB or mail, and --json."""
    parser.add_argument("what", metavar="JOB|mail", type=lambda word: word if word == MAIL
                        else catalogue.load(word), help="the job's name, or mail")
    parser.add_argument("--json", action="store_true", help="print the state as one JSON document, "
                        "times in UTC")


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    session = make_session(config_path)
    if args.what == MAIL:
        return _mail(session, args.json)
    job, now = args.what, session.ports.now()
    db, options = session.ports.database(), session.config.job(job)

    def work() -> str | None:
        since = paused_since(db, job.name)
        if since is not None:
            db.upsert("job_state", {"job": job.name}, {"paused_at": None, "due_after": now})
        return since

    since = db.batch(work)
    next_slot = schedule.following(options.schedule, now,
                                   schedule.zone(session.config.section("core").timezone))
    if args.json:
        answer(session, {"job": job.name, "paused_at": None, "was_paused_at": since,
                         "changed": since is not None, "next": clock.text(next_slot)
                         if options.enabled else None})
        return OK
    if since is None:
        words = f"{job.name} is not paused; nothing was changed."
    else:
        paused = local(session, clock.parse(since), now)
        words = f"{job.name} is resumed. It was paused since {paused}."
    if options.enabled:
        words += f" Next run: {local(session, next_slot, now)}."
    else:
        words += f" But it is disabled: [{job.name}] enabled = no."
    session.console.report(words)
    return OK


def _mail(session, as_json: bool) -> int:
    relay = Relay(session.ports.database(), session.config.section("mail"))
    paused = relay.paused(session.ports.now())
    changed = relay.lift() and paused is not None
    if as_json:
        answer(session, {"mail": "goes out", "changed": changed})
    elif changed:
        session.console.report(f"Mail was paused {paused}. The next run tries again: `jobs.py "
                             "retry_forwards -v`")
    else:
        session.console.report("Mail is not paused; nothing was changed.")
    return OK
