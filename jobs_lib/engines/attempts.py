"""What was tried with each item of a queue, and what the other side said: a row of `attempts` each,
written in the transaction that begins it and completed in the one that settles it.

It is the history that `jobs.py queue QUEUE ID` tells, what the relay's limits count (relay.py),
and what was in flight when a run died.
"""
from __future__ import annotations

from jobs_lib.database.stored import LABEL, fitted
from jobs_lib.ports import outcomes

LONGEST_ANSWER = 512            # characters
READ = 8192                     # characters of what the other side said
SENDING = "sending"             # it has begun, and nothing is known of it yet
# what the other side said: not what became of the item
SENT, REFUSED, RETRY = "sent", "refused", "retry"
UNCERTAIN = "uncertain"         # the connection was lost: it may have arrived
# nothing was handed over: through a fault of ours or the relay's; through the item's own
POSTPONED, UNUSABLE = "postponed", "unusable"
BY_HAND = "mail"                # the kind of a message that is in no queue: an alert, a test
REPLAYED, CANCELLED = "replayed", "cancelled"        # by the operator: no attempt of a run
NOT_COUNTED = (POSTPONED, UNUSABLE, REPLAYED, CANCELLED)
LOST = "the run was killed in the middle of it"


def said(result) -> str:
    """What the other side said, by the Result of a message; UNUSABLE: the relay never saw it."""
    if result.outcome == outcomes.FINAL:
        return REFUSED if result.code else UNUSABLE
    return result.outcome if result.outcome in (SENT, RETRY, UNCERTAIN) else POSTPONED


def begin(db, kind: str, row: dict, run_id: str | None) -> int:
    """Put an attempt on record that begins now, and its id. `row`: `id`, `user_id`, `turn`,
    `began_at`; of mail `domain` and `recipient` (its keyed hash), too."""
    return db.insert("attempts", kind=kind, item_id=_item(db, row["id"]), user_id=row["user_id"],
                     domain=row.get("domain"), recipient=row.get("recipient"),
                     urgent=row["turn"].urgent, run_id=run_id, began_at=row["began_at"],
                     outcome=SENDING)


def complete(db, kind: str, row: dict, run_id: str | None, outcome: str, code: int | None,
             answer: str, now) -> None:
    """Store what the other side said: the `code` of its reply, or None, and its words, or ours. Of
    an attempt that counted as lost it may still be known that it has sent."""
    db.execute("UPDATE {attempts} SET outcome = :outcome, code = :code, answer = :answer, "
               "finished_at = :now WHERE kind = :kind AND item_id = :item AND run_id = :run "
               f"AND outcome IN ('{SENDING}', :also)", outcome=outcome, code=code,
               answer=_masked(answer, db.hidden), now=now, kind=kind, item=_item(db, row["id"]),
               run=run_id, also=UNCERTAIN if outcome == SENT else SENDING)


def settle_open(db, kind: str, ids: list, outcome: str, now) -> None:
    """What is still on its way of these items, whose rows say of no run that it has them: UNCERTAIN
    where its run was killed, POSTPONED where this one looks no further."""
    db.execute("UPDATE {attempts} SET outcome = :outcome, answer = :answer, finished_at = :now "
               f"WHERE kind = :kind AND item_id IN (:ids) AND outcome = '{SENDING}'",
               outcome=outcome, answer=LOST if outcome == UNCERTAIN else None, now=now, kind=kind,
               ids=[_item(db, id) for id in ids])


def record_act(db, queue, ids: list, now, outcome: str) -> None:
    """Add one for each of the rows: what an operator did with them."""
    db.execute("INSERT INTO {attempts} (kind, item_id, user_id, began_at, outcome) "
               f"SELECT :kind, id, user_id, :now, :outcome FROM {{{queue.table}}} "
               "WHERE id IN (:ids)", kind=queue.kind, ids=ids, now=now, outcome=outcome)


def of_item(db, kind: str, id, most: int) -> list[dict]:
    """The latest ones of an item, `most` at most, in the order in which they were made."""
    rows = db.query("SELECT id, began_at, outcome, code, answer, run_id, recipient "
                    "FROM {attempts} WHERE kind = :kind AND item_id = :id "
                    "ORDER BY +id DESC LIMIT :most", kind=kind, id=_item(db, id), most=most)
    return rows[::-1]


def _masked(answer: str, hidden) -> str | None:
    """Short, and without anybody's address or a secret; `hidden()` returns those. It is cut last:
    half a secret is not recognized."""
    if not answer:
        return None
    # only where something was tried: it would slow every idle run
    from jobs_lib.text import masking
    return masking.without_secrets(" ".join(answer[:READ].split()), hidden())[:LONGEST_ANSWER]


def _item(db, id):
    """As the column may hold it: text, where any table has a text for its key."""
    return fitted(str(id), LABEL) if db.text_keys else id
