"""What we know of the relay, by a row and by the attempts that all processes have in common.

Paused: it cannot be used for now, so all mail waits.

Relay or recipient: a relay that refuses a message for good may mean the address, or us. So a
refusal is asked for twice: the row keeps its schedule, and the next refusal ends it if, of the
other recipients that were tried since the first one, one in four was accepted. Where the domain of
the recipient has accepted mail to somebody else lately, only that domain counts, so that a provider
that refuses us is seen beside others that do not.
"""
from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.records import namedtuple

from . import attempts
from .attempts import REFUSED, REPLAYED, SENT
from .due import CLOCKS_DIFFER

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
LATELY = timedelta(days=30)             # so long a domain is known to accept mail from us
LOOKED_AT = 50                          # attempts of others, at most
OWN = 100                               # attempts of the row itself
ONE_IN = 4                              # was accepted at least: it is the recipient
# an incident: so many recipients of so many owners were refused, among the latest of each kind
RECIPIENTS, OWNERS, LATEST, RECENT = 5, 2, 500, timedelta(days=3)
EVERYBODY = "everybody"
# SQL: answers of a domain, and of all
OF_DOMAIN = tuple(f"domain = :domain AND outcome = '{outcome}'" for outcome in (SENT, REFUSED))
OF_ALL = tuple(f"kind = '{kind}' AND began_at >= :since AND began_at <= :until "
               f"AND outcome IN ('{SENT}', '{REFUSED}') AND domain IS NOT NULL"
               for kind in ("forward", "notification"))

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


def pause(db, now, reason: str, has_worked: bool) -> datetime:
    """Pause all mail for 5 minutes, doubled each time that nothing went through in between, up to
    an hour. Until when."""
    row = db.row("SELECT failures, since FROM {relay_state} WHERE id = 1")
    if has_worked or row is None:
        row = {"failures": 0, "since": None}
    until = now + min(FIRST_PAUSE * 2 ** min(row["failures"], 10), LONGEST_PAUSE)
    db.upsert("relay_state", {"id": 1}, {
        "paused_until": until, "reason": reason[:250], "since": row["since"] or now,
        "failures": row["failures"] + 1})
    return until


def works(db, until) -> None:
    """A message went through: the next failure starts with a short pause again. A pause that lasts
    longer stays: another process has begun it meanwhile."""
    db.execute("UPDATE {relay_state} SET paused_until = NULL, reason = NULL, since = NULL, "
               "failures = 0 WHERE id = 1 AND failures > 0 AND (paused_until IS NULL "
               "OR paused_until <= :until)", until=until)


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
    others = _latest(db, OF_DOMAIN, "id", LOOKED_AT, domain=row["domain"],
                     recipient=row["recipient"])
    lately = clock.text(now - LATELY)
    if not any(each["outcome"] == SENT and str(each["began_at"]) > lately for each in others):
        others = _latest(db, OF_ALL, "began_at", LOOKED_AT, since=first["began_at"],
                         until=now + CLOCKS_DIFFER, recipient=row["recipient"])
    since_then = [each for each in others if each["id"] > first["id"]][:LOOKED_AT]
    # each once, by its latest answer
    said = {each["recipient"]: each["outcome"] for each in reversed(since_then)}
    accepted = [*said.values()].count(SENT)
    return accepted > 0 and len(said) <= ONE_IN * accepted


def of_everybody(db, now) -> list[Refusing]:
    """Who refuses everybody now: the relay, or else single domains."""
    rows = _latest(db, OF_ALL, "began_at", LATEST, since=now - RECENT, until=now, recipient="")
    if refusing := _refusing(EVERYBODY, rows, domains=2):
        return [refusing]
    by_domain: dict = {}
    for row in rows:
        by_domain.setdefault(row["domain"], []).append(row)
    found = (_refusing(domain, by_domain[domain], domains=1) for domain in sorted(by_domain))
    return [refusing for refusing in found if refusing]


def _refusing(name: str, rows: list[dict], domains: int) -> Refusing | None:
    """Whether it has accepted nothing since it has refused enough recipients, of enough owners, at
    so many domains."""
    refused = list(takewhile(lambda row: row["outcome"] == REFUSED, rows))
    number = len({row["recipient"] for row in refused})
    owners = len({row["user_id"] for row in refused})
    if (number < RECIPIENTS or owners < OWNERS
            or len({row["domain"] for row in refused}) < domains):
        return None
    first = refused[-1]
    return Refusing(name, clock.parse(first["began_at"]), number, first["answer"] or "")


def _latest(db, rules: tuple, order: str, most: int, **values) -> list[dict]:
    """Answers to others than the `recipient`, the latest first: `most` at most of each rule, which
    an index serves in this order."""
    rows = db.query(" UNION ALL ".join(
        "SELECT * FROM (SELECT id, recipient, user_id, domain, outcome, answer, began_at FROM "
        f"{{attempts}} WHERE {rule} AND recipient <> :recipient ORDER BY {order} DESC "
        f"LIMIT {most}) part_{number}" for number, rule in enumerate(rules)), **values)
    return sorted(rows, key=lambda row: row["id"], reverse=True)
