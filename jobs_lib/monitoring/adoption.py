"""What each job would do at once with the rows that an app has, as one document: what `adopt` shows
before the first run.

It reads only, and asks nothing that is not declared elsewhere: what a job will do (`Job.coming`,
the rules of each Purge), what waits in its queue (features/*/work_queue.py), and what its tables
lack.
"""
from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

from jobs_lib import catalogue, clock, masking
from jobs_lib.addresses import AddressError, check
from jobs_lib.chunks import chunked
from jobs_lib.config.option_types import show_duration
from jobs_lib.database.schema import NAMES, added_columns, app_gaps, foreign_keys, rights
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.database.schema.works_on import of_all, works_on
from jobs_lib.database.values import keys_in, words
from jobs_lib.engines import past_time, spool
from jobs_lib.engines.claimed_queue import DEFERRED
from jobs_lib.engines.outlook import MOST, NOTIFIES, Counter, deletes
from jobs_lib.engines.rules import Purge
from jobs_lib.engines.work_queue import COUNTED, DUE, INVALID, Wanted, view
from jobs_lib.errors import ConfigError, DatabaseError, JobsError
from jobs_lib.runner import adoption, table_gaps

from . import doubtful_rows, queues, unknown_words

OWNERS = 10_000             # that are counted
SAMPLE = 3                  # of them, by their addresses
AT_ONCE = 1000              # users in one statement

SECONDS = 60.0                  # for all counting; a job gets half of what is left
AGAIN_SECONDS = 1.0             # between two interrupts of a statement that takes too long
# more than so many rows, and than this share of all, stand out
FIRST_ROWS, FIRST_SHARE = 300, 0.5


class TimeLimit:
    """Ends the statement in hand when the time is over, and each one after it; a context
    manager."""

    def __init__(self, db, seconds: float, monotonic) -> None:
        self._db, self._seconds, self._monotonic = db, seconds, monotonic
        self._end, self._over = monotonic() + seconds, threading.Event()

    def has_time(self) -> bool:
        """Whether there is some left."""
        return self._monotonic() < self._end

    def __enter__(self) -> TimeLimit:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            self._db.interrupt()
            wait = AGAIN_SECONDS


def looked_at(db, config, now, job) -> SimpleNamespace:
    """A job as a dry run sees it. ConfigError when its section is wrong."""
    return SimpleNamespace(**vars(view(db, config, now, config.job(job))), job=job, dry_run=True,
                           clock_in_doubt=None, confirmed=False, should_stop=lambda *_: False)


def coming_of(ctx) -> list:
    """All that a job says that it will do: Coming."""
    job = ctx.job
    return [*([deletes(job.run)] if isinstance(job.run, Purge) else []),
            *(job.coming(ctx) if job.coming else [])]


def refusing(db, jobs, lacks: list[str] | None = None) -> dict[str, str]:
    """{job: what its tables lack, as a sentence} of those that could not run. `lacks`: what
    app_gaps.py has just found."""
    lacks = app_gaps.lacking(db) if lacks is None else lacks
    return {job.name: table_gaps.words(db.name, missing) for job in jobs
            if (missing := table_gaps.concerned(job, lacks))}


def lifetimes(config, db, now) -> dict:
    """{table: how old an item gets before its job gives it up} of the queues in the app's tables;
    without those whose section is wrong, or whose job is not there."""
    found = {}
    for queue in queues.QUEUES:
        if queue.act and queue.table in TABLES:
            with suppress(JobsError):
                found[queue.table] = queue.lifetime(looked_at(db, config, now,
                                                              catalogue.load(queue.job)))
    return found


def open_statements(config, db, now) -> list[str]:
    """What was printed with a column that has been added since, and still keeps old rows from being
    due: while a job that works with that column waits to be confirmed, and none that writes it is
    confirmed."""
    jobs = catalogue.load_all([])
    off = adoption.unconfirmed(db, jobs)
    waiting = [works_on(job) for job in jobs if job.name in off and _is_on(config, job)]
    if not waiting:
        return []
    confirmed = [works_on(job) for job in jobs if job.name not in off]

    def is_meant(table: str, column: str) -> bool:
        return (any(table in works and column in works[table].columns for works in waiting)
                and not any(table in works and column in works[table].written
                            for works in confirmed))
    lives, found = lifetimes(config, db, now), []
    for name in TABLES:
        with suppress(DatabaseError):       # the jobs on that table refuse, and say why
            found += [sql for sql in added_columns.open_statements(
                db, lambda *place, name=name: place[0] == name and is_meant(*place), lives)
                if sql not in found]
    return found


def _is_on(config, job) -> bool:
    with suppress(ConfigError):
        return config.job(job).enabled
    return False


def end_old(config, db, ports, names: list[str]) -> dict[str, int]:
    """End what is past its time in the queues of these jobs: {job: how many}."""
    found = {}
    for queue in queues.QUEUES:
        if queue.job in names and queue.act and queue.table in TABLES:
            ctx = looked_at(db, config, ports.now(), catalogue.load(queue.job))
            found[queue.job] = past_time.end(ctx, queue)
    return {name: number for name, number in found.items() if number}


def before_first_run(config, db, now, job) -> dict | None:
    """A step of a dry run of a job that is not confirmed: that it is not, and what the confirmation
    ends before its first run. None of one that is confirmed."""
    if not adoption.unconfirmed(db, [job]):
        return None
    found = []
    if not refusing(db, [job]):
        ctx = looked_at(db, config, now, job)
        for queue in queues.QUEUES:
            if queue.job == job.name and queue.act and queue.table in TABLES:
                number = past_time.number(ctx, queue)
                found += [f"{number:,} {_older(queue, ctx)}"] if number else []
    step = f"not confirmed: `jobs.py {adoption.COMMAND}` shows what the first run would do"
    if not found:
        return {"step": step, "note": "", "rows": []}
    return {"step": f"first, `jobs.py {adoption.COMMAND} --confirm {job.name}` ends "
            f"{' and '.join(found)}", "rows": [],
            "note": f"{step}. What is ended gets no attempt and no notice, and is not counted "
            "below."}


def _older(queue, ctx) -> str:
    return f"{queue.name} older than {show_duration(queue.lifetime(ctx))}"


def jobs_at_once(config, db, ports, jobs, seconds: float = SECONDS) -> list[dict]:
    """What each of these jobs would do at once. `number` and `owners` that were not counted to the
    end have `more` and `owners_more`. `cascades`: tables of the app's whose rows its foreign keys
    delete with those that the job deletes."""
    end, found = ports.monotonic() + seconds, []
    off, refuse = adoption.unconfirmed(db, jobs), refusing(db, jobs)
    keys = db.foreign_keys(NAMES)
    for job in jobs:
        one = {"name": job.name, "confirmed": job.name not in off, "enabled": True, "items": [],
               "cascades": [], "refuses": None, "not_counted": None}
        found.append(one)
        try:
            ctx = looked_at(db, config, ports.now(), job)
        except ConfigError as error:
            one["refuses"] = "; ".join(error.problems)
            continue
        one["enabled"] = ctx.options.enabled
        if job.name in refuse:
            one["refuses"] = refuse[job.name]
            continue
        with TimeLimit(db, max(1.0, (end - ports.monotonic()) / 2), ports.monotonic) as limit:
            try:
                items = _items(ctx, limit, one["confirmed"])
                one["items"] = [item for item in items if item["number"]]
                one["cascades"] = foreign_keys.cascades(db, keys, works_on(job), job.further)
            except DatabaseError as error:
                one["not_counted"] = (str(error) if limit.has_time()
                                      else "the database did not answer in time")
            except JobsError as error:
                one["not_counted"] = str(error)
    return found


def collect(config, db, ports) -> dict:
    """Every job that works on the app's tables, and what else there is to know before they start.
    `old_rows`: the statements of open_statements."""
    broken: list[str] = []
    jobs = [job for job in catalogue.load_all(broken) if works_on(job)]
    found = jobs_at_once(config, db, ports, jobs)
    on = {one["name"] for one in found if one["enabled"]}
    works = of_all([job for job in jobs if job.name in on])
    none = no_address(db, works)
    if none.get("number"):
        broken.append(f"{no_address_in_words(db.name, none)}.")
    if "retry_forwards" in on:
        with suppress(JobsError):           # the job says it, too
            if wrong := spool.all_missing(db, config.section("spool").dir):
                broken.append(f"{wrong}.")
    unknown = unknown_words.look(db, works)
    broken += [" ".join((f"{what}.", *then)) for what, *then in doubtful_rows.look(
        db, config, works, ports.now(), unknown)]
    if denied := rights.own(db):
        broken.append(f"{denied}.")
    return {"generated_at": clock.text(ports.now()),
            "unconfirmed": [one["name"] for one in found if not one["confirmed"]],
            "jobs": found, "old_rows": open_statements(config, db, ports.now()),
            "unknown_words": [
                {"column": each.column, "words": [
                    {"word": word, "rows": number} for word, number in each.words.items()],
                 "looked_at": each.rows, "known": list(each.known),
                 "text": "{}. {} {}".format(*unknown_words.in_words(each))}
                for each in unknown],
            "problems": broken}


def no_address(db, works: dict) -> dict:
    """How many owners have nothing that looks like an address, of the first OWNERS: `number`, `of`
    and whether there are `more`; {} where none of the jobs asks, or the table is not there.
    `works`: {table: the Work of the jobs that are on}."""
    if not ("email" in works["users"].columns
            and db.columns("users").issuperset({"email", "status"})):
        return {}
    try:
        row = db.row("SELECT COUNT(*) AS number, SUM(CASE WHEN email LIKE '%_@_%' THEN 1 ELSE 0 "
                     "END) AS good FROM (SELECT email FROM {users} WHERE status <> 'deleted' "
                     "LIMIT :most) owners", most=OWNERS)
    except DatabaseError:                   # the jobs on that table refuse, and say why
        return {}
    of = row["number"]
    return {"number": of - int(row["good"] or 0), "of": of, "more": of == OWNERS}


def no_address_in_words(names, found: dict) -> str:
    """The same as a sentence."""
    first = "the first " if found["more"] else ""
    return (f"{found['number']:,} of {first}{found['of']:,} owners have no address in "
            f"{names.shown('users', 'email')}: no notice reaches them")


def _items(ctx, limit, confirmed: bool):
    """What the job would do, each with a number."""
    now = ctx.now
    counter = Counter(ctx, [now, now], limit.has_time)
    mine = [queue for queue in queues.QUEUES if queue.job == ctx.job.name and queue.act]
    acts = {queue.act for queue in mine}
    for coming in coming_of(ctx):
        if coming.act in acts:              # counted by its queue
            continue
        outlook = counter.outlook(coming)
        if outlook is None:
            continue
        notifies = coming.act in NOTIFIES
        owners = counter.owners(coming, OWNERS) if notifies else []
        # what was announced long ago is announced again: the job knows, and its rule does not
        number = max(outlook.now, len(owners))
        yield {**_item(ctx.db, coming.act, coming.what, number, number >= MOST, notifies, owners),
               "of": _large_share(ctx.db, coming, number)}
    for queue in mine:
        life = queue.lifetime(ctx)
        rows = queue.select(ctx, Wanted(DUE, since=now - life, limit=COUNTED))
        due = [item for item in queue.describe(ctx, rows) if item.why in ("", DEFERRED)]
        owners = list(dict.fromkeys(item.owner for item in due))
        yield _item(ctx.db, queue.act, queue.name, len(due), len(rows) == COUNTED,
                    queue.act in NOTIFIES, owners)
        if queue in queues.CLAIMED:
            yield _invalid(ctx, queue, now - life)
        if not confirmed:
            what, number = queue.to_come(ctx)
            yield _item(ctx.db, queue.act, what, number, False, False, [])
        if not confirmed and queue.table in TABLES:
            yield _item(ctx.db, "end unsent" if queue.act == "send" else "give up",
                        _older(queue, ctx),
                        past_time.number(ctx, queue), False, False, [])
        sql, values = past_time.spared(ctx, queue)
        yield _item(ctx.db, "leave alone", f"{queue.name} in flight by your app",
                    past_time.left_to_app(ctx.db, queue, sql, **values), False, False, [])


def _large_share(db, coming, number: int) -> int | None:
    """How many rows the table has from which a first run deletes most, as with a wrong column; None
    where it does not, or the table is too large to count."""
    if not (coming.purge and FIRST_ROWS < number < MOST):
        return None
    total = db.value(f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {{{coming.purge.table}}} "
                     "LIMIT :most) counted", most=int(number / FIRST_SHARE))
    return total if number > FIRST_SHARE * total else None


def _invalid(ctx, queue, since) -> dict:
    """What waits, and cannot be read: each such row ends as failed, without an attempt."""
    rows = queue.select(ctx, Wanted(INVALID, since=since, limit=COUNTED))
    reason = queue.describe(ctx, rows[:1])[0].why.rpartition(": ")[2] if rows else ""
    return _item(ctx.db, "give up", f"invalid {queue.name}, such as: {reason}", len(rows),
                 len(rows) == COUNTED, False, [])


def in_their_words(names, what: str) -> str:
    """`rows of sessions (logins)`: whoever took another table for ours sees which would be emptied.
    """
    table = what.rpartition("rows of ")[2] if what.startswith("rows of ") else ""
    theirs = names(table) if table in TABLES else table
    return what if theirs.endswith(table) else f"{what} ({theirs})"


def _item(db, act: str, what: str, number: int, more: bool, notifies: bool,
          owners: list) -> dict:
    if notifies:
        owners = _reachable(db, owners)
    return {"act": act, "what": in_their_words(db.name, what), "number": number,
            "of": None, "more": more, "notifies": notifies,
            "owners": len(owners), "owners_more": more or len(owners) >= OWNERS,
            "sample": _addresses(db, owners[:SAMPLE])}


def _reachable(db, ids: list) -> list:
    """Those of the users that a notice can be sent to."""
    key, found = partial(db.key, "users"), set()
    for some in chunked(keys_in(ids), AT_ONCE):
        for row in db.query("SELECT id, email FROM {users} WHERE id IN (:ids)", ids=some):
            with suppress(AddressError):
                check(row["email"])
                found.add(key(row["id"]))
    return [id for id in ids if key(id) in found]


def _addresses(db, ids: list) -> list[str]:
    """Who they are, masked; an id where there is no such user."""
    known = {row["id"]: row["email"] for row in db.query(
        "SELECT id, email FROM {users} WHERE id IN (:ids)", ids=ids)} if ids else {}
    # what is no address may be a secret, such as one that the app has encrypted
    return [masking.text(words(known[id])) if "@" in words(known.get(id) or "")
            else f"user {words(id)}" for id in ids]
