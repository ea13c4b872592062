"""Webhooks arrive signed, on their schedule; an endpoint that fails is paused, then disabled."""
from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.hooks import SECRET, TIMED_OUT, delivery, endpoint, flood
from tests.support.patience import SOON
from tests.support.product import ANSWERED, FAILED, OURS, UNSENDABLE, Busy, Response, clock

JOB = "retry_webhooks"
OLD = "whsec_" + base64.b64encode(b"the secret before it...").decode()
NONE = {"delivered": 0, "retried": 0, "failed": 0}


@pytest.fixture
def hook(bench):
    """An active account with one endpoint, 1."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo", "status": "active"}])
    return endpoint(bench)


def row(bench, id: int, table: str = "webhook_deliveries") -> dict:
    return next(row for row in bench.rows(table) if row["id"] == id)


def column(bench, ids: list, name: str = "status") -> list:
    """Of these deliveries."""
    return [row(bench, id)[name] for id in ids]


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
    assert sent.url == "https://shop.example/hook"
    assert sent.body == '{"from": "jürgen@example.org"}'.encode()
    assert dict(sent.headers).items() >= {
        "Content-Type": "application/json", "webhook-id": "evt_0",
        "webhook-timestamp": str(int(bench.now.timestamp()))}.items()
    assert Webhook(SECRET).verify(sent.body, dict(sent.headers)) == {"from": "jürgen@example.org"}
    stored = row(bench, id)
    assert (stored["status"], stored["attempts"], stored["response_status"], stored["last_error"],
            stored["finished_at"]) == ("delivered", 2, 204, None, clock.text(bench.now))
    bench.run(JOB)
    assert len(bench.web) == 1


@pytest.mark.parametrize("secret", [b"\0", b"x" * 64, bytes(range(200, 224))])
def test_signatures_verify_for_any_body_and_secret(bench, hook, secret):       # R40
    bench.now, word = clock.now(), "whsec_" + base64.b64encode(secret).decode()
    bodies = ["", "{}", "\0", "\ud7ff\U0001f642", "a\r\nb", " " * 70_000, "J\xfcrgen"]
    bench.db.execute("UPDATE {webhooks} SET secret = :word", word=word)
    ids = [delivery(bench, payload=body, event_id=f"A-z.0_{at}") for at, body in enumerate(bodies)]
    assert bench.run(JOB)["delivered"] == len(ids)
    assert sorted(sent.body for sent in bench.web) == sorted(body.encode() for body in bodies)
    for sent in bench.web:
        Webhook(word).verify(sent.body, dict(sent.headers), json_parse=False)
        for judge, body in ((word, sent.body + b"x"), (OLD, sent.body)):
            with pytest.raises(WebhookVerificationError):
                Webhook(judge).verify(body, dict(sent.headers), json_parse=False)


def test_id_and_body_stay_over_repeats_and_the_time_is_the_attempts(bench, hook):      # R40
    bench.web.answer = answers(500, 500, 204)
    delivery(bench)
    for minutes in (0, 5, 30):
        bench.now += timedelta(minutes=minutes)
        bench.run(JOB)
    assert len({(sent.body, dict(sent.headers)["webhook-id"]) for sent in bench.web}) == 1
    times = [int(dict(sent.headers)["webhook-timestamp"]) for sent in bench.web]
    assert [second - first for first, second in zip(times, times[1:])] == [300, 1800]
    assert len({dict(sent.headers)["webhook-signature"] for sent in bench.web}) == 3


@pytest.mark.parametrize("before, seconds, signs", [
    (OLD, 1, True), (OLD, 0, False), (OLD, -1, False), ("whsec_no base64!", 1, False)])
def test_the_secret_before_signs_too_until_it_expires(bench, before, seconds, signs):     # R40
    bench.now = clock.now()
    bench.table("users", [{"id": 7}])
    delivery(bench, endpoint(bench, previous_secret=before,
                             previous_secret_expires_at=bench.ahead(seconds=seconds)))
    bench.run(JOB)
    [sent] = bench.web
    for secret in [SECRET, OLD][:1 + signs]:
        Webhook(secret).verify(sent.body, dict(sent.headers))
    assert len(dict(sent.headers)["webhook-signature"].split()) == 1 + signs


def test_the_log_has_each_attempt_and_when_the_next_one_is(bench, hook):     # R41
    bench.web.answer = answers(500)
    ids = [delivery(bench), delivery(bench, attempts=4, last_attempt_at=bench.ago(hours=2))]
    for minutes in (0, 1):                  # the second waits as long as the endpoint is paused
        bench.now = bench.ahead(minutes=minutes)
        bench.run(JOB)
    events = [event for event in bench.events(JOB) if event["event"] == "delivery"]
    assert sorted((event["attempt"], event["outcome"], event["code"], event["next_attempt_at"])
                  for event in events) == [
        (2, "retried", 500, "2026-11-24 14:35:05"), (5, "failed", 500, None)]
    ended = row(bench, ids[1])
    assert (ended["status"], ended["attempts"], ended["response_status"], ended["last_error"],
            ended["next_attempt_at"]) == ("failed", 5, 500, "the endpoint answered 500", None)


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
    asked = {"3600": 3600, "60": 300, "86400": 86400, "86401": 86400, "9" * 30: 86400,
             "Tue, 24 Nov 2026 16:30:05 GMT": 7200, "Tuesday, 24-Nov-26 16:30:05 GMT": 7200,
             "Tue Nov 24 16:30:05 2026": 7200, "Sat, 24 Nov 2040 16:30:05 GMT": 86400,
             **dict.fromkeys(("", "soon", "-5", "1e3", "٣٦٠٠", "3600;", "0x10", "1, 2", "\x00",
                              "Tue, 99 Nov 2026 16:30:05 GMT", "Tue, 24 Nov 99999999 16:30:05 GMT",
                              "Tue, 24 Nov 2020 16:30:05 GMT"), 300)}
    cases = [(status, words) for status in (429, 503) for words in asked]
    made = each(bench, cases)
    bench.web.answer = lambda sent: Response(ANSWERED, *cases[int(sent.url.rpartition("/")[2])])
    assert bench.run(JOB)["retried"] == len(cases)
    assert {case: row(bench, id)["next_attempt_at"] for id, case in made.items()} == {
        case: clock.text(bench.ahead(seconds=asked[case[1]])) for case in cases}


def test_what_waits_for_an_endpoint_and_what_comes_waits_as_long_as_it_asked(bench, hook):     # R41
    bench.web.answer = answers(503, retry_after="5400")
    later = bench.ahead(hours=2)
    ids = [delivery(bench), delivery(bench), delivery(bench, next_attempt_at=later),
           delivery(bench, attempts=4)]
    bench.run(JOB)
    assert len(bench.web) == 1
    until, bench.web.answer, bench.now = bench.ahead(minutes=90), None, bench.ahead(minutes=30)
    ids.append(delivery(bench))
    other = delivery(bench, endpoint(bench, url="https://other.example/"))
    assert bench.run(JOB) == {**NONE, "delivered": 1}
    assert row(bench, other)["status"] == "delivered"
    assert column(bench, ids, "attempts") == [2, 1, 1, 4, 1]
    # the third's and fourth's own times are later than that: they stay
    assert column(bench, ids, "next_attempt_at") == [*map(clock.text, (
        until, until, later, bench.ahead(minutes=89), until))]
    bench.now = until
    assert bench.run(JOB) == {**NONE, "delivered": 3}


def test_410_disables_cancels_and_notifies_at_the_end_of_the_run(bench, hook):     # R41
    bench.web.answer = answers(410)
    ids = [delivery(bench, next_attempt_at=time)
           for time in (None, None, None, bench.ahead(hours=2))]
    done = delivery(bench, status="delivered", finished_at=bench.ago(hours=1))
    other = delivery(bench, endpoint(bench, url="https://other.example/"),
                     next_attempt_at=bench.ahead(hours=1))
    assert bench.run(JOB) == {**NONE, "retried": 1, "disabled": 1, "cancelled": 4}
    assert len(bench.web) == 1
    assert column(bench, [*ids, done, other]) == ["failed"] * 4 + ["delivered", "pending"]
    assert {*column(bench, ids, "last_error")} == {"cancelled: the endpoint was disabled"}
    assert row(bench, ids[0])["response_status"] == 410
    off = row(bench, hook, "webhooks")
    assert (off["active"], off["disabled_at"], off["disabled_reason"]) == (
        0, clock.text(bench.now), "the endpoint answered 410 Gone")
    # what it tells: tests/every_job/test_notices.py
    assert [notice["kind"] for notice in bench.rows("notifications")] == ["webhook_disabled"]
    assert [event["event"] for event in bench.rows("audit_logs")] == ["webhook.disabled"]


def failing(bench, **age) -> str:
    """The endpoint has failed for so long. Since when."""
    bench.web.answer = answers(503)
    since = clock.text(bench.ago(**age))
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since, url = :url", since=since,
                     url="https://shop.example/hook?key=s3same")
    return since


def tried(bench, *hours: float) -> list[str]:
    """After each of these hours a delivery is tried, and every notice is sent: what notices there
    are by then."""
    for each in hours:
        bench.now = bench.ahead(hours=each)
        delivery(bench)
        bench.run(JOB)
        bench.db.execute("UPDATE {notifications} SET status = 'sent', sent_at = :now "
                         "WHERE status = 'pending'", now=bench.now)
    return [notice["kind"] for notice in bench.rows("notifications")]


def test_after_5_days_of_failing_and_a_warning_an_endpoint_is_disabled(bench, hook):     # R42
    since = failing(bench, days=2, hours=23)
    assert tried(bench, 0) == []
    assert tried(bench, 1, 20, 20) == ["webhook_failing"]
    delivery(bench, next_attempt_at=bench.ahead(hours=24))
    assert tried(bench, 7.9) == ["webhook_failing"]
    assert row(bench, hook, "webhooks")["active"] == 1
    assert tried(bench, 0.2) == ["webhook_failing", "webhook_disabled"]
    assert row(bench, hook, "webhooks")["disabled_reason"] == (
        "failing since 21 November 2026 at 15:30 UTC")
    assert tried(bench, 3) == ["webhook_failing", "webhook_disabled"]
    assert {one["status"] for one in bench.rows("webhook_deliveries")} == {"failed"}
    warning, notice = bench.rows("notifications")
    assert (warning["persona"], warning["to_email"], warning["dedupe_key"]) == (
        "postmaster", "jo@home.example", f"webhook-failing:1:{since}")
    assert "s3same" not in str(warning) + str(notice) + str(bench.events(JOB))


def test_an_endpoint_whose_owner_was_not_warned_is_not_disabled(bench, hook):       # R83
    failing(bench, days=6)
    delivery(bench)
    bench.run(JOB)
    for _ in range(3):                              # the warning waits
        bench.now = bench.ahead(days=1)
        delivery(bench)
        bench.run(JOB)
    assert [one["kind"] for one in bench.rows("notifications")] == ["webhook_failing"]
    assert "before 26 November 2026 at 14:30" in bench.rows("notifications")[0]["body_text"]
    assert tried(bench, 0) == ["webhook_failing"]   # now it is sent
    assert tried(bench, 47, 1) == ["webhook_failing", "webhook_disabled"]


def test_the_first_failure_is_noted_and_a_success_resets_it(bench, hook):     # R42 R68
    bench.run(JOB)
    bench.web.answer, start = answers(500), clock.text(bench.now)
    for days, since in ((-30, None), (30, start), (-30, start)):     # by no clock that went back
        bench.now = bench.ahead(days=days)
        delivery(bench)
        bench.run(JOB)
        assert row(bench, hook, "webhooks")["failing_since"] == since
    bench.now, bench.web.answer = bench.ahead(days=36), answers(204)
    assert bench.run(JOB)["delivered"] == 2
    known = row(bench, hook, "webhooks")
    assert (known["failing_since"], known["active"]) == (None, 1)
    # one of the app's own does, too
    failing(bench, days=6)
    delivery(bench, status="delivered", finished_at=bench.ago(days=1))
    delivery(bench)
    assert "disabled" not in bench.run(JOB)
    assert row(bench, hook, "webhooks")["failing_since"] == clock.text(bench.now)


def test_a_success_between_two_failures_of_a_run_resets_it(bench, hook):     # R42
    failing(bench, days=4)
    bench.web.answer = answers(500, 204, 500)
    for _ in range(3):
        delivery(bench)
    assert bench.run(JOB) == {**NONE, "delivered": 1, "retried": 2}
    assert bench.rows("notifications") == []


def test_what_nobody_waits_for_is_cancelled_all_at_once_without_a_notice(bench, hook):
    flood(bench, 7, 2, 100)
    # what PHP makes of false
    off = "''" if bench.url.startswith("sqlite") else "0"
    bench.db.execute(f"UPDATE {{webhooks}} SET active = {off} WHERE id = 2")
    for _ in range(30):
        delivery(bench, 99, next_attempt_at=bench.ago(hours=10))
    delivery(bench, user_id=55)
    assert bench.run(JOB) == {**NONE, "cancelled": 131, "delivered": 100}
    ended = [one for one in bench.rows("webhook_deliveries") if one["status"] == "failed"]
    assert {(one["attempts"], one["last_error"]) for one in ended} == {
        (1, f"cancelled: the {what}") for what in (
            "endpoint is disabled", "endpoint is missing", "account is missing")}
    assert bench.rows("notifications") == []


def test_what_was_held_ends_past_its_seventh_day(bench, hook):      # R84
    ids = [delivery(bench, 99, created_at=bench.ago(days=days, seconds=1))
           for days in (7, 6) for _ in range(20)]
    assert bench.run(JOB)["cancelled"] == 20
    assert column(bench, ids) == ["failed"] * 20 + ["pending"] * 20


def last_attempts(bench, others: int) -> list[int]:
    """Deliveries of account 7 and of as many others, of which the next attempt is the last of the
    schedule, and the first that we make. The first is 7's."""
    bench.table("users", [{"id": id, "status": "active"} for id in range(20, 20 + others)])
    return [delivery(bench, endpoint(bench, user_id=owner, url=f"https://h{owner}.example/"),
                     user_id=owner, attempts=4, last_attempt_at=bench.ago(hours=3))
            for owner in (7, *range(20, 20 + others))]


@pytest.mark.parametrize("others, accept, ends", [(0, 0, True), (3, 1, True), (3, 0, False)])
def test_the_last_attempt_ends_it_unless_nobody_accepts(bench, hook, others, accept, ends):  # R82
    first, moments = last_attempts(bench, others)[0], (0, 120)
    accepts = {f"https://h{owner}.example/" for owner in range(20, 20 + accept)}
    bench.web.answer = lambda sent: Response(ANSWERED, 204 if sent.url in accepts else 500)
    if accept:
        bench.db.execute("UPDATE {webhook_deliveries} SET attempts = 1 WHERE id = :id", id=first)
        moments = (0, 5, 30, 120)
    for minutes in moments:
        bench.now = bench.ahead(minutes=minutes)
        bench.run(JOB)
    assert row(bench, first)["status"] == ("failed" if ends else "pending")


@pytest.mark.parametrize("runs, status", [(11, "delivered"), (13, "failed")])
def test_an_outage_of_ours_costs_nothing_within_a_day(bench, hook, runs, status):     # R24 R82
    ids = last_attempts(bench, 9)
    bench.web.answer = lambda _: TIMED_OUT
    for _ in range(runs):
        bench.run(JOB)
        bench.now = bench.ahead(hours=2)
    assert max(column(bench, ids, "attempts")) == 4 + runs
    bench.web.answer = None
    bench.run(JOB)
    assert column(bench, ids).count(status) >= 9


@pytest.mark.slow                   # it waits
def test_a_silent_endpoint_is_asked_once_a_run_and_its_others_pay_nothing(bench, hook):     # R44
    bench.web.answer = lambda _: TIMED_OUT
    [silent] = flood(bench, 7, 1, 600)                  # more than one step
    bench.run(JOB)
    assert len(bench.web) == 1
    assert Counter((one["attempts"], one["next_attempt_at"])
                   for one in bench.rows("webhook_deliveries")) == {
        (2, clock.text(bench.ahead(minutes=5))): 1, (1, clock.text(bench.ahead(minutes=1))): 599}
    late = delivery(bench, silent)
    assert bench.run(JOB) == NONE                       # what has come since waits, too
    assert row(bench, late)["attempts"] == 1
    bench.now, bench.web.answer = bench.ahead(minutes=1), None
    assert bench.run(JOB) == {**NONE, "delivered": 600}
    assert row(bench, silent, "webhooks")["paused_until"] is None


@pytest.mark.parametrize("codes, number, counts", [
    ((*[204] * 12, 500, 204), 15, {"delivered": 14, "retried": 1}),
    ((500,), 30, {"retried": 10})])                 # nothing but errors: it is paused
def test_one_error_holds_up_no_other_delivery(bench, hook, codes, number, counts):     # R44
    bench.web.answer = answers(*codes)
    for _ in range(number):
        delivery(bench)
    assert bench.run(JOB) == {**NONE, **counts}


@pytest.mark.parametrize("outcome, asked, statuses, attempts, is_blamed, then", [
    (FAILED, 1, ["pending"] * 3, [2, 1, 1], True, 2),      # on its schedule, and a pause
    (OURS, 1, ["pending"] * 3, [1, 1, 1], False, 3),        # the next would fare alike
    (UNSENDABLE, 3, ["failed"] * 3, [2, 2, 2], False, 0)])
def test_who_is_to_blame(bench, hook, outcome, asked, statuses, attempts, is_blamed, then):  # R47
    bench.web.answer = lambda _: Response(outcome, text="in words for its owner")
    ids = [delivery(bench) for _ in range(3)]
    bench.run(JOB)
    assert len(bench.web) == asked
    assert (column(bench, ids), column(bench, ids, "attempts")) == (statuses, attempts)
    if outcome != OURS:
        assert row(bench, ids[0])["last_error"] == "in words for its owner"
    assert bool(row(bench, hook, "webhooks")["failing_since"]) == is_blamed
    bench.now, bench.web.answer = bench.ahead(minutes=1), None
    assert bench.run(JOB) == {**NONE, "delivered": then}


@pytest.mark.parametrize("secret", ["whsec_no base64!", "", "whsec_"])
def test_an_endpoint_whose_secret_is_unusable_fails_like_any_other(bench, hook, secret):     # R42
    bench.db.execute("UPDATE {webhooks} SET secret = :secret", secret=secret)
    ids = [delivery(bench) for _ in range(3)]
    assert bench.run(JOB) == {**NONE, "retried": 1}
    assert row(bench, hook, "webhooks")["failing_since"] == clock.text(bench.now)
    # the others wait for a minute, and pay nothing
    assert column(bench, ids, "attempts") == [2, 1, 1]
    assert column(bench, ids, "last_error")[0] == (
        "the secret of this endpoint is not `whsec_` and base64")
    assert tried(bench, 3 * 24) == ["webhook_failing"]
    assert tried(bench, 2 * 24) == ["webhook_failing", "webhook_disabled"]
    assert bench.web == []


def test_no_delivery_is_begun_without_the_time_for_it(bench, hook):     # R4 R43
    bench.config(core={"grace": "10s"}, retry_webhooks={"budget": "30s"})
    ids = [delivery(bench) for _ in range(5)]

    def answer(_):
        bench.clock.seconds += 12
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    # at 0 and 12 seconds; at 24, 16 are left, and 20 are needed
    assert bench.run(JOB)["delivered"] == 2
    assert bench.result["stop_reason"] == "budget"
    assert column(bench, ids) == ["delivered"] * 2 + ["pending"] * 3


def test_an_answer_in_hand_is_stored_although_the_database_fails_meanwhile(bench, hook):     # R70
    id, failed = delivery(bench), threading.Event()

    def fail() -> None:
        failed.set()                    # what is looked up while the request is in flight
        raise Busy("the database is busy")
    bench.meanwhile("SELECT payload", lambda: bench.meanwhile("SELECT", fail))
    bench.web.answer = lambda _: Response(ANSWERED, 500 if failed.wait(SOON) else 204)
    assert bench.attempt(JOB)["status"] == "partial"
    assert bench.result["counts"] == {**NONE, "retried": 1}
    assert column(bench, [id], "last_error") == ["the endpoint answered 500"]
    assert column(bench, [id]) == ["pending"]


# Who is next. An endpoint has one request in flight, a host two; while others wait, an owner has at
# most half of the eight slots; while working endpoints wait, failing ones have at most two.

GOOD, SILENT = "https://good{id}.example/{owner}", "https://silent{id}.example/{owner}"


class Endpoints:
    """The web. It notes how many requests are in flight at once, by owner, host, `good` and
    `silent`, and in all. No request ends before what is expected of these was seen, or, for silent
    ones, so many were `served`; those that are served end at once then."""

    def __init__(self, served: int = 0, watched: int = 0, **expected: int) -> None:
        self.expected, self.to_serve = Counter(expected), served
        self.watched = watched or served - 8
        self.changed = threading.Condition()
        self.open: Counter = Counter()
        self.most: Counter = Counter()
        # the same until so many as are `watched` have begun: others wait for certain
        self.most_before: Counter = Counter()
        self.begun = self.served = 0
        self.in_time = True

    def __call__(self, sent) -> Response:
        host, owner = sent.url.split("/")[2], sent.url.rpartition("/")[2]
        is_silent = "silent" in host
        names = ("all", host, f"o{owner}", "silent" if is_silent else "good")
        with self.changed:
            self.open.update(names)
            self.most |= self.open
            self.begun += not is_silent
            if self.begun < self.watched:
                self.most_before |= self.open
            self.changed.notify_all()
            self.in_time &= self.changed.wait_for(lambda: self._may_end(is_silent), SOON)
        time.sleep(0.005)                                       # and more would be seen
        with self.changed:
            self.open.subtract(names)
            self.served += not is_silent
            self.changed.notify_all()
        return TIMED_OUT if is_silent else Response(ANSWERED, 204)

    def _may_end(self, is_silent: bool) -> bool:
        if self.to_serve and not is_silent:
            return True
        return self.served >= self.to_serve and not self.expected - self.most


def test_an_endpoint_has_one_request_in_flight_and_a_host_two(bench):     # R44
    bench.web.answer = endpoints = Endpoints(all=5)
    for owner, host, number in ((8, "a", 2), (9, "a", 2), (8, "b", 2), (9, "c", 1)):
        flood(bench, owner, number, 8, url=f"https://{host}.example/{{id}}/{{owner}}")
    assert bench.run(JOB)["delivered"] == 56
    assert endpoints.in_time
    assert endpoints.most["all"] == 5
    assert {name: number for name, number in endpoints.most.items() if ".example" in name} == {
        "a.example": 2, "b.example": 2, "c.example": 1}


# {case: (floods, what is waited for, deliveries, the most while others wait)}
SLOTS: dict = {
    "an owner has half of them while another waits": (
        [(8, 16, 10, GOOD), (9, 16, 10, GOOD)], {"watched": 200, "o8": 4, "o9": 4}, 320,
        {"o8": 4, "o9": 4}),
    "and all of them while nobody waits": ([(7, 16, 3, GOOD)], {"o7": 8}, 48, {}),
    "silent endpoints of one owner leave half to others": (
        [(8, 40, 2, SILENT), (9, 3, 20, GOOD)], {"served": 60}, 60, {"silent": 4}),
    "failing ones have a quarter, and all once the others are served": (
        [*((owner, 2, 1, SILENT, "failing") for owner in range(10, 20)), (9, 1, 40, GOOD)],
        {"served": 40, "silent": 8}, 40, {"silent": 2}),
    "the other owner has what failing ones may not have": (
        [(8, 10, 2, SILENT, "failing"), (9, 16, 10, GOOD)],
        {"watched": 100, "o9": 6, "silent": 2}, 160, {"silent": 2})}


@pytest.mark.slow                   # it waits
@pytest.mark.parametrize("case", SLOTS)
def test_who_has_the_slots(bench, case):     # R44 R66
    floods, awaited, number, most = SLOTS[case]
    bench.web.answer = endpoints = Endpoints(**awaited)
    for owner, hooks, each, url, *failing in floods:
        flood(bench, owner, hooks, each, url=url,
              failing_since=bench.ago(hours=1) if failing else None)
    assert bench.run(JOB)["delivered"] == number
    assert endpoints.in_time
    assert {name: endpoints.most_before[name] for name, limit in most.items()
            if endpoints.most_before[name] > limit} == {}
    # one request to each silent one, whose other deliveries wait
    silent = Counter(sent.url for sent in bench.web if "silent" in sent.url)
    assert len(silent) == sum(hooks for _, hooks, _, url, *_ in floods if url == SILENT)
    assert {*silent.values()} <= {1}


def test_failing_endpoints_take_turns_and_a_run_is_one_time_limit_longer_at_most(bench):   # R44 R66
    flood(bench, 8, 12, 3, url=SILENT, failing_since=bench.ago(hours=1))

    def answer(_) -> Response:
        bench.clock.seconds += 16                               # a second longer than the limit
        return TIMED_OUT
    bench.web.answer = answer
    bench.run(JOB)
    assert (len(bench.web), bench.result["status"]) == (8, "ok")
    bench.now = bench.ahead(minutes=2)                          # the pause of each is over
    bench.run(JOB, limit=4)
    assert len({sent.url for sent in bench.web}) == 12


@pytest.mark.parametrize("number", [1, 700])
def test_a_backlog_for_one_endpoint_lets_its_owners_others_go_first(bench, number):     # R66
    flood(bench, 8, 1, number)
    others = flood(bench, 8, 5, 1)
    bench.run(JOB, limit=20)
    assert {*others} <= {one["webhook_id"] for one in bench.rows("webhook_deliveries")
                         if one["status"] == "delivered"}


# R66; all due rows are found at once, or owner by owner
@pytest.mark.parametrize("per_owner", [9, 200])
def test_the_next_run_goes_on_behind_the_owner_that_was_last(bench, per_owner):
    for owner in range(20, 32):
        flood(bench, owner, 1, per_owner)
    for first in (20, 24, 28):
        bench.web.clear()
        bench.run(JOB, limit=4)
        assert {int(sent.url[9:11]) for sent in bench.web} == set(range(first, first + 4))


@pytest.mark.slow
@pytest.mark.parametrize("owners, endpoints", [(1, 2000), (300, 1)])
def test_what_waits_for_later_costs_what_is_due_no_time(bench, owners, endpoints):     # R66
    """However much there is of it: by the number of statements."""
    for owner in range(100, 100 + owners):
        flood(bench, owner, endpoints, 1)
    bench.db.execute("UPDATE {webhook_deliveries} SET next_attempt_at = :later",
                     later=bench.ahead(minutes=5))
    flood(bench, 9000, 1, 60)               # behind all of these
    assert bench.run(JOB, limit=10)["delivered"] == 10
    assert len(bench.statements) < 10 * 15 + 120
