"""The outcome of a run, a dict as in docs/logs.md: as JSON, as an exit code, and in words for a
terminal, the log and cron's mail."""
from __future__ import annotations

import os

from jobs_lib import clock, errors
from jobs_lib.text import took

EXIT_CODES = {"failed": errors.FAILED, "timeout": errors.HARD_LIMIT,
              "interrupted": errors.TERMINATED}
# how the stop reason of a run begins, or ends, that was not started
HELD, BUSY_BEFORE = "the lock is held by ", "the database was busy: "
UNKNOWN_HOLDER = ", and no run of ours lives"

# a count may say what became of them: `files_removed`
THINGS = {"bytes", "files", "rows", "users"}
WORDS = {"ok": "done in {took}{why}",
         "partial": "stopped early after {took}{why}, the next run goes on",
         "interrupted": "stopped after {took}{why}, the next run goes on",
         "timeout": "ended by force in {took}{why}",
         "skipped": "not started{because}",
         "failed": "failed{because}",
         "vanished": "died{because}"}


def blank(job, request, now, **known) -> dict:
    """The outcome of a run that has not begun; `known` is what is known of it already."""
    return {"job": job.name, "run_id": os.urandom(8).hex(), "status": "running",
            "slot": request.slot, "started_at": now, "finished_at": None, "duration_ms": 0,
            "counts": {}, "stop_reason": None, "error": None, "dry_run": request.dry_run, **known}


def as_json(result: dict) -> dict:
    """The outcome with its times as text, for --json and the log."""
    return {key: clock.text(value) if key in ("slot", "started_at", "finished_at") and value
            else value
            for key, value in result.items()}


def exit_code(result: dict, fail_if_locked: bool = False) -> int:
    """What `jobs.py` ends with for this outcome."""
    if fail_if_locked and result["status"] == "skipped" and result["stop_reason"].startswith(HELD):
        return errors.LOCK_HELD
    return EXIT_CODES.get(result["status"], errors.OK)


def found_busy(result: dict) -> bool:
    """Whether it could not begin, since the database could not be written at that moment."""
    return result["status"] == "skipped" and result["stop_reason"].startswith(BUSY_BEFORE)


def held_by_unknown_connection(result: dict) -> bool:
    """Whether it could not begin, since its database lock is held by something that is no run of
    ours."""
    return result["status"] == "skipped" and result["stop_reason"].endswith(UNKNOWN_HOLDER)


def outcome_words(result: dict) -> str:
    """`retry_forwards: done in 1.2 s: 12 sent, 3 retried`; one line, whatever an error holds."""
    why = " ".join((result["error"] or result["stop_reason"] or "").split())
    long = result["duration_ms"] >= 10_000
    words = WORDS[result["status"]].format(
        took=took(result["duration_ms"]) if long else f"{result['duration_ms'] / 1000:.1f} s",
        why=f" ({why})" if why else "", because=f": {why}" if why else "")
    counts = "" if result["status"] == "failed" else counts_words(result["counts"])
    return f"{result['job']}: {words}{': ' if counts else ''}{counts}"


def counts_words(counts: dict) -> str:
    """`12 sent, 3 retried`, or `10 of 50 done`; what is zero is left out."""
    if counts.get("total"):
        rest = {name: value for name, value in counts.items() if name not in ("done", "total")}
        return ", ".join(filter(None, (f"{counts.get('done', 0):,} of {counts['total']:,} done",
                                       counts_words(rest))))
    return ", ".join(f"{value:,} {_counted(name, value)}" if isinstance(value, int)
                     else f"{name} {value}"
                     for name, value in counts.items() if value)


def _counted(name: str, value: int) -> str:
    """`1 file`, `2 files`, `1 file removed`; a count is named in the plural, or by what was done
    (`sent`)."""
    words = name.replace("_", " ")
    things, _, rest = words.partition(" ")
    if value == 1 and rest and things in THINGS:
        return f"{things[:-1]} {rest}"
    is_plural = words.endswith("s") and not words.endswith(("ss", "us"))       # 1 unknown status
    return words[:-1] if value == 1 and is_plural else words
