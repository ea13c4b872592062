"""One POST to an address that somebody else has chosen: values, then clients; here the factory."""
from __future__ import annotations


def open_poster(webhooks):
    """What sends as the `[webhooks]` section asks; JobsError if that cannot work."""
    if webhooks.outbox:
        from .outbox import FilePoster
        return FilePoster(webhooks)
    from .client import Poster
    return Poster(webhooks)
