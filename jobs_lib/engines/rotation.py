"""Owners take turns: around all of them in the order of their ids, from one run to the next.

One value a queue is kept, the owner that had the last turn; the next run begins behind it. So
nobody has a second turn before everybody else has had one, and nothing is stored for each owner.
Rows of nobody (NULL) are an owner's as well, the first in the order.
"""
from __future__ import annotations

from itertools import zip_longest

from jobs_lib.database.values import ordered
from jobs_lib.records import namedtuple

LONGEST = 64                # characters of an owner's id that is kept
GROWTH = 4                  # times as many entries are read after a page without any that is due
BEGINNING: object = object()            # the place before all owners
_NONE = object()

Group = namedtuple("Group", "owner is_due is_later rows", defaults=(False, None))
Group.__doc__ = """Entries of one owner, next to each other in an index.

is_due    whether a row is due; None where that is not known: it was seen in part
is_later  whether the last entry is due later, and so is what comes behind it
rows      what the caller keeps of all that are due
"""


def last(db, queue: str, priority: int = 0):
    """The owner that had the last turn, or BEGINNING."""
    row = db.row("SELECT last_owner FROM {queue_turns} WHERE ring = :ring",
                 ring=f"{queue}:{priority}")
    return BEGINNING if row is None else _owner(db, row["last_owner"])


def keep(db, queue: str, owner, priority: int = 0) -> None:
    """Remember who had the last turn."""
    text = None if owner is None else str(owner)
    if isinstance(owner, (int, str, type(None))) and len(text or "") <= LONGEST and (
            text or "").isascii():
        db.upsert("queue_turns", {"ring": f"{queue}:{priority}"}, {"last_owner": text})


def in_order(owners, place) -> list:
    """These owners, the one behind `place` first. Their ids may be of any type: an app may have
    written anything."""
    return sorted(owners, key=lambda owner: (
        place is not BEGINNING and ordered(owner) <= ordered(place), ordered(owner)))


def mixed(lists) -> list:
    """The first of each, then the second of each, and so on."""
    return [item for turn in zip_longest(*lists, fillvalue=_NONE) for item in turn
            if item is not _NONE]


def walk(read, place, fewest: int, most: int):
    """Owner by owner along an index, from the one behind `place` on, and around to it: pages, each
    a list of Groups.

    `read(behind, up_to, size)`: (the Groups in `size` entries behind this owner, whether they are
    the last of those up to that one). None is the beginning, and the end. Each time that
    nothing is due, more of them are read.
    """
    around = place not in (BEGINNING, None)
    nobodys = [Group(None, None)]
    if place is BEGINNING:
        yield nobodys
    yield from _lap(read, place if around else None, None, fewest, most)
    if place is not BEGINNING:
        yield nobodys
    if around:
        yield from _lap(read, None, place, fewest, most)


def _lap(read, behind, up_to, fewest: int, most: int):
    size, is_end = fewest, False
    while not is_end:
        groups, is_end = read(behind, up_to, size)
        if groups and not is_end:                       # of the last one there may be more
            *whole, part = groups
            is_due = part.is_due or (False if part.is_later else None)
            # where there are others, the next page begins with one of which nothing is known
            unknown = whole and is_due is None
            groups = whole if unknown else [*whole, part._replace(is_due=is_due, rows=None)]
        behind = groups[-1].owner if groups else behind
        size = fewest if any(group.is_due for group in groups) else min(most, size * GROWTH)
        yield groups


def grouped(db, entries: str, **values) -> tuple[list[Group], int]:
    """(Groups, how many entries they are of): of a SELECT for owner, is_due and is_later."""
    rows = db.query("SELECT owner, MAX(is_due) AS is_due, MAX(is_later) AS is_later,"
                    f" COUNT(*) AS number FROM ({entries}) entries GROUP BY owner ORDER BY owner",
                    **values)
    return [Group(row["owner"], bool(row["is_due"]), bool(row["is_later"]))
            for row in rows], sum(row["number"] for row in rows)


def _owner(db, text):
    """The owner behind what was stored of it."""
    try:
        return text if text is None or "users" in db.text_keys else int(text)
    except ValueError:
        return text
