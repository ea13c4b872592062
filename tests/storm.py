"""A storm of SIGKILLs on the queues: two processes work one queue, with the job's lock or without,
and are killed at points drawn evenly over what a run does; then all of it is judged.

    python3 -m tests.storm                              200 kills in each job on each engine
    python3 -m tests.storm --job retry_webhooks --engine sqlite --kills 50 --seed 7

It prints a line for each job and engine, and ends with 1 when something was lost, is stuck, or was
sent more often than its attempts on record explain. The clock, the relay, the endpoints and the
name servers are those of tests/simulation.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL

from tests.servers.mariadb import MariaDB
from tests.simulation.acts import accounts, mail, web
from tests.simulation.clock import Shared, VirtualClock
from tests.simulation.host import Host
from tests.simulation.outside import Journal, Outside, Spell, Weather
from tests.simulation.points import POINTS, Strikes
from tests.simulation.world import World

MINUTE, HOUR, EVER = 60, 3600, 10 ** 9
OWNERS, ROWS = 30, 10               # accounts that stay; rows that are added before each tick
PER_HOUR = 60                       # the relay's limit, which is met now and then
COUNTED = 400                       # where the shared memory counts the points of a whole run
NOTHING_SENT = ("relay", "lost", "given back", "unreadable", "postponed", "unusable")


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

    def __init__(self, job: str, seed: int, folder: Path, url: str | None) -> None:
        self.job, self.seed, self.tick, self.folder = job, seed, 0, folder
        self.url = url or f"sqlite:///{folder}/jobs.db"
        shared = Shared()
        self.clock, self.strikes = VirtualClock(shared), Counting(shared)
        self.journal, self.weather = Journal(folder / "journal"), Weather(self.clock)
        self.outside = Outside(seed, self.clock, self.strikes, self.weather, self.journal)
        self.world, self.chosen = World(self), random.Random(f"{seed} {job}")
        self.hosts = [Host(folder / f"host{n}", self, folder) for n in (1, 2)]
        for host in self.hosts:             # two of them have no lock between them
            host.configure(core={"lock": "file"}, mail={"per_hour": PER_HOUR})
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
        while sum(self.kills.values()) < kills and self.tick < 8 * kills + 40:
            for _ in range(ROWS if self._left() < 8 * ROWS else 0):
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
                       self.chosen.choice((5, 5, 15, 65)) * MINUTE)
            self.strikes.disarm(aims=True)
        for number in range(300):       # each host comes again before the hours go by
            if not self._left():
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
            code = host.wait(child)
            if code == -SIGKILL:
                self.kills[self.strikes.last()[0].removeprefix("SIGKILL ") or "another"] += 1
            elif code:
                self.wrong.append(f"a process ended with {code}: {host.printed()[:500]}")
        self.world.open()

    def _left(self) -> int:
        return self.world.db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {self.open}")

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


class Messages(Storm):
    """What is sent has arrived, and again only where an attempt on record explains it."""

    item = kind = ""                    # as the journal and `attempts` call it
    most = 0                            # attempts of a row

    def judge(self):
        entries, attempts, times = defaultdict(list), self.attempts(self.kind), []
        for entry in self.journal.new():
            if entry.get("outcome") not in NOTHING_SENT:
                entries[entry["item"]].append(entry)
        for row in self.rows(f"SELECT * FROM {{{self.table}}}"):
            sent, outcomes = entries[f"{self.item}-{row['id']}"], attempts[str(row["id"])]
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
                    "given up": has_failed and not refused and row["attempts"] < self.most,
                    "unexplained copies": len(taken) - 1 > used.count("uncertain"),
                    "not on record": len(sent) > len(used),
                    "an attempt made three times": len(sent) > 2 * row["attempts"],
                    "sent after its end": not {"sent", "delivered"}.isdisjoint(outcomes[:-1]),
                    "other bytes": len({entry.get("digest") or entry["id"] for entry in sent}) > 1,
                    }.items():
                if is_wrong:
                    yield f"{words}: {self.item} {row['id']}, {row['status']}, {sent}, {outcomes}"
        times.sort()                    # an attempt counts from its begin, a moment before
        if self.item != "webhook" and any(end - begin < HOUR - 30 for begin, end in
                                          zip(times, times[PER_HOUR:])):
            yield f"more than {PER_HOUR} messages within an hour"


class Forwards(Messages):
    table, item, kind, most = "failed_emails", "forward", "forward", 4

    def add(self) -> None:
        mail.forward_fails(self.world, self.chosen)


class Notices(Messages):
    table, item, kind, most = "notifications", "notice", "notification", 7

    def add(self) -> None:
        accounts.notice_of_app(self.world, self.chosen)


class Deliveries(Messages):
    table, item, kind, most = "webhook_deliveries", "webhook", "webhook", 5

    def add(self) -> None:
        web.new_endpoint(self.world, self.chosen)
        if self.chosen.random() < 0.02:
            host, now = self.world.pick(self.chosen, "webhooks")["url"].split("/")[2], self.clock
            how = self.chosen.choice(("broken", "busy", "away"))
            self.weather.add(host, Spell(now.seconds, now.seconds + HOUR, how))
        web.event(self.world, self.chosen)


class Exports(Storm):
    """`export_accounts`: each file is whole, named by its row, and announced once."""

    table, open = "export_requests", "status IN ('queued', 'running')"

    def add(self) -> None:
        if self.chosen.random() < 0.25:         # each is a file
            self.world.add("export_requests", user_id=self.user("active"), status="queued",
                           requested_at=self.world.text())

    def judge(self):
        notices, files = self.notices(), self.folder / "exports"
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                 for path in files.glob("[!.]*")}
        for row in self.rows("SELECT * FROM {export_requests}"):
            digest = found.pop(str(row["file_name"]), None)
            is_right = digest == row["sha256"] if row["status"] in ("ready", "expired") else (
                row["status"] == "failed" and row["attempts"] >= 3 and digest is None)
            if not is_right or notices[row["user_id"]] != 1:
                yield f"{row}, its file has {digest}, {notices[row['user_id']]} notices"
        yield from (f"no row names {name}" for name in found)


class Domains(Storm):
    """`check_domains`: each is verified, on record, and its owner heard of it once."""

    table, open = "domains", "status <> 'verified'"

    def add(self) -> None:
        user, name = self.user("active"), f"d{next(self.world.numbers)}.test"
        self.weather.add(name, Spell(0, EVER, "right"))
        self.world.add("domains", user_id=user, name=name, created_at=self.world.text(),
                       ownership_token=f"token-{name.partition('.')[0]}")

    def judge(self):
        notices, attempts = self.notices(), self.attempts("domain")
        for row in self.rows("SELECT * FROM {domains}"):
            facts = row["status"], notices[row["user_id"]], bool(attempts[str(row["id"])])
            if facts != ("verified", 1, True):
                yield f"domain {row['id']}: status, notices, on record: {facts}"


class Deletions(Storm):
    """`delete_accounts`: nothing is left of any account, and each is on record once."""

    table, open = "users", "status = 'deleted'"
    left = "aliases destinations failed_emails webhooks audit_logs notifications".split()

    def add(self) -> None:
        if self.chosen.random() < 0.25:
            user, path = self.user("deleted", deleted_at=self.world.text(days=8)), "gone.test"
            alias = self.world.add("aliases", user_id=user, address=f"a{user}@{path}")
            goal = self.world.add("destinations", user_id=user, email=f"g{user}@home.test")
            self.world.add_link(alias, goal)
            self.world.add("failed_emails", user_id=user, alias_id=alias, raw_path=self.world
                           .spooled(300), envelope_to=f"g{user}@home.test")
            self.world.add("webhooks", user_id=user, url="https://x.test/", secret=web.SECRET)
            self.world.add("audit_logs", user_id=user, actor="app", event="login")

    def judge(self):
        for table in self.left:
            yield from (f"{table} {row['id']} is left" for row in self.rows(
                f"SELECT id FROM {{{table}}} WHERE user_id > {OWNERS}"))
        yield from (f"{path} is left" for path in (self.folder / "spool").rglob("*.eml"))
        deletions = "{account_deletions}"
        facts = [len(self.rows(f"SELECT 1 AS one FROM {rows}")) for rows in (
            "{retired_addresses}", deletions, f"{deletions} WHERE completed_at IS NOT NULL",
            "{audit_logs} WHERE event = 'account.deleted'")]
        if len({*facts}) > 1:
            yield f"addresses, deletions begun, completed, audited: {facts}"


KINDS = {"retry_forwards": Forwards, "send_notifications": Notices, "retry_webhooks": Deliveries,
         "export_accounts": Exports, "check_domains": Domains, "delete_accounts": Deletions}


def main(argv: list[str]) -> int:
    """Storms as asked for; 1 when one of them found something."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python3 -m tests.storm",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", action="append", choices=[*KINDS])
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = parser.parse_args(argv)
    Host.warm()
    good = True
    with ExitStack() as stack:
        server = None if options.engine == ["sqlite"] else stack.enter_context(MariaDB())
        for job in options.job or KINDS:
            for engine in options.engine or ("sqlite", "mariadb"):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
                began, url = time.monotonic(), server.database() if engine == "mariadb" else None
                storm = KINDS[job](job, options.seed, folder, url)
                storm.run(options.kills)
                print(f"{job} on {engine}: {len(storm.wrong)} wrong, seed {options.seed}, "
                      f"{storm.tick} runs, {time.monotonic() - began:.0f} s; " + ", ".join(
                          f"{number} {name}" for name, number in sorted(storm.kills.items())),
                      *storm.wrong[:5], sep="\n    ", flush=True)
                good = good and not storm.wrong
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
