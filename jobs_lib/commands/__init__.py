"""The commands of `jobs.py` beside the jobs: one file each, the file name is the command (`_` for
`-`). Its docstring is its help, `arguments(parser)` declares its words, and `run(args,
make_session, config_path)` returns an exit code.
"""
from __future__ import annotations

from jobs_lib import catalogue


def names() -> list[str]:
    """The commands as they are typed."""
    return [name.replace("_", "-") for name in catalogue.modules(__path__)]


def load(name: str):
    return __import__(f"{__name__}.{name.replace('-', '_')}", fromlist=["run"])
