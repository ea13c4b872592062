"""Command lines and paths as the person in front of the terminal can type them, where they are
now."""
from __future__ import annotations

import os
import shlex
import shutil
import sys

from jobs_lib.paths import SCRIPT


def shown(path: str) -> str:
    """The path as it can be typed in the current folder: relative below it, else absolute."""
    try:
        relative = os.path.relpath(path)
    except OSError:                         # the current folder was deleted
        return path
    return path if relative.split(os.sep)[0] == os.pardir else relative


def jobs(*words: str, config: str | None = None) -> str:
    """`python3 jobs.py --config demo/config.ini list`, with this Python and from this folder."""
    found = shutil.which("python3")
    same = found and os.path.realpath(found) == os.path.realpath(sys.executable)
    line = ["python3" if same else sys.executable, shown(SCRIPT)]
    if config:
        line += ["--config", shown(config)]
    return shlex.join([*line, *words])
