"""Killed at any point, no alert is lost, and the one that had just gone out comes twice at most;
real channels."""
from __future__ import annotations

import json
import os
import signal
from datetime import timedelta

import pytest

from tests.servers.misbehaving import Relay
from tests.servers.web import Web
from tests.support.product import clock
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow
JOB = "check_jobs"
RECORD = "jobs_lib.monitoring.alerts:delivered:before"
SENT = "jobs_lib.monitoring.alert_messages:send:before"


@pytest.fixture
def hook():
    with Web() as web:
        yield web


@pytest.fixture
def relay():
    with Relay() as running:
        yield running


@pytest.fixture
def service(tmp_path, engine_url, hook, relay):
    made = Shell(tmp_path, engine_url, alerts={"email": "op@example.org", "disk_free": "off",
                                                 "webhook": f"http://127.0.0.1:{hook.port}/in"})
    made.configure("mail", port=relay.port, **{"from": "jobs@service.example"})
    yield made
    made.db.close()


def fails(service, job: str) -> None:
    for number in (3, 2, 1):
        at = clock.now() - timedelta(minutes=number)
        service.db.insert("job_runs", run_id=f"{job}{number}", job=job, status="failed",
                          started_at=at, finished_at=at, error=f"{job} broke")


def named(hook) -> list[str]:
    """The incidents that the webhook received, in order."""
    return [each["name"] for heard in hook.requests for each in json.loads(heard.body)["incidents"]]


# (where, how often each channel is notified in the end)
POINTS = {
    "before the rows": (at_sql("INSERT INTO {alerts}"), (1, 1)),
    "mail sent": (f"{SENT}:2", (2, 1)),
    "both sent, not recorded": (RECORD, (2, 2)),
    "at the end": ("jobs_lib.runner.history:finish:before", (1, 1)),
}


# A server's own part in it is the same at each point.
KILLS = [("sqlite", point) for point in POINTS] + [("mariadb", "both sent, not recorded")]
# nothing of it is the database's
SQLITE = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(("engine_url", "point"), KILLS, indirect=["engine_url"])
# R2 R60
def test_a_kill_loses_no_alert_and_repeats_one_at_most(service, hook, relay, point):
    where, notified = POINTS[point]
    fails(service, "purge_sessions")
    for _ in REPEATS:
        service.db.execute("DELETE FROM {alerts}")
        # three killed ones would be an incident
        service.db.execute("DELETE FROM {job_runs} WHERE job = :job", job=JOB)
        relay.accepted.clear()
        hook.requests.clear()
        service.run(JOB, code=-signal.SIGKILL, kill=where)
        service.run(JOB)
        assert (len(relay.accepted), len(hook.requests)) == notified
        assert set(named(hook)) == {"failing:purge_sessions"}
        row = service.db.row("SELECT notified_at FROM {alerts}")
        assert None not in row.values()             # so it is never reported again


@SQLITE
def test_a_missing_database_is_reported_once_a_day_and_its_end_once(service, hook, relay):
    """By the run itself; how many lines it prints: tests/runner/test_incidents.py."""
    service.configure(database=f"sqlite:///{service.folder}/away.db")
    service.run("retry_forwards", "--dry-run", code=1)
    assert hook.requests == []
    for words in (("run-due",), ("retry_forwards", "--scheduled"), ("retry_forwards",)):
        service.run(*words, code=1)
    assert (named(hook), len(relay.accepted)) == (["installation:database"], 1)
    file = service.folder / "state" / "incident-database"
    yesterday = (clock.now() - timedelta(hours=24)).timestamp()
    os.utime(f"{file}.told", (yesterday, yesterday))
    service.run("run-due", code=1)
    assert named(hook) == ["installation:database"] * 2

    service.configure(database=service.url)
    service.run(JOB, code=-signal.SIGKILL, kill=RECORD)
    service.run(JOB)
    over = [name for name in named(hook) if name.startswith("installation:database ")]
    assert len(set(over)) == 1
    assert not file.exists()
