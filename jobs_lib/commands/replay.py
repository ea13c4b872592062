"""Put failed items back into their queue, as if they had never been tried: due now, with all
attempts ahead.

Sent items can be sent again too: a forward as long as its raw message is still in the spool, a
webhook under the same id, by which its endpoint recognises it; a sent notice cannot, since its text
is not kept. Items that are in the queue already, or have lost their content, are refused. The
others are put back, in one transaction.
"""
from __future__ import annotations

from jobs_lib.engines import requeue
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.features.forwards import queue as forwards
from jobs_lib.features.notifications import outbox
from jobs_lib.features.webhooks import replay as webhooks
from jobs_lib.text import one_of, positive

KINDS = {queue.REPLAY.name: queue.REPLAY for queue in (forwards, outbox, webhooks)}


def arguments(parser) -> None:
    """Declares KIND, ID... and --json."""
    parser.add_argument("kind", metavar="|".join(KINDS), type=one_of(*KINDS),
                        help="which queue: rows of failed_emails, webhook_deliveries or "
                        "notifications")
    parser.add_argument("ids", metavar="ID", type=positive, nargs="*", help="the rows' ids")
    parser.add_argument("--endpoint", metavar="ID", type=positive,
                        help="instead of ids: all failed deliveries to this endpoint, a row of "
                        "webhooks")
    parser.add_argument("--since", metavar="TIME", type=requeue.moment,
                        help="with --endpoint: of the events since then, in UTC, such as "
                        "'2026-11-24 14:30'")
    parser.add_argument("--json", action="store_true", help="print what was put back and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if any was refused."""
    if (args.endpoint is None) != (args.since is None):
        raise UsageError("replay: --endpoint and --since go together")
    if args.endpoint is not None and args.kind != "webhook":
        raise UsageError("replay: --endpoint is for webhooks: `jobs.py replay webhook --endpoint "
                         "ID --since TIME`")
    if bool(args.ids) == (args.endpoint is not None):
        raise UsageError("replay: say which rows: ids, or for webhooks --endpoint and --since")
    session = make_session(config_path)
    db, now, kind = session.ports.database(), session.ports.now(), KINDS[args.kind]
    if args.endpoint is not None:
        return _endpoint(args, session, db, now)
    ids = list(dict.fromkeys(args.ids))
    refused = db.batch(lambda: requeue.put_back(db, kind, session, ids, now))
    done = [id for id in ids if id not in refused]
    if args.json:
        session.console.document({"kind": args.kind, "replayed": done, "refused": [
            {"id": id, "reason": reason} for id, reason in refused.items()]})
        return FAILED if refused else OK
    for id in ids:
        if id in refused:
            session.console.fail(f"{args.kind} {id}: refused, {refused[id]}")
        else:
            session.console.report(f"{args.kind} {id}: back in the queue, due now")
    for words in requeue.hints(db, kind, session, done, now):
        session.console.report(words)
    return FAILED if refused else OK


def _endpoint(args, session, db, now) -> int:
    """All that failed for one endpoint since a moment."""
    done = webhooks.failed_since(db, args.endpoint, args.since, now)
    if args.json:
        session.console.document({"kind": args.kind, "replayed": done, "refused": []})
        return OK
    what = "delivery" if len(done) == 1 else "deliveries"
    session.console.report(f"endpoint {args.endpoint}: {len(done):,} {what} back in the queue, due "
                         "now")
    for words in requeue.hints(db, KINDS["webhook"], session, done, now):
        session.console.report(words)
    return OK
