"""The sample service's deleted accounts: Lena has just closed hers, Nils did more than a week
ago."""
from __future__ import annotations

import hashlib
from datetime import timedelta

from .messages import store

FILE = "offer.eml"


def fill(db, spool: str, now, owners: dict) -> None:
    """Lena is still signed in; Nils has something of most kinds left."""
    _signed_in(db, now, owners["lena"], "lena")
    nils, since = owners["nils"], now - timedelta(days=199)
    alias = db.insert("aliases", user_id=nils, address="nils@alias.example", active=1,
                      created_at=since)
    destination = db.insert("destinations", user_id=nils, email="nils@home.example",
                            verified_at=since, created_at=since)
    db.insert("alias_destinations", alias_id=alias, destination_id=destination)
    for hours in range(10 * 24, 40 * 24, 20):
        db.insert("message_logs", user_id=nils, alias_id=alias, direction="forward",
                  status="delivered", bytes_used=4000 + hours, created_at=now
                  - timedelta(hours=hours))
    db.insert("spam_quarantine", user_id=nils, alias_id=alias, sender="sale@offer.example",
              subject="An offer", score=8.1, raw_path=FILE, size_bytes=store(spool, FILE,
                                                                             now
                                                                             - timedelta(days=11)),
              quarantined_at=now - timedelta(days=11))
    db.insert("audit_logs", user_id=nils, actor="nils", event="account.closed", severity="info",
              ip="192.0.2.44", created_at=now - timedelta(days=9))
    _signed_in(db, now, nils, "nils")


def _signed_in(db, now, user_id: int, name: str) -> None:
    db.insert("sessions", user_id=user_id,
              token_hash=hashlib.sha256(f"closed:{name}".encode()).hexdigest(), expires_at=now
              + timedelta(days=20), last_seen_at=now - timedelta(minutes=31), created_at=now
              - timedelta(days=12))
