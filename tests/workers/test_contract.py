"""What every engine has to do: RQ and Celery, both with Redis. One of your own joins the list.

RabbitMQ, which takes ten seconds to start, is the broker where one that is away, full or lost in
mid-run is met, and where messages are taken once.
"""
from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress

import pytest

from tests.servers.ports import free_port
from tests.servers.web import Web
from tests.support.shell import until
from tests.workers.conftest import end


def slots(site, job: str) -> int:
    """How many slots of the job were started."""
    return sum(row["slot"] is not None for row in site.runs(job))


def ended(site, job: str, number: int = 1) -> list[str]:
    """Wait until this many runs of the job are over; how all ended."""
    until(lambda: sum(row["status"] != "running" for row in site.runs(job)) >= number)
    return site.outcomes(job)


def alive(pid: int) -> bool:
    """A zombie, whose parent has not looked at it, is dead."""
    with suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def digging(site, engine, crew, pause: str = "20", items: str = "100000"):
    """A worker in the middle of a run."""
    engine.configure(site)
    site.enable("dig", items=items, pause=pause)
    site("run-due")
    worker = crew(site)
    site.wait("SELECT id FROM {job_runs} WHERE progress IS NOT NULL")
    return worker


def test_workers_run_what_is_due_once(site, engine, crew):                   # R6
    engine.configure(site)
    site.enable("dig", "tick_critical")
    for _ in range(3):
        # messages for the same slot, again and again
        assert site("run-due")[:3] == (0, "", "")
    assert site.runs() == []
    crew(site)
    crew(site)
    ended(site, "dig")
    ended(site, "tick_critical")
    assert {row["trigger_type"] for row in site.runs()} == {"worker"}
    assert site("enqueue", "tick_critical").code == 0
    # so the messages before it are through
    until(lambda: site.outcomes("tick_critical").count("ok") == 2)
    until(lambda: "ok" in site.outcomes("dig"))
    # The second message for a slot may come while the first is worked, and find the lock held.
    worked = [row["status"] for job in ("dig", "tick_critical") for row in site.runs(job)
              if row["status"] != "skipped"]
    assert worked == ["ok"] * 3
    assert (slots(site, "dig"), slots(site, "tick_critical"), site.dug()) == (1, 1, 3)


def test_jobs_move_one_by_one_and_back(site, mode, crew):                  # R6
    site.enable("dig", "tick_normal", "tick_last")
    mode.configure(site)
    site.configure(mode="cron")
    for job in ("dig", "tick_last"):            # as check_jobs: cron's in any mode
        site.configure(job, mode=mode.mode)
    assert site("run-due").code == 0
    assert [(row["job"], row["status"]) for row in site.runs()] == [
        ("tick_normal", "ok"), ("tick_last", "ok")]
    # back, with a message still in the queue
    site.configure("dig", mode="cron")
    assert site("run-due").code == 0
    row, = site.runs("dig")
    assert (row["status"], row["trigger_type"]) == ("ok", "scheduled")
    site.configure(mode=mode.mode)                        # all of them
    site.configure("dig", mode=None)
    assert site("enqueue", "tick_normal").code == 0
    crew(site)
    assert ended(site, "tick_normal", 2) == ["ok", "ok"]
    assert (slots(site, "dig"), slots(site, "tick_normal"), len(site.runs("dig"))) == (1, 1, 1)


@pytest.mark.parametrize("victim", ["worker", "run"])
def test_who_is_killed_is_seen_and_the_job_goes_on(site, mode, crew, victim):    # R2
    first = digging(site, mode, crew)
    row = site.working("dig")
    assert row["pid"] != first.pid                          # a process of its own
    if victim == "worker":
        end(first, signal.SIGKILL)
        crew(site)
    else:
        os.kill(row["pid"], signal.SIGKILL)
    until(lambda: not alive(row["pid"]))
    dug = site.dug() + 20
    site.configure("dig", items=str(dug))
    until(lambda: site("run-due").code == 0 and "ok" in site.outcomes("dig"))
    assert site.outcomes("dig") == ["vanished", "ok"]
    assert [row["trigger_type"] for row in site.runs("dig")] == ["worker", "continue"]
    assert (site.dug(), slots(site, "dig")) == (dug, 1)


def test_a_stopped_worker_finishes_the_item_in_hand(site, mode, crew):     # R5
    first = digging(site, mode, crew, pause="50")
    began = time.monotonic()
    end(first, signal.SIGTERM)                              # to all its processes, as systemd does
    assert time.monotonic() - began < 60
    row = site.runs("dig")[0]
    assert row["status"] == "interrupted"
    assert f'"dug": {site.dug()}' in row["counts"]


@pytest.mark.parametrize("mode, how, outcome", [
    ("rq", "sleep", "timeout"), ("celery", "sleep", "timeout"),
    ("rq", "code_that_holds_all", "vanished")], indirect=["mode"])
def test_a_hang_is_ended_by_our_own_limit(site, mode, crew, how, outcome):   # R4
    """The engine's limit comes later, and is for what nothing else ends. What holds the interpreter
    is ended by a process of ours, in either engine: it is met in one alone."""
    mode.configure(site)
    site.configure(grace="1s")
    site.enable("hang", how=how, budget="1s", schedule="0 3 * * *")
    site("run-due")
    crew(site, small="jobs_lib.runner.limits:LAST_RESORT_SECONDS=2")
    row = until(lambda: site.runs("hang"))[0]
    until(lambda: not os.path.exists(f"/proc/{row['pid']}") or site.outcomes("hang") == [outcome])
    site.configure("hang", how="no")
    if outcome == "vanished":
        site.job("hang", code=1)
    assert (site.outcomes("hang")[0], site.dug()) == (outcome, 0)


@pytest.mark.parametrize("words", ["run-due", "tick_normal --scheduled"])
def test_a_broker_that_is_away_stops_nothing_and_is_said_once_a_day(site, engine, words):   # R1 R69
    site.enable("tick_normal", schedule="*/5 * * * *")
    engine.configure(site, url=engine.broker.url.replace(str(engine.broker.port), str(free_port())))
    asked = site("enqueue", "tick_normal")
    assert (asked.code, asked.out) == (1, "")
    assert asked.err.startswith(f"jobs.py: [worker] {engine.option}: ")
    first, second = (site(*words.split(), now=f"2026-11-24 14:{minute}:00") for minute in (31, 36))
    assert "The jobs of workers are run by cron meanwhile" in first.err
    assert (first.err.count("\n"), second.err) == (1, "")
    assert (site.outcomes(), slots(site, "tick_normal")) == (["ok"] * 2, 2)
    assert max(asked.seconds, first.seconds, second.seconds) < 60
    engine.configure(site)
    assert site(*words.split(), now="2026-11-24 14:41:00").err == ""


# R69 R71
def test_a_worker_without_a_database_alerts_as_cron_does_and_says_it_in_a_line(site, mode, crew):
    site.enable("tick_normal")
    mode.configure(site)
    with Web() as outside:
        site.configure("alerts", webhook=f"http://127.0.0.1:{outside.port}/alert")
        assert site("enqueue", "tick_normal").code == 0
        site.configure(database=f"mysql://jobs:secret-word@127.0.0.1:{free_port()}/none")
        worker = crew(site)
        alert, = until(lambda: outside.requests)
    assert json.loads(alert.body)["incidents"][0]["name"] == "installation:database"
    assert b"secret-word" not in alert.body
    worker.terminate()              # it alone, as its service manager does; it ends its processes
    _, said = worker.communicate(timeout=60)
    assert "Traceback" not in said
    line, = [line for line in said.splitlines() if "jobs.py: " in line]
    assert line.startswith("jobs.py: database none on 127.0.0.1:")


def test_a_broker_that_is_full_stops_nothing(site, engine):                  # R1
    site.enable("tick_normal")
    engine.configure(site)
    engine.broker.fill(True)
    try:
        told = site("run-due")
    finally:
        engine.broker.fill(False)
    assert f"jobs.py run-due: [worker] {engine.option}: " in told.err
    assert "memory" in told.err
    assert told.seconds < 60
    assert site.outcomes() == ["ok"]


def test_a_broker_lost_in_mid_run_loses_nothing(site, engine, crew):         # R1
    first = digging(site, engine, crew, pause="25", items="40")
    engine.broker.stop()
    try:
        assert ended(site, "dig") == ["ok"]
        if engine.mode == "rq":                 # its worker ends, and says why
            assert "connect" in first.communicate(timeout=60)[1]
    finally:
        engine.broker.start()
    site("run-due")
    site.enable("tick_normal")
    site("run-due")
    if engine.mode == "rq":
        crew(site)
    # Celery's worker has found the broker again
    assert ended(site, "tick_normal") == ["ok"]
    assert (site.dug(), slots(site, "dig"), len(site.runs("dig"))) == (40, 1, 1)
