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

# The text may be a stranger's and as long as he likes: what is repeated below is limited, so that
# no text takes the square of its length.
HIDDEN = "***"
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::[0-9]*)?\Z")
QUERY = re.compile(r"[?#].*", re.DOTALL)
# the sign @ as it is, as other alphabets have it, and as links and HTML encode it
AT = "[@\uff20\ufe6b]"
ENCODED_AT = "(?:%(?:25){0,9}40|&#0{0,9}64;|&#[xX]0{0,9}40;|&commat;)"
# a literal (RFC 5321 4.1.3), a name, perhaps behind a comment, or what was cut off
DOMAIN = (r"(?:\[[^\s\[\]]{1,64}|(?:\([^\s()]{0,200}\))?[\w.\-\u0080-\U0010ffff]"
          r"|(?=[^\s<>()\[\]\"',;:@])|\Z)")
ENDS = r"\s<>()\[\],;:\""             # what ends a name to its left (RFC 5321 4.1.2)
ENDS_ENCODED = ENDS + "/=&?#"         # and what would be encoded itself where the @ is


def _name(ends: str, at: str) -> str:
    """The pattern of a name before such an `at`: with signs that a backslash makes harmless, one
    quote of which the other was cut off, and a comment (RFC 5322 3.2.2). Of one whose beginning is
    not near, since names are joined by what may be in them, the end."""
    whole = rf'(?<![^{ends}])(?:\\.|[^{ends}\\]){{1,200}}\\?"?(?:\([^()\n]{{0,200}}\))?'
    return rf'(?:{whole}|[^{ends}]{{1,64}}"?)(?={at})'


SIGN = f"(?:{AT}|{ENCODED_AT})"
LOOKS = re.compile(f"{SIGN}|://|whsec_")
IN_QUOTES = rf'"(?:[^"\\]|\\.){{0,200}}"(?={SIGN})'
ENCODED = _name(ENDS_ENCODED, ENCODED_AT)
IN_LINK = re.compile(f"({_name(ENDS + '/', AT)}|{ENCODED})({SIGN}{DOMAIN})")
FOUND = re.compile(rf'://[^\s<>"]+|({IN_QUOTES}|{_name(ENDS, AT)}|{ENCODED})({SIGN}{DOMAIN})')


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
    if not LOOKS.search(words):         # as mostly: the answer to each message comes here
        return words
    return FOUND.sub(_shown, ENDPOINT_SECRET.sub("whsec_...", words))


def without_secrets(words: str, hidden=()) -> str:
    """The same, and without the `hidden` values: what a library, a server or a trigger says may
    quote anything that it was given."""
    for secret in hidden:
        words = words.replace(secret, "...")
    return text(words)


def _shown(found) -> str:
    """What may be shown of a link, from its `://` on, and of links inside it likewise; or of an
    address."""
    if found[1]:
        return _hidden(found[1]) + found[2]
    shown = "://".join(map(_from_host, found[0].split("://")))
    shown = "'".join(QUERY.sub("?...", part) for part in shown.split("'"))
    return IN_LINK.sub(lambda inside: _hidden(inside[1]) + inside[2], shown)


def _from_host(link: str) -> str:
    """The link without user and password."""
    authority = re.split("[/?#]", link, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if HOST.match(host):
        return link[len(authority) - len(host):]
    return link[link.rfind("@") + 1:]               # user:password, with a / or ? in the password


def _hidden(name: str) -> str:
    """The first letter of a name, and the quote before it."""
    if name.endswith('"') and name[0] == '"' and len(name) > 1:
        return '"' + HIDDEN
    quote = name[0] if name[0] in "'`" and len(name) > 1 else ""
    name = name[len(quote):]
    if name.endswith(HIDDEN) and len(name) <= 1 + len(HIDDEN):          # masked before
        return quote + name
    return f"{quote}{name[0] if name[0].isprintable() else '?'}{HIDDEN}"
