"""A run sends the deliveries to an endpoint over one connection, where its server keeps it."""
from __future__ import annotations

import signal
import socket
from collections import Counter

import pytest

from tests.servers.certificates import Authority
from tests.servers.web import Web
from tests.support.hooks import HOSTS, fill
from tests.support.shell import Shell

TAKEN = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
PATIENT = "jobs_lib.ports.http.kept:IDLE=600"       # else an idle second ends a connection
EACH = 10                       # fewer than are claimed together


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8"})
    yield made
    made.db.close()


def heard_of(web: Web) -> Counter:
    """How often each event arrived."""
    return Counter(heard.headers["webhook-id"] for heard in web.requests)


def test_each_endpoint_has_a_connection_of_its_own(service, tmp_path):      # R46 R66
    authority = Authority(tmp_path)
    service.configure("webhooks", ca_file=authority.ca_file, allow_networks="127.0.0.0/8")
    with Web(TAKEN, tls=authority.context(*HOSTS[:2]), host="", keeps=True) as web:
        # two accounts at the same two servers
        ids = [*fill(service, web.port, 2, EACH, HOSTS[:2], "https"),
               *fill(service, web.port, 2, EACH, HOSTS[:2], "https")]
        assert service.job("retry_webhooks", small=PATIENT)["counts"] == {
            "delivered": 40, "retried": 0, "failed": 0}
        assert heard_of(web) == dict.fromkeys(ids, 1)
        assert web.connections == 4
        says = Counter(heard.headers["connection"] for heard in web.requests)
        assert says == {"keep-alive": 36, "close": 4}


def test_a_server_that_closes_after_each_answer_loses_nothing(service):     # R22
    """Although it says that it keeps the connection."""
    def answer(connection, _heard) -> None:
        # the answer and the end in one segment
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(TAKEN)
        connection.shutdown(socket.SHUT_WR)
    with Web(answer, host="") as web:
        ids = fill(service, web.port, 8, EACH)
        assert service.job("retry_webhooks")["counts"] == {"delivered": 80, "retried": 0,
                                                           "failed": 0}
        assert heard_of(web) == dict.fromkeys(ids, 1)


@pytest.mark.slow
def test_a_kill_repeats_only_what_is_in_flight_on_kept_connections(service):        # R22
    def answer(connection, _heard) -> None:
        if len(web.requests) == 30:
            process.kill()
        connection.sendall(TAKEN)
    with Web(answer, host="", keeps=True) as web:
        ids = fill(service, web.port, 8, EACH)
        process = service.start("retry_webhooks", small=PATIENT)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        sending = service.statuses("webhook_deliveries")["sending"]
        assert web.connections <= 8
        assert service.job("retry_webhooks")["counts"]["uncertain"] == sending
        heard = heard_of(web)
        assert set(heard) == set(ids)
        assert sum(heard.values()) - len(ids) <= sending
    assert service.statuses("webhook_deliveries") == {"delivered": 80}
