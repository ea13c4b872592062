"""Every kind of notice: who signs it, how urgent it is, and whether its owner may do without."""
from __future__ import annotations

from jobs_lib.records import namedtuple

PORTER = "porter"
URGENT, NORMAL, LOW = 0, 1, 2            # the column `priority`

Kind = namedtuple("Kind", "persona priority optional")

KINDS = {
    "forward_failed": Kind("postmaster", NORMAL, False),
    "overflow_warning": Kind("overflow", NORMAL, False),
    "usage_threshold": Kind(PORTER, NORMAL, True),
    "alias_expiring": Kind(PORTER, NORMAL, True),
    "alias_expired": Kind(PORTER, NORMAL, True),
    "destination_reminder": Kind(PORTER, LOW, True),
    "destination_removal": Kind(PORTER, NORMAL, False),
    "domain_verified": Kind(PORTER, NORMAL, True),
    "domain_failing": Kind("postmaster", NORMAL, False),
    "domain_failed": Kind("postmaster", NORMAL, False),
    "webhook_failing": Kind("postmaster", NORMAL, False),
    "webhook_disabled": Kind("postmaster", NORMAL, False),
    "export_ready": Kind("security", NORMAL, False),
    "export_failed": Kind("security", NORMAL, False),
    "account_deletion_scheduled": Kind("security", URGENT, False),
}


def required(kind: str) -> bool:
    """Whether it is sent to who has opted out of it, too. A kind of the app's own is not: its
    opt-out is the app's."""
    return kind in KINDS and not KINDS[kind].optional
