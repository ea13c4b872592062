"""Check the host, the configuration, the database, mail, DNS and cron: what is wrong, why it
matters, how to fix it.

A line for each area, and its findings below. Exit code 1 when there is a problem, not for warnings
and notes. Nothing is sent and nothing is changed: a mail connection ends before its first message,
and the row and the file of the write test are removed again. It takes 20 seconds at most, even if
nothing answers.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK, ConfigError
from jobs_lib.output.findings import note, problem


def arguments(parser) -> None:
    """Declares -v, --offline and --json."""
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is fine, too, and "
                        "notes in full")
    parser.add_argument("--offline", action="store_true", help="ask neither the mail relay nor "
                        "name servers")
    parser.add_argument("--json", action="store_true", help="print an array of objects: level, "
                        "area, what, why, fix")


def run(args, make_session, config_path) -> int:
    """Examine and print; 1 on a problem."""
    import sys

    from jobs_lib.doctor import AREAS, ONLINE, examine
    from jobs_lib.doctor.installation import Installation
    from jobs_lib.output.console import Console
    from jobs_lib.paths import SCRIPT

    wrong_file, config = [], None
    try:
        config = make_session(config_path).config
    except ConfigError as error:                # the file that was named is not there
        wrong_file = [problem(sentence, "Nothing runs without it.",
                              "Name the right file.")._replace(area="config")
                      for sentence in error.problems]
    left_out = [note("Left out (--offline)", "Others would have to be asked.",
                     "Run it without --offline.")._replace(area=area)
                for area in ONLINE if args.offline]
    installation = Installation(config, SCRIPT)
    try:
        areas = [area for area in AREAS if not (args.offline and area in ONLINE)]
        found = [*wrong_file, *examine(installation, areas), *left_out]
    finally:
        installation.close()
    if args.json:
        Console().document([finding._asdict() for finding in found])
    else:
        from jobs_lib.output.findings_text import report
        from jobs_lib.output.paint import Paint
        Console().answer(report(found, args.verbose, Paint(sys.stdout)))
    return FAILED if any(finding.level == "problem" for finding in found) else OK
