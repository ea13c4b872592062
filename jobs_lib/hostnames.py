"""Domain names: the form that DNS asks for, and the form that people read.

A name with letters beyond ASCII has an `xn--` form (RFC 5891). It is made without the replacements
of Python's own codec, which turns `faß.example` into `fass.example`: another domain, with another
owner.
"""
from __future__ import annotations

import re
import unicodedata

LONGEST = 253                # octets of a whole name, without the dot at its end (RFC 1035 2.3.4)
LOCAL = ("localhost", "localhost.localdomain")
LOOPBACK = (*LOCAL, "127.0.0.1", "::1")
DOTS = re.compile("[\u3002\uff0e\uff61]")       # what some keyboards give for a dot
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")


def ascii_form(name: str) -> str:
    """`grüße.example` as `xn--gre-6ka8l.example`, in lower case, without a dot at its end.

    ValueError for what is not the name of a domain below a top-level one.
    """
    labels = unicodedata.normalize("NFC",
                                   DOTS.sub(".", name.strip()).lower()).rstrip(".").split(".")
    made = ".".join(label if label.isascii() else _encoded(label) for label in labels)
    is_long = len(made) > LONGEST
    are_labels = len(labels) > 1 and all(map(_LABEL.match, made.split(".")))
    if is_long or not are_labels or labels[-1].isdecimal():
        raise ValueError(f"{name[:80]!r} is not a domain name")
    return made


def exact_ascii(name: str) -> str:
    """The same, for connecting to the name or sending to it: only a form that IDNA 2003 and 2008
    make alike, and that means exactly this name. ASCII stays as it is.

    Python's codec is IDNA 2003, which makes `fass` of `faß` and plain letters of full-width ones:
    another name, with another owner. ValueError for what does not come back as it went in.
    """
    if name.isascii():
        return name
    made = name.encode("idna").decode("ascii")          # a UnicodeError is a ValueError
    if made.encode().decode("idna") != unicodedata.normalize("NFC", name).lower():
        raise ValueError(f"{name[:80]!a} has no safe ASCII form")
    return made


def shown(name: str) -> str:
    """The name as it is read, with its `xn--` form behind it where that is another one."""
    try:
        made = ascii_form(name)
    except ValueError:
        return name
    read = ".".join(map(_decoded, made.split(".")))
    return made if read == made else f"{read} ({made})"


def forms(name: str) -> list[str]:
    """Every way in which this name may be written in a table."""
    written = {name.strip().rstrip(".").lower()}
    try:
        made = ascii_form(name)
        written |= {made, ".".join(map(_decoded, made.split(".")))}
    except ValueError:
        pass
    return sorted(written)


def _encoded(label: str) -> str:
    if not all(unicodedata.category(sign)[0] in "LMN" or sign in "-\u00b7\u200c\u200d"
               for sign in label):
        return ""                           # no letter, mark or digit: no label
    return "xn--" + label.encode("punycode").decode("ascii")


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        read = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return read if _encoded(read) == label and read.isprintable() else label
