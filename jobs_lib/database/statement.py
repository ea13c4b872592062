"""Our SQL notation: `{table}` is a table of ours, `:name` a bound value; text in quotes is left
alone.

A list expands inside `IN (:ids)`; an empty one becomes NULL, which equals nothing: `IN` and `NOT
IN` both match no row, so a selection that came out empty never turns into "all rows". Whole numbers
in a list are written out, and so are keys such as a UUID, since SQLite before 3.32 binds only 999
values; a list with anything else is bound.
"""
from __future__ import annotations

from datetime import date, datetime

from jobs_lib import clock

LARGEST = 2 ** 63
# Text that means the same in quotes on each engine, and in the driver's notation.
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:|@+/=~-")
LISTS = (list, tuple, set, frozenset)


class Statement:
    """One SQL text, translated for one dialect and one set of names (schema)."""

    __slots__ = ("names", "parts", "plain")

    def __init__(self, sql: str, dialect, table) -> None:
        self.parts = [""]  # text, value name, text, value name, ..., text
        self.names: list = []
        for number, chunk in enumerate(sql.split("'")):
            if number % 2:
                self.parts[-1] += dialect.literal(f"'{chunk}'")
                continue
            text, *values = chunk.split(":")
            self.parts[-1] += _with_tables(text, dialect, table)
            for value in values:
                end = next((at for at, sign in enumerate(value)
                            if not (sign.isalnum() or sign == "_")), len(value))
                self.names.append(value[:end])
                self.parts.append(_with_tables(value[end:], dialect, table))
        self.plain = self._join([dialect.mark(name) for name in self.names])

    def _join(self, marks: list) -> str:
        return "".join(part + mark for part, mark in zip(self.parts, [*marks, ""]))

    def render(self, dialect, values: dict) -> tuple:
        """`(sql, values)` in the driver's own notation."""
        bound: dict = {}
        lists = False
        for name in self.names:
            value = values[name]
            if type(value) in LISTS:
                lists = True
            else:
                bound[name] = bindable(value)
        if not lists:
            return self.plain, bound
        return self._join([dialect.mark(name) if name in bound
                           else _expand(dialect, name, values[name], bound)
                           for name in self.names]), bound


def _with_tables(sql: str, dialect, table) -> str:
    text, *parts = sql.split("{")
    found = dialect.literal(text)
    for part in parts:
        name, _, text = part.partition("}")
        found += dialect.quote(table(name)) + dialect.literal(text)
    return found


def _expand(dialect, name: str, items, bound: dict) -> str:
    if all(type(item) is int or (type(item) is str and PLAIN.issuperset(item)) for item in items):
        return ", ".join([str(item) if type(item) is int else f"'{item}'" for item in items]
                         ) or "NULL"
    marks = []
    for number, item in enumerate(items):
        bound[f"{name}__{number}"] = bindable(item)
        marks.append(dialect.mark(f"{name}__{number}"))
    return ", ".join(marks)


def bindable(value):
    """The value as both drivers take it. What neither can store is an error."""
    kind = type(value)
    if value is None or kind is float or kind is bytes:
        return value
    if kind is str:
        if not value.isascii():
            value.encode()  # a lone surrogate raises UnicodeEncodeError (a ValueError)
        return value
    if kind is int or kind is bool:
        if not -LARGEST <= value < LARGEST:
            raise ValueError(f"{value} does not fit into 64 bits")
        return int(value)
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {kind.__name__} cannot be bound to a statement")
