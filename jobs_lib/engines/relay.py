"""What we know of the relay, by a row and by the attempts that all processes have in common.

Paused: it cannot be used for now, so all mail waits.

Relay or recipient: a relay that refuses a message for good may mean the address, or us. So a
refusal is asked for twice: the row keeps its schedule, and the next refusal ends it if, of the
other recipients that were tried since the first one, one in four was accepted. Where the domain of
the recipient has accepted mail to somebody else lately, only that domain counts, so that a provider
that refuses us is seen beside others that do not. A dead address costs one more try; a relay that
refuses everybody costs nothing but time.
"""
from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.records import namedtuple

from . import attempts
from .attempts import REFUSED, REPLAYED, SENT

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
LATELY = timedelta(days=30)             # so long a domain is known to accept mail from us
LOOKED_AT = 50                          # attempts of others, at most
OWN = 100                               # attempts of the row itself
REFUSED_PER_ACCEPTED = 3                # more than that: it is not the recipients
# it is an incident from so many recipients of so many owners on, among the latest of each kind
RECIPIENTS, OWNERS, LATEST, RECENT = 5, 2, 500, timedelta(days=3)
MAIL = ("forward", "notification")
EVERYBODY = "everybody"
DECIDED = f"outcome IN ('{SENT}', '{REFUSED}')"

Refusing = namedtuple("Refusing", "domain since recipients answer")
Refusing.__doc__ = """Who refuses everybody: a `domain`, or EVERYBODY for the relay; `since` when,
how many `recipients` it was, and the first `answer`."""


# Paused

def pause_now(db, now) -> dict | None:
    """`paused_until`, `reason`, `since` and `failures` (pauses in a row) of a pause."""
    row = db.row("SELECT paused_until, reason, since, failures FROM {relay_state} WHERE id = 1")
    until = row and stored.time(row["paused_until"])         # what is no time is no pause
    # later than any pause: the clock was wrong
    return row if until and now < until <= now + LONGEST_PAUSE else None


def paused(db, now) -> str | None:
    """`until 12:05 UTC: reason` while the relay is paused."""
    row = pause_now(db, now)
    return f"until {row['paused_until']} UTC: {row['reason']}" if row else None


def pause(db, now, reason: str, quota: bool) -> datetime:
    """Pause all mail: an hour for the relay's own limit, else 5 minutes, doubled each time, up to
    an hour. Until when."""
    row = (db.row("SELECT failures, since FROM {relay_state} WHERE id = 1")
           or {"failures": 0, "since": None})
    doubled = FIRST_PAUSE * 2 ** min(row["failures"], 10)
    until = now + (LONGEST_PAUSE if quota else min(doubled, LONGEST_PAUSE))
    db.upsert("relay_state", {"id": 1}, {
        "paused_until": until, "reason": reason[:250], "since": row["since"] or now,
        "failures": row["failures"] + 1})
    return until


def lift(db) -> bool:
    """End a pause early, once what was wrong is fixed. Whether there was one."""
    return db.execute("UPDATE {relay_state} SET paused_until = NULL WHERE id = 1"
                      " AND paused_until IS NOT NULL") == 1


def works(db, now) -> None:
    """A message went through: the next failure starts with a short pause again. A pause that
    another process has begun meanwhile stays."""
    db.execute("UPDATE {relay_state} SET paused_until = NULL, reason = NULL, since = NULL, "
               "failures = 0 WHERE id = 1 AND failures > 0 AND (paused_until IS NULL "
               "OR paused_until <= :now)", now=now)


# Relay or recipient

def is_final(db, kind: str, row: dict, now) -> bool:
    """Whether a refusal ends the row, which has its `recipient` (hash), `domain` and
    `attempt_id`."""
    first = None            # the first refusal of this recipient, before this one, since a replay
    for each in attempts.of_item(db, kind, row["id"], OWN):
        if each["outcome"] == REPLAYED:
            first = None
        elif (each["outcome"] == REFUSED and each["recipient"] == row["recipient"]
              and each["id"] != row["attempt_id"]):
            first = first or each
    if first is None:
        return False
    values = {name: row[name] for name in ("domain", "recipient")}
    rules, order = [f"domain = :domain AND outcome = '{outcome}' AND id > :first"
                    for outcome in (SENT, REFUSED)], "id"
    if not db.query(
            "SELECT 1 AS one FROM (SELECT recipient, began_at FROM {attempts} WHERE domain = "
            f":domain AND outcome = '{SENT}' ORDER BY id DESC LIMIT {LOOKED_AT}) accepted "
            "WHERE recipient <> :recipient AND began_at > :since LIMIT 1", since=now - LATELY,
            **values):
        rules, order = [f"kind = '{each}' AND began_at >= :since AND {DECIDED} AND id > :first"
                        for each in MAIL], "began_at"
        values = {"recipient": row["recipient"], "since": first["began_at"]}
    # a search by an index for each rule; the latest first
    found = " UNION ALL ".join(
        f"SELECT id, recipient, outcome FROM (SELECT id, recipient, outcome FROM {{attempts}} "
        f"WHERE {rule} AND recipient <> :recipient ORDER BY {order} DESC LIMIT {LOOKED_AT}) "
        f"part_{number}" for number, rule in enumerate(rules))
    latest: dict = {}
    for each in db.query(f"SELECT recipient, outcome FROM ({found}) found ORDER BY id DESC "
                         f"LIMIT {LOOKED_AT}", first=first["id"], **values):
        latest.setdefault(each["recipient"], each["outcome"])
    counts = Counter(latest.values())
    return not _is_general(counts[REFUSED], counts[SENT])


def _is_general(refused: int, accepted: int) -> bool:
    """Whether more recipients are refused than dead addresses explain."""
    return refused > REFUSED_PER_ACCEPTED * accepted or not accepted


def of_everybody(db, now) -> list[Refusing]:
    """Who refuses everybody now: the relay, or else single domains."""
    rows = db.query(" UNION ALL ".join(
        "SELECT * FROM (SELECT id, recipient, user_id, domain, outcome, answer, began_at FROM "
        f"{{attempts}} WHERE kind = '{kind}' AND began_at > :since AND began_at <= :now "
        f"AND {DECIDED} AND domain IS NOT NULL ORDER BY began_at DESC LIMIT {LATEST}) of_{kind}"
        for kind in MAIL), since=now - RECENT, now=now)
    rows.sort(key=lambda row: row["id"], reverse=True)
    domains = sorted({row["domain"] for row in rows if row["outcome"] == REFUSED})
    if len(domains) > 1 and (found := _refusing(EVERYBODY, rows)):
        return [found]
    return [found for domain in domains if (found := _refusing(
        domain, [row for row in rows if row["domain"] == domain]))]


def _refusing(domain: str, rows: list[dict]) -> Refusing | None:
    """Judged by as many of the latest as it takes to find enough that were refused, so that it is
    seen soon, and over soon."""
    refused: dict = {}
    accepted: set = set()
    for row in rows:
        if row["outcome"] == REFUSED:
            refused[row["recipient"]] = first = row
        elif _is_enough(domain, refused.values()):
            break
        else:
            accepted.add(row["recipient"])
    if not (_is_enough(domain, refused.values()) and _is_general(len(refused), len(accepted))):
        return None
    return Refusing(domain, clock.parse(first["began_at"]), len(refused), first["answer"] or "")


def _is_enough(domain: str, refused) -> bool:
    """Whether these are enough recipients, of enough owners; at two domains for the relay."""
    found = {name: len({row[name] for row in refused}) for name in ("recipient", "user_id",
                                                                    "domain")}
    return (found["recipient"] >= RECIPIENTS and found["user_id"] >= OWNERS
            and found["domain"] >= (2 if domain == EVERYBODY else 1))
