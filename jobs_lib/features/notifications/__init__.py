"""Every kind of notice: who signs it, how urgent it is, whether its owner may do without, and
values for a sample of it."""
from __future__ import annotations

from jobs_lib.records import namedtuple

PORTER = "porter"
URGENT, NORMAL, LOW = 0, 1, 2  # the column `priority`

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
# is sent to who has opted out of it, too
REQUIRED = tuple(name for name, kind in KINDS.items() if not kind.optional)


# Made-up values, as the jobs give them: for `jobs.py preview` and the tests

SINCE, TODAY = "21 November 2026 at 15:05 UTC", "24 November 2026"
END_DAY = "26 November 2026"
END = f"{END_DAY} at 15:05 UTC"
ALIASES = {"count": 1, "many": False, "first_address": "trial@alias.example", "first_day": END_DAY,
           "aliases": [{"address": "trial@alias.example", "ends": END}]}
DESTINATIONS = {
    "count": 1, "many": False, "first_email": "jane@lake.example", "first_day": END_DAY,
    "destinations": [{"email": "jane@lake.example", "added": "28 October 2026", "removed": END}]}
WEBHOOK = {"url": "https://shop.example/hooks/mail", "host": "shop.example"}
MX = {"title": "Mail servers (MX)", "type": "MX",
      "problem": "mx.old.example has a lower number than our mail servers, so mail goes there "
      "first.", "place": "club.example", "expected": "10 mx1.alias.example, 20 mx2.alias.example",
      "is_there": True, "found": [{"text": "5 mx.old.example"}, {"text": "10 mx1.alias.example"}],
      "fix": "Remove mx.old.example, or give it a higher number than 10."}
DMARC = {"title": "DMARC", "problem": "There is no DMARC record.", "type": "TXT",
         "place": "_dmarc.club.example", "expected": "v=DMARC1; p=none",
         "fix": "Add this TXT record at _dmarc.club.example: v=DMARC1; p=none"}
USED = {"all": False, "of_what": "your data allowance", "threshold": 80, "percent": 81,
        "used": "8.1 GB", "limit": "10 GB"}

SAMPLES: dict = {
    "forward_failed": {
        "many": True, "number": "51", "more": "50", "kept": True,
        "messages": [
            {"from": "Outdoor Shop <orders@outdoor.example>", "subject": "Your order 4711",
             "alias": "shop@alias.example", "destination": "jane@cabin.example",
             "received": SINCE, "ended": f"{TODAY} at 21:30 UTC",
             "why": "The mailbox is full.", "kept": "1 December 2026 at 21:30 UTC",
             "said": "the server answered 552 5.2.2 Mailbox full"}],
        "advice": ["Free up space in the mailbox."]},
    "overflow_warning": {
        "count": 1, "many": False, "kept": "30 days", "first_day": END_DAY, "first": END,
        "messages": [{"sender": "orders@outdoor.example", "subject": "Your order 4711",
                      "alias": "shop@alias.example", "received": "27 October 2026 at 15:05 UTC",
                      "size": "48 kB", "gone": END}]},
    "alias_expiring": ALIASES,
    "alias_expired": ALIASES,
    "destination_reminder": DESTINATIONS,
    "destination_removal": DESTINATIONS,
    "webhook_failing": {**WEBHOOK, "reason": "the endpoint answered 503", "since": SINCE,
                        "end": END},
    "webhook_disabled": {**WEBHOOK, "reason": f"failing since {SINCE}",
                         "disabled_at": END},
    "domain_verified": {"domain": "club.example", "advice": [DMARC]},
    "domain_failing": {"domain": "club.example", "many": False, "since": SINCE, "records": [MX],
                       "end": END, "end_day": END_DAY},
    "domain_failed": {"domain": "club.example", "was_verified": True, "since": SINCE,
                      "silent": False, "created": "25 October 2026", "days": 30, "records": [MX]},
    "usage_threshold": {**USED, "cycle_end": "3 December 2026", "items": [USED]},
    "export_ready": {"requested": TODAY, "size": "3.4 MB", "expires": END,
                     "link": "https://app.example/export?t=a-sample-and-no-token"},
    "export_failed": {"requested": TODAY, "why": ""},
    "account_deletion_scheduled": {"closed": TODAY, "date": "1 December 2026"},
}
