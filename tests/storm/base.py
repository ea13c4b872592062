"""One job on one database, killed again and again: what all kinds of jobs share."""
from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from pathlib import Path
from signal import SIGKILL

from tests.simulation.acts import mail
from tests.simulation.clock import Shared, VirtualClock
from tests.simulation.host import Host
from tests.simulation.outside import Journal, Outside, Weather
from tests.simulation.points import POINTS, Strikes
from tests.simulation.world import World

MINUTE, HOUR = 60, 3600
OWNERS, ROWS = 30, 10               # accounts that stay; rows that are added before each tick
PER_HOUR = 60                       # the relay's limit, which is met now and then
COUNTED = 400                       # where the shared memory counts the points of a whole run


class Counting(Strikes):
    """Counts the points of runs, too."""

    def reached(self, kind: str, side: int) -> None:
        if self._running:
            self._counts[COUNTED + POINTS.index(f"{('before', 'after')[side]} {kind}")] += 1
        super().reached(kind, side)

    def counted(self) -> dict[str, int]:
        """{point: how often it was reached}"""
        return {point: self._counts[COUNTED + at] for at, point in enumerate(POINTS)
                if self._counts[COUNTED + at]}


class Storm:
    """One job on one database. A kind of queue says by `open` which of its rows have not come to
    their end, adds one by `add`, and yields by `judge` what is wrong in the end."""

    timeout, redis, mutant = 10.0, "", ""            # as Host asks for them
    table, open = "", "status NOT IN ('sent', 'delivered', 'failed')"
    steps = (5, 5, 15, 65)          # minutes between two ticks
    has_second_host = True          # with no lock between them
    crowd = 8 * ROWS                # so many open rows at most

    def __init__(self, job: str, seed: int, folder: Path, url: str | None) -> None:
        self.job, self.seed, self.tick, self.folder = job, seed, 0, folder
        self.url = url or f"sqlite:///{folder}/jobs.db"
        shared = Shared()
        self.clock, self.strikes = VirtualClock(shared), Counting(shared)
        self.journal, self.weather = Journal(folder / "journal"), Weather(self.clock)
        self.outside = Outside(seed, self.clock, self.strikes, self.weather, self.journal)
        self.world, self.chosen = World(self), random.Random(f"{seed} {job}")
        self.hosts = [Host(folder / f"host{n}", self, folder) for n in (1, 2)]
        for host in self.hosts:
            host.configure(core={"lock": "file", "max_clock_jump": "off"},
                           mail={"per_hour": PER_HOUR})
        self.hosts = self.hosts[:1 + self.has_second_host]
        self.kills: Counter = Counter()
        self.wrong: list[str] = []

    def number(self, _table: str, id: int) -> int:      # as World asks for it
        return id

    def connecting(self) -> None:                       # as Host does: the database is there
        pass

    def run(self, kills: int) -> None:
        """Kill so often, let the queue come to its end, and judge."""
        for name in ("spool", "exports", "archive"):
            (self.folder / name).mkdir(mode=0o700)
        self.hosts[0].run("migrate")
        self.world.open()
        for _ in range(OWNERS):
            mail.sign_up(self.world, self.chosen)
        self.prepare()
        while sum(self.kills.values()) < kills and self.tick < 8 * kills + 40:
            for _ in range(ROWS):
                if self.left() < self.crowd:
                    self.add()
            if self.tick < 2:               # two that nobody kills show which points there are
                self._work([(self.hosts[0], 0.0)], HOUR)
                continue
            points = self.strikes.counted()
            for _ in range(2):
                kind = self.chosen.choice(sorted({point.split()[1] for point in points}))
                point = self.chosen.choice([each for each in points if each.endswith(kind)])
                number = self.chosen.randint(1, 1 + points[point] // self.tick)
                self.strikes.aim(self.job, point, number, SIGKILL)
            second = self.chosen.choice(self.hosts)     # the first itself is behind the same lock
            self._work([(self.hosts[0], 0.0), (second, self.chosen.uniform(0, 0.1))],
                       self.chosen.choice(self.steps) * MINUTE)
            self.strikes.disarm(aims=True)
        for number in range(300):       # each host comes again before the hours go by
            if not self.left():
                break
            self._work([(self.hosts[number % len(self.hosts)], 0.0)],
                       5 * MINUTE if number < 8 else 3 * HOUR)
        if sum(self.kills.values()) < kills:
            self.wrong.append(f"only {sum(self.kills.values())} kills")
        self.wrong += self.judge()
        self.world.close()

    def _work(self, starts: list[tuple], later: float) -> None:
        """Some time later start a process on each host, after so many seconds, and wait for all."""
        self.world.close()
        self.clock.seconds += later
        children = {}
        for host, seconds in starts:
            time.sleep(seconds)
            self.tick += 1
            self.strikes.take_aim()
            children[host.start(self.job)] = host
        for child, host in children.items():
            code = host.wait(child)
            if code == -SIGKILL:
                self.kills[self.strikes.last()[0].removeprefix("SIGKILL ") or "another"] += 1
            elif code:
                self.wrong.append(f"a process ended with {code}: {host.printed()[:500]}")
        self.world.open()
        self.after_tick()

    def left(self) -> int:
        return self.world.db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {self.open}")

    # What kinds have of their own

    def prepare(self) -> None:
        """What is there before the first tick."""

    def after_tick(self) -> None:
        """What somebody else does then, or what has to hold at any time."""

    # What kinds need

    def rows(self, sql: str) -> list[dict]:
        return self.world.db.query(sql)

    def attempts(self, kind: str) -> dict[str, list]:
        """{id of an item: what came of each of its attempts}"""
        found = defaultdict(list)
        for row in self.rows("SELECT item_id, kind, outcome FROM {attempts} ORDER BY id"):
            if row["kind"] == kind:
                found[str(row["item_id"])].append(row["outcome"])
        return found

    def notices(self) -> Counter:
        return Counter(row["user_id"] for row in self.rows("SELECT user_id FROM {notifications}"))

    def user(self, status: str, **values) -> int:
        number = next(self.world.numbers)
        return self.world.add("users", email=f"new{number}@home.test", name=f"New {number}",
                              status=status, created_at=self.world.text(days=90), **values)
