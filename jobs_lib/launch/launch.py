"""What every way in to a run has in common, and one of them: `jobs.py JOB`, by hand or by a line of
a crontab. A tick that finds nothing due loads no runner: keep the imports few.
"""
from __future__ import annotations

import os
import sys

from jobs_lib.catalogue import CRON
from jobs_lib.config import load
from jobs_lib.errors import OK, ConfigError, DatabaseError, NoAccess, UsageError
from jobs_lib.folders import HOME, user_name
from jobs_lib.runner import incident_files, slots
from jobs_lib.runner.resources import Ports, Session


def open_session(console, config_path: str | None, overrides=(), job=None) -> Session:
    """Read the configuration, with `--set` over it; no connection is made yet."""
    config = load(config_path, beside=HOME)
    if overrides:
        config = config.with_overrides(overrides, job)
    if os.geteuid() == 0:
        _refuse_root(config)
    return Session(config, Ports(config), console)


def answer_app(config_path: str | None, answer):
    """`answer(configuration, read-only database)`, for an app that imports `jobs_lib`. It finds the
    packages that came with it, after its own: jobs.py does so itself."""
    own = ".venv/lib/python{}.{}/site-packages".format(*sys.version_info)
    sys.path += [path for path in (os.path.join(HOME, "vendor"), os.path.join(HOME, own))
                 if path not in sys.path and os.path.isdir(path)]
    config = load(config_path, beside=HOME)
    db = Ports(config).connect(readonly=True)
    try:
        return answer(config, db)
    finally:
        db.close()


def _refuse_root(config) -> None:
    """UsageError where root would leave files that the user of this installation cannot use."""
    try:
        folder = config.section("core").state_dir
    except ConfigError:  # the command reports it
        return
    # before the first `migrate` there is the file alone
    place = next(filter(os.path.exists, (folder, config.path)), os.sep)
    if owner := os.stat(place).st_uid:
        name = user_name(owner)
        raise UsageError(f"this is root, and {place} belongs to {name}: run it as that user: "
                         f"`sudo -u {name} python3 jobs.py ...`")


def outages(session, start: str = "jobs.py"):
    """What keeps jobs from running. `start`: of its lines on stderr."""
    from .outages import Outages
    return Outages(session, start)


def end_outages(session, start: str = "jobs.py") -> None:
    """What was recorded may be over. DatabaseError if it is not."""
    if incident_files.lasting_incidents(session.config.section("core")):
        outages(session, start).end()


def show(console, result: dict, request, quiet: bool = False) -> None:
    """Words for a person who looks, a line on stderr for a failure, nothing for cron after a good
    run. `quiet`: the outcome itself is printed."""
    from jobs_lib.runner.outcome import outcome_words
    held = result["status"] == "skipped" and request.trigger == "manual" and not quiet
    if held or result["status"] in ("failed", "timeout"):
        console.fail(outcome_words(result))
    elif not quiet:
        console.say(outcome_words(result))
        if result.get("held"):
            console.say("What the guard has stopped, and what to do: `jobs.py status`")


def log_defect(error: Exception, config_path: str | None) -> str:
    """What to say of a defect, whose traceback goes to `jobs.log`."""
    from jobs_lib.runner.log import Log
    from jobs_lib.runner.outcome import defect, trace
    try:
        config = load(config_path, beside=HOME)
        log = Log(config.section("core"), "jobs")
    except Exception:  # noqa: BLE001  the same one, perhaps
        return defect(error)
    log.error("exception", traceback=trace(error, config))
    log.close()
    return f"{defect(error, config)}; {log.path} has the traceback"


# jobs.py JOB

def run_job(job, args, make_session, config_path) -> int:
    """Run it once as the arguments say, show the outcome, return the exit code. For cron an outage
    is printed once, and not by each line of a crontab at each tick (outages.py)."""
    session = make_session(config_path, args.level, args.set, job)
    try:
        return _run_job(job, args, session)
    except (DatabaseError, NoAccess) as error:
        if args.scheduled and args.level is None and not (args.json or args.dry_run):
            is_to_print, code = outages(session).record(error)
            if not is_to_print:
                return code
        raise


def _run_job(job, args, session) -> int:
    from jobs_lib.runner import outcome, runner
    console = session.console
    request = runner.Request("manual", None, args.limit, args.dry_run, args.yes)
    if args.scheduled and not args.dry_run:
        # what would be done does not depend on the slot
        slot = slots.slot_of(session.config, session.ports, job)
        end_outages(session)
        if slot is None:
            if args.json:
                console.document(outcome.as_json(outcome.blank(
                    job, request, session.ports.now(), status="skipped",
                    stop_reason="nothing is due")))
            return OK
        if session.config.mode(job) != CRON and not outages(session).hand_over_jobs([job])[0]:
            return OK  # its workers have got it
        request = request._replace(trigger="scheduled", slot=slot)
    result = runner.run(session, job, request)
    if args.json:
        samples = {"samples": console.samples} if args.dry_run else {}
        console.document({**outcome.as_json(result), **samples})
    elif args.dry_run:
        console.show_dry_run(result)
    show(console, result, request, quiet=args.json or args.dry_run)
    return outcome.exit_code(result, args.fail_if_locked)
