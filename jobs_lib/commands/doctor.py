"""Check the configuration and the installation.

What is wrong, why it matters, how to fix it, and what else needs you: a line for each area, and its
findings below. Exit code 1 when there is a problem, not for warnings and notes. Nothing is sent and
nothing is changed: a mail connection ends before its first message, and the row and the file of the
write test are removed again. No check takes longer than 6 seconds.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.doctor import Installation, examine
from jobs_lib.errors import FAILED, OK
from jobs_lib.output.findings import report


def arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print an array of objects: level, "
                        "area, what, why, fix; what is fine, too")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    found = examine(Installation(session, *catalogue.usable()))
    if args.json:
        session.console.document([finding._asdict() for finding in found])
    else:
        session.console.answer(report(found))
    return FAILED if any(finding.level == "problem" for finding in found) else OK
