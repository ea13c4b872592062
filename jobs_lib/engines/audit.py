"""What the jobs did to an account, in the audit log: call it in the transaction that does it."""
from __future__ import annotations

import json

from jobs_lib.database.values import chunked, words

ACTOR = "jobs"
AT_ONCE = 100               # rows in one statement: SQLite looks for each name among all of it


def record(db, *, now, user_id: int | None, event: str, details: dict,
           severity: str = "info") -> None:
    """Add one row. `event` as `alias.expired`; `details` without secrets or contents."""
    record_all(db, now=now, event=event, entries=[(user_id, details)], severity=severity)


def record_all(db, *, now, event: str, entries: list, severity: str = "info") -> None:
    """Add one row for each of the entries, which are (user_id or None, details)."""
    like = db.value("SELECT COALESCE((SELECT MAX(id) FROM {audit_logs}), (SELECT MAX(id) FROM "
                    "{users}))") if "audit_logs" in db.text_keys else None
    for part in chunked(entries, AT_ONCE):
        values = {f"user{at}": user_id for at, (user_id, _) in enumerate(part)}
        values.update({f"details{at}": json.dumps(details, ensure_ascii=False, sort_keys=True,
                                                  default=words)
                       for at, (_, details) in enumerate(part)})
        id, key = "", ""
        if "audit_logs" in db.text_keys:        # a number comes by itself
            from jobs_lib.database.schema import keys
            id, key = "id, ", ":key{at}, "
            values.update({f"key{at}": keys.new(like, now) for at in range(len(part))})
        rows = ", ".join(f"({key.format(at=at)}:user{at}, :actor, :event, :severity, :now, "
                         f":details{at})" for at in range(len(part)))
        db.execute(f"INSERT INTO {{audit_logs}} ({id}user_id, actor, event, severity, created_at, "
                   f"details) VALUES {rows}", actor=ACTOR, event=event, severity=severity, now=now,
                   **values)
