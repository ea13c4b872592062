"""SIGKILL at every point of the frame: the next run needs no hand, tells what died, and finishes
the work."""
import json
import signal

import pytest

from tests.support.shell import killed

# Before the lock, with it, after the sweep, after the row, in the job, between job and end, after
# the end.
POINTS = [
    ("folders:installation:after", 0), ("runner.history:sweep:before", 0),
    ("runner.history:begin:before", 0), ("runner.history:begin:after", 1),
    ("runner.log:Log.event:after:1", 1), ("runner.context:Context.should_stop:before:1", 1),
    ("runner.context:Context.progress:after:3", 1), ("runner.context:Context.close:after", 1),
    ("runner.history:finish:before", 1), ("runner.log:Log.event:before:2", 0),
    ("runner.locks:FileLock.acquire:after", 0), ("runner.locks:FileLock.release:before", 0)]
DATABASE_POINTS = [
    ("runner.locks:DatabaseLock.acquire:before", 0),
    ("runner.locks:DatabaseLock.acquire:after", 0), ("runner.history:begin:after", 1),
    ("runner.context:Context.should_stop:before:2", 1), ("runner.history:finish:before", 1)]


@pytest.mark.parametrize("lock, point, dead", [
    *(("file", *each) for each in POINTS), *(("database", *each) for each in DATABASE_POINTS)])
def test_a_kill_in_the_frame(request, lock, point, dead):                    # R2, R3
    """Then the job is run again, as cron would. `dead`: runs that die with a row."""
    site = request.getfixturevalue("site" if lock == "file" else "maria_site")
    site.configure(lock=lock)
    site.enable("dig", items="5")
    killed = site("dig", "--scheduled", now="2026-11-24 14:31:00", kill=f"jobs_lib.{point}")
    assert killed.code == -signal.SIGKILL
    assert site.outcomes("dig") in ([], ["running"] * dead, ["ok"])
    after = site("run-due", now="2026-11-24 14:32:00")
    assert (after.code, after.out, after.err) == (0, "", "")
    assert site.dug() == 5
    statuses = site.outcomes("dig")
    assert (statuses.count("vanished"), statuses[-1]) == (dead, "ok")
    # the slot was started once
    assert sum(row["slot"] is not None for row in site.runs("dig")) == 1


def test_a_killed_run_is_shown_as_vanished_and_reported_by_the_next_one(any_site):  # R2 R59 R69
    site = any_site
    site.enable("dig")
    worker = site.digging()
    site.wait("SELECT progress FROM {job_runs} WHERE progress IS NOT NULL")
    assert site.json("history", "dig")[0]["status"] == "running"
    killed(worker)
    assert site.json("history", "dig")[0]["status"] == "vanished?"
    for words in ("list", "status", "report"):
        assert "vanished?" in site(words).out
    assert site.outcomes("dig") == ["running"]          # whoever looks writes nothing
    site.job("dig", "--set", "items=1")
    dead = site.runs("dig")[0]
    assert dead["status"] == "vanished"
    progress = json.loads(dead["progress"])
    assert progress["total"] == 100_000
    assert f"process {dead['pid']} on {dead['host']} ended without a report" in dead["error"]
    assert f"last progress: {progress['done']:,} of 100,000 done" in dead["error"]
    event = next(event for event in site.events("dig") if event["event"] == "run vanished")
    assert (event["dead_run"], event["level"]) == (dead["run_id"], "error")


@pytest.mark.parametrize("progress", ['{"total": 5, "done": [1]}', '{"total": "x"}', "[1]", "{"])
def test_a_vanished_run_whose_progress_is_none_stops_no_run(site, progress):     # R67
    site.job("dig")
    site.db.execute("UPDATE {job_runs} SET status = 'running', progress = :progress",
                    progress=progress)
    assert site.job("dig")["status"] == "ok"
    assert site.outcomes("dig") == ["vanished", "ok"]
