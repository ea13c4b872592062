"""The token of a download link: an HMAC over the request's number and a nonce, 256 bits, which
nobody stores.

The row has the nonce, and the token's SHA-256 for the app's check. The key is in no database, so
neither a copy of the database nor a queued notice opens an export. The link is put together when
its notice is sent.
"""
from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

LABEL = "export link"            # of the derived key, Context.secret
LONGEST = 200                    # letters of a token: anybody may send us one


def make(key: bytes, request_id: int, nonce: str) -> str:
    """43 letters, digits, `-` and `_`."""
    return urlsafe_b64encode(hmac.digest(key, f"{request_id}.{nonce}".encode(),
                                         "sha256")).decode().rstrip("=")


def hashed(token: str) -> str:
    """What the column `token_hash` has."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def link(url: str, token: str) -> str:
    """`url` with the token as its parameter `t`."""
    return f"{url}{'&' if '?' in url else '?'}t={token}"
