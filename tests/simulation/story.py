"""One run of the simulation: acts, faults and ticks in order of time, judged after each tick."""
from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque, namedtuple
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.support import product
from tests.support.db import Busy, Client

from . import acts, catastrophes, oracle, outside, points
from . import faults as faults_
from .clock import Shared, VirtualClock
from .faults import DAY, HOUR, Fault
from .host import Host
from .oracle.all import RULES
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
ITEMS = {"forward": "failed_emails", **{name: table for table, name in oracle.ITEMS.items()}}
SENT_BY = {"failed_emails": "retry_forwards", "notifications": "send_notifications",
           "webhook_deliveries": "retry_webhooks"}

Wrong = namedtuple("Wrong", "second sentence story")
Wrong.__doc__ = "A rule that was broken: when, what, and the last lines of the story."
Played = namedtuple("Played", "digest counts wrong told seconds")
Played.__doc__ = """What a run that another process made has come to.

wrong  in words, with the last lines of the story; "" when every rule was kept
told   all lines of the story        seconds  that were simulated
"""


def play(seed: int, days: int, minutes: float = 0.0, **how) -> Played:
    """Make a run, and say what came of it."""
    simulation = Simulation(seed, days, **how)
    simulation.lines = deque()
    wrong = simulation.run(until=time.monotonic() + minutes * 60 if minutes else None)
    words = "\n".join([wrong.sentence, *wrong.story[-TOLD:]]) if wrong else ""
    return Played(simulation.digest, simulation.counts, words, [*simulation.lines],
                  simulation.clock.seconds)


class Simulation:
    """What all parts of one run share, and the run itself. `run()` ends with `wrong` set, or None.

    `digest` stands for all that happened: the same seed has the same one.
    """

    timeout = 0.05               # seconds that a process waits for another's write

    def __init__(self, seed: int, days: int, url=None, faults: list[Fault] | None = None,
                 hosts: int = 1, redis: str = "", mutant: str = "") -> None:
        self.seed, self.days, self.mutant = seed, days, mutant
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=base))
        self.url = url or f"sqlite:///{self.folder}/jobs.db"
        self.faults = faults_.draw(seed, days) if faults is None else faults
        shared = Shared()
        self.clock, self.strikes = VirtualClock(shared), points.Strikes(shared)
        self.journal = outside.Journal(self.folder / "journal")
        self.weather = outside.Weather(self.clock)
        self.outside = outside.Outside(seed, self.clock, self.strikes, self.weather, self.journal)
        self.world = World(self)
        self.redis = redis
        self.hosts = [Host(self.folder / f"host{number}", self, self.folder)
                      for number in range(1, hosts + 1)]
        self.rules = [rule() for rule in RULES]
        self.tick, self.counts = 0, Counter()
        self.lines: deque = deque(maxlen=TOLD)
        self.wrong: Wrong | None = None
        self._hash = hashlib.sha256()
        self._away: list[tuple] = []            # (from, to) in which cron is away
        self._bad: list[tuple] = []             # (from, to, words) in which something is wrong
        self._database: list[tuple] = []        # (from, to, how)
        self._clocks: list[tuple] = []          # (second, skew)
        self._paused: list[tuple] = []          # (second, host, pid)
        self._planned: list[tuple] = []         # (second, what is done then, words)
        self._catastrophe: catastrophes.Catastrophe | None = None
        self._last_trouble = 0.0
        self._clock_right_since = -3.0 * DAY
        self._last_tick = 0.0
        self._acts: list = []
        self._faults = sorted(self.faults, reverse=True)
        self._seen: dict = {}
        self._numbers: dict[str, dict] = {}     # {table: {id: which of its rows it is}}

    # The run

    def run(self, until: float | None = None) -> Wrong | None:
        """All of it, or as many days as end before `until` on time.monotonic(). The folder is
        removed unless a rule was broken."""
        Host.warm(self.redis)
        for name in ("spool", "exports", "archive"):
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
            self._acts = self.world.acts_of(day)[::-1]
            self._acts = [(second, day, number, act) for second, number, act in self._acts]
            while not self.wrong and (moment := self._next(min((day + 1) * DAY, end))) is not None:
                self._go_to(moment)
            if self.wrong:
                break
            self._end_of_day(day)
            if until and time.monotonic() > until:
                self.days = day + 1
                break
        for rule in self.rules:
            self.counts.update(rule.figures())
        if self.mutant:
            self.counts["acts of the mutant"] = self.strikes.mutated(times=0)
        self.world.close()
        for host in self.hosts:
            for child in [*host.stopped]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        if not self.wrong:
            self.remove()
        return self.wrong

    def remove(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def digest(self) -> str:
        """Of all that was told."""
        return self._hash.hexdigest()[:16]

    # Time

    def _next(self, end: float) -> float | None:
        """The next second at which something happens; None at the end of the day."""
        moments = [self._next_tick()]
        moments += [each[-1][0] for each in (self._acts, self._faults) if each]
        moments += [second for second, _ in self.world.later[:1]]
        moments += [second for second, *_ in (*self._clocks, *self._paused, *self._planned)]
        moment = max(min(moments), self.clock.seconds)
        return moment if moment < end else None

    def _next_tick(self) -> float:
        """When cron starts the next tick that may find something to do."""
        # on the half hour, as acts choose their times too: what is just at its limit is met
        second = (self._last_tick // LONGEST + 1) * LONGEST
        for due in self._due():
            second = min(second, max(due, self._last_tick + MINUTE))
        for start, stop in self._away:
            if start <= second < stop:
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

    def _go_to(self, moment: float) -> None:
        """Let time pass until then, and do what is to happen."""
        self.clock.seconds = moment
        if self._acts and self._acts[-1][0] <= moment:
            _, day, number, act = self._acts.pop()
            if words := self.world.do(day, number, act):
                self._say(words)
        elif self.world.later and self.world.later[0][0] <= moment:
            self._say(self.world.do_later())
        elif self._faults and self._faults[-1].at <= moment:
            self._begin_fault(self._faults.pop())
        elif self._clocks and self._clocks[0][0] <= moment:
            _, self.clock.skew = self._clocks.pop(0)
            self._say("the clock is right again" if not self.clock.skew else "the clock jumps")
        elif self._planned and self._planned[0][0] <= moment:
            _, act, words = self._planned.pop(0)
            self._say(words)
            act()
        elif self._paused and self._paused[0][0] <= moment:
            _, host, child = self._paused.pop(0)
            self._tick(host, child)
        else:
            self._last_tick = moment
            for host in self.hosts:
                if not self.wrong:
                    self._tick(host)

    def _end_of_day(self, day: int) -> None:
        self.clock.seconds = (day + 1) * DAY
        self.strikes.disarm(aims=day >= self.days - 2)
        if sys.stderr.isatty():
            print(f"day {day + 1} of {self.days}, {self.counts['ticks']:,} ticks", file=sys.stderr)

    # Faults

    def _begin_fault(self, fault: Fault) -> None:
        about, now = fault.about, self.clock.seconds
        self._say(faults_.words(fault))
        self.counts[f"fault: {fault.kind}"] += 1
        if fault.kind == "strike":
            if not self.strikes.armed(about[0]):
                self.strikes.arm(*about)
            return
        if fault.kind == "aim":
            self.strikes.aim(*about)
            return
        if fault.kind == "catastrophe":
            self._begin_catastrophe(*about)
            return
        self._bad.append((now, now + about[-1], faults_.words(fault)))
        if fault.kind == "spell":
            self.spell(*about)
        elif fault.kind == "cron":
            self._away.append((now, now + about[0]))
            if about[0] >= DAY:
                self._bad.append((now, now + about[0] + DOUBT, "the clock is in doubt"))
        elif fault.kind == "clock":
            self.clock.skew = about[0]
            self._clock_right_since = now + about[1]
            self._clocks = [(now + about[1], 0.0)]
        else:
            self._database.append((now, now + about[1], about[0]))

    def _begin_catastrophe(self, name: str, seconds: float) -> None:
        """If there is none, nor a process that would go on in it."""
        now, found = self.clock.seconds, catastrophes.KINDS[name](self)
        if not self._catastrophe and not self._paused and found.begin(seconds):
            self._catastrophe = found
            self._bad.append((now, now + seconds, name))
            self.at(seconds, self._mend, f"over: {name}")

    def _mend(self) -> None:
        found, self._catastrophe = self._catastrophe, None
        found.mend()

    def at(self, seconds: float, act, words: str) -> None:
        """Do that in so many seconds."""
        self._planned.append((self.clock.seconds + seconds, act, words))
        self._planned.sort(key=lambda each: each[0])

    def spell(self, what: str, how: str, seconds: float) -> None:
        """Something is so from now on."""
        now = self.clock.seconds
        self.weather.add(what, outside.Spell(now, now + seconds, how))

    def trouble(self) -> str:
        """What is wrong at this moment, in words."""
        now = self.clock.seconds
        found = [words for start, stop, words in self._bad if start <= now < stop]
        found += [f"{job} is paused" for job, row in self._seen.get("job_state", {}).items()
                  if row["paused_at"]]
        return "; ".join(found + ["a process is stopped"] * bool(self._paused))

    def database_is(self, how: str) -> bool:
        """Whether the database is so at this moment."""
        now = self.clock.seconds
        return any(start <= now < stop and how == kind for start, stop, kind in self._database)

    def connecting(self) -> None:
        """Raises what a process meets that connects now."""
        if self.database_is("gone"):
            raise product.Lost("the database server went away")

    # Ticks

    def command(self, host: Host, *words: str) -> int:
        """What the operator types there, judged like a tick. Its exit code, or minus a signal."""
        return self._tick(host, words=words)

    def _tick(self, host: Host, child: int | None = None, words: tuple = ("run-due",)) -> int:
        before = self.look(ACTED_ON) if self._seen else self.look()
        began, self.tick = self.clock.seconds, self.tick + 1
        others = self._connected()
        self.world.close()
        struck = []
        self.strikes.take_aim()
        later = self.database_is("busy in mid-run")
        with self._busy(later) if later or self.database_is("busy") else nullcontext():
            code = host.go_on(child) if child else host.run(*words)
            self._note_strike(host, code, struck)
            if (host.has_workers and not child and words == ("run-due",)
                    and code != -signal.SIGSTOP):
                of_worker = host.run("worker", "--burst")
                self._note_strike(host, of_worker, struck)
                code = code or of_worker
        if struck and not any("SIGSTOP" in words for words in struck):
            self._until_cut_off(others)
        if code == -signal.SIGSTOP:
            self._paused.append((began + HOUR * (1 + self.tick % 5), host, host.stopped[-1]))
        self.counts["ticks" if words == ("run-due",) else "commands"] += 1
        self._stamp(host)
        printed = host.printed().replace(str(self.folder), "")      # the same in every story
        if code not in (0, 143) and code > 0:
            self._say(f"{host.folder.name} ends with {code}: {printed[:300]!r}")
        if code == 70:
            raise RuntimeError(printed)
        now = self.clock.seconds
        # what no tick has met counts too: while cron was away, nothing could be done in time
        self._last_trouble = max(self._last_trouble, *(stop for _, stop, _ in self._bad
                                                       if stop <= now), 0)
        if struck or child or self.trouble():       # one that goes on was stopped until now
            self._last_trouble = now
        self._judge(self._step(began, before, struck, words, code, printed))
        return code

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
        for folder in (host.folder / "state", self.folder / "exports", self.folder / "archive",
                       self.folder / "spool"):
            for path in folder.rglob("*") if folder.exists() else ():
                if path.stat().st_mtime < started:
                    os.utime(path, (moment, moment))

    # Judgement

    def look(self, tables=()) -> dict:
        """All rows of all tables, as {table: {id: row}}; only `tables` are read again, if there
        are any."""
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

    def _item(self, item: str) -> str:
        kind, _, id = item.partition("-")
        return f"{kind}-{self.number(ITEMS[kind], int(id))}" if kind in ITEMS else item

    def _step(self, began: float, before: dict, struck, words, code, printed) -> oracle.Step:
        after = self.look()
        files = {name: {str(path.relative_to(self.folder / name))
                        for path in (self.folder / name).rglob("*") if path.is_file()}
                 for name in ("spool", "exports", "archive")}
        now = self.clock.seconds
        return oracle.Step(began, now, before, after, self.journal.new(), struck,
                           self._last_trouble, self.trouble(), files,
                           self.hosts[0].options, self._clock_right_since, self.clock.skew, words,
                           code, printed)

    def _judge(self, step: oracle.Step) -> None:
        for entry in step.journal:
            self.counts[f"{entry['what']} {entry.get('outcome') or entry.get('status')}"] += 1
            self._say(" ".join(f"{value}" for name, value in {
                **entry, "item": self._item(entry["item"])}.items()
                if name in ("what", "item", "to", "outcome", "status", "url")))
        for row in oracle.new(step, "job_runs").values():
            self.counts[f"runs: {row['trigger_type']}"] += 1
        for table in SENT_BY:
            for id, row in step.after[table].items():
                was = step.before[table].get(id, {}).get("status", "new")
                if was != row["status"]:
                    self._say(f"{table} {self.number(table, id)}: {was} -> {row['status']}")
        for rule in [*self.rules, *[self._catastrophe] * bool(self._catastrophe)]:
            for sentence in rule.check(step):
                self.wrong = Wrong(self.clock.seconds, f"{type(rule).__name__}: {sentence}",
                                   [*self.lines])
                return

    def _say(self, words: str) -> None:
        line = f"{oracle.text(self.clock.seconds)}  {words}"
        self.lines.append(line)
        self._hash.update(line.encode() + b"\n")

