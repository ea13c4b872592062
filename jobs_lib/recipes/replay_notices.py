"""Notices that go back into their queue as if they had never been tried: due now, all attempts ahead."""
from __future__ import annotations

SENDER = "send_notifications"
LARGEST_ID = 2 ** 63 - 1


def put_back(db, session, ids: list[int], now) -> dict[int, str]:
    """Put rows of `notifications` back, inside a transaction. {id: why it was refused}."""
    rows = {row["id"]: row for row in db.query(
        "SELECT id, status, CASE WHEN body_text IS NULL AND body_html IS NULL THEN 0 ELSE 1 END AS whole"
        " FROM {notifications} WHERE id IN (:ids)" + db.for_update, ids=[id for id in ids if id <= LARGEST_ID])}
    refused = {id: reason for id in ids if (reason := _refusal(rows.get(id)))}
    back = [id for id in ids if id not in refused]
    if back:
        db.execute("UPDATE {notifications} SET status = 'pending', attempts = 0, next_attempt_at = :now,"
                   " finished_at = NULL, uncertain = 0, claim_token = NULL, claim_run = NULL,"
                   " lease_until = NULL WHERE id IN (:ids) AND status = 'failed'", ids=back, now=now)
    return refused


def _refusal(row: dict | None) -> str:
    if row is None:
        return "there is no such row (it may have been purged)"
    if row["status"] == "sent":
        return "it was sent, and its text is gone since then"
    if row["status"] != "failed":
        return f"it is in the queue already ({row['status']})"
    return "" if row["whole"] else "it was cancelled, and its text is gone since then"


def hints(session, db, done: list[int], now) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    if not done:
        return []
    words = [f"The next run of {SENDER} sends {'it' if len(done) == 1 else 'them'}."]
    age = session.config.job_named(SENDER).give_up_after
    old = db.value("SELECT COUNT(*) FROM {notifications} WHERE id IN (:ids) AND created_at <= :oldest", ids=done,
                   oldest=now - age)
    if old:
        words.append(f"Older than [{SENDER}] give_up_after: {old}. For {'it' if old == 1 else 'these'} that attempt "
                     "is the only one.")
    if db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=SENDER):
        words.append(f"{SENDER} is paused: `jobs.py resume {SENDER}`.")
    return words
