"""The types of value an option may have: text in a file to a typed value.

A type's `parse` raises ValueError with what was expected. Durations are `timedelta`, sizes are
bytes, `off` is None.
"""
from __future__ import annotations

from datetime import date, timedelta

from jobs_lib import schedule as schedules
from jobs_lib.database import dialects
from jobs_lib.records import namedtuple
from jobs_lib.text import either

from .secrets import hide_all, hide_password, hide_path

Kind = namedtuple("Kind", "parse mask lines is_path", defaults=(None, False, False))
Kind.__doc__ = """A type of value.

parse    text -> value; ValueError says what was expected
mask     text -> text fit to be seen; None: nothing is secret in it
lines    whether it may go on over several lines
is_path  whether it counts from the folder of config.ini
"""
Option = namedtuple("Option", "kind default meaning argument", defaults=(False,))
Option.__doc__ = """One setting: its type, its default as text, and what it means in a sentence.

argument  whether it is about one run and given by --set alone: a domain to check
"""
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "w": 604800}
BYTES = {"gb": 1024 ** 3, "mb": 1024 ** 2, "kb": 1024, "b": 1}
SWITCH = {**dict.fromkeys(("yes", "on", "true", "1"), True),
          **dict.fromkeys(("no", "off", "false", "0"), False)}
SHORTEST_KEY = 32  # characters of a key that signs: 128 bits, if it is in hex


def argparse_type(kind: Kind):
    def parse(word: str):
        try:
            return kind.parse(word)
        except ValueError as error:
            from argparse import ArgumentTypeError
            raise ArgumentTypeError(f"{word[:40]!r}: {error}") from None
    return parse


def read(make, expected: str, mask=None) -> Kind:
    """What a function makes of a text; None and ValueError refuse it."""
    def parse(value: str):
        try:
            found = make(value)
        except ValueError:
            found = None
        if found is None:
            raise ValueError(f"expected {expected}")
        return found
    return Kind(parse, mask)


def checked(is_right, expected: str, mask=None) -> Kind:
    """Text as it is, where it is right."""
    return read(lambda value: value if is_right(value) else None, expected, mask)


# Text

text = checked(str.isprintable, "printable characters only")
path = checked(lambda value: value and value.isprintable(), "a path")._replace(is_path=True)
secret = Kind(str, hide_all)
# anyone who has one link can try keys against it for as long as they like
signing_key = checked(
    lambda value: not 0 < len(value) < SHORTEST_KEY,
    f"at least {SHORTEST_KEY} characters; or leave it empty, and one is made", hide_all)
identifier = checked(lambda value: value.isascii() and f"x{value}".isidentifier(),
                     "letters, digits and _")


# Addresses and URLs

def _is_host(value: str) -> bool:
    labels = value.rstrip(".").replace("-", "").replace("_", "").split(".")
    is_ipv6 = value.count(":") >= 2 and set(value) <= set("0123456789abcdefABCDEF:.")
    return is_ipv6 or all(map(str.isalnum, labels))


def _is_url(value: str) -> bool:
    scheme, _, rest = value.partition("://")
    is_plain = value.isascii() and value.isprintable() and " " not in value
    return scheme.lower() in ("http", "https") and rest.strip("/") != "" and is_plain


def _is_address(value: str) -> bool:
    from jobs_lib.text.addresses import check
    return bool(check(value))


def _nameserver(value: str) -> tuple | None:
    """(address, port) of `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`."""
    from ipaddress import ip_address

    name, port = value, "53"
    if value.count(":") == 1 or "]:" in value:
        name, _, port = value.rpartition(":")
    found = str(ip_address(name.strip("[]"))), int(port)
    return found if 0 < found[1] < 65536 else None


def _network(value: str):
    import ipaddress
    return ipaddress.ip_network(value)


def server_url(*schemes: str) -> Kind:
    """One with one of these schemes."""
    def is_right(value: str) -> bool:
        from urllib.parse import urlsplit
        return value.isprintable() and value.startswith(schemes) and urlsplit(value).port != 0
    return checked(is_right, f"{' or '.join(schemes)}host, with a port of 1-65535 or none",
                   hide_password)


# its form alone, reported with all other mistakes; the dialect reads it
database = Kind(lambda value: dialects.parse(value) and value, hide_password)
host = checked(_is_host, "a host name such as mail.example.org, without scheme or port")
url = checked(_is_url, "https:// or http:// and a name, such as https://www.example.org; in "
              "ASCII, so grün.example as xn--grn-ioa.example")
private_url = url._replace(mask=hide_path)  # anyone who knows it may use it
address = checked(_is_address, "an address such as notices@example.org")
nameserver = read(_nameserver, "an address such as 192.0.2.1 or 192.0.2.1:5353, not a name")
network = read(_network, "a network such as 10.1.0.0/16, with no host bits set")


@Kind
def mailbox(value: str) -> str:
    name, _, rest = value.rpartition("<")
    if not (name.strip() and rest.endswith(">") and value.isprintable()):
        raise ValueError("expected Name <address>, such as Porter <porter@example.org>")
    address.parse(rest[:-1])
    return value


@Kind
def sender(value: str) -> str:
    """The address alone, of an address or of Name <address>."""
    if "<" in value:
        value = mailbox.parse(value).rpartition("<")[2][:-1]
    return address.parse(value)


# Numbers, times, switches

def _in_units(value: str, units: dict) -> int | None:
    """`36h` in the smallest of the units; None for what is no whole number with one of them."""
    word = value.strip().lower()
    unit = word.lstrip("0123456789 ")
    number = word[:len(word) - len(unit)].rstrip()
    if unit not in units or not number.isdecimal() or len(number) > 15:
        return None
    return int(number) * units[unit]


def span(low: str, high: str = "36500d") -> Kind:
    """A duration within both limits, more than nothing: 0 could mean `off` or `everything`."""
    least, most = (_in_units(each, SECONDS) or 1 for each in (low, high))

    def parse(value: str) -> timedelta:
        seconds = _in_units(value, SECONDS)
        if seconds is None:
            raise ValueError("expected a duration with its unit, such as 90d, 36h, 15m or 30s")
        if not least <= seconds <= most:
            raise ValueError(f"expected a duration of {low} to {high}")
        return timedelta(seconds=seconds)
    return Kind(parse)


duration = span("1s")
size = read(lambda value: _in_units(value, BYTES) or None,
            "a size with its unit, such as 500KB, 25MB or 2GB")
day = read(date.fromisoformat, "a day such as 2026-10-31")
switch = read(lambda value: SWITCH.get(value.lower()), "yes or no")
schedule = Kind(schedules.parse)
timezone = Kind(schedules.zone)


# Types made of limits, words and other types

def integer(low: int, high: int) -> Kind:
    def is_right(value: str) -> bool:
        is_number = value.isascii() and value.isdecimal() and len(value) < 20
        return is_number and low <= int(value) <= high
    return read(lambda value: int(value) if is_right(value) else None,
                f"a whole number, {low}-{high}")


positive = argparse_type(integer(1, 1_000_000_000))


def choice(*words: str, hint: str = "") -> Kind:
    return read(lambda value: value.lower() if value.lower() in words else None,
                either(words) + hint)


def optional(kind: Kind) -> Kind:
    """`off` (None) or a value of the type."""
    def parse(value: str):
        if value.lower() == "off":
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None
    return kind._replace(parse=parse)


def or_empty(kind: Kind) -> Kind:
    """Nothing at all, as "", or a value of the type."""
    return kind._replace(parse=lambda value: kind.parse(value) if value else "")


def several(kind: Kind, least: int = 1) -> Kind:
    """A list separated by commas or line ends, as a tuple."""
    def parse(value: str) -> tuple:
        words = [word.strip() for word in value.replace("\n", ",").split(",")]
        found = tuple(kind.parse(word) for word in words if word)
        if len(found) < least:
            raise ValueError(f"expected at least {least}, separated by commas")
        return found
    return kind._replace(parse=parse, lines=True)
