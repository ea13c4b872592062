"""One message of ours for the wire: headers, plain text, HTML. The same arguments always give the
same bytes.

Written by hand and not by the `email` package, which takes longer for one notice than sending it
does. Text is quoted-printable, so every relay takes it (RFC 2045 6.7), and headers are ASCII (RFC
2047) but for addresses that are not themselves (RFC 6532).
"""
from __future__ import annotations

import binascii

from jobs_lib.text import one_line
from jobs_lib.text.addresses import check

LONGEST_SUBJECT = 200


def message(author: str, recipient: str, subject, when, name: str, domain: str, text: str,
            html: str | None = None) -> bytes:
    """The whole message, lines ended by CRLF; with HTML the text comes first, as the poorer of the
    two (RFC 2046 5.1.4).

    author  as `mailbox` has it      when  an aware UTC datetime
    name    what makes the Message-ID unique in the `domain`
    """
    domain = check(f"x@{domain}").rpartition("@")[2]        # in its xn-- form
    lines = [f"From: {author}", f"To: {recipient}", f"Subject: {words(subject)}",
             # in English whatever the host speaks: nothing here ever sets a locale
             f"Date: {when:%a, %d %b %Y %H:%M:%S} +0000", f"Message-ID: <{name}@{domain}>",
             "Auto-Submitted: auto-generated",              # RFC 3834: so no machine answers
             "MIME-Version: 1.0"]
    if html is None:
        lines += _part("text/plain", text)
    else:
        mark = f"=_{name}"
        lines += [f'Content-Type: multipart/alternative; boundary="{mark}"', "",
                  f"--{mark}", *_part("text/plain", text), f"--{mark}",
                  *_part("text/html", html), f"--{mark}--", ""]
    return "\r\n".join(lines).encode("utf-8", "replace")


def words(value) -> str:
    """Free words for a header, on one line, encoded where they are not ASCII or look so."""
    value = one_line(value, LONGEST_SUBJECT)
    if value.isascii() and "=?" not in value:
        return value
    from email.header import Header  # few need it
    return Header(value, "utf-8", header_name="Subject").encode(linesep="\r\n")


def mailbox(persona: str) -> tuple[str, str]:
    """(the header's value, the address) of `Name <address>`."""
    name, _, rest = persona.rpartition("<")
    name, address = one_line(name.strip().strip('"')), rest.rstrip(">").strip()
    if not name:
        return address, address
    shown = words(name)
    if shown == name:
        shown = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown} <{address}>", address


def _part(kind: str, content: str) -> list:
    text = content.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    lines = binascii.b2a_qp(text, istext=True).decode("ascii").replace("\n", "\r\n")
    return [f"Content-Type: {kind}; charset=utf-8", "Content-Transfer-Encoding: quoted-printable",
            "", lines]
