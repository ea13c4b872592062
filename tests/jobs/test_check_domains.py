"""Domains are looked at when they are due; their states follow what is there, and their owners are
notified once."""
from __future__ import annotations

import json
import signal
from datetime import timedelta

import pytest

from tests.servers.dns_servers import Authority, BlackHole, Unbound
from tests.support.databases import bulk
from tests.support.engines import on_sqlite
from tests.support.product import UNKNOWN, Answer, clock
from tests.support.shell import Shell, until

JOB = "check_domains"
NAME, TOKEN = "example.org", "abc123"
DNS = {"mx_hosts": "mx1.service.example, mx2.service.example", "spf_include": "spf.service.example",
       "dkim_target": "porter._domainkey.service.example"}
GOOD = {(NAME, "TXT"): [f"porter-verify={TOKEN}", "v=spf1 include:spf.service.example ~all"],
        (NAME, "MX"): [(10, "mx1.service.example"), (20, "mx2.service.example")],
        ("porter._domainkey." + NAME, "CNAME"): ["porter._domainkey.service.example"],
        ("_dmarc." + NAME, "TXT"): ["v=DMARC1; p=none"]}
SERVFAIL = Answer(UNKNOWN, why="the name server answered SERVFAIL")
NOTHING = {"checked": 0, "verified": 0, "warned": 0, "failed": 0, "unknown": 0}


@pytest.fixture
def owned(bench):
    """An active account, and the records of a domain that has all it needs."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo"}])
    bench.config(dns=DNS, core={"app_url": "https://mail.service.example"})
    bench.dns.update(GOOD)
    return bench


def domain(bench, **values) -> int:
    given = {"user_id": 7, "name": NAME, "ownership_token": TOKEN, "created_at": bench.now}
    return bench.table("domains", [{**given, **values}])[0]


def row(bench) -> dict:
    (found,) = bench.rows("domains")
    return found


def results(bench) -> dict:
    return json.loads(row(bench)["dns_results"])


def kinds(bench) -> list[str]:
    return [notice["kind"] for notice in bench.rows("notifications")]


def look(bench, *hours: int) -> dict:
    """A run after each of these hours, and every notice sent at once; the counts of the last."""
    for each in hours:
        bench.now = bench.ahead(hours=each)
        counts = bench.run(JOB)
        bench.db.execute("UPDATE {notifications} SET status = 'sent', sent_at = :now "
                         "WHERE status = 'pending'", now=bench.now)
    return counts


def test_a_new_domain_with_its_records_is_verified_and_its_owner_notified_once(owned):
    domain(owned, next_check_at=owned.ahead(minutes=2))
    assert owned.run(JOB) == NOTHING
    assert owned.dns.asked == []
    owned.now = owned.ahead(seconds=61)             # cron may be some seconds early
    assert owned.run(JOB) == {**NOTHING, "checked": 1, "verified": 1}
    stored = row(owned)
    assert (stored["status"], stored["verified_at"]) == ("verified", clock.text(owned.now))
    assert stored["next_check_at"] == clock.text(owned.ahead(hours=24))
    assert {check: result["state"] for check, result in results(owned).items()} == dict.fromkeys(
        ("ownership", "mx", "spf", "dkim", "dmarc"), "pass")
    (notice,) = owned.rows("notifications")
    assert (notice["kind"], notice["persona"], notice["to_email"]) == ("domain_verified", "porter",
                                                                       "jo@home.example")
    assert notice["subject"] == "example.org is verified"
    owned.now = owned.ahead(days=1)
    assert owned.run(JOB) == {**NOTHING, "checked": 1}
    assert kinds(owned) == ["domain_verified"]
    (audit,) = owned.rows("audit_logs")
    assert (audit["event"], audit["user_id"]) == ("domain.verified", 7)


def test_a_pending_domain_stays_pending_and_its_results_say_why(owned):
    del owned.dns[NAME, "MX"]
    domain(owned)
    assert owned.run(JOB) == {**NOTHING, "checked": 1}
    assert (row(owned)["status"], kinds(owned)) == ("pending", [])
    mx = results(owned)["mx"]
    assert (mx["state"], mx["reason"], mx["required"], mx["found"]) == ("fail", "missing", True, [])
    assert mx["expected"] == "10 mx1.service.example, 20 mx2.service.example"
    assert mx["expected"] in mx["fix"]


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_an_account_that_is_not_active_is_left_alone(owned, status):
    owned.db.execute("UPDATE {users} SET status = :status", status=status)
    domain(owned, recheck_requested_at=owned.now)
    assert owned.run(JOB) == NOTHING
    assert "no active account has such a domain" in owned.fails(JOB, domain=NAME)
    assert owned.dns.asked == []
    owned.table("users", [{"id": 8, "email": "eve@home.example"}])
    domain(owned, user_id=8, name="eve.example")        # beside one that is looked at, either
    assert owned.run(JOB, dry_run=True)["checked"] == owned.run(JOB)["checked"] == 1
    assert {name for name, kind in owned.dns.asked if kind == "MX"} == {"eve.example"}


def test_after_30_days_a_pending_domain_fails_and_the_notice_says_which_record(owned):
    owned.dns[NAME, "MX"] = [(5, "mail.other.example")]
    domain(owned, created_at=owned.ago(days=30))
    assert owned.run(JOB) == {**NOTHING, "checked": 1, "failed": 1}
    assert (row(owned)["status"], row(owned)["next_check_at"]) == ("failed", None)
    (notice,) = owned.rows("notifications")
    assert (notice["kind"], notice["persona"]) == ("domain_failed", "postmaster")
    assert notice["subject"] == "We could not verify example.org"
    text = " ".join(notice["body_text"].split())
    assert "Mail servers (MX)" in text
    assert "Expected: 10 mx1.service.example, 20 mx2.service.example" in text
    assert "Found: 5 mail.other.example" in text
    assert "Proof of ownership" not in text
    assert look(owned, 1) == NOTHING


def test_a_verified_domain_is_warned_after_six_hours_and_then_loses_its_status(owned):     # R49
    domain(owned, status="verified", verified_at=owned.ago(days=90), next_check_at=owned.now,
           warned_at=owned.ago(days=2))                 # it was repaired since
    owned.dns[NAME, "MX"] = [(5, "mail.other.example"), (10, "mx1.service.example")]
    look(owned, 0, 1, 4)
    assert (row(owned)["failures"], kinds(owned)) == (2, [])
    look(owned, 1)
    assert kinds(owned) == ["domain_failing"]
    notice = owned.rows("notifications")[0]
    assert notice["subject"] == "Fix the DNS of example.org before 27 November 2026"
    text = " ".join(notice["body_text"].split())
    assert "mail.other.example has a lower number than our mail servers" in text
    look(owned, 24, 24, 17)
    assert (row(owned)["status"], kinds(owned)) == ("verified", ["domain_failing"])
    look(owned, 1)
    assert (row(owned)["status"], row(owned)["verified_at"]) == ("failed", None)
    assert kinds(owned) == ["domain_failing", "domain_failed"]
    assert owned.rows("notifications")[1]["subject"] == "example.org is no longer verified"
    owned.dns[NAME, "MX"] = GOOD[NAME, "MX"]
    look(owned, 24)
    assert row(owned)["status"] == "verified"           # it came back by itself
    assert kinds(owned) == ["domain_failing", "domain_failed", "domain_verified"]
    assert [entry["event"] for entry in owned.rows("audit_logs")] == ["domain.failed",
                                                                      "domain.verified"]


@pytest.mark.parametrize("status, days", [("pending", 8), ("failed", 6)])
def test_a_warning_counts_from_when_it_was_sent_or_twice_the_time_if_it_was_refused(
        owned, status, days):                           # R83
    domain(owned, status="verified", verified_at=owned.ago(days=90), next_check_at=owned.now)
    del owned.dns[NAME, "MX"]
    for hours in (0, 6, *(days - 1) * [24]):
        owned.now = owned.ahead(hours=hours)
        owned.run(JOB)
        owned.db.execute("UPDATE {notifications} SET status = :status, finished_at = :now",
                         status=status, now=owned.now)
    assert (row(owned)["status"], kinds(owned)) == ("verified", ["domain_failing"])
    look(owned, 18)                     # what waited is sent by now
    assert row(owned)["status"] == ("verified" if status == "pending" else "failed")
    look(owned, 24)
    assert row(owned)["status"] == "failed"


def test_no_answer_changes_nothing(owned):              # R48
    domain(owned, status="verified", verified_at=owned.ago(days=9), next_check_at=owned.now)
    owned.run(JOB)
    before, known = row(owned), results(owned)
    owned.dns.down = SERVFAIL
    owned.now = owned.ahead(days=1)
    for _ in range(5):
        assert look(owned, 1) == {**NOTHING, "checked": 1, "unknown": 1}
    after = row(owned)
    for column in ("status", "failures", "failing_since", "warned_at", "verified_at"):
        assert after[column] == before[column]
    for check, result in results(owned).items():
        # what was known of it stays, and that nobody answered
        assert result["state"] == known[check]["state"] == "pass"
        assert result["checked_at"] == known[check]["checked_at"]
        assert "SERVFAIL" in result["unanswered_why"]
    assert kinds(owned) == []


def test_a_pending_domain_that_never_answers_fails_after_30_days_and_its_owner_is_notified(owned):
    # R49
    owned.dns[NAME, "TXT"] = SERVFAIL
    domain(owned, created_at=owned.ago(days=29))
    for _ in range(3):
        assert owned.run(JOB) == {**NOTHING, "checked": 1, "unknown": 1}
        owned.now = owned.ahead(days=1)
    assert row(owned)["status"] == "pending"            # 32 days old, silent for 3 of them
    assert owned.run(JOB) == {**NOTHING, "checked": 1, "unknown": 1, "failed": 1}
    assert (row(owned)["status"], row(owned)["next_check_at"]) == ("failed", None)
    (notice,) = owned.rows("notifications")
    text = " ".join(notice["body_text"].split())
    assert notice["kind"] == "domain_failed"
    assert "got no answer from its name servers" in text
    assert "SERVFAIL" in text
    assert "We will check again" not in text


def test_while_nobody_answers_at_all_no_domain_fails(owned):            # R48 R49
    owned.dns.down = SERVFAIL
    domain(owned, created_at=owned.ago(days=60))
    for _ in range(9):
        assert look(owned, 24) == {**NOTHING, "checked": 1, "unknown": 1}
    assert row(owned)["status"] == "pending"


def test_only_what_is_required_decides(owned):
    del owned.dns["_dmarc." + NAME, "TXT"]
    domain(owned)
    owned.run(JOB)
    assert row(owned)["status"] == "verified"
    assert results(owned)["dmarc"]["state"] == "fail"
    text = owned.rows("notifications")[0]["body_text"]
    assert "Recommended: DMARC" in text
    owned.db.execute("UPDATE {domains} SET status = 'pending', next_check_at = NULL")
    owned.config(dns=DNS, check_domains={"require": "ownership, dmarc"})
    owned.run(JOB)
    assert row(owned)["status"] == "pending"


def test_while_a_required_record_is_not_configured_domains_wait_and_the_log_says_why(owned):
    owned.config(dns={"mx_hosts": ""})
    assert owned.run(JOB) == NOTHING
    domain(owned)
    missing = "[check_domains] require names mx: set [dns] mx_hosts, or leave it out of require"
    assert owned.run(JOB) == {**NOTHING, "not_checked": 1}
    assert owned.result["status"] == "ok"
    assert [event["reason"] for event in owned.events(JOB) if event["event"] == "domains not "
            "checked"] == [missing]
    assert (row(owned)["checked_at"], owned.dns.asked) == (None, [])
    assert owned.fails(JOB, domain=NAME) == missing


def test_a_look_is_on_record_before_it_is_made_and_a_lost_one_is_settled_by_the_next(owned):
    # R85
    id = domain(owned)
    owned.table("attempts", [{"kind": "domain", "item_id": id, "outcome": "sending"}])
    found = []
    owned.dns.on_question = lambda *_: found.append(
        [one["outcome"] for one in owned.rows("attempts")])
    owned.run(JOB)
    assert found[0] == ["uncertain", "sending"]
    assert [one["outcome"] for one in owned.rows("attempts")] == ["uncertain", "pass"]


# On demand

def test_an_owner_may_ask_for_a_look_at_any_time(owned):
    domain(owned, status="failed", recheck_requested_at=owned.ago(seconds=5))
    assert owned.run(JOB) == {**NOTHING, "checked": 1, "verified": 1}
    assert row(owned)["recheck_requested_at"] is None


def test_a_request_that_comes_in_while_we_ask_stands(owned):
    domain(owned, status="failed", recheck_requested_at=owned.ago(seconds=5))
    owned.dns.on_question = lambda name, kind: owned.db.execute(
        "UPDATE {domains} SET recheck_requested_at = :now", now=owned.ago(seconds=1))
    owned.run(JOB)
    assert row(owned)["recheck_requested_at"] == clock.text(owned.ago(seconds=1))
    owned.dns.on_question = None
    owned.run(JOB)
    assert row(owned)["recheck_requested_at"] is None


@pytest.mark.parametrize("word", ["Example.ORG", "example.org."])
def test_by_hand_one_domain_is_looked_at_whether_or_not_it_is_due(owned, word):
    domain(owned, status="failed")
    domain(owned, name="other.example")
    assert owned.run(JOB, domain=word)["checked"] == 1
    assert [one["status"] for one in owned.rows("domains")] == ["verified", "pending"]


@on_sqlite          # MariaDB takes no such value
def test_by_hand_an_unusable_row_is_invalid_and_the_other_account_s_is_looked_at(owned):     # R67
    owned.table("users", [{"id": 8, "email": "eve@home.example"}])
    domain(owned, failures="abc")
    domain(owned, user_id=8)
    assert owned.run(JOB, domain=NAME) == {**NOTHING, "checked": 1, "verified": 1, "invalid": 1}


def test_an_internationalised_name_is_asked_for_by_its_ascii_form(owned):
    read, asked = "grüße.example", "xn--gre-6ka8l.example"
    owned.dns.update({(asked, kind): records for (name, kind), records in GOOD.items() if name
                      == NAME})
    domain(owned, name=read)
    assert owned.run(JOB, domain=asked)["verified"] == 1
    assert owned.rows("notifications")[0]["subject"] == f"{read} ({asked}) is verified"
    assert {name for name, _ in owned.dns.asked} == {asked, "porter._domainkey." + asked, "_dmarc."
                                                     + asked}


def test_a_name_that_is_none_is_asked_for_nowhere_and_changes_no_verified_domain(owned):     # R48
    domain(owned, name="not a name", created_at=owned.ago(days=31))
    domain(owned, name="My Shop", status="verified")
    for number in range(5):
        counts = look(owned, 25)
        assert (counts["failed"], counts["invalid"]) == (number == 0, 1)
    assert [one["status"] for one in owned.rows("domains")] == ["failed", "verified"]
    assert (owned.dns.asked, kinds(owned)) == ([], ["domain_failed"])


# What changes meanwhile

@pytest.mark.parametrize("change", [
    "UPDATE {domains} SET ownership_token = 'new'", "UPDATE {domains} SET name = 'new.example'",
    "UPDATE {domains} SET status = 'failed'", "DELETE FROM {domains}",
    "UPDATE {domains} SET next_check_at = '2026-12-24 00:00:00'",       # another run's by now
    "UPDATE {users} SET status = 'suspended'"])
def test_a_result_is_not_stored_for_what_is_another_domain_by_now(owned, change):
    domain(owned)
    owned.dns.on_question = lambda name, kind: owned.db.execute(change)
    counts = owned.run(JOB)
    assert counts == {**NOTHING, "changed": 1}
    assert all(one["checked_at"] is None for one in owned.rows("domains"))
    assert kinds(owned) == []


def test_a_mistake_of_ours_fails_the_run_and_stops_no_other_domain(owned):          # R73
    bad = domain(owned, name="bad.example")
    domain(owned)

    def question(name, _kind) -> None:
        if "bad" in name:
            # what no port may answer
            owned.dns["bad.example", "TXT"] = Answer("found", (None,))
    owned.dns.on_question = question
    assert "AttributeError in records.py line" in owned.fails(JOB)
    assert owned.result["counts"] == {**NOTHING, "checked": 1, "verified": 1, "defects": 1}
    assert [one["status"] for one in owned.rows("domains")] == ["pending", "verified"]
    assert bad in owned.ids("domains", "next_check_at IS NOT NULL")
    owned.dns.on_question = None
    assert owned.run(JOB) == NOTHING


# Many of them

def many(bench, number: int, **values) -> None:
    columns = ["user_id", "name", "ownership_token", "created_at", "status", "next_check_at"]
    bulk(bench.db, "domains", columns,
         [(7, f"d{at}.example", TOKEN, clock.text(bench.ago(days=60)),
           values.get("status", "verified"), clock.text(bench.ago(minutes=number - at)))
          for at in range(number)])


def failing(bench, owners: int, each: int = 1) -> None:
    """So many owners with verified domains that get no MX record by now, since days ago."""
    bench.table("users", [{"id": 100 + owner, "email": f"u{owner}@home.example"}
                          for owner in range(owners)])
    bench.table("domains", [{
        "user_id": 100 + owner, "name": f"bad{owner}-{at}.example", "ownership_token": TOKEN,
        "status": "verified", "verified_at": bench.ago(days=90), "failures": 9,
        "failing_since": bench.ago(days=9), "next_check_at": bench.now}
        for owner in range(owners) for at in range(each)])


def test_where_all_domains_fail_none_is_warned_of_or_loses_its_status(owned):           # R79
    failing(owned, 10)
    owned.dns.clear()
    domain(owned)                           # a new one: that goes on
    owned.dns.update(GOOD)
    for _ in range(5):
        counts = look(owned, 24)
        assert (counts["warned"], counts["failed"], counts["held"] > 0) == (0, 0, True)
    assert set(kinds(owned)) == {"domain_verified"}
    assert len(owned.ids("domains", "status = 'verified' AND failing_since IS NULL")) == 1
    owned.db.execute("UPDATE {domains} SET name = 'example.org' WHERE user_id < 108")
    assert look(owned, 1)["warned"] == 2    # it was put right for eight of them


def test_one_agency_with_sixty_failing_domains_is_no_mass_change(owned):               # R79
    failing(owned, 1, each=60)
    bulk(owned.db, "users", ["id", "email"],
         [(at, f"u{at}@home.example") for at in range(200, 230)])
    for at in range(200, 230):
        domain(owned, user_id=at, status="verified", next_check_at=owned.ahead(days=1))
    assert owned.run(JOB)["warned"] == 60
    look(owned, 1)
    assert look(owned, 24)["failed"] == 60


def test_with_a_dead_resolver_nothing_changes_and_the_oldest_come_first_next_time(owned):   # R51
    many(owned, 200)
    owned.dns.down = SERVFAIL
    owned.dns.on_question = lambda name, _: owned.clock.sleep(2 if "_dmarc" in name else 0)
    counts = owned.run(JOB)
    assert owned.result["stop_reason"] == "budget"
    assert (counts["checked"], counts["failed"]) == (counts["unknown"], 0)
    assert 100 < counts["checked"] < 150
    owned.dns.down = owned.dns.on_question = None
    owned.now = owned.ahead(minutes=15)     # the others first: those are due again in an hour
    assert owned.run(JOB)["checked"] == 200 - counts["checked"]
    assert owned.ids("domains", "checked_at IS NULL") == []


@pytest.mark.parametrize("asked", [True, False])
def test_one_owner_with_thousands_of_domains_lets_others_go_first(owned, asked):          # R66
    many(owned, 3000)
    owned.table("users", [{"id": owner, "email": f"u{owner}@home.example"} for owner in (8, 9)])
    if asked:
        owned.db.execute("UPDATE {domains} SET recheck_requested_at = :ago", ago=owned.ago(hours=9))
    theirs = [domain(owned, user_id=8, name="eight.example",
                     recheck_requested_at=owned.ago(minutes=1)),
              domain(owned, user_id=9, name="nine.example", next_check_at=owned.ago(seconds=1))]
    assert owned.run(JOB, limit=6)["checked"] == 6
    assert len(owned.ids("domains",
                         f"id IN ({theirs[0]}, {theirs[1]}) AND checked_at IS NOT NULL")) == 2
    for _ in range(2):                          # with a limit of one, in the next runs
        owned.db.execute("UPDATE {domains} SET checked_at = NULL, next_check_at = :ago",
                         ago=owned.ago(minutes=1))
        for _ in range(3):
            owned.run(JOB, limit=1)
        assert len(owned.ids("domains",
                             f"id IN ({theirs[0]}, {theirs[1]}) AND checked_at IS NOT NULL")) == 2


def test_of_an_owner_the_longest_due_goes_first_by_its_time_or_since_it_was_asked_for(owned):
    many(owned, 9)                      # due since 9, 8, 7 ... minutes ago
    for at in range(3):
        domain(owned, name=f"asked{at}.example", status="failed",
               recheck_requested_at=owned.ago(minutes=8 - at, seconds=30))
    owned.run(JOB, limit=5)
    asked = [name for name, kind in owned.dns.asked if kind == "MX"]
    assert asked == ["d0.example", "asked0.example", "d1.example", "asked1.example", "d2.example"]
    assert owned.run(JOB)["checked"] == 7


def test_what_a_run_had_no_time_for_is_due_again_in_ten_minutes(owned):           # R4
    many(owned, 5)
    owned.dns.on_question = lambda name, _: owned.clock.sleep(600 if "d1." in name else 0)
    assert owned.run(JOB)["checked"] == 2
    owned.dns.on_question, owned.now = None, owned.ahead(minutes=30)
    assert owned.run(JOB)["checked"] == 3


# Real processes, real servers

ZONE = f"""
@ TXT "porter-verify={TOKEN}"
@ TXT "v=spf1 include:spf.service.example ~all"
@ MX 10 mx1.service.example.
porter._domainkey CNAME porter._domainkey.service.example.
_dmarc TXT "v=DMARC1; p=none"
"""


@pytest.fixture(scope="module")
def authority():
    with Authority() as server:
        yield server


def serviced(folder, url: str, port: int, number: int = 1, **options) -> Shell:
    """An installation that asks this port, with `number` domains d0.example, d1.example ..."""
    made = Shell(folder, url, dns={**DNS, "nameservers": f"127.0.0.1:{port}", **options})
    user = made.owner()["user_id"]
    for at in range(number):
        made.db.insert("domains", user_id=user, name=f"d{at}.example", ownership_token=TOKEN,
                       created_at=clock.now())
    return made


def again(service) -> None:
    """All are due."""
    service.db.execute("UPDATE {domains} SET next_check_at = NULL")


def test_a_domain_follows_its_zone(authority, tmp_path):        # R48
    authority.zone("d0.example", ZONE.replace("@ MX 10 mx1",
                                              "@ MX 10 mail.other.example.\n@ MX 20 mx1"))
    with Unbound(authority) as resolver:
        service = serviced(tmp_path, f"sqlite:///{tmp_path}/jobs.db", resolver.port)
        assert service.job(JOB)["counts"] == {**NOTHING, "checked": 1}
        found = json.loads(service.db.value("SELECT dns_results FROM {domains}"))
        assert found["mx"]["found"] == ["10 mail.other.example", "20 mx1.service.example"]
        assert {check: result["reason"] for check, result in found.items() if result["reason"]} == {
            "mx": "foreign_mx_first"}
        authority.zone("d0.example", ZONE)
        again(service)
        assert service.job(JOB)["counts"] == {**NOTHING, "checked": 1, "verified": 1}
        again(service)
        authority.zone("d0.example", "@ MX 0 .")
        service.job(JOB)
        wrong = {"status": "verified", "failures": 1}
        assert service.db.row("SELECT status, failures FROM {domains}") == wrong
        authority.spoil("d0.example")       # the last step: Unbound remembers it for seconds
        again(service)
        assert service.job(JOB)["counts"] == {**NOTHING, "checked": 1, "unknown": 1}
        assert service.db.row("SELECT status, failures FROM {domains}") == wrong
        assert service.statuses("notifications") == {"pending": 1}


@pytest.mark.slow
def test_a_resolver_that_is_silent_costs_a_batch_no_more_than_its_time_limit(tmp_path):       # R51
    with BlackHole() as hole:
        service = serviced(tmp_path, f"sqlite:///{tmp_path}/jobs.db", hole.port, 96, timeout="1s")
        done = service.job(JOB)
        assert done["counts"] == {**NOTHING, "checked": 96, "unknown": 96}
        assert done["duration_ms"] < 12_000             # 24 at once, a second each


def test_sigterm_ends_a_run_that_waits_for_a_silent_server(tmp_path):
    with BlackHole() as hole:
        service = serviced(tmp_path, f"sqlite:///{tmp_path}/jobs.db", hole.port, 3, timeout="60s")
        process = service.start(JOB)
        until(lambda: hole.asked)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 143
        assert service.db.value("SELECT COUNT(*) FROM {domains} WHERE checked_at IS NULL") == 3


def test_what_a_killed_run_was_looking_at_is_on_record_and_due_again_ten_minutes_later(
        tmp_path, engine_url):          # R2 R21 R85
    with BlackHole() as hole:
        service = serviced(tmp_path, engine_url, hole.port, 3, timeout="60s")
        process = service.start(JOB)
        until(lambda: hole.asked)
        process.kill()
        process.communicate(timeout=30)
        assert service.db.value("SELECT COUNT(*) FROM {attempts} WHERE kind = 'domain' "
                                "AND outcome = 'sending'") == 3
        assert service.job(JOB)["counts"] == NOTHING
        soon = clock.text(clock.now() + timedelta(minutes=10))
        assert service.db.value("SELECT COUNT(*) FROM {domains} WHERE next_check_at <= :soon "
                                "AND checked_at IS NULL", soon=soon) == 3
