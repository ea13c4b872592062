"""SIGKILL at every point of the frame: the next run needs no hand, tells what died, and finishes
the work."""
from __future__ import annotations

import json
import signal

import pytest

# Before the lock, with it, after the sweep, after the row, in the job, between job and end, after
# the end.
POINTS = [
    ("jobs_lib.folders:installation:after", 0),
    ("jobs_lib.runner.locks:FileLock.acquire:after", 0),
    ("jobs_lib.runner.history:sweep:before", 0),
    ("jobs_lib.runner.history:begin:before", 0),
    ("jobs_lib.runner.history:begin:after", 1),
    ("jobs_lib.runner.log:Log.event:after:1", 1),
    ("jobs_lib.runner.context:Context.should_stop:before:1", 1),
    ("jobs_lib.runner.context:Context.progress:after:3", 1),
    ("jobs_lib.runner.context:Context.close:after", 1),
    ("jobs_lib.runner.history:finish:before", 1),
    ("jobs_lib.runner.log:Log.event:before:2", 0),
    ("jobs_lib.runner.locks:FileLock.release:before", 0),
]
DATABASE_POINTS = [
    ("jobs_lib.runner.locks:DatabaseLock.acquire:before", 0),
    ("jobs_lib.runner.locks:DatabaseLock.acquire:after", 0),
    ("jobs_lib.runner.history:begin:after", 1),
    ("jobs_lib.runner.context:Context.should_stop:before:2", 1),
    ("jobs_lib.runner.history:finish:before", 1),
]


def survives(site, point: str, dead: int) -> None:
    """Kill a run at the point; then run the job again, as cron would. `dead`: runs that die with a
    row."""
    site.enable("dig", items="5")
    killed = site("dig", "--scheduled", now="2026-11-24 14:31:00", kill=point)
    assert killed.code == -signal.SIGKILL
    assert site.outcomes("dig") in ([], ["running"] * dead, ["ok"])
    after = site("run-due", now="2026-11-24 14:32:00")
    assert (after.code, after.out, after.err) == (0, "", "")
    assert site.dug() == 5
    statuses = site.outcomes("dig")
    assert statuses.count("vanished") == dead
    assert statuses[-1] == "ok"
    # the slot was started once
    assert sum(row["slot"] is not None for row in site.runs("dig")) == 1


@pytest.mark.parametrize("point, dead", POINTS, ids=[point for point, _ in POINTS])
def test_a_kill_in_the_frame(site, point, dead):                             # R2
    survives(site, point, dead)


@pytest.mark.parametrize("point, dead", DATABASE_POINTS,
                         ids=[point for point, _ in DATABASE_POINTS])
def test_a_kill_with_the_lock_in_the_database(maria_site, point, dead):      # R2, R3
    maria_site.configure(lock="database")
    survives(maria_site, point, dead)


def test_a_vanished_run_is_reported_with_its_last_progress(any_site):            # R2
    worker = any_site.start("dig", "--set", "items=100000", "--set", "pause=50")
    any_site.wait("SELECT progress FROM {job_runs} WHERE progress IS NOT NULL")
    worker.kill()
    worker.communicate()
    any_site.job("dig", "--set", "items=1")
    dead = any_site.runs("dig")[0]
    assert dead["status"] == "vanished"
    progress = json.loads(dead["progress"])
    assert progress["total"] == 100_000
    assert f"process {dead['pid']} on {dead['host']} ended without a word" in dead["error"]
    assert f"last progress: {progress['done']:,} of 100,000 done" in dead["error"]
    event = next(event for event in any_site.events("dig") if event["event"] == "run vanished")
    assert event["dead_run"] == dead["run_id"]
    assert event["level"] == "error"


@pytest.mark.parametrize("progress", ['{"total": 5, "done": [1]}', '{"total": "x"}', "[1]", "{"])
def test_a_vanished_run_whose_progress_is_none_stops_no_run(site, progress):     # R67
    site.job("dig")
    site.db.execute("UPDATE {job_runs} SET status = 'running', progress = :progress",
                    progress=progress)
    assert site.job("dig")["status"] == "ok"
    assert site.outcomes("dig") == ["vanished", "ok"]
