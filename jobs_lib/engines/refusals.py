"""Relay or recipient? A relay that refuses a message for good may mean the address, or us.

So a refusal is asked for twice: the row keeps its schedule, and the next refusal ends it if, of the
other recipients that were tried since the first one, one in four was accepted. Where the domain of
the recipient has accepted mail to somebody else lately, only that domain counts, so that a provider
that refuses us is seen beside others that do not. A dead address costs one more try; a relay that
refuses everybody costs nothing but time.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

from . import attempts
from .attempts import REFUSED, REPLAYED, SENT

LATELY = timedelta(days=30)             # so long a domain is known to accept mail from us
LOOKED_AT = 50                          # attempts of others, at most
OWN = 100                               # attempts of the row itself
REFUSED_PER_ACCEPTED = 3                # more than that: it is not the recipients
# Refusals of everybody: so many recipients, of so many owners, among the latest attempts of a kind
RECIPIENTS, OWNERS, LATEST, RECENT = 5, 2, 500, timedelta(days=3)
MAIL = ("forward", "notification")
EVERYBODY = "everybody"
DECIDED = f"outcome IN ('{SENT}', '{REFUSED}')"

Refusing = namedtuple("Refusing", "domain since recipients answer")
Refusing.__doc__ = """Who refuses everybody: a `domain`, or EVERYBODY for the relay; `since` when,
how many `recipients` it was, and the latest `answer`."""


def is_final(db, kind: str, row: dict, now) -> bool:
    """Whether a refusal ends the row, which has its `recipient` (hash), `domain` and
    `attempt_id`."""
    first = _first_refusal(db, kind, row)
    if first is None:
        return False
    others = _of_domain if _accepts_others(db, row, now) else _of_all
    latest: dict = {}
    for each in others(db, row, first):             # the latest first
        latest.setdefault(each["recipient"], each["outcome"])
    return not _is_general(list(latest.values()))


def _is_general(outcomes: list) -> bool:
    """Whether more is refused than dead addresses explain."""
    accepted = outcomes.count(SENT)
    return not accepted or outcomes.count(REFUSED) > REFUSED_PER_ACCEPTED * accepted


def _first_refusal(db, kind: str, row: dict) -> dict | None:
    """The first attempt at the same recipient that was refused, before this one and since a
    replay."""
    first = None
    for each in attempts.of_item(db, kind, row["id"], OWN):
        if each["outcome"] == REPLAYED:
            first = None
        elif (each["outcome"] == REFUSED and each["recipient"] == row["recipient"]
              and each["id"] != row["attempt_id"]):
            first = first or each
    return first


def _accepts_others(db, row: dict, now) -> bool:
    return bool(db.query(
        "SELECT began_at FROM (SELECT recipient, began_at FROM {attempts} WHERE domain = :domain "
        f"AND outcome = '{SENT}' ORDER BY id DESC LIMIT {LOOKED_AT}) accepted "
        "WHERE recipient <> :recipient AND began_at > :since LIMIT 1", since=now - LATELY,
        domain=row["domain"], recipient=row["recipient"]))


def _of_domain(db, row: dict, first: dict) -> list[dict]:
    return _latest(db, [f"domain = :domain AND outcome = '{outcome}' AND id > :first"
                        for outcome in (SENT, REFUSED)], "id", first=first["id"],
                   domain=row["domain"], recipient=row["recipient"])


def _of_all(db, row: dict, first: dict) -> list[dict]:
    return _latest(db, [f"kind = '{kind}' AND began_at >= :since AND {DECIDED} AND id > :first"
                        for kind in MAIL], "began_at", first=first["id"],
                   since=first["began_at"], recipient=row["recipient"])


def _latest(db, rules: list[str], order: str, **values) -> list[dict]:
    """The latest attempts at others, the last one first: a search by an index for each rule."""
    found = " UNION ALL ".join(
        f"SELECT id, recipient, outcome FROM (SELECT id, recipient, outcome FROM {{attempts}} "
        f"WHERE {rule} AND recipient <> :recipient ORDER BY {order} DESC LIMIT {LOOKED_AT}) "
        f"part_{number}" for number, rule in enumerate(rules))
    return db.query(f"SELECT recipient, outcome FROM ({found}) found ORDER BY id DESC "
                    f"LIMIT {LOOKED_AT}", **values)


def of_everybody(db, now) -> list[Refusing]:
    """Who refuses everybody now: the relay, or else single domains."""
    latest: dict = {}
    for kind in MAIL:
        for row in db.query(
                "SELECT id, recipient, user_id, domain, outcome, answer, began_at FROM {attempts} "
                f"WHERE kind = '{kind}' AND began_at > :since AND began_at <= :now AND {DECIDED} "
                f"AND recipient IS NOT NULL ORDER BY began_at DESC LIMIT {LATEST}",
                since=now - RECENT, now=now):
            known = latest.get(row["recipient"])
            if known is None or known["id"] < row["id"]:
                latest[row["recipient"]] = row
    rows = list(latest.values())
    domains = {row["domain"] for row in rows if row["outcome"] == REFUSED}
    if len(domains) > 1 and (found := _refusing(EVERYBODY, rows)):
        return [found]
    by_domain = (_refusing(domain, [row for row in rows if row["domain"] == domain])
                 for domain in sorted(domains, key=str))
    return [found for found in by_domain if found]


def _refusing(domain: str, rows: list[dict]) -> Refusing | None:
    refused = [row for row in rows if row["outcome"] == REFUSED]
    if (len(refused) < RECIPIENTS or len({row["user_id"] for row in refused}) < OWNERS
            or not _is_general([row["outcome"] for row in rows])):
        return None
    last = max(refused, key=lambda row: row["id"])
    since = min(str(row["began_at"]) for row in refused)
    return Refusing(domain, clock.parse(since), len(refused), last["answer"] or "")
