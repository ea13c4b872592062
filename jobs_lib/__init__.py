"""Background jobs of an e-mail alias and forwarding service on shared hosting."""
from __future__ import annotations

__version__ = "0.1.0"


def find_export(token: str, config=None, now=None):
    """The export that a download link's token opens, or None (downloads.py, docs/exports.md)."""
    from .downloads import find
    return find(token, config, now)
