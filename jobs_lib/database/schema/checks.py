"""What the CHECKs of an app's tables demand of a column alone: many frameworks make one of what is
an ENUM elsewhere, and MariaDB of JSON. The database is asked whether a value passes, in a column of
that very type and collation, and without any row."""
from __future__ import annotations

import re

from jobs_lib.errors import DatabaseError

PIECE = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^]]*\]|\w+|.""",
                   re.DOTALL)
LONGEST_SHOWN = 100         # characters of a check in a sentence
NOT_ENFORCED = "NOT ENFORCED"
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def add(db, catalogue: dict) -> None:
    """Give the facts of each column its `checks`: SQL, each in brackets."""
    for name, columns in catalogue.items():
        ours = {facts["name"].lower() for facts in columns.values()}
        text = "" if next(iter(columns.values()))["is_view"] else _definition(db, name)
        if db.dialect.escapes:
            text = ESCAPED.sub(lambda found: "''" if found[1] == "'" else found[0], text)
        named = [(clause, _names(clause) & ours) for clause in _clauses(text)
                 if not _is_notation(clause)]
        for facts in columns.values():
            facts["checks"] = [clause for clause, names in named
                               if names == {facts["name"].lower()}]
            facts["table"] = db.dialect.quote(db.name(name))


def refusing(db, value, facts: dict) -> str:
    """The first check that a value does not pass, or ""."""
    return next((clause for clause in facts["checks"] if _is_false(db, clause, value, facts)), "")


def short(clause: str) -> str:
    """A check in a sentence."""
    text = " ".join(clause.split())
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def _is_false(db, clause: str, value, facts: dict) -> bool:
    row = (f"SELECT {db.dialect.exact(facts['name'])} FROM {facts['table']} WHERE 1 = 0 "
           "UNION ALL SELECT :value")
    try:
        return db.value(f"SELECT {clause} AS passes FROM ({row}) AS tried", value=value) == 0
    except DatabaseError:
        return False                    # that says nothing of the value


def _definition(db, name: str) -> str:
    try:
        return db.definition(name)
    except DatabaseError:
        return ""                       # rights.py says what may not be done with a table


def _clauses(definition: str) -> list[str]:
    """Of a CREATE TABLE."""
    pieces = [piece for piece in PIECE.findall(definition) if not piece.startswith(("--", "/*"))
              or NOT_ENFORCED in piece] if "check" in definition.lower() else []
    found = []
    for at, piece in enumerate(pieces):
        if piece.upper() == "CHECK" and "(" in pieces[at:]:
            begin = end = pieces.index("(", at)
            depth = 1
            while depth and end + 1 < len(pieces):
                end += 1
                depth += (pieces[end] == "(") - (pieces[end] == ")")
            if NOT_ENFORCED not in "".join(pieces[end:end + 3]):
                found.append("".join(pieces[begin:end + 1]))
    return found


def _is_notation(clause: str) -> bool:
    """Whether statement.py would take a part of it for a value or a table, as in the "__:__" that
    SQLite takes for text."""
    return any(sign in piece for piece in PIECE.findall(clause) if piece[0] != "'"
               for sign in ":{")


def _names(clause: str) -> set[str]:
    return {piece.strip("\"`[]").lower() for piece in PIECE.findall(clause) if piece[0] != "'"}
