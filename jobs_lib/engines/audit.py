"""What the jobs did to an account, in the audit log: call it in the transaction that does it."""
from __future__ import annotations

import json

from jobs_lib.database.values import words


def record(db, *, now, user_id: int | None, event: str, details: dict,
           severity: str = "info") -> None:
    """Add one row. `event` as `alias.expired`; `details` without secrets or contents."""
    key = {}
    if "audit_logs" in db.text_keys:        # a number comes by itself
        from jobs_lib.database.schema import keys
        like = db.value("SELECT COALESCE((SELECT MAX(id) FROM {audit_logs}), (SELECT MAX(id) FROM "
                        "{users}))")
        key = {"id": keys.new(like, now)}
    db.insert("audit_logs", **key, user_id=user_id, actor="jobs", event=event, severity=severity,
              details=json.dumps(details, ensure_ascii=False, sort_keys=True, default=words),
              created_at=now)
