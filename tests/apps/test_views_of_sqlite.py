"""In SQLite every table of an app's may be a view with INSTEAD OF triggers: each job does through
them what it does on tables."""
from __future__ import annotations

from tests.apps.test_mariadb_matrix import told
from tests.support import client, databases
from tests.support.bench import Bench
from tests.support.product import NO_DEFAULT, app_tables, connect, ddl, table


def view(name: str) -> str:
    """The statements that put a view over a table, with a journal behind it."""
    each = table(name)
    names = [column.name for column in each.columns]
    stored, key = f"stored_{name}", " AND ".join(f"{one} = OLD.{one}" for one in each.key)
    given = ", ".join(_given(column) for column in each.columns)
    changed = ", ".join(f"{one} = NEW.{one}" for one in names)
    return f"""
        ALTER TABLE {name} RENAME TO {stored};
        CREATE VIEW {name} AS SELECT {", ".join(names)} FROM {stored};
        CREATE TRIGGER {name}_insert INSTEAD OF INSERT ON {name} BEGIN
          INSERT INTO {stored} ({", ".join(names)}) VALUES ({given}); END;
        CREATE TRIGGER {name}_update INSTEAD OF UPDATE ON {name} BEGIN
          UPDATE {stored} SET {changed} WHERE {key}; END;
        CREATE TRIGGER {name}_delete INSTEAD OF DELETE ON {name} BEGIN
          DELETE FROM {stored} WHERE {key}; END;
        CREATE TRIGGER {name}_changed AFTER UPDATE ON {stored} BEGIN
          INSERT INTO journal VALUES ('{name}'); INSERT INTO journal VALUES ('again'); END;
        CREATE TRIGGER {name}_deleted AFTER DELETE ON {stored} BEGIN
          INSERT INTO journal VALUES ('{name}'); END;
    """


def _given(column) -> str:
    """What a new row has: a view knows no defaults."""
    if column.type == "now":
        return f"COALESCE(NEW.{column.name}, CURRENT_TIMESTAMP)"
    if column.default is NO_DEFAULT:
        return f"NEW.{column.name}"
    value = column.default if isinstance(column.default, int) else f"'{column.default}'"
    return f"COALESCE(NEW.{column.name}, {value})"


def test_every_job_does_through_views_what_it_does_on_tables(tmp_path, sqlite_url):  # R14 R75
    plain = Bench(tmp_path, sqlite_url)
    (tmp_path / "views").mkdir()
    url = f"sqlite:///{tmp_path}/views/app.db"
    db = connect(url, create=True)
    for name in app_tables.TABLES:
        for sql in ddl.create_table(db, table(name)):
            db.execute(sql)
    db.close()
    client.run(url, "CREATE TABLE journal (what TEXT);" + "".join(map(view, app_tables.TABLES)))
    databases.migrated(url).close()
    views = Bench(tmp_path / "views", url)
    ours, theirs = told(plain), told(views)
    assert [(one, other) for one, other in zip(ours[:-1], theirs) if one != other] == []
    assert {name for name in ours[-1] if ours[-1][name] != theirs[-1][name]} == set()
    assert views.db.value("SELECT COUNT(*) FROM journal") > 50
    assert len(plain.outbox) > 5
    plain.db.close()
    views.db.close()
