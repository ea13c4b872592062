"""The demo data: four owners, with rows in every state that a job meets.

TABLES is {table: (columns, rows)}, in the order in which they are inserted. In a row, a length of
time counts from now, back if it is negative; `@name` is the id of the row whose first column,
`key`, is that name; None leaves the column to its default.
"""
from __future__ import annotations

from datetime import timedelta

D, H, M = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

HOME, WORK = "jane@home.example", "jane@work.example"
GREYLISTED, FULL = "4.7.1 Greylisted, please try again later", "4.2.2 Mailbox full"
NO_SUCH_USER = "5.1.1 No such user here"
EMAIL_USED = "You have used 80% of your email allowance"
HELD_NOTICE = "A held message will be deleted"
REMOVAL = "Verify jane@old.example to keep it"

ACCOUNTS: dict[str, tuple[str, tuple]] = {
    "users": ("key email name status created_at deleted_at log_retention_days", (
        ("jane", HOME, "Jane Miller", None, -200 * D, None, None),
        ("sam", "sam@home.example", "Sam Okoro", None, -200 * D, None, 30),
        ("lena", "lena@home.example", "Lena Vogt", "deleted", -200 * D, -30 * M, None),
        ("nils", "nils@home.example", "Nils Berg", "deleted", -200 * D, -9 * D, None),
    )),
    "aliases": ("key user_id address created_at expires_at", (
        ("shop", "@jane", "shop@alias.example", -199 * D, None),
        ("club", "@jane", "club@alias.example", -199 * D, None),
        ("sam's", "@sam", "sam@alias.example", -199 * D, None),
        ("lena's", "@lena", "lena@alias.example", -199 * D, None),
        ("nils's", "@nils", "nils@alias.example", -199 * D, None),
        # for a while only: its owner is told that it will end, and that it has ended
        ("sale", "@jane", "sale@alias.example", -90 * D, 2 * D),
        ("trial", "@jane", "trial@alias.example", -90 * D, -5 * H),
    )),
    "destinations": (
        "key user_id email created_at verified_at reminded_at removal_notified_at", (
            ("home", "@jane", HOME, -199 * D, -199 * D, None, None),
            ("work", "@jane", WORK, -199 * D, -199 * D, None, None),
            ("lena-home", "@lena", "lena@home.example", -199 * D, -199 * D, None, None),
            ("nils-home", "@nils", "nils@home.example", -199 * D, -199 * D, None, None),
            # never verified: new, reminded, and about to be removed
            ("cabin", "@jane", "jane@cabin.example", -3 * D - 4 * H, None, None, None),
            ("lake", "@jane", "jane@lake.example", -28 * D, None, -25 * D, None),
            ("old-home", "@jane", "jane@old.example", -34 * D, None, -31 * D, -4 * D),
        )),
    "alias_destinations": ("alias_id destination_id", (
        ("@shop", "@home"), ("@shop", "@work"), ("@club", "@home"), ("@club", "@work"),
        ("@lena's", "@lena-home"), ("@nils's", "@nils-home"),
        ("@sale", "@home"), ("@trial", "@home"),
    )),
    "destination_verifications": ("destination_id created_at expires_at", (
        ("@cabin", -3 * D - 4 * H, 3 * D + 20 * H), ("@lake", -28 * D, -21 * D),
        ("@old-home", -34 * D, -27 * D),
    )),
    "magic_links": ("user_id created_at expires_at used_at", (
        ("@jane", -20 * M, -5 * M, None), ("@jane", -3 * D, -3 * D, -3 * D),
        ("@jane", -20 * M, 10 * M, None),
    )),
    "sessions": ("user_id created_at last_seen_at expires_at", (
        ("@jane", -90 * D - 2 * H, -1 * D, -2 * H), ("@jane", -40 * D, -31 * D, 50 * D),
        ("@jane", -10 * D, -3 * M, 80 * D), ("@lena", -12 * D, -31 * M, 20 * D),
    )),
    "export_requests": (
        "user_id status requested_at started_at finished_at expires_at attempts progress", (
            ("@jane", "queued", -4 * M, None, None, None, 0, 0),
            ("@sam", "ready", -7 * D - 30 * M, -7 * D - 27 * M, -7 * D - 27 * M, -20 * M, 1, 100),
        )),
    "audit_logs": ("user_id actor severity event ip created_at", (
        ("@jane", "jane", "info", "account.signed_in", "192.0.2.17", -402 * D),
        ("@jane", "jane", "warning", "account.sign_in_failed", "192.0.2.17", -380 * D),
        ("@jane", "jane", "critical", "account.password_reset", "192.0.2.17", -8 * 365 * D),
        ("@nils", "nils", "info", "account.closed", "192.0.2.44", -9 * D),
        ("@jane", "jane", "info", "account.signed_in", "192.0.2.17", -3 * H),
    )),
    "domains": ("user_id name ownership_token status created_at verified_at checked_at "
                "next_check_at", (
        ("@jane", "miller.example", "7f3c9a", None, -2 * H, None, -16 * M, -1 * M),
        ("@jane", "harbour.example", "b210de", "verified", -40 * D, -40 * D, -24 * H - 3 * M,
         -3 * M),
    )),
}

QUEUES: dict[str, tuple[str, tuple]] = {
    # retries wait 1, 6, 24 and 48 hours
    "failed_emails": (
        "user_id alias_id destination_id envelope_to envelope_from raw_path status attempts "
        "created_at next_attempt_at last_attempt_at last_code last_error finished_at notified_at", (
            # due
            ("@jane", "@shop", "@home", HOME, "orders@outdoor.example", "order.eml",
             "pending", 0, -64 * M, None, None, None, None, None, None),
            ("@jane", "@shop", "@home", HOME, "joerg@koeln.example", "greetings.eml",
             "pending", 1, -7 * H - 9 * M, -4 * M, -6 * H - 4 * M, 451, GREYLISTED, None, None),
            # sent by nobody, as a bounce is
            ("@jane", "@shop", "@home", HOME, "", "bounce.eml",
             "pending", 0, -1 * H, None, None, None, None, None, None),
            # two recipients of one message: the file is deleted when neither needs it any more
            ("@jane", "@club", "@home", HOME, "ann@club.example", "party.eml",
             "pending", 1, -7 * H - 3 * M, -1 * M, -6 * H - 1 * M, 451, GREYLISTED, None, None),
            ("@jane", "@club", "@work", WORK, "ann@club.example", "party.eml",
             "pending", 1, -2 * H, 5 * H, -1 * H, 452, FULL, None, None),
            # due, and refused for good: it goes in a circle, and its file is missing
            ("@jane", "@club", "@work", WORK, "news@circle.example", "loop.eml",
             "pending", 3, -79 * H - 5 * M, -3 * M, -48 * H - 3 * M, 451, GREYLISTED, None, None),
            ("@jane", "@club", "@work", WORK, "desk@library.example", "lost.eml",
             "pending", 1, -7 * H - 2 * M, -1 * M, -6 * H - 1 * M, 451, GREYLISTED, None, None),
            # due, but its owner is deleted
            ("@lena", "@lena's", "@lena-home", "lena@home.example", "hello@forum.example",
             "welcome.eml", "pending", 0, -2 * H, None, None, None, None, None, None),
            # finished
            ("@jane", "@club", "@work", WORK, "post@cookery.example", "recipe.eml",
             "sent", 2, -10 * D, None, -9 * D, None, None, -9 * D, None),
            ("@jane", "@shop", "@work", WORK, "ask@survey.example", "survey.eml",
             "failed", 2, -55 * H, None, -2 * D, 550, NO_SUCH_USER, -2 * D, None),
        )),
    "notifications": (
        "key user_id kind persona priority to_email subject body_text status dedupe_key created_at "
        "sent_at finished_at", (
            ("seeds", "@jane", "overflow_warning", "overflow", None, HOME, HELD_NOTICE, None,
             "sent", "sample-warning:1", -25 * H, -25 * H, -25 * H),
            (None, "@jane", "destination_removal", "porter", None, HOME, REMOVAL, None, "sent",
             "sample-removal:1", -4 * D, -4 * D, -4 * D),
            (None, "@jane", "usage_threshold", None, None, HOME, EMAIL_USED, None, "sent",
             "sample-usage:0", -95 * D, -95 * D, -95 * D),
            # waiting, from the app; Sam does not want this kind
            (None, "@jane", "newsletter", "porter", 2, HOME, "What is new in November",
             "Hello,\n\nYou can now bring a domain.\n", None, "sample:newsletter", -2 * H,
             None, None),
            (None, "@sam", "usage_threshold", "porter", 1, "sam@home.example", EMAIL_USED,
             "Hello,\n\nYou have used 80% of your email allowance.\n", None, "sample:usage",
             -8 * M, None, None),
            (None, "@jane", "new_sign_in", "security", 0, HOME, "A new sign-in to your account",
             "Hello,\n\nIf it was you, you do not need to do anything.\n", None,
             "sample:new_sign_in", -1 * M, None, None),
        )),
    "notification_optouts": ("user_id kind", (("@sam", "usage_threshold"),)),
    "overflow_hold": ("user_id alias_id raw_path held_at warned_at warning_id released_at", (
        # a day or less before its deletion
        ("@jane", "@shop", "photos.eml", -29 * D - 2 * H, None, None, None),
        # past its retention, and its warning is old enough
        ("@jane", "@shop", "seeds.eml", -31 * D, -25 * H, "@seeds", None),
        # released by its owner
        ("@jane", "@club", "keys.eml", -12 * D, None, None, -8 * D),
    )),
    "spam_quarantine": ("user_id alias_id raw_path score quarantined_at released_at", (
        ("@jane", "@shop", "pills.eml", 12.4, -31 * D, None),
        ("@nils", "@nils's", "offer.eml", 8.1, -11 * D, None),
    )),
    "webhooks": ("key user_id url secret active created_at", (
        ("to-shop", "@jane", "https://hooks.example/shop", "whsec_c2FtcGxlLXNlY3JldA==", 1,
         -100 * D),
    )),
    "webhook_deliveries": (
        "webhook_id user_id event_id event_type status attempts created_at last_attempt_at "
        "response_status finished_at", (
            # due: never tried, and tried by the app
            ("@to-shop", "@jane", "evt_4711", "message.forwarded", "pending", 0, -1 * M, None,
             None, None),
            ("@to-shop", "@jane", "evt_4712", "message.held", "pending", 2, -9 * M, -6 * M, 500,
             None),
            # finished
            ("@to-shop", "@jane", "evt_4715", "message.forwarded", "delivered", 1, -33 * D,
             -33 * D, 204, -33 * D + 1 * M),
            ("@to-shop", "@jane", "evt_4716", "message.forwarded", "delivered", 1, -2 * H, -2 * H,
             204, -2 * H + 1 * M),
        )),
}
# what runs have tried with some of the forwards, by their ids
ATTEMPTS = ("kind item_id user_id began_at finished_at outcome code answer", tuple(
    ("forward", id, "@jane", -ago, -ago, outcome, code, answer)
    for id, ago, outcome, code, answer in (
        (2, 6 * H + 4 * M, "retry", 451, GREYLISTED),
        (4, 6 * H + 1 * M, "retry", 451, GREYLISTED),
        (5, 1 * H, "retry", 452, FULL),
        (10, 54 * H, "refused", 550, NO_SUCH_USER),
        (10, 2 * D, "refused", 550, NO_SUCH_USER),
        (900, 40 * D, "sent", 250, "2.0.0 Ok"))))       # its row is deleted by now
TABLES = {**ACCOUNTS, **QUEUES, "attempts": ATTEMPTS}

# Log rows are many and alike: {owner: (days between two, how far back, alias)}. Sam keeps his for
# 30 days.
LOGGED = {"jane": (2, 131, "shop"), "sam": (3, 60, "sam's"), "nils": (1, 40, "nils's")}
LOG_STATUSES = ("delivered", "delivered", "spam", "delivered", "blocked", "delivered", "bounced")
# Jane has had six e-mails by the twelfth day of her billing period.
CYCLE_BEGAN, EMAIL_LIMIT = -12 * D, 7
