"""Times as the database holds them: UTC, whole seconds, `YYYY-MM-DD HH:MM:SS`."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

UTC = timezone.utc
# the first time that is one: MySQL's 0000-00-00 is none, and apps have 1970-01-01 or 2000-01-01 for
# none, by which all would be past its time
FIRST = "2001-01-01 00:00:00"
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Invalid(ValueError):
    """A value that its column is not for: that row is left out, and counted as `invalid`."""


def now() -> datetime:
    """The present second in UTC. Only the command line asks; all else is given `ctx.now`."""
    return datetime.now(UTC).replace(microsecond=0)


def text(moment: datetime) -> str:
    """`2026-11-24 14:30:05` for an aware datetime; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return moment.astimezone(UTC).isoformat(" ")[:19]


def parse(value: str) -> datetime:
    """The aware UTC datetime behind the database's text. Invalid for all else, NULL too."""
    try:
        if value >= FIRST:
            return datetime(int(value[0:4]), int(value[5:7]), int(value[8:10]),
                            int(value[11:13]), int(value[14:16]), int(value[17:19]), tzinfo=UTC)
    except (ValueError, TypeError):
        pass
    raise Invalid(f"{str(value)[:40]!r} is not a valid time")


def plus(moment: datetime, span: timedelta) -> datetime:
    """So much later, or earlier; never beyond the end of all times, an app's "never"."""
    try:
        return moment + span
    except OverflowError:
        return LAST if span > timedelta(0) else parse(FIRST)


def parse_any(value) -> datetime | None:
    """The same, or None: an app may have written anything into its column."""
    try:
        return parse(value)
    except Invalid:
        return None


def shown(value) -> datetime | None:
    """The same, but None also in the last year of all, which not every zone has."""
    found = parse_any(value if isinstance(value, str) else str(value))
    return found if found and found.year < LAST.year else None
