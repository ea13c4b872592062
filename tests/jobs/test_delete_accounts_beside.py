"""Beside all other jobs and the app an account goes with all that it has. Kills:
tests/every_job/test_cut_short.py, tests/storm."""
from __future__ import annotations

import json
import time

import pytest

from tests.support.account import everything, found
from tests.support.product import clock, references
from tests.support.shell import Shell

JOB = "delete_accounts"
BESIDE = ("send_notifications", "retry_forwards", "retry_webhooks", "export_accounts",
          "rollup_usage", "check_usage_thresholds", "purge_message_logs")
STAYS = ("aliases", "destinations", "domains", "webhooks", "header_snapshots", "spam_quarantine",
         "overflow_hold")
LATE = {"message_logs": {"direction": "forward", "status": "spam",
                         "created_at": "2025-01-01 00:00:00"}, "sessions": {},
        "notifications": {"kind": "app_own", "to_email": "jane@old.example"},
        "failed_emails": {"envelope_to": "jane@old.example", "raw_path": "jane-late"},
        "export_requests": {}}


@pytest.mark.slow
def test_beside_all_other_jobs_while_the_app_goes_on_writing(bench):
    # R12, R22, R56
    bench.now = clock.now()
    jane = everything(bench, "jane", each=2, status="deleted", deleted_at=bench.ago(days=30))
    boris = everything(bench, "boris", each=2)
    bench.config(core={"app_url": "https://app.example"}, export={"dir": "exports"},
                 mail={"transport": "maildir", "maildir": "out", "domain": "service.example"})
    before = {name: len(bench.rows(name)) for name in STAYS}
    runs = [Shell(bench.folder).start(job, "--json") for job in (*BESIDE, JOB)]
    written = 0

    def write() -> None:
        """What a request does that began before the account was deleted."""
        if bench.db.value(f"SELECT id FROM {{users}} WHERE id = :id{bench.db.for_update}",
                          id=jane.id):
            for name, row in LATE.items():
                bench.db.insert(name, **{**bench._filling(name), "user_id": jane.id, **row})

    while any(each.poll() is None for each in runs):
        bench.db.batch(write)
        written += 1
        time.sleep(0.02)
    for each in runs:
        out, err = each.communicate()
        assert json.loads(out)["status"] in ("ok", "partial"), out + err
    for _ in range(2):
        bench.run(JOB)
        # what a run has held is free by then
        bench.now = bench.ahead(minutes=10)
    assert bench.ids("users") == [boris.id]
    for name in {reference.table for reference in references() if reference.target == "users"}:
        assert {row["user_id"] for row in bench.rows(name)} <= {boris.id, None}, name
    # nor in the mail that went out
    assert found(bench, "jane") == []
    assert {name: before[name] - len(bench.rows(name)) for name in STAYS} == {name: jane.rows[name]
                                                                              for name in STAYS}
    assert written > 3
