"""Show a job's log in words: a line an event, oldest first; with -f also what comes next.

It reads the files of `[core] log_dir`, rotated ones too. JOB may also be `run-due`, `jobs` or
`worker`: what is not about one job. `jobs.py history JOB` shows its runs. Times are in `[core]
timezone`, in the JSON in UTC.
"""
from __future__ import annotations

import os

from jobs_lib import catalogue, shards
from jobs_lib.errors import OK, UsageError
from jobs_lib.text import at_most

OTHERS = ("run-due", "jobs", "worker")      # logs that are no job's
LIMIT, MOST = 20, 100_000
POLL_SECONDS = 0.5


def arguments(parser) -> None:
    """Declares JOB, -f, --limit and --json."""
    parser.add_argument("job", metavar="JOB", help="whose log")
    parser.add_argument("-f", "--follow", action="store_true",
                        help="then show each new event as it comes, until Ctrl-C")
    parser.add_argument("--limit", type=at_most(MOST), default=LIMIT, metavar="N",
                        help=f"show the last N events (default: {LIMIT}, at most {MOST})")
    parser.add_argument("--json", action="store_true", help="print an array of the events")


def run(args, make_session, config_path) -> int:
    """Print them. 0 also when there is no log yet."""
    from jobs_lib.output.log_lines import parsed
    from jobs_lib.runner.log_reader import Reader

    session = make_session(config_path)
    if args.job not in OTHERS:
        catalogue.load(shards.whole(args.job))
    if args.json and args.follow:
        raise UsageError("logs: --json prints one document, so it cannot follow: leave out one "
                         "of the two")
    core = session.config.section("core")
    reader = Reader(os.path.join(core.log_dir, f"{args.job}.log"), core.log_files)
    found = [parsed(line) for line in reader.last(args.limit)]
    if args.json:
        session.console.document(found)
        return OK
    if not found:
        session.console.report(f"There is nothing in {reader.path} yet. A run of {args.job} "
                               "writes it.")
    return _print(session, reader, found, args.follow)


def _print(session, reader, found: list[dict], follow: bool) -> int:
    import sys
    import time

    from jobs_lib.output.log_lines import log_line, parsed
    from jobs_lib.output.screen import Screen

    screen = Screen(session)
    try:
        while True:
            for event in found:
                session.console.answer(log_line(event, screen))
            if not follow:
                return OK
            sys.stdout.flush()
            time.sleep(POLL_SECONDS)
            found = [parsed(line) for line in reader.more()]
    except KeyboardInterrupt:               # how following ends
        return OK
