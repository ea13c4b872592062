"""Look at the host, the configuration, the database, mail, DNS and cron: what is wrong, why it
matters, how to fix it.

A line for each area, and below it what was found. Exit code 1 when there is a problem; warnings and
notes are none. Nothing is sent and nothing is changed: a mail connection ends before its first
message, the row and the file that are written to see whether that works are taken back. It takes 20
seconds at most, also when nothing answers.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK, ConfigError
from jobs_lib.output.findings import note, problem


def arguments(parser) -> None:
    """-v, --offline and --json."""
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is fine, too, and "
                        "notes in full")
    parser.add_argument("--offline", action="store_true", help="ask neither the mail relay nor "
                        "name servers")
    parser.add_argument("--json", action="store_true", help="print an array of objects: level, "
                        "area, what, why, fix")


def run(args, make_session, config_path) -> int:
    """Examine and tell; 1 on a problem."""
    import sys

    from jobs_lib.doctor import AREAS, ONLINE, examine
    from jobs_lib.doctor.installation import Installation
    from jobs_lib.output.console import Console
    from jobs_lib.paths import SCRIPT

    trouble, config = [], None
    try:
        config = make_session(config_path).config
    except ConfigError as error:                # the file that was named is not there
        trouble = [problem(words, "Nothing runs without it.",
                           "Name the right file.")._replace(area="config")
                   for words in error.problems]
    left_out = [note("Left out (--offline)", "Others would have to be asked.",
                     "Run it without --offline.") ._replace(area=area) for area in ONLINE
                if args.offline]
    installation = Installation(config, SCRIPT)
    try:
        areas = [area for area in AREAS if not (args.offline and area in ONLINE)]
        found = [*trouble, *examine(installation, areas), *left_out]
    finally:
        installation.close()
    if args.json:
        Console().document([finding._asdict() for finding in found])
    else:
        from jobs_lib.output.findings_text import report
        from jobs_lib.output.paint import Paint
        Console().answer(report(found, args.verbose, Paint(sys.stdout)))
    return FAILED if any(finding.level == "problem" for finding in found) else OK
