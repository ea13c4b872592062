"""The command line: argparse for each command, help worth reading, `did you mean` for a wrong word."""
from __future__ import annotations

import argparse
import sys

from . import catalogue
from .errors import OK, UsageError
from .spelling import did_you_mean

USAGE = """\
usage: jobs.py JOB [options]          run one job now
       jobs.py COMMAND [options]

{jobs}

{commands}

`jobs.py JOB --help` and `jobs.py COMMAND --help` tell more. Every one takes --config FILE
(default: config.ini beside jobs.py; also the environment variable JOBS_CONFIG).
"""


class Parser(argparse.ArgumentParser):
    """argparse, with errors as ours: one sentence, and the nearest option for a wrong one."""

    def error(self, message: str):
        """Raise instead of printing the usage and leaving."""
        wrong = next((word for word in message.split() if word.startswith("--")), "")
        options = [name for action in self._actions for name in action.option_strings]
        hint = did_you_mean(wrong, options) if wrong and "unrecognized" in message else ""
        raise UsageError(f"{self.prog.partition(' ')[2]}: {message}{hint} (`{self.prog} --help` shows what it takes)")


def dispatch(argv: list[str], make_session) -> int:
    """Find the command or job in the words, parse the rest, run it and return its exit code."""
    words = list(argv)
    config_path = _take_config(words)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(), end="")
        return OK
    if words[0] == "--version":
        from . import __version__
        print(f"jobs.py {__version__}, Python {sys.version.split()[0]}")
        return OK
    name, rest = words[0], words[1:]
    if name.startswith("-"):
        raise UsageError(f"{name}: expected a job or a command first (`jobs.py --help` shows them)")
    if name in catalogue.commands():
        command = catalogue.command(name)
        parser = _parser(name, command.__doc__)
        command.arguments(parser)
        args = parser.parse_args(rest)
        return command.run(args, make_session, config_path)
    job = catalogue.load(name)
    from . import run_job
    parser = _parser(name, job.doc)
    run_job.arguments(parser)
    return run_job.run(job, parser.parse_args(rest), make_session, config_path)


def overview() -> str:
    """The text of `jobs.py --help`."""
    jobs = [(job.name, job.summary) for job in catalogue.load_all()]
    commands = [(name, (catalogue.command(name).__doc__ or "").partition("\n")[0].rstrip("."))
                for name in catalogue.commands()]
    return USAGE.format(jobs=_columns("jobs", jobs), commands=_columns("commands", commands))


def _columns(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join([f"{title}:", *(f"  {name:<{width}}{words}" for name, words in rows)])


def _parser(name: str, doc: str | None) -> Parser:
    summary, _, more = (doc or "").strip().partition("\n")
    return Parser(prog=f"jobs.py {name}", description=f"{summary}\n{more.rstrip()}", allow_abbrev=False,
                  formatter_class=argparse.RawDescriptionHelpFormatter)


def _take_config(words: list[str]) -> str | None:
    """Take `--config FILE` out of the words, wherever it stands."""
    for position, word in enumerate(words):
        if word == "--config":
            if position + 1 == len(words):
                raise UsageError("--config: expected a file after it")
            path = words[position + 1]
            del words[position:position + 2]
            return path
        if word.startswith("--config="):
            del words[position]
            return word.partition("=")[2]
    return None
