"""Arguments to calls, errors to exit codes; the only place that builds real ports."""
from __future__ import annotations

import os
import sys

from . import catalogue, config
from .console import Console, folded, guard
from .errors import CONFIG, FAILED, ConfigError, JobsError, UsageError
from .place import HOME
from .ports import Ports

TICK = "run-due"


class Session:
    """What one command line needs: configuration and ports, read and built when first asked for."""

    def __init__(self, config_path: str | None, level: int | None = None, overrides=(), job=None) -> None:
        self.console = Console(level)
        self.config = config.load(config_path, beside=HOME)
        if overrides:
            self.config = self.config.with_overrides(overrides, job)
        self.ports = Ports(self.config)


def main(argv: list[str]) -> int:
    """Do what the words say and return the exit code; whatever goes wrong is one clear sentence on stderr."""
    guard()
    try:
        words, config_path = take_config(argv)
        if words == [TICK]:
            return _tick(config_path)
        if words[1:] == ["--scheduled"] and words[0] in catalogue.names():
            return _scheduled(words[0], config_path)
        from .arguments import dispatch
        code = dispatch(words, Session, config_path)
        if sys.stdout is not None:
            sys.stdout.flush()               # a closed pipe shows here, not when the interpreter ends
        return code
    except ConfigError as error:
        return _say(_listed(error), CONFIG)
    except JobsError as error:
        return _say(f"jobs.py: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _say("jobs.py: stopped by Ctrl-C", FAILED)
    except BrokenPipeError:                  # `jobs.py list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:                 # a folder that may not be written, a full disk
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"jobs.py: {where}{error.strerror or error}", FAILED)


def _say(words: str, code: int) -> int:
    print(folded(words, sys.stderr), file=sys.stderr)
    return code


def take_config(argv: list[str]) -> tuple[list[str], str | None]:
    """(the words without `--config FILE`, wherever it stands, and that file)."""
    words, path, rest = [], None, iter(argv)
    for word in rest:
        if word == "--config":
            path = next(rest, "")
        elif word.startswith("--config="):
            path = word.partition("=")[2]
        else:
            words.append(word)
    if path == "":
        raise UsageError("--config: expected a file after it")
    return words, path


def _tick(config_path: str | None) -> int:
    """`run-due` as cron says it, past argparse: most ticks find nothing to do and should cost nothing."""
    from .commands import run_due

    session = Session(config_path)
    budget = session.config.section("core").budget.total_seconds()
    return run_due.tick(session.config, session.ports, budget, session.console)[1]


def _scheduled(name: str, config_path: str | None) -> int:
    """`JOB --scheduled` as cron says it, past argparse too."""
    from types import SimpleNamespace

    from . import run_job
    return run_job.run(catalogue.load(name), SimpleNamespace(**run_job.SCHEDULED), Session, config_path)


def _listed(error: ConfigError) -> str:
    if len(error.problems) == 1:
        return f"jobs.py: {error.problems[0]}"
    lines = "\n".join(f"  {problem}" for problem in error.problems)
    return f"jobs.py: {len(error.problems)} problems in the configuration:\n{lines}"
