"""Put failed items back into their queue, as if they had never been tried: due now, all attempts ahead.

What was sent can be sent again too, as long as its raw message is still in the spool. What waits in the queue anyway
is refused, and so is what has lost its file. The others are put back all the same, in one transaction.
"""
from __future__ import annotations

import os

from .. import catalogue, clock
from ..errors import FAILED, OK
from ..recipes import forwards as queue
from ..recipes import spool
from ..run_job import positive
from ..spelling import one_of

KINDS = ("forward",)
FINISHED = ("failed", "sent")
SENDER = "retry_forwards"
LARGEST_ID = 2 ** 63 - 1


def arguments(parser) -> None:
    """KIND, ID... and --json."""
    parser.add_argument("kind", metavar="forward", type=one_of(*KINDS), help="which queue: rows of failed_emails")
    parser.add_argument("ids", metavar="ID", type=positive, nargs="+", help="the rows' ids")
    parser.add_argument("--json", action="store_true", help="print what was put back and what was refused, and why")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if any was refused."""
    session = make_session(config_path)
    db, folder, now = session.ports.database(), session.config.section("spool").dir, session.ports.now()
    ids = list(dict.fromkeys(args.ids))
    refused = db.batch(lambda: forwards(db, folder, ids, now))
    done = [id for id in ids if id not in refused]
    if args.json:
        import json
        session.console.answer(json.dumps({"kind": args.kind, "replayed": done, "refused": [
            {"id": id, "reason": reason} for id, reason in refused.items()]}, ensure_ascii=False))
        return FAILED if refused else OK
    for id in ids:
        if id in refused:
            session.console.fail(f"forward {id}: refused, {refused[id]}")
        else:
            session.console.tell(f"forward {id}: back in the queue, due now")
    for words in hints(session, db, done, now):
        session.console.tell(words)
    return FAILED if refused else OK


def forwards(db, folder: str, ids: list[int], now) -> dict[int, str]:
    """Put rows of `failed_emails` back, inside a transaction. {id: why it was refused}."""
    rows = {row["id"]: row for row in db.query(
        "SELECT id, status, raw_path FROM {failed_emails} WHERE id IN (:ids)" + db.for_update,
        ids=[id for id in ids if id <= LARGEST_ID])}
    refused = {}
    for id in ids:
        reason = _refusal(rows.get(id), folder)
        if reason is None and not _put_back(db, id, now):
            reason = "it was changed by another process just now"
        if reason is not None:
            refused[id] = reason
    return refused


def _put_back(db, id: int, now) -> bool:
    # told_at and notice_id: when it fails again, its owner is told again.
    return db.execute(
        "UPDATE {failed_emails} SET status = 'pending', attempts = 0, next_attempt_at = :now, finished_at = NULL,"
        " told_at = NULL, notice_id = NULL, uncertain = 0, claim_token = NULL, claim_run = NULL, lease_until = NULL"
        " WHERE id = :id AND status IN (:finished)", id=id, now=now, finished=list(FINISHED)) == 1


def _refusal(row: dict | None, folder: str) -> str | None:
    if row is None:
        return "there is no such row (it may have been purged)"
    if row["status"] not in FINISHED:
        return f"it is in the queue already ({row['status']})"
    try:
        path = spool.locate(folder, row["raw_path"])
    except spool.SpoolError as error:
        return str(error)
    return None if os.path.isfile(path) else f"its raw message {row['raw_path']} is gone from the spool"


def hints(session, db, done: list[int], now) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    if not done:
        return []
    rows = db.query("SELECT id, user_id, alias_id, destination_id FROM {failed_emails} WHERE id IN (:ids)", ids=done)
    gone = queue.gone(db, rows)
    words = [f"forward {id}: the next run of {SENDER} can only cancel it, since {why}." for id, why in gone.items()]
    if len(done) > len(gone):
        which = "the rest" if gone else "it" if len(done) == 1 else "them"
        words.append(f"The next run of {SENDER} sends {which}.")
    job = catalogue.load(SENDER)
    age = session.config.job(job).give_up_after
    old = db.value("SELECT COUNT(*) FROM {failed_emails} WHERE id IN (:ids) AND created_at <= :oldest", ids=done,
                   oldest=clock.text(now - age))
    if old:
        words.append(f"Older than [{SENDER}] give_up_after: {old}. For {'it' if old == 1 else 'these'} that attempt "
                     "is the only one.")
    if db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=SENDER):
        words.append(f"{SENDER} is paused: `jobs.py resume {SENDER}`.")
    return words
