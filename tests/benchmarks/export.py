"""How fast an account is exported, beside bare csv and json into a zip of the same compression.

Each is a whole process, one after the other, on the same rows of `message_logs`; its CPU seconds
are compared, since they tell more than the clock where others use the machine, too (a server's own
are not in them). "Only write" gets a page of rows for nothing, again and again.
"""
from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import timedelta

from tests.benchmarks.all import beside_goal, service, spent
from tests.servers.mariadb import MariaDB
from tests.support.databases import fill
from tests.support.db import Client
from tests.support.product import clock
from tests.support.shell import ROOT, Shell

COLUMNS = ("id", "alias_id", "direction", "status", "bytes_used", "created_at")
SQL = f"SELECT {', '.join(COLUMNS)} FROM message_logs WHERE user_id = 1 ORDER BY created_at, id"
ROWS, AT_ONCE, PAGE, NOW = 1_000_000, 1000, 1000, clock.now()


def ours(one: Shell) -> None:
    one.db.insert("export_requests", user_id=1, requested_at=clock.now())
    one.job("export_accounts", "--set", "budget=60m", timeout=3600)
    assert one.statuses("export_requests") == {"ready": 1}


def bare(one: Shell) -> None:
    """A process that does it without us."""
    subprocess.run([sys.executable, "-m", "tests.benchmarks.export", one.url,
                    str(one.folder / "bare.zip")], check=True, cwd=ROOT)


def write_bare(url: str, path: str) -> None:
    """The loop that anybody would write first, with the first page of rows, again and again."""
    page = [tuple(row.values()) for row in Client(url).query(f"{SQL} LIMIT {PAGE}")]

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        with archive.open("rows.json", "w", force_zip64=True) as member:
            file = io.TextIOWrapper(member, "utf-8")
            file.write("[")
            for number, row in enumerate(page * (ROWS // PAGE)):
                file.write(",\n" if number else "\n")
                file.write(json.dumps(dict(zip(COLUMNS, row))))
            file.write("\n]\n")
            file.flush()
        with archive.open("rows.csv", "w", force_zip64=True) as member:
            file = io.TextIOWrapper(member, "utf-8", newline="")
            csv.writer(file).writerows(page * (ROWS // PAGE))
            file.flush()


def measure(name: str, url: str | None) -> float:
    """The speed on one engine, relative to only writing."""
    with service(url, core={"app_url": "https://www.example.org"},
                 export={"dir": "exports"}) as one:
        one.owner()
        for start in range(0, ROWS, AT_ONCE):
            fill(one.db, "message_logs", {
                "user_id": 1, "status": "delivered", "created_at": NOW - timedelta(
                    seconds=ROWS - start)}, AT_ONCE, alias_id="n % 40",
                direction="CASE n % 9 WHEN 0 THEN 'reply' ELSE 'forward' END",
                bytes_used="n * 7919 % 100000")
        writing, whole = spent(lambda: bare(one)), spent(lambda: ours(one))
    print(f"{name}, {ROWS:,} rows: only writing {writing:.1f} s of CPU, export_accounts "
          f"{whole:.1f} s")
    return writing / whole


def main() -> None:
    with MariaDB() as server:
        speeds = measure("sqlite", None), measure("mariadb", server.database())
    print(beside_goal(f"export of {ROWS:,} rows, relative to only writing, the slower engine",
                      *speeds, at_least=0.5))


if __name__ == "__main__":
    write_bare(*sys.argv[1:])
