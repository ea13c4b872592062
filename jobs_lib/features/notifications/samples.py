"""Made-up values for every kind of notice, as the jobs give them: for `jobs.py preview` and the
tests."""
from __future__ import annotations

MX = {"title": "Mail servers (MX)", "type": "MX",
      "problem": "mx.old.example has a lower number than our mail servers, so mail goes there "
      "first.", "place": "club.example", "expected": "10 mx1.alias.example, 20 mx2.alias.example",
      "is_there": True, "found": [{"text": "5 mx.old.example"}, {"text": "10 mx1.alias.example"}],
      "fix": "Remove mx.old.example, or give it a higher number than 10."}
DMARC = {"title": "DMARC", "problem": "There is no DMARC record.", "type": "TXT",
         "place": "_dmarc.club.example", "expected": "v=DMARC1; p=none",
         "fix": "Add a TXT record at _dmarc.club.example: v=DMARC1; p=none"}

SAMPLES: dict = {
    "forward_failed": {
        "many": True, "number": "2", "more": "", "kept": True,
        "messages": [
            {"from": "Outdoor Shop <orders@outdoor.example>", "subject": "Your order 4711",
             "alias": "shop@alias.example", "destination": "jane@cabin.example",
             "received": "21 November 2026 at 14:30 UTC",
             "ended": "24 November 2026 at 21:30 UTC", "why": "The mailbox is full.",
             "kept": "1 December 2026 at 21:30 UTC",
             "said": "the server answered 552 5.2.2 Mailbox full"},
            {"from": "Ann <ann@club.example>", "subject": "Photos: https[:]//photos[.]example/4711",
             "alias": "club@alias.example", "destination": "jane@lake.example",
             "received": "21 November 2026 at 16:02 UTC",
             "ended": "21 November 2026 at 17:02 UTC", "kept": "28 November 2026 at 17:02 UTC",
             "why": "The address does not exist.", "said": ""},
        ],
        "advice": ["Free up space in the mailbox.",
                   "Check the address, and change or remove this destination."],
    },
    "overflow_warning": {
        "count": 2, "many": True, "kept": "30 days", "first_day": "25 November 2026",
        "first": "25 November 2026 at 14:31 UTC",
        "messages": [
            {"sender": "orders@outdoor.example", "subject": "Your order 4711",
             "alias": "shop@alias.example", "received": "26 October 2026 at 09:12 UTC",
             "size": "48 kB", "gone": "25 November 2026 at 14:31 UTC"},
            {"sender": "ann@club.example", "subject": "Photos of the party",
             "alias": "club@alias.example", "received": "26 October 2026 at 18:40 UTC",
             "size": "7.4 MB", "gone": "25 November 2026 at 18:40 UTC"},
        ],
    },
    "alias_expiring": {
        "count": 2, "many": True, "first_address": "trial@alias.example",
        "first_day": "26 November 2026",
        "aliases": [{"address": "trial@alias.example", "ends": "26 November 2026 at 09:00 UTC"},
                    {"address": "trip@alias.example", "ends": "27 November 2026 at 12:00 UTC"}],
    },
    "alias_expired": {
        "count": 1, "many": False, "first_address": "trial@alias.example",
        "aliases": [{"address": "trial@alias.example", "ends": "24 November 2026 at 09:00 UTC"}],
    },
    "destination_reminder": {
        "count": 1, "many": False, "first_email": "jane@cabin.example",
        "destinations": [{"email": "jane@cabin.example", "added": "21 November 2026"}],
    },
    "destination_removal": {
        "count": 2, "many": True, "first_email": "jane@lake.example", "first_day": "27 November "
        "2026",
        "destinations": [
            {"email": "jane@lake.example", "added": "28 October 2026", "removed": "27 November "
             "2026 at 14:30 UTC"},
            {"email": "old@lake.example", "added": "1 September 2026", "removed": "27 November "
             "2026 at 14:30 UTC"}],
    },
    "webhook_failing": {
        "url": "https://shop.example/hooks/mail", "host": "shop.example", "reason": "the endpoint "
        "answered 503",
        "since": "21 November 2026 at 15:05 UTC", "end": "26 November 2026 at 15:05 UTC",
    },
    "webhook_disabled": {
        "url": "https://shop.example/hooks/mail", "host": "shop.example",
        "reason": "every delivery has failed since 19 November 2026 at 15:05 UTC",
        "disabled_at": "24 November 2026 at 15:05 UTC",
    },
    "domain_verified": {"domain": "club.example", "advice": [DMARC]},
    "domain_failing": {
        "domain": "club.example", "many": False, "since": "22 November 2026", "records": [MX],
        "end": "25 November 2026 at 15:05 UTC", "end_day": "25 November 2026"},
    "domain_failed": {
        "domain": "club.example", "was_verified": True, "since": "22 November 2026",
        "silent": False, "created": "25 October 2026", "days": 30, "records": [MX]},
    "usage_threshold": {
        "threshold": 80, "all": False, "of_what": "your data allowance",
        "cycle_end": "3 December 2026",
        "items": [
            {"threshold": 80, "percent": 81, "all": False, "of_what": "your data allowance",
             "used": "8.1 GB", "limit": "10 GB"},
            {"threshold": 70, "percent": 74, "all": False, "of_what": "your email allowance",
             "used": "3,720", "limit": "5,000 emails"},
        ],
    },
    "export_ready": {"requested": "24 November 2026", "size": "3.4 MB",
                     "expires": "1 December 2026 at 15:05 UTC",
                     "link": "https://app.example/export?t=a-sample-and-no-token"},
    "export_failed": {"requested": "24 November 2026", "why": ""},
    "account_deletion_scheduled": {"closed": "24 November 2026", "date": "1 December 2026"},
}
