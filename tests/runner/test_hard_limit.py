"""The hard limit holds whatever hangs, wherever it strikes, and what it ended is recorded."""
from __future__ import annotations

import json
import signal
import time

import pytest

from tests.servers.mariadb import MariaDB
from tests.support.databases import Pool
from tests.support.patience import SOON
from tests.support.shell import Shell, ended, killed, until


@pytest.fixture(scope="module")
def server():
    """A server that these tests may freeze."""
    with MariaDB() as made:
        yield made


@pytest.fixture
def frozen_site(tmp_path, server):
    """(an installation on it, freeze, thaw)."""
    site = Shell.with_odd_jobs(tmp_path / "site", Pool(tmp_path).mariadb(server), grace="1s")
    process = server.process
    yield (site, lambda: process.send_signal(signal.SIGSTOP),
           lambda: process.send_signal(signal.SIGCONT))
    process.send_signal(signal.SIGCONT)
    site.close()


def limited(site, job: str, **options: str) -> None:
    """Two seconds to the hard limit."""
    site.configure(grace="1s")
    site.configure(job, budget="1s", **options)


def assert_ended_by_force(done, within: float = SOON) -> None:
    assert (done.code, done.err.count("\n"), done.seconds < within) == (124, 1, True), done
    assert "ended at the hard limit, 2 seconds after its start" in done.err


@pytest.mark.parametrize("engine, how", [
    *(("site", how) for how in ("sleep", "recv", "swallow", "sqlite")), ("maria_site", "mariadb")])
def test_a_hang_is_ended_at_budget_and_grace(request, engine, how):          # R4
    site = request.getfixturevalue(engine)
    limited(site, "hang", how=how)
    done = site("hang")
    assert_ended_by_force(done)
    assert done.seconds >= 2
    assert done.err.endswith("0 of 1 done\n")
    row, = site.runs("hang")
    assert (row["status"], row["stop_reason"]) == ("timeout", "hard limit")
    assert (site.events("hang")[-1]["status"], site.dug()) == ("timeout", 0)     # rolled back
    site.configure("hang", how="no")
    site("hang")
    # there is no such way to hang: it ran
    assert site.outcomes("hang") == ["timeout", "failed"]


def test_the_server_does_not_finish_what_the_run_gave_up(maria_site):        # R4
    limited(maria_site, "hang", how="mariadb_write", after="no")
    assert maria_site("hang").code == 124
    sleeping = ("SELECT COUNT(*) FROM information_schema.processlist"
                " WHERE info LIKE '%SLEEP(60)%' AND id <> CONNECTION_ID()")
    until(lambda: maria_site.db.value(sleeping) == 0, 30)
    assert maria_site.dug() == 0


def test_code_that_hears_no_signal_is_ended_too(site):                       # R4, R2
    """By the time of the processor that it uses up, also where the run has only waited before."""
    limited(site, "hang", how="code_that_holds_all", waits="1")
    done = site("hang", timeout=200, small="jobs_lib.runner.limits:LAST_RESORT_SECONDS=3")
    assert (done.code, done.err) == (-signal.SIGPROF, "")
    assert 2 + 3 <= done.seconds < 200
    assert site.dug() == 0
    site.configure("hang", how="no")
    site("hang")
    assert site.outcomes("hang")[0] == "vanished"


@pytest.mark.parametrize("point, is_done", [
    ("runner:Run._open_database:before", False), ("runner:Run._begin:after", False),
    ("history:begin:after", False), ("locks:FileLock.acquire:before", False),
    ("runner:Run._real:before", False), ("limits:RunLimits.end:before", True),
    ("runner:Run._finish:before", True), ("history:finish:before", True)])
def test_struck_at_any_point_no_row_is_left_running(site, point, is_done):      # R4
    """What has no row yet stands in the log alone."""
    done = site("dig", "--json", alarm=f"jobs_lib.runner.{point}")
    assert ("Traceback" in done.err, site.dug()) == (False, 3 if is_done else 0)
    ended_as = json.loads(done.out)["status"]
    if not is_done:
        assert (done.code, ended_as) == (124, "timeout")
    assert site.outcomes("dig") in ([ended_as], [] if not is_done else [ended_as])
    assert site.events("dig")[-1]["status"] == ended_as != "running"
    assert site.job("dig")["status"] == "ok"


def test_a_tick_goes_on_with_the_next_job_after_it(site):                       # R4, R9
    site.enable("dig")
    site.enable("fail", how="no")
    done = site("run-due", "--json", alarm="jobs_lib.runner.runner:Run._real:before")
    assert done.code == 124
    assert sorted(run["status"] for run in json.loads(done.out)) == ["ok", "timeout"]


def test_a_process_that_was_frozen_past_its_limit_ends_as_a_timeout(site):      # R4
    limited(site, "hang")
    began = time.monotonic()
    worker = site.start("hang", small="jobs_lib.runner.limits:LAST_RESORT_SECONDS=2")
    site.working("hang")
    worker.send_signal(signal.SIGSTOP)
    # past the limit, and past all that waits behind it
    time.sleep(6)
    worker.send_signal(signal.SIGCONT)
    assert_ended_by_force(ended(worker, began), 6 + SOON)
    assert site.outcomes("hang") == ["timeout"]


def test_a_server_that_freezes_holds_no_run_past_its_limit(frozen_site):        # R4
    site, freeze, thaw = frozen_site
    holder = site.digging()
    holder.send_signal(signal.SIGSTOP)
    limited(site, "dig")
    limited(site, "hang", how="mariadb")
    began = time.monotonic()
    worker = site.start("hang")
    site.working("hang")
    freeze()
    assert_ended_by_force(ended(worker, began))
    for words in (["hang"], ["hang", "--dry-run"]):                             # not even connected
        assert_ended_by_force(site(*words))
    # nor one that only finds the lock held
    assert_ended_by_force(site("dig"))
    thaw()
    killed(holder)
    site.configure("hang", how="no")
    site("hang")
    # what the server could not take stands in the log
    assert site.outcomes("hang")[0] == "vanished"
    assert [event["status"] for event in site.events("hang") if event["event"] == "run ended"
            ][:2] == ["timeout"] * 2


def test_a_file_that_is_locked_in_mid_run_holds_it_no_longer_than_its_limit(site):      # R4
    site.configure(grace="2s")
    site.configure("dig", budget="3s", items="1000", pause="50")
    worker = site.start("dig", small="jobs_lib.database.dialects.sqlite:MARGIN=3")
    until(lambda: site.dug() > 1)
    with site.db.transaction():
        site.db.upsert("meta", {"name": "writer"}, {"value": "here"})
        # it waits till 2 of its 5 seconds have passed: the usual 5 would be too long
        done = ended(worker, time.monotonic())
    assert done.code == 1
    assert "could not be stored" in done.err
    dug = site.dug()
    site.configure("dig", items=str(dug))
    assert site.job("dig")["status"] == "ok"
    assert site.outcomes("dig") == ["vanished", "ok"]
    first, = [event for event in site.events("dig") if event["event"] == "run ended"][:1]
    assert (first["stop_reason"], first["counts"]) == ("busy", {"dug": dug})
