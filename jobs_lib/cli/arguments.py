"""argparse for each command, with `did you mean`."""
from __future__ import annotations

import argparse
import sys

from jobs_lib import catalogue, commands
from jobs_lib.errors import OK, UsageError
from jobs_lib.launch import launch
from jobs_lib.output.layout import pairs, paragraphs, wrapped
from jobs_lib.output.terminal import width
from jobs_lib.text import did_you_mean, either

HELP_WIDTH = 80  # whatever the terminal, so that it can be learnt
USAGE = """\
usage: jobs.py COMMAND [options]
       jobs.py JOB [options]        run one job now; --dry-run only shows it

All take --config FILE (default: config.ini beside jobs.py, or JOBS_CONFIG).
"""
# of a job, besides those of `test`
FLAGS = {
    "--dry-run": "show what would be done, and change nothing",
    "--scheduled": "run for the latest scheduled time, unless it was started before",
    "--fail-if-locked": "exit 75 when another run holds the lock",
}
BUILT_IN = {"help": "Explain a command or a job: `help COMMAND` is `COMMAND --help`",
            "version": "Print the version of the bundle and of Python"}


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in one sentence."""

    color: bool

    def parse_args(self, args=None, namespace=None):
        """Refuse the first word that nothing takes, empty ones too."""
        found, extra = self.parse_known_args(args, namespace)
        if extra:
            word = extra[0].partition("=")[0] if extra[0].startswith("-") else extra[0]
            if word.startswith("-"):
                self.error(f"{word}: there is no such option"
                           f"{did_you_mean(word, self._option_string_actions)}")
            self.error(f"unexpected argument {word!r}")
        return found

    def _check_value(self, action, value):
        if action.choices and value not in action.choices:
            self.error(
                f"{value!r}: expected {either([*action.choices])}"
                + (did_you_mean(value, action.choices) if len(action.choices) > 1 else ""))

    def error(self, message: str):
        """Raise instead of printing the usage and leaving."""
        name = self.prog.partition(" ")[2]
        raise UsageError(f"{name}: {message} (`{self.prog} --help` shows what it takes)")


def dispatch(words: list[str], make_session, config_path: str | None) -> int:
    """Find the command or job, run it; its exit code."""
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("help", "-h", "--help"):
        print(overview(), end="")
        return OK
    if words[0] in ("version", "--version", "-V"):
        from jobs_lib.folders import VERSION
        print(f"jobs.py {VERSION}, Python {sys.version.split()[0]}")
        return OK
    name, rest = words[0], words[1:]
    if not all(word.strip() for word in words if words[:2] != ["config", "set"]):
        raise UsageError("an argument is empty, perhaps from a shell variable that is not set: "
                         "leave it out, or give it a value")
    if name.startswith("-"):
        raise UsageError(f"{name}: expected a job or a command first (`jobs.py --help` shows them)")
    if name in commands.names():
        command = commands.load(name)
        parser = _parser(name, command.__doc__ or "")
        command.arguments(parser)
        return command.run(parser.parse_args(rest), make_session, config_path)
    if name not in catalogue.names():
        raise UsageError(f"there is no job or command {name!r}"
                         f"{did_you_mean(name, catalogue.names() + commands.names())} "
                         "(`jobs.py --help` shows them)")
    job = catalogue.load(name)
    # a run need not fold texts that nobody reads
    asked = "-h" in rest or "--help" in rest
    parser = _parser(name, _about(job), _options(job)) if asked else _parser(name, "")
    job_options(parser)
    return launch.run_job(job, parser.parse_args(rest), make_session, config_path)


def job_options(parser) -> None:
    """The options that every job takes."""
    from jobs_lib.commands.test import options
    options(parser)
    for name, meaning in FLAGS.items():
        parser.add_argument(name, action="store_true", help=meaning)
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                      help="print what was done")
    loud.add_argument("-q", "--quiet", action="store_const", const=-1, dest="level",
                      help="print nothing, not even errors")


def _about(job) -> str:
    """A job's docstring, and when it runs."""
    return "\n".join([job.doc, "", *pairs([("when", job.schedule), ("priority", job.priority),
                                           ("at most", f"{job.budget} a run")], width())])


def _options(job) -> str:
    """A job's own options with their defaults."""
    if not job.options:
        return ""
    lines = paragraphs(f"options of the job, in [{job.name}] of config.ini or by --set:")
    for name, option in job.options.items():
        lines += [f"  {name} = {option.default}", *paragraphs(option.meaning, "      ")]
    shared = ", ".join(f"[{name}]" for name in job.sections)
    more = f"It reads {shared}, too. " if shared else ""
    return "\n".join([*lines, "", *paragraphs(
        f"{more}`jobs.py config show {job.name}` shows all options, and what is set.")])


def _parser(name: str, about: str, more: str = "") -> Parser:
    def formatter(prog: str) -> argparse.HelpFormatter:
        return argparse.RawDescriptionHelpFormatter(prog, max_help_position=24, width=width())

    parser = Parser(prog=f"jobs.py {name}", description="\n".join(paragraphs(about)),
                    epilog=more or None, allow_abbrev=False, formatter_class=formatter)
    # Python 3.14 colours its help by itself; the console lets only our colours pass
    parser.color = False
    if name != "demo":
        # for its help: it is taken from anywhere on the line before
        parser.add_argument("--config", metavar="FILE", help="use this file instead of the "
                            "config.ini beside jobs.py")
    return parser


def overview() -> str:
    """The text of `jobs.py --help`."""
    known = {**{name: _first_sentence(name) for name in commands.names()}, **BUILT_IN}
    return "\n".join([USAGE, "commands:", *pairs(sorted(known.items()), HELP_WIDTH), "", "jobs:",
                      *wrapped(", ".join(catalogue.names()), HELP_WIDTH, "  ", "  "), ""])


def _first_sentence(name: str) -> str:
    return " ".join((commands.load(name).__doc__ or "").split()).partition(". ")[0].rstrip(".")
