"""How fast an account is exported, beside bare csv and json into a zip of the same compression, and
how much memory.

    python -m tests.benchmarks.export

Each is a whole process, one after the other, on the same rows of `message_logs`; its CPU seconds
are compared, since they tell more than the clock where others use the machine, too (a server's own
are not in them). "Only write" gets a page of rows for nothing, again and again. The goal is half of
that speed.
"""
from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import timedelta
from pathlib import Path

from jobs_lib import clock
from jobs_lib.database.connection import connect
from tests.benchmarks.figures import beside_goal
from tests.servers.mariadb import MariaDB
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

COLUMNS = ("id", "alias_id", "direction", "status", "bytes_used", "created_at")
SQL = f"SELECT {', '.join(COLUMNS)} FROM message_logs WHERE user_id = 1 ORDER BY created_at, id"
ROWS, PAGE, FILLED_AT_ONCE = 1_000_000, 1000, 50_000


def fill(service: Shell) -> None:
    """One account with so many log rows."""
    now = clock.now()
    service.db.insert("users", id=1, email="owner@home.example", created_at=now)
    for start in range(0, ROWS, FILLED_AT_ONCE):
        bulk(service.db, "message_logs",
             ["user_id", "alias_id", "direction", "status", "bytes_used", "created_at"],
             [(1, n % 40, ("forward", "reply")[n % 9 == 0], ("delivered", "spam")[n % 11 == 0],
               n * 7919 % 100_000, now - timedelta(seconds=ROWS - n))
              for n in range(start, min(start + FILLED_AT_ONCE, ROWS))])


def spent(work) -> tuple[float, float]:
    """(seconds by the clock, CPU seconds of the processes that `work` has started and waited
    for)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(service: Shell) -> int:
    """One export; KiB at most."""
    for path in service.folder.glob("exports/export-*"):
        path.unlink()
    service.db.execute("DELETE FROM {export_requests}")
    service.db.execute("DELETE FROM {notifications}")
    service.db.insert("export_requests", user_id=1, requested_at=clock.now())
    process = service.start("export_accounts", "--set", "budget=60m",
                            peak="yes")
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert service.statuses("export_requests") == {"ready": 1}, out + err
    return int(err.splitlines()[-1])


def bare(service: Shell) -> None:
    """A process that does it without us."""
    subprocess.run([sys.executable, "-m", "tests.benchmarks.export", service.url,
                    str(service.folder / "bare.zip")], check=True, cwd=ROOT)


def write_bare(url: str, path: str) -> None:
    """The loop that anybody would write first, with the first page of rows, again and again."""
    cursor = connect(url)._raw.cursor()
    cursor.execute(f"{SQL} LIMIT {PAGE}")
    page = cursor.fetchall()

    def found():
        for _ in range(ROWS // PAGE):
            yield from page

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        with archive.open("rows.json", "w", force_zip64=True) as member:
            file = io.TextIOWrapper(member, "utf-8")
            file.write("[")
            for number, row in enumerate(found()):
                file.write(",\n" if number else "\n")
                file.write(json.dumps(dict(zip(COLUMNS, row))))
            file.write("\n]\n")
            file.flush()
        with archive.open("rows.csv", "w", force_zip64=True) as member:
            file = io.TextIOWrapper(member, "utf-8", newline="")
            csv.writer(file).writerows(found())
            file.flush()


def measure(name: str, url: str) -> None:
    """Print the figures of one engine."""
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, url, core={"app_url": "https://mail.example.org"},
                          export={"dir": "exports"})
        fill(service)
        memory: list = []
        only, export = (spent(work) for work in (
            lambda: bare(service), lambda: memory.append(ours(service))))
        size = next(Path(folder).glob("exports/export-*")).stat().st_size
        service.db.close()
    print(f"{name}, {ROWS:,} rows, a zip of {size / 1e6:.0f} MB")
    for words, (seconds, cpu) in (("bare: only write", only), ("export_accounts", export)):
        print(f"  {words:<22} {seconds:7.1f} s, CPU {cpu:6.1f} s  {ROWS / cpu:9,.0f} rows a CPU "
              "second")
    print("  export_accounts / only writing: " + beside_goal(
        f"{name}: speed of {ROWS:,} rows, relative to only writing", only[1] / export[1],
        at_least=0.5))
    print(f"  memory of export_accounts: {memory[0] / 1024:.1f} MiB", flush=True)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:]:
        write_bare(*sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as folder, MariaDB() as server:
        measure("SQLite", f"sqlite:///{folder}/jobs.db")
        measure("MariaDB", server.database())


if __name__ == "__main__":
    main()
