"""The outcome of a run, a dict as in docs/operate.md: as JSON, as an exit code, and in words for a
terminal, the log and cron's mail; and exceptions that nothing here expects, as text.
"""
from __future__ import annotations

import os

from jobs_lib import clock, errors
from jobs_lib.text import counts_words, took

EXIT_CODES = {"failed": errors.FAILED, "timeout": errors.HARD_LIMIT,
              "interrupted": errors.TERMINATED}
HELD = "the lock is held by "  # how the stop reason of a run begins that was not started
# where code lies that is not ours
OTHERS = (os.path.dirname(os.__file__) + os.sep, "<frozen", f"-packages{os.sep}",
          f"{os.sep}vendor{os.sep}")
WORDS = {"ok": "done in {took}{why}",
         "partial": "stopped early after {took}{why}, the next run continues",
         "interrupted": "stopped after {took}{why}, the next run continues",
         "timeout": "killed after {took}{why}",
         "skipped": "not started{because}",
         "failed": "failed{because}",
         "vanished": "died{because}"}


def blank(job, request, now, **known) -> dict:
    """The outcome of a run that has not begun."""
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
    reason = result["stop_reason"] or ""
    if fail_if_locked and reason.startswith(HELD):
        return errors.LOCK_HELD
    if reason.startswith("SIG"):
        return errors.TERMINATED
    return EXIT_CODES.get(result["status"], errors.OK)


def outcome_words(result: dict) -> str:
    """`retry_forwards: done in 1.2 s: 12 sent, 3 retried`; one line, whatever an error holds."""
    why = " ".join((result["error"] or result["stop_reason"] or "").split())
    words = WORDS[result["status"]].format(
        took=took(result["duration_ms"]), why=f" ({why})" if why else "",
        because=f": {why}" if why else "")
    counts = "" if result["status"] == "failed" else counts_words(result["counts"])
    return f"{result['job']}: {words}{': ' if counts else ''}{counts}"


# Exceptions that nothing here expects

def place(error: BaseException) -> str:
    """`queue.py line 12`: the innermost line of ours, if there is one."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not any(part in frame.filename for part in OTHERS)]
    frame = (ours or frames)[-1:]
    return f"{os.path.basename(frame[0].filename)} line {frame[0].lineno}" if frame else "unknown"


def defect(error: BaseException, config=None) -> str:
    """`TypeError: no number (queue.py line 12)`, without secrets."""
    words = f"{type(error).__name__}: {clean(str(error), config)} ({place(error)})"
    return errors.not_whole(error) or words


def trace(error: BaseException, config) -> str:
    """The traceback as Python prints it, without these."""
    import traceback

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return clean("".join(lines), config)


def clean(text: str, config) -> str:
    """The text without addresses and the secrets of the configuration."""
    from jobs_lib.text.masking import without_secrets
    return without_secrets(text, config.secrets() if config else ())
