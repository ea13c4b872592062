"""Whether the host's clock can be trusted. While it is in doubt nothing is deleted, expired or
given up by its age.

A clock that is 400 days ahead makes everything old. So each run compares the clock with the last
time that was trusted, and with the database server's clock where that is another one; an idle tick
asks nothing. What is found is kept in `meta`, one row for the last trusted look and one for the
look that began the doubt:

    2026-11-24 14:30:05|<this start of the host>|<seconds since then>|<why, in a sentence>

The doubt ends as soon as the clock is back where it should be; or when a run an hour later finds
that it went on evenly, by the seconds since the host was started, which nobody sets; or by `--yes`
(docs/decisions.md, "A clock in doubt").
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

TRUSTED, DOUBTED = "clock_trusted", "clock_doubted"     # in `meta`
# host and database, at most; and what a clock may be set by within an hour
APART = timedelta(minutes=15)
SECOND_LOOK = timedelta(hours=1)        # between the two looks that agree
REFRESH = timedelta(minutes=15)         # a trusted look younger than this is not written again
# later than this after now, no time of ours can have been written rightly
AHEAD = timedelta(days=1)

Look = namedtuple("Look", "at boot seconds why", defaults=("",))
Look.__doc__ = """One look at the clock.

at       the host's time, aware UTC
boot     which start of the host, "" where that is not known
seconds  since that start
why      what was wrong, in a sentence; "" if nothing was
"""


def find(db, ports, core, confirmed: bool = False, next_slot=None,
         store: bool = True) -> str | None:
    """Why nothing may be deleted by its age in this run, in a sentence; None when the clock is
    trusted.

    `confirmed`: an operator says that it is right (`--yes`). `next_slot(moment)`: when the job is
    next due by its schedule. With `store` the next run knows what was found.
    """
    if core.max_clock_jump is None:
        return None
    row = db.row(f"SELECT {db.dialect.clock} AS server, (SELECT value FROM {{meta}} "
                 "WHERE name = :trusted) AS trusted,"
                 " (SELECT value FROM {meta} WHERE name = :doubted) AS doubted", trusted=TRUSTED,
                 doubted=DOUBTED)
    here = Look(ports.now(), *ports.boot())
    trusted, doubted = _read(row["trusted"]), _read(row["doubted"])
    last = trusted or _last_run(db)
    why = None if confirmed else (_differs(here, clock.parse_any(row["server"])) or
                                  _jumped(here, last, core.max_clock_jump, next_slot))
    begun = doubted if why and doubted and _evenly(doubted, here, core.max_clock_jump) else here
    if why and not why.lasting and _since(begun, here) >= SECOND_LOOK:
        why = None
    if store:
        _store(db, here, None if why is None else begun._replace(why=why.text), trusted,
               row["doubted"])
    return None if why is None else sentence(why.text, begun)


def trust(db, ports) -> None:
    """Note that the clock is right now, whatever is known of runs."""
    _store(db, Look(ports.now(), *ports.boot()), None, None, None)


def stored(db) -> Look | None:
    """What the last run that looked found wrong, and since when by its clock; None when nothing
    was."""
    return _read(db.value("SELECT value FROM {meta} WHERE name = :name", name=DOUBTED))


def sentence(why: str, begun: Look) -> str:
    """The doubt in a sentence, as a run's stop reason."""
    return (f"{clock.IN_DOUBT}: {why}; nothing is deleted, expired or given up by its age until "
            + ("both agree" if "database" in why else
               f"a run after {begun.at + SECOND_LOOK:%H:%M} UTC finds no further jump")
            + ", or a run by hand with --yes says that it is right")


# What is wrong

Why = namedtuple("Why", "text lasting")
Why.__doc__ = """`text`: a part of a sentence. `lasting`: it lasts until it is fixed, and a second
look does not end it."""


def _differs(here: Look, server) -> Why | None:
    if server is None or abs(here.at - server) <= APART:
        return None
    return Why(f"this host says {here.at:%Y-%m-%d %H:%M} UTC and the database server "
               f"{server:%Y-%m-%d %H:%M} UTC", True)


def _jumped(here: Look, last: Look | None, most: timedelta, next_slot) -> Why | None:
    if last is None or abs(here.at - last.at) <= most:
        return None
    passed = _passed(last, here)
    if passed is not None and abs(here.at - last.at - passed) <= most:
        return None                         # it was up all the time, and only without runs
    if not here.boot and next_slot and timedelta(0) <= here.at - next_slot(last.at) <= most:
        return None                         # nothing was due before
    return Why(f"it says {here.at:%Y-%m-%d %H:%M} UTC, {_span(here.at - last.at)} the last run",
               False)


def _passed(earlier: Look, later: Look) -> timedelta | None:
    """The time between two looks by the host's own count, where both were made since it started."""
    if not later.boot or earlier.boot != later.boot or later.seconds < earlier.seconds:
        return None
    return timedelta(seconds=later.seconds - earlier.seconds)


def _since(earlier: Look, later: Look) -> timedelta:
    passed = _passed(earlier, later)
    return later.at - earlier.at if passed is None else passed


def _evenly(begun: Look, here: Look, most: timedelta) -> bool:
    """Whether the clock went on from there as time did; without the host's own count, as far as
    that is known."""
    passed = _passed(begun, here)
    if passed is None:
        return timedelta(0) <= here.at - begun.at <= most
    return abs(here.at - begun.at - passed) <= APART


def _span(length: timedelta) -> str:
    seconds, side = abs(length).total_seconds(), "after" if length > timedelta(0) else "before"
    unit, size = next(((unit, size) for unit, size in (("day", 86400), ("hour", 3600)) if seconds
                       >= size),
                      ("minute", 60))
    number = round(seconds / size)
    return f"{counted(number, unit)} {side}"


# What is known of earlier looks

def _last_run(db) -> Look | None:
    """Before there was a look: the start of the latest run."""
    began = clock.parse_any(db.value("SELECT started_at FROM {job_runs} WHERE id = (SELECT MAX(id)"
                                      " FROM {job_runs})"))
    return Look(began, "", 0) if began else None


def _read(text: str | None) -> Look | None:
    text = text if isinstance(text, str) else ""
    at, boot, seconds, why = [*text.split("|", 3), "", "", "", ""][:4]
    moment = clock.parse_any(at)
    return Look(moment, boot, int(seconds) if seconds.isdecimal() else 0, why) if moment else None


def _store(db, here: Look, doubt: Look | None, trusted: Look | None, known: str | None) -> None:
    if doubt:
        text = _text(doubt)
        if text != known:
            db.upsert("meta", {"name": DOUBTED}, {"value": text})
        return
    if known is not None:
        db.execute("DELETE FROM {meta} WHERE name = :name", name=DOUBTED)
    if known is not None or (trusted and trusted.at > here.at + APART):
        _give_slots_back(db, here.at)
    if trusted is None or trusted.boot != here.boot or abs(here.at - trusted.at) >= REFRESH:
        db.upsert("meta", {"name": TRUSTED}, {"value": _text(here)})


def _give_slots_back(db, now) -> None:
    """Slots that have not come yet were taken by a clock that was ahead: else nothing would run
    when they do."""
    ids = [row["id"] for row in db.query("SELECT id FROM {job_runs} WHERE slot > :ahead",
                                         ahead=now + APART)]
    if ids:
        db.execute("UPDATE {job_runs} SET slot = NULL WHERE id IN (:ids)", ids=ids)


def _text(look: Look) -> str:
    return f"{clock.text(look.at)}|{look.boot}|{look.seconds}|{look.why}"
