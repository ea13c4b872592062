"""A storm of SIGKILLs on each job that works a queue: two processes, each on a host of its own with
no lock between them, are killed at points drawn over all that a run does. Then all is judged:
nothing is lost, stuck or done by halves, and nothing was sent more often than is on record.

The clock, the relay and the endpoints are those of tests/simulation.

A few kills, the same points each time; `STORM=200` in the environment makes 200, at other points.
"""
from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict, namedtuple
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.simulation.acts import accounts, mail, web
from tests.simulation.host import Host
from tests.simulation.outside import Journal, Outside, Weather
from tests.simulation.points import SIDES, Shared, Strikes
from tests.simulation.world import World

KILLS = int(os.environ.get("STORM", "6"))
SEED = int.from_bytes(os.urandom(3), "big") if "STORM" in os.environ else 1
MINUTE, HOUR = 60, 3600
STEPS = (5, 5, 15, 65)              # minutes between two ticks
OWNERS, ROWS = 30, 10               # accounts that stay; rows that are added before each tick
CROWD = 8 * ROWS                    # so many open rows at most
PER_HOUR = 60                       # the relay's limit, which is met now and then
# How many of them a run may meet that has as many rows to do.
FAR = {"statement": 20 * ROWS, "commit": 3 * ROWS, "message": ROWS, "request": ROWS}
NOTHING_SENT = ("relay", "at MAIL", "lost", "given back", "unreadable", "postponed", "unusable")


class Queue(namedtuple("Queue", "table item kind most add points")):
    """`item` and `kind` are what the journal and `attempts` call one of its rows, which has at most
    so many attempts; `add(world, chosen)` makes one."""


def add_delivery(world, chosen) -> None:
    web.new_endpoint(world, chosen)
    if chosen.random() < 0.02:
        host = world.pick(chosen, "webhooks")["url"].split("/")[2]
        world.simulation.weather.add(host, chosen.choice(("broken", "busy", "away")), HOUR)
    web.event(world, chosen)


BOTH = "statement", "commit"
QUEUES = {
    "retry_forwards": Queue("failed_emails", "forward", "forward", 4, mail.forward_fails,
                            (*BOTH, "message")),
    "send_notifications": Queue("notifications", "notice", "notification", 7,
                                accounts.notice_of_app, (*BOTH, "message")),
    "retry_webhooks": Queue("webhook_deliveries", "webhook", "webhook", 5, add_delivery,
                            (*BOTH, "request"))}


class Storm:
    """One job on one database."""

    timeout, redis, mutant = 10.0, "", ""            # as Host asks for them

    def __init__(self, job: str, seed: int, folder: Path, url: str) -> None:
        self.job, self.queue, self.seed, self.tick = job, QUEUES[job], seed, 0
        self.folder, self.url = folder, url
        self.clock = Shared.make()
        self.strikes = Strikes(self.clock)
        self.journal, self.weather = Journal(folder / "journal"), Weather(self.clock)
        self.outside = Outside(seed, self.clock, self.strikes, self.weather, self.journal)
        self.world, self.chosen = World(self), random.Random(f"{seed} {job}")
        self.hosts = [Host(folder / f"host{n}", self, folder) for n in (1, 2)]
        for host in self.hosts:
            host.configure(core={"lock": "file", "max_clock_jump": "off"},
                           mail={"per_hour": PER_HOUR})
        self.kills: Counter = Counter()
        self.wrong: list[str] = []

    def number(self, _table: str, id: int) -> int:      # as World asks for it
        return id

    def connecting(self) -> None:                       # as Host does: the database is there
        pass

    def run(self, kills: int) -> None:
        """Kill so often, let the queue come to its end, and judge."""
        (self.folder / "spool").mkdir(mode=0o700)
        self.hosts[0].run("migrate")
        self.world.open()
        for _ in range(OWNERS):
            mail.sign_up(self.world, self.chosen)
        while sum(self.kills.values()) < kills and self.tick < 8 * kills + 40:
            for _ in range(ROWS):
                if self.left() < CROWD:
                    self.queue.add(self.world, self.chosen)
            for _ in range(2):
                side, kind = self.chosen.choice(SIDES), self.chosen.choice(self.queue.points)
                self.strikes.aim(self.job, f"{side} {kind}", self.chosen.randint(1, FAR[kind]),
                                 SIGKILL)
            second = self.chosen.choice(self.hosts)     # the first itself is behind the same lock
            self._work([(self.hosts[0], 0.0), (second, self.chosen.uniform(0, 0.1))],
                       self.chosen.choice(STEPS) * MINUTE)
            self.strikes.disarm(aims=True)
        for number in range(300):       # each host comes again before the hours go by
            if not self.left():
                break
            self._work([(self.hosts[number % 2], 0.0)], 5 * MINUTE if number < 8 else 3 * HOUR)
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
            if (code := host.wait(child)) == -SIGKILL:
                self.kills[self.strikes.last()[0].removeprefix("SIGKILL ") or "another"] += 1
            elif code:
                self.wrong.append(f"a process ended with {code}: {host.printed()[:500]}")
        self.world.open()

    def left(self) -> int:
        return self.world.db.value(f"SELECT COUNT(*) FROM {{{self.queue.table}}} "
                                   "WHERE status NOT IN ('sent', 'delivered', 'failed')")

    def judge(self):
        """What is sent has arrived, and again only where an attempt on record explains it."""
        table, item, kind, most, *_ = self.queue
        entries, attempts, times = defaultdict(list), defaultdict(list), []
        for row in self.world.db.query("SELECT item_id, kind, outcome FROM {attempts} ORDER BY id"):
            if row["kind"] == kind:
                attempts[str(row["item_id"])].append(row["outcome"])
        for entry in self.journal.new():
            if entry.get("outcome") not in NOTHING_SENT:
                entries[entry["item"]].append(entry)
        for row in self.world.db.query(f"SELECT * FROM {{{table}}}"):
            sent, outcomes = entries[f"{item}-{row['id']}"], attempts[str(row["id"])]
            used = [each for each in outcomes if each not in NOTHING_SENT]
            taken = [entry["at"] for entry in sent if entry.get("outcome") in ("sent", "uncertain")
                     or 200 <= (entry.get("status") or 0) < 300]
            refused = any(entry.get("outcome") == "final" or entry.get("status") == 410
                          for entry in sent)
            is_done, has_failed = row["status"] in ("sent", "delivered"), row["status"] == "failed"
            self.kills["copies"] += max(0, len(taken) - 1)
            self.kills["uncertain"] += used.count("uncertain")
            times += taken
            for words, is_wrong in {
                    "stuck": not is_done and not has_failed, "lost": is_done and not taken,
                    "given up": has_failed and not refused and row["attempts"] < most,
                    "unexplained copies": len(taken) - 1 > used.count("uncertain"),
                    "not on record": len(sent) > len(used),
                    "an attempt made three times": len(sent) > 2 * row["attempts"],
                    "sent after its end": not {"sent", "delivered"}.isdisjoint(outcomes[:-1]),
                    "other bytes": len({entry.get("digest") or entry["id"] for entry in sent}) > 1,
                    }.items():
                if is_wrong:
                    yield f"{words}: {item} {row['id']}, {row['status']}, {sent}, {outcomes}"
        times.sort()                    # an attempt counts from its begin, a moment before
        hours = (end - begin for begin, end in zip(times, times[PER_HOUR:]))
        if item != "webhook" and any(seconds < HOUR - 30 for seconds in hours):
            yield f"more than {PER_HOUR} messages within an hour"


def play(job: str, seed: int, folder: Path, url: str, kills: int) -> list[str]:
    """A storm on one job; what is wrong after it."""
    Host.warm()
    storm = Storm(job, seed, folder, url)
    storm.run(kills)
    return storm.wrong


@pytest.mark.slow
@pytest.mark.parametrize("job", QUEUES)
def test_kills_lose_nothing_and_copies_are_on_record(job, blank_url, tmp_path, alone):  # R2 R12 R22
    assert alone(play, job, SEED, tmp_path, blank_url, KILLS) == [], f"seed {SEED}"
