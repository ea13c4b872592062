"""`jobs.py --help`: every command with its first sentence, then the jobs."""
from __future__ import annotations

from jobs_lib import catalogue, commands
from jobs_lib.output.layout import pairs, wrapped

WIDTH = 80                      # whatever the terminal, so that it can be learnt
USAGE = """\
usage: jobs.py COMMAND [options]
       jobs.py JOB [options]        run one job now; --dry-run only shows it

All take --config FILE (default: config.ini beside jobs.py, or JOBS_CONFIG).
"""
BUILT_IN = {"help": "Explain a command or a job: `help COMMAND` is `COMMAND --help`",
            "version": "Print the version of the bundle and of Python"}


def overview() -> str:
    """The text of `jobs.py --help`."""
    known = {**{name: _first_sentence(name) for name in commands.names()}, **BUILT_IN}
    return "\n".join([USAGE, "commands:", *pairs(sorted(known.items()), WIDTH), "", "jobs:",
                      *wrapped(", ".join(catalogue.names()), WIDTH, "  ", "  "), ""])


def _first_sentence(name: str) -> str:
    doc = commands.load(name).__doc__ or ""
    return " ".join(doc.split()).partition(". ")[0].rstrip(".")
