"""Opens what one command line works with."""
from __future__ import annotations

from jobs_lib.config import loader
from jobs_lib.output.console import Console
from jobs_lib.paths import HOME
from jobs_lib.runner.resources import Ports, Session


def open_session(config_path: str | None, level: int | None = None, overrides=(),
                 job=None) -> Session:
    """Read the configuration, with `--set` over it; no connection is made yet."""
    console = Console(level)
    config = loader.load(config_path, beside=HOME)
    if overrides:
        config = config.with_overrides(overrides, job)
    return Session(config, Ports(config), console)
