"""Several workers share a queue: each item is done once, and what is limited stays limited for all
of them together."""
from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.catalogue import load_all
from jobs_lib.config import loader
from jobs_lib.monitoring import health
from jobs_lib.shards import is_mine
from tests.servers.smtp_sink import Sink
from tests.servers.web import Web
from tests.support.hooks import HOSTS, fill
from tests.support.shell import Shell, until

pytestmark = pytest.mark.slow
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
SHARDS = 3


@pytest.fixture
def service(tmp_path, engine_url, rq):
    """The real jobs, on each database, worked by RQ's workers."""
    made = Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8"})
    rq.configure(_Core(made), shards=SHARDS)
    yield made
    made.db.close()


class _Core:
    """A Service, configured as a Site is."""

    def __init__(self, service: Shell) -> None:
        self._service = service

    def configure(self, section: str = "core", **options) -> None:
        self._service.configure(section, **options)


class Endpoints(Web):
    """Answers after 50 ms; the most that it was asked at once, by host and by endpoint."""

    def __init__(self) -> None:
        super().__init__(self._answer, host="")
        self.open, self.most, self.lock = Counter(), Counter(), threading.Lock()

    def _answer(self, connection, heard) -> None:
        keys = (heard.headers["host"], heard.line.split()[1])
        with self.lock:
            for key in keys:
                self.open[key] += 1
                self.most[key] = max(self.most[key], self.open[key])
        time.sleep(0.05)
        with self.lock:
            self.open.subtract(keys)
        connection.sendall(ANSWER)


def over(service: Shell, job: str) -> dict[str, str]:
    """Wait until every shard of the job has had its run: {shard: how it ended}."""
    def look():
        rows = service.db.query("SELECT job, status FROM {job_runs} WHERE status <> 'running'")
        found = {row["job"]: row["status"] for row in rows if row["job"].partition("#")[0] == job}
        return found if len(found) == SHARDS else None
    return until(look)


def test_webhooks_arrive_once_within_their_limits(service, crew):            # R22
    with Endpoints() as web:
        ids = fill(service, web.port, 32, 4)
        service.run("enqueue", "retry_webhooks")
        for _ in range(SHARDS):
            crew(service, "--burst")
        assert set(over(service, "retry_webhooks").values()) == {"ok"}
        arrived = Counter(heard.headers["webhook-id"] for heard in web.requests)
    assert arrived == Counter(ids)
    hosts = {key: most for key, most in web.most.items() if not key.startswith("/")}
    assert len(hosts) == len(HOSTS)
    # 2 at once for a host, 1 for an endpoint, of all workers
    assert max(hosts.values()) <= 2
    assert max(most for key, most in web.most.items() if key.startswith("/")) == 1


def test_the_relays_limit_holds_for_all_workers(service, crew):
    with Sink() as sink:
        service.configure("mail", port=sink.port, per_hour=20, urgent_share="0")
        service.forwards(40)
        service.run("enqueue", "retry_forwards")
        for _ in range(SHARDS):
            crew(service, "--burst")
        over(service, "retry_forwards")
        assert len(sink.messages()) == 20
        assert max(sink.count().values()) == 1
    assert service.statuses() == {"sent": 20, "pending": 20}
    assert not service.db.query("SELECT id FROM {failed_emails} WHERE claim_run IS NOT NULL")


def test_one_notice_for_an_owner_whichever_worker_gives_up(service, crew):            # R27
    with Sink("-r", "RCPT") as sink:                        # refuses for good
        service.configure("mail", port=sink.port)
        owner = service.owner(email="owner@work.example")       # an address that does not refuse
        service.forwards(30, attempts=4, last_attempt_at=clock.now() - timedelta(days=3), **owner)
        service.run("enqueue", "retry_forwards")
        for _ in range(SHARDS):
            crew(service, "--burst")
        over(service, "retry_forwards")
    assert service.statuses() == {"failed": 30}
    assert service.db.value("SELECT COUNT(*) FROM {notifications} "
                            "WHERE kind = 'forward_failed'") == 1


def test_exports_are_shared_with_one_live_for_each_account(service, crew):    # R55
    service.configure(app_url="https://app.example")
    service.configure("export", dir="exports")
    owners = [service.owner(email=f"owner{number}@home.example")["user_id"] for number in range(5)]
    for owner in owners * 2:
        service.db.insert("export_requests", user_id=owner, status="queued",
                          requested_at=clock.now())
    service.run("enqueue", "export_accounts")
    for _ in range(SHARDS):
        crew(service, "--burst")
    assert set(over(service, "export_accounts").values()) == {"ok"}
    # a second one may wait for the first
    assert service.statuses("export_requests").get("queued", 0) <= 5
    ready = service.db.query("SELECT user_id FROM {export_requests} WHERE status = 'ready' "
                             "ORDER BY user_id")
    assert [row["user_id"] for row in ready] == owners


def test_a_run_by_hand_does_all_shards_and_no_worker_beside_it(service, crew):
    with Endpoints() as web:
        ids = fill(service, web.port, 16, 6)
        by_hand = service.start("retry_webhooks")
        until(lambda: web.requests)
        service.run("enqueue", "retry_webhooks")
        for _ in range(SHARDS):
            crew(service, "--burst")
        assert set(over(service, "retry_webhooks").values()) <= {"skipped", "ok"}
        assert by_hand.wait(60) == 0
        by_hand.communicate()
        assert Counter(heard.headers["webhook-id"] for heard in web.requests) == Counter(ids)


def test_a_shard_that_fails_is_seen_as_its_job(service):
    now = clock.now()
    runs = (("retry_forwards", "ok"), ("retry_forwards#1", "ok"), *[("retry_forwards#2", "failed")]
            * 3)
    for number, (shard, status) in enumerate(runs):
        service.db.insert("job_runs", run_id=str(number), job=shard, trigger_type="worker",
                          status=status, started_at=now, finished_at=now, error="the disk is on "
                          "fire" if status == "failed" else None)
    settings = loader.load(None, beside=str(service.folder), environ={})
    found = health.collect(service.db, settings, load_all(), now)
    job = found.jobs["retry_forwards"]
    assert (job.failures, job.last_error) == (3, "the disk is on fire")
    assert "retry_forwards#2" in service.run("history", "retry_forwards")
    assert "retry_forwards has failed 3 times" in service.run("status", code=1)


def test_every_key_belongs_to_one_shard():
    for count in (1, 2, 5, 64):
        for key in ("shop.example", "a", ""):
            assert sum(is_mine((which, count), key) for which in range(count)) == 1
