"""Runs go after 90 days, but for what the scheduler, the sweep and the operator still need of each
job."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

KEPT = 10                       # runs of each job, and slots
OTHERS = "job <> 'purge_job_history'"           # but for the run that purges


def runs(bench, job: str, *days: float, status: str = "ok", **values) -> list[int]:
    """Runs of a job, by hand if not otherwise, begun this many days ago each. Their ids."""
    return bench.table("job_runs",
                       [{"run_id": f"{job}-{status}-{day}", "job": job, "status": status,
                         "started_at": bench.ago(days=day), "finished_at": bench.ago(days=day),
                         **values} for day in days])


def later(bench, job: str, **values) -> list[int]:
    """Enough young runs that none of the older ones is among the last."""
    return runs(bench, job, *range(KEPT, 0, -1), **values)


def purge(bench, **options) -> list[int]:
    """Run the job; the ids that are left."""
    bench.run("purge_job_history", **options)
    return bench.ids("job_runs", OTHERS)


def test_runs_go_90_days_after_they_began(bench):
    second = 1 / 86400
    # exactly at the limit stays
    _, at, after = runs(bench, "send_mail", 90 + second, 90, 89)
    runs(bench, "send_mail", 99, status="failed", finished_at=bench.ago(days=1))
    running = runs(bench, "send_mail", 200, status="running", finished_at=None)
    # all among the last ten
    assert purge(bench) == [1, 2, 3, 4, 5]
    young = later(bench, "send_mail")
    assert purge(bench) == [at, after, *running, *young]
    assert bench.result["counts"] == {"deleted": 2}


def test_each_job_keeps_its_last_ten_runs(bench):
    bad = runs(bench, "rare", *range(280, 280 - KEPT - 3, -1), status="failed")
    skipped = runs(bench, "rare", *range(120, 100, -1), status="skipped")
    # one job does not use up another's
    runs(bench, "another", 300)
    assert purge(bench) == [*bad[3:], *bench.ids("job_runs", "job = 'another'")]
    assert not {*skipped} & {*bench.ids("job_runs")}


# A job of each New Year

YEARLY = "purge_sessions"       # by its schedule
SLOT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def yearly(bench):
    """The bench with that job, on since long ago."""
    bench.config(**{YEARLY: {"schedule": "0 0 1 1 *"}})
    bench.table("job_state", [{"job": YEARLY, "due_after": bench.ago(days=900)}])
    return bench


def begun(bench) -> list[str]:
    """What the next tick begins of it: how each run was triggered."""
    before = len(bench.rows("job_runs"))
    bench.tick()
    return [row["trigger_type"] for row in bench.rows("job_runs")[before:] if row["job"] == YEARLY]


def slot_run(bench, status: str, slot: datetime = SLOT) -> int:
    """The run that began a slot, 328 days ago and more."""
    return bench.table("job_runs", [{"run_id": f"{slot}", "job": YEARLY, "slot": slot,
                                     "started_at": slot, "finished_at": slot, "status": status,
                                     "trigger_type": "scheduled"}])[0]


def carried_on(bench, *statuses: str) -> list[int]:
    """The runs that carried it on, a day apart."""
    first = (bench.now - SLOT).total_seconds() / 86400
    return [id for number, status in enumerate(statuses, 1) for id in runs(
        bench, YEARLY, first - number, status=status, trigger_type="continue")]


@pytest.mark.parametrize("first, more, next_tick", [
    ("ok", [], []),
    # done, but not by its first run
    ("partial", ["partial", "ok"], []),
    # given up after three failures
    ("failed", ["failed", "vanished", "vanished", "failed"], []),
    ("vanished", ["partial"] * 30 + ["ok"], []),
    # not done: it stays so
    ("partial", ["partial"], ["continue"])])
# R6
def test_a_slot_is_run_as_often_as_it_would_be_were_its_rows_young(yearly, first, more, next_tick):
    slot_run(yearly, first)
    carried_on(yearly, *more)
    later(yearly, YEARLY, trigger_type="manual")
    if not next_tick:
        assert begun(yearly) == []
    purge(yearly)
    assert begun(yearly) == next_tick


def test_what_belongs_to_slots_long_past_goes(bench):
    slots = [slot_run(bench, "partial", SLOT - timedelta(days=days))
             for days in range(KEPT + 1, 0, -1)]
    carried = carried_on(bench, "partial")
    last = slot_run(bench, "ok", SLOT + timedelta(days=9))
    young = later(bench, YEARLY, trigger_type="manual")
    assert not {*slots[:2], *carried} & {*purge(bench)}
    assert bench.ids("job_runs", OTHERS) == [*slots[2:], last, *young]
