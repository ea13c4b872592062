"""Deleting the old half of a table in several ways, with a writer beside each: rows a second, and the writer's waits.

    python -m tests.benchmarks.purge [--rows 1000000] [--engine sqlite] [--engine mariadb] [--rounds 3]

The table is `audit_logs` with rows of 200 bytes, one in a thousand of the old ones critical, so that it stays. The
writer inserts new rows and updates old ones that stay, 200 times a second. MariaDB is a private server with the
durability of a real one. Times are those of the deleting alone, pt-archiver's (Perl) of its whole process. On MariaDB
"clean" counts until InnoDB has removed what was only marked: beside our batches it does that, after one DELETE it has
all of it still to do.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from jobs_lib import clock, config, runner
from jobs_lib.console import Console
from jobs_lib.ports import Ports
from jobs_lib.ports.db import connect
from jobs_lib.recipes.retention import Rule, keep, purge
from tests.benchmarks.purge_tables import DETAILS, NOW, OTHERS_STAY, Files, Server
from tests.servers import mariadb

ROOT = Path(__file__).resolve().parents[2]
CUTOFF = clock.text(NOW - timedelta(days=365))
WHERE = "severity = 'info' AND created_at < :cutoff"
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1", "--innodb-log-file-size=96M",
           "--innodb-buffer-pool-size=512M")
GOALS = {"sqlite": {"rate": {"one DELETE": 0.4}, "p99": 20.0},
         "mariadb": {"rate": {"one DELETE": 0.65, "pt-archiver, bulk 1000": 2.5}, "max": 20.0}}


# The contestants: each runs in a process of its own and returns how many rows it deleted.

def engine(url: str, folder: str) -> int:
    """Our engine, through the runner, as `jobs.py` would run it."""
    job = purge(table="audit_logs", rules=(Rule("created_at", only={"severity": "info"}),), schedule="0 0 * * *",
                options={"keep": keep("365d", "For this comparison.")}, budget="1h")._replace(name="purge_audit")
    path = Path(folder) / "config.ini"
    path.write_text(f"[core]\ndatabase = {url}\nstate_dir = {folder}/state\nlog_dir = {folder}/log\n")
    settings = config.load(str(path), beside=folder, environ={})
    ports = Ports(settings)
    ports.now = lambda: NOW
    result = runner.run(job, settings, ports, runner.Request(), Console(-1))
    assert result["status"] == "ok", result
    return result["counts"]["deleted"]


def nothing(url: str, folder: str) -> int:
    """Three seconds in which the writer is alone: what the disk and the machine make it wait by themselves."""
    time.sleep(3)
    return 0


def one_delete(url: str, folder: str) -> int:
    """Everything in one statement."""
    return connect(url).execute(f"DELETE FROM {{audit_logs}} WHERE {WHERE}", cutoff=CUTOFF)


def limit_loop(url: str, folder: str, most: int) -> int:
    """What everybody writes first: so many at a time, until none is left, without a pause."""
    db, total = connect(url, timeout=60.0), 0
    sql = f"DELETE FROM {{audit_logs}} WHERE {WHERE} ORDER BY created_at LIMIT {most}"
    if db.dialect.by_key:                # SQLite, whose usual builds have no DELETE ... LIMIT
        sql = f"DELETE FROM {{audit_logs}} WHERE id IN (SELECT id FROM {{audit_logs}} WHERE {WHERE} LIMIT {most})"
    while True:
        deleted = db.execute(sql, cutoff=CUTOFF)
        total += deleted
        if deleted < most:
            return total


CONTESTANTS = {
    "nothing": nothing,
    "one DELETE": one_delete,
    "LIMIT 1000 in a loop": lambda url, folder: limit_loop(url, folder, 1000),
    "LIMIT 5000 in a loop": lambda url, folder: limit_loop(url, folder, 5000),
    "ours": engine,
}
ARCHIVER = "pt-archiver, bulk 1000"


def contest(name: str, url: str) -> None:
    """In the child: run one of them and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        deleted = CONTESTANTS[name](url, folder)
        print(json.dumps({"seconds": time.perf_counter() - began, "deleted": deleted}))


def archiver(url: str) -> dict:
    """pt-archiver in its fastest safe way."""
    name, server = url.partition("?")[0].rpartition("/")[2], url.rpartition("=")[2]
    began = time.perf_counter()
    done = subprocess.run(
        ["pt-archiver", "--source", f"S={server},D={name},t=audit_logs,u={mariadb.USER},p={mariadb.PASSWORD}",
         "--purge", "--where", WHERE.replace(":cutoff", f"'{CUTOFF}'"), "--bulk-delete", "--limit", "1000",
         "--commit-each", "--no-check-charset", "--statistics"], capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("DELETE")]
    outcome = {"seconds": time.perf_counter() - began, "deleted": int(found[0][1]) if found else 0}
    if done.returncode:
        outcome["note"] = (done.stderr.strip().splitlines() or ["failed"])[-1][:60]
    return outcome


# The writer beside them.

def write(url: str, rows: int) -> None:
    """In the child: insert and update until stdin ends, then print the waits in milliseconds."""
    import select

    db, waits, number = connect(url, timeout=120.0), {"insert": [], "update": []}, 0
    stays = range(OTHERS_STAY, rows // 2, OTHERS_STAY)
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        number += 1
        kind = "update" if number % 2 else "insert"
        began = time.perf_counter()
        if kind == "update":
            db.execute("UPDATE {audit_logs} SET actor = :actor WHERE id = :id", actor=f"writer {number}",
                       id=stays[number * 7919 % len(stays)])
        else:
            db.insert("audit_logs", user_id=1, actor="writer", event="note", details=DETAILS, created_at=NOW)
        waits[kind].append((time.perf_counter() - began) * 1000)
    print(json.dumps({kind: {"p99": sorted(values)[int(len(values) * 0.99)], "max": max(values), "number": len(values)}
                      for kind, values in waits.items() if values}))


def beside_a_writer(run, url: str, rows: int) -> dict:
    """`run()` with the writer's waits."""
    writer = subprocess.Popen([sys.executable, "-m", __spec__.name, "--write", url, "--rows", str(rows)], cwd=ROOT,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    try:
        outcome = run()
    finally:
        out, _ = writer.communicate("end\n")
    return {**outcome, **json.loads(out)}


def child(name: str, url: str) -> dict:
    """A contestant's outcome, from a process of its own."""
    done = subprocess.run([sys.executable, "-m", __spec__.name, "--contest", name, url], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


# Measuring and printing.

def compare(title: str, place, rows: int, rounds: int, only: list[str]) -> dict:
    """Each contestant in turn, `rounds` times: {name: [outcome, ...]}."""
    names = [*CONTESTANTS]
    if place.archiver:
        if shutil.which("pt-archiver"):
            names.append(ARCHIVER)
        else:
            print("pt-archiver is not installed (Debian: apt-get install percona-toolkit), so it is left out")
    found: dict = {name: [] for name in names if not only or name in only}
    for turn in range(rounds):
        for name, outcomes in found.items():
            url = place.fresh()
            run = (lambda: archiver(url)) if name == ARCHIVER else (lambda: child(name, url))  # noqa: B023
            outcome = beside_a_writer(run, url, rows)
            outcome["clean"] = outcome["seconds"] + place.rest()
            outcomes.append(outcome)
            print(f"    {title}, round {turn + 1}: {name}: {json.dumps(outcome)}", file=sys.stderr)
    return found


def middle(outcomes: list, *names: str) -> float:
    """The median over the rounds."""
    values = []
    for outcome in outcomes:
        for name in names:
            outcome = outcome[name]
        values.append(outcome)
    return statistics.median(values)


def ratio(rates: dict, name: str, other: str) -> float:
    """The median of the rounds, each by itself: what else the machine did meanwhile hits both."""
    pairs = [mine / others for mine, others in zip(rates[name], rates[other]) if mine and others]
    return statistics.median(pairs) if pairs else float("nan")


def show(title: str, found: dict) -> None:
    """A table, and the goals."""
    print(f"\n{title}\n  {'':<26}{'rows/s':>9}{'of one DELETE':>15}{'clean':>7}"
          "   update p99 / max ms    insert p99 / max ms")
    rates = {name: [outcome["deleted"] / outcome["seconds"] for outcome in outcomes]
             for name, outcomes in found.items()}
    clean = {name: [outcome["deleted"] / outcome["clean"] for outcome in outcomes] for name, outcomes in found.items()}
    for name, outcomes in found.items():
        ratios = [f"{ratio(each, name, 'one DELETE'):.2f}" if "one DELETE" in each else "-" for each in (rates, clean)]
        waits = "".join(f"{middle(outcomes, kind, 'p99'):12.1f} / {middle(outcomes, kind, 'max'):8.1f}"
                        for kind in ("update", "insert"))
        notes = {outcome["note"] for outcome in outcomes if "note" in outcome}
        print(f"  {name:<26}{statistics.median(rates[name]):9,.0f}{ratios[0]:>15}{ratios[1]:>7}{waits}  "
              f"{' '.join(notes)}")
    goals = GOALS[title.partition(",")[0].lower()]
    for name, least in goals["rate"].items():
        if name in rates and "ours" in rates:
            got = ratio(rates, "ours", name)
            print(f"  ours / {name}: {got:.2f}, goal {least}: {'met' if got >= least else 'missed'}")
    for figure in ("p99", "max"):
        if figure in goals and "ours" in found:
            worst = max(middle(found["ours"], kind, figure) for kind in ("update", "insert"))
            print(f"  the writer's {figure}: {worst:.1f} ms, goal {goals[figure]:.0f}: "
                  f"{'met' if worst < goals[figure] else 'missed'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--only", action="append", default=[], help="only this contestant")
    parser.add_argument("--all-indexes", action="store_true", help="keep the index by user, in random order, too")
    parser.add_argument("--dir", help="where to put the databases (default: the temporary folder)")
    parser.add_argument("--contest", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contest:
        contest(*args.contest)
        return
    if args.write:
        write(args.write, args.rows)
        return
    title = f"the older half of {args.rows:,} rows of 200 bytes, median of {args.rounds}"
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} (should be below 1)")
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        if "sqlite" in (args.engine or ["sqlite"]):
            found = compare("SQLite", Files(folder, args.rows, args.all_indexes), args.rows, args.rounds, args.only)
            show(f"SQLite, {title}", found)
    if "mariadb" in (args.engine or ["mariadb"]):
        mariadb.MEMORY_DISK = args.dir or tempfile.gettempdir()        # a real disk: here it has to be waited for
        with mariadb.MariaDB(*DURABLE) as server:
            found = compare("MariaDB", Server(server, args.rows, args.all_indexes), args.rows, args.rounds, args.only)
            show(f"MariaDB, {title}", found)


if __name__ == "__main__":
    main()
