"""The terminal that an answer is for: its width and colours, times in the configured zone, and
commands as they can be typed there."""
from __future__ import annotations

import os
import shlex
import shutil
import sys

from jobs_lib import schedule
from jobs_lib.database import stored
from jobs_lib.folders import SCRIPT
from jobs_lib.text import moment

from .console import WIDEST, Paint, columns
from .layout import wrapped

INDENT = "    "


class Screen:
    """`width` in columns, `paint(style, text)`, and `at(time)`."""

    def __init__(self, session) -> None:
        self.zone_name = session.config.section("core").timezone
        self.zone, self.now = schedule.zone(self.zone_name), session.ports.now()
        self.width, self.paint = min(columns(), WIDEST), Paint(sys.stdout)

    def at(self, text: str | None) -> str:
        """A time of the database, as short as it is clear; `-` for None, `unknown` if invalid."""
        found = stored.time(text)
        if found is None:
            return "-" if text is None else stored.UNKNOWN
        return moment(found, self.now, self.zone)

    def clock(self) -> str:
        """The last line of an answer with times in it."""
        return f"It is {self.now.astimezone(self.zone):%H:%M} in {self.zone_name}."

    def below(self, text: str) -> list[str]:
        """An indented paragraph below a heading."""
        return wrapped(text, self.width, INDENT, INDENT)


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
