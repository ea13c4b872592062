"""On a host that several accounts use, one account's endpoint that hangs speaks of its own URL
only."""
from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from tests.jobs.test_retry_webhooks import JOB, flood
from tests.support.engines import on_sqlite
from tests.support.patience import SOON
from tests.support.product import ANSWERED, FAILED, TIMEOUT, Response, slots

# Who waits for whom is decided in the process: on one engine alone.
pytestmark = on_sqlite

HANGS = 0.4                 # seconds
TIMED_OUT = Response(TIMEOUT, text="no answer within 15 seconds")
UNREACHED = Response(TIMEOUT, text="no connection within 5 seconds", reached=False)


class Host:
    """Hangs where the URL says so, and else answers after a moment; notes what is open at once."""

    def __init__(self, response: Response = TIMED_OUT, address: str = "",
                 until: tuple[str, int] | None = None) -> None:
        self.response, self.address = response, address
        # what hangs does so until this owner has had so many answers, else for some time
        self.until, self.served = until, threading.Event()
        self.lock, self.open, self.ended = threading.Lock(), Counter(), Counter()
        self.heard: Counter = Counter()
        # at each request: those of owner 9 so far, those of 8 that have ended, and are open
        self.seen: list = []

    def __call__(self, sent) -> Response:
        hangs = "hangs" in sent.url
        owner = sent.url.rpartition("?")[2].partition(".")[0]
        with self.lock:
            self.open[owner] += 1
            self.heard[owner] += 1
            self.seen.append((self.heard["9"], self.ended["8"], self.open["8"]))
        if hangs:
            self.served.wait(SOON if self.until else HANGS)
        else:
            time.sleep(0.03 if "slow" in sent.url else 0.005)
        with self.lock:
            self.open[owner] -= 1
            self.ended[owner] += 1
            if self.until and self.ended[self.until[0]] >= self.until[1]:
                self.served.set()
        return self.response if hangs else Response(ANSWERED, 204, address=self.address)


def url(host: str = "shared.example", path: str = "good") -> str:
    return f"https://{host}/{path}?{{owner}}.{{id}}"


def tried(bench) -> Counter:
    """Requests of each owner."""
    return Counter(sent.url.rpartition("?")[2].partition(".")[0] for sent in bench.web)


@pytest.mark.parametrize("hanging", [1, 9])
# R44 R66
def test_a_url_that_hangs_takes_nothing_from_another_owner_on_its_host(bench, hanging):
    bench.web.answer = host = Host(until=("9", 60))
    flood(bench, 8, hanging, 5, url=url(path="hangs"))
    flood(bench, 9, 1, 60, url=url())
    counts = bench.run(JOB)
    assert (counts["delivered"], bench.result["status"]) == (60, "ok")
    assert tried(bench)["8"] <= min(hanging, 3)         # once two hang, the others are left alone
    # of the two places at a host
    assert max(mine for theirs, _, mine in host.seen if 0 < theirs < 60) == 1
    bench.web.clear()
    flood(bench, 9, 1, 60, url=url())
    assert bench.run(JOB)["delivered"] == 60            # and so in the next run


def test_a_url_that_hangs_leaves_its_owners_other_urls_their_turn(bench):      # R44
    bench.web.answer = Host(until=("8", 120))
    flood(bench, 8, 1, 5, url=url(path="hangs"))
    flood(bench, 8, 2, 60, url=url())
    counts = bench.run(JOB)
    assert (counts["delivered"], counts["retried"]) == (120, 1)


def test_an_endpoint_that_works_goes_on_although_two_others_of_its_owner_hang(bench):      # R44
    bench.web.answer = Host()
    flood(bench, 8, 1, 150, url=url())
    flood(bench, 8, 9, 1, url=url(path="hangs"))
    counts = bench.run(JOB)
    assert counts["delivered"] == 150
    assert 2 <= counts["retried"] <= 3                  # not nine time limits one after the other


def test_a_host_where_endpoints_of_two_owners_hang_is_left_alone(bench):       # R44
    slots.SLOTS = 2
    bench.web.answer = Host()
    for owner in (20, 21, 22, 23, 24, 25):
        flood(bench, owner, 1, 3, url=url(path="hangs"))
    flood(bench, 26, 1, 20, url=url(host="other.example"))
    assert bench.run(JOB)["delivered"] == 20
    # the last when one had just ended
    assert set(tried(bench)) - {"26"} in ({"20", "21"}, {"20", "21", "22"})


def test_a_host_that_answers_meanwhile_is_not_left_alone_whatever_hangs(bench):        # R44 R66
    bench.web.answer = Host()
    flood(bench, 7, 1, 200, url=url())
    for owner in (8, 9, 10):
        flood(bench, owner, 1, 3, url=url(path="hangs"))
    assert bench.run(JOB)["delivered"] == 200


@pytest.mark.parametrize("response",
                         [UNREACHED, Response(FAILED, text="no address", reached=False)])
def test_a_server_that_no_connection_can_be_made_to_is_tried_once(bench, response):        # R44
    slots.SLOTS = 1
    bench.web.answer = Host(response)
    flood(bench, 8, 3, 3, url=url(path="hangs"))
    flood(bench, 9, 3, 3, url=url(path="hangs"))
    flood(bench, 10, 1, 20, url=url(host="other.example"))
    assert bench.run(JOB)["delivered"] == 20
    assert tried(bench) == {"8": 1, "10": 20}


def test_a_port_that_takes_no_connection_says_nothing_of_the_hosts_other_ports(bench):     # R44 R66
    bench.web.answer = Host(UNREACHED)
    flood(bench, 8, 1, 3, url=url(host="shared.example:9999", path="hangs"))
    flood(bench, 9, 1, 150, url=url())
    counts = bench.run(JOB)
    assert (counts["delivered"], counts["retried"]) == (150, 1)


def test_an_owner_has_one_place_at_an_address_while_another_waits_there(bench):        # R44 R66
    """Of an address, as many names as they like lead to it: known once the first answer has come
    from there."""
    bench.web.answer = host = Host(address="192.0.2.7")
    flood(bench, 8, 4, 15, url=url(host="h{id}.example", path="slow"))
    flood(bench, 9, 1, 90, url=url(host="nine.example"))
    assert bench.run(JOB)["delivered"] == 150
    assert max(mine for theirs, ended, mine in host.seen if ended >= 4 and theirs < 88) == 1
    assert max(mine for _, _, mine in host.seen[-20:]) == 2         # once nobody else waits
