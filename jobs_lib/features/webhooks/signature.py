"""Signing what is sent to an endpoint: Standard Webhooks 1.0, symmetric (`v1`).

The signature is over id, time and body, so that none of them can be changed and nothing can be sent
again later. While a secret is being changed both sign, so an endpoint may know either.
"""
from __future__ import annotations

import base64
import hmac

PREFIX = "whsec_"


def key(secret: str) -> bytes:
    """The bytes behind `whsec_` and base64, with or without the `=` at its end; b"" if there are
    none."""
    encoded = secret[len(PREFIX):] if secret.startswith(PREFIX) else secret
    encoded = encoded.rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def sign(secrets, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: a `v1,...` for each of the secrets, parted by spaces. The
    first is the one that counts: "" if it is none. An older one that is none is left out."""
    keys = list(map(key, secrets))
    if not keys[0]:
        return ""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(each, signed, "sha256")).decode()
                    for each in keys if each)
