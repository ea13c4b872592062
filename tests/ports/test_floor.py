"""No SQL in the bundle needs more than SQLite 3.26, MariaDB 10.3 and MySQL 5.7 have."""
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CODE = Path(__file__).parents[2] / "jobs_lib"

STATEMENT = re.compile(r"\b(SELECT\b.*\bFROM\b|INSERT\s+INTO\b|UPDATE\b.*\bSET\b|DELETE\s+FROM\b|WHERE\b"
                       r"|CREATE\s+(TABLE|INDEX|VIEW)\b|ALTER\s+TABLE\b)", re.S)

BEYOND = {
    "a CTE": r"\bWITH\s+(RECURSIVE\s+)?\w+(\s*\([^)]*\))?\s+AS\s*\(",
    "a window function": r"\bOVER\s*\(|\bWINDOW\s+\w+\s+AS\b",
    "RETURNING": r"\bRETURNING\b",
    "SKIP LOCKED or NOWAIT": r"\bSKIP\s+LOCKED\b|\bNOWAIT\b",
    "INSERT ... AS new": r"\)\s*AS\s+new\b",
    "UPDATE ... FROM or a joined UPDATE":
        r"^\s*UPDATE\s+\S+\s+(\w+\s+)?(SET\b(?:(?!\bSELECT\b|\().)*\bFROM\b|(INNER\s+|LEFT\s+)?JOIN\b)",
    "JSON functions": r"\bJSON_\w+\s*\(|->>?",
    "CHECK": r"\bCHECK\s*\(",
    "UPDATE or DELETE ... LIMIT": r"^\s*(UPDATE|DELETE)\b(?:(?!\().)*\bLIMIT\b",
    "LIMIT inside IN": r"\bIN\s*\(\s*SELECT\b[^)]*\bLIMIT\b",
    "DROP COLUMN": r"\bDROP\s+COLUMN\b",
    "a generated column": r"\bGENERATED\s+ALWAYS\b|\bSTORED\b|\bVIRTUAL\b",
    "STRICT": r"\)\s*STRICT\b",
    "a foreign key": r"\bFOREIGN\s+KEY\b|\bREFERENCES\s+\w+\s*\(",
    "INSERT OR / REPLACE INTO": r"\bINSERT\s+OR\b|\bREPLACE\s+INTO\b|\bINSERT\s+IGNORE\b",
    "a FULL or RIGHT JOIN": r"\b(FULL|RIGHT)\s+(OUTER\s+)?JOIN\b",
    "IIF or FILTER or NULLS LAST": r"\bIIF\s*\(|\bFILTER\s*\(\s*WHERE\b|\bNULLS\s+(FIRST|LAST)\b",
    "EXCEPT or INTERSECT": r"\bEXCEPT\s+SELECT\b|\bINTERSECT\b",
    "COALESCE on a column that is compared": r"\bWHERE\b.*\bCOALESCE\s*\([^)]*\)\s*[<>]",
}


def sentences(source):
    """Every string of the source that looks like SQL, constants joined as Python joins them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if STATEMENT.search(text):
            yield node.lineno, text


def beyond(sql):
    return [what for what, pattern in BEYOND.items() if re.search(pattern, sql, re.S | re.I)]


@pytest.mark.parametrize("path", sorted(CODE.rglob("*.py")), ids=lambda path: str(path.relative_to(CODE)))
def test_no_sql_goes_beyond_the_floor(path):
    # R17
    strings = sentences(path.read_text("utf-8"))
    assert [f"line {line}: {what}" for line, sql in strings for what in beyond(sql)] == []


@pytest.mark.parametrize("sql, what", [
    ("WITH old AS (SELECT 1 FROM t) DELETE FROM t", "a CTE"),
    ("SELECT ROW_NUMBER() OVER (ORDER BY id) FROM t", "a window function"),
    ("DELETE FROM t WHERE id = 1 RETURNING id", "RETURNING"),
    ("SELECT id FROM t FOR UPDATE SKIP LOCKED", "SKIP LOCKED or NOWAIT"),
    ("INSERT INTO t (a) VALUES (1) AS new ON DUPLICATE KEY UPDATE a = new.a", "INSERT ... AS new"),
    ("UPDATE t SET a = u.a FROM u WHERE t.id = u.id", "UPDATE ... FROM or a joined UPDATE"),
    ("UPDATE t JOIN u ON t.id = u.id SET t.a = 1", "UPDATE ... FROM or a joined UPDATE"),
    ("SELECT JSON_EXTRACT(a, '$.b') FROM t", "JSON functions"),
    ("DELETE FROM t WHERE a < 1 LIMIT 10", "UPDATE or DELETE ... LIMIT"),
    ("DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 10)", "LIMIT inside IN"),
    ("ALTER TABLE t DROP COLUMN a", "DROP COLUMN"),
    ("SELECT id FROM t WHERE COALESCE(a, b) < :c", "COALESCE on a column that is compared"),
])
def test_the_lint_sees_each_of_them(sql, what):
    assert list(sentences(f"x = {sql!r}"))
    assert what in beyond(sql)


@pytest.mark.parametrize("sql", [
    "SELECT id FROM {t} WHERE id IN (:ids) ORDER BY id LIMIT :most",
    "UPDATE {t} SET a = (SELECT MAX(b) FROM {u}) WHERE id = :id",
    "DELETE FROM {t} WHERE id BETWEEN :a AND :b AND created_at < :c",
    "SELECT a, COALESCE(b, 0) FROM {t}",
])
def test_the_lint_lets_pass_what_all_of_them_know(sql):
    assert beyond(sql) == []


def test_nobody_asks_which_engine_it_is_outside_the_dialects():
    # style.md, habit 13
    found = [str(path.relative_to(CODE)) for path in CODE.rglob("*.py")
             if "dialects" not in path.parts and re.search(r"dialect\.name|==\s*[\"'](sqlite|mysql)[\"']",
                                                           path.read_text("utf-8"))]
    assert found == []
