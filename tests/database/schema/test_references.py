"""The one list of which table refers to which is complete and right."""
from __future__ import annotations

from jobs_lib.database.schema.references import PAST_KEYS, REFERENCES, to
from jobs_lib.database.schema.tables import table, tables

# ids given by others, or by us to something that is no row of another table
NOT_REFERENCES = {("webhook_deliveries", "event_id"), ("job_runs", "run_id"),
                  ("attempts", "run_id")}


def test_every_column_that_names_a_row_is_in_the_list():
    listed = {(reference.table, reference.column) for reference in REFERENCES}
    pointers = {(entry.name, column.name) for entry in tables() for column in entry.columns
                if column.type == "ref" or column.name.endswith("_id")}
    assert pointers - listed == NOT_REFERENCES | set(PAST_KEYS)
    assert listed - pointers == set()
    assert len(listed) == len(REFERENCES)


def test_every_reference_is_a_ref_column_to_a_table_with_an_id():
    for reference in REFERENCES:
        column = next(column for column in table(reference.table).columns if column.name
                      == reference.column)
        assert column.type == "ref"
        assert table(reference.target).key == ("id",)
        assert reference.goes in ("with", "stays", "unset", "later")


def test_a_column_that_is_emptied_may_be_empty():
    # R56
    unset = [reference for reference in REFERENCES if reference.goes == "unset"]
    assert unset
    for reference in unset:
        assert next(column for column in table(reference.table).columns if column.name
                    == reference.column).null


def test_whatever_refers_to_something_that_goes_is_reached_by_a_deletion():
    # R56: from the user on, by all that goes with it
    reached = {"users"}
    while more := {reference.table for reference in REFERENCES
                   if reference.target in reached and reference.goes in ("with",
                                                                         "stays")} - reached:
        reached |= more
    assert {reference.table for reference in REFERENCES} == reached - {"users"}


def test_what_belongs_to_an_account_goes_with_it_or_is_made_anonymous():
    # R56
    assert {reference.table for reference in to("users") if reference.goes
            == "stays"} == {"audit_logs"}
    assert {reference.goes for reference in to("users")} == {"with", "stays"}
    assert len(to("users")) >= 17


def test_deleting_an_account_finds_its_rows_by_an_index():
    # R15: each column that names a user, an alias or a destination that goes begins an index or the
    # key
    for reference in REFERENCES:
        if reference.goes == "later" and reference.target not in ("aliases", "destinations"):
            continue
        entry = table(reference.table)
        leading = {columns[0] for columns in [entry.key,
                                              *(index.columns for index in entry.indexes)]}
        if reference.target == "users" or reference.goes == "with":
            assert reference.column in leading, reference
