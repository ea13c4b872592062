"""A statement over tables whose columns `[columns]` renames: our names become theirs, and its rows
keep ours.

Only such a statement comes here, once, before it is kept for all its runs. Each name is looked for
where SQL itself would look: in the tables of its own SELECT, then in those around it. A column that
is by itself in a SELECT's list gets our name by AS, so that neither rows nor outer queries notice
anything. An expression (expressions.py) is put in brackets where our name was, each of its columns
with the table's name before it; where ours is set, or given to a new row, its `write` is
(expression_tokens.py).
"""
from __future__ import annotations

import re
from functools import lru_cache

from jobs_lib.errors import DatabaseError

from .expression_tokens import Expressions
from .schema.tables import column_names

TOKEN = re.compile(r"\w+|\"[^\"]*\"|`[^`]*`|\s+|.", re.DOTALL)
CLAUSES = ("SELECT", "FROM", "JOIN", "ON", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "SET",
           "INTO", "UNION")
AFTER_TABLE = {*CLAUSES, "", "LEFT", "INNER", "CROSS", "NOT", "FORCE", "USE", "IGNORE", "VALUES",
               "FOR", "USING", "ADD"}
BY_ALIAS = ("GROUP", "HAVING", "ORDER")      # where an output's name goes before a column's
# what may follow an output
ENDS = (",", ")", "", "FROM", "UNION", "WHERE", "ORDER", "LIMIT", "FOR")


class _Scope:
    """One SELECT, or the whole of another statement: `tables` is {name in this statement: our
    table}."""

    def __init__(self, outer: _Scope | None, depth: int, union: bool = False) -> None:
        self.outer, self.depth, self.union = outer, depth, union
        self.tables: dict = {}
        self.aliases: set = set()            # of outputs
        self.clause, self.derived = "", False


NOWHERE = _Scope(None, 0)


class _Token:
    """A piece of the statement, where it is, and what is written instead."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text, self.written = kind, text, text
        self.word = text.upper() if kind == "text" else ""
        self.scope, self.clause, self.depth, self.named = NOWHERE, "", 0, False
        self.at = 0                          # among all tokens


def translate(pieces: list, names, dialect) -> tuple:
    """(pieces as statement.scan has them, {column: our name} for the rows of a `SELECT *`)."""
    tokens = [_Token(kind, text) for kind, piece in pieces
              for text in (TOKEN.findall(piece) if kind == "text" else (piece,))]
    for at, token in enumerate(tokens):
        token.at = at
    solid = [token for token in tokens if token.kind != "text" or not token.text.isspace()]
    _resolve_scopes(solid)
    translation = _Translation(solid, names, dialect)
    translation.translate_all()
    star: dict = {}
    for before, token in zip(solid, solid[1:]):
        if token.text == "*" and before.word in ("SELECT", "DISTINCT", ",",
                                                 ".") and solid[0].word == "SELECT":
            for called, table in token.scope.tables.items():
                star.update(names.ours(table))
                star.update(translation.expressions.add_to_star(token, called, table))
    return list(translation.expressions.pieces(tokens)), star


def _resolve_scopes(tokens: list) -> None:
    """Give each token its scope, and each scope its tables and the names that are given in it."""
    scope = whole = _Scope(None, 0)
    around: list = []
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.word == "(":
            around.append(scope)
        elif token.word == ")":
            scope = around.pop()
        elif token.word == "SELECT":
            if len(around) > scope.depth:                    # in brackets
                scope.derived = scope.derived or scope.clause in ("FROM", "JOIN")
                scope = _Scope(scope, len(around))
            elif scope.clause:                               # after UNION, or INSERT INTO
                scope = _Scope(scope.outer, scope.depth, scope.clause == "UNION")
        if token.word == "ON" and after and after.word in ("CONFLICT", "DUPLICATE"):
            scope = whole
        if token.word in CLAUSES and len(around) == scope.depth:
            scope.clause = token.word
        token.scope, token.clause, token.depth = scope, scope.clause, len(around)
        before = tokens[at - 1].word if at else ""
        if before == "AS":
            token.named = True
            if scope.clause == "SELECT":
                scope.aliases.add(_plain(token.text))
        elif token.kind == "table" and not (after and after.word == "."):
            scope.tables[_called(tokens, at)] = token.text


def _called(tokens: list, at: int) -> str:
    """What a table is called from here on: by an alias after it, or as it is."""
    following = [token.word for token in tokens[at + 1:at + 3]] + ["", ""]
    if following[0] == "AS":
        return _plain(tokens[at + 2].text)
    if following[0] in AFTER_TABLE or not following[0].isidentifier():
        return tokens[at].text
    tokens[at + 1].named = True
    return tokens[at + 1].text


class _Translation:
    """Writes their name for ours, token by token."""

    def __init__(self, tokens: list, names, dialect) -> None:
        self.tokens, self.names = tokens, names
        self.quote, self.exact = dialect.quote, dialect.exact
        self.whole = tokens[0].scope
        self.expressions = Expressions(tokens, names, dialect)

    def translate_all(self) -> None:
        """Every token that is a column's name."""
        for at, token in enumerate(self.tokens):
            if token.kind == "text" and not token.named and (token.text.isidentifier()
                                                             or token.text[0] in "\"`"):
                self._translate(at, token)

    def _word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def _translate(self, at: int, token: _Token) -> None:
        name, after = _plain(token.text), self._word(at + 1)
        if after == "." or (after == "(" and token.text == name):       # a qualifier, a function
            return
        qualified = self._word(at - 1) == "."
        if qualified:
            table, prefix = self._qualifier(self.tokens[at - 2]), ""
        else:
            table, prefix = self._owner(token, name)
        theirs = self.names.column(table, name) if table else name
        if theirs == name:
            return
        if table and self.names.expression(table, name):
            token.written = self.expressions.put(at, table, name, prefix)
        elif token.clause in BY_ALIAS and prefix:
            token.written = f"{prefix}.{self.exact(theirs)}"
        else:
            token.written = self.exact(theirs)
        if self._is_output(at, token, qualified):
            token.written += f" AS {self.quote(name)}"

    def _is_output(self, at: int, token: _Token, qualified: bool) -> bool:
        """Whether a column is by itself in a SELECT's list."""
        return (token.clause == "SELECT" and token.depth == token.scope.depth
                and self._word(at + 1) in ENDS
                and self._word(at - (3 if qualified else 1)) in ("SELECT", "DISTINCT", ","))

    def _qualifier(self, token: _Token) -> str | None:
        """The table that a name before a dot means."""
        if token.kind == "table":
            return token.text
        if token.word == "EXCLUDED":
            return next(iter(self.whole.tables.values()), None)
        scope: _Scope | None = token.scope
        while scope:
            if token.text in scope.tables:
                return scope.tables[token.text]
            scope = scope.outer
        return None

    def _owner(self, token: _Token, name: str) -> tuple:
        """(the table that a name alone means, what it is called here); None for what is no column
        of any."""
        scope: _Scope | None = token.scope
        if token.clause in BY_ALIAS and token.scope.union:
            return None, ""
        if token.clause in ("ORDER", "HAVING") and name in token.scope.aliases:
            return None, ""
        while scope:
            found = [(called, table) for called, table in scope.tables.items()
                     if name in _columns(table)]
            if len({self.names.column(table, name) for _, table in found}) > 1:
                raise DatabaseError(f"{name} may be a column of "
                                    f"{' or '.join(table for _, table in found)}: the statement "
                                    "has to say which")
            if found:
                called, table = found[0]
                return table, self.quote(self.names(table)) if called == table else called
            if scope.derived:
                return None, ""
            scope = scope.outer
        return None, ""


def _plain(text: str) -> str:
    return text.strip("\"`")


@lru_cache(None)
def _columns(table: str) -> frozenset:
    return frozenset(column_names(table))
