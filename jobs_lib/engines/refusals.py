"""Relay or recipient? A relay that refuses a message for good may mean the address, or us.

So a refusal is asked for twice: the row keeps its schedule, and the next refusal ends it if, of the
other recipients that were tried since the first one, one in four was accepted. Where the domain of
the recipient has accepted mail to somebody else lately, only that domain counts, so that a provider
that refuses us is seen beside others that do not. A dead address costs one more try; a relay that
refuses everybody costs nothing but time.
"""
from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import takewhile

from jobs_lib import clock
from jobs_lib.records import namedtuple

from . import attempts
from .attempts import REFUSED, REPLAYED, SENT

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


def is_final(db, kind: str, row: dict, now) -> bool:
    """Whether a refusal ends the row, which has its `recipient` (hash), `domain` and
    `attempt_id`."""
    first = _first_refusal(db, kind, row)
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
    return not _is_general(Counter(latest.values()))


def _is_general(recipients: dict) -> bool:
    """Whether more is refused than dead addresses explain. `recipients`: {outcome: number}."""
    return recipients[REFUSED] > REFUSED_PER_ACCEPTED * recipients[SENT] or not recipients[SENT]


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


def of_everybody(db, now) -> list[Refusing]:
    """Who refuses everybody now: the relay, or else single domains."""
    rows = db.query(" UNION ALL ".join(
        "SELECT * FROM (SELECT id, recipient, user_id, domain, outcome, answer, began_at FROM "
        f"{{attempts}} WHERE kind = '{kind}' AND began_at > :since AND began_at <= :now "
        f"AND {DECIDED} AND domain IS NOT NULL ORDER BY began_at DESC LIMIT {LATEST}) of_{kind}"
        for kind in MAIL), since=now - RECENT, now=now)
    rows.sort(key=lambda row: row["id"], reverse=True)
    domains = {row["domain"] for row in rows if row["outcome"] == REFUSED}
    if found := _refusing(EVERYBODY, rows, least_domains=2):
        return [found]
    return [found for domain in sorted(domains) if (found := _refusing(
        domain, [row for row in rows if row["domain"] == domain]))]


def _refusing(domain: str, rows: list[dict], least_domains: int = 1) -> Refusing | None:
    """Judged by as many of the latest as it takes to find enough that were refused, so that it is
    seen soon, and over soon."""
    refused: dict = {}
    accepted, least = set(), {"recipient": RECIPIENTS, "user_id": OWNERS, "domain": least_domains}
    looked_at = iter(rows)
    for row in looked_at:
        if row["outcome"] == SENT:
            accepted.add(row["recipient"])
            continue
        refused.setdefault(row["recipient"], row)
        if all(len({each[name] for each in refused.values()}) >= enough
               for name, enough in least.items()):
            break
    else:
        return None
    if not _is_general({REFUSED: len(refused), SENT: len(accepted)}):
        return None
    for row in takewhile(lambda row: row["outcome"] == REFUSED, looked_at):
        refused[row["recipient"]] = row
    return Refusing(domain, clock.parse(row["began_at"]), len(refused), row["answer"] or "")
