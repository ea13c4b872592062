"""Addresses and domain names: refused, or left as they are.

The rules are narrower than RFC 5321 where the wider form only serves injection (spaces, commas,
angles, address literals), and wider where real senders are (dots side by side, a local part of more
than 64 octets, as SRS makes).

A domain with letters beyond ASCII goes in its `xn--` form (RFC 5891). Python's own codec is an
older standard's: it turns `faß.example` into `fass.example`, another domain, with another owner.
"""
from __future__ import annotations

from contextlib import suppress
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
        raise AddressError(f"the address contains {sign!a}, which no address may")
    local, _, domain = address.rpartition("@")
    if not (local and domain):
        raise AddressError("the address is not of the form name@domain")
    if not (_NO_ATOM.isdisjoint(local) or _is_quoted(local)):
        raise AddressError("the part of the address before the @ is not a valid name")
    if not domain.isascii():
        try:
            domain = ascii_form(domain)
        except ValueError:
            raise AddressError(f"the domain {domain!a} has no ASCII form") from None
    if not all(map(_is_label, domain.split("."))):
        raise AddressError(f"{domain!a} is not a domain name")
    if len(local.encode()) + 1 + len(domain) > MAX_OCTETS:
        raise AddressError(f"the address is longer than {MAX_OCTETS} octets")
    return f"{local}@{domain}"


def _is_quoted(local: str) -> bool:
    """Whether it is in quotes, without a quote or a backslash within them."""
    inner = local[1:-1]
    return local == f'"{inner}"' and bool(inner) and {'"', "\\"}.isdisjoint(inner)


def _is_label(label: str) -> bool:
    return (0 < len(label) <= MAX_LABEL and _SIGNS.issuperset(label)
            and not (label.startswith("-") or label.endswith("-")))


def split_local(address: str):
    """(local part without its quotes, domain): what `"a"@x` and `a` mean (RFC 5322 3.4.1)."""
    local, _, domain = address.rpartition("@")
    return local.strip('"'), domain


def join_local(local: str) -> str:
    """The local part, quoted if need be."""
    return local if local and _NO_ATOM.isdisjoint(local) else f'"{local}"'


# Domain names

def ascii_form(name: str) -> str:
    """`grüße.example` as `xn--gre-6ka8l.example`, in lower case, without a dot at its end.

    ValueError for what is not the name of a domain below a top-level one.
    """
    name = name.strip().rstrip(".").lower()
    # the form of a long one takes the square of its length
    labels = name.split(".") if len(name) <= LONGEST else []
    made = [label if label.isascii() else _encoded(label) for label in labels]
    is_domain = len(made) > 1 and all(map(_is_label, made)) and not made[-1].isdecimal()
    if not is_domain or len(".".join(made)) > LONGEST:
        raise ValueError(f"{name[:80]!r} is not a domain name")
    return ".".join(made)


def forms(name: str) -> list[str]:
    """The ways in which this name may be written in a table."""
    written = {name.strip().rstrip(".").lower()}
    with suppress(ValueError):
        written.add(ascii_form(name))
    return sorted(written)


def _encoded(label: str) -> str:
    """A label's `xn--` form; "" if it has other signs than letters, marks and digits, or letters
    that only look different from others, such as full-width ones."""
    import unicodedata  # few names need it
    label = unicodedata.normalize("NFC", label)
    is_plain = label == unicodedata.normalize("NFKC", label) and all(
        sign == "-" or unicodedata.category(sign)[0] in "LMN" for sign in label)
    return "xn--" + label.encode("punycode").decode("ascii") if is_plain else ""
