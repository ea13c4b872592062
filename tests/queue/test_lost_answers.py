"""A database server that goes away between a message and its result: nothing is sent twice."""
from __future__ import annotations

import signal
import threading
from collections import Counter

import pytest

from tests.jobs.test_retry_forwards_kill import Counting as Relay
from tests.jobs.test_retry_webhooks_kill import Counting as Web
from tests.servers.mariadb import ENCODED, USER, MariaDB
from tests.servers.proxy import CutProxy
from tests.support.hooks import fill
from tests.support.product import clock
from tests.support.shell import Shell

pytestmark = pytest.mark.slow
TABLES = {"retry_forwards": "failed_emails", "send_notifications": "notifications",
          "retry_webhooks": "webhook_deliveries"}
NUMBER, STRUCK = 5, 2               # rows, and the message during which something happens
POINTS = range(4)                   # commits after it: its own result, the next begin and result


@pytest.fixture(scope="module")
def server():
    """A server that these tests may kill, and that has by then written what it has committed."""
    with MariaDB("--innodb-flush-log-at-trx-commit=2") as made:
        yield made


class Sent:
    """One job, its rows, and what takes its messages: `strike` is called while the second one is on
    its way, before its answer; `counted` says how often each arrived."""

    def __init__(self, service: Shell, job: str, strike) -> None:
        self.service, self.job = service, job
        other = Web(strike, STRUCK) if job == "retry_webhooks" else Relay(strike, "dot", STRUCK)
        self.other = other

    def __enter__(self) -> Sent:
        service, port = self.service, self.other.__enter__().port
        service.configure("mail", port=port)
        service.configure("webhooks", allow_networks="127.0.0.0/8")
        if self.job == "retry_forwards":
            service.forwards(NUMBER)
        elif self.job == "retry_webhooks":
            fill(service, port, NUMBER, 1)
        else:
            user = service.owner()["user_id"]
            for number in range(NUMBER):
                service.db.insert("notifications", user_id=user, kind="app_own", subject="Hello",
                                  to_email=f"o{number}@home.example", body_text="x\n",
                                  created_at=clock.now())
        return self

    def __exit__(self, *_) -> None:
        self.other.__exit__()

    def counted(self) -> list[int]:
        """How often each of the messages has arrived."""
        return sorted(self.other.count().values())

    def judge(self) -> None:
        """All of them have arrived once, and are stored so, each with one attempt."""
        assert self.counted() == [1] * NUMBER
        db = self.service.db
        assert {*self.service.statuses(TABLES[self.job])} <= {"sent", "delivered"}
        tried = Counter(row["item_id"] for row in db.query("SELECT item_id FROM {attempts}"))
        assert [*tried.values()] == [1] * NUMBER


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("number", POINTS)
@pytest.mark.parametrize("job", TABLES)
def test_a_commit_whose_answer_is_lost_repeats_nothing(tmp_path, server, job, number, before):
    # R22 R70: `before`, the server never got it
    with CutProxy(server.port, b"", before) as proxy:
        name = server.database().partition("?")[0].rpartition("/")[2]
        service = Shell(tmp_path, f"mysql://{USER}:{ENCODED}@127.0.0.1:{proxy.port}/{name}")
        with Sent(service, job, lambda: proxy.once(b"\x03COMMIT", number)) as sent:
            for _ in range(2):          # what was not begun is left to the next run
                assert service(job).code == 0
            assert proxy.cuts == 1
            sent.judge()
        service.close()


@pytest.mark.parametrize("job", TABLES)
def test_a_server_killed_between_a_message_and_its_result_repeats_nothing(tmp_path, server, job):
    # R22 R70
    service, killed = Shell(tmp_path, server.database()), threading.Event()

    def kill() -> None:
        server.stop(signal.SIGKILL)
        killed.set()
    with Sent(service, job, kill) as sent:
        process = service.start(job)
        assert killed.wait(60)
        server.start()
        out, err = process.communicate(timeout=120)
        # it may have had something to ask while the server was away
        assert process.returncode in (0, 1), out + err
        service.run(job)
        sent.judge()
    service.close()
