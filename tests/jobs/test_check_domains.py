"""Domains are looked at when they are due; states follow what is there, owners are told once."""
from __future__ import annotations

import json
import signal
from datetime import timedelta

import pytest

from tests.servers.dns_servers import Slow
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
ONE = {**NOTHING, "checked": 1}


@pytest.fixture
def owned(bench):
    """An active account, and the records of a domain that has all it needs."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo"}])
    bench.config(dns=DNS, core={"app_url": "https://mail.service.example"})
    bench.dns.update(GOOD)
    return bench


def domain(bench, **values) -> int:
    given = {"user_id": 7, "name": NAME, "ownership_token": TOKEN, "created_at": bench.now}
    if values.get("status") == "verified":
        given.update(verified_at=bench.ago(days=90), next_check_at=bench.now)
    return bench.table("domains", [{**given, **values}])[0]


def row(bench) -> dict:
    (found,) = bench.rows("domains")
    return found


def results(bench) -> dict:
    return json.loads(row(bench)["dns_results"])


def kinds(bench) -> list[str]:
    return [notice["kind"] for notice in bench.rows("notifications")]


def notice(bench) -> tuple[str, str]:
    """The subject and the text of the last one."""
    last = bench.rows("notifications")[-1]
    return last["subject"], " ".join(last["body_text"].split())


def answer(bench, verdict: str) -> None:
    """What name servers say from now on."""
    bench.dns.update(GOOD)
    bench.dns.down = SERVFAIL if verdict == "unknown" else None
    if verdict == "fail":
        del bench.dns[NAME, "MX"]


def look(bench, *hours: int, **options) -> dict:
    """A run after each of these hours, and every notice sent at once; the counts of the last."""
    for each in hours:
        bench.now = bench.ahead(hours=each)
        counts = bench.run(JOB, **options)
        bench.db.execute("UPDATE {notifications} SET status = 'sent', sent_at = :now "
                         "WHERE status = 'pending'", now=bench.now)
    return counts


def test_a_new_domain_with_its_records_is_verified_and_its_owner_notified_once(owned):
    domain(owned, next_check_at=owned.ahead(minutes=2))
    assert owned.run(JOB) == NOTHING
    assert owned.dns.asked == []
    owned.now = owned.ahead(minutes=2)
    assert owned.run(JOB) == {**ONE, "verified": 1}
    stored = row(owned)
    assert (stored["status"], stored["verified_at"]) == ("verified", clock.text(owned.now))
    assert stored["next_check_at"] == clock.text(owned.ahead(hours=24))
    assert {check: result["state"] for check, result in results(owned).items()} == dict.fromkeys(
        ("ownership", "mx", "spf", "dkim", "dmarc"), "pass")
    assert look(owned, 24) == ONE
    assert kinds(owned) == ["domain_verified"]


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_an_account_that_is_not_active_is_left_alone(owned, status):
    owned.db.execute("UPDATE {users} SET status = :status", status=status)
    domain(owned, recheck_requested_at=owned.now)
    assert owned.run(JOB) == NOTHING
    assert "no active account has this domain" in owned.fails(JOB, domain=NAME)
    assert owned.dns.asked == []
    owned.table("users", [{"id": 8, "email": "eve@home.example"}])
    domain(owned, user_id=8, name="eve.example")        # beside one that is looked at, either
    assert owned.run(JOB, dry_run=True)["checked"] == owned.run(JOB)["checked"] == 1
    assert {name for name, kind in owned.dns.asked if kind == "MX"} == {"eve.example"}


def test_after_30_days_a_pending_domain_fails_and_the_notice_says_which_record(owned):
    owned.dns[NAME, "MX"] = [(5, "mail.other.example")]
    domain(owned, created_at=owned.ago(days=29, hours=23))
    assert owned.run(JOB) == ONE
    assert (row(owned)["status"], kinds(owned)) == ("pending", [])
    mx, (tried,) = results(owned)["mx"], owned.rows("attempts")
    assert (mx["state"], mx["reason"], mx["required"]) == ("fail", "foreign_mx", True)
    assert (tried["user_id"], tried["outcome"], "mx: " in tried["answer"]) == (7, "fail", True)
    assert look(owned, 24) == {**ONE, "failed": 1}
    assert (row(owned)["status"], row(owned)["next_check_at"]) == ("failed", None)
    _, text = notice(owned)
    assert "Expected: 10 mx1.service.example, 20 mx2.service.example" in text
    assert "Found: 5 mail.other.example" in text
    assert "Proof of ownership" not in text
    assert look(owned, 1) == NOTHING


FAIL, DAY = "fail", 24
WALKS = {               # {what it shows: (what is found after so many hours, notices and when)}
    "a warning after six hours, the loss after 72, and it comes back by itself": (
        [*((hours, FAIL) for hours in (0, 1, 5, 6, 30, 71, 72)), (96, "pass")],
        [(6, "domain_failing"), (72, "domain_failed"), (96, "domain_verified")]),
    "a number without time is not enough": (
        [(0, FAIL), (0.1, FAIL), (0.2, FAIL), (72, FAIL)], [(72, "domain_failing")]),
    "one pass resets": (
        [(0, FAIL), (24, FAIL), (48, "pass"), (72, FAIL), (96, FAIL), (120, FAIL), (143, FAIL)],
        [(24, "domain_failing"), (96, "domain_failing")]),
    "unknown does not reset": (
        [(0, FAIL), (24, FAIL), (48, "unknown"), (72, FAIL)],
        [(24, "domain_failing"), (72, "domain_failed")]),
    "a day after the warning, though cron stood still": (
        [(0, FAIL), (96, FAIL), (97, FAIL), (119, FAIL), (120, FAIL)],
        [(96, "domain_failing"), (120, "domain_failed")]),
    "no day counts from a clock that went back": (
        [(0, "pass"), *((hours, FAIL) for hours in (-720, -719, 1, 7, 72, 73))],
        [(7, "domain_failing"), (73, "domain_failed")]),
    # until a day after the next one the domain keeps its status
    "a warning of a time that was repaired takes nothing away": (
        [(0, FAIL), (DAY, FAIL), (2 * DAY, "pass"),
         *((hours, FAIL) for hours in range(3 * DAY, 7 * DAY, DAY))],
        [(DAY, "domain_failing"), (4 * DAY, "domain_failing"), (6 * DAY, "domain_failed")])}


@pytest.mark.parametrize("name", WALKS)
def test_how_long_a_verified_domain_may_fail(owned, name):       # R48 R49 R68
    looks, told = WALKS[name]
    domain(owned, status="verified")
    start, found = owned.now, []
    for hours, verdict in looks:
        before = len(kinds(owned))
        owned.now = start + timedelta(hours=hours)
        answer(owned, verdict)
        look(owned, 0, domain=NAME)
        found += [(hours, kind) for kind in kinds(owned)[before:]]
        if found[-1:] == [(hours, "domain_failed")]:            # as the warning has said
            assert f"before {owned.now:%-d %B %Y}" in owned.rows("notifications")[-2]["subject"]
    assert found == told


@pytest.mark.parametrize("status, values, verdict, minutes", [
    # by the next quarter of an hour, and ever more rarely
    ("pending", {"created_at": 0}, FAIL, 14), ("pending", {"created_at": 0.999}, FAIL, 14),
    ("pending", {"created_at": 1}, FAIL, 60), ("pending", {"created_at": 6.9}, FAIL, 60),
    ("pending", {"created_at": 7}, FAIL, 1440), ("pending", {"created_at": 29}, FAIL, 1440),
    # never verified: on demand alone
    ("failed", {}, FAIL, None), ("failed", {}, "unknown", None),
    # verified before: for 30 days it may come back
    ("failed", {"failing_since": 32}, FAIL, 1440), ("failed", {"failing_since": 32}, "unknown",
                                                    1440),
    ("failed", {"failing_since": 33}, FAIL, None)])
def test_when_a_domain_is_looked_at_next(owned, status, values, verdict, minutes):
    domain(owned, status=status, **{name: owned.ago(days=days) for name, days in values.items()})
    answer(owned, verdict)
    owned.run(JOB, domain=NAME)
    assert row(owned)["next_check_at"] == (minutes and clock.text(owned.ahead(minutes=minutes)))


@pytest.mark.parametrize("status, days", [("pending", 8), ("failed", 6)])
def test_a_warning_counts_from_when_it_was_sent(owned, status, days):     # R83
    domain(owned, status="verified")
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


def test_where_all_domains_fail_none_loses_its_status_and_a_new_one_is_verified(owned):     # R79
    owned.table("users", [{"id": 100 + at} for at in range(10)])
    for at in range(10):
        domain(owned, user_id=100 + at, name=f"bad{at}.example", status="verified", failures=9,
               failing_since=owned.ago(days=9))
    domain(owned)
    for _ in range(5):
        counts = look(owned, 24)
        assert (counts["warned"], counts["failed"], counts["held"]) == (0, 0, 10)
    assert kinds(owned) == ["domain_verified"]
    owned.db.execute("UPDATE {domains} SET name = 'example.org' WHERE user_id < 108")
    assert look(owned, 1)["warned"] == 2    # it was put right for eight of them


def test_no_answer_changes_nothing(owned):              # R48 R49
    domain(owned, status="verified")
    owned.run(JOB)
    before = row(owned)
    owned.dns.down = SERVFAIL
    owned.now = owned.ahead(days=1)
    for _ in range(5):
        assert look(owned, 1) == {**ONE, "unknown": 1}
    for column in ("status", "failures", "failing_since", "warned_at", "verified_at",
                   "dns_results"):
        assert row(owned)[column] == before[column]
    assert "SERVFAIL" in owned.rows("attempts")[-1]["answer"]
    domain(owned, name="new.example", created_at=owned.ago(days=60))
    for _ in range(9):          # while nobody answers at all, no pending one fails, either
        assert look(owned, 24)["unknown"] == 2
    assert [one["status"] for one in owned.rows("domains")] == ["verified", "pending"]
    assert kinds(owned) == []


def test_a_pending_domain_that_never_answers_fails_after_30_days(owned):     # R49
    owned.dns[NAME, "TXT"] = SERVFAIL
    domain(owned, created_at=owned.ago(days=29))
    assert look(owned, 0, 24, 24) == {**ONE, "unknown": 1}
    assert row(owned)["status"] == "pending"            # 31 days old, silent for 2 of them
    assert look(owned, 24) == {**ONE, "unknown": 1, "failed": 1}
    assert (row(owned)["status"], row(owned)["next_check_at"]) == ("failed", None)
    assert kinds(owned) == ["domain_failed"]
    assert "got no answer from its name servers" in notice(owned)[1]
    assert "SERVFAIL" in notice(owned)[1]


def test_while_a_required_record_is_not_configured_domains_wait_and_all_say_why(owned):
    owned.config(dns={"mx_hosts": ""})
    domain(owned)
    missing = "[check_domains] require names mx: set [dns] mx_hosts, or leave it out of require"
    for dry_run in (True, False):
        result = owned.attempt(JOB, dry_run=dry_run)
        assert (result["stop_reason"], result["counts"]["not_checked"]) == (missing, 1)
    assert owned.command("queue", "domains").startswith(missing[:60])
    said = " ".join(owned.command("status", code=1).split())
    assert f"domains to check: {missing}" in said
    assert said.count("config show dns") == 1
    assert missing in " ".join(owned.command("queue", "domains", NAME).split())
    assert (row(owned)["checked_at"], owned.dns.asked) == (None, [])
    assert owned.fails(JOB, domain=NAME) == missing


def test_a_look_is_on_record_before_it_is_made_and_settled_later(owned):     # R85
    id = domain(owned)
    owned.table("attempts", [{"kind": "domain", "item_id": id, "outcome": "sending"}])
    found = []
    owned.dns.on_question = lambda *_: found.append(
        [one["outcome"] for one in owned.rows("attempts")])
    owned.run(JOB)
    assert found[0] == ["uncertain", "sending"]
    assert [one["outcome"] for one in owned.rows("attempts")] == ["uncertain", "pass"]


def test_what_another_run_has_begun_meanwhile_is_not_begun_again(owned):       # R21
    domain(owned, next_check_at=owned.ago(minutes=1))
    # once the row was read
    owned.meanwhile("FROM {domains} WHERE id IN", lambda: owned.meanwhile(
        "BEGIN", "UPDATE {domains} SET next_check_at = '2026-11-24 14:40:00'"))
    assert owned.run(JOB) == NOTHING
    assert (owned.dns.asked, owned.rows("attempts")) == ([], [])


# On demand

def test_an_owner_may_ask_for_a_look_at_any_time_and_again_while_we_ask(owned):
    domain(owned, status="failed", recheck_requested_at=owned.ago(seconds=5))
    owned.dns.on_question = lambda name, kind: owned.db.execute(
        "UPDATE {domains} SET recheck_requested_at = :now", now=owned.ago(seconds=1))
    assert owned.run(JOB) == {**ONE, "verified": 1}
    assert row(owned)["recheck_requested_at"] == clock.text(owned.ago(seconds=1))
    owned.dns.on_question = None
    assert owned.run(JOB) == ONE
    assert row(owned)["recheck_requested_at"] is None


@pytest.mark.parametrize("word", ["Example.ORG", "example.org."])
def test_by_hand_one_domain_is_looked_at_whether_or_not_it_is_due(owned, word):
    domain(owned, status="failed")
    domain(owned, name="other.example")
    assert owned.run(JOB, dry_run=True, domain=word)["checked"] == 1
    assert owned.run(JOB, domain=word)["checked"] == 1
    assert [one["status"] for one in owned.rows("domains")] == ["verified", "pending"]


def test_an_internationalised_name_is_asked_for_by_its_ascii_form(owned):
    read, asked = "grüße.example", "xn--gre-6ka8l.example"
    owned.config(dns={**DNS, "mx_hosts": f"MX.{read}"})         # ours, too
    owned.dns.update({(asked, kind): records for (name, kind), records in GOOD.items()
                      if name == NAME})
    owned.dns[asked, "MX"] = [(10, f"mx.{asked}")]
    domain(owned, name=read)
    assert owned.run(JOB, domain=read)["verified"] == 1
    assert notice(owned)[0] == f"{read} is verified"
    assert {name for name, _ in owned.dns.asked} == {
        asked, "porter._domainkey." + asked, "_dmarc." + asked}


def test_a_name_that_is_none_is_asked_for_nowhere_and_changes_no_domain(owned):     # R48 R67
    domain(owned, name="not a name", created_at=owned.ago(days=31))
    domain(owned, name="My Shop", status="verified")
    domain(owned, ownership_token="", status="verified")        # its owner was never given a code
    for _ in range(2):
        assert look(owned, 25) == {**NOTHING, "invalid": 3}
    assert [one["status"] for one in owned.rows("domains")] == ["pending", "verified", "verified"]
    assert (owned.dns.asked, kinds(owned)) == ([], [])


def test_what_is_not_configured_or_not_required_is_not_asked_for(owned):
    domain(owned, ownership_token="")
    assert owned.run(JOB, require="mx")["verified"] == 1
    assert "ownership" not in results(owned)            # there is none to be shown
    owned.dns.asked.clear()
    owned.config(dns={})
    owned.dns[NAME, "TXT"] = [f"porter-verify={number}" + "x" * 5000 for number in range(99)]
    owned.db.execute("UPDATE {domains} SET ownership_token = 't', next_check_at = NULL, "
                     "status = 'pending'")
    owned.run(JOB, require="ownership")
    assert owned.dns.asked == [(NAME, "TXT"), ("_dmarc." + NAME, "TXT")]
    # strangers' words are kept short
    assert [len(text) for text in results(owned)["ownership"]["found"]] == [500] * 5


@pytest.mark.parametrize("change", [
    "UPDATE {domains} SET ownership_token = 'new'", "UPDATE {domains} SET name = 'new.example'",
    "UPDATE {domains} SET status = 'failed'", "DELETE FROM {domains}",
    "UPDATE {domains} SET next_check_at = '2026-12-24 00:00:00'",       # another run's by now
    "UPDATE {users} SET status = 'suspended'"])
def test_a_result_is_not_stored_for_what_is_another_domain_by_now(owned, change):
    domain(owned)
    owned.dns.on_question = lambda name, kind: owned.db.execute(change)
    assert owned.run(JOB) == {**NOTHING, "changed": 1}
    assert all(one["checked_at"] is None for one in owned.rows("domains"))
    assert [one["outcome"] for one in owned.rows("attempts")] == ["postponed"]
    assert kinds(owned) == []


def test_a_mistake_of_ours_fails_the_run_and_stops_no_other_domain(owned):          # R73
    domain(owned, name="bad.example")
    domain(owned)
    # what no port may answer
    owned.dns["bad.example", "TXT"] = Answer("found", (None,))
    assert "AttributeError in records.py line" in owned.fails(JOB)
    assert owned.result["counts"] == {**ONE, "verified": 1, "defects": 1}
    assert [one["status"] for one in owned.rows("domains")] == ["pending", "verified"]
    assert owned.run(JOB) == NOTHING                    # it is due again in ten minutes


def many(bench, number: int) -> None:
    """d0.example, due for the longest, d1.example ..."""
    bench.bulk("domains", [{
        "user_id": 7, "name": f"d{at}.example", "ownership_token": TOKEN, "status": "verified",
        "created_at": bench.ago(days=60), "next_check_at": bench.ago(minutes=number - at)}
        for at in range(number)])


def test_with_a_dead_resolver_nothing_changes_and_the_others_come_next(owned):     # R4 R51
    many(owned, 200)
    owned.dns.down = SERVFAIL
    owned.dns.on_question = lambda name, _: owned.clock.sleep(2 if "_dmarc" in name else 0)
    counts = owned.run(JOB)
    assert owned.result["stop_reason"] == "budget"
    assert (counts["checked"], counts["failed"]) == (counts["unknown"], 0)
    assert 100 < counts["checked"] < 150
    owned.dns.down = owned.dns.on_question = None
    # the others first: those are due again in an hour, what it had no time for in ten minutes
    owned.now = owned.ahead(minutes=15)
    assert owned.run(JOB)["checked"] == 200 - counts["checked"]
    assert owned.ids("domains", "checked_at IS NULL") == []


def test_of_an_owner_the_longest_due_goes_first_by_its_time_or_since_it_was_asked_for(owned):
    many(owned, 9)                      # due since 9, 8, 7 ... minutes ago
    for at in range(3):
        domain(owned, name=f"asked{at}.example", status="failed",
               recheck_requested_at=owned.ago(minutes=8 - at, seconds=30))
    owned.run(JOB, limit=5)
    asked = [name for name, kind in owned.dns.asked if kind == "MX"]
    assert asked == ["d0.example", "asked0.example", "d1.example", "asked1.example", "d2.example"]
    assert owned.run(JOB)["checked"] == 7


# Real processes, real servers

def serviced(folder, url: str, port: int, number: int = 1, **options) -> Shell:
    """An installation that asks this port, with `number` domains d0.example, d1.example ..."""
    made = Shell(folder, url, dns={**DNS, "nameservers": f"127.0.0.1:{port}", **options})
    user = made.owner()["user_id"]
    for at in range(number):
        made.db.insert("domains", user_id=user, name=f"d{at}.example", ownership_token=TOKEN,
                       created_at=clock.now())
    return made


@pytest.mark.slow
def test_a_resolver_that_is_silent_costs_a_batch_no_more_than_its_time_limit(tmp_path):       # R51
    with Slow() as hole:
        service = serviced(tmp_path, f"sqlite:///{tmp_path}/jobs.db", hole.port, 96, timeout="1s")
        done = service.job(JOB)
        assert done["counts"] == {**NOTHING, "checked": 96, "unknown": 96}
        assert done["duration_ms"] < 40_000             # 24 at once, a second each: not 96


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_run_that_ends_leaves_its_looks(tmp_path, engine_url, sent, code):   # R2 R5 R21 R85
    with Slow() as hole:
        service = serviced(tmp_path, engine_url, hole.port, 3, timeout="60s")
        process = service.start(JOB)
        until(lambda: hole.asked)
        process.send_signal(sent)
        process.communicate(timeout=30)
        assert process.returncode == code
        assert service.db.value("SELECT COUNT(*) FROM {attempts} WHERE outcome = :outcome",
                                outcome="sending" if code < 0 else "postponed") == 3
        assert service.job(JOB)["counts"] == NOTHING
        soon = clock.text(clock.now() + timedelta(minutes=10))
        assert service.db.value("SELECT COUNT(*) FROM {domains} WHERE next_check_at <= :soon "
                                "AND checked_at IS NULL", soon=soon) == 3
