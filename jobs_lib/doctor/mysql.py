"""A MariaDB or MySQL server as `jobs.py doctor` sees it: version, settings of our connection,
limits, tables."""
from __future__ import annotations

from jobs_lib.database.dialects import mysql
from jobs_lib.database.schema import NAMES
from jobs_lib.output.findings import note, ok, problem, run, warning

FLOORS = {"MariaDB": (10, 3), "MySQL": (5, 7)}
CLOCK_SECONDS = 5
# bytes: a notice with both of its bodies, the payload of a webhook
PACKET = 4 * 1024 ** 2
# at the least: a run, its lock, the reading of an export, your app
CONNECTIONS = 4
CROWDED = 0.8                            # of the server's connections
MAY_WRITE = ("Give the user SELECT, INSERT, UPDATE and DELETE (docs/install.md, MySQL or MariaDB), "
             "and see that it is not a read-only copy.")
FROM_EPOCH = "FROM_UNIXTIME({})"
FROM_TEXT = "STR_TO_DATE({}, ...) for a text"
VARIABLES = ("transaction_isolation", "tx_isolation", "sql_mode", "time_zone",
             "character_set_client", "log_bin", "binlog_format", "max_allowed_packet",
             "max_connections", "max_user_connections", "timestamp")


def examine(db, now):
    """Everything that can be asked of the server without any right."""
    found = {row["Variable_name"]: row["Value"] for row in db.query(
        "SHOW VARIABLES WHERE Variable_name IN (:names)", names=list(VARIABLES))}
    yield from _version(db)
    yield from _session(found)
    yield from _log(found)
    yield from _limits(db, found)
    yield from _clock(found, now)
    yield from _encryption(db)
    yield from _tables(db)


def _version(db):
    version = db.value("SELECT VERSION()")
    kind = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    # a prefix for old replicas
    words = version.lower().replace("5.5.5-", "", 1).split("-")[0]
    numbers = tuple(int(part) for part in words.split(".") if part.isdigit())
    floor = ".".join(map(str, FLOORS[kind]))
    if numbers < FLOORS[kind]:
        yield problem(f"{kind} {words} is older than {floor}", "Statements of the jobs fail on it.",
                      "Ask your host for a newer server.")
    else:
        yield ok(f"{kind} {words}")


def _session(found: dict):
    """What our connection sets, as the server has taken it: a proxy in between may swallow it."""
    isolation = found.get("transaction_isolation") or found.get("tx_isolation")
    wrong = [(name, wanted, value, why) for name, wanted, value, why in (
        ("isolation", "READ-COMMITTED", isolation,
         "A purge locks gaps between rows, where your app inserts."),
        ("time_zone", "+00:00", found.get("time_zone"), "Times come in another zone than UTC."),
        ("character_set_client", "utf8mb4", found.get("character_set_client"),
         "Letters are stored wrong."),
        ("sql_mode", "STRICT_ALL_TABLES", found.get("sql_mode"),
         "What does not fit is cut off without a word."),
    ) if wanted not in (value or "").split(",")]
    for name, wanted, value, why in wrong:
        yield problem(f"Our connection asks for {name} = {wanted}, and has {value}", why,
                      "Something between us and the server swallows SET SESSION, such as a proxy: "
                      "connect directly.")
    if not wrong:
        yield ok("the connection is as it should be: READ COMMITTED, UTC, utf8mb4, strict")


def _log(found: dict):
    if found.get("log_bin") == "ON" and found.get("binlog_format") == "STATEMENT":
        yield problem("The server's binlog_format is STATEMENT",
                      "With READ COMMITTED it refuses to write (error 1665).",
                      run("Ask your host for MIXED or ROW:", "SET GLOBAL binlog_format = 'MIXED';"))


def _limits(db, found: dict):
    packet = int(found.get("max_allowed_packet") or PACKET)
    if packet < PACKET:
        yield warning(f"max_allowed_packet = {packet // 1024} KB",
                      "A long notice, or the payload of a webhook, cannot be stored.",
                      run("Ask your host for 16 MB:", "SET GLOBAL max_allowed_packet = 16777216;"))
    own = int(found.get("max_user_connections") or 0)
    if 0 < own < CONNECTIONS:
        yield warning(f"This user may have {own} connections at once (max_user_connections)",
                      "A run takes one, two with [core] lock = database, and your app needs its "
                      "own: a job then stops with \"no connection left\".",
                      "Ask your host for at least 10, or give the jobs their own user.")
    most = int(found.get("max_connections") or 0)
    used = {row["Variable_name"]: int(row["Value"]) for row in db.query(
        "SHOW GLOBAL STATUS WHERE Variable_name = 'Threads_connected'")}.get("Threads_connected", 0)
    if most and used > most * CROWDED:
        yield warning(f"{used} of the server's {most} connections are in use",
                      "When none is left, a job stops and its next run goes on.",
                      "If that is often so, ask your host for more.")
    elif most:
        yield ok(f"{used} of {most} connections are in "
                 f"use{f', {own} allowed to this user' if own > 0 else ''}")


def _clock(found: dict, now):
    try:
        ahead = float(found["timestamp"]) - now.timestamp()
    except (KeyError, ValueError):
        return
    if abs(ahead) > CLOCK_SECONDS:
        which = "ahead of" if ahead > 0 else "behind"
        yield warning(f"The database server's clock is {abs(ahead):.0f} seconds {which} this "
                      "machine's", "Your app writes by one clock and the jobs by the other: "
                      "retries come early or late.", "Ask your host to set the clocks (NTP).")
    else:
        yield ok("the server's clock is this machine's")


def _encryption(db):
    target = db._target
    if target.socket or target.host in mysql.LOOPBACK:
        return
    ciphers = [row["Value"] for row in db.query("SHOW SESSION STATUS "
                                                "WHERE Variable_name = 'Ssl_cipher'")]
    if not any(ciphers):
        yield warning(f"The connection to {target.host} is not encrypted",
                      "The password and people's data cross the network in clear.",
                      "Put ?ssl_ca=/path/to/ca.pem in place of ?tls=off in [core] database "
                      "(docs/install.md).")
    elif target.tls == "on":
        yield note(f"The connection to {target.host} is encrypted, and the server is not verified "
                   "(?tls=on)", "Anyone in between can read along.",
                   "Put ?ssl_ca=/path/to/ca.pem in its place in [core] database.")


def _tables(db):
    """The engine and character set of the tables that the jobs use."""
    ours = [db.name(name) for name in NAMES]
    rows = db.query("SELECT table_name AS name, engine AS engine, table_collation AS collation "
                    "FROM information_schema.tables WHERE table_schema = DATABASE() "
                    "AND table_name IN (:ours) AND table_type = 'BASE TABLE' ORDER BY table_name",
                    ours=ours)
    for row in rows:
        if row["engine"] != "InnoDB":
            yield problem(f"The table {row['name']} is {row['engine']}, not InnoDB", "It knows no "
                          "transactions: what is half done stays so when a run is killed.",
                          run("Make a backup, then:",
                              f"ALTER TABLE {db.dialect.quote(row['name'])} ENGINE=InnoDB;"))
        elif not str(row["collation"]).startswith("utf8mb4"):
            yield note(f"The table {row['name']} is in {row['collation']}, not in utf8mb4",
                       "Names and subjects with letters that it lacks are refused.",
                       "If your app allows it, have it converted to utf8mb4.")
