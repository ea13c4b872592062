"""`queue` lists what waits and what has failed, and why, and shows the whole story of one item."""
from __future__ import annotations

import json
import re
from datetime import timedelta, timezone

import pytest

from tests.support.product import clock

ANN, BEN = 1, 2
# {queue: its table}
QUEUES = {"forwards": "failed_emails", "notifications": "notifications",
          "webhooks": "webhook_deliveries", "domains": "domains", "exports": "export_requests",
          "deletions": "users"}


@pytest.fixture
def service(bench):
    bench.table("users", [{"id": ANN, "email": "ann@home.example", "status": "active"},
                          {"id": BEN, "email": "ben@home.example", "status": "suspended"}])
    bench.table("aliases", [{"id": 1, "user_id": ANN, "address": "shop@alias.example"}])
    bench.table("destinations", [{"id": 1, "user_id": ANN}])
    return bench


def forward(bench, id: int, **values) -> None:
    bench.table("failed_emails", [{
        "id": id, "user_id": ANN, "alias_id": 1, "destination_id": 1,
        "envelope_to": "ann@home.example", "envelope_from": "shop@shop.example",
        "raw_path": bench.spool("1.eml").name, "created_at": bench.ago(hours=2), **values}])


def listed(bench, *words) -> list[int]:
    return [item["id"] for item in bench.json("queue", *words)["items"]]


def test_an_address_in_an_odd_place_is_masked(service):           # R72
    service.table("notifications", [{"kind": "k" * 40, "user_id": ANN,
                                     "to_email": f"{'x' * 205} ann@home.example"}])
    item, = service.json("queue", "notifications")["items"]
    assert item["to"] == f"{'k' * 40} to {'x' * 205} a***@home.example"
    forward(service, 1, status="ann@home.example")
    item, = service.json("queue", "forwards", "--owner", str(ANN))["items"]
    assert item["state"] == "a***@home.example"
    for command in ("replay", "cancel"):
        answer = service.json(command, "forwards", "1", code=1)
        assert "a***@home.example" in answer["refused"][0]["reason"]


def test_items_are_listed_by_what_they_wait_for_by_owner_and_by_time(service):      # R77
    ago, ahead = service.ago, service.ahead
    forward(service, 1, next_attempt_at=ahead(hours=3), attempts=1, last_error="4.2.2 full")
    forward(service, 2)                                           # due for an hour
    forward(service, 3, created_at=ago(minutes=1))                # its first delay is not over
    forward(service, 4, user_id=BEN, next_attempt_at=ago(hours=9))
    forward(service, 5, status="sending", claim_run="r", next_attempt_at=ahead(hours=6))
    # by an app that gives no end
    forward(service, 6, status="failed", finished_at=None, last_error="5.1 <x@y.example>?")
    forward(service, 7, status="failed", finished_at=ago(minutes=1), created_at=ago(days=3),
            last_error="cancelled: the alias is missing")
    forward(service, 8, status="sent", finished_at=ago(minutes=1))
    forward(service, 9, next_attempt_at=ahead(days=900), attempts=1)      # by a wrong clock
    at = clock.text(ago(hours=3))
    for words, ids in (
            ("", [5, 2, 3, 4, 1, 9]), ("--failed", [7, 6]), ("--limit 1", [5]),
            *((f"--owner {owner}", [9, 8, 7, 6, 5, 3, 2, 1]) for owner in (
                "1", "ann@home.example", "ANN@home.example", "shop@alias.example")),
            ("--owner 1 --failed", [7, 6]),
            (f"--since|{at}", [5, 2, 3, 4, 1, 9]), (f"--failed --since|{at}", [6]),
            (f"--owner 1 --failed --since|{at}", [6]), (f"--failed --before|{at}", [7])):
        first, _, time = words.partition("|")
        assert listed(service, "forwards", *first.split(), *[time] * bool(time)) == ids, words
    # each says its state and why it waits
    items = service.json("queue", "forwards", "--owner", "1")["items"]
    found = {item["id"]: item for item in items}
    assert {id: item["state"] for id, item in found.items()} == {
        1: "waiting", 2: "due", 3: "waiting", 5: "sending", 6: "failed", 7: "cancelled",
        8: "sent", 9: "due"}
    assert found[1] == {
        "id": 1, "owner": ANN, "to": "a***@home.example", "state": "waiting", "attempts": 1,
        "most": 4, "since": clock.text(ago(hours=2)), "next_at": clock.text(ahead(hours=3)),
        "why": "", "answer": "4.2.2 full"}
    assert found[3]["next_at"] == clock.text(ahead(minutes=59))
    assert found[6]["answer"] == "5.1 <x***@y.example>?"
    held, = service.json("queue", "forwards", "--owner", "2")["items"]
    assert (held["state"], held["next_at"], held["why"]) == ("waiting", None,
                                                             "the owner is suspended or deleted")
    story = service.json("queue", "forwards", "1")
    assert (story["next_at"], story["why"]) == (found[1]["next_at"], "")
    assert story["kept"]["rule"] == "it is finished, and then as long as this says:"
    # all queues have a line
    queues = {each["queue"]: each for each in service.json("queue")}
    assert set(queues) == set(QUEUES)
    assert [queues["forwards"][name] for name in ("waiting", "due", "failed", "oldest_due_at")] == [
        6, 2, 2, clock.text(ago(hours=1))]


def test_since_takes_natural_words_and_a_time_of_any_zone(service):      # R77
    """By the clock of who asks, which is ahead of a test's."""
    hour_ago = clock.now() - timedelta(hours=1)
    for id, later in ((1, timedelta(minutes=55)), (2, -timedelta(hours=0.9)), (3, -timedelta(3))):
        forward(service, id, created_at=hour_ago + later)
    there = hour_ago.astimezone(timezone(timedelta(hours=5)))
    for words, seen in (("24h", [2, 1]), ("90m", [1]), ("4d", [3, 2, 1]),
                        (hour_ago.strftime("%Y-%m-%dT%H:%M:%SZ"), [1]),
                        (there.isoformat(" ", "minutes"), [1])):
        assert listed(service, "forwards", "--owner", "1", "--since", words) == seen, words


def test_what_holds_up_an_item_or_a_whole_queue_is_said(service):    # R77
    service.config(mail={"per_minute": "80"})       # which is reached too, and waited for
    service.table("job_state", [{"job": "retry_forwards", "paused_at": service.now}])
    service.table("relay_state", [{"id": 1, "paused_until": service.ahead(minutes=5),
                                   "reason": "no route for <jo@home.example>"}])
    service.table("attempts", [{"kind": "forward", "item_id": 1, "outcome": "sent",
                                "began_at": service.now}] * 80)
    forward(service, 20, user_id=77)        # came in late, for an account that is deleted
    forward(service, 30, alias_id=99)
    forward(service, 31, status="held")
    forward(service, 32, next_attempt_at=service.ahead(hours=6))
    forward(service, 33, raw_path="lost.eml")
    assert service.json("queue", "forwards")["holds"] == [
        ("retry_forwards has been paused since 2026-11-24 14:30:05 UTC: "
         "`jobs.py resume retry_forwards`."),
        ("The relay is paused until 2026-11-24 14:35:05 UTC: no route for <j***@home.example>. "
         "Once it works, `jobs.py mail test ADDRESS` ends the pause."),
        "[mail] per_hour = 80 is reached. There is room again within the hour."]
    assert service.command("queue", "forwards").startswith("retry_forwards has been paused since")
    assert len(service.json("queue", "forwards", "32")["holds"]) == 1      # the others end sooner
    assert listed(service, "forwards", "--owner", "77") == [20]
    assert "  due  since 2026-11-24 13:30:05: " in service.command("queue", "forwards", "30")
    assert ":05  waiting until then\n" in service.command("queue", "forwards", "32")
    assert {item["id"]: item["why"] for item in service.json("queue", "forwards", "--owner", "1")[
        "items"]} == {
        30: "the next run of retry_forwards cancels it: the alias is missing",
        31: "unknown status: no run sends or deletes it",
        32: "", 33: "it cannot be sent: the stored message is missing"}
    assert service.command("queue", "webhooks") == (
        "There is nothing to list in webhooks.\n"
        "With --failed it lists what failed for good, without it what waits.\n")


def test_a_narrow_list_cuts_the_address_and_no_id_or_time(service):      # R77
    forward(service, 123_456, envelope_to="ann@" + "long." * 10 + "example", attempts=3,
            created_at=service.ago(days=5), next_attempt_at=service.ahead(hours=47),
            last_attempt_at=service.ago(hours=1))
    row = service.command("queue", "forwards").splitlines()[1]
    day = r"\d\d \w{3} \d\d:\d\d"
    assert re.fullmatch(rf"123456  1 +a\S+\u2026  waiting  3 of 4    {day}  {day}", row), row


def test_the_other_queues_are_listed_too(service):              # R77
    ago, ahead = service.ago, service.ahead
    for name, rows in (
            ("notifications", [{}, {"next_attempt_at": ahead(hours=2)}, {"status": "failed"}]),
            ("webhooks", [{"active": 0}, {}]),
            ("webhook_deliveries", [{"webhook_id": 1}, {"webhook_id": 2, "created_at": ago(days=5)},
                                    {"status": "failed"}]),
            ("domains", [{"created_at": ago(days=5)}, {"status": "failed"},
                         {"status": "verified", "next_check_at": ahead(hours=2)}]),
            ("export_requests", [{}, {"status": "running"}, {"status": "failed"}])):
        service.table(name, [{"id": id, "user_id": ANN, **row} for id, row in enumerate(rows, 1)])
    service.table("users", [{"id": 3, "status": "deleted", "deleted_at": ago(days=1)}])
    service.run("delete_accounts")
    service.table("users", [{"id": 4, "status": "deleted", "deleted_at": ago(days=2)}])
    for name, waits, failed in (("notifications", [1, 2], [3]), ("webhooks", [1, 2], [3]),
                                ("domains", [1, 3], [2]), ("exports", [1], [3]),
                                ("deletions", [3, 4], [])):
        assert listed(service, name, "--failed") == failed, name
        assert set(listed(service, name)) >= {*waits}, name
        text = service.command("queue", name)
        assert all(len(line) <= 80 for line in text.splitlines()), text
    assert [item["why"] for item in service.json("queue", "webhooks")["items"]] == [
        "the next run of retry_webhooks cancels it: the endpoint is disabled", ""]
    # what no run has given a time is due since it came in: R59
    since = {each["queue"]: each["oldest_due_at"] for each in service.json("queue")}
    for name, id in (("webhooks", 2), ("domains", 1)):
        assert since[name] == service.json("queue", name, id)["next_at"] == clock.text(ago(days=5))
    # waits for none of its own any more but the last one
    assert set(listed(service, "notifications", "--owner", "3")) <= {4}


def test_a_story_has_what_is_stored_what_happened_and_what_is_next(service):    # R77
    ago = service.ago
    forward(service, 16, status="failed", attempts=2, last_attempt_at=ago(hours=1),
            finished_at=ago(hours=1), last_code=550, last_error="5.1.1 no x@y.example",
            created_at=ago(days=4), raw_path="16.eml")
    service.table("attempts", [
        {"kind": "forward", "item_id": 16, "user_id": ANN, "urgent": 1, "recipient": "c0ffee" * 8,
         "domain": "home.example", "began_at": ago(days=3), "outcome": "retry",
         "code": 451, "answer": "4.7.1 later"},
        {"kind": "forward", "item_id": 16, "began_at": ago(hours=1), "outcome": "refused",
         "code": 550, "answer": "5.1.1 no x***@y.example"}])
    found = service.json("queue", "forwards", "16")
    assert (found["kind"], found["id"], found["state"]) == ("forward", 16, "failed")
    assert [(event["at"], event["outcome"], event["code"], event["answer"])
            for event in found["events"]] == [
        (clock.text(ago(days=4)), None, None, ""),
        (clock.text(ago(days=3)), "retry", 451, "4.7.1 later"),
        (clock.text(ago(hours=1)), "refused", 550, "5.1.1 no x***@y.example"),
        (clock.text(ago(hours=1)), None, None, "")]             # it has ended
    assert found["kept"] == {"until": clock.text(service.ahead(days=6, hours=23)),
                             "option": "[purge_failed_emails] keep = 7d",
                             "rule": "counted from finished_at"}
    assert found["next_at"] is None
    assert (found["stored"]["envelope_to"], found["stored"]["raw_path"]) == ("a***@home.example",
                                                                             "16.eml")
    text = service.command("queue", "forwards", "16")
    assert re.match(r"(?s)forward 16: failed\n.*  attempts  2\n", text)
    assert "2026-11-21 14:30:05  an attempt failed: 451 4.7.1 later\n" in text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    # who it is, and what the limits count, is not for show
    for private in ("c0ffee", "urgent", "recipient"):
        assert private not in text + json.dumps(found)


def test_a_domain_has_a_name_too_and_a_deletion_that_of_its_account(service):   # R77
    service.table("domains", [{"id": 5, "user_id": ANN, "name": "club.example", "dns_results":
        '{"mx": {"state": "fail", "problem": "No MX.", "required": true}, "spf": {"state": "fail"},'
        ' "ownership": {"state": "unknown", "problem": "No answer.", "required": true}}'}])
    service.table("users", [{"id": 3, "email": "eve@home.example", "status": "deleted",
                             "deleted_at": service.ago(days=1)}])
    service.run("delete_accounts")
    found, closed = service.json("queue", "deletions", "3"), (
        "closed at 2026-11-24 14:30:05 UTC; it waits for [delete_accounts] grace")
    assert found["why"] == f"{closed} and, until 2026-12-21 at most, for its notice to be sent"
    service.run("send_notifications")
    assert service.json("queue", "deletions", "3") == {**found, "why": closed}
    domain = service.json("queue", "domains", "Club.example")
    assert (domain["id"], domain["answer"]) == (5, "mx: No MX; ownership: No answer")
    service.db.execute("UPDATE {domains} SET user_id = 77 WHERE id = 5")
    assert "the account is missing" in service.command("queue", "domains", "club.example")
    assert service.json("queue", "deletions", "3")["next_at"] == clock.text(service.ahead(days=6))
    assert "there is no such row" in service.command("queue", "forwards", "9" * 5000, code=1)
