"""Print the status as OpenMetrics text, for Prometheus.

Meant for the textfile collector of the node exporter, by a cron line of its own with --output: the
file is replaced as a whole. It contains names, numbers and times only.
"""
from __future__ import annotations


def arguments(parser) -> None:
    parser.add_argument("--output", metavar="FILE", help="replace this file, such as jobs.prom "
                        "(default, or -: print it)")


def run(args, make_session, config_path) -> int:
    from jobs_lib.monitoring import publish
    return publish.answer(publish.metrics, args, make_session, config_path)
