"""What one command line needs, built when it is first asked for."""
from __future__ import annotations

from jobs_lib.config import loader
from jobs_lib.output.console import Console
from jobs_lib.paths import HOME
from jobs_lib.runner.resources import Ports


class Session:
    """What one command line needs: configuration and ports, read and built when first asked for."""

    def __init__(self, config_path: str | None, level: int | None = None, overrides=(),
                 job=None) -> None:
        self.console = Console(level)
        self.config = loader.load(config_path, beside=HOME)
        if overrides:
            self.config = self.config.with_overrides(overrides, job)
        self.ports = Ports(self.config)
