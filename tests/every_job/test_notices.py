"""Each notice reaches its owner once, from the right persona, and tells the facts that its reader
needs: which thing, how much, until when, where to go. Its words are nobody's business."""
from __future__ import annotations

import re

import pytest

from tests.support.bench import NOW, Bench
from tests.support.product import Response, Result
from tests.support.shell import ROOT

OWNER = "jo@home.example"
URL = "https://app.service.example"
HOOK = "https://hook.example/in"
RECORDS = {("our.example", "TXT"): ("porter-verify=abc",)}


@pytest.fixture
def owned(tmp_path, sqlite_url):
    """A bench with one owner, user 1, and alias 1."""
    bench = Bench(tmp_path, sqlite_url)
    bench.config(core={"app_url": URL, "secret_key": "k" * 40},
                 mail={"domain": "service.example", "srs_secret": "s" * 40},
                 dns={"mx_hosts": "mx1.service.example"}, export={"dir": "exports"})
    bench.table("users", [{"id": 1, "email": OWNER, "name": "Jo", "status": "active",
                           "billing_anchor": NOW.date().replace(day=20),
                           "created_at": bench.ago(days=300)}])
    put(bench, "aliases", id=1, address="shop@alias.example")
    yield bench
    bench.db.close()


def put(bench, table: str, **values) -> None:
    bench.table(table, [{"user_id": 1, **values}])


def day(moment) -> str:
    """As a reader finds it."""
    return f"{moment.day} {moment:%B %Y}"


# Each makes the rows, and says which job writes the notice and what that has to tell.

def forward_failed(bench):
    bench.spool("m.eml", b"From: A <a@shop.example>\r\nSubject: Order 77\r\n\r\nHello\r\n")
    put(bench, "failed_emails", alias_id=1, envelope_from="a@shop.example", raw_path="m.eml",
        envelope_to="gone@far.example", created_at=bench.ago(hours=2), size_bytes=9, attempts=3)
    bench.outbox.answer = lambda envelope: (
        Result("final", 550, "5.1.1", "no such user") if "far" in envelope.recipient
        else Result("sent", 250, "2.0.0", "taken"))
    return "retry_forwards", ["gone@far.example", "a@shop.example", "Order 77",
                              "shop@alias.example", "no such user", f"{URL}/destinations"]


def overflow_warning(bench):
    put(bench, "overflow_hold", alias_id=1, sender="a@shop.example", subject="Order 77",
        size_bytes=2048, raw_path="m.eml", held_at=bench.ago(days=29, hours=1))
    return "expire_overflow_hold", ["Order 77", "a@shop.example", "shop@alias.example",
                                    day(bench.ahead(days=1)), URL]


def usage_threshold(bench):
    """85 of 100, in a cycle that ends on the 20th."""
    bench.db.execute("UPDATE {users} SET email_limit = 100")
    put(bench, "usage_daily", day=NOW.date(), email_count=85, bytes_used=0)
    return "check_usage_thresholds", ["85", "100", "20 December 2026", f"{URL}/usage"]


def alias_expiring(bench):
    put(bench, "aliases", address="trip@alias.example", expires_at=bench.ahead(days=2))
    return "expire_aliases", ["trip@alias.example", day(bench.ahead(days=2)), f"{URL}/aliases"]


def alias_expired(bench):
    put(bench, "aliases", address="trip@alias.example", expires_at=bench.ago(hours=1))
    return "expire_aliases", ["trip@alias.example", day(NOW), f"{URL}/aliases"]


def destination_reminder(bench):
    put(bench, "destinations", email="new@home.example", created_at=bench.ago(days=4))
    return "expire_destination_verifications", [
        "new@home.example", day(bench.ago(days=4)), f"{URL}/destinations"]


def destination_removal(bench):
    put(bench, "destinations", email="new@home.example", created_at=bench.ago(days=27, hours=1),
        reminded_at=bench.ago(days=20))
    return "expire_destination_verifications", [
        "new@home.example", day(bench.ago(days=27)), day(bench.ahead(days=3)),
        f"{URL}/destinations"]


def domain_verified(bench, **values):
    """All is there; or with `values` its MX is missing."""
    put(bench, "domains", name="our.example", ownership_token="abc", created_at=bench.ago(days=40),
        **(values and {"status": "verified", "verified_at": bench.ago(days=30), "failures": 5,
                       "next_check_at": NOW}), **values)
    bench.dns.update(RECORDS if values else {
        **RECORDS, ("our.example", "MX"): ((10, "mx1.service.example"),)})
    return "check_domains", ["our.example", URL, *(["MX", "mx1.service.example", day(
        values["failing_since"])] if values else [])]


def domain_failing(bench):
    job, facts = domain_verified(bench, failing_since=bench.ago(days=1))
    return job, [*facts, day(bench.ahead(days=2))]


def domain_failed(bench):
    return domain_verified(bench, failing_since=bench.ago(days=7), warned_at=bench.ago(days=3))


def webhook_failing(bench, since=None, code: int = 503):
    since = since or bench.ago(days=4)
    put(bench, "webhooks", id=1, url=HOOK, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        failing_since=since, created_at=bench.ago(days=90))
    for number in range(1, 4):
        put(bench, "webhook_deliveries", webhook_id=1, event_id=f"evt_{number}", payload="{}",
            event_type="alias.created", created_at=bench.ago(hours=number))
    bench.web.answer = lambda _: Response("answered", code, excerpt="down")
    return "retry_webhooks", [HOOK, URL, str(code), day(since), day(bench.ahead(days=2))]


def webhook_disabled(bench):
    job, facts = webhook_failing(bench, bench.ago(hours=1), 410)
    return job, facts[:4]


def account_deletion_scheduled(bench):
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :at",
                     at=bench.ago(hours=1))
    return "delete_accounts", [day(NOW), day(bench.ahead(days=7))]


def export_ready(bench):
    put(bench, "export_requests", requested_at=bench.ago(hours=1))
    return "export_accounts", [day(NOW), day(bench.ahead(days=7))]


def export_failed(bench):
    for hours in (8, 6):
        put(bench, "export_requests", status="ready", requested_at=bench.ago(hours=hours),
            started_at=bench.ago(hours=hours))
    export_ready(bench)
    return "export_accounts", [day(NOW), "2 times in 24 hours"]


CASES = [(forward_failed, "postmaster", 1), (overflow_warning, "overflow", 1),
         (usage_threshold, "porter", 1), (alias_expiring, "porter", 1),
         (alias_expired, "porter", 1), (destination_reminder, "porter", 2),
         (destination_removal, "porter", 1), (domain_verified, "porter", 1),
         (domain_failing, "postmaster", 1), (domain_failed, "postmaster", 1),
         (webhook_failing, "postmaster", 1), (webhook_disabled, "postmaster", 1),
         (account_deletion_scheduled, "security", 0), (export_ready, "security", 1),
         (export_failed, "security", 1)]


@pytest.mark.parametrize("case, persona, priority", CASES)
def test_a_notice_tells_its_owner_the_facts(owned, case, persona, priority):       # R26, R27, R35
    job, facts = case(owned)
    for _ in range(2):                              # the second run has nothing to add
        owned.run(job)
    rows = owned.db.query("SELECT user_id, kind, persona, priority FROM {notifications}")
    assert rows == [{"user_id": 1, "kind": case.__name__, "persona": persona, "priority": priority}]
    del owned.outbox[:]
    owned.run("send_notifications")
    [mail] = owned.outbox
    assert (mail.recipient, mail.parsed["To"]) == (OWNER, OWNER)
    assert mail.parsed["From"].addresses[0].addr_spec == f"{persona}@service.example"
    html = mail.parsed.get_body(("html",)).get_content()
    for fact in facts:
        assert fact in " ".join(mail.text.split()), (fact, mail.text)
        assert fact in " ".join(html.split()), (fact, html)


def test_the_page_of_notices_names_these_kinds():
    page = (ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    table = page.partition("## Which there are")[2].partition("##")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(
        case.__name__ for case, _, _ in CASES)
