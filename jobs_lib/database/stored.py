"""What tables hold, as those read it who only look: a value that makes no sense is unknown, and
stops nobody.

An app, a tool or a disk may have written anything into any column: SQLite takes text for numbers,
MySQL takes year 1. `status`, `list`, `history`, `report`, `metrics`, `doctor` and `check_jobs` read
through these.
"""
from __future__ import annotations

from datetime import datetime

from jobs_lib import clock

# years: others cannot be meant, and have no local time in every zone
FIRST, LAST = 1971, 9998
LARGEST = 2 ** 63 - 1
LONGEST = 10 ** 11                  # milliseconds: three years
TIMES = ("slot", "started_at", "finished_at", "heartbeat_at", "lease_until")
WORDS = ("job", "run_id", "trigger_type", "installation", "lock_name", "host", "status",
         "stop_reason", "error")
UNKNOWN = "unknown"
STATUSES = ("running", "ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


def time(value) -> datetime | None:
    """The time, or None for what is none."""
    found = clock.parse_any(value if isinstance(value, str) or value is None else str(value))
    return found if found and FIRST <= found.year <= LAST else None


def number(value, otherwise: int = 0) -> int:
    """The whole number, or `otherwise` for what is none."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return found if -LARGEST <= found <= LARGEST else otherwise


def words(value) -> str | None:
    """The text; bytes that are none are shown with marks."""
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else (
        value if value is None or isinstance(value, str) else str(value))


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


def memory(value) -> dict:
    """The numbers that a table of our own remembers; {} for what cannot be read, as if it were the
    first time."""
    return {name: number for name, number in counts(value).items() if name != UNKNOWN}


def count(row_counts: dict, name: str) -> int:
    """The count of that name; 0 when there is none."""
    return number(row_counts.get(name, 0))


def milliseconds(value) -> int:
    """A length of time that can be one."""
    return max(0, min(number(value), LONGEST))


def run(row: dict) -> dict:
    """A row of `job_runs`, or some of its columns: times are text that can be read, or None; all
    else has its type."""
    found = dict(row)
    for name, value in row.items():
        if name in TIMES:
            moment = time(value)
            found[name] = clock.text(moment) if moment else None
        elif name in WORDS:
            found[name] = words(value)
        elif name == "duration_ms":
            found[name] = None if value is None else milliseconds(value)
        elif name in ("counts", "progress"):
            found[name] = counts(value)
        elif name == "pid":
            found[name] = None if value is None else number(value)
    if "status" in found and found["status"] not in STATUSES:
        found["status"] = UNKNOWN
    return found
