"""Owners take turns: around all of them in the order of their ids, from one run to the next.

One value a job is kept, the owner that had the last turn; the next run begins behind it. So nobody
has a second turn before everybody else has had one, and nothing is stored for each owner.
"""
from __future__ import annotations

import json

from jobs_lib.database.values import ordered

LONGEST = 200               # characters of an owner's id that is kept


def last(ctx):
    """The owner that had the last turn in the run before, or None."""
    try:
        return json.loads(ctx.db.value("SELECT value FROM {meta} WHERE name = :name",
                                       name=_name(ctx)) or "null")
    except (ValueError, TypeError):
        return None


def keep(ctx, owner) -> None:
    """Remember who had the last turn."""
    if isinstance(owner, (int, str)) and len(json.dumps(owner)) <= LONGEST and owner != last(ctx):
        ctx.db.upsert("meta", {"name": _name(ctx)}, {"value": json.dumps(owner)})


def in_order(owners, after) -> list:
    """These owners, the one behind `after` first. Their ids may be of any type: an app may have
    written anything."""
    found = sorted(owners, key=ordered)
    behind = [owner for owner in found if after is not None and ordered(owner) > ordered(after)]
    return behind + found[:len(found) - len(behind)]


def one_each(rows_of: dict, after) -> list:
    """{owner: rows} as one list: the first row of each owner, then the second of each, and so
    on."""
    owners = [iter(rows_of[owner]) for owner in in_order(rows_of, after)]
    found: list = []
    while owners:
        taken = [(rows, row) for rows in owners if (row := next(rows, None)) is not None]
        owners = [rows for rows, _ in taken]
        found += [row for _, row in taken]
    return found


def _name(ctx) -> str:
    return f"turn.{ctx.job.name}"
