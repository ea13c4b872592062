"""The commands of `jobs.py` beside the jobs: one file each, the file name is the command (`_` for `-`).

Each has a docstring (its help), `arguments(parser)` and `run(args, session)` that returns an exit code.
"""
from __future__ import annotations
