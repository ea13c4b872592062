"""A service of some owners, each with one of all that the guard watches: the proofs of the guard
break something of all of them at once, let days pass, put it right, and look."""
from __future__ import annotations

import base64
import json
from datetime import timedelta

from tests.support.bench import Bench
from tests.support.product import ANSWERED, Response, catalogue

OPERATOR, HOOK = "operator@ops.test", "https://ops.test/alerts"
SECRET = "whsec_" + base64.b64encode(b"a secret of an endpoint.").decode()
DNS = {"mx_hosts": "mx1.service.example"}
EVERY_TICK = ("check_jobs", "send_notifications")
# What an untouched twin has, too: nothing here depends on when something was looked at.
PICTURE = {
    "users": "id, status", "aliases": "id, active", "destinations": "id, removal_notified_at",
    "domains": "id, status, failing_since, warned_at", "message_logs": "id",
    "webhooks": "id, active, failing_since, disabled_at", "header_snapshots": "id",
    "failed_emails": "id, status", "notifications": "user_id, kind, status",
    "retired_addresses": "1 AS one", "account_deletions": "id"}


class Service:
    """`jobs` are those that run beside EVERY_TICK; `sections` are added to the configuration."""

    def __init__(self, bench, *jobs: str, owners: int = 20, **sections) -> None:
        self.bench, self.held, self.alerts = bench, {}, {}
        self.each_step = lambda: None           # what happens while time passes
        self.answer = lambda _: Response(ANSWERED, 204)
        bench.web.answer = lambda request: (Response(ANSWERED, 204) if request.url == HOOK
                                            else self.answer(request))
        usual = {name: {"enabled": "no"} for name in catalogue.names()
                 if name not in {*jobs, *EVERY_TICK}}
        self.sections = {**usual, "dns": DNS, "mail": {"from": "service@service.example",
                                                       "per_hour": "off"},
                         "alerts": {"email": OPERATOR, "webhook": HOOK, "disk_free": "off"}}
        self.configure(**sections)
        self._sign_up(range(1, owners + 1))
        self.pass_time(1)

    def configure(self, **sections) -> None:
        """Change options for good."""
        for name, options in sections.items():
            self.sections[name] = {**self.sections.get(name, {}), **options}
        self.bench.config(**self.sections)

    def _sign_up(self, numbers) -> None:
        """Owners, each with all that there is; each row has its owner's number."""
        bench, then = self.bench, self.bench.ago(days=20)
        rows: dict[str, list] = {}
        for number in numbers:
            name, owner = f"d{number}.test", {"id": number, "user_id": number, "created_at": then}
            for table, row in {
                    "users": {"id": number, "email": f"owner{number}@home.test", "name": "Jo",
                              "created_at": then},
                    "aliases": {**owner, "address": f"a{number}@service.test"},
                    "destinations": {**owner, "email": f"owner{number}@home.test",
                                     "verified_at": then, "created_at": bench.ago(days=40)},
                    "domains": {**owner, "name": name, "ownership_token": name,
                                "status": "verified", "verified_at": then,
                                "next_check_at": bench.ahead(days=number // 1000)},
                    "webhooks": {**owner, "url": f"https://h{number}.test/", "secret": SECRET},
                    "message_logs": {**owner, "direction": "forward", "status": "delivered"},
                    "header_snapshots": {**owner, "message_log_id": number}}.items():
                rows.setdefault(table, []).append(row)
            bench.dns.update({
                (name, "TXT"): [f"porter-verify={name}", "v=spf1 include:spf.service.example ~all"],
                (name, "MX"): [(10, "mx1.service.example")],
                ("_dmarc." + name, "TXT"): ["v=DMARC1; p=none"]})
        for table, those in rows.items():
            bench.bulk(table, those)

    def forward(self, number: int, **values) -> int:
        """A message to that owner could not be forwarded just now."""
        self.bench.spool(f"{number}.eml")
        return self.bench.table("failed_emails", [{
            "user_id": number, "alias_id": number, "envelope_from": "shop@shop.test",
            "envelope_to": f"owner{number}@home.test", "raw_path": f"{number}.eml", **values}])[0]

    def event(self, number: int, **values) -> int:
        """Something that the owner's endpoint is to hear of."""
        return self.bench.table("webhook_deliveries", [{
            "webhook_id": number, "user_id": number, "event_id": f"event-{number}-{self.bench.now}",
            "event_type": "alias.created", "payload": "{}", **values}])[0]

    # Time

    def pass_time(self, hours: float, step: float = 4) -> None:
        """Cron goes on, in steps of so many hours."""
        end = self.bench.now + timedelta(hours=hours)
        while self.bench.now < end:
            self.bench.now = min(end, self.bench.now + timedelta(hours=step))
            self.each_step()
            self.tick()

    def tick(self) -> dict[str, dict]:
        """What cron does: {job: its outcome}. Beside it grow `held`, {job: when a run held
        something back}, and `alerts`, {incident: [(when, state, text)]} of those about the guard.
        """
        before, ends = len(self.bench.web), self.bench.tick()
        for job, end in ends.items():
            assert end["status"] in ("ok", "partial"), end
            if end["counts"].get("held"):
                self.held.setdefault(job, []).append(self.bench.now)
        for request in self.bench.web[before:]:
            for each in json.loads(request.body)["incidents"] if request.url == HOOK else ():
                if each["kind"] in ("guard", "doubt"):
                    self.alerts.setdefault(each["name"], []).append(
                        (self.bench.now, each["state"], f"{each['subject']}: {each['what']}"))
        return ends

    # Judgement

    def number(self, sql: str) -> int:
        """The one number that the query answers."""
        return self.bench.db.value(f"SELECT COUNT(*) FROM {sql}", now=self.bench.now)

    def picture(self, *but: str) -> dict:
        """{table: its rows, by PICTURE}, without the tables named."""
        return {name: sorted(map(repr, self.bench.db.query(f"SELECT {columns} FROM {{{name}}}")))
                for name, columns in PICTURE.items() if name not in but}

    def sent_twice(self) -> list:
        """What left more than once."""
        sent = [mail.item_id for mail in self.bench.outbox if mail.recipient != OPERATOR]
        return sorted(each for each in set(sent) if sent.count(each) > 1)


def sql(*statements: str):
    """What does these statements of the app to a service."""
    return lambda service: service.bench.elsewhere(*statements)


def twin_of(bench, pool, *jobs: str) -> Service:
    """A service of its own, which begins at the time when the other one began."""
    folder = bench.folder / "twin"
    folder.mkdir()
    return Service(Bench(folder, pool.sqlite(folder)), *jobs)
