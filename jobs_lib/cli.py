"""Arguments to calls, errors to exit codes; the only place that builds real ports."""
from __future__ import annotations

import os
import sys

from . import config
from .console import Console
from .errors import CONFIG, FAILED, ConfigError, JobsError
from .ports import Ports

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))      # the folder with jobs.py
TICK = "run-due"


class Session:
    """What one command line needs: configuration and ports, read and built when first asked for."""

    def __init__(self, config_path: str | None, level: int | None = None, overrides=(), job=None) -> None:
        self.console = Console(level)
        self.config = config.load(config_path, beside=HOME)
        if overrides:
            self.config = self.config.with_overrides(overrides, job)
        self.ports = Ports(self.config)
        self.home = HOME


def main(argv: list[str]) -> int:
    """Do what the words say and return the exit code; whatever goes wrong is one clear sentence on stderr."""
    try:
        if argv == [TICK]:
            return _tick()
        from .arguments import dispatch
        return dispatch(argv, Session)
    except ConfigError as error:
        print(_listed(error), file=sys.stderr)
        return CONFIG
    except JobsError as error:
        print(f"jobs.py: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("jobs.py: stopped by Ctrl-C", file=sys.stderr)
        return FAILED
    except BrokenPipeError:                  # `jobs.py list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _tick() -> int:
    """`run-due` as cron says it, past argparse: most ticks find nothing to do and should cost nothing."""
    from .commands import run_due

    session = Session(None)
    budget = session.config.section("core").budget.total_seconds()
    return run_due.tick(session.config, session.ports, budget, session.console)[1]


def _listed(error: ConfigError) -> str:
    if len(error.problems) == 1:
        return f"jobs.py: {error.problems[0]}"
    lines = "\n".join(f"  {problem}" for problem in error.problems)
    return f"jobs.py: {len(error.problems)} problems in the configuration:\n{lines}"
