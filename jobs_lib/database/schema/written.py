"""What jobs write into the columns of an app's tables: what those have to take, and to return.

Each statement of each test is compared with it (tests/support/bench.py).
"""
from __future__ import annotations

from .tables import words_of

TIME = "2026-11-24 15:05:07"
HEX = "0123456789abcdef"
# of a column's words, those that jobs write, where they do not write all, or it lists none
WORDS = {
    "users.status": ("deleted",),
    "audit_logs.severity": ("info", "warning"),
    "audit_logs.actor": ("jobs", ""),
    "audit_logs.ip": ("",),
    "audit_logs.event": (
        "account.deleted", "alias.expired", "destination.removed", "domain.failed",
        "domain.verified", "webhook.disabled"),
}
SAMPLES = {"claim_token": (2 * HEX,), "claim_run": (HEX,), "time": (TIME,), "now": (TIME,),
           "date": (TIME[:10],), "flag": (0, 1), "int": (0, 1, 2), "big": (0, 1, 2)}
# of what is listed, those that a job writes whatever an app does: a number of attempts goes on from
# the app's, and no job writes `pending` into a domain
CERTAIN = {
    "aliases.active": (0,), "webhooks.active": (0,), "domains.status": ("verified", "failed"),
    "domains.failures": (0, 1), "failed_emails.uncertain": (1, 2),
    "webhook_deliveries.uncertain": (1, 2),
}
STAND_IN = ("int", "big", "json", "hash", "label", "path")      # types with samples alone
LARGEST = {"last_code": 999, "response_status": 599, "progress": 100}
# characters at most of a text, which an app may cut off
LONGEST = {"token_hash": 64, "sha256": 64, "file_name": 80, "last_error": 512,
           "error": 512, "disabled_reason": 255, "response_excerpt": 2048, "dns_results": 16_000,
           "details": 1000}


def values(table: str, column) -> tuple:
    """All of a column's that are known, or some, the largest and the longest among them; NULL
    where it is written."""
    if column.name in LONGEST:
        found: tuple = (_text(column.type, LONGEST[column.name]),)
    else:
        found = words(table, column) or SAMPLES.get(column.name) or SAMPLES.get(column.type, ())
    if column.name in LARGEST:
        found += (LARGEST[column.name],)
    return (*found, None) if column.null else found


def certain(table: str, column) -> tuple:
    """Those that jobs do write, or that have the very form or length of what they write. The others
    only stand for such, as a code of 999 or a document without any of its keys does."""
    found = CERTAIN.get(f"{table}.{column.name}")
    if found is None:
        found = () if column.name in LARGEST or column.type in STAND_IN else tuple(
            value for value in values(table, column) if value is not None)
    return (*found, *([None] if column.null else []))


def words(table: str, column) -> tuple:
    """All that jobs write, where that is one of a few words; () for other columns."""
    return WORDS.get(f"{table}.{column.name}") or tuple(words_of(column))


def has_to_be_read(column) -> bool:
    """Whether what is written has to be read as the same: all but texts."""
    return column.name not in LONGEST


def _text(kind: str, length: int) -> str:
    return '{"": "' + "x" * (length - 8) + '"}' if kind == "json" else "x" * length
