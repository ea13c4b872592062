"""Make the status page: one HTML file, for a phone or a wall.

It needs no script. It contains no address, no subject, no path and no error message, so it is safe
to publish. With `[status] page` it is replaced by each run of check_jobs.
"""
from __future__ import annotations


def arguments(parser) -> None:
    parser.add_argument("--output", metavar="FILE", help="replace this file (default, or -: print "
                        "the page)")


def run(args, make_session, config_path) -> int:
    from jobs_lib.monitoring import publish
    return publish.answer(publish.page, args, make_session, config_path)
