"""What tables hold, as those read it who only look: a value that makes no sense is unknown, and
stops nobody.

An app, a tool or a disk may have written anything into any column: SQLite takes text for numbers,
MySQL takes year 1. `status`, `list`, `history`, `report`, `metrics`, `doctor` and `check_jobs` read
through these.
"""
from __future__ import annotations

from datetime import datetime

from jobs_lib import clock

from .values import words

# years: others cannot be meant, and have no local time in every zone
FIRST, LAST = 1971, 9998
LARGEST = 2 ** 63 - 1
LONGEST = 10 ** 11                  # milliseconds: three years
UNKNOWN = "unknown"
STATUSES = ("running", "ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


def time(value) -> datetime | None:
    """The time, or None for what is none."""
    found = clock.parse_any(value if isinstance(value, str) or value is None else str(value))
    return found if found and FIRST <= found.year <= LAST else None


def number(value, otherwise=0):
    """The whole number, or `otherwise` for what is none."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return found if -LARGEST <= found <= LARGEST else otherwise


def document(value) -> dict:
    """The JSON object, or {} for what is none; its numbers are not looked at."""
    if not value:
        return {}
    from jobs_lib.records import loads
    try:
        found = loads(value)
    except (ValueError, TypeError, RecursionError):
        return {UNKNOWN: 1}
    return found if isinstance(found, dict) else {UNKNOWN: 1}


def counts(value) -> dict:
    """The same, with a number for each name."""
    return {str(name): each if isinstance(each, float) and abs(each) < LARGEST else number(each)
            for name, each in document(value).items()}


def milliseconds(value) -> int:
    """A length of time that can be one."""
    return max(0, min(number(value), LONGEST))


def run(row: dict) -> dict:
    """A row of `job_runs`, or some of its columns: times are text that can be read, or None; all
    else has its type."""
    return {name: _COLUMNS[name](value) if name in _COLUMNS else value
            for name, value in row.items()}


def _time_text(value) -> str | None:
    moment = time(value)
    return clock.text(moment) if moment else None


_COLUMNS = {
    **dict.fromkeys(("slot", "started_at", "finished_at", "heartbeat_at", "lease_until"),
                    _time_text),
    **dict.fromkeys(("job", "run_id", "trigger_type", "installation", "lock_name", "host",
                     "stop_reason", "error"), lambda value: None if value is None
                    else words(value)),
    **dict.fromkeys(("counts", "progress"), counts),
    "pid": lambda value: number(value, None),
    "duration_ms": lambda value: None if value is None else milliseconds(value),
    "status": lambda value: value if value in STATUSES else UNKNOWN,
}
