"""Show what each job would do at once with the rows of an app, and let the jobs start.

On the tables that an app had before the first `migrate` the jobs that work on them stay off
until `--confirm`. Without it this reads only: for each job, how many rows it would send, delete,
change or notify an owner of now. With --confirm the jobs named, or all, run from their next slot
on; on a terminal it shows the same first, and asks. What waits in a queue and is older than its
schedule is ended then, without an attempt or a notice.
"""
from __future__ import annotations

import sys

from jobs_lib import catalogue
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.runner.access import refuse_root
from jobs_lib.text import counted


def arguments(parser) -> None:
    """Declares --confirm [JOB ...] and --json."""
    parser.add_argument("--confirm", nargs="*", metavar="JOB", default=None,
                        help="let these jobs work on the app's rows; without a name, all")
    parser.add_argument("--json", action="store_true", help="print one object: the jobs that are "
                        "not confirmed, and what each job would do")


def run(args, make_session, config_path) -> int:
    """Show it, or confirm; 1 if a job could not be confirmed, since its tables lack something."""
    from jobs_lib.database.schema import version
    from jobs_lib.monitoring.adoption import collect

    named = [catalogue.load(name).name for name in args.confirm or ()]
    session = make_session(config_path)
    if args.confirm is None:
        db = session.ports.database(readonly=True)
        version.check(db)
        _show(session, collect(session.config, db, session.ports), args.json)
        return OK
    refuse_root(session.config, "adopt --confirm")
    return _confirm(session, named, args.json)


def _show(session, found: dict, as_json: bool) -> None:
    if as_json:
        session.console.document(found)
        return
    from jobs_lib.output.adoption import adoption
    from jobs_lib.output.screen import Screen
    session.console.answer(adoption(found, Screen(session)))


def _confirm(session, named: list[str], as_json: bool) -> int:
    from jobs_lib.database.schema import app_gaps, version
    from jobs_lib.monitoring.adoption import collect, end_old, refusing
    from jobs_lib.runner import adoption

    db = session.ports.database()
    version.check(db)
    lacks = app_gaps.note(db)           # the alerts go by it, too
    off = adoption.unconfirmed(db)
    asked = [catalogue.load(name) for name in off if not named or name in named]
    disabled = [job.name for job in asked if not session.config.job(job).enabled]
    refused = refusing(db, [job for job in asked if job.name not in disabled], lacks)
    if named:
        refused.update({name: f"it is disabled ([{name}] enabled = no)" for name in disabled})
        disabled = []
    names = [job.name for job in asked if job.name not in refused and job.name not in disabled]
    if names and not as_json and sys.stdin is not None and sys.stdin.isatty():
        found = collect(session.config, db, session.ports)
        _show(session, {**found, "jobs": [job for job in found["jobs"] if job["name"] in names]},
              False)
        if not _agreed(names):
            raise UsageError("adopt: nothing was confirmed; all stays as it is")
    left, ended = off, {}
    if names:
        ended = end_old(session.config, db, session.ports, names)
        left = adoption.confirm(db, names, session.ports.now())
    if as_json:
        session.console.document({"confirmed": names, "unconfirmed": left, "ended": ended,
                                  "refused": refused})
    else:
        _report(session.console, names, left, ended, refused)
    return FAILED if refused else OK


def _report(console, names: list[str], left: list[str], ended: dict, refused: dict) -> None:
    if names:
        who = names[0] if len(names) == 1 else counted(len(names), "job")
        console.report(f"{who} confirmed: {'it runs' if len(names) == 1 else 'they run'} from the "
                       "next slot on.")
    for name, number in ended.items():
        console.report(f"{name}: {counted(number, 'item')} older than its schedule ended, nothing "
                       "is sent.")
    for name, why in refused.items():
        console.fail(f"{name} stays off: {why}")
    others = [name for name in left if name not in refused]
    if others:
        console.report(f"Still off: {', '.join(others)}.")
    if not (names or refused):
        console.report("There was nothing to confirm.")


def _agreed(names: list[str]) -> bool:
    """Whether a person at the terminal says yes."""
    what = names[0] if len(names) == 1 else f"these {len(names)} jobs"
    print(f"\nStart {what}? Type yes: ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
