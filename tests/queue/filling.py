"""Many due rows of the two queues of mail, for tests of who has the next turn."""
from __future__ import annotations

from collections import Counter

from tests.support.databases import bulk

FORWARDS, NOTICES = "retry_forwards", "send_notifications"
BOTH = (FORWARDS, NOTICES)
TABLE = {FORWARDS: "failed_emails", NOTICES: "notifications"}
COLUMNS = {FORWARDS: ("user_id alias_id envelope_from envelope_to raw_path created_at "
                      "next_attempt_at attempts"),
           NOTICES: ("user_id kind to_email subject body_text created_at next_attempt_at "
                     "attempts priority")}
ROW = {"envelope_from": "", "raw_path": "one.eml", "kind": "overflow_warning", "subject": "Held",
       "body_text": "x\n", "attempts": 0, "priority": 1, "next_attempt_at": None}


def owners(bench, ids) -> None:
    """Users with an alias each, and one file for all forwards."""
    bench.bulk("users", [{"id": id} for id in ids])
    bench.bulk("aliases", [{"id": id, "user_id": id, "address": f"a{id}@alias.example"}
                           for id in ids])
    bench.spool("one.eml")


def fill(bench, job: str, whose, number: int = 1, **values) -> None:
    """So many due rows of an owner, or of each of a range; their recipient says whose they are."""
    columns = COLUMNS[job].split()
    doublings = 7 if number >= 10_000 else 0
    rows: list = []
    for owner in whose if isinstance(whose, range) else [whose]:
        address = f"u{owner}@d{owner}.example"
        given = {**ROW, "user_id": owner, "alias_id": owner, "envelope_to": address,
                 "to_email": address,
                 "created_at": bench.ago(hours=5).strftime("%Y-%m-%d %H:%M:%S"), **values}
        rows += [tuple(given[name] for name in columns)] * -(-number // 2 ** doublings)
    bulk(bench.db, TABLE[job], columns, rows)
    names = ", ".join(columns)
    for _ in range(doublings):
        bench.db.execute(f"INSERT INTO {{{TABLE[job]}}} ({names}) SELECT {names} "
                         f"FROM {{{TABLE[job]}}}")


def order(bench) -> list[str]:
    """Whose mail has left, in order."""
    return [mail.recipient.partition("@")[0] for mail in bench.outbox]


def sent(bench) -> Counter:
    """{owner: messages} that have left."""
    return Counter(order(bench))


def statuses(bench, job: str) -> Counter:
    """{status: rows} of the job's queue."""
    return Counter(row["status"] for row in bench.db.query(f"SELECT status FROM {{{TABLE[job]}}}"))
