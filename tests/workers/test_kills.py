"""The kills of the frame (tests/runner/test_kills.py), by a worker's run: each engine goes on as
cron does."""
from __future__ import annotations

import os
import signal

import pytest

from tests.runner.test_kills import DATABASE_POINTS, POINTS
from tests.support.repeats import REPEATS
from tests.support.shell import until
from tests.workers.conftest import end

# all points; usually only before, in, and after the work
SEVERAL = len(REPEATS) > 1
USUAL = ("history:sweep:before", "Context.progress:after:3", "history:finish:before")
CHOSEN = [*[("file", *each) for each in POINTS if SEVERAL or each[0].endswith(USUAL)],
          *[("database", *each) for each in DATABASE_POINTS if SEVERAL
            or each[0].endswith("history:begin:after")]]


@pytest.mark.parametrize("lock, point, dead", CHOSEN, ids=[f"{lock}-{point}" for lock, point,
                                                           _ in CHOSEN])
def test_a_kill_in_the_frame_of_a_worker(site, mode, crew, lock, point, dead):       # R2, R3, R6
    mode.configure(site)
    site.configure(lock=lock)
    site.enable("dig", items="5", schedule="0 3 * * *")
    site("run-due")
    struck = crew(site, kill=point)
    until((site.folder / "struck").exists)
    end(struck, signal.SIGKILL)
    until(lambda: not any(os.path.exists(f"/proc/{row['pid']}") for row in site.runs("dig")))
    assert site.outcomes("dig") in ([], ["running"] * dead, ["ok"])
    site("run-due")
    crew(site)
    until(lambda: "ok" in site.outcomes("dig"))
    assert site.dug() == 5
    assert site.outcomes("dig").count("vanished") == dead
    # the slot was started once
    assert sum(row["slot"] is not None for row in site.runs("dig")) == 1
