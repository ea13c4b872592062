"""Owners in turn: in one order, which is the databases' own, whatever an app has put into the
column."""
from __future__ import annotations

from jobs_lib.engines import rotation

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
