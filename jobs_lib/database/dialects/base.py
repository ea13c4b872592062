"""What a dialect is: a module of words for one kind of database, never of rules.

Each has `name`, `package` (what has to be installed for it), `Error` (the driver's root error), and

    parse(url, base, timeout) -> target       what `connect` needs; ValueError for a wrong URL
    connect(target, readonly, create) -> raw  a driver's connection in autocommit
    execute(raw, sql, values) -> cursor       sql and values in the driver's notation
    translated(error, target) -> DatabaseError  the driver's error in our words
    retry_lossy(raw, error) -> bool           whether the statement is to be tried once more
    within(target, seconds) -> target         for a connect that may take so long
    limit(raw, target, seconds)               no later call takes much longer; None: no limit
    stale(raw), in_transaction(raw), alive(raw), interrupt(raw, target), close(raw)
    mark(name), literal(text), quote(name)    the driver's notation
    begin(readonly), conflict(keys, updates), excluded_value(column), for_update, explain
    snapshot                                  statements that begin a transaction as of one moment
    snapshot_blocks_writers(raw) -> bool      whether such a transaction makes all writers wait
    tables, columns, indexes                  statements that read the catalogue; foreign_keys and
                                              views: "" where they matter to nobody
    day(column), word(column)                 a time as a day, any text as our columns take it
    later(column, seconds)                    so long after a time
    types, now_default(db), table_options, drop_index(index, table), transactional_ddl
                                              for database/schema/ddl.py
    named_locks                               whether it has locks for runner/locks.py
    batches, before_batches, after_batch      for engines/batch_delete.py: rows in short batches
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Batches = namedtuple("Batches", "seconds least most pause share")
Batches.__doc__ = """How many rows are deleted at once.

seconds      how long a batch should hold its locks
least, most  rows in a batch
pause        seconds after it, at least
share        of the batch's own time that the pause lasts
"""

