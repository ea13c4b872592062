"""Show past runs, newest first, and why they ended as they did.

The process of a `vanished` run ended without a result, most often because the host killed it; the
run after it continued its work.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.config.option_types import positive
from jobs_lib.database import stored
from jobs_lib.errors import OK
from jobs_lib.output import listing
from jobs_lib.output.layout import Screen
from jobs_lib.runner import history

LIMIT = 20
SHOWN = ("job", "run_id", "status", "slot", "started_at", "finished_at", "duration_ms", "counts",
         "stop_reason", "error", "trigger_type", "progress", "host", "pid")
COLUMNS = ", ".join([*SHOWN, "installation", "lock_name", "lease_until"])


def arguments(parser) -> None:
    parser.add_argument("job", nargs="?", metavar="JOB", help="only the runs of this job")
    parser.add_argument("--limit", type=positive, default=LIMIT, metavar="N",
                        help=f"show N runs (default: {LIMIT})")
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a run, "
                        "times in UTC")


def run(args, make_session, config_path) -> int:
    session, name = make_session(config_path), args.job
    if name is not None:
        catalogue.load(name)            # says so where there is none
    runs = [{**{name: row[name] for name in SHOWN}, "dry_run": False}
            for row in last_runs(session, name, args.limit + 1)]
    if args.json:
        session.console.document(runs[:args.limit])
        return OK
    if not runs:
        session.console.report(f"No run {f'of {name} ' if name else ''}yet. "
                               + (f"`jobs.py {name}` makes one." if name else
                                  "`jobs.py list` shows when each job is due."))
        return OK
    session.console.answer(listing.history(runs, args.limit, Screen(session)))
    return OK


def last_runs(session, job: str | None, limit: int) -> list[dict]:
    """The latest runs, newest first, with `counts` and `progress` decoded."""
    db = session.ports.database()
    rows = db.query(f"SELECT {COLUMNS} FROM {{job_runs}}"
                    + (" WHERE job = :job" if job else "") + " ORDER BY id DESC LIMIT :limit",
                    **({"job": job} if job else {}), limit=limit)
    return history.shown([stored.run(row) for row in rows], session.config, session.ports.now(), db)
