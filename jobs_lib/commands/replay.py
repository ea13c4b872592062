"""Put failed items back into their queue, as if they had never been tried: due now, all attempts ahead.

What was sent can be sent again too: a forward as long as its raw message is still in the spool, a webhook under the
same id, by which its endpoint knows it; of a notice that was sent nothing is kept. What waits in the queue anyway is
refused, and so is what has lost its content. The others are put back all the same, in one transaction.
"""
from __future__ import annotations

import os
from collections import namedtuple

from .. import catalogue, clock
from ..errors import FAILED, OK, UsageError
from ..recipes import forwards as queue
from ..recipes import replay_notices, replay_webhooks, spool
from ..run_job import positive
from ..spelling import one_of

FINISHED = ("failed", "sent")
SENDER = "retry_forwards"
LARGEST_ID = 2 ** 63 - 1


def arguments(parser) -> None:
    """KIND, ID... and --json."""
    parser.add_argument("kind", metavar="|".join(KINDS), type=one_of(*KINDS),
                        help="which queue: rows of failed_emails, webhook_deliveries or notifications")
    parser.add_argument("ids", metavar="ID", type=positive, nargs="*", help="the rows' ids")
    parser.add_argument("--endpoint", metavar="ID", type=positive,
                        help="instead of ids: all failed deliveries to this endpoint, a row of webhooks")
    parser.add_argument("--since", metavar="TIME", type=replay_webhooks.moment,
                        help="with --endpoint: of the events since then, in UTC, such as '2026-11-24 14:30'")
    parser.add_argument("--json", action="store_true", help="print what was put back and what was refused, and why")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if any was refused."""
    if (args.endpoint is None) != (args.since is None):
        raise UsageError("replay: --endpoint and --since go together")
    if args.endpoint is not None and args.kind != "webhook":
        raise UsageError("replay: --endpoint is for webhooks: `jobs.py replay webhook --endpoint ID --since TIME`")
    if bool(args.ids) == (args.endpoint is not None):
        raise UsageError("replay: say which rows: ids, or for webhooks --endpoint and --since")
    session = make_session(config_path)
    db, now, kind = session.ports.database(), session.ports.now(), KINDS[args.kind]
    if args.endpoint is not None:
        return _endpoint(args, session, db, now)
    ids = list(dict.fromkeys(args.ids))
    refused = db.batch(lambda: kind.put_back(db, session, ids, now))
    done = [id for id in ids if id not in refused]
    if args.json:
        import json
        session.console.answer(json.dumps({"kind": args.kind, "replayed": done, "refused": [
            {"id": id, "reason": reason} for id, reason in refused.items()]}, ensure_ascii=False))
        return FAILED if refused else OK
    for id in ids:
        if id in refused:
            session.console.fail(f"{args.kind} {id}: refused, {refused[id]}")
        else:
            session.console.tell(f"{args.kind} {id}: back in the queue, due now")
    for words in kind.hints(session, db, done, now):
        session.console.tell(words)
    return FAILED if refused else OK


def _endpoint(args, session, db, now) -> int:
    """All that failed for one endpoint since a moment."""
    done = replay_webhooks.failed_since(db, args.endpoint, args.since, now)
    if args.json:
        import json
        session.console.answer(json.dumps({"kind": args.kind, "replayed": done, "refused": []}))
        return OK
    what = "delivery" if len(done) == 1 else "deliveries"
    session.console.tell(f"endpoint {args.endpoint}: {len(done):,} {what} back in the queue, due now")
    for words in replay_webhooks.hints(session, db, done, now):
        session.console.tell(words)
    return OK


def forwards(db, session, ids: list[int], now) -> dict[int, str]:
    """Put rows of `failed_emails` back, inside a transaction. {id: why it was refused}."""
    folder = session.config.section("spool").dir
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


# put_back: function of (db, session, ids, now) -> {id: why it was refused}, inside a transaction
# hints: function of (session, db, ids that were put back, now) -> what else the operator may want to know
Kind = namedtuple("Kind", "put_back hints")
KINDS = {"forward": Kind(forwards, hints), "notification": Kind(replay_notices.put_back, replay_notices.hints),
         "webhook": Kind(replay_webhooks.put_back, replay_webhooks.hints)}
