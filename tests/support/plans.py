"""Reading an engine's plan: which statements would go through a whole table."""
from __future__ import annotations

import re

# rows of a whole table, by the engine's own guess: a LIMIT ends it there
READ_AT_MOST = 1_000
SORTED_AT_MOST = 20_000          # rows that a statement may sort
# whether a table has any row: it ends at the first, whatever the plan says
ANY_ROW = re.compile(r"SELECT \w+ FROM \{\w+\} LIMIT 1")
EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT")


def analyse(database, names) -> None:
    """Let the engine count its rows, so that it plans as on a database in use."""
    if database.dialect.name == "sqlite":
        database.execute("ANALYZE")
    for name in names if database.dialect.name == "mysql" else ():
        database.query(f"ANALYZE TABLE {{{name}}}")


def explain(database, sql: str, **values) -> list[dict]:
    """The engine's own plan for a statement."""
    how = "QUERY PLAN" if database.dialect.name == "sqlite" else "FORMAT=TRADITIONAL"
    return database.query(f"EXPLAIN {how} {sql}", **values)


def problems(database, sql: str, values: dict, large) -> list[str]:
    """What is wrong with the plan of a statement on the tables in `large`; empty if an index serves
    it."""
    if not sql.lstrip().upper().startswith(EXPLAINED) or ANY_ROW.fullmatch(sql):
        return []
    if database.dialect.name == "sqlite":
        # Of a column that is NOT NULL this is never true: SQLite shows a scan that it does not do.
        sql = sql.replace("WHERE status IS NULL", "WHERE status < ''")
    judge = _of_sqlite if database.dialect.name == "sqlite" else _of_mysql
    return [f"{why}: {sql}" for why in judge(explain(database, sql, **values), large)]


def _of_sqlite(plan: list[dict], large) -> list[str]:
    return [step["detail"] for step in plan
            if (found := re.match(r"SCAN (?:TABLE )?(\w+)", step["detail"])) and found[1] in large]


def _of_mysql(plan: list[dict], large) -> list[str]:
    wrong = []
    for step in plan:
        rows, extra = int(str(step["rows"] or 0).partition(" ")[0]), step["Extra"] or ""
        if step["table"] in large and step["type"] in ("ALL", "index") and rows > READ_AT_MOST:
            wrong.append(f"{step['table']}: {step['type']}, {rows} rows")
        if "filesort" in extra and rows > SORTED_AT_MOST:
            wrong.append(f"{step['table']}: sorts {rows} rows")
    return wrong
