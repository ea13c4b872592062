"""The Sender Rewriting Scheme: a forwarded message bounces to us and finds its way back, for a
limited time.

The "guarded" scheme of Mail::SRS, so that any implementation with the same secret can reverse our
addresses: `SRS0=HHHH=TT=sender.example=name@ours`, and `SRS1=HHHH=first.example==HHHH=TT=...` for a
sender that another host had rewritten already; that host checks the inner part.

The local part may grow beyond the 64 octets of RFC 5321 4.5.3.1.1. Mail::SRS and postsrsd 1 send it
all the same, and so do we: receivers take it, and a cut one could never be reversed. Only the 254
octets of a whole address hold.
"""
from __future__ import annotations

import base64
import hmac
import re
from datetime import timedelta

from jobs_lib.ports.mail.reasons import BAD_SENDER
from jobs_lib.text.addresses import AddressError, check, join_local, split_local

MAX_AGE = 21                 # days that a bounce may take
AHEAD = 1                    # days that another host's clock may be ahead of ours
HASH_LENGTH = 4              # letters of base64, 24 bits, as everyone uses
_DAY = 86400
# as programs write `<>`; the last is that of Postfix's pipe(8)
NULL_SENDERS = ("", "<>", "MAILER-DAEMON")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SRS = re.compile(r"SRS([01])[-+=](.*)\Z", re.IGNORECASE)
# what follows the SRS0 of a whole address
_INNER = r"[-+=][a-z0-9+/]{4,}=[a-z2-7]{2}=[^=]+=."
_SRS0 = re.compile(f"SRS0({_INNER}.*)\\Z", re.IGNORECASE)
_SRS1 = re.compile(f"SRS1[-+=][^=]+=([^=]+)=({_INNER}.*)\\Z", re.IGNORECASE)
_OTHER_FORM = re.compile(_INNER, re.IGNORECASE)


class SrsError(ValueError):
    """An address that cannot be rewritten, or a rewritten one that is not ours or too old."""


def is_null(sender: str | None) -> bool:
    """Whether it is the empty sender, as programs write it."""
    return str(sender or "").upper() in NULL_SENDERS


def forward(sender: str, domain: str, secret: str, now) -> str:
    """The envelope sender to forward with: `sender` rewritten to `domain`; one of our own domain
    stays as it is, and the empty one is "". now: an aware datetime. Raises SrsError."""
    if is_null(sender):
        return ""
    try:
        local, host = split_local(check(sender))
        if host.lower() == domain.lower():
            return check(sender)
        return check(f"{join_local(_compile(local, host, secret, now))}@{domain}")
    except AddressError as error:
        raise SrsError(BAD_SENDER.format(error=error)) from None


def _compile(local: str, host: str, secret: str, now) -> str:
    if once := _SRS0.match(local):
        # the separator after SRS0 stays, hence the two signs side by side
        return f"SRS1={_hash(secret, host, once[1])}={host}={once[1]}"
    if twice := _SRS1.match(local):
        # only our hash is new, the bounce still goes straight to the first host
        return f"SRS1={_hash(secret, twice[1], twice[2])}={twice[1]}={twice[2]}"
    day = _stamp(now)
    return f"SRS0={_hash(secret, day, host, local)}={day}={host}={local}"


def reverse(address: str, secret: str, now) -> str:
    """The sender behind one of our rewritten addresses. Raises SrsError."""
    try:
        local, _ = split_local(check(address))
        match = _SRS.match(local)
        if not match:
            raise SrsError("not an SRS address")
        if match[1] == "0":
            day, host, name = _parts(match[2], 3, secret)
            # both limits, as the two letters come round every 1,024 days
            if day.upper() not in {_stamp(now + timedelta(days=days))
                                   for days in range(-MAX_AGE, AHEAD + 1)}:
                raise SrsError("the SRS address has expired")
            # The hash knows no ends of parts, as in Mail::SRS. That of an SRS1 is over a host and
            # what follows _INNER: with its first letters as the day, and no day is in an SRS1, it
            # would open this form at any time.
            if _OTHER_FORM.search(day + host + name):
                raise SrsError("the hash of the SRS address is that of another form")
        else:
            host, inner = _parts(match[2], 2, secret)
            if not _OTHER_FORM.match(inner):
                raise SrsError("the part of the first host in the SRS address is not complete")
            name = "SRS0" + inner
        return check(f"{join_local(name)}@{host}")
    except AddressError as error:
        raise SrsError(f"not a valid SRS address: {error}") from None


def _parts(text: str, number: int, secret: str) -> list[str]:
    """The parts behind a hash, which is the right one for them."""
    given, *parts = text.split("=", number)
    if len(parts) < number or not all(parts):
        raise SrsError("not a complete SRS address")
    if not hmac.compare_digest(given.lower().encode(), _hash(secret, *parts).lower().encode()):
        raise SrsError("the hash of the SRS address is wrong: of another secret, or forged")
    return parts


def _hash(secret: str, *parts: str) -> str:
    """HMAC-SHA1 over the lower-case parts: relays on the way may change the case of all of it."""
    if not secret:
        raise SrsError("[mail] srs_secret is empty, so that anyone could forge our addresses")
    data = "".join(parts).lower().encode()
    return base64.b64encode(hmac.new(secret.encode(), data,
                                     "sha1").digest())[:HASH_LENGTH].decode("ascii")


def _stamp(moment) -> str:
    """Its day, in two letters."""
    day = int(moment.timestamp()) // _DAY
    return _BASE32[day // 32 % 32] + _BASE32[day % 32]
