"""What of a row a person may be shown: addresses masked, links without login and query, secrets and
contents never.

A job names the columns of its sample, and what is in them goes through here all the same: a
server's answer may hold any address.
"""
from __future__ import annotations

import re

NOT_SHOWN = "(not shown)"
HIDDEN = "***"
SECRET = re.compile(r"secret|token|nonce|password|hash|cipher|payload|body|excerpt|details|_key\b")
ENDPOINT_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,}")

# The text may be a stranger's and as long as he likes: what is repeated below is limited, so that
# no text takes the square of its length.
LINK = r'://[^\s<>"]+'
# the sign @ as it is, as other alphabets have it, and as links and HTML encode it
AT = "(?:[@\uff20\ufe6b]|%(?:25){0,9}40|&#0{0,9}64;|&#[xX]0{0,9}40;|&commat;)"
# in quotes, or what no sign ends that would need them; or with one quote, the other cut off
NAME = r'"(?:[^"\\]|\\.){0,200}"|[^\s<>()\[\],;:"]{1,200}"?'
# what a domain or an address in brackets begins with, or nothing where it was cut off
DOMAIN = r"(?:[^\s<>()\]\"',;:@]|\Z)"
LOOKS = re.compile(f"{AT}|://|whsec_")
FOUND = re.compile(f"{LINK}|(?:{NAME})(?={AT}{DOMAIN})")
IN_LINK = re.compile(rf"[^/]{{1,200}}(?={AT})")
QUERY = re.compile("[?#][^']*")


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
    if not LOOKS.search(words):  # as mostly: the answer to each message comes here
        return words
    return FOUND.sub(_shown, ENDPOINT_SECRET.sub("whsec_...", words))


def without_secrets(words: str, hidden) -> str:
    """The same, and without the `hidden` values: what a library, a server or a trigger says may
    quote anything that it was given."""
    for secret in hidden:
        words = words.replace(secret, "...")
    return text(words)


def _shown(found) -> str:
    """The first letter of a name; a link from its last @ on, since a password may hold any sign."""
    words = found[0]
    if not words.startswith("://"):
        return _hidden(words)
    _, at, rest = words[3:].rpartition("@")
    shown = IN_LINK.sub(lambda name: _hidden(name[0]), QUERY.sub("?...", rest))
    return f"://{HIDDEN}@{shown}" if at else f"://{shown}"


def _hidden(name: str) -> str:
    if name.endswith(HIDDEN) and len(name) <= 1 + len(HIDDEN):  # masked before
        return name
    return (name[0] if name[0].isprintable() else "?") + HIDDEN
