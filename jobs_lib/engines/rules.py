"""Which rows a purge deletes, as data."""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

PRESENT = object()              # in a rule's `only`: any value but NULL

Rule = namedtuple("Rule", "age fallback only option later also", defaults=(None, {}, "keep",
                                                                           timedelta(0), None))
Rule.__doc__ = """Which rows go, and when.

age       the column that the age counts from         fallback  the column instead, where that one is NULL
only      {column: value}; None is NULL, PRESENT any  option    the option that says how long they are kept;
                                                                 None: `age` is itself the time when they go
later     kept so much longer than the option says
also      function of the Context -> (SQL, values): one more condition, judged again inside each DELETE
"""
