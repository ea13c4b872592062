"""Times and durations as people say them."""
from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def took(milliseconds: int | None) -> str:
    """How long a run took: `24 ms`, `1.3 s`, `12 s`, `3 min 20 s`, `1 h 5 min`."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 10_000 else span(timedelta(milliseconds=milliseconds))


def span(length: timedelta) -> str:
    """A length of time in its one or two largest units; under a second it is `0 s`."""
    seconds = max(0, int(length.total_seconds()))
    for (large, size), (small, part) in zip(UNITS, UNITS[1:]):
        if seconds >= size:
            rest = seconds % size // part
            whole = f"{seconds // size} {large}"
            return f"{whole} {rest} {small}" if rest and seconds < 10 * size else whole
    return f"{seconds} s"


def moment(time: datetime, now: datetime, zone: tzinfo) -> str:
    """A time in the zone, as short as it is clear: `15:05`, `tomorrow 03:17`, `Fri 27 Nov 03:17`, or with its year."""
    local, today = time.astimezone(zone), now.astimezone(zone).date()
    days = (local.date() - today).days
    clock = f"{local:%H:%M}"
    if abs(days) <= 1:
        return {0: clock, 1: f"tomorrow {clock}", -1: f"yesterday {clock}"}[days]
    if abs(days) < 180:
        return f"{local:%a} {local.day} {local:%b} {clock}"
    return f"{local:%Y-%m-%d} {clock}"
