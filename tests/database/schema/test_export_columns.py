"""Every column of a table that holds something about a user is either exported or named with the
reason why not."""
from __future__ import annotations

import pytest

from jobs_lib.database.schema.references import REFERENCES
from jobs_lib.database.schema.tables import table
from jobs_lib.features.exports.columns import KINDS, NOT_EXPORTED


def about_users() -> set[str]:
    """`users`, what refers to it, and what refers to that."""
    found = {"users"}
    while more := {one.table for one in REFERENCES if one.target in found} - found:
        found |= more
    return found


def missing(name: str, columns) -> set[str]:
    """Those of the columns about which nobody has decided."""
    exported = {column for kind in KINDS if kind.table == name for column in kind.columns}
    return set(columns) - exported - set(NOT_EXPORTED.get(name, {}))


def names(name: str) -> list[str]:
    return [column.name for column in table(name).columns]


@pytest.mark.parametrize("name", sorted(about_users()))
def test_each_column_about_a_user_is_exported_or_excluded_with_a_reason(name):         # R52
    assert missing(name, names(name)) == set(), "decide in jobs_lib/features/exports/columns.py"
    assert missing(name, [*names(name), "new_column"]) == {"new_column"}


def test_nothing_is_both_and_nothing_is_listed_that_is_not_there():
    for kind in KINDS:
        assert set(kind.columns) <= set(names(kind.table))
        assert set(kind.columns) & set(NOT_EXPORTED.get(kind.table, {})) == set()
        assert kind.through or set(kind.order) <= set(kind.columns)
    for name, reasons in NOT_EXPORTED.items():
        assert set(reasons) <= set(names(name))
        assert all(reasons.values())
    bookkeeping = {name for name, reasons in NOT_EXPORTED.items() if set(reasons)
                   == set(names(name))}
    assert {kind.table for kind in KINDS} == about_users() - bookkeeping


def test_no_secret_and_no_hash_is_listed():         # R52
    words = ("secret", "hash", "nonce", "password", "cipher", "sha256", "claim", "raw_path",
             "file_name")
    found = {(kind.table, column) for kind in KINDS for column in kind.columns
             if any(word in column for word in words)}
    assert found == {("webhooks", "previous_secret_expires_at")}


def test_pages_are_read_in_the_order_of_an_index_that_begins_with_the_owner():         # R15
    for kind in KINDS:
        entry = table(kind.table)
        if kind.table == "users" or kind.through:
            continue
        # which each index of such a table has at its end
        ends = () if entry.key != ("id",) else ("id",)
        indexes = [columns + ends for columns in (entry.key,
                                                  *(index.columns for index in entry.indexes))
                   if columns[0] == "user_id"]
        wanted = ("user_id", *kind.order)
        assert any(columns[:len(wanted)] == wanted for columns in indexes), kind.name
