"""Runs go after 90 days, but for what the scheduler, the sweep and the operator still need of each
job."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib.jobs.purge_job_history import KEPT
from jobs_lib.runner import history, slots
from tests.support.product import declare

OTHERS = "job <> 'purge_job_history'"           # but for the run that purges


def runs(bench, job: str, *days: float, status: str = "ok", **values) -> list[int]:
    """Runs of a job by hand, begun this many days ago each. Their ids."""
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
    # all among the last ten
    assert purge(bench) == [1, 2, 3, 4]
    young = later(bench, "send_mail")
    assert purge(bench) == [at, after, *young]
    assert bench.result["counts"] == {"deleted": 2}


def test_a_running_row_stays_however_old_it_is(bench):
    running = runs(bench, "send_mail", 200, status="running", finished_at=None)
    gone = runs(bench, "send_mail", 199, status="vanished")
    young = later(bench, "send_mail")
    assert gone[0] not in purge(bench)
    assert bench.ids("job_runs", OTHERS) == [*running, *young]


def test_each_job_keeps_its_last_ten_runs_and_its_last_ten_good_ones(bench):
    goods = runs(bench, "rare", *range(320, 320 - KEPT - 2, -1))
    skipped = runs(bench, "rare", 290, status="skipped")
    bad = runs(bench, "rare", *range(280, 280 - KEPT - 3, -1), status="failed")
    last_skipped = runs(bench, "rare", *range(120, 100, -1), status="skipped")
    # one job does not use up another's
    runs(bench, "another", 300)
    assert purge(bench) == [*goods[2:], *bad[3:], bench.ids("job_runs", "job = 'another'")[0]]
    assert not {*skipped, *last_skipped} & {*bench.ids("job_runs")}


def test_the_condition_names_only_what_is_old_so_jobs_that_run_daily_add_nothing(bench):
    [old] = runs(bench, "gone", 900)
    for name in ("send_mail", "retry_mail", "check_mail"):
        runs(bench, name, *range(100, 0, -1))
    named = []

    def hear(sql, values) -> None:
        if sql.startswith("DELETE"):
            named.append(values["needed"])
    bench.on_statement = hear
    purge(bench)
    assert named[0] == [0, old]


def test_the_usual_time_of_a_job_is_the_same_afterwards(bench):
    for day, seconds in zip(range(400, 400 - 20, -1), range(20)):
        runs(bench, "rare", day, duration_ms=seconds * 1000)
    usual = history.usual_seconds(bench.db, "rare")
    purge(bench)
    assert history.usual_seconds(bench.db, "rare") == usual
    assert len(bench.ids("job_runs", OTHERS)) == KEPT


# A job of each New Year

YEARLY = declare(schedule="0 0 1 1 *", idempotency="counts")(lambda ctx: {})._replace(name="yearly")
SLOT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def slot_run(bench, status: str, slot: datetime = SLOT, **values) -> int:
    """The run that began a slot, 328 days ago and more, and enough others of the job since to push
    it out."""
    return bench.table("job_runs", [{"run_id": f"{slot}", "job": "yearly", "slot": slot,
                                     "started_at": slot, "finished_at": slot, "status": status,
                                     "trigger_type": "scheduled", **values}])[0]


def carried_on(bench, *statuses: str) -> list[int]:
    """The runs that carried it on, a day apart."""
    return bench.table("job_runs", [{"run_id": f"more{number}", "job": "yearly", "status": status,
                                     "trigger_type": "continue", "started_at": SLOT
                                     + timedelta(days=number), "finished_at": SLOT
                                     + timedelta(days=number)}
                                    for number, status in enumerate(statuses, 1)])


def is_due(bench, slot: datetime = SLOT):
    """What the scheduler says of this slot now."""
    return slots.state_of(YEARLY, slot, bench.db, bench.now, lambda row: True)


@pytest.mark.parametrize("first, more", [
    ("ok", []),
    # done, but not by its first run
    ("partial", ["partial", "ok"]),
    # given up after three failures
    ("failed", ["failed", "vanished", "vanished", "failed"]),
    ("vanished", ["partial"] * 30 + ["ok"]),
])
def test_a_slot_that_was_done_is_not_run_again_because_its_row_is_old(bench, first, more):      # R6
    slot_run(bench, first)
    carried_on(bench, *more)
    later(bench, "yearly", trigger_type="manual")
    assert is_due(bench) is None
    purge(bench)
    assert is_due(bench) is None


def test_of_a_slot_that_was_carried_on_for_long_few_rows_are_kept(bench):
    first = slot_run(bench, "partial")
    carried = carried_on(bench, *["partial"] * 30, "failed", *["partial"] * 30)
    young = later(bench, "yearly", trigger_type="manual")
    assert purge(bench) == [first, carried[30], carried[-1], *young]


def test_a_slot_that_is_still_carried_on_stays_so(bench):
    slot_run(bench, "partial")
    carried_on(bench, "partial")
    later(bench, "yearly", trigger_type="manual")
    purge(bench)
    assert is_due(bench).trigger == "continue"


def test_a_clock_that_is_set_back_starts_no_slot_again(bench):      # R6
    before = SLOT.replace(year=2025)
    slot_run(bench, "ok", before)
    slot_run(bench, "ok")
    later(bench, "yearly", trigger_type="manual")
    purge(bench)
    assert is_due(bench, before) is None


def test_what_belongs_to_slots_long_past_goes(bench):
    slots = [slot_run(bench, "partial", SLOT - timedelta(days=days)) for days in range(KEPT + 1, 0,
                                                                                       -1)]
    carried = carried_on(bench, "partial")
    last = slot_run(bench, "ok", SLOT + timedelta(days=9))
    young = later(bench, "yearly", trigger_type="manual")
    assert not {*slots[:2], *carried} & {*purge(bench)}
    assert bench.ids("job_runs", OTHERS) == [*slots[2:], last, *young]


def test_what_the_operator_decided_about_a_job_that_is_gone_stays(bench):
    bench.db.insert("job_state", job="gone", paused_at=bench.ago(days=900))
    runs(bench, "gone", 900)
    purge(bench)
    assert "gone" in [row["job"] for row in bench.rows("job_state")]
    assert len(bench.ids("job_runs", OTHERS)) == 1
