"""What each job says that it works on of the app's tables is what its statements name: no more, and
no less.

That it is no less is looked at in each run of all other tests, too (tests/support/bench.py).
"""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.every_job.test_cut_short import maker
from tests.support import adopted
from tests.support.product import ANSWERED, FAILED, Response, catalogue, clock, tables
from tests.test_hostile_rows import due

# check_jobs leaves out what is not there
JOBS = [job for job in catalogue.load_all() if job.name != "check_jobs"]
OWNER, CLOSED, LEAVING = 1, 52, 50
NOTICES = 60


def filled(bench) -> None:
    """A service in which each job has something to do, and each way that a row can go is gone by
    one of them."""
    maker(bench)()
    bench.table("users", [{"id": 9_003, "status": "deleted"}])          # without a time
    bench.table("audit_logs", [{"user_id": LEAVING, "created_at": bench.now}])
    bench.table("aliases", [{"id": 99_001, "user_id": OWNER, "address": "other@a.example",
                             "domain_id": due(bench, LEAVING)["domains"][0]["id"]}])
    bench.table("export_requests", [{"user_id": CLOSED, "status": "ready", "file_name": "a.zip",
                                     "token_hash": "f" * 64, "expires_at": bench.ahead(days=9)}])
    bench.table("destinations", [{"id": 99_000 + number, "verified_at": bench.now}
                                 for number in range(50)])      # the others are no mass change
    bench.table("notifications", [{"id": 49_000, "user_id": OWNER, "kind": "overflow_warning",
                                   "status": "failed", "finished_at": bench.now}])
    bench.table("overflow_hold", [{"user_id": OWNER, "alias_id": 1, "warning_id": 49_000,
                                   "warned_at": bench.now, "held_at": bench.ago(days=29)}])
    # Warnings that the owner's address refused: the next one is looked for.
    since = bench.ago(days=6)
    bench.table("domains", [{**due(bench, OWNER)["domains"][0], "id": id, "name": f"d{id}.example",
                             "status": "verified", "failing_since": since, "warned_at": warned,
                             "recheck_requested_at": bench.ago(minutes=5)}
                            for id, warned in ((9_005, since), (9_007, None))])
    bench.table("webhooks", [{**due(bench, OWNER)["webhooks"][0], "id": 9_006,
                              "url": "https://failing.example/", "failing_since": since}])
    bench.table("webhook_deliveries", [{**due(bench, OWNER)["webhook_deliveries"][0], "id": 9_006,
                                        "webhook_id": 9_006}])
    bench.table("notifications", [
        {"user_id": OWNER, "kind": kind, "status": "failed", "finished_at": bench.now,
         "dedupe_key": f"{kind.replace('_', '-')}:{id}:{clock.text(since)}"}
        for kind, id in (("domain_failing", 9_005), ("webhook_failing", 9_006))])
    # More than half of a limit: then the one queue of mail looks whether others wait in the other.
    bench.table("notifications", [{**due(bench, OWNER)["notifications"][0], "id": 50_000 + number}
                                  for number in range(NOTICES)])
    silent = iter([Response(FAILED, text="no answer")])
    codes = {"failing": 500, "hook4": 410}
    bench.web.answer = lambda request: next(silent, Response(ANSWERED, next(
        (code for name, code in codes.items() if name in request.url), 204)))


@pytest.mark.slow
def test_each_job_needs_just_what_its_statements_name(bench):        # R14 R20 R75
    filled(bench)
    found: dict = {job.name: set() for job in JOBS}
    columns: set = set()
    for options in ({"mail.per_hour": str(NOTICES)}, {}, {}):       # a day each
        for job in JOBS:
            for dry_run in (True, False):
                bench.run(job, dry_run=dry_run, **options)
                found[job.name] |= adopted.works_on(bench.statements)
                columns |= adopted.written(bench.statements)
        bench.now += timedelta(days=1)
    assert {job.name: sorted(found[job.name] ^ adopted.declared(job)) for job in JOBS
            if found[job.name] != adopted.declared(job)} == {}
    # what the probe of an app's tables writes is what jobs write
    assert columns == {f"{each.name}.{column.name}" for each in tables()
                       for column in each.columns if column.written}


def test_the_look_at_a_queue_needs_no_more_than_its_job(bench):     # R59
    """So where a job can run, its queue can be looked at."""
    filled(bench)
    bench.run("check_jobs")
    needs = [adopted.declared(job) for job in JOBS]
    asked = [names for sql in bench.statements if (names := adopted.works_on([sql]))]
    assert len(asked) > 10
    assert [names for names in asked if not any(names <= needed for needed in needs)] == []
