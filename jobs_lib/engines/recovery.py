"""Before a run works on a queue it repairs what dead runs left and what no claim would find.

A run that dies leaves claims behind, and each names its run: once that run is known to be dead they
are free at once. A row lost in `sending` is *uncertain*: the other side may have it or not. It is
tried once more in the next run, after all others, as the same attempt; if that is lost too, it
waits for its schedule.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import clock
from jobs_lib.database.statement import MOST_BOUND
from jobs_lib.ports.outcomes import UNCERTAIN

from . import attempts
from .due_rows import SURE, TRIED_AGAIN, TRY_AGAIN, DueRows
from .rows import MOST_COUNTED, UNCLAIMED, count_unknown_status, has_status, lost

AT_ONCE = 500                       # rows changed in one statement


def recover(rows: DueRows) -> bool:
    """Free the claims of dead runs, and correct priorities and times that no claim would find.
    What was lost in flight is counted as `uncertain`, what has an unknown status as that.

    Whether any row is pending after that; with none, no claim can find one.
    """
    count_unclaimable(rows)
    _free_dead_claims(rows)
    if rows.db.row(f"SELECT id FROM {rows.table} WHERE {has_status('pending')} LIMIT 1") is None:
        return False
    _clamp_priorities(rows)
    _bring_back(rows)
    return True


def count_unclaimable(rows: DueRows) -> None:
    """Count the rows that no run will ever claim, so that an operator sees them: those of an
    unknown status, and those that are `sending` and were never claimed. A run claims a row before
    it begins it, so these are the app's: it may be sending them just now."""
    theirs = rows.db.query(f"SELECT id FROM {rows.table} WHERE {has_status('sending')} "
                           f"AND {UNCLAIMED} LIMIT :most", most=MOST_COUNTED)
    count_unknown_status(rows.ctx, rows.queue.table,
                         ("pending", "sending", rows.queue.done, "failed"),
                         [row["id"] for row in theirs])


def _free_dead_claims(rows: DueRows) -> None:
    ctx, db = rows.ctx, rows.db
    columns = ("SELECT id, status, claim_run, lease_until, uncertain, user_id, last_attempt_at "
               f"FROM {rows.table}")
    # ranges, since SQLite takes no index for `IS NOT NULL`; '' is no claim
    claimed = db.query(f"{columns} WHERE claim_run > :mine OR (claim_run > '' AND "
                       "claim_run < :mine)", mine=ctx.run_id)
    if not claimed:
        return
    runs = [run for run in {row["claim_run"] for row in claimed} if isinstance(run, str)]
    alive = {row["run_id"] for row in db.query(
        "SELECT run_id FROM {job_runs} WHERE run_id IN (:runs) AND status = 'running'",
        runs=runs[:MOST_BOUND])}
    now = clock.text(ctx.now)
    dead = [row for row in claimed
            if row["claim_run"] not in alive or str(row["lease_until"] or "") < now]
    rule, values = lost(rows.queue.table, now)
    for row in dead:
        db.batch(partial(_free, rows, row, now, rule, values))
    in_flight = sum(row["status"] == "sending" for row in dead)
    if in_flight:
        ctx.count("uncertain", in_flight)
        ctx.log.warning("lost in flight", rows=in_flight, what="a run was killed while "
                        "these were being sent")


def _free(rows: DueRows, row: dict, now: str, rule: str, values: dict) -> None:
    """Free one, unless its run turned out to live. Of what it was sending the attempt is recorded
    with it."""
    is_free = rows.db.execute(
        f"UPDATE {rows.table} SET claim_token = NULL, claim_run = NULL, lease_until = NULL"
        f"{_after_loss(row)} WHERE id = :id AND status = :status AND {rule}",
        id=row["id"], status=row["status"], now=now, **values)
    if is_free and row["status"] == "sending":
        attempts.record(rows.db, rows.queue.table, row, outcome=UNCERTAIN, run_id=row["claim_run"],
                        began=clock.parse_any(row["last_attempt_at"]) or rows.ctx.now,
                        tried=attempts.Tried(None, attempts.LOST))


def _after_loss(row: dict) -> str:
    """SQL: what else changes in a row that a dead run had. Nothing if it was not begun: it waits as
    before, or the app has ended it since, and then it is never sent."""
    if row["status"] != "sending":
        return ""
    if row["uncertain"] == SURE:
        return f", status = 'pending', uncertain = {TRY_AGAIN}, next_attempt_at = :now"
    return f", status = 'pending', uncertain = {TRIED_AGAIN}"


def _clamp_priorities(rows: DueRows) -> None:
    """An app's own priorities become ours, by ranges of the index, so that each claim asks for one
    value alone."""
    classes = sorted(priority for priority in rows.priorities() if priority is not None)
    if not classes:
        return
    first, last = classes[0], classes[-1]
    _change(rows, f"priority = {first}", f"priority < {first}")
    _change(rows, f"priority = {last}", f"priority > {last}")
    between = [f"priority > {one} AND priority < {another}"
               for one, another in zip(classes, classes[1:])]
    for rule in (*between, "priority IS NULL"):
        _change(rows, f"priority = {classes[1]}", rule)


def _bring_back(rows: DueRows) -> None:
    """What is due later than any schedule leads to was stored under a wrong clock: it is due
    now."""
    for priority in rows.priorities():
        rule, values = rows.of(priority)
        for kind in rows.ahead_kinds():
            _change(rows, "next_attempt_at = :now", f"{kind.rule}{rule}", now=rows.ctx.now,
                    **kind.values, **values)


def _change(rows: DueRows, change: str, rule: str, **values) -> None:
    """In short statements, and without any where there is nothing: an idle run does not write."""
    while not rows.ctx.should_stop():
        ids = [row["id"] for row in rows.db.query(
            f"SELECT id FROM {rows.table} WHERE status = 'pending' AND {rule} AND {UNCLAIMED}"
            f" LIMIT {AT_ONCE}", **values)]
        # `+`: by the ids, as in a claim.
        if not ids or not rows.db.execute(
                f"UPDATE {rows.table} SET {change} WHERE id IN (:ids)"
                f" AND +status = 'pending' AND {UNCLAIMED}", ids=ids, **values):
            return
