"""Webhooks arrive signed, on their schedule, and an endpoint that is dead or gone holds up nobody
else."""
from __future__ import annotations

import base64
import itertools
import sqlite3
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.databases import bulk
from tests.support.engines import on_sqlite
from tests.support.patience import SOON
from tests.support.product import (
    ANSWERED,
    FAILED,
    OURS,
    REFUSED,
    TIMEOUT,
    UNSENDABLE,
    Response,
    clock,
    connect,
    slots,
)

JOB = "retry_webhooks"
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
OLD = "whsec_" + base64.b64encode(b"the secret before it...").decode()
NONE = {"delivered": 0, "retried": 0, "failed": 0}


@pytest.fixture
def hook(bench):
    """An active account with one endpoint, 1."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo", "status": "active"}])
    return endpoint(bench)


def endpoint(bench, **values) -> int:
    return bench.table("webhooks",
                       [{"user_id": 7, "url": "https://shop.example/hook", "secret": SECRET,
                         **values}])[0]


def delivery(bench, webhook_id: int = 1, **values) -> int:
    """One that the app has tried, and that is due."""
    first = bench.ago(minutes=1)
    made = {"user_id": 7, "webhook_id": webhook_id,
            "event_id": f"evt_{len(bench.ids('webhook_deliveries'))}",
            "event_type": "mail.received", "payload": '{"from": "jürgen@example.org"}',
            "attempts": 1, "created_at": first, "last_attempt_at": first}
    return bench.table("webhook_deliveries", [{**made, **values}])[0]


def row(bench, id: int, table: str = "webhook_deliveries") -> dict:
    return next(row for row in bench.rows(table) if row["id"] == id)


def each(bench, cases, **values) -> dict:
    """{delivery: case}, each to an endpoint of its own, whose URL ends with the number of the
    case."""
    return {delivery(bench, endpoint(bench, url=f"https://h{number}.example/{number}"),
                     **values): case
            for number, case in enumerate(cases)}


def answers(*status, **more):
    """The web answers so, one after the other, and the last for ever."""
    left = list(status)
    return lambda _: Response(ANSWERED, left.pop(0) if len(left) > 1 else left[0], **more)


def test_a_delivery_arrives_once_and_is_signed(bench, hook):      # R12 R40
    bench.now = clock.now()                     # the judge looks at the time
    id = delivery(bench)
    assert bench.run(JOB) == {**NONE, "delivered": 1}
    [sent] = bench.web
    headers = dict(sent.headers)
    assert sent.url == "https://shop.example/hook"
    assert sent.body == '{"from": "jürgen@example.org"}'.encode()
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == "evt_0"
    assert headers["webhook-timestamp"] == str(int(bench.now.timestamp()))
    assert Webhook(SECRET).verify(sent.body, headers) == {"from": "jürgen@example.org"}
    stored = row(bench, id)
    assert (stored["status"], stored["attempts"], stored["response_status"],
            stored["last_error"]) == (
        "delivered", 2, 204, None)
    assert stored["finished_at"] == clock.text(bench.now)
    bench.run(JOB)
    assert len(bench.web) == 1


def test_no_request_leaves_before_others_see_its_row_as_sending(bench, hook):      # R2 R22
    """Else a run that is killed in between sends it again, and counts no attempt."""
    for _ in range(3):
        delivery(bench)
    other, earlier, too_early = connect(bench.url), {*threading.enumerate()}, []

    def hear(sql: str, _values: dict) -> None:
        if sql == "COMMIT":
            for thread in {*threading.enumerate()} - earlier:       # each may hold a request
                thread.join(SOON)
            pending = {row["event_id"] for row in other.query(
                "SELECT event_id FROM {webhook_deliveries} WHERE status = 'pending'")}
            too_early.extend(pending.intersection(dict(sent.headers)["webhook-id"]
                                                  for sent in bench.web))
    bench.on_statement = hear
    assert bench.run(JOB)["delivered"] == 3
    other.close()
    assert too_early == []


@pytest.mark.parametrize("secret", [b"\0", b"x" * 64, bytes(range(200, 224))])
def test_signatures_verify_for_any_body_and_secret(bench, hook, secret):       # R40
    bench.now, word = clock.now(), "whsec_" + base64.b64encode(secret).decode()
    bodies = ["", "{}", "\0", "\ud7ff\U0001f642", "a\r\nb", " " * 70_000, "J\xfcrgen"]
    bench.db.execute("UPDATE {webhooks} SET secret = :word", word=word)
    ids = [delivery(bench, payload=body, event_id=f"A-z.0_{at}") for at, body in enumerate(bodies)]
    assert bench.run(JOB)["delivered"] == len(ids)
    assert sorted(sent.body for sent in bench.web) == sorted(body.encode() for body in bodies)
    for sent in bench.web:
        headers = dict(sent.headers)
        Webhook(word).verify(sent.body, headers, json_parse=False)
        for judge, body in ((word, sent.body + b"x"), (OLD, sent.body)):
            with pytest.raises(WebhookVerificationError):
                Webhook(judge).verify(body, headers, json_parse=False)


def test_id_and_body_stay_over_repeats_and_the_time_is_the_attempts(bench, hook):      # R40
    bench.web.answer = answers(500, 500, 204)
    delivery(bench)
    for minutes in (0, 5, 30):
        bench.now += timedelta(minutes=minutes)
        bench.run(JOB)
    assert len(bench.web) == 3
    assert len({sent.body for sent in bench.web}) == len({dict(sent.headers)["webhook-id"]
                                                          for sent in bench.web}) == 1
    times = [int(dict(sent.headers)["webhook-timestamp"]) for sent in bench.web]
    assert [second - first for first, second in zip(times, times[1:])] == [300, 1800]
    assert len({dict(sent.headers)["webhook-signature"] for sent in bench.web}) == 3


def test_the_secret_before_signs_too_until_it_expires(bench, hook):     # R40
    bench.now = clock.now()
    for seconds in (1, 0, -1):
        delivery(bench, endpoint(bench, url=f"https://h{seconds}.example/", previous_secret=OLD,
                                 previous_secret_expires_at=bench.ahead(seconds=seconds)))
    bench.run(JOB)
    for sent in bench.web:
        headers = dict(sent.headers)
        Webhook(SECRET).verify(sent.body, headers)
        signs = sent.url == "https://h1.example/"
        assert len(headers["webhook-signature"].split()) == 1 + signs
        if signs:
            Webhook(OLD).verify(sent.body, headers)
    assert len(bench.web) == 3


def test_repeats_come_after_1_5_30_minutes_and_2_hours(bench, hook):     # R24 R41
    bench.web.answer = answers(500)
    start = bench.now - timedelta(minutes=1)                # of the app's own attempt
    id, moments = delivery(bench), []
    while row(bench, id)["status"] == "pending":
        bench.run(JOB)
        moments.append((bench.now - start).total_seconds() / 60)
        if row(bench, id)["status"] == "pending":
            due = clock.parse(row(bench, id)["next_attempt_at"])
            bench.now = due - timedelta(seconds=1)
            bench.run(JOB)
            assert len(bench.web) == len(moments)           # never early
            bench.now = due
    assert moments == [1, 6, 36, 156]
    ended = row(bench, id)
    assert (ended["status"], ended["attempts"], ended["response_status"], ended["last_error"]) == (
        "failed", 5, 500, "the endpoint answered 500")
    assert ended["next_attempt_at"] is None
    events = [event for event in bench.events(JOB) if event["event"] == "delivery"]
    assert [(event["attempt"], event["outcome"], event["code"]) for event in events] == [
        (2, "retried", 500), (3, "retried", 500), (4, "retried", 500), (5, "failed", 500)]
    assert events[0]["next_attempt_at"] == clock.text(start + timedelta(minutes=6))
    bench.run(JOB)
    assert len(bench.web) == 4


def test_without_a_next_time_the_delay_counts_from_the_last_attempt(bench, hook):     # R24
    cases = [(0, None, True), (1, 60, True), (1, 59, False), (2, 300, True), (2, 299, False),
             (3, 1799, False),
             (3, 1800, True), (4, 7199, False), (4, 7200, True), (9, 7199, False), (9, 7200, True)]
    made = {case: delivery(bench, attempts=case[0], last_attempt_at=case[1]
                           and bench.ago(seconds=case[1])) for case in cases}
    bench.run(JOB)
    sent = {each.item_id for each in bench.web}
    assert sent == {f"webhook-{id}" for (_, _, is_due), id in made.items() if is_due}


def test_2xx_is_success_and_all_else_a_failure_on_the_schedule(bench, hook):     # R41
    good = (200, 201, 204, 299)
    made = each(bench, [*good, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
    statuses = list(made.values())
    bench.web.answer = lambda sent: Response(ANSWERED, statuses[int(sent.url.rpartition("/")[2])],
                                             excerpt="thanks")
    assert bench.run(JOB) == {**NONE, "delivered": 4, "retried": 11}
    for id, status in made.items():
        stored = row(bench, id)
        assert (stored["response_status"], stored["response_excerpt"]) == (status, "thanks")
        assert stored["status"] == ("delivered" if status in good else "pending")
        if status not in good:
            assert stored["next_attempt_at"] == clock.text(bench.ahead(minutes=5))
            assert ("redirects are not followed" in stored["last_error"]) is (status < 400)


def test_retry_after_is_waited_for_in_both_forms_up_to_a_day_and_never_early(bench, hook):     # R41
    asked = {"3600": 3600, "60": 300, "86400": 86400, "86401": 86400, "9" * 30: 86400, "": 300,
             "soon": 300, "-5": 300, "1e3": 300, "٣٦٠٠": 300, "3600;": 300, "0x10": 300,
             "1, 2": 300, "\x00": 300, "Tue, 99 Nov 2026 16:30:05 GMT": 300,
             "Tue, 24 Nov 99999999 16:30:05 GMT": 300, "Tue, 24 Nov 2026 16:30:05 GMT": 7200,
             "Tuesday, 24-Nov-26 16:30:05 GMT": 7200, "Tue Nov 24 16:30:05 2026": 7200,
             "Tue, 24 Nov 2020 16:30:05 GMT": 300,
             "Sat, 24 Nov 2040 16:30:05 GMT": 86400}
    cases = [(status, words) for status in (429, 503) for words in asked]
    made = each(bench, cases)
    bench.web.answer = lambda sent: (lambda case: Response(ANSWERED, case[0], case[1]))(
        cases[int(sent.url.rpartition("/")[2])])
    assert bench.run(JOB)["retried"] == len(cases)
    for id, (_, words) in made.items():
        assert row(bench,
                   id)["next_attempt_at"] == clock.text(bench.ahead(seconds=asked[words])), words


def test_the_rest_of_an_endpoint_waits_as_long_as_it_asked_and_pays_nothing(bench, hook):     # R41
    bench.web.answer = answers(503, retry_after="3600")
    ids = [delivery(bench), delivery(bench), delivery(bench, next_attempt_at=bench.ahead(hours=2)),
           delivery(bench, attempts=4)]
    bench.run(JOB)
    assert len(bench.web) == 1
    stored = [row(bench, id) for id in ids]
    assert [one["attempts"] for one in stored] == [2, 1, 1, 4]
    hour = clock.text(bench.ahead(hours=1))
    # the last one's own schedule is later than that: it stays
    assert [one["next_attempt_at"] for one in stored] == [hour, hour,
                                                          clock.text(bench.ahead(hours=2)), None]
    bench.web.answer = None
    bench.now = bench.ahead(minutes=59)
    assert bench.run(JOB) == NONE


def test_what_comes_while_an_endpoint_has_asked_to_wait_waits_too(bench, hook):     # R41
    bench.web.answer = answers(429, retry_after="5400")
    last = delivery(bench, attempts=4, last_attempt_at=bench.ago(hours=3))
    bench.run(JOB)
    assert row(bench, last)["status"] == "failed"       # nothing else waits for this endpoint
    until, bench.web.answer = bench.ahead(minutes=90), None
    bench.now = bench.ahead(minutes=30)
    late, other = delivery(bench), delivery(bench, endpoint(bench, url="https://other.example/"))
    assert bench.run(JOB) == {**NONE, "delivered": 1}
    assert row(bench, other)["status"] == "delivered"
    stored = row(bench, late)
    assert (stored["attempts"], stored["next_attempt_at"]) == (1, clock.text(until))
    bench.now = until
    assert bench.run(JOB) == {**NONE, "delivered": 1}


def test_410_disables_at_once_cancels_its_queue_and_tells_the_owner(bench, hook):     # R41
    bench.web.answer = answers(410)
    ids = [delivery(bench) for _ in range(3)] + [delivery(bench,
                                                          next_attempt_at=bench.ahead(hours=2))]
    done = delivery(bench, status="delivered", finished_at=bench.ago(hours=1))
    other = delivery(bench, endpoint(bench, url="https://other.example/"),
                     next_attempt_at=bench.ahead(hours=1))
    assert bench.run(JOB) == {**NONE, "failed": 1, "disabled": 1, "cancelled": 3}
    assert [row(bench, id)["status"] for id in ids] == ["failed"] * 4
    assert row(bench, ids[0])["last_error"] == "the endpoint answered 410: it is gone for good"
    assert {row(bench, id)["last_error"] for id in ids[1:]} == {("cancelled: the endpoint was "
                                                                "disabled")}
    assert (row(bench, done)["status"], row(bench, other)["status"]) == ("delivered", "pending")
    off = row(bench, hook, "webhooks")
    assert (off["active"], off["disabled_at"], off["disabled_reason"]) == (
        0, clock.text(bench.now), "the endpoint answered 410 Gone")
    [notice] = bench.rows("notifications")
    assert (notice["kind"], notice["to_email"]) == ("webhook_disabled", "jo@home.example")
    assert "https://shop.example/hook" in notice["body_text"]
    assert "the endpoint answered 410 Gone" in notice["body_html"]
    assert [event["event"] for event in bench.rows("audit_logs")] == ["webhook.disabled"]


def test_what_the_app_has_switched_off_meanwhile_causes_no_notice(bench, hook):     # R42
    def answer(_) -> Response:
        db = connect(bench.url)
        db.execute("UPDATE {webhooks} SET active = 0")
        db.close()
        return Response(ANSWERED, 410)
    bench.web.answer = answer
    delivery(bench)
    assert bench.run(JOB) == {**NONE, "failed": 1}
    assert bench.rows("notifications") == []


def test_failing_for_5_days_disables_and_tells_once(bench, hook):     # R42
    bench.web.answer = answers(500)
    since = bench.ago(days=5) + timedelta(seconds=1)
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since, url = :url", since=since,
                     url="https://shop.example/hook?key=s3same")
    delivery(bench)
    delivery(bench, next_attempt_at=bench.ahead(hours=1))
    assert bench.run(JOB) == {**NONE, "retried": 1}
    bench.now = bench.ahead(minutes=5)
    assert bench.run(JOB) == {**NONE, "retried": 1, "disabled": 1, "cancelled": 2}
    off = row(bench, hook, "webhooks")
    assert off["disabled_reason"] == "every delivery has failed since 19 November 2026 at 14:30 UTC"
    bench.now = bench.ahead(hours=3)
    delivery(bench)
    assert bench.run(JOB) == {**NONE, "cancelled": 1}
    [warning, notice] = bench.rows("notifications")
    assert warning["dedupe_key"] == f"webhook-failing:1:{clock.text(since)}"
    assert notice["dedupe_key"].startswith("webhook-disabled:1:")
    assert "s3same" not in str(warning) + str(notice) + str(bench.events(JOB))
    assert len(bench.web) == 2


def test_the_owner_is_warned_once_two_days_before_an_endpoint_is_disabled(bench, hook):     # R42
    bench.web.answer = answers(503)
    since = bench.ago(days=3) + timedelta(seconds=1)
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since, url = :url", since=since,
                     url="https://shop.example/hook?key=s3same")
    for hours, notices in ((0, 0), (1, 1), (20, 1), (21, 1)):
        bench.now = bench.ahead(hours=hours)
        delivery(bench)
        bench.run(JOB)
        assert len(bench.ids("notifications")) == notices
    [warning] = bench.rows("notifications")
    assert (warning["kind"], warning["persona"], warning["to_email"]) == (
        "webhook_failing", "postmaster", "jo@home.example")
    for words in ("https://shop.example/hook", "the endpoint answered 503",
                  "26 November 2026 at 14:30 UTC"):
        assert words in warning["body_text"]
    assert "s3same" not in warning["body_text"] + warning["body_html"]


def test_the_first_failure_is_noted_and_a_success_resets_it(bench, hook):     # R42
    bench.web.answer = answers(500, 204)
    delivery(bench)
    bench.run(JOB)
    assert row(bench, hook, "webhooks")["failing_since"] == clock.text(bench.now)
    bench.now = bench.ahead(days=6)
    assert bench.run(JOB)["delivered"] == 1
    assert row(bench, hook, "webhooks")["failing_since"] is None
    assert row(bench, hook, "webhooks")["active"] == 1


def test_a_success_of_the_apps_own_resets_it_too(bench, hook):     # R42
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since", since=bench.ago(days=6))
    delivery(bench, status="delivered", finished_at=bench.ago(days=1))
    bench.web.answer = answers(500)
    delivery(bench)
    assert "disabled" not in bench.run(JOB)
    assert row(bench, hook, "webhooks")["failing_since"] == clock.text(bench.now)


def test_what_nobody_waits_for_is_cancelled_without_a_notice(bench, hook):
    bench.table("users", [{"id": 8, "status": "deleted"}])
    off, theirs = endpoint(bench, active=0), endpoint(bench, user_id=8)
    reasons = {delivery(bench, off): "the endpoint is disabled",
               delivery(bench, 99): "the endpoint is gone",
               delivery(bench, theirs, user_id=8): "the account is deleted",
               delivery(bench, user_id=55): "there is no account 55"}
    assert bench.run(JOB) == {**NONE, "cancelled": 4}
    for id, reason in reasons.items():
        assert (row(bench, id)["status"], row(bench, id)["last_error"]) == ("failed",
                                                                            f"cancelled: {reason}")
        assert row(bench, id)["attempts"] == 1
    assert bench.web == []
    assert bench.rows("notifications") == []


def test_a_suspended_owners_deliveries_wait(bench, hook):
    bench.db.execute("UPDATE {users} SET status = 'suspended'")
    delivery(bench)
    assert bench.run(JOB) == NONE
    bench.db.execute("UPDATE {users} SET status = 'active'")
    assert bench.run(JOB)["delivered"] == 1


# R47
def test_a_refused_address_is_told_to_the_owner_and_tried_again_on_the_schedule(bench, hook):
    bench.web.answer = lambda _: Response(REFUSED, text="the address of this endpoint is not "
                                          "public")
    id = delivery(bench)
    assert bench.run(JOB)["retried"] == 1
    stored = row(bench, id)
    assert (stored["last_error"], stored["response_status"]) == (("the address of this endpoint is "
                                                                 "not public"), None)
    assert row(bench, hook, "webhooks")["failing_since"]


def test_one_bad_delivery_is_its_own_trouble(bench, hook):     # R23
    bad = [delivery(bench, payload=None),
           delivery(bench, endpoint(bench, secret="whsec_no base64!", url="https://other.example"))]
    good = [delivery(bench) for _ in range(3)]
    assert bench.run(JOB) == {**NONE, "delivered": 3, "retried": 1, "failed": 1}
    assert [row(bench, id)["status"] for id in good] == ["delivered"] * 3
    assert [row(bench, id)["last_error"] for id in bad] == [
        "this delivery has no payload", "the secret of this endpoint is not `whsec_` and base64"]
    for _ in range(4):
        bench.now = bench.ahead(hours=3)
        bench.run(JOB)
    assert [row(bench, id)["status"] for id in bad] == ["failed"] * 2      # never for ever
    # nobody's endpoint is to blame
    assert {one["failing_since"] for one in bench.rows("webhooks")} == {None}


def test_an_error_of_our_own_fails_the_run_and_stops_nobody(bench, hook):     # R73
    def answer(sent):
        if dict(sent.headers)["webhook-id"] == "evt_bad":
            raise RuntimeError("whatever jo@home.example says")
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    bad, good = delivery(bench, event_id="evt_bad"), [delivery(bench) for _ in range(3)]
    failure = bench.fails(JOB)
    assert "1 item met an unexpected error: RuntimeError in test_retry_webhooks.py" in failure
    assert bench.result["counts"] == {**NONE, "delivered": 3, "retried": 1, "defects": 1}
    assert [row(bench, id)["status"] for id in good] == ["delivered"] * 3
    assert row(bench, bad)["last_error"] == "it could not be sent: an error of ours"
    assert row(bench, hook, "webhooks")["failing_since"] is None
    assert "jo@home" not in str(bench.events(JOB))


class Busy:
    """An answer that takes a while, and counts what is in flight at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.lock = seconds, threading.Lock()
        self.now, self.most = Counter(), Counter()

    def __call__(self, sent) -> Response:
        host = sent.url.split("/")[2]
        names = ("all", host, sent.url)
        with self.lock:
            self.now.update(names)
            for name in names:
                self.most[name] = max(self.most[name], self.now[name])
        time.sleep(self.seconds)
        with self.lock:
            self.now.subtract(names)
        return Response(ANSWERED, 204)


@pytest.mark.parametrize("concurrency", [1, 3])
# R44
def test_so_many_at_once_but_one_to_an_endpoint_and_two_to_a_host(bench, hook, concurrency):
    slots.SLOTS = concurrency
    bench.db.execute("DELETE FROM {webhooks}")
    urls = [f"https://{host}.example/{path}" for host in "ab"
            for path in range(3)] + ["https://c.example/"]
    for number, url in enumerate(urls):
        webhook = endpoint(bench, url=url)
        for _ in range(3 if number else 6):
            delivery(bench, webhook)
    bench.web.answer = busy = Busy(0.005)
    assert bench.run(JOB)["delivered"] == 24
    assert busy.most["all"] == concurrency
    assert {busy.most[url] for url in urls} == {1}
    assert busy.most["a.example"] == min(2, concurrency)


def test_a_dead_host_is_tried_once_a_run_and_delays_nobody(bench, hook):     # R44
    dead = [endpoint(bench, url=f"https://dead.example/{number}") for number in range(3)]
    lost = [delivery(bench, id) for id in dead for _ in range(4)]
    good = [delivery(bench) for _ in range(30)]
    bench.web.answer = lambda sent: Response(TIMEOUT if "dead" in sent.url else ANSWERED,
                                             None if "dead" in sent.url else 204,
                                             text="no answer within 15 seconds")
    counts = bench.run(JOB)
    assert counts["delivered"] == 30
    assert counts["retried"] <= 3                 # what was in flight when it was found dead
    tried = [id for id in lost if row(bench, id)["attempts"] == 2]
    assert len(tried) == counts["retried"]
    assert {row(bench, id)["status"] for id in good} == {"delivered"}
    untouched = [row(bench, id) for id in lost if id not in tried]
    assert {(one["status"], one["attempts"], one["claim_token"], one["next_attempt_at"])
            for one in untouched} == {
        ("pending", 1, None, None)}
    skipped = {each["webhook_id"]: each["reason"] for each in bench.events(JOB)
               if each.get("outcome") == "skipped"}
    assert sorted(skipped) == dead
    assert set(skipped.values()) <= {"it did not answer in this run",
                                     "others of its owner at this server did not answer"}


def test_endpoints_known_to_fail_stand_behind_the_others(bench, hook):     # R44
    failing = [endpoint(bench, url=f"https://dead{number}.example/",
                        failing_since=bench.ago(hours=1)) for number in range(20)]
    for id in failing:
        delivery(bench, id, created_at=bench.ago(hours=2), last_attempt_at=bench.ago(hours=2))
    for _ in range(40):
        delivery(bench)
    good, all_sent = itertools.count(1), threading.Event()

    def answer(sent):
        if "dead" in sent.url:
            all_sent.wait(SOON)
            time.sleep(0.1)
            return Response(TIMEOUT, text="no answer")
        if next(good) == 40:
            all_sent.set()
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    assert bench.run(JOB)["delivered"] == 40
    dead = sum("dead" in sent.url for sent in bench.web)
    last = max(at for at, sent in enumerate(bench.web) if "dead" not in sent.url)
    # of eight slots they get one meanwhile
    assert sum("dead" in sent.url for sent in bench.web[:last]) <= 1
    # one round of them, and the others in the next run
    assert 1 <= dead <= 8
    tried = {sent.url for sent in bench.web if "dead" in sent.url}
    bench.run(JOB)
    again = [sent.url for sent in bench.web[40 + dead:]]
    assert again
    assert not tried & set(again)


@pytest.mark.slow
def test_a_look_up_that_hangs_is_given_up(bench, hook):     # R43
    bench.config(webhooks={"timeout": "1s"})
    ended = threading.Event()
    bench.web.answer = lambda _: ended.wait(60) and Response(ANSWERED, 204)
    id = delivery(bench)
    began = time.monotonic()
    assert bench.run(JOB)["retried"] == 1
    ended.set()
    assert 1 <= time.monotonic() - began < SOON
    assert row(bench, id)["last_error"] == "no answer within 1 seconds"


def test_no_delivery_is_begun_without_the_time_for_it(bench, hook):     # R4 R43
    bench.config(core={"grace": "10s"}, retry_webhooks={"budget": "30s"})
    for number in range(5):
        delivery(bench, endpoint(bench, url=f"https://h{number}.example/"))

    def answer(_):
        bench.clock.seconds += 12
        return Response(ANSWERED, 204)
    slots.SLOTS = 1
    bench.config(core={"grace": "10s"}, retry_webhooks={"budget": "30s"})
    bench.web.answer = answer
    counts = bench.run(JOB)
    # at 0 and 12 seconds; at 24, 16 are left, and 20 are needed
    assert counts["delivered"] == 2
    assert bench.result["stop_reason"] == "budget"
    assert Counter(one["status"] for one in bench.rows("webhook_deliveries")) == {"delivered": 2,
                                                                                  "pending": 3}
    assert all(one["claim_token"] is None for one in bench.rows("webhook_deliveries"))
    bench.config(core={"grace": "5s"}, retry_webhooks={"budget": "15s"})
    assert "make the budget longer" in bench.fails(JOB)


def test_a_large_queue_of_one_endpoint_lets_others_pass(bench, hook):
    for _ in range(100):
        delivery(bench, created_at=bench.ago(hours=3))
    last = delivery(bench, endpoint(bench, url="https://last.example/"))
    slots.SLOTS = 1
    bench.run(JOB)
    at = [sent.item_id for sent in bench.web].index(f"webhook-{last}")
    assert at <= 20


def test_what_a_killed_run_was_sending_comes_last_with_the_same_attempt(bench, hook):     # R22 R23
    lost = delivery(bench, status="sending", attempts=2, claim_token="t", claim_run="dead",
                    lease_until=bench.ago(hours=1), next_attempt_at=bench.ahead(minutes=5),
                    created_at=bench.ago(hours=5))
    for number in range(12):
        delivery(bench, endpoint(bench, url=f"https://h{number}.example/"))
    slots.SLOTS = 1
    assert bench.run(JOB) == {**NONE, "delivered": 13, "uncertain": 1}
    assert bench.web[-1].item_id == f"webhook-{lost}"
    assert row(bench, lost)["attempts"] == 2


@pytest.mark.parametrize("attempts", [1, 4])       # 4: the one that is tried ends as failed
# R44
def test_dead_endpoints_with_a_backlog_leave_each_failing_one_its_turn(bench, hook, attempts):
    since = bench.ago(hours=1)
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since", since=since)
    for number in range(8):                     # of one owner, and longest due
        dead = endpoint(bench, url=f"https://dead{number}.example/", failing_since=since)
        bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                              "attempts", "created_at", "last_attempt_at"],
             [(7, dead, f"evt_{number}_{at}", "{}", attempts, clock.text(bench.ago(hours=9)),
               clock.text(bench.ago(hours=9))) for at in range(30)])
    good = delivery(bench)

    def answer(sent):
        if "dead" in sent.url:
            time.sleep(0.02)
            return Response(TIMEOUT, text="no answer")
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    bench.run(JOB)
    bench.now = bench.ahead(minutes=1)
    bench.run(JOB)
    assert row(bench, good)["status"] == "delivered"


def test_dead_endpoints_of_one_owner_leave_others_their_turn_at_once(bench, hook):     # R44
    since = bench.ago(hours=1)
    bench.table("users", [{"id": 8, "status": "active"}])
    for number in range(30):
        delivery(bench, endpoint(bench, url=f"https://dead{number}.example/", failing_since=since),
                 created_at=bench.ago(hours=9), last_attempt_at=bench.ago(hours=9))
    good = delivery(bench, endpoint(bench, url="https://good.example/", user_id=8,
                                    failing_since=since), user_id=8)
    bench.web.answer = lambda sent: Response(ANSWERED,
                                             204) if "good" in sent.url else Response(TIMEOUT,
                                                                                      text="none")
    bench.run(JOB)
    assert row(bench, good)["status"] == "delivered"


@pytest.mark.slow
def test_few_rows_are_claimed_at_a_time_however_many_endpoints_wait(bench, hook):
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(number, 7, f"https://h{number}.example/", SECRET, clock.text(bench.now))
          for number in range(2, 32)])
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                          "created_at"],
         [(7, number % 30 + 2, f"evt_{number}", "{}", clock.text(bench.now))
          for number in range(30 * 21)])
    slots.SLOTS = 2
    held: list = []

    def answer(sent) -> Response:
        if int(sent.item_id.rpartition("-")[2]) % 40 == 0:
            db = connect(bench.url)
            held.append(db.value("SELECT COUNT(*) FROM {webhook_deliveries} "
                                 "WHERE claim_token IS NOT NULL"))
            db.close()
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    assert bench.run(JOB)["delivered"] == 630
    assert len(held) > 10
    assert max(held) <= 3 * 20


def unreached(_) -> Response:
    return Response(FAILED, text="the name cannot be resolved (temporary failure in name "
                    "resolution)", reached=False)


def test_a_network_that_is_down_is_no_endpoints_fault_and_costs_no_attempt(bench, hook):     # R42
    lost = [delivery(bench, endpoint(bench, url=f"https://h{number}.example/"),
                     created_at=bench.ago(hours=1)) for number in range(30)]
    more = [delivery(bench, 2), delivery(bench, 2, next_attempt_at=bench.ago(hours=1))]
    bench.config(core={"app_url": "https://mail.service.example"})
    bench.web.answer, bench.web.names = unreached, False
    counts = bench.run(JOB)
    assert bench.result["stop_reason"] == "the network is down"
    assert {**counts, "given_back": 0} == {**NONE, "given_back": 0}
    assert 10 <= counts["given_back"] == len(bench.web) <= 18          # ten, and what was in flight
    assert {one["failing_since"] for one in bench.rows("webhooks")} == {None}
    for one in bench.rows("webhook_deliveries"):
        assert (one["status"], one["attempts"], one["claim_token"]) == ("pending", 1, None)
    # an endpoint that was tried waits a minute with all that it has: the next run begins with
    # others
    assert {row(bench, id)["next_attempt_at"]
            for id in [lost[0], *more]} == {clock.text(bench.ahead(minutes=1))}
    tried = {sent.url for sent in bench.web}
    bench.web.clear()
    bench.web.answer = None
    bench.now = bench.ahead(minutes=1)
    assert bench.run(JOB)["delivered"] == 32
    assert bench.web[0].url not in tried


@pytest.mark.parametrize("reached", ["first", "last", "only a few"])
def test_hosts_that_are_not_reached_are_to_blame_once_another_one_is_or_when_they_are_few(bench,
                                                                                          hook,
                                                                                          reached):
    count = 9 if reached == "only a few" else 14
    dead = [endpoint(bench, url=f"https://h{number}.example/") for number in range(count)]
    for id in dead:
        delivery(bench, id, created_at=bench.ago(hours=1))
    if reached != "only a few":
        delivery(bench, created_at=bench.ago(hours=2) if reached == "first" else bench.ago(hours=1))
        bench.db.execute("UPDATE {webhook_deliveries} SET created_at = :ago WHERE webhook_id > 8",
                         ago=bench.ago(minutes=50))
    bench.web.answer = lambda sent: Response(ANSWERED,
                                             500) if "shop" in sent.url else unreached(sent)
    assert bench.run(JOB)["retried"] == count + (reached != "only a few")
    assert all(row(bench, id, "webhooks")["failing_since"] for id in dead)


def test_a_host_without_a_file_handle_blames_nobody(bench, hook):
    bench.web.answer = lambda _: Response(OURS, text="this host could not send (too many open "
                                          "files)", reached=None)
    ids = [delivery(bench) for _ in range(3)]
    assert bench.run(JOB) == {**NONE, "given_back": 1}
    assert {row(bench, id)["attempts"] for id in ids} == {1}
    assert row(bench, hook, "webhooks")["failing_since"] is None


def test_a_delivery_that_cannot_be_written_as_a_request_ends_alone(bench, hook):
    bench.web.answer = lambda sent: (Response(UNSENDABLE, text="a header", reached=None)
                                     if sent.item_id == "webhook-1" else Response(ANSWERED, 204))
    bad, good = delivery(bench, created_at=bench.ago(hours=1)), delivery(bench)
    assert bench.run(JOB) == {**NONE, "failed": 1, "delivered": 1}
    assert (row(bench, bad)["status"], row(bench, bad)["last_error"]) == ("failed", "a header")
    assert row(bench, good)["status"] == "delivered"
    assert row(bench, hook, "webhooks")["failing_since"] is None


@pytest.mark.slow
def test_a_slow_commit_of_ours_makes_no_host_dead(bench, hook):     # R44
    for hours, url in ((3, "https://h0.example/"), (2, "https://h1.example/"),
                       (1, "https://h1.example/2"),
                       (1, "https://h1.example/3")):
        delivery(bench, endpoint(bench, url=url), created_at=bench.ago(hours=hours))
    slots.SLOTS = 2

    def answer(sent) -> Response:
        time.sleep(0.2 if "h1" in sent.url else 0)
        return Response(FAILED, text="no connection (connection refused)")
    bench.web.answer = answer
    slow = iter([1.3])

    def statement(sql, *_) -> None:
        if "SET failing_since = :since" in sql:
            # the first answer is stored while the second comes
            time.sleep(next(slow, 0))
    bench.on_statement = statement
    assert bench.run(JOB)["retried"] == 4


def test_an_old_secret_that_is_none_does_not_block_the_good_one(bench, hook):     # R40
    bench.now = clock.now()
    delivery(bench, endpoint(bench, url="https://h1.example/", previous_secret="whsec_no base64!"))
    assert bench.run(JOB)["delivered"] == 1
    headers = dict(bench.web[0].headers)
    Webhook(SECRET).verify(bench.web[0].body, headers)
    assert len(headers["webhook-signature"].split()) == 1


# Owners take turns

def flood(bench, owner: int, endpoints: int, each: int, url: str = "https://u{owner}-{id}.example/",
          **values) -> None:
    """An owner with so many endpoints, each with so many deliveries that are due for long."""
    if owner not in bench.ids("users"):
        bench.table("users", [{"id": owner, "status": "active"}])
    first = (bench.db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1
    long_ago = clock.text(bench.ago(hours=9))
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(id, owner, url.format(owner=owner, id=id), SECRET, long_ago)
          for id in range(first, first + endpoints)])
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                          "attempts", "created_at", "last_attempt_at",
                                          "next_attempt_at"],
         [(owner, first + at % endpoints, f"evt_{owner}_{at}", "{}", 1, long_ago, long_ago,
           values.get("due")) for at in range(endpoints * each)])


@pytest.mark.slow
@pytest.mark.parametrize("due", [None, "2026-11-24 06:00:00"])
@pytest.mark.parametrize("endpoints", [1, 40])
def test_a_backlog_of_one_owner_lets_everybody_elses_go_first(bench, endpoints, due):      # R66
    flood(bench, 8, endpoints, 4000 // endpoints, due=due)
    bench.table("users", [{"id": 7, "status": "active"}, {"id": 9, "status": "active"}])
    mine = [delivery(bench, endpoint(bench, url="https://mine.example/")) for _ in range(5)]
    mine += [delivery(bench, endpoint(bench, user_id=9, url="https://nine.example/"), user_id=9)]
    bench.run(JOB, limit=40)
    assert {row(bench, id)["status"] for id in mine} == {"delivered"}
    at = [sent.item_id for sent in bench.web]
    assert max(at.index(f"webhook-{id}") for id in mine) < 30


# all due rows are found at once, or owner by owner
@pytest.mark.parametrize("per_owner", [9, 200])
def test_the_next_run_goes_on_behind_the_owner_that_was_last(bench, per_owner):     # R66
    for owner in range(20, 32):
        flood(bench, owner, 1, per_owner)
    slots.SLOTS = 1
    for _ in range(3):
        bench.run(JOB, limit=4)
    assert [int(sent.url[9:11]) for sent in bench.web] == list(range(20, 32))


def test_an_owner_has_half_of_the_slots_while_others_wait(bench):     # R66
    most: Counter = Counter()
    in_flight: Counter = Counter()
    changed = threading.Condition()
    expected = Counter({"8": 4, "9": 4})

    def answer(sent) -> Response:
        owner = sent.url[9]
        with changed:
            in_flight[owner] += 1
            most[owner] = max(most[owner], in_flight[owner])
            changed.notify_all()
            # no request ends before all of them have begun
            changed.wait_for(lambda: not expected - most, 10)
        time.sleep(0.005)                                       # and more would be seen
        with changed:
            in_flight[owner] -= 1
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    flood(bench, 8, 16, 10)
    flood(bench, 9, 16, 10)
    assert bench.run(JOB)["delivered"] == 320
    assert most == expected
    most.clear()
    expected = Counter({"7": 8})                # nobody else waits
    flood(bench, 7, 16, 3)
    bench.run(JOB)
    assert most == expected


def test_an_endpoint_that_is_slow_comes_after_the_others_until_it_is_quick_again(bench):     # R66
    slots.SLOTS = 1
    bench.config(webhooks={"timeout": "1s"})
    flood(bench, 8, 1, 4, url="https://slow.example/")
    slow = [0.6, 0, 0, 0]

    def answer(sent) -> Response:
        time.sleep(slow.pop(0) if "slow" in sent.url else 0)
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    bench.run(JOB, limit=1)
    flood(bench, 9, 1, 2, url="https://quick.example/")
    bench.run(JOB, limit=3)
    assert [sent.url[8:13] for sent in bench.web] == ["slow.", "quick", "quick", "slow."]
    flood(bench, 9, 1, 2, url="https://quick.example/")
    bench.run(JOB, limit=2)
    assert [sent.url[8:13] for sent in bench.web[4:]] == ["slow.", "quick"]


def test_what_is_known_of_an_endpoint_is_forgotten_after_a_week(bench, hook):
    delivery(bench)
    bench.run(JOB)
    [known] = bench.rows("endpoint_state")
    assert (known["webhook_id"], known["user_id"]) == (1, 7)
    assert (known["tried_at"], known["slow"]) == (clock.text(bench.now), 0)
    bench.now = bench.ahead(days=8)
    delivery(bench, endpoint(bench, url="https://other.example/"))
    bench.run(JOB)
    assert [one["webhook_id"] for one in bench.rows("endpoint_state")] == [2]


@pytest.mark.slow
@pytest.mark.parametrize("endpoints", [1, 1000])
# R66
def test_what_comes_before_the_first_request_is_the_same_for_20_000_due_rows(bench, endpoints):
    asked: list = []

    def answer(_) -> Response:
        asked.append(len(bench.statements))
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    flood(bench, 8, endpoints, 20_000 // endpoints)
    bench.table("users", [{"id": 7}])
    mine = [delivery(bench, endpoint(bench)) for _ in range(5)]
    bench.run(JOB, limit=40)
    assert {row(bench, id)["status"] for id in mine} == {"delivered"}
    assert asked[0] < 120


@on_sqlite          # there writers do not wait for each other
@pytest.mark.slow
# R70
def test_what_was_answered_is_stored_although_another_writer_holds_the_file(bench, hook):
    ids = [delivery(bench, endpoint(bench, url=f"https://h{number}.example/"))
           for number in range(3)]
    bench.timeout = 0.1
    slots.SLOTS = 1
    holders: list = []

    def hold(taken: threading.Event) -> None:
        other = sqlite3.connect(bench.folder / "jobs.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        taken.set()
        time.sleep(1.5)                     # many times as long as one wait for the lock
        other.close()

    def answer(_) -> Response:
        if not holders:
            taken = threading.Event()
            holders.append(threading.Thread(target=hold, args=(taken,)))
            holders[0].start()
            assert taken.wait(10)
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    bench.attempt(JOB)
    holders[0].join()
    assert sorted(row(bench, id)["status"] for id in ids) == ["delivered", "pending", "pending"]
    bench.run(JOB)
    assert len(bench.web) == 3              # none was sent twice


# Whose fault it is

def test_hosts_of_the_only_account_are_to_blame_when_a_name_of_our_own_is_known(bench):     # R66
    bench.config(core={"app_url": "https://mail.service.example"})
    flood(bench, 8, 30, 1)
    bench.web.answer = unreached
    assert bench.run(JOB)["retried"] == 30
    assert bench.result["status"] == "ok"


def test_hosts_of_three_owners_tell_that_the_network_is_down(bench):     # R42
    for owner in (8, 9, 10):
        flood(bench, owner, 20, 1)
    bench.web.answer = unreached
    counts = bench.run(JOB)
    assert bench.result["stop_reason"] == "the network is down"
    assert counts["given_back"] == len(bench.web) <= 18
    assert {one["failing_since"] for one in bench.rows("webhooks")} == {None}
