"""Stop a run at work, on this host or another: it ends after the item in hand.

The run is asked through the database. It looks every two seconds, between two items, and ends as
`interrupted`; what is left waits. The next tick of cron carries it on: to keep it from that,
`pause` the job first. An item may take a while, such as a message to a slow server.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.config import option_types
from jobs_lib.errors import OK
from jobs_lib.runner import dead_runs, history
from jobs_lib.runner.outcome import outcome_words

from ._arguments import parsed_as
from .list import run_object

WAIT, STEP = "10s", 0.2                 # the step in seconds
MOST_ROWS = 100                         # of a job and its shards that are looked at
BY_FILE = True


def arguments(parser) -> None:
    """Declares JOB, --wait and --json."""
    parser.add_argument("job", metavar="JOB", type=catalogue.load, help="the job's name")
    parser.add_argument("--wait", metavar="DURATION",
                        type=parsed_as(option_types.optional(option_types.duration)),
                        default=WAIT, help="how long to wait for the end of the run, or off "
                        f"(default: {WAIT})")
    parser.add_argument("--json", action="store_true", help="print one object: job, paused, runs; "
                        "times in UTC")


def run(args, make_session, config_path) -> int:
    """Ask each run of the job that is at work, and wait a little."""
    session = make_session(config_path)
    db, name = session.ports.database(), args.job.name
    paused = db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name) is not None
    found = _at_work(session, db, name)
    new = {row["run_id"]: history.ask_to_stop(db, row["run_id"]) for row in found
           if row["status"] == "running"}
    end = session.ports.monotonic() + (args.wait.total_seconds() if args.wait else 0.0)
    while (rows := _now(session, db, found)) and session.ports.monotonic() < end and any(
            row["status"] == "running" for row in rows):
        session.ports.sleep(STEP)
    if args.json:
        session.console.document({"job": name, "paused": paused,
                                  "runs": [run_object(row) for row in rows]})
        return OK
    if not rows:
        session.console.report(f"No run of {name} is at work; nothing was changed.")
    for row in rows:
        session.console.report(_words(row, new.get(row["run_id"])))
    if new:
        session.console.report(_what_follows(name, paused))
    return OK


def _at_work(session, db, name: str) -> list[dict]:
    count = session.config.section("worker").shards
    return [row for row in dead_runs.shown(history.last_runs(db, name, MOST_ROWS, count),
                                           session.config, session.ports.now(), db)
            if row["status"] in ("running", dead_runs.VANISHED)]


def _now(session, db, before: list[dict]) -> list[dict]:
    """The same runs as they are now."""
    return dead_runs.shown(history.runs(db, [row["run_id"] for row in before]), session.config,
                           session.ports.now(), db)


def _words(row: dict, new: bool | None) -> str:
    where = f"process {row['pid']} on {row['host']}"
    if row["status"] == dead_runs.VANISHED:
        return (f"The process of this run of {row['job']} has ended already: {where}. The next run "
                "continues its work.")
    if row["status"] == "running":
        asked = "is asked to stop" if new else "was asked to stop already"
        return f"{row['job']} {asked}: {where} ends after the item in hand."
    if row["status"] == "interrupted":
        return f"{row['job']} was {outcome_words(row).partition(': ')[2]}"
    return f"The run has ended by itself: {outcome_words(row)}"


def _what_follows(name: str, paused: bool) -> str:
    if paused:
        return f"Nothing that waits is lost. {name} is paused: cron does not start it again."
    return (f"Nothing that waits is lost. Cron carries it on at its next tick; to keep it from "
            f"that: `jobs.py pause {name}`")
