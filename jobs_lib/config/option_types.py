"""The kinds of value an option may have: text in a file to a typed value, and back.

A kind's `parse` raises ValueError with what was expected; the configuration adds which option it
was and where it stood. Durations are `timedelta`, sizes are bytes, `off` is None.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import date, timedelta

from jobs_lib.schedule import parse as parse_schedule

Kind = namedtuple("Kind", "name parse show mask lines", defaults=(str, None, False))
Kind.__doc__ = """A kind of value.

name   in words, for the docs            parse  text -> value; ValueError says what was expected
show   value -> text                     mask   text -> text fit to be seen; None: nothing is secret in it
lines  whether it may go on over several lines
"""
Option = namedtuple("Option", "kind default meaning argument", defaults=(False,))
Option.__doc__ = """One setting: its kind, its default as text, and what it means in a sentence.

argument  whether it is about one run and given by --set alone: in a file or the environment it would hold for ever
"""


def argument(kind: Kind, default: str, meaning: str) -> Option:
    """What one run is told by `--set`, and no file may say: a test alert, a domain to look at, a
    day to begin with."""
    return Option(kind, default, meaning, True)



SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"B": 1, "KB": 1024, "MB": 1024 ** 2, "GB": 1024 ** 3}
YES, NO = ("yes", "on", "true", "1"), ("no", "off", "false", "0")
LONGEST_DAYS, LARGEST_GB = 36_500, 1_000_000
STARS = "********"
SHORTEST_KEY = 32            # characters of a key that signs: 128 bits, if it is in hex
ZERO = "expected more than 0 (0 could mean 'off' or 'everything')"


# Text

def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("expected printable characters only")
    return value


def _path(value: str) -> str:
    if not value:
        raise ValueError("expected a path")
    return _text(value)


def hide_password(value: str) -> str:
    """A URL with everything but its password; where it is no URL, too little is shown rather than
    too much."""
    login, at, place = value.rpartition("@")
    address, mark, query = place.partition("?")
    if "pass" in query.lower() or "secret" in query.lower():
        place = f"{address}{mark}{STARS}"
    if not at:
        host, colon, port = place.partition("://")[2].partition(":")
        if colon and host and "/" not in host and not port.partition("/")[0].isdecimal():
            # no host: user:password
            return place[:len(place) - len(port)] + STARS
    scheme, slashes, login = login.rpartition("://") if login.count("://") == 1 else ("", "", login)
    user, colon, _ = login.partition(":")
    if colon:
        login = f"{user if slashes else ''}:{STARS}"
    return f"{scheme}{slashes}{login}{at}{place}"


def _any(value: str) -> str:
    return value


def _is_port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 6 and 0 < int(word) < 65536


def _need_port(url: str) -> None:
    """ValueError for a port that there cannot be in `scheme://login@host:port/...`; nothing of the
    URL is quoted."""
    server = url.partition("://")[2].partition("?")[0]
    server = server.rpartition("@")[2] if "@" in server else server
    server = server.partition("/")[0]
    port = server.rpartition("]")[2] if "]" in server else server       # [::1]:6379
    if ":" in port and not _is_port(port.rpartition(":")[2]):
        raise ValueError("expected a port of 1-65535 behind the host")


def _file_url(rest: str) -> None:
    path, _, parameters = rest.partition("?")
    if len(path) < 2 or path[0] != "/" or (parameters and not parameters.startswith("vfs=")):
        raise ValueError("expected sqlite:///file.db or sqlite:////folder/file.db")


def _server_url(rest: str) -> None:
    from jobs_lib.database.dialects.base import TLS
    login, _, place = rest.rpartition("@")
    place, _, parameters = place.partition("?")
    server, _, name = place.partition("/")
    _, colon, port = server.partition(":")
    if not login.partition(":")[0] or not name or "/" in name:
        raise ValueError("expected mysql://user:password@host:3306/name, the name without a slash")
    if colon and not _is_port(port):
        raise ValueError("expected a port of 1-65535 in mysql://user:password@host:3306/name")
    options = dict(word.partition("=")[::2] for word in parameters.split("&") if word)
    if not {"unix_socket", "ssl_ca", "tls"} >= options.keys() or options.get("tls",
                                                                             "on") not in TLS:
        raise ValueError("expected nothing after mysql://user:password@host:3306/name but "
                         f"?unix_socket=/path, ?ssl_ca=/path or ?tls={'|'.join(TLS)}")
    if options.get("tls") in ("off", "on") and options.get("ssl_ca"):
        raise ValueError(f"expected ?ssl_ca=/path without &tls={options['tls']}, which verifies "
                         "nothing: keep one of the two")
    if options.get("tls") == "ca" and not options.get("ssl_ca"):
        raise ValueError("expected &ssl_ca=/path with ?tls=ca: the file with the authority that "
                         "signed the certificate")


DATABASE_URLS = {"sqlite": _file_url, "mysql": _server_url, "mariadb": _server_url}


def _database(value: str) -> str:
    """The shape alone, told with all other mistakes; its dialect reads it. Nothing of it is
    quoted."""
    scheme, slashes, rest = value.partition("://")
    judge = DATABASE_URLS.get(scheme) if slashes else None
    if judge is None:
        raise ValueError("expected sqlite:///file.db or mysql://user:password@host/name")
    judge(rest)
    return value


def _signing_key(value: str) -> str:
    """Anyone who has one link can try keys against it for as long as they like."""
    if 0 < len(value) < SHORTEST_KEY:
        raise ValueError(f"expected at least {SHORTEST_KEY} characters: `python3 -c \"import "
                         "secrets; print(secrets.token_hex(32))\"` makes one. Or leave it empty, "
                         "and one is made")
    return value


def _stars(value: str) -> str:
    return STARS if value else ""


text = Kind("text", _text)
secret = Kind("text", _any, mask=_stars)
signing_key = Kind(f"text of {SHORTEST_KEY} characters or more, or empty", _signing_key,
                   mask=_stars)
database = Kind("database URL", _database, mask=hide_password)
folder = Kind("path of a folder", _path)      # the configuration resolves it from its own folder
file = Kind("path of a file", _path)          # likewise


# Names and addresses

def _name(value: str) -> str:
    if value and not (value.isascii() and ("x" + value).isidentifier()):
        raise ValueError("expected letters, digits and _")
    return value


def _host(value: str) -> str:
    labels = value.rstrip(".").split(".")
    if value.count(":") >= 2 and all(sign in "0123456789abcdefABCDEF:." for sign in value):
        return value                          # an IPv6 address
    if all(label.replace("-", "").replace("_", "").isalnum() for label in labels):
        return value
    raise ValueError("expected a host name such as mail.example.org, without scheme or port")


def _url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in ("http", "https") or not rest.strip("/") or " " in rest or not value.isprintable():
        raise ValueError("expected a URL such as https://mail.example.org")
    _need_port(value)
    return value


def _ascii_url(value: str) -> str:
    if not value.isascii():
        raise ValueError("expected a URL in ASCII, a name such as grün.example as "
                         "xn--grn-ioa.example")
    return _url(value)


def _private_url(value: str) -> str:
    from jobs_lib.ports.http.url import parse
    try:
        parse(_ascii_url(value))
    except ValueError as error:
        raise ValueError(str(error).replace("the URL of this endpoint", "the URL")) from None
    return value


def _hide_path(value: str) -> str:
    """Whose it is, and nothing behind the host: that is as good as a password."""
    scheme, slashes, rest = value.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}{slashes}{host}/{STARS}" if slashes else _stars(value)


def _address(value: str) -> str:
    from jobs_lib.addresses import check
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"expected an address such as notices@example.org ({error})") from None
    return value


def _redis(value: str) -> str:
    if value.partition("://")[0] not in ("redis", "rediss", "unix") or "://" not in value:
        raise ValueError("expected redis://host:6379/0, rediss://... or unix:///path/redis.sock")
    if not value.startswith("unix:"):
        _need_port(value)
    return _text(value)


def _broker(value: str) -> str:
    if value.partition("://")[0] not in ("amqp", "amqps", "redis", "rediss") or "://" not in value:
        raise ValueError("expected amqp://user:password@host:5672//, amqps://..., or "
                         "redis://host:6379/0")
    for each in value.split(";"):
        # several brokers, of which Celery takes the first that answers
        _need_port(each)
    return _text(value)


def _mailbox(value: str) -> str:
    name, angle, rest = value.rpartition("<")
    if not angle or not name.strip() or not rest.endswith(">") or not value.isprintable():
        raise ValueError("expected Name <address>, such as Porter <porter@example.org>")
    _address(rest[:-1])
    return value


def _nameserver(value: str) -> tuple:
    """(address, port) of `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`."""
    from ipaddress import ip_address
    address, port = value, "53"
    if value.startswith("["):
        address, bracket, rest = value[1:].partition("]")
        port = rest[1:] if rest[:1] == ":" else port if bracket and not rest else ""
    elif value.count(":") == 1:
        address, _, port = value.partition(":")
    try:
        ip_address(address)
    except ValueError:
        raise ValueError("expected an address such as 192.0.2.1 or 192.0.2.1:5353, not a name") from None
    if not _is_port(port):
        raise ValueError("expected a port of 1-65535 behind the address")
    return address, int(port)


def _show_nameserver(value: tuple) -> str:
    address, port = value
    if port == 53:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


redis = Kind("Redis URL", _redis, mask=hide_password)
broker = Kind("broker URL", _broker, mask=hide_password)
identifier = Kind("letters, digits and _", _name)
host = Kind("host name", _host)
url = Kind("URL", _url)
ascii_url = Kind(url.name + " in ASCII", _ascii_url)
private_url = Kind(ascii_url.name, _private_url, mask=_hide_path)         # who knows it may use it
address = Kind("address", _address)
mailbox = Kind("Name <address>", _mailbox)
nameserver = Kind("IP address, with or without :port", _nameserver, _show_nameserver)


# Numbers, times, switches

def _duration(value: str) -> timedelta:
    word = value.strip().lower()
    number, unit = word[:-1].rstrip(), word[-1:]
    if number.isascii() and number.isdecimal() and len(number) < 12 and unit in SECONDS:
        seconds = int(number) * SECONDS[unit]
        if seconds == 0:
            raise ValueError(ZERO)
        if seconds > LONGEST_DAYS * SECONDS["d"]:
            raise ValueError(f"expected at most {LONGEST_DAYS}d")
        return timedelta(seconds=seconds)
    if word == "0":
        raise ValueError(ZERO)
    raise ValueError("expected a duration with its unit, such as 90d, 36h, 15m or 30s")


def show_duration(value: timedelta) -> str:
    """`36h` for 36 hours: the largest unit that divides it."""
    seconds = int(value.total_seconds())
    for letter in "dhm":
        if seconds and seconds % SECONDS[letter] == 0:
            return f"{seconds // SECONDS[letter]}{letter}"
    return f"{seconds}s"


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("expected a day such as 2026-10-31") from None


def _size(value: str) -> int:
    word = value.strip().upper()
    for unit in ("KB", "MB", "GB", "B"):
        number = word[:-len(unit)].rstrip()
        if word.endswith(unit) and number.isascii() and number.isdecimal() and len(number) < 16:
            if int(number) == 0:
                raise ValueError(ZERO)
            if int(number) * BYTES[unit] > LARGEST_GB * BYTES["GB"]:
                raise ValueError(f"expected at most {LARGEST_GB}GB")
            return int(number) * BYTES[unit]
    raise ValueError("expected a size with its unit, such as 500KB, 25MB or 2GB")


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


def _zone(value: str) -> str:
    from jobs_lib.schedule import zone
    try:
        zone(value)
    except ValueError as error:
        from zoneinfo import available_timezones

        from jobs_lib.text import did_you_mean
        words = str(error).removeprefix(f"{value!r}: ")
        raise ValueError(f"{words}{did_you_mean(value, available_timezones())}") from None
    return value


switch = Kind("yes or no", _switch, lambda value: "yes" if value else "no")
duration = Kind("duration", _duration, show_duration)
day = Kind("day", _day)
size = Kind("size", _size, show_size)
timezone = Kind("time zone", _zone)
schedule = Kind("cron expression", parse_schedule, lambda value: value.text)


def integer(low: int, high: int) -> Kind:
    """A whole number within both limits."""
    def parse(value: str) -> int:
        word = value.strip()
        if word.isascii() and word.isdecimal() and len(word) < 20 and low <= int(word) <= high:
            return int(word)
        raise ValueError(f"expected a whole number, {low}-{high}")
    return Kind(f"whole number, {low}-{high}", parse)


def _network(value: str):
    import ipaddress
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError("expected a network such as 10.1.0.0/16, without bits behind its length") from None


network = Kind("network", _network)


# Kinds made of kinds

def choice(*words: str) -> Kind:
    """One of a few words."""
    def parse(value: str) -> str:
        if value.strip().lower() in words:
            return value.strip().lower()
        from jobs_lib.text import did_you_mean
        raise ValueError(f"expected {' or '.join(words)}{did_you_mean(value, words)}")
    return Kind(" or ".join(words), parse)


def limited(kind: Kind, low: str, high: str = "") -> Kind:
    """A value of the kind within both limits, which are written as such values."""
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
    """`off` (None) or a value of the kind."""
    def parse(value: str):
        if value.strip().lower() == "off":
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None
    return kind._replace(name=f"{kind.name}, or off", parse=parse,
                         show=lambda value: "off" if value is None else kind.show(value))


def or_empty(kind: Kind) -> Kind:
    """Nothing at all, as "", or a value of the kind."""
    return kind._replace(name=f"{kind.name}, or empty", parse=lambda value: kind.parse(value)
                         if value else "", show=lambda value: kind.show(value) if value != ""
                         else "")


def several(kind: Kind, least: int = 1) -> Kind:
    """A list parted by commas or line ends, as a tuple."""
    def parse(value: str) -> tuple:
        words = [word.strip() for word in value.replace("\n", ",").split(",") if word.strip()]
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
    return kind._replace(name=f"list: {kind.name}", parse=parse, lines=True,
                         show=lambda values: ", ".join(kind.show(value) for value in values))
