"""The token in an unsubscribe link: who, which kind of notice, and our signature; nothing of it is
stored.

The page that takes the POST is the app's (docs/notices.md); it may call `read`, or check the token
by itself. Source: RFC 8058.
"""
from __future__ import annotations

import hmac
from urllib.parse import quote

LABEL = "unsubscribe"            # of the derived key, Context.secret
SIGNATURE = 32                   # hex digits: 128 bits
LONGEST = 200                    # letters of a token: anybody may send us one


def token(key: bytes, user_id, kind: str) -> str:
    """`17.alias_expiring.<signature>`."""
    return f"{user_id}.{kind}.{_signature(key, user_id, kind)}"


def read(key: bytes, text: str) -> tuple | None:
    """(user_id, kind) of a token that we signed, else None. A user's id is a number if it looks
    like one."""
    if len(text) > LONGEST or not text.isascii():
        return None
    rest, _, signature = text.rpartition(".")
    user, _, kind = rest.rpartition(".")
    if not user or not hmac.compare_digest(_signature(key, user, kind).encode(),
                                           signature.encode()):
        return None
    return (int(user) if user.isdigit() and str(int(user)) == user else user), kind


def link(url: str, key: bytes, user_id, kind: str) -> str:
    """`url` with the token as its parameter `t`."""
    return f"{url}{'&' if '?' in url else '?'}t={quote(token(key, user_id, kind), safe='')}"


def with_link(text: str, html: str | None, link: str) -> tuple[str, str | None]:
    """Both bodies with a way out at their end, for people whose mail program shows none."""
    text = f"{text.rstrip()}\n\nUnsubscribe from emails like this: {link}\n"
    if html is not None:
        href = link.replace("&", "&amp;")
        words = f'<p class="signature"><a href="{href}">Unsubscribe from emails like this</a></p>\n'
        at = html.rfind("</div>")
        html = html[:at] + words + html[at:] if at >= 0 else html + words
    return text, html


def _signature(key: bytes, user_id, kind: str) -> str:
    return hmac.digest(key, f"{user_id}.{kind}".encode(), "sha256").hex()[:SIGNATURE]
