"""Outcomes that the database did not take: kept in a file, and stored by the next run of the job
that can."""
from __future__ import annotations

import os

from jobs_lib.database import stored
from jobs_lib.plain_json import dumps

FOLDER = "unrecorded"
WORD, LINE, MOST = 50, 2000, 2 ** 31 - 1        # what the columns of `job_runs` take


def keep(state_dir: str, outcome: dict, *, begun: bool) -> None:
    """Keep one outcome for the job, as it would be stored. That of a run with a row of its own
    (`begun`) matters more than that of one without, which may come every minute."""
    from jobs_lib.folders import private, write

    outcome = {**outcome, **{name: outcome[name] and outcome[name][:LINE]
                             for name in ("stop_reason", "error")}}
    path = _path(state_dir, outcome["job"])
    if begun or not os.path.exists(path):
        private(os.path.dirname(path))
        write(path, dumps({**outcome, "begun": begun}))


def take(state_dir: str, job: str) -> tuple[dict | None, str]:
    """(the outcome that is kept, its file), or (None, "") where there is none. (None, file): it is
    none of ours."""
    path = _path(state_dir, job)
    try:
        with open(path, encoding="utf-8") as file:
            import json  # mostly there is no such file
            found = json.load(file, parse_constant=_no_number)
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, RecursionError):
        return None, path
    return (found if _is_outcome(found, job) else None), path


def set_aside(path: str) -> str:
    """Put a file out of the way that holds no outcome, whatever it is. Its new path; "" where that
    is not possible."""
    aside = f"{path}.{os.urandom(4).hex()}.unreadable"
    try:
        os.rename(path, aside)
    except OSError:
        return ""
    return aside


def _is_outcome(found, job: str) -> bool:
    """Whether it can be stored as it is: a disk or a hand may have written anything."""
    def is_time(value) -> bool:
        return isinstance(value, str) and stored.time(value) is not None

    def is_number(value) -> bool:
        return type(value) is int and 0 <= value <= MOST

    def is_text(value, most: int) -> bool:
        is_short = isinstance(value, str) and len(value) <= most
        return is_short and len(value.encode("utf-8", "ignore")) >= len(value)
    return isinstance(found, dict) and found.get("job") == job and (
        is_text(found.get("run_id"), WORD) and is_text(found.get("trigger"), WORD)
        and found.get("status") in stored.STATUSES and is_number(found.get("pid"))
        and is_time(found.get("started_at")) and is_time(found.get("finished_at"))
        and is_number(found.get("duration_ms")) and isinstance(found.get("counts"), dict)
        and all(name in found and (found[name] is None or is_text(found[name], LINE))
                for name in ("stop_reason", "error")))


def _no_number(word: str):
    raise ValueError(f"{word} is no JSON")


def _path(state_dir: str, job: str) -> str:
    return os.path.join(state_dir, FOLDER, f"{job}.json")
