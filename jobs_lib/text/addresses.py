"""Addresses and domain names: refused, or left as they are.

An address that passes `check` reaches the wire unchanged. The rules are narrower than RFC 5321
where the wider form only serves injection (spaces, commas, angles, address literals), and wider
where real senders are (dots side by side, a local part of more than 64 octets, which SRS makes
itself).

A domain with letters beyond ASCII has an `xn--` form (RFC 5891). It is made without the
replacements of Python's own codec, which turns `faß.example` into `fass.example`: another domain,
with another owner. Few runs meet one: what reads them is loaded when it is needed.
"""
from __future__ import annotations

from functools import lru_cache

MAX_OCTETS = 254  # RFC 5321 4.5.3.1.3: a path is 256 with its angles

# besides what cannot be printed, which all other white space is; U+FFFD was read in the place of
# octets that are no UTF-8, so it is not the address that was stored
_REFUSED = frozenset(" <>,\ufffd")
# the specials of RFC 5322, spaces and control characters; of other alphabets anything is allowed
_NO_ATOM = frozenset('"(),:;<>@[\\]\x7f' + "".join(map(chr, range(0x21))))
# of a label; senders do use underscores
_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
MAX_LABEL = 63
LONGEST = 253  # octets of a whole domain, without the dot at its end (RFC 1035 2.3.4)
LOCAL = ("localhost", "localhost.localdomain")
LOOPBACK = (*LOCAL, "127.0.0.1", "::1")
DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")  # what some keyboards give for a dot


class AddressError(ValueError):
    """An address that must not reach the wire; says why."""


@lru_cache(maxsize=64)  # a message's are asked for at each step
def check(address: str) -> str:
    """The address fit for the wire: itself, with a non-ASCII domain in its `xn--` form.

    A non-ASCII local part stays as it is and asks the relay for SMTPUTF8 (RFC 6531). Raises
    AddressError.
    """
    if not isinstance(address, str) or not address:
        raise AddressError("the address is empty")
    if not (address.isprintable() and _REFUSED.isdisjoint(address)):
        sign = next(sign for sign in address if not sign.isprintable() or sign in _REFUSED)
        raise AddressError(f"the address holds {sign!a}, which no address may")
    local, _, domain = address.rpartition("@")
    if not (local and domain):
        raise AddressError("the address is not of the form name@domain")
    if not (_is_atom(local) or _is_quoted(local)):
        raise AddressError("the part of the address before the @ is not a valid name")
    if not domain.isascii():
        try:
            domain = exact_ascii(domain)
        except ValueError:
            raise AddressError(f"the domain {domain!a} has no safe ASCII form; write it as "
                               "xn--...") from None
    if not all(_is_label(label) for label in domain.split(".")):
        raise AddressError(f"{domain!a} is not a domain name")
    if len(local.encode()) + 1 + len(domain) > MAX_OCTETS:
        raise AddressError(f"the address is longer than {MAX_OCTETS} octets")
    return f"{local}@{domain}"


def _is_atom(local: str) -> bool:
    return bool(local) and _NO_ATOM.isdisjoint(local)


def _is_quoted(local: str) -> bool:
    if not local.startswith('"'):
        return False
    import re  # few senders have one
    return re.match(r'"(?:[^"\\]|\\.)+"\Z', local) is not None


def _is_label(label: str) -> bool:
    return (0 < len(label) <= MAX_LABEL and _SIGNS.issuperset(label)
            and not (label.startswith("-") or label.endswith("-")))


def split_local(address: str):
    """(local part without its quotes, domain): what `"a b"@x` and `a` mean (RFC 5322 3.4.1)."""
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        import re
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local, domain


def join_local(local: str) -> str:
    """The local part as it is written: quoted when it holds what is only allowed in quotes."""
    if _is_atom(local):
        return local
    import re
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'


# Domain names

def ascii_form(name: str) -> str:
    """`grüße.example` as `xn--gre-6ka8l.example`, in lower case, without a dot at its end.

    ValueError for what is not the name of a domain below a top-level one.
    """
    labels = _composed(name.strip().translate(DOTS).lower()).rstrip(".").split(".")
    made = [label if label.isascii() else _encoded(label) for label in labels]
    is_domain = len(made) > 1 and all(map(_is_label, made)) and not made[-1].isdecimal()
    if not is_domain or len(".".join(made)) > LONGEST:
        raise ValueError(f"{name[:80]!r} is not a domain name")
    return ".".join(made)


def exact_ascii(name: str) -> str:
    """The same, for connecting to the name or sending to it: only a form that IDNA 2003 and 2008
    make alike, and that means exactly this name. ASCII stays as it is.

    Python's codec is IDNA 2003, which makes `fass` of `faß` and plain letters of full-width ones:
    another name, with another owner. ValueError for what does not come back as it went in.
    """
    if name.isascii():
        return name
    made = name.encode("idna").decode("ascii")  # a UnicodeError is a ValueError
    if made.encode().decode("idna") != _composed(name).lower():
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


def _composed(name: str) -> str:
    import unicodedata
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _encoded(label: str) -> str:
    import unicodedata
    if not all(unicodedata.category(sign)[0] in "LMN" or sign in "-\u00b7\u200c\u200d"
               for sign in label):
        return ""  # no letter, mark or digit: no label
    return "xn--" + label.encode("punycode").decode("ascii")


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        read = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return read if _encoded(read) == label and read.isprintable() else label
