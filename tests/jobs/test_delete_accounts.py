"""Deleted accounts are shut at once, and go with all they have after the grace."""
from __future__ import annotations

import json

from jobs_lib.schema.references import REFERENCES
from tests.support.account import everything, found

JOB = "delete_accounts"


def test_an_account_with_every_kind_of_row_goes_with_all_of_it_and_no_other(bench):
    # R56
    jane = everything(bench, "jane", status="deleted", deleted_at=bench.ago(days=8))
    sam = everything(bench, "sam")
    before = {name: len(bench.rows(name)) for name in jane.rows}
    bench.run(JOB)
    for reference in REFERENCES:
        if reference.target == "users":
            assert {row[reference.column] for row in bench.rows(reference.table)} <= {sam.id, None}, reference
    anonymous = {"audit_logs": jane.rows["audit_logs"] + 1}                 # and one that tells of the deletion
    assert {name: len(bench.rows(name)) for name in before} == {
        name: number - jane.rows[name] + anonymous.get(name, 0) for name, number in before.items()}
    assert found(bench, "jane") == []
    assert len(found(bench, "sam")) > 50
    (row,) = bench.rows("account_deletions")
    assert json.loads(row["counts"]) == jane.rows
    assert row["completed_at"] is not None
