"""The types of value an option may have: text in a file to a typed value.

A type's `parse` raises ValueError with what was expected; the configuration adds which option it
was and where it is set. Durations are `timedelta`, sizes are bytes, `off` is None.
"""
from __future__ import annotations

import os
from datetime import date, timedelta

from jobs_lib.records import namedtuple
from jobs_lib.schedule import parse as parse_schedule

Kind = namedtuple("Kind", "name parse mask lines", defaults=(None, False))
Kind.__doc__ = """A type of value.

name   in words, for the docs
parse  text -> value; ValueError says what was expected
mask   text -> text fit to be seen; None: nothing is secret in it
lines  whether it may go on over several lines
"""
Option = namedtuple("Option", "kind default meaning argument", defaults=(False,))
Option.__doc__ = """One setting: its type, its default as text, and what it means in a sentence.

argument  whether it is about one run and given by --set alone: in a file or the environment it
          would hold for ever
"""


def argument(kind: Kind, meaning: str) -> Option:
    """What is given to one run by `--set`, and in no file: a domain to check, a day to begin
    with."""
    return Option(kind, "", meaning, True)


def option_type(name: str, mask=None):
    """Makes the parser below it the option type of that name."""
    return lambda parse: Kind(name, parse, mask)


SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
BYTES = {"GB": 1024 ** 3, "MB": 1024 ** 2, "KB": 1024, "B": 1}
LONGEST, LARGEST = 36_500 * SECONDS["d"], 1_000_000 * BYTES["GB"]
YES, NO = ("yes", "on", "true", "1"), ("no", "off", "false", "0")
STARS = "********"
SHORTEST_KEY = 32            # characters of a key that signs: 128 bits, if it is in hex
HEX = "0123456789abcdefABCDEF"
DNS_PORT = 53
ZERO = "expected more than 0 (0 could mean 'off' or 'everything')"


# What is hidden of a value that is shown

def hide_all(value: str) -> str:
    """Stars, which do not show the value's length."""
    return STARS if value else ""


def hide_password(value: str) -> str:
    """A URL with everything but its password; where it is no URL, too little is shown rather than
    too much."""
    login, at, server = value.rpartition("@")
    address, mark, query = server.partition("?")
    if "pass" in query.lower() or "secret" in query.lower():
        server = f"{address}{mark}{STARS}"
    if not at:
        host, colon, port = server.partition("://")[2].partition(":")
        if colon and host and "/" not in host and not port.partition("/")[0].isdecimal():
            # no host: user:password
            return server[:len(server) - len(port)] + STARS
    scheme, slashes, login = login.rpartition("://") if login.count("://") == 1 else ("", "", login)
    user, colon, _ = login.partition(":")
    if colon:
        login = f"{user if slashes else ''}:{STARS}"
    return f"{scheme}{slashes}{login}{at}{server}"


def hide_path(value: str) -> str:
    """The host of a URL, and nothing behind it: that is as good as a password."""
    scheme, slashes, rest = value.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}{slashes}{host}/{STARS}" if slashes else hide_all(value)


# Text

@option_type("text")
def text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("expected printable characters only")
    return value


def _path(value: str) -> str:
    """As it is written: the configuration resolves it from its own folder."""
    if not value:
        raise ValueError("expected a path")
    user = value.partition("/")[0]
    if user[:1] == "~" and os.path.expanduser(user) == user:
        raise ValueError(f"there is no user {user[1:60]!r} whose home folder ~ could mean: "
                         "expected a path from / on, or from the folder of config.ini on")
    return text.parse(value)


def _signing_key(value: str) -> str:
    """Anyone who has one link can try keys against it for as long as they like."""
    if 0 < len(value) < SHORTEST_KEY:
        raise ValueError(f"expected at least {SHORTEST_KEY} characters: `python3 -c \"import "
                         "secrets; print(secrets.token_hex(32))\"` makes one. Or leave it empty, "
                         "and one is made")
    return value


folder = Kind("path of a folder", _path)
file = Kind("path of a file", _path)
secret = Kind("text", lambda value: value, mask=hide_all)
signing_key = Kind(f"text of {SHORTEST_KEY} characters or more, or empty", _signing_key,
                   mask=hide_all)


# Names, addresses and URLs

@option_type("database URL", mask=hide_password)
def database(value: str) -> str:
    """Its form alone, reported with all other mistakes; the dialect reads it."""
    from jobs_lib.database.dialects import urls
    urls.check(value)
    return value


@option_type("letters, digits and _")
def identifier(value: str) -> str:
    if value and not (value.isascii() and ("x" + value).isidentifier()):
        raise ValueError("expected letters, digits and _")
    return value


@option_type("host name")
def host(value: str) -> str:
    labels = value.rstrip(".").split(".")
    is_name = all(label.replace("-", "").replace("_", "").isalnum() for label in labels)
    is_ipv6 = value.count(":") >= 2 and all(sign in HEX + ":." for sign in value)
    if not (is_name or is_ipv6):
        raise ValueError("expected a host name such as mail.example.org, without scheme or port")
    return value


@option_type("URL")
def url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    is_web = scheme.lower() in ("http", "https") and rest.strip("/")
    if not is_web or " " in rest or not value.isprintable():
        raise ValueError("expected a URL such as https://mail.example.org")
    check_port(value)
    if any(len(code) < 2 or not set(code[:2]) <= set(HEX) for code in rest.split("%")[1:]):
        raise ValueError("expected two hex digits behind each % (a % of its own is %25)")
    return value


@option_type("URL in ASCII")
def ascii_url(value: str) -> str:
    if not value.isascii():
        raise ValueError("expected a URL in ASCII, a name such as grün.example as "
                         "xn--grn-ioa.example")
    return url.parse(value)


@option_type("URL in ASCII", mask=hide_path)
def private_url(value: str) -> str:
    """Anyone who knows it may use it."""
    from jobs_lib.ports.http.url import parse
    try:
        parse(ascii_url.parse(value))
    except ValueError as error:
        raise ValueError(str(error).replace("the URL of this endpoint", "the URL")) from None
    return value


@option_type("Redis URL", mask=hide_password)
def redis(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if scheme not in ("redis", "rediss", "unix") or not separator:
        raise ValueError("expected redis://host:6379/0, rediss://... or unix:///path/redis.sock")
    if scheme != "unix":
        check_port(value)
    return text.parse(value)


@option_type("broker URL", mask=hide_password)
def broker(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if scheme not in ("amqp", "amqps", "redis", "rediss") or not separator:
        raise ValueError("expected amqp://user:password@host:5672//, amqps://..., or "
                         "redis://host:6379/0")
    for each in value.split(";"):       # several brokers: Celery takes the first that answers
        check_port(each)
    return text.parse(value)


@option_type("address")
def address(value: str) -> str:
    from jobs_lib.addresses import check
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"expected an address such as notices@example.org ({error})") from None
    return value


@option_type("Name <address>")
def mailbox(value: str) -> str:
    name, angle, rest = value.rpartition("<")
    if not angle or not name.strip() or not rest.endswith(">") or not value.isprintable():
        raise ValueError("expected Name <address>, such as Porter <porter@example.org>")
    address.parse(rest[:-1])
    return value


@option_type("address, or Name <address>")
def sender(value: str) -> str:
    """The address alone; the name of it is asked for by `sender_name`."""
    if "<" in value or ">" in value:
        return mailbox.parse(value).rpartition("<")[2][:-1]
    return address.parse(value)


def sender_name(value: str) -> str:
    """`Porter` of `Porter <porter@example.org>`, "" of an address alone."""
    return value.rpartition("<")[0].strip()


@option_type("IP address, with or without :port")
def nameserver(value: str) -> tuple:
    """(address, port) of `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`."""
    from ipaddress import ip_address

    from jobs_lib.database.dialects.urls import is_port

    host, colon, port = value, "", ""
    if value.startswith("[") and "]" in value:
        host, _, rest = value[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    elif value.count(":") == 1:
        host, colon, port = value.partition(":")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError("expected an address such as 192.0.2.1 or 192.0.2.1:5353, not a "
                         "name") from None
    if colon and not (colon == ":" and is_port(port)):
        raise ValueError("expected a port of 1-65535 behind the address")
    return host, int(port or DNS_PORT)


@option_type("network")
def network(value: str):
    import ipaddress
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError("expected a network such as 10.1.0.0/16, without bits behind its "
                         "length") from None


def check_port(url: str) -> None:
    """ValueError for a port that there cannot be in `scheme://login@host:port/...`; nothing of the
    URL is quoted."""
    from jobs_lib.database.dialects.urls import is_port

    rest = url.partition("://")[2].partition("?")[0]
    server = rest.rpartition("@")[2].partition("/")[0]
    _, colon, port = server.rpartition("]")[2].rpartition(":")          # [::1]:6379
    if colon and not is_port(port):
        raise ValueError("expected a port of 1-65535 behind the host")


# Numbers, times, switches

def _in_units(value: str, units: dict, most: int, expected: str) -> int:
    """`36h` in the smallest of the units. ValueError for 0, for more than `most`, and for what is
    no whole number with one of the units."""
    word = value.strip()
    unit = word.lstrip("0123456789 ")
    number = word[:len(word) - len(unit)].rstrip()
    size = {name.lower(): size for name, size in units.items()}.get(unit.lower())
    if word == "0" or (size and number.isdecimal() and int(number[:20]) == 0):
        raise ValueError(ZERO)
    if size is None or not number.isdecimal() or len(number) > 15:
        raise ValueError(expected)
    found = int(number) * size
    if found > most:
        raise ValueError(f"expected at most {_with_unit(most, units)}")
    return found


def _with_unit(number: int, units: dict) -> str:
    """`36h`: in the largest of the units that divides it."""
    unit = next((name for name, size in units.items() if number and number % size == 0),
                list(units)[-1])
    return f"{number // units[unit]}{unit}"


def show_duration(value: timedelta) -> str:
    """`36h` for 36 hours; two weeks are `14d`."""
    return _with_unit(int(value.total_seconds()),
                      {unit: size for unit, size in SECONDS.items() if unit != "w"})


def show_size(value: int) -> str:
    """`25MB`, in the largest unit that divides it."""
    return _with_unit(value, BYTES)


@option_type("duration")
def duration(value: str) -> timedelta:
    return timedelta(seconds=_in_units(
        value, SECONDS, LONGEST, "expected a duration with its unit, such as 90d, 36h, 15m or 30s"))


@option_type("size")
def size(value: str) -> int:
    return _in_units(value, BYTES, LARGEST,
                     "expected a size with its unit, such as 500KB, 25MB or 2GB")


@option_type("day")
def day(value: str) -> date:
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("expected a day such as 2026-10-31") from None


@option_type("yes or no")
def switch(value: str) -> bool:
    word = value.strip().lower()
    if word not in YES + NO:
        raise ValueError("expected yes or no")
    return word in YES


@option_type("time zone")
def timezone(value: str) -> str:
    from jobs_lib.schedule import zone
    try:
        zone(value)
    except ValueError as error:
        from zoneinfo import available_timezones

        from jobs_lib.text import did_you_mean
        raise ValueError(f"{error}{did_you_mean(value, available_timezones())}") from None
    return value


schedule = Kind("cron expression", parse_schedule)


def integer(low: int, high: int) -> Kind:
    """A whole number within both limits."""
    @option_type(f"whole number, {low}-{high}")
    def parse(value: str) -> int:
        word = value.strip()
        if word.isascii() and word.isdecimal() and len(word) < 20 and low <= int(word) <= high:
            return int(word)
        raise ValueError(f"expected a whole number, {low}-{high}")
    return parse


# Types made of types

def choice(*words: str) -> Kind:
    """The option type that takes one of these words."""
    @option_type(" or ".join(words))
    def parse(value: str) -> str:
        word = value.strip().lower()
        if word in words:
            return word
        from jobs_lib.text import did_you_mean, either
        raise ValueError(f"expected {either(words)}{did_you_mean(value, words)}")
    return parse


def limited(kind: Kind, low: str, high: str = "") -> Kind:
    """A value of the type within both limits, which are written as such values."""
    least, most = kind.parse(low), kind.parse(high) if high else None

    def parse(value: str):
        found = kind.parse(value)
        if found < least:
            raise ValueError(f"expected at least {low}")
        if most is not None and found > most:
            raise ValueError(f"expected at most {high}")
        return found
    return kind._replace(name=f"{kind.name}, {f'{low}-{high}' if high else f'{low} or more'}",
                         parse=parse)


def optional(kind: Kind) -> Kind:
    """`off` (None) or a value of the type."""
    def parse(value: str):
        if value.strip().lower() == "off":
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None
    return kind._replace(name=f"{kind.name}, or off", parse=parse)


def or_empty(kind: Kind) -> Kind:
    """Nothing at all, as "", or a value of the type."""
    return kind._replace(name=f"{kind.name}, or empty",
                         parse=lambda value: kind.parse(value) if value else "")


def several(kind: Kind, least: int = 1) -> Kind:
    """A list parted by commas or line ends, as a tuple."""
    def parse(value: str) -> tuple:
        words = [word.strip() for line in value.split("\n") if line.strip(" ,")
                 for word in line.strip().removesuffix(",").split(",")]
        if "" in words:
            raise ValueError("expected a value between two commas")
        if len(words) < least:
            raise ValueError(f"expected at least {least}, parted by commas: {kind.name}")
        return tuple(_each(word, len(words) > 1) for word in words)

    def _each(word: str, one_of_many: bool):
        try:
            return kind.parse(word)
        except ValueError as error:
            if not one_of_many:
                raise
            raise ValueError(f"{word[:40]!r}: {error}") from None
    return kind._replace(name=f"list: {kind.name}", parse=parse, lines=True)
