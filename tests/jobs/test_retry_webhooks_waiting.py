"""Endpoints that let a request wait do so together: none of them holds a slot that another could
use."""
from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from jobs_lib.features.webhooks import requests, slots
from jobs_lib.features.webhooks.dispatcher import Dispatcher
from tests.jobs.test_retry_webhooks import JOB, flood
from tests.support.engines import on_sqlite
from tests.support.product import ANSWERED, TIMEOUT, Response

# Who waits for whom is decided in the process: on one engine alone.
pytestmark = [pytest.mark.slow, on_sqlite]

SILENT = "https://silent{id}.example/?{owner}"
QUICK = "https://quick{id}.example/?{owner}"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A tenth of a second: then a request is quiet."""
    monkeypatch.setattr(requests, "PATIENCE", 0.1)


class Endpoints:
    """Silent ones say nothing until so many as are expected wait at once, and the others, which
    answer at once, were `served` so often; and for some time longer, in which more would be seen.

    most      that waited at once, of each owner, and in all
    released  whether it came to that
    """

    def __init__(self, **expected: int) -> None:
        self.expected, self.lock, self.released = expected, threading.Lock(), threading.Event()
        self.waiting: Counter = Counter()
        self.most: Counter = Counter()

    def __call__(self, sent) -> Response:
        names = ("o" + sent.url.rpartition("?")[2], "all")
        if "silent" not in sent.url:
            time.sleep(0.005)
            self._note(["served"])
            return Response(ANSWERED, 204)
        self._note(names)
        self.released.wait(8)
        with self.lock:
            self.waiting.subtract(names)
        return Response(TIMEOUT, text="no answer within 15 seconds")

    def _note(self, names) -> None:
        with self.lock:
            self.waiting.update(names)
            self.most |= self.waiting
            if self.expected and all(self.most[name] >= number
                                     for name, number in self.expected.items()):
                self.expected = {}
                threading.Timer(0.4, self.released.set).start()


def test_ten_silent_endpoints_of_one_account_take_one_time_limit(bench):        # R44 R66
    bench.web.answer = endpoints = Endpoints(o8=10, served=50)
    flood(bench, 8, 10, 1, url=SILENT)
    flood(bench, 9, 10, 5, url=QUICK)
    counts = bench.run(JOB)
    assert (counts["delivered"], counts["retried"]) == (50, 10)
    assert endpoints.released.is_set()
    assert endpoints.most["o8"] == 10


@pytest.mark.parametrize("concurrency, most", [(1, 4), (2, 8), (8, 32), (16, 40)])
# R22 R44
def test_three_more_than_the_slots_may_wait_and_24_at_most(bench, concurrency, most):
    slots.SLOTS = concurrency
    bench.web.answer = endpoints = Endpoints(all=most)
    for owner in (8, 9, 10):
        flood(bench, owner, 20, 1, url=SILENT)
    bench.run(JOB)
    assert endpoints.most["all"] == most


def test_an_owner_has_half_of_the_places_that_wait_while_others_are_due(bench):      # R66
    # they have their own half of the slots all the time
    bench.web.answer = endpoints = Endpoints(o8=12 + 4, served=100)
    flood(bench, 8, 60, 1, url=SILENT)
    flood(bench, 9, 4, 500, url=QUICK)
    bench.run(JOB, limit=1000)
    assert endpoints.released.is_set()
    assert endpoints.most["o8"] == 12 + 4


def test_what_waits_counts_at_its_host(bench):      # R44
    bench.web.answer = endpoints = Endpoints(o8=2)
    flood(bench, 8, 6, 1, url="https://silent.example/{id}?{owner}")
    bench.run(JOB)
    assert endpoints.most["o8"] == 2


# R44 R66
@pytest.mark.parametrize("others, most", [(True, 1), (False, 8)])
def test_endpoints_known_to_fail_go_out_no_faster_as_they_wait(bench, others, most):
    flood(bench, 8, 20, 1, url=SILENT)
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since", since=bench.ago(hours=1))
    if others:
        flood(bench, 9, 6, 300, url=QUICK)      # which leave two slots
    bench.web.answer = endpoints = Endpoints(o8=most)
    bench.run(JOB, limit=1000)
    assert endpoints.most["o8"] == most


def test_a_slow_endpoint_leaves_the_only_slot_to_a_quick_one(bench):        # R66
    slots.SLOTS = 1
    bench.web.answer = endpoints = Endpoints(o8=1, served=5)
    flood(bench, 8, 1, 1, url=SILENT)
    flood(bench, 9, 1, 5, url=QUICK)
    assert bench.run(JOB)["delivered"] == 5
    assert endpoints.released.is_set()


def test_the_loop_does_not_spin_while_it_waits(bench, monkeypatch):
    turns: list = []
    claim = Dispatcher.claim
    monkeypatch.setattr(Dispatcher, "claim", lambda self: turns.append(1) or claim(self))
    bench.web.answer = Endpoints(o8=8)
    flood(bench, 8, 8, 1, url="https://silent{id}.example/?{owner}")
    assert bench.run(JOB)["retried"] == 8
    assert len(turns) < 20
