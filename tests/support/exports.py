"""Exports as their owner opens them: members by name, CSV as rows, and an account with a row of
everything."""
from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

from tests.support.product import KINDS

# what a spreadsheet would run, in each text that a stranger or an owner can write
TEXT = "=1+1"
EVERYTHING = {
    "users": {"id": 7, "email": "jo@home.example", "name": "Jörg 🙂", "log_retention_days": 30},
    "aliases": {"id": 1, "domain_id": 1, "address": "shop@alias.example"},
    "destinations": {"id": 1, "email": "jo@home.example"},
    "alias_destinations": {"alias_id": 1, "destination_id": 1},
    "destination_verifications": {"id": 1, "destination_id": 1, "token_hash": "5ec4e7" * 10},
    "domains": {"id": 1, "name": "club.example", "ownership_token": "published",
                "dns_results": '{"mx": ["ö"]}'},
    "message_logs": {"id": 1, "alias_id": 1, "direction": "forward", "status": "delivered",
                     "bytes_used": 2048},
    "header_snapshots": {"id": 1, "message_log_id": 1, "ciphertext": b"5ec4e7-ciphertext"},
    "failed_emails": {"id": 1, "alias_id": 1, "envelope_from": "+x@evil.example",
                      "envelope_to": "jo@home.example", "raw_path": "5ec4e7.eml",
                      "last_error": "@SUM(1)\r\nsecond line", "claim_run": None},
    "overflow_hold": {"id": 1, "alias_id": 1, "subject": TEXT, "raw_path": "5ec4e7-held.eml"},
    "spam_quarantine": {"id": 1, "alias_id": 1, "subject": "-2+3", "score": -1.5,
                        "raw_path": "5ec4e7-spam.eml"},
    "audit_logs": {"id": 1, "actor": "jo", "event": "signed_in", "ip": "192.0.2.7",
                   "details": '{"a": 1}'},
    "magic_links": {"id": 1, "token_hash": "5ec4e7" * 9},
    "sessions": {"id": 1, "token_hash": "5ec4e7" * 8},
    "webhooks": {"id": 1, "url": "https://shop.example/in", "secret": "whsec_5ec4e7",
                 "previous_secret": "5ec4e7-old"},
    "webhook_deliveries": {"id": 1, "webhook_id": 1, "event_id": "evt_1", "payload": '{"a": "b"}'},
    "notifications": {"id": 1, "kind": "usage_threshold", "to_email": "jo@home.example",
                      "subject": "80 %", "body_text": "sign in: https://a.example/?5ec4e7",
                      "dedupe_key": "key-5ec4e7", "status": "sent"},
    "notification_optouts": {"kind": "alias_expiring"},
    "message_stats": {"alias_id": 1, "day": "2026-08-01", "direction": "forward",
                      "status": "delivered", "email_count": 3, "bytes_used": 999},
    "usage_daily": {"day": "2026-11-23", "email_count": 4, "bytes_used": 44},
    "usage_weekly": {"week_start": "2026-11-23", "email_count": 5, "bytes_used": 55},
    "usage_events": {"id": 1, "cycle_start": "2026-11-01", "metric": "emails", "threshold": 80,
                     "used": 80, "limit_value": 100},
}
OWNERLESS = ("users", "alias_destinations", "destination_verifications")
SECRET = "5ec4e7"            # stands in whatever must not leave


def account(bench, **more) -> None:
    """The account no. 7 with a row in each table that is about users, and a neighbour's row of
    nearly each."""
    for name, row in EVERYTHING.items():
        owner = {} if name in OWNERLESS else {"user_id": 7}
        bench.table(name, [{**row, **owner, **more.get(name, {})}])
    for name in ("aliases", "destinations", "message_logs", "audit_logs", "sessions", "webhooks",
                 "usage_daily"):
        bench.table(name,
                    [{"user_id": 8, **({"day": "2026-11-23"} if name == "usage_daily" else {})}])


def ask(bench, user_id: int = 7, **values) -> int:
    """A request, made five minutes ago; its id."""
    return bench.table("export_requests",
                       [{"user_id": user_id, "requested_at": bench.ago(minutes=5), **values}])[0]


def zips(bench) -> list[Path]:
    """The files in the folder, hidden ones left out."""
    return sorted(path for path in (bench.folder / "exports").glob("*")
                  if not path.name.startswith("."))


def members(path) -> dict[str, bytes]:
    """{name: content} of a whole zip whose every byte was checked."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {info.filename: file.read(info) for info in file.infolist()}


def rows(content: dict, name: str) -> list[dict]:
    """A kind's rows by its JSON."""
    return json.loads(content[f"json/{name}.json"])


def table(content: dict, name: str) -> list[list[str]]:
    """A kind's rows by its CSV, the head left out."""
    return list(csv.reader(io.StringIO(content[f"csv/{name}.csv"].decode("utf-8-sig"),
                                       newline="")))[1:]


def check(path) -> dict[str, int]:
    """The zip is whole, and its README says what is in it: {kind: how many rows}."""
    content = members(path)
    assert {*content} == {"README.txt", *(f"{form}/{kind.name}.{form}" for kind in KINDS
                                          for form in ("json", "csv"))}
    told = {kind: int(number.replace(",", "")) for number, kind in
            re.findall(r"^ +([\d,]+)  (\w+)", content["README.txt"].decode(), re.MULTILINE)}
    assert told == {kind.name: len(rows(content, kind.name)) for kind in KINDS}
    assert told == {kind.name: len(table(content, kind.name)) for kind in KINDS}
    return told


def token(mail) -> str:
    """The token in the link of a notice."""
    return re.search(r"\?t=([\w-]+)", mail.text)[1]
