"""The sample service's domains of users, and the zones that a name server of the demo's answers
with."""
from __future__ import annotations

import json
from datetime import timedelta

PENDING, VERIFIED = "miller.example", "harbour.example"
TOKENS = {PENDING: "7f3c9a", VERIFIED: "b210de"}
RECORDS = """\
@ TXT "porter-verify={token}"
@ MX 10 mx1.alias.example.
@ MX 20 mx2.alias.example.
@ TXT "v=spf1 include:spf.alias.example ~all"
porter._domainkey CNAME porter._domainkey.alias.example.
_dmarc TXT "v=DMARC1; p=none"
"""
ZONES = {name: RECORDS.format(token=token) for name, token in TOKENS.items()}


def fill(db, now, user_id: int) -> None:
    """One that waits for its records, and one that is verified; both are due."""
    missing = {check: {"state": "fail", "reason": "missing", "required": check in ("ownership",
                                                                                   "mx")}
               for check in ("ownership", "mx", "spf", "dkim", "dmarc")}
    db.insert("domains", user_id=user_id, name=PENDING, ownership_token=TOKENS[PENDING],
              dns_results=json.dumps(missing), created_at=now - timedelta(hours=2),
              checked_at=now - timedelta(minutes=16), next_check_at=now - timedelta(minutes=1))
    since = now - timedelta(days=40)
    db.insert("domains", user_id=user_id, name=VERIFIED, ownership_token=TOKENS[VERIFIED],
              status="verified", created_at=since, verified_at=since, checked_at=now
              - timedelta(hours=24, minutes=3), next_check_at=now - timedelta(minutes=3))


def snapshot(db) -> dict:
    """The one that waits: its row, with the `results` of the latest look, {check: result}."""
    row = db.row("SELECT name, status, created_at, checked_at, dns_results FROM {domains} "
                 "WHERE name = :name", name=PENDING)
    return {**row, "results": json.loads(row["dns_results"] or "{}")}
