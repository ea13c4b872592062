"""One notice as a message for the wire: headers, plain text, HTML. The same row always gives the
same bytes.

Written by hand and not by the `email` package, which takes longer for one notice than sending it
does. Text is quoted-printable, so every relay takes it (RFC 2045 6.7), and headers are ASCII (RFC
2047) but for addresses that are not themselves (RFC 6532).
"""
from __future__ import annotations

import binascii
from base64 import b64encode, encodebytes

from jobs_lib.database.values import one_line

# of UTF-8 in one encoded word: with its frame not longer than 75 (RFC 2047 2)
WORD_BYTES = 39
LONGEST_SUBJECT = 200
LONGEST_LINE = 10_000            # bytes of a body's line that is still quoted
NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
                       "!#$%&'*+-/=?^_`{|}~")


def message(headers: list, text: str, html: str | None, boundary: str) -> bytes:
    """The whole message, lines ended by CRLF; with HTML the text comes first, as the poorer of the
    two (RFC 2046 5.1.4). `headers`: (name, value fit for a header), without
    the MIME ones."""
    lines = [f"{name}: {value}" for name, value in headers] + ["MIME-Version: 1.0"]
    if html is None:
        return "\r\n".join([*lines, *_part("text/plain", text)]).encode("utf-8", "replace")
    mark = f"=_{boundary}"
    return "\r\n".join([*lines, f'Content-Type: multipart/alternative; boundary="{mark}"', "",
                        f"--{mark}", *_part("text/plain", text), f"--{mark}",
                        *_part("text/html", html), f"--{mark}--", ""]).encode("utf-8", "replace")


def words(value: str) -> str:
    """Free words for a header: on one line, as encoded words where they are not ASCII or look like
    such."""
    value = one_line(value, LONGEST_SUBJECT)
    if value.isascii() and "=?" not in value:
        return value
    found, word = [], b""
    for char in value:
        byte = char.encode("utf-8", "replace")
        if len(word) + len(byte) > WORD_BYTES:
            found.append(word)
            word = b""
        word += byte
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in (*found, word))


def mailbox(persona: str) -> tuple[str, str]:
    """(the header's value, the address) of `Name <address>`."""
    name, _, rest = persona.rpartition("<")
    name, address = name.strip().strip('"'), rest.rstrip(">").strip()
    if not name:
        return address, address
    plain = frozenset(name) <= NAME_SIGNS
    shown = name if plain else words(name)
    if name.isascii() and not plain:
        shown = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown} <{address}>", address


def date(when) -> str:
    """RFC 5322 3.3, of an aware UTC datetime."""
    # in English whatever the host speaks: nothing here ever sets a locale
    return f"{when:%a, %d %b %Y %H:%M:%S} +0000"


def _part(kind: str, content: str) -> list:
    data = content.replace("\r\n", "\n").encode("utf-8", "replace")
    if max(map(len, data.split(b"\n"))) > LONGEST_LINE:
        # Quoted-printable takes a time that grows with the square of a line's length.
        how, coded = "base64", encodebytes(data.replace(b"\n", b"\r\n"))
    else:
        how, coded = "quoted-printable", binascii.b2a_qp(data, istext=True)
    lines = coded.decode("ascii").replace("\n", "\r\n")
    return [f"Content-Type: {kind}; charset=utf-8", f"Content-Transfer-Encoding: {how}", "", lines]
