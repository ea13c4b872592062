"""Whatever one account's endpoints do, another account's deliveries arrive: real processes, servers
and look-ups."""
from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from tests.servers.dns_servers import Authority, Unbound
from tests.servers.web import Web
from tests.support.engines import on_sqlite
from tests.support.hooks import fill
from tests.support.shell import ROOT, Shell

# Who waits for whom is decided in the process: on one engine alone.
pytestmark = [pytest.mark.slow, on_sqlite]

RESOLVING = str(ROOT / "tests/support/resolving.py")
ONE_ADDRESS = ("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
               "017700000001", "0177.1")
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Slow(Web):
    """Takes a while; counts what it is asked at once."""

    def __init__(self, seconds: float) -> None:
        super().__init__(self._answer, host="")
        self.seconds, self.open, self.most, self.lock = seconds, 0, 0, threading.Lock()

    def _answer(self, connection, _heard) -> None:
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        time.sleep(self.seconds)
        with self.lock:
            self.open -= 1
        connection.sendall(ANSWER)


def statuses(service: Shell, ids: list) -> Counter:
    """How many of these events are in which status."""
    return Counter(row["status"] for row in service.db.query(
        "SELECT status FROM {webhook_deliveries} WHERE event_id IN (:ids)", ids=ids))


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8", "timeout": "1s"})
    yield made
    made.db.close()


# R66
def test_many_slow_endpoints_of_one_account_leave_a_quick_one_of_another_its_turns(service):
    with Slow(0.6) as slow, Slow(0) as quick:
        fill(service, slow.port, 16, 8, [f"127.0.0.{at}" for at in range(1, 17)])
        theirs = fill(service, quick.port, 1, 20)
        service.job("retry_webhooks", "--limit", "36")
        assert statuses(service, theirs) == {"delivered": 20}
        theirs = fill(service, quick.port, 1, 20)
        service.job("retry_webhooks", "--limit", "28")
        assert statuses(service, theirs) == {"delivered": 20}


def test_a_path_that_hangs_leaves_the_others_of_its_server_their_turns(service):       # R44 R66
    hanging: set = set()

    def answer(connection, heard) -> None:
        if heard.line.split()[1] in hanging:
            time.sleep(1.5)                     # longer than the time limit
        else:
            connection.sendall(ANSWER)
    with Web(answer) as web:
        fill(service, web.port, 3, 2, ["127.0.0.1"])
        hanging.update(f"/{row['id']}" for row in service.db.query("SELECT id FROM {webhooks}"))
        theirs = fill(service, web.port, 1, 200, ["127.0.0.1"])
        done = service.job("retry_webhooks")
    assert statuses(service, theirs) == {"delivered": 200}
    assert done["status"] == "ok"
    assert 1 <= done["counts"]["retried"] <= 3


# R44
def test_many_names_of_one_address_get_two_requests_at_once_and_lose_no_attempt(service):
    with Slow(0.2) as slow, Slow(0) as quick:
        ids = fill(service, slow.port, 8, 2, ONE_ADDRESS)
        theirs = fill(service, quick.port, 1, 20, ["127.0.0.9"])
        counts = service.job("retry_webhooks")["counts"]
        assert counts == {"delivered": 36, "retried": 0, "failed": 0}
        assert slow.most == 2
        assert statuses(service, ids + theirs) == {"delivered": 36}
        assert {row["attempts"] for row in service.db.query("SELECT attempts FROM "
                                                            "{webhook_deliveries}")} == {2}


@pytest.fixture(scope="module")
def names():
    """Name servers that know good.example and service.example, and fail for all of
    spoilt.example."""
    with Authority() as authority, Unbound(authority) as resolver:
        authority.zone("good.example", "@ A 127.0.0.1")
        authority.zone("service.example", "@ A 127.0.0.1")
        authority.zone("spoilt.example", "* A 127.0.0.1")
        authority.spoil("spoilt.example")
        yield resolver


@pytest.mark.slow
@pytest.mark.parametrize("others", [True, False])
# R42 R66
def test_hosts_of_one_account_whose_name_servers_fail_are_not_our_network(service, names, others):
    service.configure("core", app_url="https://service.example")
    with Slow(0) as web:
        spoilt = fill(service, web.port, 60, 1, [f"h{at}.spoilt.example" for at in range(60)])
        theirs = fill(service, web.port, 1, 5, ["good.example"]) if others else []
        done = service.job("retry_webhooks", launcher=RESOLVING, JOBS_DNS_PORT=str(names.port))
    assert (done["status"], done["counts"]) == ("ok", {"delivered": len(theirs), "retried": 60,
                                                       "failed": 0})
    assert statuses(service, spoilt) == {"pending": 60}


@pytest.mark.slow
def test_without_any_name_server_it_is_our_network_and_costs_no_attempt(service):      # R42
    service.configure("core", app_url="https://service.example")
    with Slow(0) as web, Slow(0) as nobody:             # a port where no name server answers
        fill(service, web.port, 20, 1, [f"h{at}.good.example" for at in range(20)])
        done = service.job("retry_webhooks", launcher=RESOLVING, JOBS_DNS_PORT=str(nobody.port))
    assert (done["status"], done["stop_reason"]) == ("partial", "the network is down")
    assert {row["attempts"] for row in service.db.query("SELECT attempts FROM "
                                                        "{webhook_deliveries}")} == {1}
