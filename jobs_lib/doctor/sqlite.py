"""An SQLite file as `jobs.py doctor` sees it."""
from __future__ import annotations

import os

from jobs_lib import text
from jobs_lib.output.findings import ok, problem, run, warning

FLOOR = (3, 26)
LARGEST_CHECKED = 64 * 1024 ** 2         # bytes: what is read through in a moment
LARGE_LOG = 64 * 1024 ** 2               # bytes in the -wal file; the engine begins again at 4 MB
MAY_WRITE = ("Let this user write the file and the folder that it is in (`chmod u+w`, or `chown`), "
             "and see that neither is on a disk that is mounted for reading alone.")
FROM_EPOCH = "datetime({}, 'unixepoch')"
FROM_TEXT = "datetime({}) for 2026-11-24T15:05:00Z"
SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


def examine(db, now):
    """Version, journal, whether the file is whole."""
    version = db.value("SELECT sqlite_version()")
    if tuple(map(int, version.split(".")[:2])) < FLOOR:
        yield problem(f"SQLite {version} is older than {FLOOR[0]}.{FLOOR[1]}",
                      "Statements of the jobs fail on it.",
                      "It comes with Python: take a newer one, or a MySQL database.")
    path = db.value("SELECT file FROM pragma_database_list WHERE name = 'main'")
    journal = str(db.value("PRAGMA journal_mode")).lower()
    if journal == "wal":
        yield ok(f"SQLite {version}, journal WAL: {path}")
    else:
        yield warning(f"The journal of {path} is {journal.upper()}, not WAL",
                      "Your app waits while a job writes, and the jobs while your app reads.",
                      "Run `jobs.py migrate` while nothing else has the file open. On a network "
                      "file system it stays so: use MySQL there.")
    safety = db.value("PRAGMA synchronous")
    if safety == 0:
        yield problem(f"synchronous = {SYNCHRONOUS[safety]}", "A power cut can spoil the file.",
                      "Something on this host sets it so: ask for another SQLite.")
    yield from _log(path)
    yield from _whole(db, path)


def _log(path: str):
    log = path + "-wal"
    size = os.path.getsize(log) if path and os.path.exists(log) else 0
    if size > LARGE_LOG:
        yield warning(f"{log} has {text.size(size)}",
                      "Somebody reads without end, so it is never emptied.",
                      "Restart the program that keeps the file open, such as your app.")


def _whole(db, path: str):
    if not path or os.path.getsize(path) > LARGEST_CHECKED:
        return
    words = db.value("PRAGMA quick_check(1)")
    if words == "ok":
        yield ok("the file is whole")
    else:
        yield problem(f"{path} is damaged: {words}",
                      "Rows may be missing or wrong, and it can get worse.",
                      run("Stop cron, copy the file, and take back a backup, or save what can be "
                          "read:", f"sqlite3 {path} .recover | sqlite3 repaired.db"))
