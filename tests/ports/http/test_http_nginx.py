"""The same against nginx, with TLS by an authority of the test's own."""
from __future__ import annotations

import ipaddress
import types
from datetime import timedelta

import pytest

from jobs_lib.ports.http import open_poster
from jobs_lib.ports.http.message import ANSWERED, FAILED, Request
from tests.servers.certificates import Authority
from tests.servers.nginx import Nginx


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    authority = Authority(folder)
    with Nginx(folder, authority.chain("127.0.0.1")) as server:
        server.ca_file = authority.ca_file
        yield server


def post(nginx, path: str, ca_file=None):
    section = types.SimpleNamespace(timeout=timedelta(seconds=5), outbox="",
                                    allow_networks=(ipaddress.ip_network("127.0.0.0/8"),),
                                    ca_file=nginx.ca_file if ca_file is None else ca_file)
    return open_poster(section).post(Request("webhook-1", f"https://127.0.0.1:{nginx.port}{path}",
                                             (), b"{}"))


@pytest.mark.parametrize(("path", "status"), [("/ok", 200), ("/moved", 307), ("/gone", 410),
                                              ("/busy", 429),
                                              ("/down", 503)])
def test_each_answer_is_what_nginx_says(nginx, path, status):       # R41
    before = len(nginx.lines())
    answer = post(nginx, path)
    assert (answer.outcome, answer.status) == (ANSWERED, status)
    # and a redirect is not followed
    assert nginx.lines(before + 1)[before:] == [f"POST {path} {status}"]


def test_a_wish_to_wait_is_heard(nginx):       # R41
    before = len(nginx.lines())
    assert post(nginx, "/busy").retry_after == "120"
    nginx.lines(before + 1)


def test_a_certificate_of_an_authority_that_is_not_known_is_refused(nginx):        # R46
    before = len(nginx.lines())
    assert post(nginx, "/ok", ca_file="").outcome == FAILED
    assert post(nginx, "/ok").outcome == ANSWERED
    # of the second alone
    assert nginx.lines(before + 1)[before:] == ["POST /ok 200"]
