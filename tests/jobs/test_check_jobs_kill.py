"""A database that is away is alerted by the run itself, once a day; a kill as its end is recorded
loses nothing. Kills of other alerts: tests/storm."""
from __future__ import annotations

import json
import os
import signal
from datetime import timedelta

import pytest

from tests.servers.misbehaving import Relay
from tests.support.product import clock
from tests.support.shell import Shell

JOB = "check_jobs"


@pytest.mark.slow
def test_a_missing_database_is_reported_once_a_day_and_its_end_once(tmp_path, sqlite_url, outside):
    """How many lines it prints: tests/runner/test_incidents.py."""                 # R2 R60
    def named() -> list[str]:
        return [each["name"] for heard in outside.requests
                for each in json.loads(heard.body)["incidents"]]

    with Relay() as relay:
        service = Shell(tmp_path, sqlite_url, alerts={
            "email": "op@example.org", "disk_free": "off",
            "webhook": f"http://127.0.0.1:{outside.port}/in"})
        service.configure("mail", port=relay.port, **{"from": "jobs@service.example"})
        service.configure(database=f"sqlite:///{service.folder}/away.db")
        service.run("retry_forwards", "--dry-run", code=1)
        assert outside.requests == []
        for words in (("run-due",), ("retry_forwards", "--scheduled"), ("retry_forwards",)):
            service.run(*words, code=1)
        assert (named(), len(relay.accepted)) == (["installation:database"], 1)
        file = service.folder / "state" / "incident-database"
        yesterday = (clock.now() - timedelta(hours=24)).timestamp()
        os.utime(f"{file}.told", (yesterday, yesterday))
        service.run("run-due", code=1)
        assert named() == ["installation:database"] * 2

        service.configure(database=service.url)
        service.run(JOB, code=-signal.SIGKILL, kill="jobs_lib.monitoring.alerts:delivered:before")
        service.run(JOB)
        over = [name for name in named() if name.startswith("installation:database ")]
        assert len(set(over)) == 1
        assert not file.exists()
    service.close()
