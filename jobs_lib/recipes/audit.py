"""What the jobs did to an account, in the audit log: call it in the transaction that does it."""
from __future__ import annotations

import json

ACTOR = "jobs"


def record(db, *, now, user_id: int | None, event: str, details: dict, severity: str = "info") -> None:
    """Add one row. `event` as `alias.expired`; `details` without secrets or contents."""
    db.insert("audit_logs", user_id=user_id, actor=ACTOR, event=event, severity=severity, created_at=now,
              details=json.dumps(details, ensure_ascii=False, sort_keys=True))
