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


@pytest.fixture
def owned(tmp_path, sqlite_url):
    """A bench with one owner, user 1."""
    bench = Bench(tmp_path, sqlite_url)
    bench.config(core={"app_url": URL, "secret_key": "k" * 40},
                 mail={"domain": "service.example", "srs_secret": "s" * 40},
                 dns={"mx_hosts": "mx1.service.example"},
                 export={"dir": "exports"})
    bench.table("users", [{"id": 1, "email": OWNER, "name": "Jo", "status": "active",
                           "billing_anchor": NOW.date().replace(day=20),
                           "created_at": bench.ago(days=300)}])
    yield bench
    bench.db.close()


def day(moment) -> str:
    """As a reader finds it."""
    return f"{moment.day} {moment:%B %Y}"


# Each makes the rows, and says what the notice has to tell.

def forward_failed(bench):
    """A mailbox that does not exist."""
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "shop@alias.example"}])
    bench.spool("m.eml", b"From: A <a@shop.example>\r\nSubject: Order 77\r\n\r\nHello\r\n")
    bench.table("failed_emails", [{
        "user_id": 1, "alias_id": 1, "envelope_from": "a@shop.example", "raw_path": "m.eml",
        "envelope_to": "gone@far.example", "created_at": bench.ago(hours=2), "size_bytes": 9,
        "attempts": 3}])
    bench.outbox.answer = lambda envelope: (
        Result("final", 550, "5.1.1", "no such user") if "far" in envelope.recipient
        else Result("sent", 250, "2.0.0", "taken"))
    return [("retry_forwards", NOW)], ["gone@far.example", "a@shop.example", "Order 77",
                                       "shop@alias.example", "no such user", f"{URL}/destinations"]


def overflow_warning(bench):
    """Held for 29 days."""
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "shop@alias.example"}])
    bench.table("overflow_hold", [{
        "user_id": 1, "alias_id": 1, "sender": "a@shop.example", "subject": "Order 77",
        "size_bytes": 2048, "raw_path": "m.eml", "held_at": bench.ago(days=29, hours=1)}])
    return [("expire_overflow_hold", NOW)], ["Order 77", "a@shop.example", "shop@alias.example",
                                             day(bench.ahead(days=1)), URL]


def usage_threshold(bench):
    """85 of 100, in a cycle that ends on the 20th."""
    bench.db.execute("UPDATE {users} SET email_limit = 100")
    bench.table("usage_daily", [{"user_id": 1, "day": NOW.date(), "email_count": 85,
                                 "bytes_used": 0}])
    return [("check_usage_thresholds", NOW)], ["85", "100", "20 December 2026", f"{URL}/usage"]


def alias_expiring(bench):
    """In two days."""
    bench.table("aliases", [{"user_id": 1, "address": "shop@alias.example", "active": 1,
                             "expires_at": bench.ahead(days=2)}])
    return [("expire_aliases", NOW)], ["shop@alias.example", day(bench.ahead(days=2)),
                                       f"{URL}/aliases"]


def alias_expired(bench):
    """An hour ago."""
    bench.table("aliases", [{"user_id": 1, "address": "shop@alias.example", "active": 1,
                             "expires_at": bench.ago(hours=1)}])
    return [("expire_aliases", NOW)], ["shop@alias.example", day(NOW), f"{URL}/aliases"]


def destination_reminder(bench):
    """Four days without its verification."""
    bench.table("destinations", [{"user_id": 1, "email": "new@home.example",
                                  "created_at": bench.ago(days=4)}])
    return [("expire_destination_verifications", NOW)], [
        "new@home.example", day(bench.ago(days=4)), f"{URL}/destinations"]


def destination_removal(bench):
    """27 days without it."""
    bench.table("destinations", [{"user_id": 1, "email": "new@home.example",
                                  "created_at": bench.ago(days=27, hours=1),
                                  "reminded_at": bench.ago(days=20)}])
    return [("expire_destination_verifications", NOW)], [
        "new@home.example", day(bench.ago(days=27)), day(bench.ahead(days=3)),
        f"{URL}/destinations"]


def _domain(bench, **values) -> None:
    bench.table("domains", [{"user_id": 1, "name": "our.example", "ownership_token": "abc",
                             "created_at": bench.ago(days=40), **values}])
    bench.dns[("our.example", "TXT")] = ("porter-verify=abc",)


def domain_verified(bench):
    """All is there."""
    _domain(bench)
    bench.dns[("our.example", "MX")] = ((10, "mx1.service.example"),)
    return [("check_domains", NOW)], ["our.example", URL]


def domain_failing(bench):
    """Its MX is missing since yesterday."""
    _domain(bench, status="verified", failures=5, failing_since=bench.ago(days=1),
            verified_at=bench.ago(days=30), next_check_at=NOW)
    return [("check_domains", NOW)], ["our.example", day(bench.ago(days=1)), "MX",
                                      "mx1.service.example", day(bench.ahead(days=2)), URL]


def domain_failed(bench):
    """And has been for seven days; its warning could not be sent."""
    _domain(bench, status="verified", failures=50, failing_since=bench.ago(days=7),
            warned_at=bench.ago(days=3), verified_at=bench.ago(days=30), next_check_at=NOW)
    return [("check_domains", NOW)], ["our.example", day(bench.ago(days=7)), "MX",
                                      "mx1.service.example", URL]


def _endpoint(bench, since) -> None:
    bench.table("webhooks", [{"id": 1, "user_id": 1, "url": "https://hook.example/in", "active": 1,
                              "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                              "failing_since": since, "created_at": bench.ago(days=90)}])
    bench.table("webhook_deliveries", [
        {"webhook_id": 1, "user_id": 1, "event_id": f"evt_{number}", "payload": "{}",
         "event_type": "alias.created", "created_at": bench.ago(hours=number)}
        for number in range(1, 4)])
    bench.web.answer = lambda request: Response("answered", 503, excerpt="down")


def webhook_failing(bench):
    """For four days."""
    _endpoint(bench, bench.ago(days=4))
    return [("retry_webhooks", NOW)], ["https://hook.example/in", "503", day(bench.ago(days=4)),
                                       day(bench.ahead(days=2)), URL]


def webhook_disabled(bench):
    """It says that it is gone."""
    _endpoint(bench, bench.ago(hours=1))
    bench.web.answer = lambda _: Response("answered", 410)
    return [("retry_webhooks", NOW)], ["https://hook.example/in", day(NOW), URL]


def account_deletion_scheduled(bench):
    """Closed an hour ago."""
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :at",
                     at=bench.ago(hours=1))
    return [("delete_accounts", NOW)], [day(NOW), day(bench.ahead(days=7))]


def export_ready(bench):
    """Asked for an hour ago."""
    bench.table("export_requests", [{"user_id": 1, "requested_at": bench.ago(hours=1)}])
    return [("export_accounts", NOW)], [day(NOW), day(bench.ahead(days=7))]


def export_failed(bench):
    """A third one within a day."""
    bench.table("export_requests", [
        {"user_id": 1, "status": "ready", "requested_at": bench.ago(hours=hours),
         "started_at": bench.ago(hours=hours)} for hours in (8, 6)])
    bench.table("export_requests", [{"user_id": 1, "requested_at": bench.ago(hours=1)}])
    return [("export_accounts", NOW)], [day(NOW), "twice a day",
                                        f"{day(bench.ahead(hours=16))} at 06:30 UTC"]


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
    runs, facts = case(owned)
    for job, owned.now in runs * 2:                 # the second run has nothing to add
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
