"""Named tuples and JSON of a tick that finds nothing to do, which pays for each module it loads.

`collections.namedtuple` compiles a function for each, which takes 3 ms of a tick. These do the
same, but have no `_make` and no `_field_defaults`. `json` takes 4 ms to load: plain texts, whole
numbers and counts are written and read here, and it is loaded for all else.
"""
from __future__ import annotations

import sys
from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import namedtuple as namedtuple  # which mypy knows
else:
    def namedtuple(name: str, fields: str, *, defaults: tuple = ()) -> type:
        """A class of tuples with these fields, in one text; the last ones have the defaults."""
        names = tuple(fields.split())
        by_name = dict(zip(names[len(names) - len(defaults):], defaults))
        return type(name, (_Record,), {
            "__module__": sys._getframe(1).f_globals["__name__"],  # pickle looks there
            "__slots__": (), "_fields": names, "__match_args__": names,
            "_defaults": defaults, "_by_name": by_name,
            **{each: property(itemgetter(at)) for at, each in enumerate(names)}})


class _Record(tuple):
    """What they have in common."""

    __slots__ = ()
    _fields: tuple = ()
    _defaults: tuple = ()
    _by_name: dict = {}

    def __new__(cls, /, *values, **named):
        """TypeError unless each field has one value."""
        names, defaults = cls._fields, cls._defaults
        missing = len(names) - len(values)
        if not named and 0 <= missing <= len(defaults):
            return tuple.__new__(cls, values + defaults[len(defaults) - missing:])
        given = {**cls._by_name, **dict(zip(names, values)), **named}
        if missing < 0 or given.keys() != {*names} or named.keys() & {*names[:len(values)]}:
            raise TypeError(f"{cls.__name__} takes one value for each of {', '.join(names)}")
        return tuple.__new__(cls, map(given.__getitem__, names))

    def _replace(self, /, **named):
        """The same with other values in these fields."""
        changed = tuple.__new__(type(self), map(named.pop, self._fields, self))
        if named:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(named)}")
        return changed

    def _asdict(self) -> dict:
        """{field: value}."""
        return dict(zip(self._fields, self))

    def __getnewargs__(self) -> tuple:
        return tuple(self)


# JSON

WORDS = {None: "null", False: "false", True: "true"}


def dumps(value) -> str:
    """What `json.dumps(value, default=str)` returns."""
    kind = type(value)
    if kind is str and value.isascii() and value.isprintable() and not (
            '"' in value or "\\" in value):
        return f'"{value}"'
    if kind is int:
        return str(value)
    if value is None or kind is bool:
        return WORDS[value]
    if kind is dict and all(map(_is_name, value)):
        return "{" + ", ".join([f'"{name}": {dumps(each)}' for name, each in value.items()]) + "}"
    import json
    return json.dumps(value, default=str)


def _is_name(key) -> bool:
    return type(key) is str and key.isidentifier() and key.isascii()


def loads(text):
    """What `json.loads(text)` returns, or raises."""
    if text in ("{}", "[]"):
        return {} if text == "{}" else []
    found = _counts(text) if isinstance(text, str) else None
    if found is not None:
        return found
    import json
    return json.loads(text)


def _counts(text: str) -> dict | None:
    """The value of `{"sent": 0, "failed": 2}`, as `dumps` writes it; None for any other text."""
    if not (text.isascii() and text[:1] == "{" and text[-1:] == "}"):
        return None
    found = {}
    for part in text[1:-1].split(", "):
        name, _, number = part.partition(": ")
        if not (name[:1] == name[-1:] == '"' and name[1:-1].isidentifier() and number.isdecimal()
                and (number == "0" or number[0] != "0") and len(number) < 19):
            return None
        found[name[1:-1]] = int(number)
    return found
