"""Deleting the old half of a table in several ways, with a writer beside each: rows a second, and
the writer's waits.

    python -m tests.benchmarks.purge [--case plain] [--case stats] [--case archive] [--case account]
    [--engine sqlite]
                                     [--engine mariadb] [--rows 1000000] [--rows 5000000] [--rounds
                                     3]

    plain      audit rows of 200 bytes, one in a thousand of the old ones critical, so that it
               stays; beside one DELETE, a LIMIT in a loop, and pt-archiver
    stats      message logs, with all their indexes, whose totals are kept; beside one INSERT ...
               SELECT of all totals and one DELETE in one transaction. After it: how long one user's
               totals take to be
               read
    account    message logs, every second one of which is deleted with its account, by
               delete_accounts; beside one DELETE
    archive    the audit rows, first written to a folder; beside a gzip of JSON lines in one go and
               one DELETE

The writer inserts new rows and updates rows that stay, 200 times a second. MariaDB is a private
server with the durability of a real one. Times are those of the deleting alone, pt-archiver's
(Perl) of its whole process. On MariaDB "clean" counts until InnoDB has removed what was only
marked: beside our batches it does that, after one DELETE it has all of it still to do. Memory is
the peak of the process (VmHWM). With several sizes, the last lines tell whether the cost is linear
and memory flat.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobs_lib.database.connection import connect
from tests.benchmarks.purge_cases import CASES, Case
from tests.benchmarks.purge_figures import ARCHIVER, compare_sizes, show
from tests.benchmarks.purge_tables import Files, Server
from tests.servers import mariadb

ROOT = Path(__file__).resolve().parents[2]
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1",
           "--innodb-log-file-size=96M", "--innodb-buffer-pool-size=512M")


# Each in a process of its own.

def contest(case: Case, name: str, url: str, rows: int) -> None:
    """In the child: run one of them and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        case.contestants[name](url, folder)
        outcome = {"seconds": time.perf_counter() - began, "memory": _peak()}
    print(json.dumps(outcome))


def _peak() -> int:
    """KiB. `ru_maxrss` would count what the parent had before it started us."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def archiver(case: Case, url: str) -> dict:
    """pt-archiver in its fastest safe way."""
    name, server = url.partition("?")[0].rpartition("/")[2], url.rpartition("=")[2]
    began = time.perf_counter()
    done = subprocess.run(
        ["pt-archiver", "--source",
         f"S={server},D={name},t={case.table},u={mariadb.USER},p={mariadb.PASSWORD}", "--purge",
         "--where", case.where.replace(":cutoff", f"'{case.cutoff}'"), "--bulk-delete", "--limit",
         "1000", "--commit-each", "--no-check-charset", "--statistics"], capture_output=True,
        text=True)
    outcome = {"seconds": time.perf_counter() - began, "memory": 0}
    if done.returncode:
        outcome["note"] = (done.stderr.strip().splitlines() or ["failed"])[-1][:60]
    return outcome


def write(case: Case, url: str, rows: int) -> None:
    """In the child: insert and update until stdin ends, then print the waits in milliseconds."""
    import select

    db, waits, number = connect(url, timeout=600.0), {"insert": [], "update": []}, 0
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        number += 1
        began = time.perf_counter()
        kind = case.write(db, number, rows)
        waits[kind].append((time.perf_counter() - began) * 1000)
    print(json.dumps({kind: {"p99": sorted(values)[int(len(values) * 0.99)], "max": max(values),
                             "number": len(values)} for kind, values in waits.items() if values}))


def process(*words: str, folder: str | None, **how) -> subprocess.Popen:
    """This program once more."""
    there = {"TMPDIR": folder} if folder else {}
    return subprocess.Popen([sys.executable, "-m", __spec__.name, *words], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True, env={**os.environ, **there}, **how)


# Measuring.

class Race:
    """One case on one engine with so many rows."""

    def __init__(self, name: str, place, rows: int, args) -> None:
        self.name, self.case = name, CASES[name]
        self.place, self.rows, self.args = place, rows, args

    def run(self) -> dict:
        """Each contestant in turn, `rounds` times: {name: [outcome, ...]}."""
        names = [*self.case.contestants]
        if self.case.peers and self.place.archiver:
            if shutil.which("pt-archiver"):
                names.append(ARCHIVER)
            else:
                print("pt-archiver is not installed (Debian: apt-get install percona-toolkit), so "
                      "it is left out")
        found: dict = {name: [] for name in names if not self.args.only or name in self.args.only}
        for turn in range(self.args.rounds):
            for name, outcomes in found.items():
                outcomes.append(self._one(name))
                print(f"    {self.place.name}, {self.name}, round {turn + 1}: {name}: "
                      f"{json.dumps(outcomes[-1])}", file=sys.stderr)
        return found

    def _one(self, name: str) -> dict:
        url = self.place.fresh()
        writer = process("--write", self.name, url, "--rows", str(self.rows), folder=self.args.dir,
                         stdin=subprocess.PIPE)
        time.sleep(0.5)
        try:
            outcome = archiver(self.case, url) if name == ARCHIVER else self._child(name, url)
        finally:
            waits, _ = writer.communicate("end\n")
        outcome.update(json.loads(waits))
        outcome["clean"] = outcome["seconds"] + self.place.rest()
        db = connect(url)
        left = db.value(f"SELECT COUNT(*) FROM {{{self.case.table}}} WHERE {self.case.where}",
                        cutoff=self.case.cutoff)
        outcome["deleted"] = self.case.old(self.rows) - left
        self.case.check(db, outcome["deleted"], outcome)
        db.close()
        if name != "nothing" and left and "note" not in outcome:
            outcome["note"] = f"{left:,} rows are left"
        return outcome

    def _child(self, name: str, url: str) -> dict:
        child = process("--contest", self.name, name, url, "--rows", str(self.rows),
                        folder=self.args.dir)
        out, _ = child.communicate()
        if child.returncode:
            raise SystemExit(f"{name} ended with {child.returncode}")
        return json.loads(out)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=[*CASES])
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--rows", type=int, action="append", help="several sizes are compared "
                        "(default: 1000000)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="only this contestant")
    parser.add_argument("--all-indexes", action="store_true", help="keep the index by user of "
                        "audit rows, too")
    parser.add_argument("--dir", help="where to put the databases (default: the temporary folder)")
    parser.add_argument("--contest", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = args.rows or [1_000_000]
    if args.contest:
        contest(CASES[args.contest[0]], *args.contest[1:], sizes[0])
        return
    if args.write:
        write(CASES[args.write[0]], args.write[1], sizes[0])
        return
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} "
          "(should be below 1)")
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        if "sqlite" in (args.engine or ["sqlite"]):
            measure(args, sizes, lambda case, rows: Files(folder, case, rows, args.all_indexes))
        if "mariadb" in (args.engine or ["mariadb"]):
            # a real disk: here it has to be waited for
            mariadb.MEMORY_DISK = args.dir or tempfile.gettempdir()
            with mariadb.MariaDB(*DURABLE) as server:
                measure(args, sizes, lambda case, rows: Server(server, case, rows,
                                                               args.all_indexes))


def measure(args, sizes: list, make_place) -> None:
    """All cases on one engine, with all sizes."""
    for name in args.case or CASES:
        found, title = {}, ""
        for rows in sizes:
            race = Race(name, make_place(CASES[name], rows), rows, args)
            found[rows], title = race.run(), f"{race.place.name}, {name}"
            show(race.place.name, name, race.case, rows, found[rows])
            race.place.close()
        compare_sizes(title, found)


if __name__ == "__main__":
    main()
