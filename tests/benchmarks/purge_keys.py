"""Deleting the old half of a table by our engine alone, with numbers for keys and with text: rows a
second, pauses included.

    python -m tests.benchmarks.purge_keys [--rows 60000] [--rounds 3] [--engine sqlite|mariadb]

The rows are the audit rows of `purge`. UUIDs are in no order, so each one is somewhere else in the
table; ULIDs are in the order of time, as numbers are. MariaDB is a private server with the
durability of a real one. The best round counts.
"""
from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from jobs_lib.database.connection import connect
from tests.benchmarks.figures import beside_goal
from tests.benchmarks.purge import DURABLE
from tests.benchmarks.purge_cases import CASES, NOW, audit_job
from tests.servers import mariadb
from tests.support import keyed
from tests.support.databases import bulk, migrated, set_clock

CASE = CASES["plain"]
KINDS = {"numbers": None, "UUIDs": keyed.UUIDS, "ULIDs": keyed.ULIDS}


def filled(url: str, keys, rows: int) -> None:
    """Make the tables and the rows."""
    if keys:
        keyed.make(url, keys)
    db = migrated(url)
    if keys:
        keyed.translate(db, keys)
    set_clock(db, NOW)
    bulk(db, CASE.table, CASE.columns, [CASE.row(number, rows) for number in range(1, rows + 1)])
    db.close()


def speed(url: str, folder: str, keys, rows: int) -> float:
    """Rows a second."""
    filled(url, keys, rows)
    began = time.perf_counter()
    audit_job(url, folder)
    took, db = time.perf_counter() - began, connect(url)
    left = db.value(f"SELECT COUNT(*) FROM {{{CASE.table}}} WHERE {CASE.where}",
                    cutoff=CASE.cutoff)
    db.close()
    assert left == 0, f"{left} rows are left"
    return CASE.old(rows) / took


def measure(name: str, new_url, args) -> None:
    """Each kind in turn, so that what else the machine does meets all of them."""
    best = dict.fromkeys(KINDS, 0.0)
    for turn in range(args.rounds):
        for kind, keys in KINDS.items():
            with tempfile.TemporaryDirectory(dir=args.dir) as folder:
                url = new_url(folder, f"{kind}{turn}")
                best[kind] = max(best[kind], speed(url, folder, keys, args.rows))
    for kind, rate in best.items():
        print(f"{name:8} {kind:8} {rate:10,.0f} rows/s {rate / best['numbers']:6.2f}")
        if kind != "numbers":
            print("  " + beside_goal(f"{name}: {kind} for keys, relative to numbers",
                                     rate / best["numbers"], at_least=0.5))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000, help="half of them are deleted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--dir", help="where to put the databases (default: the temporary folder)")
    args = parser.parse_args()
    engines = args.engine or ["sqlite", "mariadb"]
    if "sqlite" in engines:
        measure("SQLite", lambda folder, _: f"sqlite:///{Path(folder)}/jobs.db", args)
    if "mariadb" in engines:
        mariadb.MEMORY_DISK = args.dir or tempfile.gettempdir()
        with mariadb.MariaDB(*DURABLE) as server:
            measure("MariaDB", lambda *_: server.database(), args)


if __name__ == "__main__":
    main()
