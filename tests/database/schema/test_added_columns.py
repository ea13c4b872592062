"""The columns that were added while jobs wait to be confirmed are noted for later looks."""
from __future__ import annotations

from jobs_lib.database.connection import connect
from jobs_lib.database.schema import added_columns
from jobs_lib.database.schema.migrations import migrate
from jobs_lib.database.schema.version import ADDED
from tests.support import adopted
from tests.support.databases import NOW


def test_a_column_or_table_that_only_another_version_knows_is_left_out(blank_url):    # R74
    db = connect(adopted.make(blank_url), tables=adopted.TABLES, columns=adopted.COLUMNS)
    migrate(db, NOW, own_only=True)
    db.upsert("meta", {"name": ADDED}, {"value": "destinations.from_later/3f1c/1764340205/ "
                                                 "from_later.id/3f1c/1764340205/1764340505"})
    assert added_columns.open_statements(db, lambda table, column: True, {}) == []
    added_columns.note(db, [])
    assert db.value("SELECT value FROM {meta} WHERE name = :name", name=ADDED) == ""
    db.close()
