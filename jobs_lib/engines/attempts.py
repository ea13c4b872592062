"""What was tried with each item of a queue, and what came of it: a row of `attempts` each, written
in the transaction that settles the item. `jobs.py queue QUEUE ID` tells them."""
from __future__ import annotations

from jobs_lib.database.values import LABEL, fitted
from jobs_lib.records import namedtuple

LONGEST_ANSWER = 512            # characters
READ = 8192                     # characters of what the other side said
# the kind of an item, by its table
KINDS = {"failed_emails": "forward", "notifications": "notification",
         "webhook_deliveries": "webhook", "domains": "domain", "export_requests": "export"}
REPLAYED, CANCELLED = "replayed", "cancelled"        # by the operator: no attempt of a run
LOST = "the run was killed in the middle of it"

Tried = namedtuple("Tried", "code answer duration_ms", defaults=(None, "", None))
Tried.__doc__ = """How the other side took it.

code         of the reply, or None      answer  in its words, or ours; "" for none
duration_ms  until it was known, or None
"""


def record(db, table: str, row: dict, *, run_id: str | None, began, outcome: str,
           tried: Tried) -> None:
    """Add one. `row`: its `id` and `user_id`. Called inside the transaction that stores the result.
    An owner or a run that is none is left out: an app may have written anything."""
    db.insert("attempts", kind=KINDS[table], item_id=_item(db, row["id"]),
              user_id=_owner(db, row["user_id"]),
              run_id=run_id if isinstance(run_id, str) and run_id.isascii() else None,
              began_at=began, duration_ms=tried.duration_ms, outcome=outcome,
              code=tried.code if type(tried.code) is int else None,
              answer=answer(tried.answer, db.hidden) or None)


def record_act(db, table: str, ids: list[int], now, outcome: str) -> None:
    """Add one for each of the rows: what an operator did with them."""
    db.execute("INSERT INTO {attempts} (kind, item_id, user_id, began_at, outcome) "
               f"SELECT :kind, id, user_id, :now, :outcome FROM {{{table}}} WHERE id IN (:ids)",
               kind=KINDS[table], ids=ids, now=now, outcome=outcome)


def _owner(db, value):
    is_key = type(value) is int and abs(value) < 2 ** 63
    if "users" in db.text_keys:
        is_key = isinstance(value, str)
    return value if is_key else None


def _item(db, id):
    """As the column holds it: text, where any kind of item has a text for its key."""
    return id if db.text_keys.keys().isdisjoint(KINDS) else fitted(str(id), LABEL)


def answer(text: str, hidden=tuple) -> str:
    """Short, and without anybody's address or a secret; `hidden()` returns those. It is cut last:
    half a secret is not recognized."""
    if not text:
        return ""
    from jobs_lib import masking  # only where something was tried: it would slow every idle run
    words = " ".join(text[:READ].split())
    return masking.without_secrets(words, hidden())[:LONGEST_ANSWER]


def of_item(db, kind: str, id, most: int) -> list[dict]:
    """The latest ones of an item, `most` at most, in the order in which they were made."""
    rows = db.query("SELECT id, began_at, duration_ms, outcome, code, answer, run_id "
                    "FROM {attempts} WHERE kind = :kind AND item_id = :id "
                    "ORDER BY id DESC LIMIT :most", kind=kind, id=_item(db, id), most=most)
    return rows[::-1]
