"""Hang in one of the ways in which a job may: with an open transaction, until something ends it."""
import itertools
import os
import socket
import time

from tests.support.product import Option, declare
from tests.support.product import option_types as kind

EVER = 10 ** 9


@declare(schedule="17 3 * * *", enabled="no",
         options={"how": Option(kind.text, "sleep", "One of the functions below."),
                  "waits": Option(kind.integer(0, 100), "0", "Seconds first, with nothing to do."),
                  "after": Option(kind.switch, "yes", "An uncommitted row first.")})
def job(ctx):
    """Add a row that must not stay, then hang."""
    ctx.progress(0, 1)
    time.sleep(ctx.options.waits)
    ctx.should_stop()
    hang = globals()[f"in_{ctx.options.how}"]
    if not ctx.options.after:
        return hang(ctx)
    with ctx.db.transaction():
        ctx.db.insert("usage_events", user_id=os.getpid(), cycle_start=ctx.now.date(),
                      metric="emails",
                      threshold=60, created_at=ctx.now)
        hang(ctx)
    return {}


def in_sleep(_ctx):
    """A plain wait."""
    time.sleep(EVER)


def in_recv(_ctx):
    """A server that never answers."""
    one, _other = socket.socketpair()
    one.recv(1)


def in_sqlite(ctx):
    """One statement that never ends, in C."""
    ctx.db.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) "
                 "FROM n")


def in_mariadb(ctx):
    """One statement that takes long on the server: 1000 s."""
    ctx.db.query("SELECT SLEEP(1000)")


def in_mariadb_write(ctx):
    """A statement that would be committed by itself, long after we are gone, if the server went on
    with it."""
    ctx.db.execute("INSERT INTO {usage_events} (user_id, cycle_start, metric, threshold, "
                   "created_at) SELECT 1, '2026-01-01', 'emails', n + SLEEP(60), '2026-01-01 "
                   "00:00:00' FROM (SELECT 60 AS n UNION ALL SELECT 70) AS two")


def in_swallow(_ctx):
    """Code that catches everything, once."""
    try:
        time.sleep(EVER)
    except BaseException:       # noqa: BLE001
        time.sleep(EVER)


def in_all_memory(_ctx):
    """A list that takes all there is, in small pieces."""
    kept = []
    while True:
        kept.append(str(len(kept)) * 10)


def in_code_that_holds_all(_ctx):
    """C code that never lets go of the interpreter."""
    sum(itertools.repeat(0))
