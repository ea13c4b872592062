"""The queues as their operator sees them, and acts on them: how each differs from the common
(engines/items.py)."""
from __future__ import annotations

import os

from jobs_lib import clock, text
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines import limits
from jobs_lib.engines.due import Due
from jobs_lib.engines.items import DUE, Item, Items, Kept
from jobs_lib.engines.rows import owners_in, why_nobody_waits
from jobs_lib.features import queues

NOT_KEPT = "its text was deleted then"


# What is sent

class Mail(Items):
    """What leaves by the relay: forwards and notices."""

    done = ("sent",)

    def holds(self, ctx) -> list[str]:
        """The relay, too, by the room that a run has."""
        return super().holds(ctx) + limits.holds(
            ctx, self.queue.kind, queues.other_mail(ctx, self.queue))

    def pace(self, ctx):
        """Half of what the relay's limits allow."""
        mail = ctx.section("mail")
        return max([super().pace(ctx), *(2 * span / limit for name, span in limits.WINDOWS.items()
                                         if (limit := getattr(mail, f"per_{name}")) is not None)])


def _notified(row: dict) -> str:
    """What `notified_at` means."""
    id = row["notice_id"]
    return f"its owner was notified: notification {id}" if id else "no notice was due"


class Forwards(Mail):
    """Rows of `failed_emails`."""

    queue, what = queues.FORWARDS, "forwarded mail"
    reads = ("envelope_to", "alias_id", "destination_id")
    needs = ("raw_path",)
    age, purge = ("finished_at", "created_at"), "purge_failed_emails"
    moments = (("created_at", "came in, after the app's own attempt had failed"),
               ("notified_at", _notified), ("finished_at", "ended"))
    # when it fails again, its owner is notified again
    reset, notified = ("notified_at", "notice_id"), ("notified_at",)

    def to(self, row: dict) -> str:
        """The recipient."""
        return row["envelope_to"]

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its owner, alias or destination is missing."""
        from jobs_lib.features.forwards.source import reasons_to_cancel
        return reasons_to_cancel(ctx.db, found)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its raw message is not in the spool."""
        from jobs_lib.engines import spool
        try:
            path = spool.locate(ctx.section("spool").dir, row["raw_path"])
        except spool.SpoolError as error:
            return str(error)
        if os.path.isfile(path):
            return None
        return f"its raw message {row['raw_path']} is missing from the spool"


class Notices(Mail):
    """Rows of `notifications`."""

    queue, what = queues.NOTICES, "notices"
    reads = ("kind", "to_email", "priority")
    needs = ("CASE WHEN body_text IS NULL AND body_html IS NULL THEN 0 ELSE 1 END AS whole",)
    purge = "purge_notifications"
    moments = (("created_at", "was queued"), ("sent_at", "was sent"), ("finished_at", "ended"))

    def to(self, row: dict) -> str:
        """What it is about, and its recipient."""
        return f"{one_line(row['kind'])} to {one_line(row['to_email'])}"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account is missing, or its owner does not want this kind."""
        from jobs_lib.features.notifications.outbox import unwanted
        return unwanted(ctx.db, found)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its text is not kept."""
        if row["status"] == "sent":
            return f"it was sent, and {NOT_KEPT}"
        return None if row["whole"] else f"it was cancelled, and {NOT_KEPT}"


class Deliveries(Items):
    """Rows of `webhook_deliveries`."""

    queue, what = queues.WEBHOOKS, "webhook deliveries"
    done = ("delivered",)
    reads = ("webhook_id", "event_type")
    needs = ("CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole",)
    purge = "purge_webhook_deliveries"
    moments = (("created_at", "came in"), ("finished_at", "ended"))

    def to(self, row: dict) -> str:
        """The endpoint, and the event."""
        event = one_line(row["event_type"])
        return f"endpoint {one_line(row['webhook_id'])}{event and ', '}{event}"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account or endpoint is deleted, or the endpoint is disabled."""
        from jobs_lib.features.webhooks import endpoints
        return endpoints.reasons_to_cancel(ctx.db, found, endpoints.current(
            ctx.db, (row["webhook_id"] for row in found)))

    def reasons(self, ctx, waits: list[dict]) -> dict:
        """Its endpoint is paused."""
        from jobs_lib.features.webhooks import endpoints
        known = endpoints.current(ctx.db, (row["webhook_id"] for row in waits))
        paused = {id: endpoint["paused_until"] for id, endpoint in known.items()
                  if endpoints.is_paused(endpoint, ctx.now)}
        return {row["id"]: f"its endpoint is paused until {paused[id]} UTC" for row in waits
                if (id := row["webhook_id"]) in paused}

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its payload is not kept."""
        return None if row["whole"] else "its payload was deleted"


# What is made, checked or deleted

class Exports(Items):
    """Rows of `export_requests`."""

    queue, what = queues.EXPORTS, "exports"
    done = ("exported",)
    reads = ("file_bytes",)
    moments = (("requested_at", "was requested"), ("finished_at", "ended"),
               ("expires_at", "its link expires"))

    def to(self, row: dict) -> str:
        """How much it is, once it is known."""
        return text.size(row["file_bytes"]) if row["file_bytes"] else "all of the account"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account is deleted."""
        owners = owners_in(ctx.db, found)
        return {row["id"]: why for row in found
                if (why := why_nobody_waits(owners, row["user_id"]))}

    def kept(self, ctx, row: dict) -> Kept:
        """Its file by [export] keep; its row with the account."""
        until = clock.parse_any(row["expires_at"]) if row["status"] == "ready" else None
        rule = "its row stays as long as the account"
        if until is None:
            return Kept(None, None, rule)
        return Kept(until, ("export", "keep"), f"then its file is deleted; {rule}")


class Domains(Items):
    """Rows of `domains`: each of them waits for its next check."""

    queue, what = queues.DOMAINS, "domains to check"
    done, failed = ("checked",), ()
    reads = ("name", "dns_results", "next_check_at", "recheck_requested_at", "failures")
    moments = (("created_at", "was added"), ("recheck_requested_at", "a check was asked for"),
               ("failing_since", "has been found wrong since then"),
               ("warned_at", "its owner was warned"), ("verified_at", "was verified"),
               ("checked_at", "was last checked"))

    def due(self, ctx) -> Due:
        """Those that were asked for, and those whose time has come."""
        from jobs_lib.features.domains.due import due
        return due(ctx)

    def backlog(self, ctx, most: int) -> tuple:
        """Those that are due: there is no end to checks."""
        number, since = self.due(ctx).backlog(most)
        return number, number, since

    def unfinished(self) -> tuple:
        """But those that were given up."""
        return "pending", "verified"

    def describe(self, ctx, found: list[dict]) -> list[Item]:
        """By the status that the last check left."""
        from jobs_lib.features.domains.status import in_words
        owners, items = owners_in(ctx.db, found), []
        for row in found:
            is_asked = clock.parse_any(row["recheck_requested_at"])
            next_at = (None if is_asked else clock.parse_any(row["next_check_at"])) or ctx.now
            why = why_nobody_waits(owners, row["user_id"])
            if owners.get(row["user_id"]) == "suspended":
                why = "its owner is suspended"
            elif row["status"] == "failed" and row["next_check_at"] is None and not is_asked:
                next_at = None
                why = why or "given up: it is checked again once its owner asks for it"
            items.append(Item(row["id"], row["user_id"], one_line(row["name"], 254),
                              one_line(words(row["status"])), row["failures"], None,
                              stored.time(row["created_at"]), next_at, why,
                              in_words(stored.document(row["dns_results"]))))
        return items

    def find(self, ctx, word: str):
        """By its name; of several accounts that have it, a verified one first."""
        from jobs_lib.hostnames import forms
        found = ctx.db.query("SELECT id, status FROM {domains} WHERE name IN (:names) ORDER BY id",
                             names=forms(word))
        found.sort(key=lambda row: row["status"] != "verified")
        return found[0]["id"] if found else None

    def kept(self, ctx, row: dict) -> Kept:
        """With its account."""
        return Kept(None, None, "as long as its owner keeps it, or until the account is deleted")


class Deletions(Items):
    """Users whose status is `deleted`. A deletion is called by the id of its user."""

    queue, what = queues.DELETIONS, "accounts to delete"
    done, failed, owner = (), (), "id"

    def backlog(self, ctx, most: int) -> tuple:
        """All that are deleted wait; those that a run now would take a step in are due."""
        from jobs_lib.features.accounts.due import deleted
        found = list(deleted(ctx))
        times = [each.next_at for each in found if each.next_at and each.next_at <= ctx.now]
        return (min(len(found), most), min(len(times), most),
                clock.text(min(times)) if times else None)

    def read(self, ctx, ids: list, columns: str = "") -> list[dict]:
        """The accounts, with what is known of each deletion."""
        from jobs_lib.features.accounts.due import deleted
        found = {account.id: account for account in deleted(ctx, " AND id IN (:ids)", ids=ids)}
        return [{"id": id, "user_id": id, "status": "deleted", "account": found[id],
                 "deleted_at": found[id].deleted_at if found[id].is_timed else None}
                for id in ids if id in found]

    def describe(self, ctx, found: list[dict]) -> list[Item]:
        """In words: what comes next, and when."""
        items = []
        for row in found:
            account, why = row["account"], ""
            state = DUE if account.next_at and account.next_at <= ctx.now else "closed"
            if account.next_at is None:
                state, why = "invalid", "deleted_at is no time: correct it in `users`"
            elif not account.is_timed:
                why = f"deleted_at is no time: the next run of {self.queue.job} sets it"
            what = ("all of the account is deleted" if account.is_closed
                    else "the account is closed first")
            items.append(Item(row["id"], row["id"], what, state, None, None,
                              stored.time(row["deleted_at"]), account.next_at, why, ""))
        return items

    def kept(self, ctx, row: dict) -> Kept:
        """Until the date that its owner was given."""
        account = row["account"]
        return Kept(account.erase_at if account.is_timed else None, (self.queue.job, "grace"),
                    "then all that the account has is deleted")


# whose rows wait for an attempt: these can be put back and cancelled
SENT: tuple[Items, ...] = (Forwards(), Notices(), Deliveries())
QUEUES: tuple[Items, ...] = (*SENT, Exports(), Domains(), Deletions())


def named(name: str) -> Items:
    """The queue of that name, such as `forwards`."""
    return next(items for items in QUEUES if items.queue.name == name)
