"""Expressions (expressions.py) in the tokens of a statement that column_names.py translates."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError
from jobs_lib.records import namedtuple

from .expressions import written

Given = namedtuple("Given", "first last pieces")
Given.__doc__ = """A value that a statement gives to a column for which an expression stands: the
numbers of its first and last token, and the pieces of what is written with it."""
# what ends a value that is set, besides a comma and a bracket
AFTER_VALUE = ("WHERE", "ORDER", "LIMIT", "FROM")


class Expressions:
    """Those of one statement. `tokens`: without white space."""

    def __init__(self, tokens: list, names, dialect) -> None:
        self.tokens, self.names, self.dialect = tokens, names, dialect
        self.given: dict = {}            # {number of a token: the Given that begins there}
        if self._word(0) == "INSERT" and tokens[2].text in names.expressions:
            self._give_to_new_rows()

    def _word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def put(self, at: int, table: str, name: str, prefix: str) -> str:
        """What is read in the place of our column's name, the token `at`; "" where it is set.
        `prefix`: what its table is called there."""
        expression = self.names.expression(table, name)
        qualified = self._word(at - 1) == "."
        if qualified:
            owner, dot = self.tokens[at - 2:at]
            prefix = (self.dialect.quote(self.names(table)) if owner.kind == "table"
                      else owner.text)
            owner.kind, owner.written, dot.written = "text", "", ""
        token = self.tokens[at]
        if not (token.clause == "SET" and token.depth == token.scope.depth
                and self._word(at + 1) == "="
                and self._word(at - (3 if qualified else 1)) in ("SET", ",")):
            return expression.text(self.dialect, prefix)
        self._set(at, self._writes(table, name), prefix)
        return ""

    def add_to_star(self, token, called: str, table: str) -> dict:
        """Have a `*` return the expressions of a table, too: {what they are called there: our
        name}."""
        prefix = self.dialect.quote(self.names(table)) if called == table else called
        added = {}
        for name, expression in self.names.expressions.get(table, {}).items():
            added[f"expression_{name}"] = name
            token.written += (f", {expression.text(self.dialect, prefix)} AS "
                              f"{self.dialect.quote(f'expression_{name}')}")
        return added

    def pieces(self, tokens: list):
        """What is written for all tokens, with what replaces values that are given."""
        at = 0
        while at < len(tokens):
            if at not in self.given:
                yield tokens[at].kind, tokens[at].written
                at += 1
                continue
            found = self.given[at]
            for kind, text in found.pieces:
                if kind != "value":
                    yield kind, text
                    continue
                yield "text", "("
                for token in tokens[found.first:found.last + 1]:
                    yield token.kind, token.written
                yield "text", ")"
            at = found.last + 1

    def _writes(self, table: str, name: str) -> tuple:
        expression = self.names.expression(table, name)
        if not expression.writes:
            raise DatabaseError(f"[columns] {table}.{name} can only be read: it has no `write`")
        return expression.writes

    def _written(self, pieces: tuple, prefix: str) -> list:
        return [(kind, text) if kind == "value" else
                ("text", written([(kind, text)], self.dialect, prefix)) for kind, text in pieces]

    def _set(self, at: int, writes: tuple, prefix: str) -> None:
        """`name = value` becomes each `write` of the expression, with that value."""
        first = last = at + 2
        while not self._ends_value(last + 1, self.tokens[at].depth):
            last += 1
        pieces: list = []
        for column, value in writes:
            pieces += [("text", ", " if pieces else ""),
                       ("text", f"{self.dialect.exact(column)} = "), *self._written(value, prefix)]
        self.given[self.tokens[at].at] = Given(self.tokens[first].at, self.tokens[last].at, pieces)

    def _ends_value(self, at: int, depth: int) -> bool:
        """Whether the value that is set ends before this token."""
        if at >= len(self.tokens):
            return True
        token = self.tokens[at]
        return token.depth < depth or (token.depth == depth and (token.word == ","
                                                                 or token.word in AFTER_VALUE))

    def _give_to_new_rows(self) -> None:
        """INSERT INTO {table} (columns) VALUES (values), ...: those that are given to expressions.
        """
        table, end = self.tokens[2].text, 4
        while self._word(end) != ")":
            end += 1
        columns = self.tokens[4:end:2]
        names = [token.text.strip("\"`") for token in columns]
        expressions = [self.names.expression(table, name) for name in names]
        if not any(expressions):
            return
        if self._word(end + 1) != "VALUES":
            raise DatabaseError(f"[columns] {table}: what a query finds cannot be given to an "
                                "expression")
        for token, name, expression in zip(columns, names, expressions):
            token.named = True
            theirs = ([column for column, _ in self._writes(table, name)] if expression
                      else [self.names.column(table, name)])
            token.written = ", ".join(map(self.dialect.exact, theirs))
            if expression and expression.reads_to_write:
                raise DatabaseError(f"[columns] {table}.{name}: a row is added, so its `write` can "
                                    "name no column")
        at = end + 2
        while self._word(at) == "(":
            at = self._give_row(at + 1, expressions)
            at += self._word(at) == ","

    def _give_row(self, at: int, expressions: list) -> int:
        """One row's values, the first of which begins at the token `at`; what follows the row."""
        depth = self.tokens[at - 1].depth
        for expression in expressions:
            first = at
            while not self._ends_value(at, depth):
                at += 1
            if expression:
                pieces: list = []
                for _, value in expression.writes:
                    pieces += [("text", ", " if pieces else ""), *self._written(value, "")]
                number = self.tokens[first].at
                self.given[number] = Given(number, self.tokens[at - 1].at, pieces)
            at += 1
        return at
