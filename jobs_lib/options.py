"""The kinds of value an option may have: text in a file to a typed value, and back.

A kind's `parse` raises ValueError with what was expected; the configuration adds which option it was
and where it stood. Durations are `timedelta`, sizes are bytes, `off` is None.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from .schedule import parse as parse_schedule

Kind = namedtuple("Kind", "name parse show secret")
Option = namedtuple("Option", "kind default meaning")
Option.__doc__ = "One setting: its kind, its default as text, and what it means in a sentence."

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"B": 1, "KB": 1024, "MB": 1024 ** 2, "GB": 1024 ** 3}
YES, NO = ("yes", "on", "true", "1"), ("no", "off", "false", "0")


def _kind(name, parse, show=str, secret=False):
    return Kind(name, parse, show, secret)


def _duration(value: str) -> timedelta:
    word = value.strip().lower()
    if word[:-1].isdecimal() and word[-1:] in SECONDS:
        seconds = int(word[:-1]) * SECONDS[word[-1]]
        if 0 < seconds <= 100 * 365 * 86400:
            return timedelta(seconds=seconds)
        if seconds == 0:
            raise ValueError("expected more than 0 (0 could mean 'off' or 'everything')")
    raise ValueError("expected a duration such as 90d, 36h, 15m or 30s")


def show_duration(value: timedelta) -> str:
    """`36h` for 36 hours: the largest unit that divides it."""
    seconds = int(value.total_seconds())
    for letter in "dhm":
        if seconds and seconds % SECONDS[letter] == 0:
            return f"{seconds // SECONDS[letter]}{letter}"
    return f"{seconds}s"


def _size(value: str) -> int:
    word = value.strip().upper()
    for unit in ("KB", "MB", "GB", "B"):
        number = word[:-len(unit)].strip()
        if word.endswith(unit) and number.isdecimal():
            if int(number) == 0:
                break
            return int(number) * BYTES[unit]
    raise ValueError("expected a size such as 500KB, 25MB or 2GB")


def show_size(value: int) -> str:
    """`25MB`: the largest unit that divides it."""
    for unit in ("GB", "MB", "KB"):
        if value and value % BYTES[unit] == 0:
            return f"{value // BYTES[unit]}{unit}"
    return f"{value}B"


def _switch(value: str) -> bool:
    word = value.strip().lower()
    if word in YES or word in NO:
        return word in YES
    raise ValueError("expected yes or no")


def _zone(value: str):
    from .schedule import zone
    zone(value)
    return value


def _schedule(value: str):
    return parse_schedule(value)


text = _kind("text", lambda value: value)
secret = _kind("text", lambda value: value, secret=True)
path = _kind("path", lambda value: value)          # the configuration resolves it from its own folder
switch = _kind("yes or no", _switch, lambda value: "yes" if value else "no")
duration = _kind("duration", _duration, show_duration)
size = _kind("size", _size, show_size)
timezone = _kind("time zone", _zone)
schedule = _kind("cron expression", _schedule, lambda value: value.text)


def integer(low: int, high: int) -> Kind:
    """A whole number within both limits."""
    def parse(value: str) -> int:
        word = value.strip()
        if word.isdecimal() and word.isascii() and low <= int(word) <= high:
            return int(word)
        raise ValueError(f"expected a whole number, {low}-{high}")
    return _kind(f"number {low}-{high}", parse)


def choice(*words: str) -> Kind:
    """One of a few words."""
    def parse(value: str) -> str:
        if value.strip().lower() in words:
            return value.strip().lower()
        from .spelling import did_you_mean
        raise ValueError(f"expected {' or '.join(words)}{did_you_mean(value, words)}")
    return _kind(" | ".join(words), parse)


def optional(kind: Kind) -> Kind:
    """`off` (None) or a value of the kind."""
    def parse(value: str):
        if value.strip().lower() == "off":
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None
    return _kind(f"{kind.name}, or off", parse, lambda value: "off" if value is None else kind.show(value))


def several(kind: Kind, least: int = 1) -> Kind:
    """A list parted by commas, as a tuple."""
    def parse(value: str) -> tuple:
        words = [word.strip() for word in value.split(",") if word.strip()]
        if len(words) < least:
            raise ValueError(f"expected at least {least}, parted by commas: {kind.name}")
        return tuple(kind.parse(word) for word in words)
    return _kind(f"list of {kind.name}", parse, lambda values: ", ".join(kind.show(v) for v in values))
