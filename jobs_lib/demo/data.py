"""The demo data: five owners, with rows in every state that a job meets.

TABLES is {table: (columns, rows)}, in the order in which they are inserted. In a row, a length of
time counts from now, back if it is negative; `@name` is the id of the row whose first column,
`key`, is that name; None leaves the column to its default.
"""
from __future__ import annotations

import json
from datetime import timedelta

D, H, M = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

HOME, WORK = "jane@home.example", "jane@work.example"
GREYLISTED, NO_ANSWER = "4.7.1 Greylisted, please try again later", "no answer from mx.home.example"
NO_SUCH_USER = "5.1.1 No such user here"
EMAIL_USED = "You have used 80% of your email allowance"
HELD_NOTICE = "A held message will be deleted"
GONE = "Nils Berg"                  # his account was deleted long ago
SECRET = "whsec_c2FtcGxlLXNlY3JldA=="
PENDING_DOMAIN, VERIFIED_DOMAIN = "miller.example", "harbour.example"
# what the last check found, before the domain had its records
MISSING = json.dumps({check: {"state": "fail", "reason": "missing",
                              "required": check in ("ownership", "mx")}
                      for check in ("ownership", "mx", "spf", "dkim", "dmarc")})

ACCOUNTS: dict[str, tuple[str, tuple]] = {
    "users": ("key email name status created_at deleted_at log_retention_days", (
        ("jane", HOME, "Jane Miller", None, -200 * D, None, None),
        ("omar", "omar@home.example", "Omar Haddad", "suspended", -200 * D, None, None),
        ("sam", "sam@home.example", "Sam Okoro", None, -200 * D, None, 30),
        ("lena", "lena@home.example", "Lena Vogt", "deleted", -200 * D, -30 * M, None),
        ("nils", "nils@home.example", GONE, "deleted", -200 * D, -9 * D, None),
    )),
    "aliases": ("key user_id address active created_at expires_at", (
        ("shop", "@jane", "shop@alias.example", None, -199 * D, None),
        ("bank", "@jane", "bank@alias.example", None, -199 * D, None),
        ("club", "@jane", "club@alias.example", None, -199 * D, None),
        ("omar's", "@omar", "omar@alias.example", None, -199 * D, None),
        ("lena's", "@lena", "lena@alias.example", None, -199 * D, None),
        ("sam's", "@sam", "sam@alias.example", None, -199 * D, None),
        ("nils's", "@nils", "nils@alias.example", None, -199 * D, None),
        # for a while only
        ("sale", "@jane", "sale@alias.example", 1, -90 * D, 2 * D),
        ("trial", "@jane", "trial@alias.example", 1, -90 * D, -5 * H),
        ("fair", "@jane", "fair@alias.example", 0, -90 * D, -20 * D),
        ("event", "@jane", "event@alias.example", 1, -90 * D, 40 * D),
        ("always", "@jane", "always@alias.example", 1, -90 * D, None),
    )),
    "destinations": (
        "key user_id email created_at verified_at reminded_at removal_notified_at", (
            ("home", "@jane", HOME, -199 * D, -199 * D, None, None),
            ("work", "@jane", WORK, -199 * D, -199 * D, None, None),
            ("omar-home", "@omar", "omar@home.example", -199 * D, -199 * D, None, None),
            ("lena-home", "@lena", "lena@home.example", -199 * D, -199 * D, None, None),
            ("nils-home", "@nils", "nils@home.example", -199 * D, -199 * D, None, None),
            # never verified: new, reminded, about to be removed, and one that an alias uses
            ("cabin", "@jane", "jane@cabin.example", -3 * D - 4 * H, None, None, None),
            ("lake", "@jane", "jane@lake.example", -28 * D, None, -25 * D, None),
            ("old-home", "@jane", "jane@old.example", -34 * D, None, -31 * D, -4 * D),
            ("office", "@jane", "jane@office.example", -60 * D, None, -57 * D, None),
        )),
    "alias_destinations": ("alias_id destination_id", (
        ("@shop", "@home"), ("@shop", "@work"), ("@bank", "@home"), ("@club", "@home"),
        ("@club", "@work"), ("@club", "@office"), ("@omar's", "@omar-home"),
        ("@lena's", "@lena-home"), ("@nils's", "@nils-home"), ("@sale", "@home"),
        ("@trial", "@home"), ("@fair", "@home"), ("@event", "@home"), ("@always", "@home"),
    )),
    "destination_verifications": ("destination_id created_at expires_at", (
        ("@cabin", -3 * D - 4 * H, 3 * D + 20 * H), ("@lake", -28 * D, -21 * D),
        ("@old-home", -34 * D, -27 * D), ("@office", -60 * D, -53 * D),
    )),
    "magic_links": ("user_id created_at expires_at used_at", (
        ("@jane", -20 * M, -5 * M, None), ("@jane", -3 * D, -3 * D, -3 * D),
        ("@jane", -26 * H, 9 * H, -26 * H), ("@jane", -20 * M, 10 * M, None),
        ("@jane", -2 * M, 12 * M, -2 * M),
    )),
    "sessions": ("user_id created_at last_seen_at expires_at", (
        ("@jane", -90 * D - 2 * H, -1 * D, -2 * H), ("@jane", -40 * D, -31 * D, 50 * D),
        ("@jane", -30 * D, -29 * D, 60 * D), ("@jane", -10 * D, -3 * M, 80 * D),
        ("@lena", -12 * D, -31 * M, 20 * D), ("@nils", -12 * D, -31 * M, 20 * D),
    )),
    "export_requests": (
        "user_id status requested_at started_at finished_at expires_at attempts progress "
        "file_bytes", (
            ("@jane", "queued", -4 * M, None, None, None, 0, 0, None),
            ("@sam", "ready", -7 * D - 30 * M, -7 * D - 27 * M, -7 * D - 27 * M, -20 * M, 1, 100,
             18_211),
            ("@lena", "queued", -50 * M, None, None, None, 0, 0, None),
            ("@jane", "expired", -90 * D, -90 * D + 3 * M, -90 * D + 3 * M, -83 * D, 1, 100,
             18_211),
        )),
    "audit_logs": ("user_id actor severity event ip details created_at", tuple(
        ("@jane", "jane", severity, event, "192.0.2.17", '{"browser": "Firefox"}', created)
        for severity, event, created in (
            ("info", "account.signed_in", -402 * D), ("info", "alias.created", -395 * D),
            ("warning", "account.sign_in_failed", -380 * D),
            ("info", "account.signed_in", -364 * D - 23 * H),
            ("critical", "account.password_reset", -8 * 365 * D),
            ("critical", "account.email_changed", -700 * D),
            ("info", "account.signed_in", -3 * H))) + (
        ("@nils", "nils", "info", "account.closed", "192.0.2.44", None, -9 * D),
    )),
    "domains": ("user_id name ownership_token status dns_results created_at verified_at checked_at "
                "next_check_at", (
        ("@jane", PENDING_DOMAIN, "7f3c9a", None, MISSING, -2 * H, None, -16 * M, -1 * M),
        ("@jane", VERIFIED_DOMAIN, "b210de", "verified", None, -40 * D, -40 * D,
         -24 * H - 3 * M, -3 * M),
    )),
}

MAIL: dict[str, tuple[str, tuple]] = {
    # retries wait 1, 6, 24 and 48 hours
    "failed_emails": (
        "user_id alias_id destination_id envelope_to envelope_from raw_path status attempts "
        "created_at next_attempt_at last_attempt_at last_code last_error finished_at told_at", (
            # due
            ("@jane", "@shop", "@home", HOME, "orders@outdoor.example", "newsletter.eml",
             "pending", 0, -64 * M, None, None, None, None, None, None),
            ("@jane", "@shop", "@home", HOME, "joerg@koeln.example", "greetings.eml",
             "pending", 0, -61 * M, None, None, None, None, None, None),
            ("@jane", "@shop", "@home", HOME, "billing@printer.example", "invoice.eml",
             "pending", 1, -7 * H - 9 * M, -4 * M, -6 * H - 4 * M, 451, GREYLISTED, None, None),
            ("@jane", "@bank", "@home", HOME, "service@northwind.example", "statement.eml",
             "pending", 2, -31 * H - 6 * M, -2 * M, -24 * H - 2 * M, None, NO_ANSWER, None, None),
            # exactly at its first delay
            ("@jane", "@shop", "@home", HOME, "", "bounce.eml",
             "pending", 0, -1 * H, None, None, None, None, None, None),
            # two recipients of one message: the file is deleted when neither needs it any more
            ("@jane", "@club", "@home", HOME, "ann@club.example", "party.eml",
             "pending", 1, -7 * H - 3 * M, -1 * M, -6 * H - 1 * M, 451, GREYLISTED, None, None),
            ("@jane", "@club", "@work", WORK, "ann@club.example", "party.eml",
             "pending", 1, -2 * H, 5 * H, -1 * H, 452, "4.2.2 Mailbox full", None, None),
            # not due yet
            ("@jane", "@shop", "@home", HOME, "tom@reed.example", "question.eml",
             "pending", 0, -20 * M, None, None, None, None, None, None),
            # due, and refused for good: their owner is notified
            ("@jane", "@club", "@home", HOME, "news@circle.example", "loop.eml",
             "pending", 3, -79 * H - 5 * M, -3 * M, -48 * H - 3 * M, 451, GREYLISTED, None, None),
            ("@jane", "@club", "@home", HOME, "desk@library.example", "lost.eml",
             "pending", 1, -7 * H - 2 * M, -1 * M, -6 * H - 1 * M, None, NO_ANSWER, None, None),
            # due, but not for their owners
            ("@omar", "@omar's", "@omar-home", "omar@home.example", "desk@music.example",
             "lesson.eml", "pending", 0, -2 * H, None, None, None, None, None, None),
            ("@lena", "@lena's", "@lena-home", "lena@home.example", "hello@forum.example",
             "welcome.eml", "pending", 0, -2 * H, None, None, None, None, None, None),
            # finished
            ("@jane", "@shop", "@home", HOME, "tickets@rail.example", "ticket.eml",
             "sent", 1, -64 * M, None, -4 * M, None, None, -4 * M, None),
            ("@jane", "@club", "@work", WORK, "post@cookery.example", "recipe.eml",
             "sent", 2, -10 * D, None, -9 * D, None, None, -9 * D, None),
            ("@jane", "@shop", "@work", WORK, "ask@survey.example", "survey.eml",
             "failed", 2, -9 * D, None, -8 * D, 550, NO_SUCH_USER, -8 * D, -8 * D),
            ("@jane", "@shop", "@work", WORK, "ask@survey.example", "survey.eml",
             "failed", 1, -3 * D, None, -2 * D, 550, NO_SUCH_USER, -2 * D, -2 * D),
        )),
    "notifications": (
        "key user_id kind persona priority to_email subject body_text status dedupe_key created_at "
        "sent_at finished_at", (
            # sent or given up before
            ("seeds", "@jane", "overflow_warning", "overflow", None, HOME, HELD_NOTICE, None,
             "sent", "sample-warning:1", -25 * H, -25 * H, -25 * H),
            ("results", "@sam", "overflow_warning", "overflow", None, "sam@home.example",
             HELD_NOTICE, None, "sent", "sample-warning:2", -20 * H, -20 * H, -20 * H),
            (None, "@jane", "usage_threshold", None, None, HOME, EMAIL_USED, None, "sent",
             "sample-usage:0", -95 * D, -95 * D, -95 * D),
            (None, "@jane", "usage_threshold", None, None, HOME, EMAIL_USED, None, "failed",
             "sample-usage:1", -91 * D, None, -91 * D),
            (None, "@jane", "usage_threshold", None, None, HOME, EMAIL_USED, None, "sent",
             "sample-usage:2", -20 * D, -20 * D, -20 * D),
            # waiting; the app wrote the first and the last of them
            (None, "@jane", "newsletter", "porter", 2, HOME, "What is new in November",
             "Hello,\n\nYou can now bring a domain.\n", None, "sample:newsletter:jane", -2 * H,
             None, None),
            (None, "@jane", "usage_threshold", "porter", 1, HOME, EMAIL_USED,
             "Hello,\n\nYou have used 81% of your email allowance for this billing period: 810\n"
             "of 1,000 emails.\n", None, "sample:usage_threshold:jane", -9 * M, None, None),
            (None, "@sam", "usage_threshold", "porter", 1, "sam@home.example", EMAIL_USED,
             "Hello,\n\nYou have used 80% of your email allowance for this billing period: 4,000\n"
             "of 5,000 emails.\n", None, "sample:usage_threshold:sam", -8 * M, None, None),
            (None, "@jane", "new_sign_in", "security", 0, HOME, "A new sign-in to your account",
             "Hello,\n\nIf it was you, you do not need to do anything.\n", None,
             "sample:new_sign_in:jane", -1 * M, None, None),
        )),
    # Sam has opted out
    "notification_optouts": ("user_id kind", (("@sam", "usage_threshold"),)),
    "overflow_hold": ("user_id alias_id raw_path held_at warned_at warning_id released_at", (
        # a day or less before their deletion: one warning lists both
        ("@jane", "@shop", "photos.eml", -29 * D - 2 * H, None, None, None),
        ("@jane", "@club", "minutes.eml", -29 * D - 20 * H, None, None, None),
        # past their retention: the warning of the first is old enough, that of the second is not
        ("@jane", "@shop", "seeds.eml", -31 * D, -25 * H, "@seeds", None),
        ("@sam", "@sam's", "results.eml", -30 * D - 2 * H, -20 * H, "@results", None),
        # not yet
        ("@jane", "@club", "walk.eml", -12 * D, None, None, None),
        # released by their owner
        ("@jane", "@bank", "keys.eml", -12 * D, None, None, -8 * D),
        ("@jane", "@bank", "deposit.eml", -11 * D, None, None, -2 * D),
    )),
    "spam_quarantine": ("user_id alias_id raw_path score quarantined_at released_at", (
        ("@jane", "@shop", "pills.eml", 12.4, -31 * D, None),
        ("@jane", "@shop", "watch.eml", 7.9, -33 * D, -32 * D),
        ("@jane", "@club", "prize.eml", 15.0, -29 * D - 23 * H, None),
        ("@nils", "@nils's", "offer.eml", 8.1, -11 * D, None),
    )),
}

WEBHOOKS: dict[str, tuple[str, tuple]] = {
    # the URL is added to that of the demo's own endpoint
    "webhooks": ("key user_id url secret active disabled_at disabled_reason created_at", (
        ("to-shop", "@jane", "/shop", SECRET, 1, None, None, -100 * D),
        ("to-old", "@jane", "/old", SECRET, 0, -3 * D, "every delivery has failed for 5 days",
         -100 * D),
        ("to-omar", "@omar", "/omar", SECRET, 1, None, None, -100 * D),
    )),
    "webhook_deliveries": (
        "webhook_id user_id event_id event_type status attempts created_at last_attempt_at "
        "response_status finished_at", (
            # due: never tried, tried by the app, and at an endpoint that is disabled
            ("@to-shop", "@jane", "evt_4711", "message.forwarded", "pending", 0, -1 * M, None,
             None, None),
            ("@to-shop", "@jane", "evt_4712", "message.held", "pending", 2, -9 * M, -6 * M, 500,
             None),
            ("@to-old", "@jane", "evt_4713", "message.forwarded", "pending", 1, -8 * M, -8 * M,
             500, None),
            # not due, or not for its owner
            ("@to-shop", "@jane", "evt_4714", "message.blocked", "pending", 3, -21 * M, -10 * M,
             500, None),
            ("@to-omar", "@omar", "evt_4715", "message.forwarded", "pending", 2, -45 * D, -45 * D,
             500, None),
            # finished
            ("@to-shop", "@jane", "evt_4716", "message.forwarded", "delivered", 1, -33 * D,
             -33 * D, 204, -33 * D + 1 * M),
            ("@to-shop", "@jane", "evt_4717", "message.forwarded", "failed", 5, -31 * D, -31 * D,
             500, -31 * D + 1 * M),
            ("@to-shop", "@jane", "evt_4718", "message.forwarded", "delivered", 1,
             -29 * D - 23 * H, -29 * D - 23 * H, 204, -29 * D - 23 * H + 1 * M),
            ("@to-shop", "@jane", "evt_4719", "message.forwarded", "delivered", 1, -2 * H, -2 * H,
             204, -2 * H + 1 * M),
        )),
}
BUSY_AT = "evt_4711"                # the demo's endpoint answers 503 to its first attempt
TABLES = {**ACCOUNTS, **MAIL, **WEBHOOKS}

# Log rows are many and alike: {owner: (days between two, how far back, its aliases)}. Sam keeps
# his for 30 days.
LOGGED = {"@jane": (2, 131, ("@shop", "@bank", "@club")), "@sam": (3, 60, ("@sam's",)),
          "@omar": (9, 120, ("@omar's",)), "@lena": (13, 110, ("@lena's",))}
LOG_STATUSES = ("delivered", "delivered", "delivered", "spam", "delivered", "blocked", "delivered",
                "bounced")
# Jane has had six e-mails by the twelfth day of her billing period.
CYCLE_BEGAN, EMAIL_LIMIT = -12 * D, 7
# Days before its latest slot at which a job ran; of each job the last ten runs are kept.
PAST_RUNS = (*range(95, 91, -1), *range(10, 0, -1))

RECORDS = """\
@ TXT "porter-verify={token}"
@ MX 10 mx1.alias.example.
@ MX 20 mx2.alias.example.
@ TXT "v=spf1 include:spf.alias.example ~all"
porter._domainkey CNAME porter._domainkey.alias.example.
_dmarc TXT "v=DMARC1; p=none"
"""
# {domain: its records as lines of a zone file}, for the demo's own name server
ZONES = {row[1]: RECORDS.format(token=row[2]) for row in ACCOUNTS["domains"][1]}
