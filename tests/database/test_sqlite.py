"""What only a file can do to us: missing, locked, on a poor file system, killed in mid-write."""
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading

import pytest

from tests.support.databases import NOW, files, migrated, rows, transact
from tests.support.patience import quickest
from tests.support.product import Busy, DatabaseError, connect
from tests.support.shell import ROOT


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def holder(tmp_path):
    """Another program's connection to the file."""
    made = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    yield made
    made.close()


def alias(db, address):
    return db.insert("aliases", user_id=1, address=address, created_at=NOW)


# The file

def test_all_files_are_the_owners_alone(url, opened, tmp_path):
    before = os.umask(0)
    try:
        opened(url, migrated)
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
    assert modes == {"jobs.db": 0o600, "jobs.db-wal": 0o600, "jobs.db-shm": 0o600}


@pytest.mark.parametrize("name", ["a b.db", "ü 📧%20#.db", "a&mode=memory.db", "it's.db"])
def test_any_file_name_is_that_file(tmp_path, name):
    connect(f"sqlite:///{tmp_path}/{name}", create=True).close()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("url, said", [
    *((url, r"\[core\] database: expected sqlite:///file\.db") for url in (
        "sqlite://", "sqlite:///", "sqlite:jobs.db", "sqlite://jobs.db",
        "sqlite:///a.db?mode=rwc")),
    ("sqlite:///jobs.db", r"^the database .*/jobs\.db: file is not a database: it is "),
    ("sqlite:///folder", "unable to open database file: Is a directory")])      # R63
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, url, said):
    (tmp_path / "jobs.db").write_text("From: a@example.org\n" * 100)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseError, match=said):
        connect(url, base=str(tmp_path), create=True)


def mode(db):
    return db.value("PRAGMA journal_mode"), db.value("PRAGMA synchronous")


@pytest.mark.parametrize("how, expected", [("usual", ("wal", 1)), ("it fails", ("delete", 2))])
def test_wal_where_memory_can_be_shared_else_the_classic_journal(url, tmp_path, how, expected):
    if how == "it fails":
        (tmp_path / "jobs.db-shm").mkdir()       # what a file system does that cannot map a file
    for open_ in (migrated, connect):
        db = open_(url)
        assert mode(db) == expected
        alias(db, f"{open_.__name__}@example.org")
        db.close()


def test_only_migrate_changes_the_journal_and_never_that_of_a_database_in_use(url, opened, holder):
    holder.execute("CREATE TABLE theirs (a)")
    assert mode(opened(url)) == ("delete", 2)
    holder.execute("BEGIN IMMEDIATE")
    assert mode(opened(url, create=True, timeout=0.2))[0] == "delete"
    holder.execute("ROLLBACK")
    assert mode(opened(url, create=True))[0] == "wal"


# Others

def test_a_writer_that_holds_on_makes_us_busy_within_our_time(url, opened, holder):    # R16
    db = opened(url, migrated, timeout=0.3)
    holder.execute("BEGIN IMMEDIATE")
    for attempt in (lambda: alias(db, "a@example.org"),
                    lambda: db.batch(lambda: alias(db, "a@example.org"))):
        def refused(attempt=attempt):
            with pytest.raises(Busy,
                               match=r"jobs\.db: another process was writing for more than 0\.3 s"):
                attempt()
        # a batch does not wait thrice: the next run goes on
        assert 0.2 < quickest(refused, 0.8)
    assert db.value("SELECT COUNT(*) FROM {aliases}") == 0      # reading goes on
    holder.execute("ROLLBACK")
    alias(db, "a@example.org")


def test_a_transaction_that_read_first_can_still_write(url, opened):
    # BEGIN IMMEDIATE: with a plain BEGIN the second of two could not get the lock by any wait
    def add(times):
        mine = connect(url)
        for _ in range(times):
            with mine.transaction():
                seen = mine.value("SELECT email_limit FROM {users}")
                mine.execute("UPDATE {users} SET email_limit = :next", next=seen + 1)
        mine.close()

    db = opened(url, migrated)
    db.insert("users", email_limit=0, created_at=NOW)
    threads = [threading.Thread(target=add, args=(50,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.value("SELECT email_limit FROM {users}") == 200


def test_a_transaction_that_sqlite_rolled_back_by_itself_is_refused_from_then_on(url, opened):
    db = opened(url, migrated)
    db.value(f"PRAGMA max_page_count = {db.value('PRAGMA page_count') + 2}")

    def fill():
        with pytest.raises(DatabaseError, match="full"):
            alias(db, "x" * 90_000)

    with pytest.raises(DatabaseError, match="full"):
        transact(db, lambda: alias(db, "a@example.org"), fill,
                 lambda: alias(db, "b@example.org"))      # would be stored at once, alone
    assert db.value("SELECT COUNT(*) FROM {aliases}") == 0


# Reading only

WRITER = ("import os, sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n"
          "db.execute(\"INSERT INTO aliases (user_id, address) VALUES (1, 'a')\")\n"
          "db.commit()\nos.kill(os.getpid(), 9)")


@pytest.mark.parametrize("writer", ["at work", "gone", "killed"])
def test_a_dry_run_leaves_no_trace(url, opened, tmp_path, writer):    # R11
    db = opened(url, migrated)
    if writer != "killed":
        alias(db, "a@example.org")
    if writer != "at work":
        db.close()
    if writer == "killed":
        subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "jobs.db")])
    before, names = files(tmp_path), sorted(os.listdir(tmp_path))
    # what is not yet in the file itself
    assert ("jobs.db-wal" in names) == (writer != "gone")
    dry = connect(url, readonly=True)
    assert len(rows(dry)["aliases"]) == 1
    dry.close()
    assert (files(tmp_path), sorted(os.listdir(tmp_path))) == (before, names)


AS_NOBODY = ("import os, sys\n"
             "from jobs_lib.errors import DatabaseError\n"
             "from jobs_lib.database.connection import connect\n"
             "import jobs_lib.database.dialects.sqlite, jobs_lib.text.masking\n"
             "os.setgroups([]) or os.setgid(65534) or os.setuid(65534)\n"
             "try: connect(sys.argv[1]).execute(\"UPDATE {meta} SET value = '1'\")\n"
             "except DatabaseError as error: print(error)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("name, mode, said", [
    ("jobs.db", 0, "its permissions do not allow it: run `chmod u+rwX "),
    ("jobs.db-shm", 0o400, "its permissions do not allow it: run `chmod u+rwX "),
    ("jobs.db", None, "it belongs to root, and the jobs")])
def test_the_file_that_cannot_be_used_is_named_with_what_to_do(name, mode, said):        # R63
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        url = f"sqlite:///{folder}/jobs.db"
        db = migrated(url)
        if mode is not None:
            for path in (folder, *(f"{folder}/{each}" for each in os.listdir(folder))):
                os.chown(path, 65534, 65534)
            os.chmod(f"{folder}/{name}", mode)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, url], capture_output=True,
                              text=True, cwd=ROOT)
        db.close()
    assert done.stderr == ""
    assert f"{folder}/{name} cannot be used: {said}" in done.stdout
