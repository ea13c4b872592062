"""The terminal that an answer is for: its width and colours, and times in the configured zone."""
from __future__ import annotations

import sys

from jobs_lib import schedule
from jobs_lib.database import stored
from jobs_lib.text import moment

from .console import WIDEST, columns
from .layout import wrapped
from .paint import Paint

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
