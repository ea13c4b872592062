"""SQL that the oldest supported engines understand: SQLite 3.26, MariaDB 10.3, MySQL 8.0."""
from __future__ import annotations

import ast
import re

from tests.house.source import is_in, modules, tree, where

STATEMENT = re.compile(r"\b(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\b|UPDATE\s+\S+\s+SET\b"
                       r"|DELETE\s+FROM\b|CREATE\s+\w+|ALTER\s+TABLE\b|DROP\s+\w+\s|WHERE\s"
                       r"|ON\s+(CONFLICT|DUPLICATE)\b|ORDER\s+BY\b|RETURNING\b)")
# What today's engines take, on which all tests run, and older ones do not, or in another sense.
FORBIDDEN = {
    "a window function":                r"\bOVER\s*(\(|\w+\b)",
    "RETURNING":                        r"\bRETURNING\b",
    "SKIP LOCKED, NOWAIT":              r"\bSKIP\s+LOCKED\b|\bNOWAIT\b",
    "CHECK":                            r"\bCHECK\s*\(",
    "DROP COLUMN, RENAME COLUMN":       r"\b(DROP|RENAME)\s+COLUMN\b",
    "a generated column":               r"\bGENERATED\s+ALWAYS\b"
                                        r"|\)\s*(STORED|VIRTUAL|PERSISTENT)\b",
    "EXCEPT, INTERSECT":                r"\b(EXCEPT|INTERSECT)\b",
    "a function of one engine":         r"\b(IIF|CONCAT|CONCAT_WS|STRING_AGG)\s*\(",
    "the database's own clock":         r"\b(NOW|UTC_TIMESTAMP|SYSDATE)\s*\(|'now'"
                                        r"|(?<!DEFAULT )\bCURRENT_TIMESTAMP\b"}
OUTSIDE_BRACKETS = {
    "UPDATE ... FROM":                  r"\bUPDATE\s+\S+\s+SET\b.*\bFROM\b",
    "UPDATE/DELETE ... LIMIT":          r"\b(UPDATE\s+\S+\s+SET|DELETE\s+FROM)\b.*\bLIMIT\b"}
INNERMOST = re.compile(r"\(([^()]*)\)")
# Words of one engine that only its own dialect may say.
DIALECT_WORDS = ("a function of one engine", "UPDATE/DELETE ... LIMIT", "LIMIT inside IN (...)")
# What is used only where the engine is new enough.
GUARDED = {"jobs_lib.database.dialects.sqlite": ("RETURNING",)}


def strings(node: ast.AST):
    """(text, line) of each string that stands alone, is joined or formatted; no docstrings."""
    parts = {id(owner.body[0].value) for owner in ast.walk(node)
             if isinstance(owner, (ast.Module, ast.ClassDef, ast.FunctionDef))
             and owner.body and isinstance(owner.body[0], ast.Expr)}
    for found in ast.walk(node):
        if id(found) in parts:
            continue
        if isinstance(found, ast.JoinedStr):
            parts |= {id(part) for part in ast.walk(found)}
            yield "".join(part.value if isinstance(part, ast.Constant) else " x "
                          for part in found.values), found.lineno
        elif isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value, found.lineno


def mistakes(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    if not STATEMENT.search(text):
        return []
    found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text, re.S)]
    while INNERMOST.search(text):
        if re.search(r"\bIN\s*\(\s*SELECT\b[^()]*\bLIMIT\b[^()]*\)", text):
            found.append("LIMIT inside IN (...)")
        text = INNERMOST.sub(" ", text)
    found += [what for what, pattern in OUTSIDE_BRACKETS.items() if re.search(pattern, text, re.S)]
    return [what for what in found if what not in allowed]


def test_sql_stays_on_the_floor():              # R17
    wrong = []
    for name, path in modules().items():
        allowed = DIALECT_WORDS if is_in(name, "jobs_lib.database.dialects") else ()
        allowed += GUARDED.get(name, ())
        wrong += [f"{where(path, line)}: {what}"
                  for text, line in strings(tree(path)) for what in mistakes(text, allowed)]
    assert not wrong, "\n".join(wrong)


def test_the_net_holds():
    for sql, what in (
            ("SELECT id, row_number() OVER (ORDER BY id) FROM t", "a window function"),
            ("INSERT INTO t (a) VALUES (1) RETURNING id", "RETURNING"),
            ("UPDATE {t} SET a = u.a FROM u WHERE t.id = u.id", "UPDATE ... FROM"),
            ("DELETE FROM {t} WHERE (a < :a OR b IN (:c)) LIMIT 100", "UPDATE/DELETE ... LIMIT"),
            ("DELETE FROM t WHERE id IN (SELECT id FROM t WHERE (a IN (:b)) LIMIT 100)",
             "LIMIT inside IN (...)"),
            ("SELECT id FROM t WHERE a < NOW()", "the database's own clock")):
        assert what in mistakes(sql)
