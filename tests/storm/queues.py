"""The jobs of a queue: what they do arrives, and again only where an attempt on record explains
it."""
from __future__ import annotations

import hashlib
from collections import defaultdict

from tests.simulation.acts import accounts, mail, web
from tests.simulation.outside import Spell

from .base import HOUR, OWNERS, PER_HOUR, Storm

EVER = 10 ** 9
NOTHING_SENT = ("relay", "lost", "given back", "unreadable", "postponed", "unusable")


class Messages(Storm):
    """What is sent has arrived, and again only where an attempt on record explains it."""

    item = kind = ""                    # as the journal and `attempts` call it
    most = 0                            # attempts of a row

    def judge(self):
        entries, attempts, times = defaultdict(list), self.attempts(self.kind), []
        for entry in self.journal.new():
            if entry.get("outcome") not in NOTHING_SENT:
                entries[entry["item"]].append(entry)
        for row in self.rows(f"SELECT * FROM {{{self.table}}}"):
            sent, outcomes = entries[f"{self.item}-{row['id']}"], attempts[str(row["id"])]
            used = [each for each in outcomes if each not in NOTHING_SENT]
            taken = [entry["at"] for entry in sent if entry.get("outcome") in ("sent", "uncertain")
                     or 200 <= (entry.get("status") or 0) < 300]
            refused = any(entry.get("outcome") == "final" or entry.get("status") == 410
                          for entry in sent)
            is_done, has_failed = row["status"] in ("sent", "delivered"), row["status"] == "failed"
            self.kills["copies"] += max(0, len(taken) - 1)
            self.kills["uncertain"] += used.count("uncertain")
            times += taken
            for words, is_wrong in {
                    "stuck": not is_done and not has_failed, "lost": is_done and not taken,
                    "given up": has_failed and not refused and row["attempts"] < self.most,
                    "unexplained copies": len(taken) - 1 > used.count("uncertain"),
                    "not on record": len(sent) > len(used),
                    "an attempt made three times": len(sent) > 2 * row["attempts"],
                    "sent after its end": not {"sent", "delivered"}.isdisjoint(outcomes[:-1]),
                    "other bytes": len({entry.get("digest") or entry["id"] for entry in sent}) > 1,
                    }.items():
                if is_wrong:
                    yield f"{words}: {self.item} {row['id']}, {row['status']}, {sent}, {outcomes}"
        times.sort()                    # an attempt counts from its begin, a moment before
        if self.item != "webhook" and any(end - begin < HOUR - 30 for begin, end in
                                          zip(times, times[PER_HOUR:])):
            yield f"more than {PER_HOUR} messages within an hour"


class Forwards(Messages):
    table, item, kind, most = "failed_emails", "forward", "forward", 4

    def add(self) -> None:
        mail.forward_fails(self.world, self.chosen)


class Notices(Messages):
    table, item, kind, most = "notifications", "notice", "notification", 7

    def add(self) -> None:
        accounts.notice_of_app(self.world, self.chosen)


class Deliveries(Messages):
    table, item, kind, most = "webhook_deliveries", "webhook", "webhook", 5

    def add(self) -> None:
        web.new_endpoint(self.world, self.chosen)
        if self.chosen.random() < 0.02:
            host, now = self.world.pick(self.chosen, "webhooks")["url"].split("/")[2], self.clock
            how = self.chosen.choice(("broken", "busy", "away"))
            self.weather.add(host, Spell(now.seconds, now.seconds + HOUR, how))
        web.event(self.world, self.chosen)


class Exports(Storm):
    """`export_accounts`: each file is whole, named by its row, and announced once."""

    table, open = "export_requests", "status IN ('queued', 'running')"

    def add(self) -> None:
        if self.chosen.random() < 0.25:         # each is a file
            self.world.add("export_requests", user_id=self.user("active"), status="queued",
                           requested_at=self.world.text())

    def judge(self):
        notices, files = self.notices(), self.folder / "exports"
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                 for path in files.glob("[!.]*")}
        for row in self.rows("SELECT * FROM {export_requests}"):
            digest = found.pop(str(row["file_name"]), None)
            is_right = digest == row["sha256"] if row["status"] in ("ready", "expired") else (
                row["status"] == "failed" and row["attempts"] >= 3 and digest is None)
            if not is_right or notices[row["user_id"]] != 1:
                yield f"{row}, its file has {digest}, {notices[row['user_id']]} notices"
        yield from (f"no row names {name}" for name in found)


class Domains(Storm):
    """`check_domains`: each is verified, on record, and its owner heard of it once."""

    table, open = "domains", "status <> 'verified'"

    def add(self) -> None:
        user, name = self.user("active"), f"d{next(self.world.numbers)}.test"
        self.weather.add(name, Spell(0, EVER, "right"))
        self.world.add("domains", user_id=user, name=name, created_at=self.world.text(),
                       ownership_token=f"token-{name.partition('.')[0]}")

    def judge(self):
        notices, attempts = self.notices(), self.attempts("domain")
        for row in self.rows("SELECT * FROM {domains}"):
            facts = row["status"], notices[row["user_id"]], bool(attempts[str(row["id"])])
            if facts != ("verified", 1, True):
                yield f"domain {row['id']}: status, notices, on record: {facts}"


class Deletions(Storm):
    """`delete_accounts`: nothing is left of any account, and each is on record once."""

    table, open = "users", "status = 'deleted'"
    emptied = "aliases destinations failed_emails webhooks audit_logs notifications".split()

    crowd = 4                               # the guard would hold many

    def add(self) -> None:
        if self.chosen.random() < 0.25:     # erased at once, although nobody sends its notice
            user, path = self.user("deleted", deleted_at=self.world.text(days=30)), "gone.test"
            alias = self.world.add("aliases", user_id=user, address=f"a{user}@{path}")
            goal = self.world.add("destinations", user_id=user, email=f"g{user}@home.test")
            self.world.add_link(alias, goal)
            self.world.add("failed_emails", user_id=user, alias_id=alias, raw_path=self.world
                           .spooled(300), envelope_to=f"g{user}@home.test")
            self.world.add("webhooks", user_id=user, url="https://x.test/", secret=web.SECRET)
            self.world.add("audit_logs", user_id=user, actor="app", event="login")

    def judge(self):
        for table in self.emptied:
            yield from (f"{table} {row['id']} is left" for row in self.rows(
                f"SELECT id FROM {{{table}}} WHERE user_id > {OWNERS}"))
        yield from (f"{path} is left" for path in (self.folder / "spool").rglob("*.eml"))
        deletions = "{account_deletions}"
        facts = [len(self.rows(f"SELECT 1 AS one FROM {rows}")) for rows in (
            "{retired_addresses}", deletions, f"{deletions} WHERE completed_at IS NOT NULL",
            "{audit_logs} WHERE event = 'account.deleted'")]
        if len({*facts}) > 1:
            yield f"addresses, deletions begun, completed, audited: {facts}"


KINDS = {"retry_forwards": Forwards, "send_notifications": Notices, "retry_webhooks": Deliveries,
         "export_accounts": Exports, "check_domains": Domains, "delete_accounts": Deletions}
