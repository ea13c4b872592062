"""One run of the simulation: acts, faults and ticks in order of time, judged after each tick."""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from types import SimpleNamespace

from tests.support import product
from tests.support.db import Busy, Client

from . import acts, catastrophes, oracle, outside, points
from . import faults as faults_
from .faults import DAY, HOUR, Fault
from .host import Host
from .oracle.judge import Judge
from .world import World

MINUTE = 60
# Between two ticks: one that finds nothing due would only show that it costs nothing.
LONGEST = 120 * MINUTE
APART = 15 * MINUTE             # two ticks for the same rows
# What acts write; the rest changes in ticks and commands alone.
ACTED_ON = (*product.app_tables.TABLES, "notifications", "notification_optouts")
# The story names rows of them by their order.
NUMBERED = ("failed_emails", "notifications", "webhook_deliveries", "audit_logs")
DOUBT = 76 * HOUR                # that nothing goes by its age after a day or more without cron
LATEST = 9                      # commits of a tick before the database becomes busy
NOTICED_WITHIN = 30             # real seconds
TOLD = 40                        # lines of the story that are kept
SENT_BY = {oracle.QUEUES[name]: job for name, job in oracle.mail.JOBS.items()}
# What may be planned, in the order in which it is done at one moment, all before a tick.
ACTS, LATER, FAULTS, CLOCK, PLANNED, STOPPED = range(6)

def play(seed: int, days: int, minutes: float = 0.0, **how) -> SimpleNamespace:
    """Make a run; what another process may hear of it."""
    simulation = Simulation(seed, days, **how)
    simulation.run(until=time.monotonic() + minutes * 60 if minutes else None)
    return SimpleNamespace(
        digest=simulation.digest, counts=simulation.counts, wrong=simulation.failure(),
        told=simulation.lines, seconds=simulation.clock.seconds)


class Simulation:
    """What all parts of one run share, and the run itself. `wrong` is the first sentence of a rule
    that was broken.

    `digest` stands for all that happened: the same seed has the same one.
    """

    timeout = 0.05               # seconds that a process waits for another's write

    def __init__(self, seed: int, days: int, url=None, faults: list[Fault] | None = None,
                 hosts: int = 1, redis: str = "", mutant=None) -> None:
        self.seed, self.days, self.mutant = seed, days, mutant
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=base))
        self.url = url or f"sqlite:///{self.folder}/jobs.db"
        self.faults = faults_.draw(seed, days) if faults is None else faults
        self.clock = points.Shared.make()
        self.strikes = points.Strikes(self.clock)
        self.journal = outside.Journal(self.folder / "journal")
        self.weather = outside.Weather(self.clock)
        self.outside = outside.Outside(seed, self.clock, self.strikes, self.weather, self.journal)
        self.world = World(self)
        self.redis = redis
        self.hosts = [Host(self.folder / f"host{number}", self, self.folder)
                      for number in range(1, hosts + 1)]
        self.judge = Judge()
        self.tick, self.counts = 0, Counter({"messages accepted": 0, "second copies": 0})
        self._accepted: set[str] = set()
        self.lines: list[str] = []
        self.wrong = ""
        self._bad: list[tuple] = []             # (from, to, what, words): something is wrong
        self._plans: list[list] = [[] for _ in range(STOPPED + 1)]
        self._order = count()
        for fault in sorted(self.faults):
            self._plan(FAULTS, fault.at, partial(self._begin_fault, fault))
        self._catastrophe: catastrophes.Catastrophe | None = None
        self._last_trouble = 0.0
        self._clock_right_since = -3.0 * DAY
        self._last_tick = 0.0
        self._seen: dict = {}
        self._numbers: dict[str, dict] = {}     # {table: {id: which of its rows it is}}

    # The run

    def run(self, until: float | None = None) -> None:
        """All of it, or as many days as end before `until` on time.monotonic(). The folder is
        removed unless a rule was broken."""
        Host.warm(self.redis)
        for name in catastrophes.FOLDERS:
            (self.folder / name).mkdir(mode=0o700)
        if self.hosts[0].run("migrate"):
            raise RuntimeError(self.hosts[0].printed())
        acts.mail.begin(self.world)
        acts.upkeep.begin(self.world)
        self._say("the service begins")
        for words in ((), ("--yes",)):          # log retentions of so many users are meant
            self.command(self.hosts[0], "purge_message_logs", *words)
        end = self.days * DAY
        for day in range(self.days):
            self._plans[ACTS].clear()           # what a long tick has left no time for
            for second, number, act in self.world.acts_of(day):
                self._plan(ACTS, second, partial(self.world.do, day, number, act))
            while not self.wrong and (moment := self._next(min((day + 1) * DAY, end))) is not None:
                self._go_to(moment)
            if self.wrong:
                break
            self.clock.seconds = max((day + 1) * DAY, self.clock.seconds)
            self.strikes.disarm(aims=day >= self.days - 2)
            if until and time.monotonic() > until:
                self.days = day + 1
                break
        self.world.close()
        for host in self.hosts:
            for child in [*host.stopped]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        if not self.wrong:
            self.remove()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def failure(self) -> str:
        """What is wrong, the last lines of the story, and where all is to be found; or ""."""
        return self.wrong and "\n".join([
            f"WRONG on day {self.day}: {self.wrong}\n", *self.lines[-TOLD:],
            f"\nits files are in {self.folder}"])

    @property
    def day(self) -> int:
        """Which day it is, from 1 on."""
        return int(self.clock.seconds // DAY) + 1

    @property
    def digest(self) -> str:
        """Of all that was told."""
        told = "".join(f"{line}\n" for line in self.lines)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    # Time

    def _next(self, end: float) -> float | None:
        """The next second at which something happens; None at the end of the day."""
        moments = [self._next_tick(), *(plans[0][0] for plans in self._plans if plans)]
        moment = max(min(moments), self.clock.seconds)
        return moment if moment < end else None

    def _next_tick(self) -> float:
        """When cron starts the next tick that may find something to do."""
        # on the half hour, as acts choose their times too: what is just at its limit is met
        second = (self._last_tick // LONGEST + 1) * LONGEST
        for due in self._due():
            second = min(second, max(due, self._last_tick + MINUTE))
        for start, stop, what, _ in self._bad:
            if what == "cron" and start <= second < stop:
                second = stop
        return -(-second // MINUTE) * MINUTE

    def _due(self):
        """When rows of the queues are due that do not wait for something else."""
        users = self._seen.get("users", {})
        paused = {job for job, row in self._seen.get("job_state", {}).items() if row["paused_at"]}
        for table, job in SENT_BY.items():
            first = HOUR if table == "failed_emails" else 0
            for row in self._seen.get(table, {}).values() if job not in paused else ():
                owner = users.get(row["user_id"])
                if row["status"] in ("pending", "sending") and not (
                        owner and owner["status"] == "suspended"):
                    due = oracle.seconds(row["next_attempt_at"])
                    if due is None:
                        due = oracle.seconds(row["created_at"]) + first
                    yield max(due, self._last_tick + APART)

    def _plan(self, kind: int, second: float, act) -> None:
        heappush(self._plans[kind], (second, next(self._order), act))

    def at(self, seconds: float, act, words: str, kind: int = PLANNED) -> None:
        """Do that in so many seconds, or as soon as the database is free again."""
        def do() -> None:
            self._say(words)
            try:
                act()
            except Busy:
                self._plan(kind, self.clock.seconds + MINUTE, do)
        self._plan(kind, self.clock.seconds + seconds, do)

    def later(self, seconds: float, act) -> None:
        """Let the app do that in so many seconds."""
        self._plan(LATER, self.clock.seconds + seconds, partial(self.world.attempt, act))

    def _go_to(self, moment: float) -> None:
        """Let time pass until then, and do what is to happen."""
        self.clock.seconds = moment
        for plans in self._plans:
            if plans and plans[0][0] <= moment:
                if words := heappop(plans)[-1]():
                    self._say(words)
                return
        self._last_tick = moment
        for host in self.hosts:
            if not self.wrong:
                self.command(host, "run-due")

    # Faults

    def _begin_fault(self, fault: Fault) -> None:
        kind, about, now = fault.kind, fault.about, self.clock.seconds
        words = faults_.words(fault)
        self._say(words)
        self.counts[f"fault: {kind}"] += 1
        if kind == "strike":
            self.strikes.arm(*about)
        elif kind == "aim":
            self.strikes.aim(*about)
        elif kind == "catastrophe":
            name, seconds = about
            found = catastrophes.KINDS[name](self)
            # if there is none, nor a process that would go on in it
            if not self._catastrophe and not self._plans[STOPPED] and found.begin(seconds):
                self._catastrophe = found
                self._bad.append((now, now + seconds, kind, name))
                self.at(seconds, self._mend, f"over: {name}")
        else:
            self._bad.append((now, now + about[-1], about[0] if kind == "database" else kind,
                              words))
        if kind == "spell":
            self.weather.add(*about)
        elif kind == "cron" and about[0] >= DAY:
            self._bad.append((now, now + about[0] + DOUBT, "doubt", "the clock is in doubt"))
        elif kind == "clock":
            self.clock.skew = about[0]
            self._clock_right_since = now + about[1]
            self._plans[CLOCK].clear()
            self.at(about[1], partial(setattr, self.clock, "skew", 0.0),
                    "the clock is right again", CLOCK)

    def _mend(self) -> None:
        found, self._catastrophe = self._catastrophe, None
        found.mend()

    def _is_bad(self) -> dict[str, str]:
        """{what is wrong at this moment: in words}"""
        now = self.clock.seconds
        return {what: words for start, stop, what, words in self._bad if start <= now < stop}

    def trouble(self) -> str:
        """All that is wrong at this moment, in words."""
        found = [*self._is_bad().values()]
        found += [f"{job} is paused" for job, row in self._seen.get("job_state", {}).items()
                  if row["paused_at"]]
        return "; ".join(found + ["a process is stopped"] * bool(self._plans[STOPPED]))

    def connecting(self) -> None:
        """Raises what a process meets that connects now."""
        if "gone" in self._is_bad():
            raise product.Lost("the database server went away")

    # Ticks

    def command(self, host: Host, *words: str, child: int | None = None) -> None:
        """What cron or the operator begins there, or a stopped process goes on with; judged."""
        before = self.look(ACTED_ON) if self._seen else self.look()
        began, self.tick = self.clock.seconds, self.tick + 1
        others = self._connected()
        self.world.close()
        struck = []
        self.strikes.take_aim()
        bad, trouble = self._is_bad(), self.trouble()
        later = "busy in mid-run" in bad
        with self._busy(later) if later or "busy" in bad else nullcontext():
            code = host.go_on(child) if child else host.run(*words)
            self._note_strike(host, code, struck)
            # a worker ends with 2 where config.ini was cut and no job is its own any more
            if (any(values.get("mode") == "rq" for values in host.options.values())
                    and not child and words == ("run-due",) and code != -signal.SIGSTOP):
                of_worker = host.run("worker", "--burst")
                self._note_strike(host, of_worker, struck)
                code = code or (0 if self._catastrophe and of_worker == 2 else of_worker)
        if struck and not any("SIGSTOP" in words for words in struck):
            self._until_cut_off(others)
        if code == -signal.SIGSTOP:
            self._plan(STOPPED, began + HOUR * (1 + self.tick % 5),
                       partial(self.command, host, "run-due", child=host.stopped[-1]))
        self.counts["ticks" if words == ("run-due",) else "commands"] += 1
        self._stamp(host)
        printed = host.printed().replace(str(self.folder), "")      # the same in every story
        if code not in (0, 143) and code > 0:
            told = re.sub(r"\(\d+\)", "(id)", printed)[:300]        # ids differ by engine
            self._say(f"{host.folder.name} ends with {code}: {told!r}")
        if code == 70:
            raise RuntimeError(printed)
        now = self.clock.seconds
        trouble = self.trouble() or trouble         # a run that waits for the end of it has met it
        # what no tick has met counts too: while cron was away, nothing could be done in time
        self._last_trouble = max(self._last_trouble, *(stop for _, stop, *_ in self._bad
                                                       if stop <= now), 0)
        if struck or child or trouble:              # one that goes on was stopped until now
            self._last_trouble = now
        self._judge(began, before, struck, trouble, words, code, printed)

    def _note_strike(self, host: Host, code: int, struck: list) -> None:
        words, job = self.strikes.last()
        if code == -signal.SIGKILL and not words:   # somebody else's on this machine: one like ours
            words = "SIGKILL from outside"
        if words:
            struck.append(words)
            self.counts[words] += 1
            self._say(f"{host.folder.name}: {words}" + (f" of {job}" if job else ""))
            if job:
                self.counts[f"aimed: {job}"] += 1
        elif code < 0:
            raise RuntimeError(f"a tick ended with signal {-code}, which was not armed")

    def _connected(self) -> set:
        """The numbers of a server's connections to the database, but our own."""
        self.world.open()
        return set() if self.world.db.is_sqlite else {row["id"] for row in self.world.db.query(
            "SELECT id FROM information_schema.processlist "
            "WHERE db = DATABASE() AND id <> CONNECTION_ID()")}

    def _until_cut_off(self, others: set) -> None:
        """Wait until a server has noticed that a killed process is gone: what that has locked is
        free a moment later, which must not depend on how busy this machine is."""
        end = time.monotonic() + NOTICED_WITHIN
        while self._connected() - others:
            if time.monotonic() > end:
                raise RuntimeError("the server does not notice that a process was killed")
            time.sleep(0.01)

    @contextmanager
    def _busy(self, later: bool):
        """Another process is writing, and takes its time: from the first moment on, or from one of
        the commits of the tick on."""
        go, ready, done = os.pipe(), os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.read(go[0], 1)
            db = Client(self.url, timeout=30)
            with suppress(Busy), db.transaction():
                for table in SENT_BY:
                    db.execute(f"UPDATE {{{table}}} SET user_id = user_id")
                os.write(ready[1], b"x")
                os.read(done[0], 1)
            os._exit(0)
        if later:
            self.strikes.let_in(1 + self.tick % LATEST, go[1], ready[0])
        else:
            os.write(go[1], b"x")
            os.read(ready[0], 1)
        try:
            yield
        finally:
            self.strikes.let_in(0, -1, -1)
            os.write(go[1], b"x")
            os.write(done[1], b"x")
            os.waitpid(child, 0)
            for file in (*go, *ready, *done):
                os.close(file)

    def _stamp(self, host: Host) -> None:
        """Give the files that were written just now the time that it is here."""
        moment, started = self.clock.now().timestamp(), oracle.START.timestamp()
        for folder in (host.folder / "state", *map(self.folder.joinpath, catastrophes.FOLDERS)):
            for path in folder.rglob("*") if folder.exists() else ():
                if path.stat().st_mtime < started:
                    os.utime(path, (moment, moment))

    # Judgement

    def look(self, tables=()) -> dict:
        """All rows of all tables, as {table: {id: row}}; `tables`: read only these again."""
        self.world.open()
        tables = tables or self.world.db.tables()
        found = {**self._seen}
        for table in tables:
            key, rows = product.table(table).key, self.world.db.query(f"SELECT * FROM {{{table}}}")
            found[table] = {row[key[0]] if len(key) == 1 else tuple(row[name] for name in key): row
                            for row in rows}
        for table in tables:
            for id in sorted(found[table]) if table in NUMBERED else ():
                self.number(table, id)
        self._seen = found
        return found

    def number(self, table: str, id) -> int:
        """Which row of its table it is, as the story has it. Ids would differ: those of an INSERT
        that is taken back, or finds its row there, are used again by SQLite alone."""
        known = self._numbers.setdefault(table, {})
        return known.setdefault(id, len(known) + 1)

    def _judge(self, began: float, before: dict, struck, trouble: str, words, code,
               printed) -> None:
        after = self.look()
        files = {name: {str(path.relative_to(self.folder / name))
                        for path in (self.folder / name).rglob("*") if path.is_file()}
                 for name in catastrophes.FOLDERS}
        step = oracle.Step(
            began, self.clock.seconds, before, after, self.journal.new(), struck,
            self._last_trouble, trouble, files, self.hosts[0].options, self._clock_right_since,
            self.clock.skew, words, code, printed, self.judge.ages)
        for entry in step.journal:
            self.counts[f"{entry['what']} {entry.get('outcome') or entry.get('status')}"] += 1
            kind, _, id = entry["item"].partition("-")
            table, item = oracle.QUEUES.get(kind), entry["item"]
            if table in oracle.mail.TABLES.values() and oracle.is_good(entry):
                self.counts["second copies" if item in self._accepted else "messages accepted"] += 1
                self._accepted.add(item)
            told = {**entry, "item": f"{kind}-{self.number(table, int(id))}" if table else item}
            self._say(" ".join(f"{value}" for name, value in told.items()
                               if name in ("what", "item", "to", "outcome", "status", "url")))
        for row in step.new("job_runs").values():
            self.counts[f"runs: {row['trigger_type']}"] += 1
        for table in SENT_BY:
            for id, row in step.after[table].items():
                was = step.before[table].get(id, {}).get("status", "new")
                if was != row["status"]:
                    self._say(f"{table} {self.number(table, id)}: {was} -> {row['status']}")
        self.wrong = self.judge.wrong(step, *[self._catastrophe] * bool(self._catastrophe))

    def _say(self, words: str) -> None:
        self.lines.append(f"{oracle.text(self.clock.seconds)}  {words}")

