"""Named tuples that cost little to define.

`collections.namedtuple` compiles a function for each, which takes 75 µs of a process that has just
started: 3 ms of a tick, which loads three dozen. These do the same, but have no `_make` and no
`_field_defaults`.
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
            "__module__": sys._getframe(1).f_globals["__name__"],       # pickle looks there
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

    def __repr__(self) -> str:
        values = ", ".join(f"{each}={value!r}" for each, value in self._asdict().items())
        return f"{type(self).__name__}({values})"

    def __getnewargs__(self) -> tuple:
        return tuple(self)
