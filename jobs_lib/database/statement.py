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

MOST_BOUND = 900             # values of one list: SQLite 3.26 takes 999 in a statement
LARGEST = 2 ** 63
# Text that means the same in quotes on each engine, and in the driver's notation.
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:|@+/=~-")
LISTS = (list, tuple, set, frozenset)
MOST_SCANNED = 1000
# {SQL text: its pieces}, for the next connection: each export, and each run in a worker, makes its
# own. By hand, since `functools` is not loaded otherwise.
_scanned: dict[str, tuple] = {}


def scan(sql: str) -> tuple:
    """`((kind, text), ...)` with kind "text", "quoted", "table" or "value"."""
    found = _scanned.get(sql)
    if found is None:
        if len(_scanned) >= MOST_SCANNED:
            _scanned.clear()
        found = _scanned[sql] = _scan(sql)
    return found


def _scan(sql: str) -> tuple:
    pieces: list = []
    for number, chunk in enumerate(sql.split("'")):
        if number % 2:
            pieces.append(("quoted", f"'{chunk}'"))
            continue
        text, *parts = chunk.split(":")
        _add_tables(pieces, text)
        for part in parts:
            end = next((at for at, sign in enumerate(part) if not (sign.isalnum() or sign == "_")),
                       len(part))
            pieces.append(("value", part[:end]))
            _add_tables(pieces, part[end:])
    return tuple(piece for piece in pieces if piece[1])


def _add_tables(pieces: list, text: str) -> None:
    text, *parts = text.split("{")
    pieces.append(("text", text))
    for part in parts:
        name, _, text = part.partition("}")
        pieces += (("table", name), ("text", text))


class Statement:
    """One SQL text, translated for one dialect and one set of names (schema)."""

    __slots__ = ("names", "parts", "plain")

    def __init__(self, sql: str, dialect, table) -> None:
        self.parts: list = []            # text, value name, text, value name, ..., text
        self.names: list = []
        text = ""
        for kind, piece in scan(sql):
            if kind == "value":
                self.parts.append(text)
                self.names.append(piece)
                text = ""
            else:
                text += dialect.quote(table(piece)) if kind == "table" else dialect.literal(piece)
        self.parts.append(text)
        self.plain = self._join(dialect, [dialect.mark(name) for name in self.names])

    def _join(self, dialect, marks: list) -> str:
        return "".join(part + mark for part, mark in zip(self.parts, [*marks, ""]))

    def render(self, dialect, values: dict) -> tuple:
        """`(sql, values)` in the driver's own notation."""
        bound = {}
        lists = False
        for name in self.names:
            value = values[name]
            if type(value) in LISTS:
                lists = True
            else:
                bound[name] = bindable(value)
        if not lists:
            return self.plain, bound
        marks = []
        for name in self.names:
            marks.append(dialect.mark(name) if name in bound else _expand(dialect, name,
                                                                          values[name], bound))
        return self._join(dialect, marks), bound


def _expand(dialect, name: str, items, bound: dict) -> str:
    if all(type(item) is int or (type(item) is str and PLAIN.issuperset(item)) for item in items):
        return ", ".join([str(item) if type(item) is int else f"'{item}'" for item in items]
                         ) or "NULL"
    if len(items) > MOST_BOUND:
        raise ValueError(f":{name} holds {len(items)} values; at most {MOST_BOUND} can be bound at "
                         "once")
    marks = []
    for number, item in enumerate(items):
        bound[f"{name}__{number}"] = bindable(item)
        marks.append(dialect.mark(f"{name}__{number}"))
    return ", ".join(marks)


def bindable(value):
    """The value as both drivers take it; what neither can store is refused here, before anything is
    sent."""
    kind = type(value)
    if value is None or kind is float or kind is bytes:
        return value
    if kind is str:
        if not value.isascii():
            value.encode()               # a lone surrogate raises UnicodeEncodeError (a ValueError)
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
