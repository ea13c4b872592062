"""What a queue is to an operator: one declaration for `status`, `queue`, `replay` and `cancel`.

Each feature declares its own (features/*/work_queue.py); monitoring/queues.py gathers them. Nothing
here writes.
"""
from __future__ import annotations

from functools import partial
from types import SimpleNamespace

from jobs_lib import clock
from jobs_lib.database.values import chunked, keys_in, one_line, words
from jobs_lib.records import namedtuple

from . import due as dues

DUE, WAITING, FAILED = ("due", "waiting", "failed")
SENDING, INVALID = "being sent", "invalid"      # further states of an item
COUNTED = 10_000                # rows that are counted; there may be more
ASKED_AT_ONCE = 5_000           # keys in one statement
LONGEST_ID = 60                 # characters that are shown of a key that is none

Wanted = namedtuple("Wanted", "failed owners since limit", defaults=(False, None, None, 20))
Wanted.__doc__ = """Which items are listed.

failed  only what has failed; else all that is not finished, with `owners` all that is stored
owners  ids of users, or None: of everybody
since   items that came in then or later, or None
limit   how many at most
"""
Item = namedtuple("Item", "id owner to state attempts most since next_at why answer")
Item.__doc__ = """One item of a queue, in words. Times are aware UTC, or None.

id, owner  of its row; of its user, or None         to       to whom, or what it is about
state      a word: `due`, `waiting`, `failed`, ...  attempts made so far; most: of so many, or None
since      when it came in                          next_at  when it is tried next
why        what it waits for, or ""                 answer   what the other side said last, or ""
"""
Kept = namedtuple("Kept", "until option rule")
Kept.__doc__ = """How long a row stays.

until   when it is deleted, aware UTC; None: not while it is as it is
option  `[purge_failed_emails] keep = 7d`, or ""
rule    in words
"""


def view(db, config, now, options) -> SimpleNamespace:
    """What a queue is looked at with: a run's Context has the same names. `options`: its job's."""
    def secret(label: str) -> bytes:
        from jobs_lib.folders import secret_key
        from jobs_lib.runner.context import derived
        core = config.section("core")
        return derived(secret_key(core.state_dir, core.secret_key, make=False), label)
    return SimpleNamespace(db=db, config=config, now=now, options=options, section=config.section,
                           secret=secret, clock=lambda: now, options_of=config.job_named)


class WorkQueue:
    """One queue. Rows are dicts, `ctx` is a view.

    queue         as the engine sees it (features/queues.py)
    name, item    on the command line: many, one     what   in `status`
    table         its rows                           job    which works it off
    done, failed  counts of the job                  reads  columns that are read of a row
    moments       ((column, what happened then),...) added  the column: when it came in
    waits         SQL: a row that waits, and was perhaps never tried
    notified      columns that get the present time when it is cancelled: its owner is not notified
    """

    queue: dues.Queue
    name = item = what = table = job = ""
    done: tuple = ()
    failed: tuple = ()
    reads: tuple = ()
    moments: tuple = ()
    notified: tuple = ()
    added, waits = "created_at", "status = 'pending'"

    def due(self, ctx) -> dues.Due:
        """What a run now would take."""
        return dues.due(ctx, self.queue)

    # For `status`

    def backlog(self, ctx, most: int) -> tuple:
        """(rows that are not finished, those of them that are due, since when the oldest is), of
        `most` that are counted. Here only what is due is not finished."""
        number, since = self.due(ctx).backlog(most)
        return number, number, since

    def count_failed(self, ctx) -> int:
        """How many have failed for good, COUNTED at most."""
        return count(ctx.db, self.table, "status = 'failed'", COUNTED)

    # For `queue`

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """The rows that are wanted, in the order in which they are listed: what a run has in hand,
        what is due, what waits; else the newest first. By indexes: what it costs does not grow with
        the queue."""
        db, queue, most = ctx.db, self.queue, wanted.limit
        since, values = since_rule(wanted, queue.added)
        chosen = f"SELECT {', '.join(self.reads)} FROM {{{self.table}}} WHERE"
        newest = f"ORDER BY {queue.added} DESC, id DESC LIMIT :most"
        if wanted.owners is not None:
            failed = " AND +status = 'failed'" if wanted.failed else ""
            return db.query(f"{chosen} user_id IN (:owners){failed}{since} {newest}",
                            owners=wanted.owners, most=most, **values)
        if wanted.failed or since:
            rows = [row for status in (("failed",) if wanted.failed else self.unfinished())
                    for row in db.query(f"{chosen} status = :status{since} {newest}",
                                        status=status, most=most, **values)]
            return sorted(rows, key=lambda row: str(row[queue.added]), reverse=True)[:most]
        ids = [row["id"] for row in db.query(
            f"SELECT id FROM {{{self.table}}} WHERE status = :works ORDER BY id LIMIT :most",
            works=queue.works, most=most)] if queue.works else []
        ids += self.due(ctx).ids(most)
        ids += [row["id"] for row in db.query(
            f"SELECT id FROM {{{self.table}}} WHERE {dues.pending(queue)} "
            f"AND {queue.time} >= :first ORDER BY {queue.time} LIMIT :most", first=clock.FIRST,
            most=most + len(ids))]
        ids = list(dict.fromkeys(ids))[:most]
        found = {row["id"]: row for row in db.query(f"{chosen} id IN (:ids)", ids=ids)}
        return [found[id] for id in ids if id in found]

    def unfinished(self) -> tuple:
        """The statuses of rows that are not finished."""
        waits = self.queue.waits
        return (self.queue.works, *([waits] if isinstance(waits, str) else waits))

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        raise NotImplementedError

    def holds(self, ctx) -> list[str]:
        """Sentences: what holds up the queue as a whole."""
        found, name = [], self.job
        paused = ctx.db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name)
        if paused:
            found.append(f"{name} is paused since {paused} UTC: `jobs.py resume {name}`.")
        if not ctx.options.enabled:
            found.append(f"{name} is switched off: [{name}] enabled = no.")
        return found

    # For `queue QUEUE ID`

    def what_happened(self, ctx, row: dict) -> list[tuple]:
        """`moments` in the words for this row."""
        return list(self.moments)

    def find(self, ctx, word: str):
        """The id of the item that is called so, besides its id; None if there is none."""
        return

    def read(self, ctx, id) -> dict | None:
        """All of a row."""
        return ctx.db.row(f"SELECT * FROM {{{self.table}}} WHERE id = :id", id=id)

    def kept(self, ctx, row: dict) -> Kept:
        """Until when the row is kept, and by which option."""
        raise NotImplementedError


def count(db, table: str, rule: str, most: int, **values) -> int:
    """How many rows a rule has, `most` at most."""
    return db.value(f"SELECT COUNT(*) AS number FROM (SELECT 1 AS one FROM {{{table}}} "
                    f"WHERE {rule} LIMIT :most) found", most=most, **values)


def owners_in(db, rows: list[dict]) -> dict:
    """{id of a user that the rows name: its status}."""
    ids, key = keys_in({row["user_id"] for row in rows}), partial(db.key, "users")
    found = {key(row["id"]): row["status"] for some in chunked(ids, ASKED_AT_ONCE)
             for row in db.query("SELECT id, status FROM {users} WHERE id IN (:ids)", ids=some)}
    return {owner: found[key(owner)] for owner in ids if key(owner) in found}


def why_nobody_waits(owners: dict, user_id) -> str:
    """Why an item is of no account, or ""; `owners`: as `owners_in` has them."""
    if user_id not in owners:
        return f"there is no account {one_line(words(user_id), LONGEST_ID)}"
    return "the account is deleted" if owners[user_id] == "deleted" else ""


def since_rule(wanted: Wanted, column: str) -> tuple[str, dict]:
    """(SQL, values) to be put behind a condition."""
    if wanted.since is None:
        return "", {}
    return f" AND {column} >= :came_in", {"came_in": wanted.since}


def purged(ctx, row: dict, job: str, age: str, fallback: str = "", option: str = "keep") -> Kept:
    """Kept by an option of a purge, from the time in the column `age` on."""
    keep, named = getattr(ctx.config.job_named(job), option), written(ctx.config, job, option)
    if keep is None:
        return Kept(None, named, "it is kept for ever")
    start = clock.parse_any(row[age]) or (clock.parse_any(row[fallback]) if fallback else None)
    return Kept(start and clock.plus(start, keep), named,
                f"counted from {age if row[age] is not None or not fallback else fallback}")


def written(config, job: str, option: str) -> str:
    """An option of a job as it is set: `[purge_failed_emails] keep = 7d`."""
    from jobs_lib import catalogue
    text = config.written(job, option, catalogue.load(job).options[option]).text
    return f"[{job}] {option} = {text}"


def in_words(number: int) -> str:
    """How many are due: `12,345`, or `10,000+` where no more were counted."""
    return f"{number:,}+" if number >= COUNTED else f"{number:,}"
