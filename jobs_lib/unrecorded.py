"""Outcomes that the database did not take: kept in a file, and stored by the next run of the job that can."""
from __future__ import annotations

import json
import os

FOLDER = "unrecorded"


def keep(state_dir: str, outcome: dict, *, begun: bool) -> None:
    """Keep one outcome for the job, as it would be stored. That of a run with a row of its own (`begun`) matters more
    than that of one without, which may come every minute."""
    from .folders import private, write

    path = _path(state_dir, outcome["job"])
    if begun or not os.path.exists(path):
        private(os.path.dirname(path))
        write(path, json.dumps({**outcome, "begun": begun}, default=str))


def take(state_dir: str, job: str) -> tuple[dict | None, str]:
    """(the outcome that is kept, its file), or (None, "")."""
    path = _path(state_dir, job)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file), path
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError):
        return None, path


def _path(state_dir: str, job: str) -> str:
    return os.path.join(state_dir, FOLDER, f"{job}.json")
