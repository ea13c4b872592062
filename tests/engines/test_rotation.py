"""Owners in turn: in one order, which is the databases' own, whatever an app has put into the
column."""
from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from jobs_lib.engines import rotation
from jobs_lib.engines.rotation import BEGINNING, Group

# which keeps any value in any column
COLUMN = {"sqlite": ("INTEGER", [3, None, "b", 2.5, "a", 10, b"x", -1]),
          "mysql": ("DOUBLE", [3, None, 2.5, 10, -1])}


def test_owners_of_any_type_come_in_the_order_of_the_database(bench):        # R66 R67
    kind, owners = COLUMN[bench.db.dialect.name]
    bench.db.execute(f"CREATE TABLE odd (user_id {kind})")
    for owner in owners:
        bench.db.execute("INSERT INTO odd (user_id) VALUES (:owner)", owner=owner)
    theirs = [row["user_id"] for row in bench.db.query("SELECT user_id FROM odd ORDER BY user_id")]
    bench.db.execute("DROP TABLE odd")
    assert rotation.in_order(reversed(theirs), rotation.BEGINNING) == theirs
    for at, owner in enumerate(theirs):
        assert rotation.in_order(theirs, owner) == theirs[at + 1:] + theirs[:at + 1]


@given(st.dictionaries(st.integers(0, 30), st.lists(st.booleans(), min_size=1, max_size=9)),
       st.sampled_from([BEGINNING, None, *range(31)]))
def test_a_walk_passes_every_owner_once_around_and_none_that_is_due_as_if_it_were_not(owners,
                                                                                      place):
    entries = [(owner, is_due) for owner in sorted(owners) for is_due in owners[owner]]

    def read(behind, up_to, size):
        rows = [row for row in entries if (behind is None or row[0] > behind)
                and (up_to is None or row[0] <= up_to)][:size]
        return [Group(owner, any(is_due for _, is_due in group))
                for owner, group in groupby(rows, lambda row: row[0])], len(rows) < size
    groups = [group for page in rotation.walk(read, place, 2, 8) for group in page]
    assert [group.owner for group in groups] == rotation.in_order([*owners, None], place)
    assert all(group.is_due is not False for group in groups if any(owners.get(group.owner, ())))


@given(st.lists(st.lists(st.none() | st.integers())))
def test_mixed_takes_the_first_of_each_list_then_the_second(lists):
    expected = sorted((at, number, item) for number, one in enumerate(lists)
                      for at, item in enumerate(map(str, one)))
    assert list(map(str, rotation.mixed(lists))) == [item for _, _, item in expected]
