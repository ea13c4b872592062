"""The service: who uses it, and what its app, its mail hook and its operator do each day.

An act is a function of the world and a random generator, from which all comes that is random in
it. It returns words for the story, or "" where there was nothing to do. Acts write plain rows and
files, as docs/data-model.md has it, and never call the product but through its command line.
"""
from __future__ import annotations

import functools
import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.db import Busy, Client

from .oracle import START

# (how often a day, function): what the modules of acts/ declare
ACTS: list[tuple] = []
HOUR, DAY = 3600, 86400
NO_TWINS = ("operator", "workers")      # modules whose acts make no rows
BUSY = "the app finds the database busy"
# Of a cycle, in which a user has some 50 messages of 30 kB: most cross a threshold twice
EMAIL_LIMITS, BYTE_LIMITS = (12, 24, 40, 60), (2 * 10 ** 5, 6 * 10 ** 5, 10 ** 6)
ACTIVE = "status = 'active'"            # of a user
ANY = "1 = 1"
OF_ACTIVE = "user_id IN (SELECT id FROM {users} WHERE status = 'active')"
# Of a mailbox; see outside.py
NATURES = ("good", "good", "good", "good", "flaky", "flaky", "full", "gone")


def act(per_day: float, of: str = "", where: str = ANY):
    """Mark a function as something that happens so often a day; `of`: to one of the rows of that
    table, which it is given, and not at all where there is none."""
    def mark(function):
        @functools.wraps(function)
        def happens(world, chosen, *more) -> str:
            row = world.pick(chosen, of, where, now=world.text(), since=world.text(days=6))
            return function(world, chosen, row, *more) if row else ""
        ACTS.append((per_day, happens if of else function))
        return ACTS[-1][1]
    return mark


def change(name: str, per_day: float, of: str, where: str, words: str, *statements: str) -> None:
    """Declare an act that does no more than to change one of the rows. `:now` is the time, `:then`
    often the last full half hour."""
    def happens(world, chosen, row) -> str:
        for sql in statements:
            more = {"then": world.half_hour(chosen)} if ":then" in sql else {}
            world.db.execute(sql, **{**row, "now": world.text(), **more})
        return words.format(**row)
    happens.__name__ = name
    act(per_day, of, where)(happens)


class World:
    """`db` is open during acts, and closed before a process is forked. `did` counts acts."""

    def __init__(self, simulation) -> None:
        self.simulation, self.clock, self.seed = simulation, simulation.clock, simulation.seed
        self.spool: Path = simulation.folder / "spool"
        self.did: Counter = Counter()
        self.numbers = iter(range(1, 10 ** 9))
        self.db = None

    def open(self) -> None:
        if self.db is None:
            self.db = Client(self.simulation.url, timeout=1)

    def close(self) -> None:
        if self.db is not None:
            self.db.close()
            self.db = None

    # When

    def acts_of(self, day: int) -> list[tuple]:
        """(second, number, function) of all acts of a day, in order; the seed alone decides."""
        chosen, found = random.Random(f"{self.seed} acts {day}"), []
        for per_day, function in ACTS:
            number = int(per_day) + (chosen.random() < per_day % 1)
            found += [(day * DAY + chosen.randrange(DAY), function) for _ in range(number)]
        found.sort(key=lambda each: (each[0], each[1].__name__))
        return [(second, at, function) for at, (second, function) in enumerate(found)]

    def do(self, day: int, number: int, function) -> str:
        """Do one act, of which one in ten has a twin or several at the same second; words for the
        story, or "" where there was nothing to do it with."""
        chosen, found = random.Random(f"{self.seed} {day} {number} {function.__name__}"), []
        may_repeat = function.__module__.rpartition(".")[2] not in NO_TWINS
        times = chosen.choice((2, 3, 4)) if chosen.random() < 0.1 and may_repeat else 1
        for _ in range(times):
            if words := self.attempt(function, self, chosen):
                found.append(words)
            if words == BUSY:
                break
        if number := len(found) - (BUSY in found):
            self.did[function.__name__] += number
        return "; ".join(found)

    def attempt(self, function, *given) -> str:
        """What the act says, or that it could not be done: a stopped process locks the rows."""
        self.open()
        try:
            return function(*given)
        except Busy:
            return BUSY

    # What acts are made of

    def now(self) -> datetime:
        """The time that it is, for the app's columns."""
        return START + timedelta(seconds=int(self.clock.seconds))

    def text(self, **ago) -> str:
        """So long ago, as a column has it."""
        return f"{self.now() - timedelta(**ago):%Y-%m-%d %H:%M:%S}"

    def half_hour(self, chosen) -> str:
        """Often the last full one: rows are met exactly at their limit."""
        return self.text(seconds=self.clock.seconds % (HOUR / 2) if chosen.random() < 0.5 else 0)

    def add(self, table: str, **values) -> int:
        """A row; its id."""
        id = self.db.insert(table, **values)
        self.simulation.number(table, id)
        return id

    def pick(self, chosen, table: str, where: str = ANY, **values) -> dict | None:
        """One of the rows, or None."""
        rows = self.db.query(f"SELECT * FROM {{{table}}} WHERE {where} ORDER BY id", **values)
        return chosen.choice(rows) if rows else None

    def spooled(self, size: int, ago: float = 0) -> str:
        """A raw message that has been in the spool for so many seconds; its path there."""
        path = f"{self.now():%Y/%m}/m{next(self.numbers)}.eml"
        file = self.spool / path
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = (f"From: someone@sender.test\r\nMessage-ID: <{path}>\r\nSubject: {path}\r\n\r\n")
        file.write_bytes(head.encode() + b"x" * max(0, size - len(head)))
        file.chmod(0o600)
        moment = self.now().timestamp() - ago
        os.utime(file, (moment, moment))
        return path

    def mailbox(self, chosen, user: int) -> str:
        """An address of a user's, whose name tells how it behaves."""
        return f"u{user}n{next(self.numbers)}-{chosen.choice(NATURES)}@home.test"
