"""What goes wrong, and when: drawn from the seed before the first tick, so that a list of faults
can be made shorter and tried again."""
from __future__ import annotations

import random
import signal
from collections import namedtuple

from .catastrophes import KINDS as CATASTROPHES
from .oracle.runs import JOBS
from .points import POINTS

HOUR, DAY = 3600, 86400
# That are armed on a bad day; some meet nothing to strike. AIMED are those at one job, which is
# drawn evenly: so a job that is rare is struck as often as one that runs each minute.
STRIKES, AIMED = 25, 8

LAST_DAYS = 10                  # no catastrophe begins in them: it has to be over in the end

Fault = namedtuple("Fault", "at kind about")
Fault.__doc__ = """One thing that goes wrong.

at     the second at which it begins
kind   a key of KINDS
about  strike: (point, number, signal); aim: (job, point, number, signal);
       spell: (what, how, seconds); cron: (seconds,); clock: (seconds that it is off, seconds that
       this lasts); database: (how, seconds); catastrophe: (which, seconds)
"""
# Points that are rare, or where most is at stake, are struck more often than chance would.
WEIGHTS = {"after message": 8, "before message": 3, "after commit": 5, "before commit": 3,
           "after request": 4, "before request": 2, "after statement": 4, "before statement": 3,
           "before unlink": 3, "after unlink": 3, "before rename": 2, "after rename": 2,
           "before write": 1, "after write": 1}
# How far away the point may be: between two of them a run makes so many.
FAR = {"statement": 300, "commit": 60, "message": 3, "request": 4, "unlink": 4, "rename": 4,
       "write": 4}
# Of these points both engines have as many.
ON_BOTH = ("commit", "message", "request")
# Of the runs of the job that is aimed at.
AIMED_FAR = {"commit": 3, "statement": 12}
SPELLS = (("relay", ("refusing", "silent", "slow", "over quota", "breaking", "denied")),
          ("network", ("away", "silent")), ("dns", ("silent",)))


def draw(seed: int, days: int, kinds=None, alike: bool = False) -> list[Fault]:
    """The faults of so many days; a third of the days, and the last, have none. `kinds`: only
    these. `alike`: only what SQLite and MariaDB meet at the same moment of a story, which leaves
    out single statements and files, as each engine has some of its own."""
    chosen = random.Random(f"{seed} faults")
    found: list[Fault] = []
    for day in range(days - 1):
        if chosen.random() < 1 / 3:
            continue
        moments = [day * DAY + chosen.randrange(DAY) for _ in range(STRIKES)]
        found += [_strike(chosen, moment) for moment in moments]
        job = chosen.choice(JOBS)
        # from the first tick of the day on: most jobs run at night
        found += [_aim(chosen, day * DAY + number, job) for number in range(AIMED)]
        for kind, (likely, make, _) in OTHERS.items():
            if chosen.random() < likely and not (kind == "catastrophe" and day > days - LAST_DAYS):
                found.append(Fault(day * DAY + chosen.randrange(DAY), kind, make(chosen)))
    return sorted(fault for fault in found if (kinds is None or fault.kind in kinds)
                  and not (alike and _is_an_engine_s_own(fault)))


def _is_an_engine_s_own(fault: Fault) -> bool:
    """A process that is stopped may have locked all of an SQLite file."""
    if fault.kind in ("strike", "aim"):
        point, _, action = fault.about[-3:]
        return point.split()[1] not in ON_BOTH or action == signal.SIGSTOP
    return fault.kind in ("database", "catastrophe")


def _strike(chosen: random.Random, at: int) -> Fault:
    point = chosen.choices(POINTS, [WEIGHTS[point] for point in POINTS])[0]
    action = chosen.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP), (40, 2, 1))[0]
    return Fault(at, "strike", (point, 1 + chosen.randrange(FAR[point.split()[1]]), int(action)))


def _aim(chosen: random.Random, at: int, job: str) -> Fault:
    side, kind = chosen.choice(("before", "after")), chosen.choice(("commit", "statement"))
    action = chosen.choices((signal.SIGKILL, signal.SIGTERM), (20, 1))[0]
    return Fault(at, "aim", (job, f"{side} {kind}", 1 + chosen.randrange(AIMED_FAR[kind]),
                             int(action)))


def _hours(seconds: float) -> str:
    return f"for {seconds / HOUR:g} h"


def _choose_spell(chosen: random.Random) -> tuple:
    what, kinds = chosen.choice(SPELLS)
    return what, chosen.choice(kinds), chosen.choice((HOUR // 4, HOUR, 5 * HOUR, DAY))


def _choose_clock(chosen: random.Random) -> tuple:
    ahead = chosen.choice((-2 * HOUR, -HOUR, HOUR // 2, HOUR, -30 * DAY, 40 * DAY, 366 * DAY))
    # 40 days might be a stall, which is over after three
    longest = 7 * DAY if ahead > 60 * DAY else 10 * HOUR
    return ahead, chosen.choice((HOUR // 2, 3 * HOUR, 10 * HOUR, longest))


# {kind: (how likely it is on a bad day, what draws the rest, its words)}
OTHERS = {
    "spell": (0.4, _choose_spell, lambda what, how, lasts: f"{what} {how} {_hours(lasts)}"),
    "cron": (0.1, lambda chosen: tuple(chosen.choices((HOUR, 6 * HOUR, DAY, 7 * DAY), (
        8, 4, 2, 1))), lambda lasts: f"cron is away {_hours(lasts)}"),
    "clock": (0.06, _choose_clock, lambda off, lasts: (
        f"the clock is {off / HOUR:+g} h off {_hours(lasts)}")),
    "database": (0.1, lambda chosen: (chosen.choice(("gone", "busy", "busy in mid-run")),
                                      chosen.choice((HOUR // 4, HOUR, 4 * HOUR))),
                 lambda how, lasts: f"the database is {how} {_hours(lasts)}"),
    "catastrophe": (0.15, lambda chosen: (chosen.choice([*CATASTROPHES]),
                                          chosen.choice((30, 60, 5 * 24)) * HOUR),
                    lambda which, lasts: f"{which}, {_hours(lasts)}")}
KINDS = ("strike", "aim", *OTHERS)


def words(fault: Fault) -> str:
    """For the story."""
    if fault.kind in OTHERS:
        return OTHERS[fault.kind][-1](*fault.about)
    point, number, how = fault.about[-3:]
    of = f" of {fault.about[0]}" if fault.kind == "aim" else ""
    return f"{signal.Signals(how).name} {point} no. {number}{of}"
