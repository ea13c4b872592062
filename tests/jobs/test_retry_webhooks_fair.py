"""Who is next. An endpoint has one request in flight, a host two; while others wait, an owner has
at most half of the eight slots; while working endpoints wait, failing ones have at most two."""
from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from tests.support.databases import bulk
from tests.support.hooks import SECRET, flood
from tests.support.patience import SOON
from tests.support.plans import analyse, problems
from tests.support.product import ANSWERED, TIMEOUT, Response, clock

JOB = "retry_webhooks"
TIMED_OUT = Response(TIMEOUT, text="no answer within 15 seconds")
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


@pytest.mark.slow                   # it waits
def test_an_owner_has_half_of_the_slots_while_others_wait(bench):     # R66
    bench.web.answer = endpoints = Endpoints(watched=200, o8=4, o9=4)
    for owner in (8, 9):
        flood(bench, owner, 16, 10, url=GOOD)
    assert bench.run(JOB)["delivered"] == 320
    assert endpoints.in_time
    assert [endpoints.most_before[name] for name in ("all", "o8", "o9")] == [8, 4, 4]
    bench.web.answer = endpoints = Endpoints(o7=8)              # nobody else waits
    flood(bench, 7, 16, 3, url=GOOD)
    assert bench.run(JOB)["delivered"] == 48
    assert endpoints.most["o7"] == 8


def test_silent_endpoints_of_one_owner_leave_the_others_half_of_the_slots(bench):     # R44 R66
    bench.web.answer = endpoints = Endpoints(served=60)
    flood(bench, 8, 40, 2, url=SILENT)
    flood(bench, 9, 3, 20, url=GOOD)
    assert bench.run(JOB)["delivered"] == 60
    assert endpoints.in_time
    assert endpoints.most_before["silent"] <= 4
    silent = [sent.url for sent in bench.web if "silent" in sent.url]
    assert len(silent) == len({*silent}) == 40      # one request to each, and its other one waits


def test_failing_endpoints_have_a_quarter_of_the_slots_while_working_ones_wait(bench):     # R44 R66
    since = bench.ago(hours=1)
    bench.web.answer = endpoints = Endpoints(served=40, silent=8)
    for owner in range(10, 20):
        flood(bench, owner, 2, 1, url=SILENT, failing_since=since)
    flood(bench, 9, 1, 40, url=GOOD)
    assert bench.run(JOB)["delivered"] == 40
    assert endpoints.in_time
    assert endpoints.most_before["silent"] == 2
    assert endpoints.most["silent"] == 8                        # once the others are served
    assert len({sent.url for sent in bench.web}) == 21


def test_failing_endpoints_take_turns_over_the_runs(bench):     # R66
    """However many of one owner are silent: the one tried longest ago is next."""
    flood(bench, 8, 12, 3, url=SILENT, failing_since=bench.ago(hours=1))
    bench.web.answer = lambda _: TIMED_OUT
    tried = []
    for _ in range(3):
        bench.web.clear()
        bench.run(JOB, limit=4)
        tried += [sent.url for sent in bench.web]
        bench.now = bench.ahead(minutes=2)                      # the pause of each is over
    assert (len(tried), len(set(tried))) == (12, 12)


def test_failing_endpoints_make_a_run_one_time_limit_longer_at_most(bench):     # R44
    flood(bench, 8, 12, 1, url=SILENT, failing_since=bench.ago(hours=1))

    def answer(_) -> Response:
        bench.clock.seconds += 16                               # a second longer than the limit
        return TIMED_OUT
    bench.web.answer = answer
    bench.run(JOB)
    assert (len(bench.web), bench.result["status"]) == (8, "ok")
    bench.run(JOB)
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
@pytest.mark.parametrize("owners, endpoints", [(1, 20_000), (5000, 1)])
def test_what_waits_for_later_costs_what_is_due_no_time(bench, owners, endpoints):     # R15 R66
    """However much there is of it: by the number of statements, each of which is served by an
    index."""
    now, later = clock.text(bench.now), clock.text(bench.ahead(minutes=5))
    made = [(id, 100 + id % owners) for id in range(1, owners * endpoints + 1)]
    bulk(bench.db, "users", ["id", "email", "status", "created_at"],
         [(100 + at, f"u{at}@home.example", "active", now) for at in range(owners)])
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(id, owner, f"https://w{id}.example/", SECRET, now) for id, owner in made])
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                          "attempts", "created_at", "last_attempt_at",
                                          "next_attempt_at"],
         [(owner, id, f"w{id}", "{}", 2, now, now, later) for id, owner in made])
    flood(bench, 99_000, 1, 2100)           # behind all of these
    analyse(bench.db, ("webhooks", "webhook_deliveries"))
    asked: list = []

    def answer(_) -> Response:
        asked.append(len(bench.statements))
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    heard: dict = {}
    bench.on_statement = heard.setdefault
    bench.run(JOB, limit=40)
    assert len(bench.web) == 40
    assert asked[0] < 120
    assert len(bench.statements) < 40 * 15 + 120
    assert [why for sql, values in heard.items() for why in problems(
        bench.db, sql, values, ("webhooks", "webhook_deliveries"))] == []
