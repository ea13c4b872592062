"""The queues as their operator sees them, and acts on them: how each differs from the common
(base.py)."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database.stored import document
from jobs_lib.engines import relay
from jobs_lib.engines.due import Due
from jobs_lib.features import domains, queues
from jobs_lib.text import one_line

from .base import HELD, STOPPED, Items

# What is sent

class Mail(Items):
    """What leaves by the relay: forwards and notices."""

    done = "sent"

    def holds(self) -> list[str]:
        """The relay, too, by the room that a run has."""
        from jobs_lib.text import masking  # a relay's answer may quote an address
        return super().holds() + [masking.text(each) for each in relay.holds(
            self, self.config.section_or_defaults("mail"), self.queue.kind,
            queues.other_mail(self, self.queue))]


class Forwards(Mail):
    """Rows of `failed_emails`. One that fails again is reported to its owner again."""

    queue, what, to = queues.FORWARDS, "forwarded mail", "{envelope_to}"
    reads = ", envelope_to, raw_path"
    moments = (("created_at", "came in, after the app's own attempt had failed"),
               ("notified_at", "its owner was notified, or no notice was due"),
               ("finished_at", "ended"))
    purge, age = "purge_failed_emails", ("finished_at", "created_at")
    reset = ("notified_at", "notice_id")

    def lost(self, row: dict) -> str:
        """Its raw message is."""
        from jobs_lib.engines import spool
        folder = self.config.section_or_defaults("spool").dir
        return "" if spool.is_there(folder, row["raw_path"]) else (
            spool.wrong_folder(self.db, folder) or "the stored message is missing")


class Notices(Mail):
    """Rows of `notifications`."""

    queue, what, to = queues.NOTICES, "notices", "{kind} to {to_email}"
    reads = (", kind, to_email, "
             "(body_text IS NOT NULL OR body_html IS NOT NULL) AS whole")
    purge = "purge_notifications"


class Deliveries(Items):
    """Rows of `webhook_deliveries`."""

    queue, what, to = queues.WEBHOOKS, "webhook deliveries", "endpoint {webhook_id}, {event_type}"
    done = "delivered"
    reads = ", webhook_id, event_type, payload IS NOT NULL AS whole"
    purge = "purge_webhook_deliveries"


# What is made, checked or deleted

class Exports(Items):
    """Rows of `export_requests`."""

    queue, what, to = queues.EXPORTS, "exports", "all of the account"
    unfinished, done = ("running", "queued"), "exported"
    moments = (("requested_at", "was requested"), ("finished_at", "ended"),
               ("expires_at", "its link expires, and its file is deleted"))


class Domains(Items):
    """Rows of `domains`: each of them waits for its next check, but those that were given up."""

    queue, what, to = queues.DOMAINS, "domains to check", "{name}"
    unfinished, done, tries = ("pending", "verified"), "checked", "failures"
    reads = ", name, dns_results, failures"
    moments = (("created_at", "was added"), ("recheck_requested_at", "a check was requested"),
               ("failing_since", "no check has succeeded since"),
               ("warned_at", "its owner was warned"), ("verified_at", "was verified"),
               ("checked_at", "was last checked"))

    def due(self) -> Due:
        """Those that were asked for, and those whose time has come."""
        return domains.due(self)

    def backlog(self, most: int) -> tuple:
        """Those that are due: there is no end to checks."""
        number, since = self.due().backlog(most)
        return number, number, since

    def holds(self) -> list[str]:
        """What `[dns]` lacks, too, once one is due."""
        from jobs_lib.features.domains.records import unset
        missing = self.due().any() and unset(self.options.require, self.section("dns"))
        return super().holds() + ([f"{missing}."] if missing else [])

    def named(self, word: str):
        """Of several accounts that have this domain, a verified one comes first."""
        from jobs_lib.text.addresses import forms
        return self.db.value("SELECT id FROM {domains} WHERE name IN (:names) "
                             "ORDER BY status = 'verified' DESC, id LIMIT 1", names=forms(word))

    def answer(self, row: dict) -> str:
        """What the last check found wrong."""
        return domains.in_words(document(row["dns_results"]))

    def judge(self, row: dict, wrong) -> tuple:
        """By the status that the last check left. A time that is none is due."""
        next_at = clock.parse_any(row["due_at"]) or (None if row["due_at"] is None else self.now)
        why = STOPPED if row["is_stopped"] else row["unneeded"] or ""
        if not (next_at or why):
            why = "given up: it is checked again once its owner asks for it"
        return one_line(row["status"]), next_at, why


class Deletions(Items):
    """Users whose status is `deleted`. A deletion is called by the id of its user."""

    queue, what, to = queues.DELETIONS, "accounts to delete", "all of the account"
    unfinished, owner, moments = ("deleted",), "id", ()

    def secret(self, label: str) -> bytes:
        """As a run's Context has it: a closed account is known by a hash."""
        from jobs_lib.folders import derived, secret_key
        core = self.section("core")
        return derived(secret_key(core.state_dir, core.secret_key, make=False), label)

    def backlog(self, most: int) -> tuple:
        """All that are deleted; which of them are due, a list of them says."""
        return self.count("deleted", most), None, None

    def read(self, ids: list, columns: str = "", lock: str = "") -> dict:
        """The accounts, with what is known of each deletion."""
        from jobs_lib.features.accounts import deleted
        found = {each.id: {"id": each.id, "user_id": each.id, "status": "deleted", "account": each,
                           "deleted_at": each.deleted_at if each.is_timed else None}
                 for each in deleted(self, " AND id IN (:ids)", ids=ids)}
        return {id: found[id] for id in ids if id in found}

    def holds(self) -> list[str]:
        """The guard, too."""
        return super().holds() + [f"{each.why}." for each in self.held.values()]

    def judge(self, row: dict, wrong) -> tuple:
        """What comes next, and when."""
        account, next_at, why = row["account"], row["account"].erase_at, ""
        if next_at is None:
            return "invalid", None, "deleted_at is not a valid time: correct it in `users`"
        if account.is_open or not account.is_closed:
            why, next_at = "it is closed first", self.now
        if next_at <= self.now and self.held:
            why = HELD
            if account.deletion:  # an UPDATE of all has changed that time
                why += f"; first closed as deleted at {account.deletion['requested_at']}"
            return "held", None, why
        if account.is_closed and next_at > self.now:
            why = (f"closed at {account.deletion['revoked_at']} UTC; it waits for "
                   "[delete_accounts] grace")
            day = clock.parse_any(account.deletion["erase_after"])
            if day and day < next_at:
                why += f" and, until {next_at:%Y-%m-%d} at most, for its notice to be sent"
                next_at = day if day > self.now else next_at
        return "due" if next_at <= self.now else "closed", next_at, why


QUEUES: dict[str, type[Items]] = {kind.queue.name: kind for kind in (
    Forwards, Notices, Deliveries, Exports, Domains, Deletions)}
