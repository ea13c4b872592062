"""An SQL expression in the place of a column's name in `[columns]`, for an app that stores the same
in another way.

    users.status = CASE state WHEN 2 THEN 'suspended' WHEN 3 THEN 'deleted' ELSE 'active' END
        write state = CASE :value WHEN 'suspended' THEN 2 WHEN 'deleted' THEN 3 ELSE 1 END

The first part is what is read. Each `write COLUMN = ...`, on a line of its own, is what is set
where a job writes our column; `:value` is what the job writes. Without such a line the column can
only be read. Text is in single quotes, and a name that is a word of SQL in backticks.
"""
from __future__ import annotations

import re
from functools import lru_cache

from jobs_lib.records import namedtuple

from .schema import CONSTANTS, is_word


class Expression(namedtuple("Expression", "read writes")):
    """What stands for a column of ours.

    read    pieces ((kind, text), ...): "text" as it is written, "column" one of the table's,
            "value" what is written
    writes  ((column, pieces), ...) that are set; () where it can only be read
    """

    @property
    def columns(self) -> tuple:
        """All that it names."""
        return _columns(self.read, *([("column", column), *pieces]
                                     for column, pieces in self.writes))

    @property
    def read_columns(self) -> tuple:
        """Those that what is read depends on."""
        return _columns(self.read)

    @property
    def reads_to_write(self) -> tuple:
        """The columns of the stored row that what is written depends on."""
        return _columns(*(pieces for _, pieces in self.writes))

    def text(self, dialect, prefix: str = "") -> str:
        """SQL for what is read, in brackets; `prefix`: what its table is called there."""
        return f"({written(self.read, dialect, prefix)})"

    def texts_of_writes(self, dialect) -> list:
        """SQL for what is written, in the order of `writes`, each with `:value` in it."""
        return ["(" + written([("text", "(:value)") if kind == "value" else (kind, text)
                               for kind, text in pieces], dialect) + ")"
                for _, pieces in self.writes]


def written(pieces, dialect, prefix: str = "") -> str:
    """SQL for pieces without a value."""
    table = f"{prefix}." if prefix else ""
    return "".join(f"{table}{dialect.exact(text)}" if kind == "column" else text
                   for kind, text in pieces)


def _columns(*parts) -> tuple:
    return tuple(dict.fromkeys(text for pieces in parts for kind, text in pieces
                               if kind == "column"))


PIECE = re.compile(r"'(?:[^']|'')*'|`[^`]*`|:\w+|\d+(?:\.\d+)?|\w+|\s+|.", re.DOTALL)
HYPHENS = re.compile(r"\w+(-\w+)+")         # such as a column that is called `e-mail`
WRITE = re.compile(r"\n\s*write\s", re.IGNORECASE)
ASSIGNED = re.compile(r"(`\w+`|\w+)\s*=(?!=)\s*(.+)", re.DOTALL)
# Words that are no columns; one that is called so is put in backticks.
WORDS = CONSTANTS | {
    "CASE", "WHEN", "THEN", "ELSE", "END", "AND", "OR", "NOT", "XOR", "IS", "IN", "LIKE",
    "BETWEEN", "DIV", "MOD", "REGEXP", "RLIKE", "GLOB", "ESCAPE", "BINARY", "INTERVAL",
    "AS", "CURRENT_TIMESTAMP"}
NAMING = {"USING", "COLLATE"}               # a word of SQL follows
UNITS = {"MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
QUERY = {"SELECT", "FROM", "WHERE", "JOIN", "UNION", "EXISTS", "OVER"}
WRONG = {
    '"': "expected text in 'single quotes', and a name without quotes or in `backticks`",
    ";": "expected one expression, without a semicolon",
    "#": "expected no comment in it", "--": "expected no comment in it",
    "/*": "expected no comment in it",
    ".": "expected names of columns without their table",
    "\\": ("expected no backslash (a quote within a text is written twice; CHAR(92) is a "
           "backslash, and in LIKE 'App_Models_Domain' the _ is any character)"),
    "'": "expected a ' at the end of the text", "`": "expected a ` at the end of the name",
}
PLAIN = set("()+-*/%<>=!,|&~^")


@lru_cache(maxsize=1000)
def parse(text: str) -> Expression:
    """The text of an option. ValueError says what was expected."""
    if HYPHENS.fullmatch(text):
        raise ValueError("expected letters, digits and _, or an expression with blanks around its "
                         "operators")
    first, *rest = WRITE.split(text.strip())
    read = _pieces(first)
    if any(kind == "value" for kind, _ in read):
        raise ValueError(":value is what a job writes, and belongs behind `write COLUMN =` on a "
                         "line of its own")
    writes = []
    for line in rest:
        found = ASSIGNED.fullmatch(line.strip())
        if not found:
            raise ValueError("expected `write COLUMN = ...`, with a column of the same table")
        writes.append((found[1].strip("`"), _pieces(found[2])))
    if writes and not any(kind == "value" for _, pieces in writes for kind, _ in pieces):
        raise ValueError("expected :value, which is what a job writes, behind `write COLUMN =`")
    return Expression(read, tuple(writes))


def _pieces(text: str) -> tuple:
    """The pieces of one part; white space is one blank."""
    found = [(" " if each.isspace() else each) for each in PIECE.findall(text.strip())]
    _need_one_expression(found)
    pieces: list = []
    # `typed`: the depth at which a type is named; `named`: a character set or a collation; `unit`:
    # of an INTERVAL
    depth, typed, named, unit = 0, 0, False, False
    for at, each in enumerate(found):
        word, is_function = each.upper(), _next(found, at) == "("
        depth += (each == "(") - (each == ")")
        typed = 0 if depth < typed else typed
        if each == "`" or not (each[0].isalpha() or each[0] in "_`"):
            pieces.append(_other(each))
        elif word in QUERY:
            raise ValueError(f"expected an expression over columns of this table alone, without "
                             f"{word}")
        elif each[0] != "`" and (typed or named or is_function or word in WORDS or word in NAMING
                                 or (unit and word in UNITS)):
            typed = depth if word == "AS" else typed
            named = word in NAMING
            unit = word == "INTERVAL" or (unit and (is_function or word not in UNITS))
            pieces.append(("text", each))
        else:
            pieces.append(("column", _column(each)))
    _need_operators(pieces)
    return tuple(pieces)


def _need_one_expression(found: list) -> None:
    if not found:
        raise ValueError("expected an expression")
    outside = "".join(each for each in found if each[0] not in "'`")
    for mark in (";", "--", "/*"):
        if mark in outside:
            raise ValueError(WRONG[mark])
    depth = 0
    for each in found:
        depth += (each == "(") - (each == ")")
        if depth < 0:
            raise ValueError("expected a ( before each )")
    if depth:
        raise ValueError("expected a ) for each (")


def _next(found: list, at: int) -> str:
    """The piece behind this one, without blanks."""
    return next((each for each in found[at + 1:] if each != " "), "")


def _column(text: str) -> str:
    name = text.strip("`")
    if not is_word(name):
        raise ValueError(f"{name!r} cannot be a column: expected ASCII letters, digits and _")
    return name


def _other(each: str) -> tuple:
    """A text, a number, an operator or :value."""
    if each[0] == ":":
        if each != ":value":
            raise ValueError(f"expected :value for what is written, and not {each}")
        return "value", "value"
    if each[0].isdigit() or each == " " or each in PLAIN or (each[0] == "'" and len(each) > 1):
        if "\\" in each:
            raise ValueError(WRONG["\\"])
        return "text", each
    raise ValueError(WRONG.get(each) or f"{each!r} cannot be in an expression")


def _need_operators(pieces: list) -> None:
    solid = [piece for piece in pieces if piece != ("text", " ")]
    for (kind, text), (after, other) in zip(solid, solid[1:]):
        if kind == after == "column":
            raise ValueError(f"expected the name of a column or an SQL expression: what joins "
                             f"{text} and {other}?")
