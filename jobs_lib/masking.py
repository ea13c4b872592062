"""What of a row a person may be shown: addresses masked, links without their query, secrets and
contents never.

Two nets: a job names the columns of its sample, and what is in them goes through here all the same,
since texts such as a server's answer hold addresses of their own.
"""
from __future__ import annotations

import re

NOT_SHOWN = "(not shown)"
SECRET = re.compile(r"secret|token|nonce|password|hash|cipher|payload|body|excerpt|details|_key\b")
ENDPOINT_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,}")

# The text may be a stranger's and as long as he likes, so each pattern and each loop below reads a
# character a fixed number of times: none begins again where another one has failed.
LINK = re.compile(r"(?<=://)[^\s<>\"]+")
PATH = re.compile(r"[/?#]")
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::[0-9]*)?\Z")
QUERY = re.compile(r"[?#].*", re.DOTALL)
SIGNS = "@|\uff20|\ufe6b|%(?:25)*40|&#0*64;|&#[xX]0*40;|&commat;"
AT = re.compile(SIGNS)
QUOTED_AT = re.compile(f"\"(?={SIGNS})")
# a literal, RFC 5321 4.1.3
DOMAIN = re.compile(r"\[[^\s\[\]]{1,64}"
                    r"|(?:\([^\s()]*\))?[A-Za-z0-9._\-\u0080-\ufe6a\ufe6c-\uff1f\uff21-\U0010ffff]+"
                    # nonsense, or cut off: a name even so
                    r"|(?=[^\s<>()\[\]\"',;:@])|\Z")
# what ends a name to its left (RFC 5321 4.1.2); and any space does
ENDS = frozenset("<>()[],;:\"")
ENDS_ENCODED = ENDS | frozenset("/=&?#")  # and what would be encoded itself where the @ is
HIDDEN = "***"


def sample(row: dict, columns) -> dict:
    """Those of the columns that the row has, fit to be shown."""
    return {name: value(name, row[name]) for name in columns if name in row}


def value(column: str, content):
    """One value of a column, fit to be shown."""
    if content is None or content == "":
        return content
    if SECRET.search(column) or isinstance(content, (bytes, bytearray)):
        return NOT_SHOWN
    return text(content) if isinstance(content, str) else content


def text(words: str) -> str:
    """Words with every address masked, and with neither login nor query in a link."""
    if "://" in words:
        words = LINK.sub(_public, words)
    return _masked(_without_quoted(ENDPOINT_SECRET.sub("whsec_...", words)))


def without_secrets(words: str, hidden=()) -> str:
    """The same, and without the `hidden` values: what a library, a server or a trigger says may
    quote anything that it was given."""
    for secret in hidden:
        words = words.replace(secret, "...")
    return text(words)


# Links

def _public(found) -> str:
    """What may be shown of a link, from behind its `://` on; of links inside it likewise."""
    shown = "://".join(map(_from_host, found[0].split("://")))
    return "'".join(QUERY.sub("?...", part) for part in shown.split("'"))


def _from_host(link: str) -> str:
    """The link without user and password."""
    authority = PATH.split(link, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if HOST.match(host):
        return link[len(authority) - len(host):]
    return link[link.rfind("@") + 1:]               # user:password, with a / or ? in the password


# Addresses

def _without_quoted(words: str) -> str:
    """Each name in quotes as `"***`, since what is in it may look like anything: `"a@b
    c"@example.org`."""
    parts, done, least = [], 0, 0
    for found in QUOTED_AT.finditer(words):
        closing = found.start()
        opening = _opening_quote(words, least, closing)
        # it may be the opening quote of the next one
        least = closing
        if opening >= 0 and (at := AT.match(words, closing + 1)) and DOMAIN.match(words, at.end()):
            parts += [words[done:opening + 1], HIDDEN]
            done = least = closing + 1
    return "".join([*parts, words[done:]]) if parts else words


def _opening_quote(words: str, least: int, closing: int) -> int:
    """Where the quoted name that ends at `closing` begins; -1: nowhere."""
    at = closing
    while (at := words.rfind('"', least, at)) >= 0:
        before = at
        while before > least and words[before - 1] == "\\":
            before -= 1
        if (at - before) % 2 == 0:
            return at
        at = before
    return -1


def _masked(words: str) -> str:
    """Each address as `a***@example.org`, however its name is written."""
    parts, done, least = [], 0, 0
    for found in AT.finditer(words):
        at, domain = found, DOMAIN.match(words, found.end())
        if found.start() < least or domain is None:
            # read already; or no address
            continue
        while (more := AT.match(words, domain.end())) and (last := DOMAIN.match(words, more.end())):
            # a@b@example.org: the last one parts name and domain
            at, domain = more, last
        start = _start(words, least, found.start(), ENDS if at[0] == "@" else ENDS_ENCODED)
        least = domain.end()
        if start < found.start():
            parts += [words[done:start], _hidden(words[start:at.start()]), words[at.start():least]]
            done = least
    return "".join([*parts, words[done:]]) if parts else words


def _start(words: str, least: int, end: int, ends: frozenset) -> int:
    """Where the name before the @ at `end` begins, from `least` on."""
    at = end
    while at > least:
        sign = words[at - 1]
        if at - 1 > least and words[at - 2] == "\\" and sign not in "\r\n":
            # one sign made harmless: `Fred\ Bloggs@example.org`
            at -= 2
        elif sign == '"' and at == end:
            at -= 1                                     # the other quote was cut off
        elif sign == ")" and at == end and (opening := words.rfind("(", least, at)) >= 0:
            at = opening                                # a comment (RFC 5322 3.2.2)
        elif sign in ends or sign.isspace():
            break
        else:
            at -= 1
    if words.startswith("//", at) and at and words[at - 1] == ":":
        # in a link: a part of its path, not all of it
        return max(at, words.rfind("/", at, end) + 1)
    return at


def _hidden(name: str) -> str:
    quote = name[0] if name[0] in "'`" and len(name) > 1 else ""
    name = name[len(quote):]
    if name.endswith(HIDDEN) and len(name) <= 1 + len(HIDDEN):          # masked before
        return quote + name
    return f"{quote}{name[0] if name[0].isprintable() else '?'}{HIDDEN}"
