"""What only a server can do to us: deadlocks, killed connections, defaults of its own, refusals."""
from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from tests.servers.certificates import Authority
from tests.servers.mariadb import ENCODED, PASSWORD, USER, MariaDB
from tests.servers.proxy import CutProxy
from tests.support.databases import NOW, migrated, transact
from tests.support.product import Conflict, DatabaseError, Lost, Stopped, connect, dialects
from tests.support.shell import ROOT, until


@pytest.fixture
def url(blank_mariadb_url):
    return blank_mariadb_url


@pytest.fixture
def db(url, opened):
    database = opened(url, migrated)
    for id in (1, 2):
        database.insert("users", id=id, email_limit=0, created_at=NOW)
    return database


def name_in(url: str) -> str:
    """The database's own name."""
    return url.partition("?")[0].rpartition("/")[2]


def through(proxy, url: str) -> str:
    """The URL by way of the proxy."""
    return f"mysql://{USER}:{ENCODED}@127.0.0.1:{proxy.port}/{name_in(url)}"


def add(db, id, amount=1):
    sql = "UPDATE {users} SET email_limit = email_limit + :amount WHERE id = :id"
    assert db.execute(sql, amount=amount, id=id)


def kill(mariadb, number):
    """End a connection; returns when the server has said its goodbye."""
    mariadb.root(f"KILL {number}")
    until(lambda: not mariadb.root("SELECT id FROM information_schema.processlist "
                                   f"WHERE id = {number}"))


def limits(db):
    return [row["email_limit"] for row in db.query("SELECT email_limit FROM {users} ORDER BY id")]


def number(db):
    return db.value("SELECT CONNECTION_ID()")


# Settings

ODD = ("NAMES latin1, completion_type = 1, autocommit = 0, sql_safe_updates = 1, sql_select_limit "
       "= 1, transaction_read_only = 1, /*!50708 max_execution_time = 300, *//*M!100101 "
       "max_statement_time = 0.3, */ sql_auto_is_null = 1, sql_big_selects = 0, max_join_size = "
       "1, foreign_key_checks = 0, unique_checks = 0")


@pytest.fixture
def odd(mariadb, url, opened):
    """A server whose defaults change what statements mean."""
    opened(url, migrated)
    mariadb.root(f"SET GLOBAL init_connect = 'SET {ODD}'")
    yield opened(url)
    mariadb.root("SET GLOBAL init_connect = ''")


def test_no_setting_of_the_server_changes_what_a_statement_means(odd, url, mariadb):
    # R14, R16: chained transactions left all that followed a commit unstored, every run `running`;
    # the private server has Latin-1, no strict mode, -05:00 and REPEATABLE READ
    assert mariadb.root("SELECT @@global.sql_mode, @@global.time_zone") == (("", "-05:00"),)
    with odd.transaction():
        odd.insert("users", id=1, name="Zoë", created_at=NOW)
    odd.insert("users", id=2, name="Zoë", created_at=NOW)
    stored = mariadb.root(f"SELECT id, name FROM {name_in(url)}.users ORDER BY id")
    assert stored == ((1, "Zoë"), (2, "Zoë"))
    # without a key
    assert odd.execute("UPDATE {users} SET name = 'x' WHERE name = :name", name="Zoë") == 2
    assert len(odd.query("SELECT a.id FROM {users} a, {users} b, {users} c")) == 8
    assert odd.query("SELECT id FROM {users} WHERE id IS NULL") == []
    assert odd.value("SELECT SLEEP(0.5)") == 0
    settings = {"foreign_key_checks": 1, "unique_checks": 1, "autocommit": 1,
                "time_zone": "+00:00", "transaction_isolation": "READ-COMMITTED",
                "innodb_lock_wait_timeout": 5, "character_set_client": "utf8mb4",
                "character_set_results": "utf8mb4"}
    assert odd.row(f"SELECT {', '.join(f'@@{name} AS {name}_' for name in settings)}") == {
        f"{name}_": value for name, value in settings.items()}
    assert "STRICT_ALL_TABLES" in odd.value("SELECT @@sql_mode")


def test_a_text_in_a_view_of_the_apps_has_any_collation(db, url, opened):                  # R75
    """As its creator's connection had it."""
    for number, names in enumerate(("latin1 COLLATE latin1_german1_ci", "utf8mb3",
                                    "utf8mb4 COLLATE utf8mb4_unicode_ci")):
        db.execute(f"SET NAMES {names}")
        db.execute(f"CREATE VIEW never_{number} AS SELECT COALESCE(expires_at, '9999-12-31') AS "
                   "ends FROM {sessions}")
    other = opened(url)
    for number in range(3):
        assert other.query(f"SELECT ends FROM never_{number} WHERE ends < '2026-11-24' OR "
                           "ends > :now", now=NOW) == []


# Deadlocks and lock waits

def test_a_deadlock_is_done_again_as_a_whole(db, url, opened):
    # R16: two real connections take two rows in opposite order, both holding one before either goes
    # on
    meet, tries = threading.Barrier(2), []

    def cross(first, second, mine):
        met = []

        def work():
            tries.append(first)
            add(mine, first)
            if not met:
                met.append(meet.wait(10))
            add(mine, second)

        mine.batch(work)

    threads = [threading.Thread(target=cross, args=(*pair, opened(url)))
               for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(tries) == 3                   # one of them lost, and was done once more
    assert limits(db) == [2, 2]


def test_a_statement_that_is_ended_by_a_time_limit_is_a_conflict(url, opened):     # R16
    db = opened(url)
    db.execute("SET /*!50708 max_execution_time = 1000 *//*M!100101 max_statement_time = 1 */")
    with pytest.raises(Conflict, match="time exceeded"):
        db.value("SELECT 1 FROM information_schema.tables WHERE SLEEP(30) = 1")
    assert db.value("SELECT 1") == 1


def test_after_a_lost_lock_the_rest_of_a_transaction_is_refused(db, url, opened):
    # a deadlock has rolled back all of it: what follows would be stored at once, alone
    other, mine = opened(url), opened(url, timeout=1)

    def go_on():
        for id in (2, 1):
            with pytest.raises(Conflict):
                add(mine, id)

    with other.transaction():
        add(other, 2)
        with pytest.raises(Conflict):
            transact(mine, lambda: add(mine, 1), go_on)
    assert limits(db) == [0, 1]


# Connections that are lost

def test_a_snapshot_whose_connection_is_lost_as_it_begins_is_none(db, url, opened, mariadb):
    # R14: never half of one, in which each statement would see a moment of its own
    with CutProxy(mariadb.port, b"CONSISTENT SNAPSHOT", before=True) as proxy:
        reader = opened(through(proxy, url))
        with pytest.raises(Lost), reader.snapshot():
            pytest.fail("it has begun")
        assert proxy.cuts == 1
        proxy.word = b""
        with reader.snapshot():
            assert limits(reader) == [0, 0]
            add(db, 1)
            assert limits(reader) == [0, 0]


def test_a_batch_whose_connection_is_killed_is_done_again_as_a_whole(db, mariadb):    # R16
    tries = []

    def work():
        add(db, 1)
        tries.append(number(db))
        if len(tries) == 1:
            mariadb.root(f"KILL {tries[0]}")
        add(db, 2)

    db.batch(work)
    assert len(set(tries)) == 2
    assert limits(db) == [1, 1]


def test_a_transaction_whose_connection_is_killed_stores_nothing_and_says_so(db, mariadb):
    def go_on():
        for _ in range(2):
            with pytest.raises(Lost):
                add(db, 2)                   # would stand alone, outside any transaction

    with pytest.raises(Lost, match="nothing of it is stored"):
        # code that swallows that gets the error at the end
        transact(db, lambda: add(db, 1), lambda: mariadb.root(f"KILL {number(db)}"), go_on)
    assert limits(db) == [0, 0]


@pytest.mark.parametrize("tcp", [False, True])
def test_what_follows_a_connection_killed_while_idle_is_done_on_a_new_one(url, db, opened, mariadb,
                                                                          tcp):
    mine = opened(mariadb.url(name_in(url), tcp))
    for use in (lambda: limits(mine), lambda: add(mine, 1)):
        kill(mariadb, number(mine))
        use()
    kill(mariadb, number(mine))
    with mine.transaction():
        add(mine, 2)
    assert limits(db) == [1, 1]


def test_a_statement_killed_while_it_runs_is_not_repeated(db, mariadb):
    seen = number(db)
    killer = threading.Timer(0.3, mariadb.root, (f"KILL {seen}",))
    killer.start()
    with pytest.raises(Lost):
        db.execute("UPDATE {users} SET email_limit = 5 + SLEEP(1)")
    killer.join()
    assert number(db) != seen
    assert limits(db) == [0, 0]


def test_a_connection_lost_in_the_commit_is_told_and_never_repeated(db, url, opened, mariadb):
    # It may be stored, and here it is: done again, an increment would count twice.
    with CutProxy(mariadb.port, b"\x03COMMIT") as proxy:
        mine, tries = opened(through(proxy, url)), []
        with pytest.raises(DatabaseError, match="may or may not be stored"):
            mine.batch(lambda: tries.append(1) or add(mine, 1))
        assert len(tries) == proxy.cuts == 1
        until(lambda: limits(db)[0])
        assert limits(db) == [1, 0]
        proxy.word = b""
        mine.batch(lambda: add(mine, 1))
        assert limits(db) == [2, 0]


def _raise_stopped(*_):
    raise Stopped


@pytest.fixture
def alarm():
    """`alarm(seconds)`: a signal that raises Stopped, as the hard limit does."""
    before = signal.signal(signal.SIGALRM, _raise_stopped)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# One may strike in a __del__, where Python only warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signals_at_random_moments_never_mix_up_answers(db, alarm):     # R4
    stops = 0
    for round in range(150):
        try:
            alarm(0.0005 + 0.00002 * round)
            for _ in range(60):
                with db.transaction():
                    add(db, 1)
                    assert db.value("SELECT :round", round=round) == round
                    assert db.row("SELECT email_limit AS n FROM {users} WHERE id = 2") == {"n": 0}
        except Stopped:
            stops += 1
            db.invalidate()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert db.value("SELECT :round", round=-round) == -round
    assert stops > 100


# Words

def told(url: str) -> str:
    """Why it cannot be used: one line without any secret."""
    with pytest.raises(DatabaseError) as caught:
        connect(url)
    text = str(caught.value)
    assert [word for word in (PASSWORD, ENCODED, "hidden", "\n") if word in text] == []
    return text


REFUSED = {         # {what comes before the address: what is told}
    "mysql://{user}:hidden@localhost/test_1?unix_socket={socket}":
        "database test_1 on {socket}: Access denied for user '{user}'",
    # the user is granted test_%, so the server says so; elsewhere it only denies access
    "{url}test_none": "Unknown database 'test_none' (1049)",
    "{url}mysql": "to database 'mysql' (1044)",
    "mysql://u:hidden@nowhere.invalid/x": "Can't connect to MySQL server on 'nowhere.invalid'",
    "mysql://u:hidden@127.0.0.1:9/x": "on 127.0.0.1:9: Can't connect to MySQL server",
    "mysql://u:hidden@localhost/x?unix_socket=/no/s":
        "no database server listens on the socket /no/s"}


@pytest.mark.parametrize("url", REFUSED)
def test_a_database_that_cannot_be_used_is_one_sentence_without_a_secret(mariadb, url):
    names = {"user": USER, "socket": mariadb.socket, "url": mariadb.url("", tcp=True)}
    assert REFUSED[url].format(**names) in told(url.format(**names))


@pytest.mark.slow
def test_tls_is_verified_by_the_ca_and_by_name(opened, tmp_path):
    (tmp_path / "other").mkdir()
    authority, stranger = Authority(tmp_path), Authority(tmp_path / "other")
    chain = authority.chain("localhost")
    with MariaDB(f"--ssl-cert={chain}", f"--ssl-key={chain}") as server:
        name = server.database().partition("?")[0].rpartition("/")[2]
        url = f"mysql://{USER}:{ENCODED}@localhost:{server.port}/{name}?ssl_ca="
        db = opened(url + authority.ca_file)
        assert db.row("SHOW STATUS LIKE 'Ssl_version'")["Value"].startswith("TLS")
        for wrong in (url + stranger.ca_file,
                      (url + authority.ca_file).replace("@localhost", "@127.0.0.1")):
            assert "CERTIFICATE_VERIFY_FAILED" in told(wrong)
        assert "?ssl_ca=/no/ca.pem: No such file or directory" in told(url + "/no/ca.pem")


@pytest.mark.parametrize("older", ["", "VERSION = 1, 1, 2, 'final'"])
def test_without_a_pymysql_that_keeps_to_tls_one_sentence_tells_the_command(tmp_path, older):  # R71
    (tmp_path / "config.ini").write_text("[core]\ndatabase = mysql://u:hidden@h/x\n")
    if older:
        (tmp_path / "pymysql.py").write_text(older)
    # -S: this Python without its packages
    done = subprocess.run([sys.executable, "-S", "jobs.py", "--config",
                           str(tmp_path / "config.ini"), "purge_sessions"], cwd=ROOT,
                          env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert "needs PyMySQL 1.2 or newer, which is not installed: run " in done.stderr


def test_localhost_prefers_the_socket_and_a_password_may_hold_anything(monkeypatch, tmp_path,
                                                                       mariadb):
    monkeypatch.setattr(dialects, "SOCKETS", (str(tmp_path / "none"), mariadb.socket))
    sockets = [dialects.parse(f"mysql://u@{address}/x").socket
               for address in ("localhost", "localhost:3306", "127.0.0.1")]
    assert sockets == [mariadb.socket, "", ""]
    for word in ("p@ss", "a/b", "a:b", "a?b", "100%", "%zz", "%40%2F"):
        found = dialects.parse(f"mysql://u:{word}@h:1/x").password
        assert found == ("@/" if word == "%40%2F" else word)
