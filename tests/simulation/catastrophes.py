"""What makes everything look wrong at once, for days: the service loses nothing by it beyond the
guard's limits, and goes on when it has been put right. (tests/guard has more of them, each with
an untouched twin.) Drawn by faults.py; the clock that is wrong for a week is one of its clocks.
"""
from __future__ import annotations

import copy
import shutil

from .acts import web
from .oracle import HOUR, Rule
from .oracle.runs import OPERATOR

FOLDERS = ("spool", "exports", "archive")
APP = ("users", "aliases", "destinations", "domains", "message_logs", "audit_logs", "sessions",
       "webhooks", "overflow_hold", "spam_quarantine", "magic_links", "export_requests")


class Catastrophe(Rule):
    """A rule for as long as it lasts. `begin(seconds)` says whether there is enough for it to be
    one; `mend` puts it right."""

    def __init__(self, simulation) -> None:
        self.simulation, self.touched = simulation, set()

    def mend(self) -> None:
        """The weather changes by itself."""


class Refusals(Catastrophe):
    """The relay refuses everybody for good; oracle/mail.py knows what may fail then."""

    def begin(self, seconds: float) -> bool:
        self.simulation.weather.add("relay", "blocking", seconds)
        return True


class NoDomains(Catastrophe):
    """The resolver says of each name that it is not there."""

    def begin(self, seconds: float) -> bool:
        world = self.simulation.world
        world.open()
        for user in world.db.query("SELECT id FROM {users} WHERE status = 'active'"):
            name = f"own{next(world.numbers)}.example"
            self.simulation.weather.add(name, "right", web.FOR_EVER)
            world.add("domains", user_id=user["id"], name=name, status="verified",
                      ownership_token=f"token-{name.partition('.')[0]}", verified_at=world.text(),
                      created_at=world.text(), next_check_at=world.text())
        self.owners = world.db.value("SELECT COUNT(DISTINCT user_id) FROM {domains} "
                                     "WHERE status = 'verified'")
        self.simulation.weather.add("dns", "lying", seconds)
        return self.owners > 2

    def check(self, step):
        self.touched |= {row["user_id"] for was, row in step.changed("domains")
                         if was["status"] == "verified" and (
                             row["status"] != "verified" or row["warned_at"] != was["warned_at"])}
        if len(self.touched) > max(2, self.owners / 5):
            yield f"of {self.owners} owners of domains {self.touched} are warned, or lost one"


class CutConfig(Catastrophe):
    """An upload was cut short: what config.ini says of archives is lost, and what follows."""

    def begin(self, seconds: float) -> bool:
        for host in self.simulation.hosts:
            host.configure(only=("core", "spool", "export", "mail", "dns", "alerts"))
        return True

    def check(self, step):
        rows, lost = step.before["audit_logs"], [*step.gone("audit_logs")]
        if len(lost) > max(10, len(rows) / 5):
            yield f"{len(lost)} of {len(rows)} audit rows were deleted without an archive"

    def mend(self) -> None:
        for host in self.simulation.hosts:
            host.configure()
        for hours in range(1, 14 * 24):
            self.simulation.at(hours * HOUR, self._confirm, "the operator looks at the guard")

    def _confirm(self) -> None:
        """A retention that is shorter than that of the cut file is a changed rule where much is
        due by it, and the operator's alert says what confirms it."""
        self.simulation.world.open()
        for row in self.simulation.world.db.query("SELECT job, last_options FROM {job_state}"):
            if '"rule:' in str(row["last_options"]):
                self.simulation.command(self.simulation.hosts[0], row["job"], "--yes")


class Restored(Catastrophe):
    """The database and the files are put back to those of the day before; the folder of the
    installation is not. What the rules know goes back with them."""

    is_restored = False

    def begin(self, seconds: float) -> bool:
        simulation = self.simulation
        self.tables = simulation.look()
        self.judge = copy.deepcopy(simulation.judge)
        for name in FOLDERS:
            shutil.copytree(simulation.folder / name, simulation.folder / f"{name} then")
        simulation.at(seconds - 20 * HOUR, self._restore, "the backup is restored")
        return True

    def _restore(self) -> None:
        simulation = self.simulation
        simulation.world.open()
        for table, rows in self.tables.items():
            simulation.world.db.execute(f"DELETE FROM {{{table}}}")
            simulation.world.db.insert_all(table, [*rows.values()])
        for name in FOLDERS:
            shutil.rmtree(simulation.folder / name)
            (simulation.folder / f"{name} then").rename(simulation.folder / name)
        simulation.judge, self.is_restored = self.judge, True
        simulation.look()

    def check(self, step):
        if not self.is_restored:
            return
        for entry in step.journal:
            if entry.get("to") != OPERATOR and entry["what"] != "dns":
                yield f"{entry['item']} was sent by a restored database"
        for table in APP:
            if lost := step.gone(table):
                yield f"{table} {[*lost]} were deleted from a restored database"

    def mend(self) -> None:
        """As the alert says, and again where the database was busy or the command killed."""
        simulation, self.is_restored = self.simulation, False
        simulation.judge.ages.away_until = 0.0          # with it the operator trusts the clock
        simulation.world.open()
        if simulation.world.db.row("SELECT name FROM {meta} WHERE value LIKE 'restored%'"):
            simulation.command(simulation.hosts[0], "resume", "all")
            simulation.at(HOUR, self.mend, "the operator looks whether the doubt is over")


KINDS = {"the relay refuses everybody": Refusals, "the resolver denies all domains": NoDomains,
         "config.ini is cut short": CutConfig, "yesterday's database is restored": Restored}
