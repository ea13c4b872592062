"""What became of the demo's rows, a line a subject."""
from __future__ import annotations

from collections import Counter

from .data import TABLES

# {subject: (its table, the rows of it that are followed)}
FOLLOWED = {"forwards": ("failed_emails", "status = 'pending'"),
            "webhooks": ("webhook_deliveries", "status = 'pending'"),
            "held mail": ("overflow_hold", "released_at IS NULL")}
FORWARD = ("CASE WHEN status = 'sent' THEN 'delivered' WHEN status = 'pending' THEN 'waiting'"
           " WHEN last_error LIKE 'cancelled%' THEN 'cancelled'"
           " WHEN notice_id IS NULL THEN 'failed' ELSE 'failed (owner notified)' END")
FATES = {"forwards": FORWARD,
         "webhooks": "CASE WHEN status = 'pending' THEN 'waiting' ELSE status END",
         "held mail": "CASE WHEN warned_at >= :began THEN 'deleted soon (owner warned)'"
                      " ELSE 'kept' END"}
DELETES = ("purge", "archive")          # how jobs begin that delete what is past its retention


def waiting(db) -> dict[str, list[int]]:
    """{subject: ids of the rows that are followed}, before anything runs."""
    return {subject: [row["id"] for row in
                      db.query(f"SELECT id FROM {{{table}}} WHERE {which} ORDER BY id")]
            for subject, (table, which) in FOLLOWED.items()}


def lines(db, before: dict[str, list[int]], results: list[dict], began) -> list[tuple[str, str]]:
    """(subject, what became of it) of all, after the runs that ended with these results."""
    found = [(subject, _became(db, subject, ids, began)) for subject, ids in before.items()]
    counts: Counter = Counter()
    for result in results:
        counts.update({(result["job"], name): number for name, number in result["counts"].items()})
    deleted = sum(number for (job, name), number in counts.items()
                  if name == "deleted" and job.startswith(DELETES))
    return [*found,
            ("notices", f"{counts['send_notifications', 'sent']} sent to users"),
            ("accounts", f"{len(TABLES['users'][1])} rows: {_accounts(db)}"),
            ("old rows", f"{deleted:,} deleted, past their retention; audit rows are archived "
             "first, and the totals of mail are kept")]


def _became(db, subject: str, ids: list[int], began) -> str:
    """`9 rows: 4 delivered, 2 failed, 3 still waiting`."""
    rows = db.query(f"SELECT {FATES[subject]} AS fate FROM {{{FOLLOWED[subject][0]}}} "
                    "WHERE id IN (:ids)", ids=ids,
                    **({"began": began} if ":began" in FATES[subject] else {}))
    fates = Counter(row["fate"] for row in rows)
    fates["deleted"] += len(ids) - len(rows)
    return f"{len(ids)} rows: " + ", ".join(
        f"{number} {fate}" for fate, number in fates.most_common() if number)


def _accounts(db) -> str:
    """`1 closed, 1 erased`."""
    closed = db.value("SELECT COUNT(*) FROM {account_deletions} WHERE completed_at IS NULL")
    erased = db.value("SELECT COUNT(*) FROM {account_deletions} WHERE completed_at IS NOT NULL")
    ready = db.value("SELECT COUNT(*) FROM {export_requests} WHERE status = 'ready'")
    return f"{closed} closed, {erased} erased, {ready} got its data as a file"
