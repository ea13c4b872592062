"""The doctor asks the broker, and only where a job is run by workers."""
from __future__ import annotations

import pytest

from jobs_lib.doctor import workers
from tests.servers.ports import free_port


def test_without_workers_nothing_is_asked(lite):
    assert lite.found("workers") == []


@pytest.mark.parametrize("mode, option, url", [("rq", "redis", "redis://127.0.0.1:{}/0"),
                                               ("celery", "broker",
                                                "amqp://guest:hunter2@127.0.0.1:{}//")])
def test_a_broker_that_is_away_is_a_problem_with_its_way_out(lite, mode, option, url):
    lite.configure("retry_webhooks", mode=mode)
    lite.configure("worker", **{option: url.format(free_port())})
    (found,) = lite.found("workers")
    assert found.level == "problem"
    assert f"[worker] {option}: " in found.what
    assert "hunter2" not in str(found)
    assert "`run-due` runs their jobs itself" in found.why
    assert "mode = cron" in found.fix


@pytest.mark.parametrize("url, expected", [                                  # R71
    ("redis://localhost:6379/0", []), ("unix:///run/redis.sock", []),
    ("rediss://:a-word@10.0.0.5/0", []),
    ("redis://10.0.0.5/0", ["problem", "warning"]), ("redis://:a-word@10.0.0.5/0", ["warning"]),
    ("rediss://me:@10.0.0.5/0", ["problem"]), ("redis://10.0.0.5/0?password=a-word", ["warning"]),
    ("amqp://guest:guest@mq.example.org//", ["problem", "warning"]),
    ("amqps://me:a-word@mq.example.org//", []),
    ("amqp://guest:guest@localhost:5672//", []), ("redis://[::1]:6379/0", [])])
def test_a_broker_elsewhere_needs_a_password_and_should_have_tls(url, expected):
    found = list(workers._open("broker", url))
    assert [finding.level for finding in found] == expected
    assert "a-word" not in str(found)
