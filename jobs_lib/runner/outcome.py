"""The outcome of a run in words, for a terminal, the log and cron's mail."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.text import span, took

from .history import MEMORY

# a count may say what became of them: `files_removed`
THINGS = {"bytes", "files", "rows", "users"}
WORDS = {"ok": "done in {took}{why}", "partial": "stopped early after {took}{why}, the next run "
         "goes on", "interrupted": "stopped by a signal after {took}{why}, the next run goes on",
         "timeout": "ended by force in {took}{why}", "skipped": "not started{because}",
         "failed": "failed{because}", "vanished": "died{because}"}


def outcome_words(result: dict) -> str:
    """`retry_forwards: done in 1.2 s: 12 sent, 3 retried`; one line, whatever an error holds."""
    why = " ".join((result["error"] or result["stop_reason"] or "").split())
    long = result["duration_ms"] >= 10_000
    words = WORDS[result["status"]].format(
        took=took(result["duration_ms"]) if long else f"{result['duration_ms'] / 1000:.1f} s",
        why=f" ({why})" if why else "", because=f": {why}" if why else "")
    counts = counts_words(result["counts"])
    return f"{result['job']}: {words}{f': {counts}' if counts and result['status'] != 'failed' else ''}"


def counts_words(counts: dict) -> str:
    """`12 sent, 3 retried`, or `10 of 50 done, 3 a second, 14 s left`; what is zero is left out."""
    counts = {name: value for name, value in counts.items() if name != MEMORY}
    if counts.get("total"):
        return _progress_words(counts)
    return ", ".join(f"{value:,} {_counted(name, value)}" if isinstance(value, int)
                     else f"{name} {value}"
                     for name, value in counts.items() if value)


def _progress_words(progress: dict) -> str:
    words = [f"{progress.pop('done', 0):,} of {progress.pop('total'):,} done"]
    if rate := progress.pop("rate", None):
        words.append(f"{rate:,} a second")
    if left := progress.pop("seconds_left", None):
        words.append(f"{span(timedelta(seconds=left))} left")
    return ", ".join([*words, *filter(None, [counts_words(progress)])])


def _counted(name: str, value: int) -> str:
    """`1 file`, `2 files`, `1 file removed`; a count is named in the plural, or by what was done
    (`sent`)."""
    words = name.replace("_", " ")
    things, _, rest = words.partition(" ")
    if value == 1 and rest and things in THINGS:
        return f"{things[:-1]} {rest}"
    return words[:-1] if value == 1 and words.endswith("s") and not words.endswith("ss") else words
