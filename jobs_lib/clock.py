"""Times as the database holds them: UTC, whole seconds, `YYYY-MM-DD HH:MM:SS`."""
from __future__ import annotations

from datetime import datetime, timezone

UTC = timezone.utc
FORMAT = "%Y-%m-%d %H:%M:%S"


def now() -> datetime:
    """The present second in UTC. Only the command line asks; everything below is given `ctx.now`."""
    return datetime.now(UTC).replace(microsecond=0)


def text(moment: datetime) -> str:
    """`2026-11-24 14:30:05` for an aware datetime; a naive one is a mistake and raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return moment.astimezone(UTC).strftime(FORMAT)


def parse(value: str) -> datetime:
    """The aware UTC datetime behind the database's text."""
    return datetime(int(value[0:4]), int(value[5:7]), int(value[8:10]),
                    int(value[11:13]), int(value[14:16]), int(value[17:19]), tzinfo=UTC)


def parse_any(value) -> datetime | None:
    """The same, or None for NULL and for what is no time: an app may have written anything into its column."""
    try:
        return parse(value)
    except (ValueError, TypeError):
        return None
